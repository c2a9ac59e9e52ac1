// What a session counts: why packets were dropped, and how often things happened.

/** Why a control packet or message had no effect. */
export const CONTROL_DROPS = [
  'short',
  'too-big',
  'bad-opcode',
  'wrong-direction',
  'bad-hmac',
  'bad-wrapped-key',
  'replay',
  'malformed',
  'no-session',
  'foreign-session',
  'unproven-reset',
  'bad-ack-session',
  'unknown-key-id',
  'soft-reset-refused',
  'repeated-message',
  'out-of-window',
  'bad-text',
  'after-end',
] as const;
export type ControlDrop = (typeof CONTROL_DROPS)[number];

export interface SessionCounters {
  readonly drops: Readonly<Record<ControlDrop, number>>;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly retransmits: number;
  /** TLS handshakes and key exchanges that were completed. */
  readonly handshakes: number;
  readonly renegotiations: number;
  /** Renegotiations that a peer began and never went on with. */
  readonly abandonedRenegotiations: number;
}

/** The counters while they count. */
export class Counters {
  readonly drops = Object.fromEntries(CONTROL_DROPS.map((cause) => [cause, 0])) as Record<ControlDrop, number>;
  packetsIn = 0;
  packetsOut = 0;
  handshakes = 0;
  renegotiations = 0;
  abandonedRenegotiations = 0;

  snapshot(retransmits: number): SessionCounters {
    const { drops, packetsIn, packetsOut, handshakes, renegotiations, abandonedRenegotiations } = this;
    return {
      drops: { ...drops },
      packetsIn,
      packetsOut,
      retransmits,
      handshakes,
      renegotiations,
      abandonedRenegotiations,
    };
  }
}

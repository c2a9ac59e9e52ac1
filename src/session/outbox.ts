// What goes out on the control channel: texts into the newest ready key, and packets of all keys to the socket.

import type { SessionWraps } from '../control/session-wraps.ts';
import { Level, type Log } from '../log.ts';
import { redactControlText, writeControlMessage } from '../wire/control-message.ts';
import { writeControlBody, writeControlHeader } from '../wire/control-packet.ts';
import { ACKS_WITH_MESSAGE, type KeySlots } from './key-slots.ts';

/** Bare acknowledgements carry this many ids; old peers without wrapping take fewer. */
const ACKS_ALONE = 8;
const ACKS_ALONE_UNWRAPPED = 4;
/** Texts that wait for a key; they are all ours, so only a driver's mistake reaches this. */
const TEXTS_LIMIT = 4096;

export class Outbox {
  readonly #slots: KeySlots;
  readonly #wraps: SessionWraps;
  readonly #ownSessionId: Uint8Array;
  readonly #log: Log;
  #texts: string[] = [];

  constructor(slots: KeySlots, wraps: SessionWraps, ownSessionId: Uint8Array, log: Log) {
    this.#slots = slots;
    this.#wraps = wraps;
    this.#ownSessionId = ownSessionId;
    this.#log = log;
  }

  /** Whether everything said was acknowledged. */
  get drained(): boolean {
    return this.#texts.length === 0 && this.#slots.speaking.every((key) => key.state.drained);
  }

  sendText(text: string, peerName: string | undefined): void {
    if (this.#texts.length >= TEXTS_LIMIT) throw new RangeError('too many texts wait for the control channel');
    this.#texts.push(text);
    this.flush(peerName);
  }

  /** Texts wait while a key is negotiated: the peer reads none on the old one then, and on the new one once it is complete. */
  flush(peerName: string | undefined): void {
    const { negotiating, current } = this.#slots;
    const key =
      negotiating === undefined || negotiating.phase.name === 'judging' ? (negotiating ?? current) : undefined;
    if (key === undefined) return;
    for (const text of this.#texts.splice(0)) {
      key.state.sendPlaintext(writeControlMessage(text));
      this.#log(Level.push, `SENT CONTROL [${peerName ?? 'UNDEF'}]: '${redactControlText(text)}' (status=1)`);
    }
  }

  /** The next packet, wrapped. `running` false: last words and acknowledgements, nothing is repeated. */
  pollPacket(
    now: { readonly monoMs: number; readonly unixSeconds: number },
    peerSessionId: Uint8Array | undefined,
    running: boolean,
  ): Uint8Array | undefined {
    // Without a session there is nobody to acknowledge to.
    const riding = peerSessionId === undefined ? 0 : ACKS_WITH_MESSAGE;
    for (const { state } of this.#slots.speaking) {
      const wrap = this.#wraps.of(state.keyId);
      const alone = wrap.kind === 'none' ? ACKS_ALONE_UNWRAPPED : ACKS_ALONE;
      const packet = running ? state.pollPacket(now.monoMs, riding, alone) : state.pollLast(riding, alone);
      if (packet === undefined) continue;
      const header = writeControlHeader({ ...packet, sessionId: this.#ownSessionId });
      const body = writeControlBody({ ...packet, remoteSessionId: peerSessionId });
      return wrap.seal(header, body, now.unixSeconds);
    }
    return undefined;
  }

  /** Forgets texts that wait. */
  close(): void {
    this.#texts = [];
  }
}

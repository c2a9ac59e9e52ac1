// One key of a session on its way from reset to data keys, and what it became.

import type { KeyExchange } from '../control/key-exchange.ts';
import type { KeyState } from '../control/key-state.ts';
import type { TlsEstablished } from '../control/tls-engine.ts';
import type { SallyportError } from '../error.ts';
import type { HandshakeStep } from './failure.ts';

/** Where a key is. Before `ready` it is negotiated, after that it carries text and data. */
export type KeyPhase =
  | { readonly name: 'tls' }
  | { readonly name: 'verify' | 'credentials' | 'exchange' | 'judging'; readonly established: TlsEstablished }
  | { readonly name: 'ready'; readonly established: TlsEstablished; readonly readyMs: number };

/** A key's state, exchange and place in the session. */
export interface SessionKey {
  readonly state: KeyState;
  readonly exchange: KeyExchange;
  readonly startedMs: number;
  /** The peer asked for it (a renegotiation). */
  readonly byPeer: boolean;
  phase: KeyPhase;
  /** Why the peer is refused, once that is known: after the alert is out, or when the driver of a judged session says so. */
  refusal: SallyportError | undefined;
  /** Plaintext that came before the driver had judged the peer. */
  early: Uint8Array[];
  /** Names the data key in events; undefined until there is one. */
  handle: number | undefined;
  /** When renegotiation is due; infinity for never. Set with the data key. */
  renegotiateAtMs: number;
  /** When sending moves to this key. */
  useAtMs: number;
  /** When it dies, once it is a lame duck. */
  dieAtMs: number;
}

/** How far a key got, in the words of a failure. */
export function stepOf(key: SessionKey): HandshakeStep {
  switch (key.phase.name) {
    case 'tls':
      return key.state.resetAcked ? 'tls' : 'reset';
    case 'verify':
    case 'credentials':
    case 'exchange':
      return key.phase.name;
    case 'judging':
    case 'ready':
      return 'exchange';
    default:
      return key.phase satisfies never;
  }
}

/** Ends TLS and wipes what the keys were made of. */
export function closeKey(key: SessionKey): void {
  key.state.close();
  key.exchange.close();
  key.early = [];
}

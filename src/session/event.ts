// What a session tells the loop that drives it.

import type { PeerCertificate, TlsEstablished } from '../control/tls-engine.ts';
import type { DataKeyMaterial } from '../crypto/data-keys.ts';
import type { SallyportError } from '../error.ts';
import type { PendingRequest } from '../wire/auth-challenge.ts';

export type SessionEvent =
  /** First authentic answer of the peer: it lives at the address the driver sent to. */
  | { readonly type: 'peer-answered' }
  /** TLS is up and the static checks passed; the driver runs its own (tls-verify) and calls `acceptPeer`. */
  | { readonly type: 'verify-peer'; readonly established: TlsEstablished; readonly keyId: number }
  /** A key exchange is about to send credentials that the session does not have (auth-nocache); the driver calls `setCredentials`. */
  | { readonly type: 'need-credentials' }
  /**
   * A judged session: key method 2 is complete and nothing of it counts yet. The driver answers with `admit` or
   * `refuse`; texts of the peer (a push request, an answer to a challenge) come before that. `refusal` is set when the certificate did not pass: then `refuse` is the only answer.
   */
  | {
      readonly type: 'authenticate';
      readonly keyId: number;
      /** The first key of the connection; others are renegotiations. */
      readonly first: boolean;
      readonly established: TlsEstablished;
      readonly refusal: SallyportError | undefined;
      readonly peerOptionsString: string;
      readonly peerInfo: ReadonlyMap<string, string>;
      /** The lines as they came. */
      readonly peerInfoText: string;
      readonly username: string | undefined;
      readonly password: string | undefined;
    }
  /** Key method 2 is complete for the first key: `Peer Connection Initiated`. */
  | {
      readonly type: 'peer-connected';
      readonly established: TlsEstablished;
      readonly peerOptionsString: string;
      readonly peerInfo: ReadonlyMap<string, string>;
      readonly username: string | undefined;
      readonly password: string | undefined;
      readonly leaf: PeerCertificate | undefined;
    }
  /** All fragments of a PUSH_REPLY joined: options in order, unquoted, cleaned. The driver calls `applyPush`. */
  | { readonly type: 'push-reply'; readonly options: readonly string[] }
  /** The peer asks for its options (a server's session); the driver answers with `sendPushReply`. */
  | { readonly type: 'push-request' }
  /** A data key to install for receiving; the driver wipes `material` afterwards. `handle` names it from now on. */
  | {
      readonly type: 'data-key';
      readonly handle: number;
      readonly keyId: number;
      readonly cipher: string;
      readonly format: 'epoch' | undefined;
      readonly digest: string;
      readonly material: DataKeyMaterial;
      readonly madeSeconds: number;
      readonly limitBytes: number;
      readonly limitPackets: number;
      readonly limitBlocks: number | undefined;
      /** The first key of the connection. */
      readonly first: boolean;
    }
  | { readonly type: 'use-key'; readonly handle: number }
  | { readonly type: 'drop-key'; readonly handle: number }
  /** A renegotiation finished (for logs and statistics). */
  | { readonly type: 'renegotiated'; readonly keyId: number }
  /** Bytes for `DataPlane.sendInBand`. */
  | { readonly type: 'send-in-band'; readonly bytes: Uint8Array }
  /** Server texts that the session does not act on itself; cleaned. */
  | {
      readonly type: 'info';
      readonly kind: 'info' | 'info-pre' | 'auth-pending' | 'cr-response' | 'other';
      readonly text: string;
    }
  /**
   * The server holds the login back until `deadlineMs` (monotonic): for nothing that this side does (AUTH_PENDING), or
   * for what it asks here. The driver answers CR_TEXT with `sendText`.
   */
  | { readonly type: 'login-pending'; readonly request: PendingRequest | undefined; readonly deadlineMs: number }
  /** All fragments of a PUSH_UPDATE joined: options in order, with their `-` and `?`. */
  | { readonly type: 'push-update'; readonly options: readonly string[] }
  /** auth-token or auth-token-user arrived outside a push reply. */
  | { readonly type: 'auth-token'; readonly token: string; readonly user: string | undefined }
  /** The session is over. Nothing follows. */
  | { readonly type: 'ended'; readonly end: SessionEnd };

export type SessionEnd =
  | {
      readonly reason: 'auth-failed';
      readonly text: string;
      readonly temporary: TemporaryFailure | undefined;
      readonly dynamicChallenge: string | undefined;
      readonly tokenDead: boolean;
    }
  /** The server's RESTART / HALT. */
  | {
      readonly reason: 'server-restart';
      readonly text: string;
      readonly keepCredentials: boolean;
      readonly advance: boolean;
    }
  | { readonly reason: 'server-halt'; readonly text: string }
  /** EXIT on the control channel, or the old notice in band. */
  | { readonly reason: 'peer-exit'; readonly notice: 'EXIT' | 'in-band' }
  | { readonly reason: 'ping-restart' }
  | { readonly reason: 'ping-exit' }
  | { readonly reason: 'inactive' }
  | { readonly reason: 'session-timeout' }
  /** Handshake or renegotiation failed; the error says which step and what to do. */
  | { readonly reason: 'failed'; readonly error: SallyportError };

export interface TemporaryFailure {
  readonly backoffSeconds: number | undefined;
  readonly advance: 'no' | 'address' | 'remote';
}

// What a session needs to know, as small records: no configuration, no sockets, no clock of its own.

import type { PeerChecks } from '../control/verify-peer.ts';
import type { WrapOptions } from '../control/wrap-options.ts';

export interface SessionOptions {
  readonly tlsRole: 'client' | 'server';
  /** Whether this side asks for a push reply (a client) … */
  readonly pull: boolean;
  readonly transport: 'udp' | 'tcp';
  readonly wrap: WrapOptions;
  /** First retransmission of a control packet. */
  readonly tlsTimeoutMs: number;
  readonly handWindowMs: number;
  readonly tranWindowMs: number;
  /** 0 for never. */
  readonly renegotiateMs: number;
  /** How much of it may be taken off by chance, for each key anew; at most all of it. */
  readonly renegotiateSpreadMs: number;
  readonly maxControlPacketBytes: number;
  readonly replayWindowPackets: number;
  readonly replayWindowSeconds: number;
  /** This side's options string without NUL, and what it expects of the peer's (a difference only warns). */
  readonly optionsString: string;
  readonly expectedOptionsString: string;
  /** A peer with compression is weaned from it (`compress migrate`): towards it both strings have compression. */
  readonly migrateCompression?: boolean;
  /** Peer info lines `NAME=value` in order, without the newline. */
  readonly peerInfo: readonly string[];
  readonly verify: VerifyOptions;
  /** Ciphers this side would take, and the one for peers that do not negotiate. */
  readonly dataCiphers: readonly string[];
  readonly dataCiphersFallback: string | undefined;
  /** Digest of CBC data channels (`--auth`). */
  readonly digest: string;
  /** Limits that the profile sets on each data key; 0 for none. */
  readonly renegotiateBytes: number | undefined;
  readonly renegotiatePackets: number;
  /** For tests: lowers what an AES-GCM key may carry, blocks and packets together. */
  readonly limitBlocks?: number | undefined;
  /** Keepalive before any push: silence from the peer that ends the session. */
  readonly keepalive: KeepaliveOptions;
  /** How often PUSH_REQUEST is sent. */
  readonly pushRequestMs: number;
  /** Whether a key exchange waits for credentials (`auth-user-pass`); without it those that happen to be set are sent. */
  readonly needsCredentials?: boolean;
  /** A TLS server that sends its reset to a peer that has said nothing yet, as one of two equal ends does. */
  readonly speaksFirst?: boolean;
  /** A server's session that goes on where the stateless handshake ended: both resets are behind it. */
  readonly resume?: ResumedHandshake | undefined;
  /**
   * A server for many: every key exchange waits for the driver's judgement (`authenticate`, answered by `admit` or
   * `refuse`), and a peer whose certificate does not pass is told so on the finished channel instead of being left in
   * silence.
   */
  readonly judged?: boolean;
  /** Forget the credentials once they are sent (`auth-nocache`). An auth-token is kept. */
  readonly forgetCredentials?: boolean;
}

/** What the stateless handshake agreed on. */
export interface ResumedHandshake {
  /** The session id that the cookie made. */
  readonly ownSessionId: Uint8Array;
  readonly peerSessionId: Uint8Array;
  /** The packet-id with which the wrap goes on after the stateless answer. */
  readonly firstSendId: number;
}

export interface KeepaliveOptions {
  readonly pingRestartMs: number;
  readonly pingExitMs: number;
  /** Count silence only once the peer's address is known (ping-timer-rem). */
  readonly timerRemote: boolean;
  readonly inactiveMs: number;
  readonly inactiveBytes: number;
  readonly sessionTimeoutMs: number;
}

/** Checks of the peer's certificate beyond the chain itself. */
export type VerifyOptions = PeerChecks;

/** What the username field and the password field of the key exchange carry. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** The part of a push reply that the session itself acts on; the rest is the tunnel's business. */
export interface SessionPush {
  readonly cipher: string | undefined;
  readonly peerId: number | undefined;
  readonly useExporter: boolean;
  readonly controlExit: boolean;
  readonly dynamicTlsCrypt: boolean;
  readonly epochData: boolean;
  readonly authToken: string | undefined;
  readonly authTokenUser: string | undefined;
  readonly keepalive: KeepaliveOptions;
}

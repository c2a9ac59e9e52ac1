// The data channel's parameters, agreed once with the first key, and data keys made with them.

import type { CipherFacts } from '../crypto/cipher-table.ts';
import { digestBytes } from '../crypto/cipher-table.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import type { SessionEvent } from './event.ts';
import { negotiateCipher } from './negotiation.ts';
import type { SessionOptions, SessionPush } from './options.ts';
import { keyLimits } from './renegotiation.ts';
import type { SessionKey } from './session-key.ts';

export interface DataChannel {
  readonly cipher: CipherFacts;
  /** `none` where the cipher authenticates itself. */
  readonly digest: string;
  readonly digestLengthBytes: number;
  /** `epoch`: packets of 2.7's epoch format. */
  readonly format: 'epoch' | undefined;
  readonly useExporter: boolean;
  readonly peerId: number | undefined;
  /** The peer understands EXIT on the control channel. */
  readonly controlExit: boolean;
}

/**
 * Agrees on the parameters from what was pushed and what the peer's options string says. The error names what does not
 * fit and the line to add.
 */
export function agreeDataChannel(
  options: SessionOptions,
  push: SessionPush,
  peerOptionsString: string,
  crypto: CryptoProvider,
  log: Log,
): DataChannel | SallyportError {
  const cipher = negotiateCipher(options, { pushedCipher: push.cipher, optionsString: peerOptionsString });
  if ('error' in cipher) {
    log(Level.tlsErrors, cipher.line);
    return cipher.error;
  }
  const digest = cipher.kind === 'aead' ? 'none' : options.digest;
  const digestLengthBytes = digest === 'none' ? 0 : (crypto.digestLength(digest) ?? digestBytes(digest));
  if (digestLengthBytes === undefined) {
    return new SallyportError(`The digest ${digest} (auth) is not known`, {
      code: 'SALLYPORT_NEGOTIATION',
      blame: 'config',
      hint: 'Use the digest of the server, SHA256 for instance.',
    });
  }
  if (push.epochData && cipher.kind !== 'aead') {
    log(Level.tlsErrors, `AEAD cipher (currently ${cipher.name}) required for epoch data format.`);
    return new SallyportError(`The server wants the epoch data format, which the cipher ${cipher.name} does not have`, {
      code: 'SALLYPORT_NEGOTIATION',
      blame: 'peer',
      hint: 'The server is misconfigured; ask its administrator.',
    });
  }
  const { useExporter, peerId, controlExit } = push;
  const format = push.epochData ? ('epoch' as const) : undefined;
  const channel = { cipher, digest, digestLengthBytes, format, useExporter, peerId, controlExit };
  log(Level.handshake, dataChannelLine(channel));
  return channel;
}

/** The event that installs a ready key's data key. */
export function makeDataKey(
  channel: DataChannel,
  key: SessionKey,
  handle: number,
  options: SessionOptions,
  sessionIds: { readonly own: Uint8Array; readonly peer: Uint8Array },
  first: boolean,
  unixSeconds: number,
): Extract<SessionEvent, { type: 'data-key' }> {
  const material = key.exchange.deriveDataKeys({
    useExporter: channel.useExporter,
    exportKeyingMaterial: (length, label) => key.state.exportKeyingMaterial(length, label),
    ownSessionId: sessionIds.own,
    peerSessionId: sessionIds.peer,
    cipher: channel.cipher,
    digestLengthBytes: channel.digestLengthBytes,
    format: channel.format,
  });
  key.exchange.close();
  return {
    type: 'data-key',
    handle,
    keyId: key.state.keyId,
    cipher: channel.cipher.name,
    format: channel.format,
    digest: channel.digest,
    material,
    madeSeconds: Math.max(1, Math.floor(unixSeconds)),
    ...keyLimits(options, channel.cipher),
    first,
  };
}

/** `Data Channel: cipher 'AES-256-GCM', peer-id: 0`, as OpenVPN 2.6 logs it. */
function dataChannelLine(channel: DataChannel): string {
  const auth = channel.cipher.kind === 'aead' ? '' : `, auth '${channel.digest}'`;
  const peer = channel.peerId === undefined ? '' : `, peer-id: ${channel.peerId}`;
  return `Data Channel: cipher '${channel.cipher.name}'${auth}${peer}`;
}

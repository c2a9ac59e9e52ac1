// What two equal ends come to, as if a server had pushed it: a cipher, a peer-id, and what else both can do.

import type { Config, TunnelOptions } from '../config/config.ts';
import type { PlaneCapabilities } from '../data/plane.ts';
import { SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import { agreementLine, agreeWithPeer, type PeerAgreement } from '../session/peer-negotiation.ts';
import type { Session } from '../session/session.ts';
import { type ClientSignal, softRestart } from './signal.ts';

export type Agreed =
  | { readonly type: 'agreed'; readonly tunnel: TunnelOptions }
  /** The ends have no cipher in common, and the profile none for that case. */
  | { readonly type: 'apart'; readonly end: ClientSignal };

/** `session`: one whose peer is connected, with what the peer said of itself. */
export function agreeOnTunnel(
  { tls, dataCiphers, dataCiphersFallback, tunnel }: Config,
  { ciphers, epoch }: PlaneCapabilities,
  session: Session,
  peerInfo: ReadonlyMap<string, string>,
  log: Log,
): Agreed {
  const agreement = agreeWithPeer(
    { tlsRole: tls.role ?? 'client', dataCiphers: dataCiphers.filter((name) => ciphers.includes(name)), epoch },
    peerInfo,
    (length, label) => session.exportKeyingMaterial(length, label),
  );
  log(Level.tlsDebugLow, agreementLine(agreement, dataCiphersFallback));
  const cipher = agreement.cipher ?? dataCiphersFallback;
  if (cipher === undefined) return { type: 'apart', end: noCipher(log) };
  const { peerId } = agreement;
  return { type: 'agreed', tunnel: { ...tunnel, cipher, peerId, protocolFlags: flagsOf(agreement) } };
}

/** `protocol-flags`. */
function flagsOf({ controlExit, useExporter, dynamicTlsCrypt, epochData }: PeerAgreement): readonly string[] {
  return [
    ...(controlExit ? ['cc-exit'] : []),
    ...(useExporter ? ['tls-ekm'] : []),
    ...(dynamicTlsCrypt ? ['dyn-tls-crypt'] : []),
    ...(epochData ? ['aead-epoch'] : []),
  ];
}

function noCipher(log: Log): ClientSignal {
  const line =
    'ERROR: failed to negotiate cipher with peer and --data-ciphers-fallback not enabled. No usable data channel cipher';
  log(Level.tlsErrors, line);
  log(Level.tlsErrors, 'ERROR: Failed to apply P2P negotiated protocol options');
  const error = new SallyportError('The peer and this side have no data cipher in common', {
    code: 'SALLYPORT_NEGOTIATION',
    blame: 'config',
    hint: 'Write a data-ciphers line that has one of the peer’s ciphers, or data-ciphers-fallback where the peer does not negotiate.',
  });
  return softRestart('process-push-msg-failed', { error });
}

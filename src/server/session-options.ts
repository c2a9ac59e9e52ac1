// The configuration in the session's small records: what is said to a client about this side, and how it is judged.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { ServerOptions } from '../config/server-options.ts';
import type { Claim } from '../control/first-contact.ts';
import type { PlaneCapabilities } from '../data/plane.ts';
import { keepaliveOf } from '../peer/keepalive.ts';
import { optionsStringOf } from '../peer/options-string.ts';
import { peerChecksOf } from '../peer/peer-checks.ts';
import type { SessionOptions } from '../session/options.ts';

/** Options of a session that goes on from a claim. */
export function sessionOptionsOf(
  config: Config,
  server: ServerOptions,
  profile: ConnectionProfile,
  claim: Claim,
  capabilities: PlaneCapabilities,
): SessionOptions {
  const { tls } = config;
  const { ownSessionId, peerSessionId, firstSendId } = claim;
  return {
    tlsRole: 'server',
    pull: false,
    judged: true,
    resume: claim.proof === 'cookie' ? { ownSessionId, peerSessionId, firstSendId } : undefined,
    transport: profile.proto.transport === 'udp' ? 'udp' : 'tcp',
    wrap: claim.wrap,
    tlsTimeoutMs: tls.timeoutSeconds * 1000,
    handWindowMs: tls.handWindowSeconds * 1000,
    tranWindowMs: tls.tranWindowSeconds * 1000,
    renegotiateMs: tls.renegSeconds * 1000,
    maxControlPacketBytes: profile.maxControlPacketBytes,
    replayWindowPackets: config.replayWindow.packets,
    replayWindowSeconds: config.replayWindow.seconds,
    optionsString: optionsStringOf(config, profile, 'server', false),
    expectedOptionsString: config.disableOcc ? '' : optionsStringOf(config, profile, 'server', true),
    migrateCompression: server.compressMigrate,
    peerInfo: [],
    verify: {
      ...peerChecksOf(tls),
      requireCertificate: server.verifyClientCert === 'require',
      nameFields: server.usernameFields,
    },
    dataCiphers: capabilities.ciphers,
    dataCiphersFallback: undefined,
    digest: config.auth,
    renegotiateBytes: capabilities.keyLimits ? tls.renegBytes : 0,
    renegotiatePackets: capabilities.keyLimits ? tls.renegPackets : 0,
    keepalive: keepaliveOf(config.tunnel),
    pushRequestMs: 0,
  };
}

// The configuration in the session's small records: what is said to a client about this side, and how it is judged.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { ServerOptions } from '../config/server-options.ts';
import type { Claim } from '../control/first-contact.ts';
import type { PlaneCapabilities } from '../data/plane.ts';
import { keepaliveOf } from '../peer/keepalive.ts';
import { peerChecksOf } from '../peer/peer-checks.ts';
import { commonSessionOptions } from '../peer/session-options.ts';
import type { SessionOptions } from '../session/options.ts';

/** Options of a session that goes on from a claim. */
export function sessionOptionsOf(
  config: Config,
  server: ServerOptions,
  profile: ConnectionProfile,
  claim: Claim,
  capabilities: PlaneCapabilities,
): SessionOptions {
  const { ownSessionId, peerSessionId, firstSendId } = claim;
  return {
    ...commonSessionOptions(config, profile, 'server', capabilities),
    pull: false,
    judged: true,
    resume: claim.proof === 'cookie' ? { ownSessionId, peerSessionId, firstSendId } : undefined,
    wrap: claim.wrap,
    migrateCompression: server.compressMigrate,
    peerInfo: [],
    verify: {
      ...peerChecksOf(config.tls),
      requireCertificate: server.verifyClientCert === 'require',
      nameFields: server.usernameFields,
    },
    dataCiphers: capabilities.ciphers,
    dataCiphersFallback: undefined,
    keepalive: keepaliveOf(config.tunnel),
    pushRequestMs: 0,
  };
}

// The configuration in the session's small records: what is said to the peer about this side, and how the peer is
// judged.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import type { PlaneCapabilities } from '../data/plane.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { keepaliveOf } from '../peer/keepalive.ts';
import { peerChecksOf } from '../peer/peer-checks.ts';
import { commonSessionOptions } from '../peer/session-options.ts';
import type { SessionOptions } from '../session/options.ts';
import { IvProto } from '../wire/peer-info.ts';
import { withRestart } from './ping-restart.ts';
import type { ChallengePort, ClientMaterial, PeerInfoFacts } from './ports.ts';

const PUSH_REQUEST_MS = 5000;

/** Everything a session needs to know for one connection profile. */
export function sessionOptionsOf(
  config: Config,
  profile: ConnectionProfile,
  remote: SocketAddress,
  material: ClientMaterial,
  capabilities: PlaneCapabilities,
  challenges?: ChallengePort | undefined,
  wrap: WrapOptions | undefined = material.wrapOf(profile),
): SessionOptions {
  // Never without the keys that the profile asks for.
  if (wrap === undefined) throw new Error('a session whose key nobody has brought yet');
  return {
    ...commonSessionOptions(config, profile, config.tls.role ?? 'client', capabilities),
    pull: config.pull,
    wrap,
    peerInfo: [
      ...peerInfoOf(config, profile, remote, material.peerInfo, capabilities),
      ...(config.pull ? loginMethods(config, challenges) : []),
    ],
    verify: peerChecksOf(config.tls),
    dataCiphers: config.dataCiphers.filter((name) => capabilities.ciphers.includes(name)),
    dataCiphersFallback: config.dataCiphersFallback,
    keepalive: keepaliveOf(withRestart(config.tunnel, config, profile)),
    pushRequestMs: PUSH_REQUEST_MS,
    needsCredentials: config.authUserPass !== undefined,
    forgetCredentials: config.authNocache,
  };
}

function peerInfoOf(
  config: Config,
  profile: ConnectionProfile,
  remote: SocketAddress,
  facts: PeerInfoFacts,
  capabilities: PlaneCapabilities,
): readonly string[] {
  const ciphers = config.dataCiphers.filter((name) => capabilities.ciphers.includes(name));
  const lines: string[] = [];
  let proto = IvProto.dataV2 | IvProto.ccExit | IvProto.tlsKeyExport | IvProto.dnsOption | IvProto.pushUpdate;
  proto |= IvProto.dynamicTlsCrypt | (capabilities.epoch ? IvProto.epochData : 0);
  if (config.pull) {
    lines.push(
      `IV_VER=${facts.version}`,
      `IV_PLAT=${facts.platform}`,
      'IV_TCPNL=1',
      `IV_MTU=${profile.tunMtuMaxBytes}`,
    );
    proto |= IvProto.requestPush | IvProto.authPendingKeywords | IvProto.authFailedTemp;
    if (ciphers.includes('AES-128-GCM') && ciphers.includes('AES-256-GCM')) lines.push('IV_NCP=2');
  } else {
    proto |= IvProto.ncpP2p;
  }
  lines.push(`IV_CIPHERS=${ciphers.join(':')}`, `IV_PROTO=${proto}`);
  if (!config.pull) return lines;
  lines.push(...compressionLines(config));
  if (config.pushPeerInfo) {
    const hardware = facts.hardwareAddress(remote);
    if (hardware !== undefined) lines.push(`IV_HWADDR=${hardware}`);
    lines.push(`IV_SSL=${facts.sslVersion}`, `IV_PLAT_VER=${facts.platformVersion}`);
  }
  for (const [name, value] of config.setenv) {
    const always = name === 'IV_GUI_VER' || name === 'IV_SSO';
    if (always || (config.pushPeerInfo && name.startsWith('UV_'))) lines.push(`${name}=${value}`);
  }
  return lines;
}

/** IV_SSO: how a pending login may be confirmed here. What the profile states (`setenv IV_SSO`) is the answer, whatever it is. */
function loginMethods(config: Config, challenges: ChallengePort | undefined): readonly string[] {
  if (config.setenv.some(([name]) => name === 'IV_SSO')) return [];
  const methods = challenges?.announced ?? [];
  return methods.length === 0 ? [] : [`IV_SSO=${methods.join(',')}`];
}

/** What this side can unpack. `allow-compression no` announces the stubs alone, as the C program does. */
function compressionLines(config: Config): readonly string[] {
  const stubs = ['IV_COMP_STUB=1', 'IV_COMP_STUBv2=1'];
  const opens = config.tunnel.compress !== undefined && config.tunnel.compress.algorithm !== 'none';
  const allowed = config.allowCompressionStated && config.allowCompression !== 'no';
  if (!opens && !allowed) return ['IV_LZO_STUB=1', ...stubs];
  return ['IV_LZ4=1', 'IV_LZ4v2=1', 'IV_LZO=1', ...stubs];
}

// The configuration in the session's small records: what is said to the peer about this side, and how the peer is
// judged.

import type { Config, ConnectionProfile } from '../config/config.ts';
import { cipherFacts } from '../crypto/cipher-table.ts';
import type { PlaneCapabilities } from '../data/plane.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { SessionOptions, VerifyOptions } from '../session/options.ts';
import { optionsLinkMtu } from '../tunnel/mtu.ts';
import { type OptionsStringFacts, writeOptionsString } from '../wire/options-string.ts';
import { IvProto } from '../wire/peer-info.ts';
import { keepaliveOf, withRestart } from './keepalive.ts';
import { protocolName } from './link.ts';
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
): SessionOptions {
  const { tls } = config;
  const role = tls.role ?? 'client';
  return {
    tlsRole: role,
    pull: config.pull,
    transport: profile.proto.transport === 'udp' ? 'udp' : 'tcp',
    wrap: material.wrapOf(profile),
    tlsTimeoutMs: tls.timeoutSeconds * 1000,
    handWindowMs: tls.handWindowSeconds * 1000,
    tranWindowMs: tls.tranWindowSeconds * 1000,
    renegotiateMs: tls.renegSeconds * 1000,
    maxControlPacketBytes: profile.maxControlPacketBytes,
    replayWindowPackets: config.replayWindow.packets,
    replayWindowSeconds: config.replayWindow.seconds,
    optionsString: optionsStringOf(config, profile, role, false),
    // Nothing to compare with: no warnings (disable-occ).
    expectedOptionsString: config.disableOcc ? '' : optionsStringOf(config, profile, role, true),
    peerInfo: [
      ...peerInfoOf(config, profile, remote, material.peerInfo, capabilities),
      ...(config.pull ? loginMethods(config, challenges) : []),
    ],
    verify: verifyOf(config),
    dataCiphers: config.dataCiphers.filter((name) => capabilities.ciphers.includes(name)),
    dataCiphersFallback: config.dataCiphersFallback,
    digest: config.auth,
    renegotiateBytes: capabilities.keyLimits ? tls.renegBytes : 0,
    renegotiatePackets: capabilities.keyLimits ? tls.renegPackets : 0,
    keepalive: keepaliveOf(withRestart(config.tunnel, config, profile)),
    pushRequestMs: PUSH_REQUEST_MS,
    needsCredentials: config.authUserPass !== undefined,
    forgetCredentials: config.authNocache,
  };
}

function verifyOf({ tls }: Config): VerifyOptions {
  return {
    requireCertificate: true,
    keyUsages: tls.remoteCertKu,
    extendedKeyUsage: tls.remoteCertEku,
    netscapeCertType: tls.nsCertType,
    name: tls.verifyX509Name,
    fingerprints: tls.peerFingerprints,
    withoutCa:
      tls.peerFingerprints.length > 0 && tls.ca === undefined && tls.caPath === undefined && tls.pkcs12 === undefined,
    issuerHash: tls.verifyHash,
  };
}

/** This side's options string, or with `expected` what a peer that fits would send. */
function optionsStringOf(
  config: Config,
  profile: ConnectionProfile,
  role: 'client' | 'server',
  expected: boolean,
): string {
  const { tunnel, device } = config;
  const name = config.cipher;
  const facts = name === undefined ? undefined : cipherFacts(name);
  const aead = facts?.kind === 'aead';
  const peerToPeer = config.mode === 'p2p' && !config.pull;
  const cipher = name !== undefined && (peerToPeer || config.dataCiphers.includes(name)) ? name : undefined;
  const direction = profile.wrap?.kind === 'tls-auth' ? profile.wrap.direction : undefined;
  const compression = tunnel.compress !== undefined && tunnel.compress.framing !== 'none';
  const options: OptionsStringFacts = {
    deviceType: device.type,
    linkMtuBytes: optionsLinkMtu(
      {
        cipher: name,
        digest: config.auth,
        transport: profile.proto.transport === 'udp' ? 'udp' : 'tcp',
        socksUdp: false,
        compressionByte: compression,
      },
      profile,
    ),
    tunMtuBytes: profile.occMtuBytes ?? profile.tunMtuBytes,
    proto: optionsStringProto(profile, expected),
    tunIpv6: peerToPeer && tunnel.ifconfigIpv6 !== undefined,
    ifconfig: undefined,
    compression,
    fragment: profile.fragment !== undefined,
    keyDirection: direction === undefined ? undefined : expected ? (direction === 0 ? 1 : 0) : direction,
    cipher,
    auth: aead ? '[null-digest]' : config.auth === 'none' ? '[null-digest]' : config.auth,
    // The C program announces 128 bits where no cipher is configured.
    keySizeBits: facts === undefined ? 128 : facts.keyBytes * 8,
    tlsAuth: profile.wrap?.kind === 'tls-auth',
    tlsRole: expected ? (role === 'client' ? 'server' : 'client') : role,
  };
  return writeOptionsString(options);
}

/** UDP is written as UDPv4 whatever the family; TCP names the role of whoever sends the string. */
function optionsStringProto(profile: ConnectionProfile, expected: boolean): string {
  if (profile.proto.transport === 'udp') return 'UDPv4';
  const own = protocolName(profile, 4);
  if (!expected) return own;
  return own.endsWith('CLIENT') ? 'TCPv4_SERVER' : 'TCPv4_CLIENT';
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

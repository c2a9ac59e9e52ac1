// The options string of key method 2: what this side says of itself, and what a peer that fits would say.

import type { Config, ConnectionProfile } from '../config/config.ts';
import { cipherFacts } from '../crypto/cipher-table.ts';
import { ipv4FromNumber, ipv4ToNumber } from '../ip/address-arithmetic.ts';
import { optionsLinkMtu } from '../tunnel/mtu.ts';
import { type OptionsStringFacts, writeOptionsString } from '../wire/options-string.ts';
import { socksUdpOf } from './payload-limits.ts';
import { protocolName } from './protocol-name.ts';

/** This side's options string, or with `expected` what a peer that fits would send. */
export function optionsStringOf(
  config: Config,
  profile: ConnectionProfile,
  role: 'client' | 'server',
  expected: boolean,
): string {
  const { tunnel, device } = config;
  const peerToPeer = config.mode === 'p2p' && !config.pull;
  // What the C program has for a cipher where none is configured; between equal ends it says so.
  const name = config.cipher ?? (peerToPeer ? 'BF-CBC' : undefined);
  const facts = config.cipher === undefined ? undefined : cipherFacts(config.cipher);
  const aead = facts?.kind === 'aead';
  const cipher = name !== undefined && (peerToPeer || config.dataCiphers.includes(name)) ? name : undefined;
  const direction = profile.wrap?.kind === 'tls-auth' ? profile.wrap.direction : undefined;
  const compression = tunnel.compress !== undefined && tunnel.compress.framing !== 'none';
  const options: OptionsStringFacts = {
    deviceType: device.type,
    linkMtuBytes: optionsLinkMtu(
      {
        cipher: config.cipher,
        digest: config.auth,
        transport: profile.proto.transport === 'udp' ? 'udp' : 'tcp',
        socksUdp: socksUdpOf(profile),
        compressionByte: compression,
      },
      profile,
    ),
    tunMtuBytes: profile.occMtuBytes ?? profile.tunMtuBytes,
    proto: optionsStringProto(profile, expected),
    tunIpv6: peerToPeer && tunnel.ifconfigIpv6 !== undefined,
    ifconfig: peerToPeer ? ifconfigText(config, expected) : undefined,
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

/** The two ends' addresses, that of whoever reads first; or the network that both are in. */
function ifconfigText({ tunnel, device, lines }: Config, expected: boolean): string | undefined {
  const { ifconfig, topology } = tunnel;
  if (ifconfig === undefined || device.type === 'null') return undefined;
  if (lines.some(({ option }) => option === 'ifconfig-nowarn')) return undefined;
  const { local, remoteOrNetmask } = ifconfig;
  if (device.type === 'tun' && topology !== 'subnet') {
    return expected ? `${local} ${remoteOrNetmask}` : `${remoteOrNetmask} ${local}`;
  }
  const address = ipv4ToNumber(local);
  const netmask = ipv4ToNumber(remoteOrNetmask);
  if (address === undefined || netmask === undefined) return undefined;
  return `${ipv4FromNumber((address & netmask) >>> 0)} ${remoteOrNetmask}`;
}

/** UDP is written as UDPv4 whatever the family; TCP names the role of whoever sends the string. */
function optionsStringProto(profile: ConnectionProfile, expected: boolean): string {
  if (profile.proto.transport === 'udp') return 'UDPv4';
  const own = protocolName(profile.proto, 4);
  if (!expected) return own;
  return own.endsWith('CLIENT') ? 'TCPv4_SERVER' : 'TCPv4_CLIENT';
}

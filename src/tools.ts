// What the command's tools need of the rooms: lists of what this program can do, and the test of its data path.

import { getCurves } from 'node:crypto';
import { type CipherFacts, cipherFacts, cipherNames, digestNames } from './crypto/cipher-table.ts';
import { selfTestArenaBytes, testCipher } from './data/self-test.ts';
import { formatAddress, parseAddress } from './ip/address.ts';
import { lengthToNetmask, parsePrefix, prefixContains } from './ip/prefix.ts';
import { createNativeArena } from './linux/arena.ts';
import { createNetlinkPort } from './linux/netlink.ts';
import { availableCiphers, loadProvider } from './linux/openssl.ts';
import { aesGcmLibrary, createPacketCrypto } from './linux/packet-crypto.ts';
import { olderSuites, type TlsSuite, tls13Suites } from './linux/tls-suites.ts';
import { createNodeCrypto, measureDigest } from './node/crypto-provider.ts';
import { cipherChoice, type TlsSettings, usableGroups } from './node/tls-settings.ts';

export { parseToolRequest, type ToolName, type ToolRequest } from './config/tool-request.ts';
export { parseStaticKey } from './wire/static-key.ts';
/** OpenSSL's providers beside the default one; those that are not there are returned. */
export const loadProviders = (names: readonly string[]): readonly string[] =>
  names.filter((name) => !loadProvider(name));

/** Ciphers of the data channel that the library has, with the providers loaded now. */
export const listCiphers = (): readonly CipherFacts[] =>
  availableCiphers(cipherNames()).flatMap((name) => cipherFacts(name) ?? []);

/** Digests for `auth` that the library has, with their lengths. */
export const listDigests = (): readonly { readonly name: string; readonly bytes: number }[] =>
  digestNames().flatMap((name) => {
    const bytes = measureDigest(name);
    return bytes === undefined ? [] : [{ name, bytes }];
  });

/** Groups that a TLS handshake can use: the newer ones that the library may have, and its elliptic curves. */
export const listGroups = (): readonly string[] => usableGroups([...new Set([...MODERN_GROUPS, ...getCurves()])]);

const MODERN_GROUPS = [
  'X25519MLKEM768',
  'SecP256r1MLKEM768',
  'SecP384r1MLKEM1024',
  'MLKEM512',
  'MLKEM768',
  'MLKEM1024',
  'X25519',
  'X448',
  'ffdhe2048',
  'ffdhe3072',
  'ffdhe4096',
  'ffdhe6144',
  'ffdhe8192',
];

/** TLS 1.3 suites and older ones, best first, as a handshake under these settings offers them. Refuses a list with nothing known in it. */
export function listTls(
  settings: Pick<TlsSettings, 'cipherList' | 'cipherSuites' | 'certProfile'>,
  warn: (text: string) => void,
): { readonly tls13: readonly TlsSuite[]; readonly older: readonly TlsSuite[] } {
  const { list, suites, securityLevel } = cipherChoice(settings, warn);
  return {
    tls13: tls13Suites(suites.join(':'), securityLevel) ?? [],
    older: olderSuites(list, securityLevel) ?? [],
  };
}

export interface CipherTest {
  readonly cipher: string;
  readonly digest: string;
  readonly maxBytes: number;
  /** Cipher key and HMAC key, 64 bytes each; random where undefined. */
  readonly key: Uint8Array | undefined;
  readonly onLength: (lengthBytes: number) => void;
}

/** Whether the library has a cipher, and a digest. */
export const hasCipher = (name: string): boolean => name === 'none' || availableCiphers([name]).length > 0;
export const hasDigest = (name: string): boolean => name === 'none' || measureDigest(name) !== undefined;

/** Whether a cipher has blocks of 64 bits. */
export const isSmallBlock = (name: string): boolean => cipherFacts(name)?.smallBlock === true;

/** Seals and opens packets of every length with what moves packets in a tunnel; what went wrong, or undefined. */
export function runCipherTest(test: CipherTest): string | undefined {
  const facts = cipherFacts(test.cipher);
  if (facts === undefined) return `Cipher ${test.cipher} not supported`;
  const key = test.key ?? createNodeCrypto().randomBytes(2 * KEY_BYTES);
  const macBytes = facts.kind === 'aead' ? IMPLICIT_NONCE_BYTES : (measureDigest(test.digest) ?? 0);
  const direction = { cipher: key.slice(0, facts.keyBytes), hmac: key.slice(KEY_BYTES, KEY_BYTES + macBytes) };
  const crypto = createPacketCrypto(createNativeArena(selfTestArenaBytes(test.maxBytes)), aesGcmLibrary());
  const { cipher, digest, maxBytes, onLength } = test;
  const first = { cipher: key.slice(0, EPOCH_SECRET_BYTES), hmac: new Uint8Array(0) };
  return testCipher(crypto, {
    cipher,
    digest,
    maxBytes,
    onLength,
    material: { seal: direction, open: direction },
    epoch: facts.kind === 'aead' ? { seal: first, open: first } : undefined,
  });
}

const KEY_BYTES = 64;
const EPOCH_SECRET_BYTES = 32;
const IMPLICIT_NONCE_BYTES = 8;

export interface HostGateway {
  /** Undefined: the address is on the link itself. */
  readonly gateway: string | undefined;
  readonly device: string;
  /** `02:00:5e:00:00:01`; zeros for a device that has none. */
  readonly linkAddress: string;
  /** Netmask of the device's network in which an IPv4 gateway lies. */
  readonly netmask: string | undefined;
}

/** How this host reaches an address, or the default gateway where none is given; undefined where there is no way. */
export function hostGateway(address: string | undefined, family: 4 | 6): HostGateway | undefined {
  const network = createNetlinkPort();
  const byDefault = address === undefined ? network.defaultRoutes(family)[0] : undefined;
  const target = address ?? byDefault?.gateway;
  const route = target === undefined ? undefined : network.lookup(target);
  const device = byDefault?.device ?? route?.device;
  if (device === undefined) return undefined;
  const gateway = byDefault?.gateway ?? route?.gateway;
  const linkAddress = route?.linkAddress ?? NO_LINK_ADDRESS;
  return {
    gateway,
    device,
    linkAddress,
    netmask: gateway === undefined ? undefined : netmaskAround(gateway, network.addressesOf(device)),
  };
}

const NO_LINK_ADDRESS = '00:00:00:00:00:00';

function netmaskAround(
  gateway: string,
  addresses: readonly { readonly address: string; readonly prefixLength: number }[],
): string | undefined {
  const bytes = parseAddress(gateway);
  if (bytes?.length !== 4) return undefined;
  for (const own of addresses) {
    const prefix = parsePrefix(`${own.address}/${own.prefixLength}`);
    if (prefix !== undefined && prefixContains(prefix, bytes)) return formatAddress(lengthToNetmask(prefix.length, 4));
  }
  return undefined;
}

/** 4 or 6 for a literal address; undefined for anything else. */
export function familyOf(address: string): 4 | 6 | undefined {
  const bytes = parseAddress(address);
  return bytes === undefined ? undefined : bytes.length === 4 ? 4 : 6;
}

// Sizes that follow from the shape of a packet on the wire: what TCP inside the tunnel may send at most (`mssfix`), what a
// fragment may hold, and the `link-mtu` of the options string. docs/WIRE.md 14 and 5.1;
// every figure checked against what OpenVPN 2.6.14 and 2.7.8 print.

import type { ConnectionProfile } from '../config/config.ts';

/** Everything about a connection's packets that takes space. */
export interface PacketShape {
  readonly cipher: string;
  /** Digest of CBC data channels. */
  readonly digest: string;
  readonly transport: 'udp' | 'tcp';
  readonly outerFamily: 4 | 6;
  /** The server gave a peer-id: the long header (DATA_V2). */
  readonly peerId: boolean;
  readonly epochFormat: boolean;
  /** The family of the address in the header of a SOCKS relay, where datagrams go through one. */
  readonly socksUdp: 4 | 6 | false;
  /** A compression framing of one byte: `comp-lzo`, `compress` and `compress stub`, not the v2 forms. */
  readonly compressionByte: boolean;
}

/** The options of a `remote` that state sizes. */
export type SizeOptions = Pick<ConnectionProfile, 'tunMtuBytes' | 'tunMtuExtraBytes' | 'fragment' | 'mssFix'>;

/** Upper bounds of the MSS in TCP SYN packets inside the tunnel. */
export interface MssLimit {
  readonly mssBytes4: number;
  readonly mssBytes6: number;
}

interface CipherSizes {
  readonly kind: 'aead' | 'cbc' | 'feedback' | 'none';
  readonly blockBytes: number;
  readonly ivBytes: number;
  readonly tagBytes: number;
}

const aead: CipherSizes = { kind: 'aead', blockBytes: 16, ivBytes: 12, tagBytes: 16 };
/** A stream cipher: blocks of one byte, which only the options string counts. */
const chacha: CipherSizes = { ...aead, blockBytes: 1 };
const cbc128: CipherSizes = { kind: 'cbc', blockBytes: 16, ivBytes: 16, tagBytes: 0 };
const cbc64: CipherSizes = { kind: 'cbc', blockBytes: 8, ivBytes: 8, tagBytes: 0 };
/** CFB and OFB: the packet-id with its time is in the IV, and the C program counts it once more. */
const feedback128: CipherSizes = { ...cbc128, kind: 'feedback' };
const feedback64: CipherSizes = { ...cbc64, kind: 'feedback' };
const noCipher: CipherSizes = { kind: 'none', blockBytes: 0, ivBytes: 0, tagBytes: 0 };

const digestBytes: ReadonlyMap<string, number> = new Map([
  ['NONE', 0],
  ['MD4', 16],
  ['MD5', 16],
  ['SHA1', 20],
  ['RSA-SHA1', 20],
  ['RIPEMD160', 20],
  ['SHA224', 28],
  ['SHA256', 32],
  ['SHA384', 48],
  ['SHA512', 64],
  ['SHA512-224', 28],
  ['SHA512-256', 32],
  ['SHA3-224', 28],
  ['SHA3-256', 32],
  ['SHA3-384', 48],
  ['SHA3-512', 64],
  ['BLAKE2B512', 64],
  ['BLAKE2S256', 32],
  ['SM3', 32],
]);

const tunMtuDefaultBytes = 1500;
/** What `mssfix` without a number means: room for tunnels over DSL (PPPoE) and for most other paths. */
const mssFixDefaultBytes = 1492;
const innerTcpBytes = 20 + 20;
const innerIpv6ExtraBytes = 20;
const socksUdp4Bytes = 10;
const socksUdp6Bytes = 22;
const fragmentHeaderBytes = 4;
/** Without the AEAD epoch format. */
const packetIdBytes = 4;
const epochPacketIdBytes = 8;
const timedPacketIdBytes = 8;

/** The MSS bound of a connection; undefined where `mssfix 0` turns it off or nothing sensible is left. */
export function mssLimit(shape: PacketShape, options: SizeOptions): MssLimit | undefined {
  const { bytes, mode } = mssFixOf(options);
  if (bytes === 0) return undefined;
  const mssBytes4 = mode === 'fixed' ? bytes - innerTcpBytes : mssOfPacket(shape, options, bytes, mode);
  return mssBytes4 <= innerIpv6ExtraBytes ? undefined : { mssBytes4, mssBytes6: mssBytes4 - innerIpv6ExtraBytes };
}

/** How many payload bytes one fragment may carry; undefined without `fragment`. A multiple of 4 is the caller's business. */
export function maxFragmentBytes(shape: PacketShape, options: SizeOptions): number | undefined {
  const { fragment } = options;
  if (fragment === undefined || fragment.bytes === 0) return undefined;
  const outer = fragment.mtuMode ? outerBytes(shape) : 0;
  const sizes = cipherSizes(shape.cipher);
  const room = withPadding(fragment.bytes - headerBytes(shape, sizes) - outer, sizes) - fragmentHeaderBytes;
  return sizes.kind === 'cbc' ? room - packetIdBytes : room;
}

/**
 * The `link-mtu` that both ends write into their options string. It follows the sums of OpenVPN 2.3, which counted block
 * and IV for AEAD too, the short header always, and BF-CBC where the profile names no cipher.
 */
export function optionsLinkMtu(
  shape: Omit<PacketShape, 'cipher' | 'peerId' | 'epochFormat' | 'outerFamily'> & {
    readonly cipher: string | undefined;
  },
  options: SizeOptions,
): number {
  const sizes = cipherSizes(shape.cipher ?? 'BF-CBC');
  const header =
    1 +
    (sizes.kind === 'feedback' ? timedPacketIdBytes : packetIdBytes) +
    streamBytes(shape) +
    sizes.ivBytes +
    sizes.blockBytes +
    authenticationBytes(shape.digest, sizes);
  return options.tunMtuBytes + payloadExtraBytes(shape, options) + header;
}

/** What a packet on the link has beside the inner packet, without address and transport headers and padding. */
export function overheadBytes(shape: PacketShape, options: SizeOptions): number {
  const sizes = cipherSizes(shape.cipher);
  const packetId = sizes.kind === 'cbc' ? packetIdBytes : 0;
  return headerBytes(shape, sizes) + payloadExtraBytes(shape, options) + packetId;
}

function mssFixOf(options: SizeOptions): { bytes: number; mode: 'mtu' | 'fixed' | 'payload' } {
  if (options.mssFix !== undefined) return options.mssFix;
  if (options.fragment !== undefined && options.fragment.bytes > 0) {
    return { bytes: options.fragment.bytes, mode: 'mtu' };
  }
  if (options.tunMtuBytes === tunMtuDefaultBytes) return { bytes: mssFixDefaultBytes, mode: 'mtu' };
  return { bytes: options.tunMtuBytes, mode: 'fixed' };
}

function mssOfPacket(shape: PacketShape, options: SizeOptions, bytes: number, mode: 'mtu' | 'payload'): number {
  const sizes = cipherSizes(shape.cipher);
  const outer = mode === 'mtu' ? outerBytes(shape) : 0;
  const room = withPadding(bytes - headerBytes(shape, sizes) - outer, sizes);
  const packetId = sizes.kind === 'cbc' ? packetIdBytes : 0;
  return room - payloadExtraBytes(shape, options) - packetId - innerTcpBytes;
}

/** Address and transport headers around our packet. */
function outerBytes({ outerFamily, transport }: PacketShape): number {
  return (outerFamily === 4 ? 20 : 40) + (transport === 'udp' ? 8 : 20);
}

/** Our own bytes around the encrypted payload. */
function headerBytes(shape: PacketShape, sizes: CipherSizes): number {
  const opcode = shape.peerId ? 4 : 1;
  const iv = sizes.kind === 'aead' ? 0 : sizes.ivBytes;
  return opcode + clearIdBytes(shape, sizes) + streamBytes(shape) + iv + authenticationBytes(shape.digest, sizes);
}

/** A packet-id outside what is encrypted. */
function clearIdBytes({ epochFormat }: Pick<PacketShape, 'epochFormat'>, { kind }: CipherSizes): number {
  if (kind === 'cbc') return 0;
  if (kind === 'feedback') return timedPacketIdBytes;
  return epochFormat ? epochPacketIdBytes : packetIdBytes;
}

function authenticationBytes(digest: string, sizes: CipherSizes): number {
  return sizes.kind === 'aead' ? sizes.tagBytes : (digestBytes.get(digest.toUpperCase()) ?? 20);
}

function streamBytes({ transport, socksUdp }: Pick<PacketShape, 'transport' | 'socksUdp'>): number {
  if (transport === 'tcp') return 2;
  return socksUdpBytes(socksUdp);
}

/** The header of a SOCKS relay before each datagram. */
export function socksUdpBytes(family: 4 | 6 | false): number {
  if (family === false) return 0;
  return family === 4 ? socksUdp4Bytes : socksUdp6Bytes;
}

/** What is encrypted beside the inner packet. */
function payloadExtraBytes(shape: Pick<PacketShape, 'compressionByte'>, options: SizeOptions): number {
  const fragment = options.fragment !== undefined && options.fragment.bytes > 0 ? fragmentHeaderBytes : 0;
  return options.tunMtuExtraBytes + (shape.compressionByte ? 1 : 0) + fragment;
}

/** CBC fills whole blocks and needs at least one byte of padding. */
function withPadding(bytes: number, sizes: CipherSizes): number {
  return sizes.kind === 'cbc' ? Math.floor(bytes / sizes.blockBytes) * sizes.blockBytes - 1 : bytes;
}

function cipherSizes(name: string): CipherSizes {
  const upper = name.toUpperCase();
  if (upper === 'NONE') return noCipher;
  if (upper === 'CHACHA20-POLY1305') return chacha;
  if (upper.endsWith('-GCM')) return aead;
  const feedback = !upper.endsWith('-CBC');
  if (/^(AES|CAMELLIA|ARIA|SEED|SM4)-/.test(upper)) return feedback ? feedback128 : cbc128;
  return feedback ? feedback64 : cbc64;
}

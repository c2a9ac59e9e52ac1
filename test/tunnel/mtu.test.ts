import { describe, expect, it } from 'vitest';
import {
  maxFragmentBytes,
  mssLimit,
  optionsLinkMtu,
  type PacketShape,
  type SizeOptions,
} from '../../src/tunnel/mtu.ts';

const shape: PacketShape = {
  cipher: 'AES-256-GCM',
  digest: 'SHA1',
  transport: 'udp',
  outerFamily: 4,
  peerId: true,
  epochFormat: false,
  socksUdp: false,
  compressionByte: false,
};
const sizes: SizeOptions = { tunMtuBytes: 1500, tunMtuExtraBytes: 0, fragment: undefined, mssFix: undefined };

const payload = (bytes: number) => ({ bytes, mode: 'payload' as const });
const fragment = (bytes: number, mtuMode = false) => ({ bytes, mtuMode });

describe('mssLimit', () => {
  // What OpenVPN 2.6.14 and 2.7.8 print as mss_fix in "Data Channel MTU parms".
  it.each<[string, number, Partial<PacketShape>, Partial<SizeOptions>]>([
    ['the default with AES-256-GCM over UDP', 1400, {}, {}],
    ['AES-256-CBC with SHA256', 1363, { cipher: 'AES-256-CBC', digest: 'SHA256' }, {}],
    ['TCP', 1386, { transport: 'tcp' }, {}],
    ['AES-128-CBC with SHA1 over TCP', 1363, { cipher: 'AES-128-CBC', transport: 'tcp' }, {}],
    ['an IPv6 server', 1380, { outerFamily: 6 }, {}],
    ['fragment 1300', 1204, {}, { fragment: fragment(1300) }],
    ['fragment 1300 mtu with CBC', 1183, { cipher: 'AES-256-CBC' }, { fragment: fragment(1300, true) }],
    ['comp-lzo no', 1399, { compressionByte: true }, {}],
    ['mssfix 1300', 1236, {}, { mssFix: payload(1300) }],
    ['mssfix 1300 mtu', 1208, {}, { mssFix: { bytes: 1300, mode: 'mtu' } }],
    ['mssfix 1300 fixed', 1260, {}, { mssFix: { bytes: 1300, mode: 'fixed' } }],
    ['another tun-mtu', 1360, {}, { tunMtuBytes: 1400 }],
    ['mssfix 1400 with CBC and SHA512', 1267, { cipher: 'AES-256-CBC', digest: 'SHA512' }, { mssFix: payload(1400) }],
    ['no cipher', 1396, { cipher: 'none' }, {}],
  ])('is what the C program uses with %s', (_, mssBytes4, packet, options) => {
    expect(mssLimit({ ...shape, ...packet }, { ...sizes, ...options })).toEqual({
      mssBytes4,
      mssBytes6: mssBytes4 - 20,
    });
  });

  it('leaves room for the longer packet-id of the epoch format', () => {
    expect(mssLimit({ ...shape, epochFormat: true }, sizes)?.mssBytes4).toBe(1396);
  });

  it('gains three bytes from the short header', () => {
    expect(mssLimit({ ...shape, peerId: false }, sizes)?.mssBytes4).toBe(1403);
  });

  it('leaves room for the header of a SOCKS proxy over UDP', () => {
    expect(mssLimit({ ...shape, socksUdp: 4 }, sizes)?.mssBytes4).toBe(1390);
    expect(mssLimit({ ...shape, socksUdp: 6 }, sizes)?.mssBytes4).toBe(1378);
  });

  it('is undefined where mssfix 0 turns it off', () => {
    expect(mssLimit(shape, { ...sizes, mssFix: payload(0) })).toBeUndefined();
  });

  it('is undefined where nothing would be left for data', () => {
    expect(mssLimit(shape, { ...sizes, mssFix: payload(80) })).toBeUndefined();
  });
});

describe('maxFragmentBytes', () => {
  it('is what the C program prints as max_frag', () => {
    expect(maxFragmentBytes(shape, { ...sizes, fragment: fragment(1300) })).toBe(1272);
    expect(maxFragmentBytes({ ...shape, cipher: 'AES-256-CBC' }, { ...sizes, fragment: fragment(1300, true) })).toBe(
      1223,
    );
  });

  it('is undefined without fragment', () => {
    expect(maxFragmentBytes(shape, sizes)).toBeUndefined();
  });
});

describe('optionsLinkMtu', () => {
  // From "Local Options String" of OpenVPN 2.6.14 and 2.7.8.
  it.each<[number, string | undefined, Partial<PacketShape>, Partial<SizeOptions>]>([
    [1541, undefined, {}, {}],
    [1549, 'AES-256-GCM', {}, {}],
    [1551, 'AES-128-GCM', { transport: 'tcp' }, {}],
    [1534, 'CHACHA20-POLY1305', {}, {}],
    [1569, 'AES-256-CBC', { digest: 'SHA256' }, {}],
    [1603, 'AES-128-CBC', { digest: 'SHA512', transport: 'tcp' }, {}],
    [1558, 'AES-256-CBC', { compressionByte: true }, {}],
    [1550, 'AES-256-GCM', { compressionByte: true }, {}],
    [1561, 'AES-256-CBC', {}, { fragment: fragment(1300) }],
    [1525, 'none', {}, {}],
    [1505, 'none', { digest: 'none' }, {}],
    [1449, 'AES-256-GCM', {}, { tunMtuBytes: 1400 }],
    [1581, 'AES-256-GCM', {}, { tunMtuExtraBytes: 32 }],
    [1541, 'DES-EDE3-CBC', {}, {}],
    [1557, 'CAMELLIA-128-CBC', {}, {}],
    [1561, 'AES-256-CFB', {}, {}],
    [1573, 'ARIA-128-OFB', { digest: 'SHA256' }, {}],
    [1549, 'ARIA-256-GCM', {}, {}],
  ])('is %i for %s as the C program says', (linkMtu, cipher, packet, options) => {
    expect(optionsLinkMtu({ ...shape, ...packet, cipher }, { ...sizes, ...options })).toBe(linkMtu);
  });
});

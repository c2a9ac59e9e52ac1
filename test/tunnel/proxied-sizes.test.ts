import { describe, expect, it } from 'vitest';
import { fragmentBytesOf, mssOf, socksUdpOf } from '../../src/peer/payload-limits.ts';
import { profile } from '../client/profiles.ts';

const SOCKS = { host: 'proxy.example', port: '1080', login: undefined };
const direct = profile('vpn.example');
const relayed4 = profile('vpn.example', { socksProxy: SOCKS, proto: { transport: 'udp', family: 4 } });
const relayed6 = profile('vpn.example', { socksProxy: SOCKS, proto: { transport: 'udp', family: 6 } });
const stream = profile('vpn.example', { socksProxy: SOCKS, proto: { transport: 'tcp-client', family: undefined } });

describe('packets through a SOCKS proxy', () => {
  it.each([
    ['none without one', direct, false],
    ['that of an IPv4 server over UDP', relayed4, 4],
    ['that of an IPv6 server over UDP', relayed6, 6],
    ['none over TCP', stream, false],
  ] as const)('have a header: %s', (_, connection, expected) => {
    expect(socksUdpOf(connection)).toBe(expected);
  });

  // 1400 and 1390: what OpenVPN 2.6.14 and 2.7.8 print as mss_fix without and with socks-proxy over UDP.
  it.each([
    [direct, 1400],
    [relayed4, 1390],
    [relayed6, 1378],
  ])('leave room for it inside mssfix', (connection, mssBytes4) => {
    const facts = {
      format: undefined,
      cipher: 'AES-256-GCM',
      digest: 'SHA1',
      outerFamily: 4,
      peerId: true,
      compression: 'none',
    } as const;
    expect(mssOf(facts, connection).mssBytes4).toBe(mssBytes4);
  });

  it.each([
    [direct, 1300, 1272],
    [relayed4, 1290, 1262],
    [relayed6, 1278, 1250],
  ])('leave room for it inside fragment', (connection, bytes, mtuModeBytes) => {
    const fragment = { bytes: 1300, mtuMode: false };
    expect(fragmentBytesOf({ ...connection, fragment }, 4)).toBe(bytes);
    expect(fragmentBytesOf({ ...connection, fragment: { ...fragment, mtuMode: true } }, 4)).toBe(mtuModeBytes);
  });
});

import { describe, expect, it } from 'vitest';
import { chooseNetwork, clashing, isPublic, parseRoutes } from '../../apps/pki/host-facts.ts';
import { uniqueLocal } from '../../apps/pki/server-init.ts';

describe('the network for the tunnel', () => {
  const cases = [
    ['is the usual one on a host without networks', [], '10.8.0.0/24'],
    ['is the next one where the usual one is in use', ['10.8.0.5/24'], '10.9.0.0/24'],
    ['avoids a larger network around it', ['10.0.0.0/8'], '172.16.200.0/24'],
    ['avoids a smaller network in it', ['10.8.0.128/30'], '10.9.0.0/24'],
    ['is the last kind where the others are in use', ['10.0.0.0/8', '172.16.0.0/12'], '192.168.255.0/24'],
    ['is none where all are in use', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'], undefined],
    ['does not mind IPv6', ['fd00::/8'], '10.8.0.0/24'],
  ] as const;
  it.each(cases)('%s', (_, used, network) => {
    expect(chooseNetwork(used)).toBe(network);
  });

  it('clashes by its first bits only', () => {
    expect(clashing('10.8.0.0/24', ['10.8.1.0/24'])).toBeUndefined();
    expect(clashing('10.8.0.0/23', ['10.8.1.0/24'])).toBe('10.8.1.0/24');
    expect(clashing('10.8.1.0/24', ['10.8.0.0/23'])).toBe('10.8.0.0/23');
    expect(clashing('10.8.0.0/24', ['10.8.0.77/30'])).toBe('10.8.0.77/30');
    expect(clashing('10.8.0.0/24', ['10.8.1.77/23'])).toBe('10.8.1.77/23');
    expect(clashing('10.8.0.0/24', ['10.8.3.77/23'])).toBeUndefined();
    expect(clashing('10.8.0.0/24', ['0.0.0.0/0'])).toBe('0.0.0.0/0');
  });
});

describe('facts of the host', () => {
  it('reads the routes of the kernel', () => {
    const text = [
      'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
      'eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0',
      'eth1\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
      'garbage',
      '',
    ].join('\n');
    expect(parseRoutes(text)).toEqual([
      { device: 'eth0', network: '0.0.0.0/0' },
      { device: 'eth1', network: '10.0.2.0/24' },
    ]);
  });

  const addresses = [
    ['8.8.8.8', true],
    ['10.1.2.3', false],
    ['172.31.0.1', false],
    ['172.32.0.1', true],
    ['100.64.0.1', false],
    ['192.0.2.1', false],
    ['fd00::1', false],
  ] as const;
  it.each(addresses)('knows of %s whether it is a public address: %s', (address, expected) => {
    expect(isPublic(address)).toBe(expected);
  });

  it('makes a unique local prefix', () => {
    expect(uniqueLocal(Uint8Array.of(0x12, 0x34, 0x56, 0x78, 0x9a))).toBe('fd12:3456:789a');
  });
});

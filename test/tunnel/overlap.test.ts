import { describe, expect, it } from 'vitest';
import { makeTunnelPlan } from '../../src/tunnel/make-plan.ts';
import type { TunnelPlanInput } from '../../src/tunnel/planning.ts';
import { facts, optionsOf, planInput, subnet, subnet6 } from './profile.ts';

const here = [
  { device: 'lo', address: '127.0.0.1', prefixLength: 8 },
  { device: 'eth0', address: '192.0.2.2', prefixLength: 24 },
  { device: 'eth0', address: '2001:db8:1::2', prefixLength: 64 },
  { device: 'eth0', address: 'fe80::2', prefixLength: 64 },
  { device: 'docker0', address: '172.17.0.1', prefixLength: 16 },
  { device: 'wlan0', address: 'fd00:50::7', prefixLength: 64 },
  { device: 'dummy0', address: '10.99.0.1', prefixLength: 32 },
];

/** What is said of overlaps with these lines pushed, on a host of those networks. */
function said(lines: readonly string[], over: Partial<TunnelPlanInput> = {}): readonly string[] {
  const { log } = makeTunnelPlan(
    planInput(lines, { namesOverlaps: true, facts: { ...facts, addresses: here }, ...over }),
  );
  return log.map(({ text }) => text).filter((text) => text.startsWith('WARNING: the '));
}

describe('a network at both ends', () => {
  it.each<[string, string, readonly RegExp[], string?]>([
    [
      'the same network',
      'route 192.0.2.0 255.255.255.0',
      [
        /^WARNING: the network 192\.0\.2\.0\/24, pushed by the server, is the local network of eth0 as well: its addresses lead into the tunnel .*, the gateway 192\.0\.2\.1 among it\. To keep it local: pull-filter ignore "route 192\.0\.2\.0"\.$/,
      ],
    ],
    [
      'a part of it',
      'route 172.17.8.0 255.255.248.0',
      [
        /172\.17\.8\.0\/21, .* is a part of the local network 172\.17\.0\.0\/16 of docker0: its addresses lead into the tunnel[^,]*, and nothing local is reached by them\. To keep/,
      ],
    ],
    [
      'more than it',
      'route 172.16.0.0 255.240.0.0',
      [
        /172\.16\.0\.0\/12, .* holds the local network 172\.17\.0\.0\/16 of docker0: those addresses stay local, .* other addresses\.$/,
      ],
    ],
    [
      'the same with a metric',
      'route 172.17.0.0 255.255.0.0 default 50',
      [/of docker0 as well: its addresses lead to one of the two only/],
    ],
    [
      'the same of IPv6, where the kernel prefers what is on link',
      'route-ipv6 fd00:50::/64',
      [/fd00:50::\/64, .* of wlan0 as well: its addresses stay local/],
    ],
    ['one host of it', 'route 172.17.0.9', [/172\.17\.0\.9\/32, .* is a part of/]],
    ['another network', 'route 10.20.0.0 255.255.0.0', []],
    ['a network around a lone address', 'route 10.99.0.0 255.255.0.0', []],
    ['a network past the tunnel', 'route 172.17.0.0 255.255.0.0 net_gateway', []],
    ['a network in another table', 'route 172.17.0.0 255.255.0.0', [], 'route-table 100'],
    ['everything', 'redirect-gateway def1', []],
    ['half of everything', 'route 128.0.0.0 128.0.0.0', []],
    ['IPv6 link-local', 'route-ipv6 fe80::/64', []],
  ])('is named: %s', (_, line, expected, ...before) => {
    const lines = said([...subnet6, ...before, line] as readonly string[]);
    expect(lines).toHaveLength(expected.length);
    for (const [at, words] of expected.entries()) expect(lines[at]).toMatch(words);
  });

  it('is named by what the profile states, with what to do there', () => {
    const options = optionsOf(...subnet, 'route 172.17.0.0 255.255.0.0');
    expect(said([], { options, profile: options })[0]).toMatch(
      /of the profile, .*remove the route from the profile\.$/,
    );
  });

  it.each<[string, readonly string[], RegExp | undefined]>([
    ['the address', ['ifconfig 192.0.2.2 255.255.255.0'], /address 192\.0\.2\.2 is the address of eth0 already/],
    ['the network', ['ifconfig 192.0.2.77 255.255.255.0'], /own network 192\.0\.2\.0\/24 is the local network of eth0/],
    ['a part', ['ifconfig 172.17.5.2 255.255.255.0'], /own network 172\.17\.5\.0\/24 is a part of .* of docker0/],
    ['more', ['ifconfig 172.16.0.2 255.240.0.0'], /own network 172\.16\.0\.0\/12 holds .*: those addresses stay local/],
    ['IPv6', ['ifconfig-ipv6 fd00:50::9/64 fd00:50::1'], /own network fd00:50::\/64 is the local network of wlan0/],
    ['nothing', ['ifconfig 10.8.0.2 255.255.255.0'], undefined],
  ])('is named where the tunnel itself has it: %s', (_, lines, words) => {
    const found = said(['topology subnet', ...lines]);
    if (words === undefined) expect(found).toEqual([]);
    else expect(found).toEqual([expect.stringMatching(words)]);
  });

  it('is named where one end of a pair is in it', () => {
    expect(said(['topology net30', 'ifconfig 172.17.0.6 172.17.0.5'])).toEqual([
      expect.stringMatching(/own address 172\.17\.0\.6 is a part of/),
      expect.stringMatching(/own address 172\.17\.0\.5 is a part of/),
    ]);
  });

  it('is not named of the tunnel itself under ifconfig-nowarn, nor of a device that it takes over', () => {
    const lines = ['topology subnet', 'ifconfig 172.17.0.9 255.255.0.0'];
    expect(said(lines, { ifconfigNowarn: true })).toEqual([]);
    expect(said(lines, { device: { name: 'docker0', type: 'tun', node: undefined } })).toEqual([]);
  });

  it('is nobody’s concern at a server', () => {
    expect(said([...subnet, 'route 172.17.0.0 255.255.0.0'], { namesOverlaps: false })).toEqual([]);
  });

  it('is named a few times, and counted from there', () => {
    const lines = Array.from({ length: 10 }, (_, n) => `route 172.17.${n}.0 255.255.255.0`);
    const { log } = makeTunnelPlan(
      planInput([...subnet, ...lines], { namesOverlaps: true, facts: { ...facts, addresses: here } }),
    );
    const told = log.map(({ text }) => text);
    expect(told.filter((text) => text.includes('docker0'))).toHaveLength(6);
    expect(told).toContain('WARNING: 4 more networks of the tunnel overlap local ones');
  });
});

import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { parsePush } from '../../src/config/push.ts';

const CLIENT = ['client', 'remote vpn.example.com', 'ca ca.crt', 'auth-user-pass'];
const SERVER = ['dev tun', 'ca ca.crt', 'cert own.crt', 'key own.key', 'dh none', 'server 10.8.0.0 255.255.255.0'];

const parse = (lines: readonly string[]) =>
  parseConfig({ text: `${lines.join('\n')}\n`, file: 'x.conf' }, { readText: () => undefined });
const good = (lines: readonly string[]): Config => {
  const { config, findings } = parse(lines);
  if (config === undefined) throw new Error(JSON.stringify(findings, undefined, 1));
  return config;
};
const client = (...lines: readonly string[]) => good([...CLIENT, ...lines]);
const faults = (...lines: readonly string[]) =>
  parse([...CLIENT, ...lines])
    .findings.filter(({ severity }) => severity === 'error')
    .map(({ message }) => message);

describe('client-nat', () => {
  const rule = { type: 'snat', network: 0xc0a80000, netmask: 0xffff0000, foreign: 0x0a400000 };

  it('is a list of translations, of the profile and then of the server', () => {
    const config = client('client-nat snat 192.168.0.0 255.255.0.0 10.64.0.0');
    expect(config.tunnel.natRules).toEqual([rule]);
    const { tunnel } = parsePush(['client-nat dnat 10.64.0.0 255.255.0.0 192.168.0.0'], config, 'push-reply');
    const swapped = { type: 'dnat', network: rule.foreign, netmask: rule.netmask, foreign: rule.network };
    expect(tunnel.natRules).toEqual([rule, swapped]);
    expect(config.tunnel.natRules).toEqual([rule]);
  });

  it.each([
    ['client-nat nat 10.0.0.0 255.0.0.0 11.0.0.0', "client-nat: type must be 'snat' or 'dnat'"],
    ['client-nat snat 10.0.0 255.0.0.0 11.0.0.0', 'client-nat: bad network: 10.0.0'],
    ['client-nat snat 10.0.0.0 /8 11.0.0.0', 'client-nat: bad netmask: /8'],
    ['client-nat dnat 10.0.0.0 255.0.0.0 fd00::1', 'client-nat: bad foreign network: fd00::1'],
  ])('%s is refused', (line, message) => {
    expect(faults(line)).toEqual([message]);
  });

  it('has at most 64 entries, and what a server pushes beyond is left out', () => {
    const options = Array.from({ length: 70 }, (_, index) => `client-nat snat 10.0.${index}.0 255.255.255.0 11.0.0.0`);
    const { tunnel, verdicts } = parsePush(options, client(), 'push-reply');
    expect(tunnel.natRules).toHaveLength(64);
    expect(verdicts.map(({ text }) => text)).toContain('WARNING: client-nat table overflow (max 64 entries)');
  });
});

describe('shaper', () => {
  it('may be written and pushed, within its bounds', () => {
    expect(client('shaper 1000').tunnel.shaperBytesPerSecond).toBe(1000);
    const { tunnel, verdicts } = parsePush(['shaper 2000'], client('shaper 1000'), 'push-reply');
    expect(tunnel.shaperBytesPerSecond).toBe(2000);
    expect(verdicts.map(({ text }) => text)).toContain('OPTIONS IMPORT: traffic shaper enabled');
    expect(faults('shaper 99')).toEqual(['shaper: Must be an integer between 100 and 100000000, not 99']);
    expect(faults('shaper 100000001')).toHaveLength(1);
  });
});

describe('multihome', () => {
  it('is by the address alone, unless the interface is asked for', () => {
    expect(good(SERVER).server?.multihome).toBeUndefined();
    expect(good([...SERVER, 'multihome']).server?.multihome).toBe('address');
    expect(good([...SERVER, 'multihome same-interface']).server?.multihome).toBe('interface');
  });
});

describe('setcon', () => {
  it('is refused with what does the same', () => {
    const [finding] = parse([...CLIENT, 'setcon staff_t']).findings.filter(({ severity }) => severity === 'error');
    expect(finding).toMatchObject({ kind: 'refused', option: 'setcon', origin: { line: 5 } });
    expect(finding?.advice).toMatch(/SELinuxContext=/);
  });
});

describe('link-mtu', () => {
  // tun_mtu of the C program's frame, OpenVPN 2.6.14 and 2.7.8, from link-mtu 1500.
  it.each([
    ['no cipher', [], 1475],
    ['no cipher, over TCP', ['proto tcp'], 1473],
    ['AES-256-GCM', ['cipher AES-256-GCM'], 1451],
    ['AES-256-CBC', ['cipher AES-256-CBC', 'data-ciphers AES-256-CBC'], 1447],
  ] as const)('with %s leaves the tunnel what the C program leaves it, and no mssfix', (_title, lines, tunMtuBytes) => {
    const [connection] = client('link-mtu 1500', ...lines).connections;
    expect(connection).toMatchObject({ tunMtuBytes, mssFix: { bytes: 0 } });
  });

  it('that leaves too little is refused', () => {
    expect(faults('link-mtu 120')).toEqual(['TUN MTU value (95) must be at least 100']);
  });
});

describe('tun-mtu-max', () => {
  it('is never below the MTU of this end', () => {
    expect(client('tun-mtu 9000').connections[0]?.tunMtuMaxBytes).toBe(9000);
    expect(parsePush(['tun-mtu 9000'], client('tun-mtu 9000'), 'push-reply').tunnel.tunMtuBytes).toBe(9000);
    expect(parsePush(['tun-mtu 9000'], client(), 'push-reply').tunnel.tunMtuBytes).toBe(1600);
  });
});

describe('compat-mode', () => {
  it('brings back what the versions of then took', () => {
    expect(client('compat-mode 2.3.6', 'cipher AES-256-CBC')).toMatchObject({
      tls: { versionMin: '1.0' },
      allowCompression: 'asym',
      dataCiphersFallback: 'AES-256-CBC',
    });
    expect(client('compat-mode 2.5.0').tls.versionMin).toBeUndefined();
    expect(client('compat-mode 2.5.0').allowCompression).toBe('asym');
    expect(client('compat-mode 2.5.0', 'allow-compression no').allowCompression).toBe('no');
    expect(client('compat-mode 2.6.0').allowCompression).toBe('no');
    expect(client('compat-mode 2.3.6', 'cipher AES-256-CBC', 'tls-version-min 1.2').tls.versionMin).toBe('1.2');
  });
});

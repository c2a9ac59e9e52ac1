import { describe, expect, it } from 'vitest';
import { dnsVariables, isDnsRequest } from '../../src/tunnel/dns-request.ts';
import { wanted } from './rig.ts';

const good = { device: 'tun0', id: '12-34-1', wanted: wanted('10.8.0.1', ['office.example'], ['lab.example']) };
const [server] = good.wanted.servers;

describe('what a process without rights may ask', () => {
  it('is a whole request', () => {
    expect(isDnsRequest(good)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['a path as device', { ...good, device: '../etc' }],
    ['an option as device', { ...good, device: '-x' }],
    ['a line in the id', { ...good, id: '1\n2' }],
    ['a line in a domain', { ...good, wanted: { ...good.wanted, searchDomains: ['a\nnameserver 6.6.6.6'] } }],
    ['no server', { ...good, wanted: { ...good.wanted, servers: [{}] } }],
    [
      'a word as address',
      { ...good, wanted: { ...good.wanted, servers: [{ ...server, addresses: [{ address: 'x;y' }] }] } },
    ],
    [
      'a port that is none',
      {
        ...good,
        wanted: { ...good.wanted, servers: [{ ...server, addresses: [{ address: '10.8.0.1', port: 70000 }] }] },
      },
    ],
    ['a certificate name with a line', { ...good, wanted: { ...good.wanted, servers: [{ ...server, sni: 'a\nb' }] } }],
    ['a transport that is none', { ...good, wanted: { ...good.wanted, servers: [{ ...server, transport: 'tls' }] } }],
  ])('is not %s', (_title, value) => {
    expect(isDnsRequest(value)).toBe(false);
  });

  it('puts no variable before a program of root but those of dns-updown', () => {
    const told = {
      dev: 'tun0',
      script_type: 'dns-up',
      dns_server_1_address_1: '10.8.0.1',
      dns_search_domain_2: 'a.example',
    };
    const evil = {
      LD_PRELOAD: '/tmp/x.so',
      BASH_ENV: '/tmp/x',
      PATH: '/tmp',
      dns_vars_file: '/tmp/x',
      dns_server_1_sni: 'a`id`',
    };
    expect(dnsVariables({ ...told, ...evil })).toEqual(told);
  });
});

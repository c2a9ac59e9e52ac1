// What is said of a tunnel, as a value and in words.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  bytesText,
  duration,
  sentenceOf,
  statusLines,
  statusOf,
  type TunnelFacts,
} from '../../apps/desktop/status-model.ts';
import type { ClientState, DnsApplied, TunnelPlan } from '../../src/command.ts';

const names = { name: 'office', profile: '/p', pid: 7 };
const facts: TunnelFacts = { state: undefined, sinceUnix: 100, statistics: undefined, changes: [] };
const remote = { family: 4, address: Uint8Array.of(198, 51, 100, 1), port: 1194, scopeId: 0 } as const;
const plan: TunnelPlan = {
  device: 'tun0',
  layer: 'tun',
  topology: 'subnet',
  mtuBytes: 1500,
  linkAddress: undefined,
  address4: { local: '10.8.0.2', prefixLength: 24, remote: undefined, netmask: '255.255.255.0', broadcast: undefined },
  address6: undefined,
  replacedRoutes: [],
  ipv6Leak: undefined,
  routes: [
    {
      prefix: '10.77.0.0/16',
      gateway: '10.8.0.1',
      statedGateway: '10.8.0.1',
      device: 'tun0',
      metric: undefined,
      table: undefined,
      origin: 'server',
    } as TunnelPlan['routes'][number],
  ],
  dns: {
    servers: [
      {
        priority: 0,
        addresses: [
          { address: '10.8.0.1', port: undefined },
          { address: '10.8.0.9', port: 5353 },
        ],
        resolveDomains: [],
        dnssec: undefined,
        transport: undefined,
        sni: undefined,
      },
    ],
    searchDomains: ['corp.example'],
  },
  redirect4: false,
  redirect6: false,
  blockIpv6: false,
  vpnGateway4: '10.8.0.1',
  vpnGateway6: undefined,
  netGateway4: undefined,
  netGateway6: undefined,
};
const connected: ClientState = { phase: 'connected', remote, plan, cipher: 'AES-256-GCM' };
const applied: DnsApplied = {
  backend: 'resolved',
  ifindex: 9,
  device: 'tun0',
  id: '1-2-3',
  setting: {
    servers: [{ address: '10.8.0.1', port: undefined }],
    sni: undefined,
    search: ['corp.example'],
    routing: ['internal.example'],
    isDefault: false,
    dnssec: 'no',
    overTls: false,
  },
};
const wanted = { ...plan.dns, onlyItsNetworks: false };
const set: TunnelFacts['changes'] = [
  { id: 1, step: { kind: 'set-dns', device: 'tun0', id: '1-2-3', wanted }, outcome: { result: 'dns', applied } },
];

describe('status', () => {
  it.each([
    [undefined, 'office is starting.'],
    [{ phase: 'resolving', host: 'vpn' }, 'office is connecting: looking up vpn.'],
    [
      { phase: 'reconnecting', reason: 'ping-restart', pauseSeconds: 1 },
      'office is not connected (ping-restart); it tries again.',
    ],
    [
      { phase: 'login-pending', needs: 'web-login', text: undefined, url: 'https://x.example', secondsLeft: 60 },
      'office waits for its login; log in at https://x.example',
    ],
    [
      { phase: 'login-pending', needs: 'response', text: 'Code?', url: undefined, secondsLeft: undefined },
      'office waits for its login to be confirmed.',
    ],
    [{ phase: 'ended' }, 'office has ended.'],
  ] as const)('%j is told as: %s', (state, text) => {
    expect(sentenceOf(statusOf(names, { ...facts, state }), 105)).toBe(text);
  });
  it('has times and amounts that people read', () => {
    expect([-1, 59, 60, 3660, 90_000].map(duration)).toEqual(['0 s', '59 s', '1 min', '1 h 01 min', '1 d 1 h']);
    expect([0, 1023, 1536, 1 << 20].map(bytesText)).toEqual(['0 B', '1023 B', '1.5 KiB', '1.0 MiB']);
  });
  it('names the server while the network is set up, and a restart that a person asked for', () => {
    expect(statusOf(names, { ...facts, state: { phase: 'configuring', remote } }).server).toBe('198.51.100.1:1194');
    const state = { phase: 'reconnecting', reason: '', pauseSeconds: 0 } as const;
    expect(sentenceOf(statusOf(names, { ...facts, state }), 105)).toBe(
      'office is not connected (asked for); it tries again.',
    );
  });
  it('of a tunnel that is up has what it changed', () => {
    const status = statusOf(names, { ...facts, state: connected, changes: set });
    expect(status).toEqual({
      ...names,
      state: 'connected',
      sinceUnix: 100,
      server: '198.51.100.1:1194',
      reason: null,
      login: null,
      device: 'tun0',
      mtuBytes: 1500,
      addresses: ['10.8.0.2/24'],
      routes: [{ prefix: '10.77.0.0/16', gateway: '10.8.0.1', metric: null }],
      dns: {
        servers: ['10.8.0.1', '10.8.0.9#5353'],
        searchDomains: ['corp.example'],
        setBy: 'resolved',
        routingDomains: ['internal.example'],
        everyName: false,
      },
      ipv6: null,
      allTraffic: false,
      cipher: 'AES-256-GCM',
      traffic: { receivedBytes: 0, sentBytes: 0 },
    });
    expect(statusLines(status, 105, String)).toEqual([
      'office is connected to 198.51.100.1:1194, for 5 s; some networks go through it.',
      '  address   10.8.0.2/24 on tun0',
      '  server    198.51.100.1:1194',
      '  since     100',
      '  routes    10.77.0.0/16 via 10.8.0.1',
      '  dns       10.8.0.1, 10.8.0.9#5353, by systemd-resolved',
      '  domains   corp.example, ~internal.example',
      '  cipher    AES-256-GCM',
      '  traffic   0 B received, 0 B sent',
    ]);
  });
  const hook = { kind: 'hook', onApply: 'dns-up', onUndo: 'dns-down' } as const;
  it.each<readonly [string, TunnelFacts['changes']]>([
    ['not set on this machine', []],
    ['by the program of dns-updown', [{ id: 1, step: hook, outcome: { result: 'changed' } }]],
    [
      'by systemd-resolved, for every name',
      set.map((entry) => ({
        ...entry,
        outcome: { result: 'dns', applied: { ...applied, setting: { ...applied.setting, isDefault: true } } },
      })),
    ],
  ])('says of name servers: %s', (words, changes) => {
    const status = statusOf(names, { ...facts, state: connected, changes });
    expect(statusLines(status, 105, String).find((line) => line.startsWith('  dns '))).toBe(
      `  dns       10.8.0.1, 10.8.0.9#5353, ${words}`,
    );
  });
  it('has the members that docs/CONTROL.md promises, of these types', () => {
    const text = readFileSync(new URL('../../docs/CONTROL.md', import.meta.url), 'utf8');
    const table = /## Status\n([\s\S]*?)\n## /.exec(text)?.[1] ?? '';
    const promised = new Map<string, string>();
    for (const [, members = '', types = ''] of table.matchAll(/^\| (`[^|]*) \| ([^|]*) \|/gm)) {
      const all = types.split(', ');
      for (const [at, name] of members.split(', ').entries())
        promised.set(name.replaceAll('`', ''), all[at] ?? all[0] ?? '');
    }
    for (const state of [undefined, connected]) {
      const status = statusOf(names, { ...facts, state }) as unknown as Record<string, unknown>;
      expect(Object.keys(status).sort()).toEqual([...promised.keys()].sort());
      for (const [name, value] of Object.entries(status)) {
        const type = value === null ? 'null' : Array.isArray(value) ? 's' : typeof value;
        expect(promised.get(name), name).toContain(type);
      }
    }
  });
});

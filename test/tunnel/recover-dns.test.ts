import { describe, expect, it } from 'vitest';
import type { DnsApplied, DnsPort, DnsUndone } from '../../src/tunnel/dns-port.ts';
import type { JournalRecord } from '../../src/tunnel/journal.ts';
import { parseJournal, writeHeader, writeRecord } from '../../src/tunnel/journal-text.ts';
import { recoverSteps } from '../../src/tunnel/recover-steps.ts';
import { FakeHost } from './fake-host.ts';

const OWNER = { boot: 'b-1', pid: 4711, start: '99', network: 'cookie-0-1', profile: 'office.ovpn' };
const ID = '4711-1700000000-1';
const HASH = 'ab'.repeat(32);
const common = {
  device: 'tun0',
  id: ID,
  setting: {
    servers: [{ address: '10.8.0.1', port: undefined }],
    sni: undefined,
    search: ['office.example'],
    routing: [],
    isDefault: false,
    dnssec: 'no',
    overTls: false,
  },
} as const;
const APPLIED = {
  resolved: { ...common, backend: 'resolved', ifindex: 7 },
  resolvconf: { ...common, backend: 'resolvconf', program: '/sbin/resolvconf', name: 'tun.office', ifindex: 7 },
  file: {
    ...common,
    backend: 'file',
    path: '/etc/resolv.conf',
    before: { kind: 'file', text: 'nameserver 192.0.2.53\n', mode: 0o644, uid: 0, gid: 0 },
    hash: HASH,
  },
  'a link in the place of the file': {
    ...common,
    backend: 'file',
    path: '/etc/resolv.conf',
    before: { kind: 'link', target: '../run/resolvconf/resolv.conf' },
    hash: HASH,
  },
  'dnsmasq on the bus': { ...common, backend: 'dnsmasq', way: 'bus', owner: ':1.7' },
  'dnsmasq by its servers-file': {
    ...common,
    backend: 'dnsmasq',
    way: 'servers-file',
    path: '/etc/dnsmasq.servers',
    pid: 800,
    before: { kind: 'absent' },
    hash: HASH,
  },
} as const satisfies Record<string, DnsApplied>;

const BEGIN: JournalRecord = {
  record: 'begin',
  id: 1,
  step: {
    kind: 'set-dns',
    device: 'tun0',
    id: ID,
    wanted: { servers: [], searchDomains: [], onlyItsNetworks: false },
  },
};
const end = (applied: DnsApplied): JournalRecord => ({ record: 'end', id: 1, outcome: { result: 'dns', applied } });
const journal = (...records: JournalRecord[]) => parseJournal(writeHeader(OWNER) + records.map(writeRecord).join(''))!;

function rig(answer: DnsUndone = { result: 'restored' }, hasDevice = false, stands?: boolean) {
  const calls: unknown[] = [];
  const dns: DnsPort = {
    apply: () => Promise.reject(new Error('nothing is set by a recovery')),
    undo(applied) {
      calls.push(['undo', applied]);
      return Promise.resolve(answer);
    },
    stands: () => (stands === undefined ? Promise.reject(new Error('nobody asks that')) : Promise.resolve(stands)),
    clear(request) {
      calls.push(['clear', request]);
      return Promise.resolve(answer);
    },
  };
  const host = new FakeHost();
  if (hasDevice) host.devices.set('tun0', { up: true, mtuBytes: 1500 });
  const recover = (
    records: readonly JournalRecord[],
    options: { sameBoot?: boolean; sameNetwork?: boolean; dryRun?: boolean } = {},
  ) =>
    recoverSteps(journal(...records), {
      network: host.network,
      dns,
      sameBoot: true,
      sameNetwork: true,
      dryRun: false,
      ...options,
    });
  return { calls, recover, index: () => host.network.linkIndex('tun0') ?? -1 };
}

describe('name servers that a killed process has set', () => {
  it.each(Object.entries(APPLIED))('are undone by what the journal says: %s', async (_name, applied) => {
    const { calls, recover } = rig();
    expect(await recover([BEGIN, end(applied)])).toMatchObject([{ result: 'restored' }]);
    expect(calls).toEqual([['undo', { ...applied, setting: expect.anything() }]]);
  });

  it.each([
    ['file', true],
    ['a link in the place of the file', true],
    ['dnsmasq by its servers-file', true],
    ['resolved', false],
    ['resolvconf', false],
    ['dnsmasq on the bus', false],
  ] as const)('after a start of the machine only files are put back: %s, %s', async (name, isFile) => {
    const { calls, recover } = rig();
    const said = await recover([BEGIN, end(APPLIED[name])], { sameBoot: false });
    expect([said.length, calls.length]).toEqual(isFile ? [1, 1] : [0, 0]);
  });

  it.each([
    ['file', true, true],
    ['file', false, false],
    ['dnsmasq by its servers-file', true, true],
    ['dnsmasq on the bus', true, false],
    ['resolved', true, false],
    ['resolvconf', true, false],
  ] as const)(
    'of another network are put back where they stand in a file here: %s, %s',
    async (name, stands, isUndone) => {
      const { calls, recover } = rig({ result: 'restored' }, false, stands);
      const said = await recover([BEGIN, end(APPLIED[name])], { sameNetwork: false });
      expect([said.length, calls.length]).toEqual(isUndone ? [1, 1] : [0, 0]);
      expect(await recover([BEGIN], { sameNetwork: false })).toEqual([]);
    },
  );

  it('stay where somebody has changed them since, and it is said why', async () => {
    const { recover } = rig({ result: 'left', reason: 'another program changed it' });
    expect(await recover([BEGIN, end(APPLIED.file)])).toEqual([
      { result: 'left', text: 'left the name servers in /etc/resolv.conf', reason: 'another program changed it' },
    ]);
  });

  it('are tried again another time where the host refuses', async () => {
    const { recover } = rig({ result: 'failed', reason: 'read-only file system' });
    expect(await recover([BEGIN, end(APPLIED.file)])).toMatchObject([
      { result: 'failed', reason: 'read-only file system' },
    ]);
  });

  it('are not touched by a dry run', async () => {
    const { calls, recover } = rig();
    expect(await recover([BEGIN, end(APPLIED.file)], { dryRun: true })).toHaveLength(1);
    expect(calls).toEqual([]);
  });

  it.each([
    ['by its device, too, where that is gone', false, {}, 'tun0'],
    ['not by a device that may be another tunnel by now', true, {}, undefined],
    ['not by its device after a start of the machine', false, { sameBoot: false }, undefined],
  ] as const)('are cleared where it died in the middle: %s', async (_title, hasDevice, options, device) => {
    const { calls, recover } = rig({ result: 'restored' }, hasDevice);
    await recover([BEGIN], options);
    expect(calls).toEqual([['clear', { device, id: ID }]]);
  });

  it.each([
    ['that is there still', 0, 'tun0'],
    ['whose name is another one’s', 1, undefined],
  ] as const)('are cleared where it died in the middle, of a device %s', async (_title, more, device) => {
    const { calls, recover, index } = rig({ result: 'restored' }, true);
    await recover([{ ...BEGIN, seen: { existed: false, device: { name: 'tun0', index: index() + more } } }]);
    expect(calls).toEqual([['clear', { device, id: ID }]]);
  });
});

describe('a journal ends where its name servers are not as we write them', () => {
  const { file, resolvconf } = APPLIED;
  it.each<[string, object]>([
    ['a path that climbs', { ...file, path: '/etc/../root/.bashrc' }],
    ['a path that is not absolute', { ...file, path: 'etc/resolv.conf' }],
    ['a mode that is none', { ...file, before: { ...file.before, mode: 0o20_000 } }],
    ['a link to nothing', { ...file, before: { kind: 'link', target: '' } }],
    ['another program', { ...resolvconf, program: '/bin/sh' }],
    ['a record name that is an option', { ...resolvconf, name: '-x' }],
    ['a record without the number of its device', { ...resolvconf, ifindex: undefined }],
    ['an id with a slash', { ...resolvconf, id: '../1' }],
    ['an unknown way', { ...file, backend: 'hosts' }],
  ])('%s', (_title, applied) => {
    expect(journal(BEGIN, end(applied as DnsApplied)).records).toEqual([BEGIN]);
  });

  it('a device that is a path', () => {
    expect(journal({ ...BEGIN, step: { ...BEGIN.step, device: '../x' } } as JournalRecord).records).toEqual([]);
  });
});

import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DnsApplied } from '../../src/tunnel/dns-port.ts';
import { DnsRig, wanted } from './rig.ts';

let rig: DnsRig;
beforeEach(() => {
  rig = new DnsRig();
});
afterEach(() => rig.end());

const ORIGINAL = '# mine\r\nnameserver 192.0.2.53\nsearch home.example\noptions edns0 \xfc\n\n';
const CONF = '/etc/resolv.conf';
const UDP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  153: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0
  217: 0100007F:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000 12345        0 4712 2 0000000000000000 0
`;

async function applied(
  backend: Parameters<DnsRig['dns']>[0],
  device: string,
  want = wanted('10.8.0.1', ['office.example'], ['lab.example']),
): Promise<DnsApplied> {
  const outcome = await rig.dns(backend).apply({ device, id: `1-2-${device.slice(-1)}`, wanted: want });
  if (outcome.result !== 'applied') throw new Error(outcome.reason);
  // Another process undoes it, from a journal.
  return JSON.parse(JSON.stringify(outcome.applied)) as DnsApplied;
}

/** What each way needs on the host. */
const hosts: Record<'resolved' | 'resolvconf' | 'file' | 'dnsmasq', () => void> = {
  resolved: () => rig.link(CONF, '../run/systemd/resolve/stub-resolv.conf'),
  resolvconf: () => {
    rig.link(CONF, '/run/resolvconf/resolv.conf');
    rig.file('/sbin/resolvconf', '#!/bin/sh\n', 0o755);
  },
  file: () => rig.file(CONF, ORIGINAL, 0o640),
  dnsmasq: () => {
    rig.file(CONF, 'nameserver 127.0.0.1\n');
    for (const folder of ['77/ns', '77/fd', 'net']) mkdirSync(rig.at(`/proc/${folder}`), { recursive: true });
    rig.file('/proc/77/comm', 'dnsmasq\n');
    rig.file('/proc/77/cmdline', 'dnsmasq\0--servers-file=/etc/dnsmasq.servers\0');
    rig.link('/proc/77/ns/net', 'net:[1]');
    rig.link('/proc/self/ns/net', 'net:[1]');
    rig.file('/proc/net/udp', UDP);
    rig.link('/proc/77/fd/4', 'socket:[4711]');
    rig.file('/etc/dnsmasq.servers', 'server=9.9.9.9\n');
  },
};

describe.each(Object.keys(hosts) as (keyof typeof hosts)[])('every way to set name servers: %s', (name) => {
  beforeEach(() => hosts[name]());

  it('is found by what the host uses', async () => {
    expect((await applied('auto', 'tun0')).backend).toBe(name);
  });

  it('is undone by another process from plain JSON, with the host as before', async () => {
    const before = [rig.files.look(CONF), rig.files.look('/etc/dnsmasq.servers')];
    const outcome = await applied('auto', 'tun0');
    expect(await rig.dns('auto').undo(outcome)).toEqual({ result: 'restored' });
    expect([rig.files.look(CONF), rig.files.look('/etc/dnsmasq.servers')]).toEqual(before);
  });

  it('is known to stand as long as it does', async () => {
    const outcome = await applied('auto', 'tun0');
    expect(await rig.dns('auto').stands(outcome)).toBe(true);
    await rig.dns('auto').undo(outcome);
    // These two keep what they were told themselves, and are not asked.
    expect(await rig.dns('auto').stands(outcome)).toBe(name === 'resolved' || name === 'resolvconf');
  });

  it('is looked at even if another way is in no order', async () => {
    mkdirSync(rig.at('/etc/dnsmasq.d'));
    rig.file('/etc/dnsmasq.conf', 'servers-file=/etc/dnsmasq.d\n');
    rmSync(rig.at('/proc'), { recursive: true });
    rig.owner = ':1.7';
    expect(await rig.dns('auto').clear({ device: 'tun0', id: '1-2-9' })).toMatchObject({
      result: 'failed',
      reason: expect.stringContaining('/etc/dnsmasq.d is neither a file nor a link'),
    });
    expect(rig.calls).toMatchObject([{ member: 'RevertLink' }]);
  });

  it('takes what a process that died in the middle has done, and nothing where it had done nothing', async () => {
    const before = [rig.files.look(CONF), rig.files.look('/etc/dnsmasq.servers')];
    await rig.dns('auto').clear({ device: 'tun0', id: '1-2-9' });
    expect([rig.files.look(CONF), rig.files.look('/etc/dnsmasq.servers')]).toEqual(before);
    await applied('auto', 'tun0');
    expect(await rig.dns('auto').clear({ device: 'tun0', id: '1-2-0' })).toEqual({ result: 'restored' });
    expect([rig.files.look(CONF), rig.files.look('/etc/dnsmasq.servers')]).toEqual(before);
  });
});

describe('a plain resolv.conf', () => {
  beforeEach(() => hosts.file());
  const text = (): string => rig.files.read(CONF) ?? '';

  it('names the tunnel servers alone, keeps options, and has its own mode', async () => {
    await applied('file', 'tun0');
    expect(text()).toMatch(
      /^# Made by Sallyport for tun0\..*\nnameserver 10\.8\.0\.1\nsearch office\.example\noptions edns0 \xfc\n#\+ /,
    );
    expect(text()).not.toMatch(/^nameserver 192/m);
    expect(rig.files.look(CONF)).toMatchObject({ mode: 0o640 });
  });

  it.each([
    ['the first', ['tun0', 'tun1']],
    ['the last', ['tun1', 'tun0']],
  ])('holds two tunnels that go in any order, %s first', async (_title, order) => {
    const before = rig.files.look(CONF);
    const one = await applied('auto', 'tun0');
    const two = await applied('auto', 'tun1', wanted('10.9.0.1', ['lab.example']));
    expect(text()).toMatch(/^nameserver 10\.9\.0\.1\nsearch lab\.example office\.example$/m);
    const [first, second] = order.map((device) => (device === 'tun0' ? one : two));
    await rig.dns('auto').undo(first!);
    expect(text()).toContain(`nameserver ${first === one ? '10.9.0.1' : '10.8.0.1'}\n`);
    expect(text()).not.toContain(`nameserver ${first === one ? '10.8.0.1' : '10.9.0.1'}\n`);
    await rig.dns('auto').undo(second!);
    expect(rig.files.look(CONF)).toEqual(before);
  });

  it.each([
    ['written anew', () => 'nameserver 1.2.3.4\n'],
    ['a line added', (now: string) => `nameserver 1.2.3.4\n${now}`],
    ['a line taken', (now: string) => now.replace('search office.example\n', '')],
    ['a line behind', (now: string) => `${now}nameserver 1.2.3.4\n`],
  ])('stays as another program has left it: %s', async (_title, change) => {
    const outcome = await applied('file', 'tun0');
    rig.file(CONF, change(text()));
    const left = text();
    expect(await rig.dns('file').undo(outcome)).toMatchObject({
      result: 'left',
      reason: expect.stringContaining(CONF),
    });
    expect(text()).toBe(left);
  });

  it('is put back as the link that it was, or taken away where there was none', async () => {
    rig.link(CONF, 'elsewhere/resolv.conf');
    const outcome = await applied('file', 'tun0');
    expect(rig.files.look(CONF).kind).toBe('file');
    await rig.dns('file').undo(outcome);
    expect(rig.files.look(CONF)).toEqual({ kind: 'link', target: 'elsewhere/resolv.conf' });
    rig.files.put(CONF, { kind: 'absent' });
    await rig.dns('file').undo(await applied('file', 'tun0'));
    expect(rig.files.look(CONF)).toEqual({ kind: 'absent' });
  });

  it('that can not be written is told, and nothing has changed', async () => {
    const before = rig.files.look(CONF);
    rig.files.put = () => {
      throw new Error('EROFS: read-only file system');
    };
    const dns = rig.dns('file');
    expect(await dns.apply({ device: 'tun0', id: '1', wanted: wanted('10.8.0.1') })).toEqual({
      result: 'failed',
      reason: 'EROFS: read-only file system',
    });
    expect(rig.files.look(CONF)).toEqual(before);
  });
});

describe('systemd-resolved', () => {
  beforeEach(() => hosts.resolved());

  it('is told everything for the link, and to forget it', async () => {
    const want = wanted('10.8.0.1', ['office.example'], ['lab.example']);
    const outcome = await applied('resolved', 'tun0', {
      ...want,
      servers: [
        {
          ...want.servers[0]!,
          addresses: [{ address: 'fd00::1', port: 853 }],
          transport: 'DoT',
          sni: 'dns.example',
          dnssec: 'yes',
        },
      ],
    });
    const address = new Uint8Array([0xfd, ...new Array<number>(14).fill(0), 1]);
    expect(rig.calls.map(({ member, body }) => [member, body])).toEqual([
      ['SetLinkDNSEx', [7, [[10, address, 853, 'dns.example']]]],
      [
        'SetLinkDomains',
        [
          7,
          [
            ['office.example', false],
            ['lab.example', true],
          ],
        ],
      ],
      ['SetLinkDefaultRoute', [7, false]],
      ['SetLinkDNSSEC', [7, 'yes']],
      ['SetLinkDNSOverTLS', [7, 'yes']],
    ]);
    await rig.dns('resolved').undo(outcome);
    expect(rig.calls.at(-1)).toMatchObject({ member: 'RevertLink', body: [7] });
  });

  it('is not asked about a number that is another device by now', async () => {
    const outcome = await applied('resolved', 'tun0');
    rig.indexes.set('tun0', 9);
    const count = rig.calls.length;
    expect(await rig.dns('resolved').undo(outcome)).toEqual({ result: 'restored' });
    expect(rig.calls).toHaveLength(count);
  });

  it('forgets what a process that died in the middle has told it of a device that is there still', async () => {
    rig.owner = ':1.7';
    const clear = (device: string | undefined) => rig.dns('auto').clear({ device, id: '1-2-9' });
    expect(await clear('tun0')).toEqual({ result: 'restored' });
    expect(rig.calls).toMatchObject([{ member: 'RevertLink', body: [7] }]);
    await clear(undefined);
    await clear('tun5');
    rig.owner = undefined;
    await clear('tun0');
    rig.bus = () => Promise.reject(new Error('there is no bus'));
    expect(await clear('tun0')).toEqual({ result: 'restored' });
    expect(rig.calls).toHaveLength(1);
  });

  it('that refuses one part is left with none', async () => {
    rig.answer = ({ member }) =>
      member === 'SetLinkDNSSEC' ? Promise.reject(new Error('not supported')) : Promise.resolve([]);
    const dns = rig.dns('resolved');
    expect(await dns.apply({ device: 'tun0', id: '1', wanted: wanted('10.8.0.1') })).toMatchObject({
      result: 'failed',
    });
    expect(rig.calls.at(-1)).toMatchObject({ member: 'RevertLink', body: [7] });
  });

  it('that does not answer, and a bus that is not there, are told of', async () => {
    rig.answer = () =>
      Promise.reject(Object.assign(new Error('no answer'), { name: 'org.freedesktop.DBus.Error.Timeout' }));
    const ask = () => rig.dns('resolved').apply({ device: 'tun0', id: '1', wanted: wanted('10.8.0.1') });
    expect(await ask()).toEqual({ result: 'failed', reason: 'no answer' });
    // Behind what it may take yet; nobody waits for that.
    expect(rig.calls.map(({ member }) => member)).toEqual(['SetLinkDNSEx', 'RevertLink']);
    expect(rig.calls.at(-1)?.timeoutMs).toBeLessThan(1000);
    rig.bus = () => Promise.reject(new Error('there is no bus'));
    expect(await ask()).toEqual({ result: 'failed', reason: 'there is no bus' });
  });
});

describe('resolvconf', () => {
  beforeEach(() => hosts.resolvconf());

  it('is given a record without a shell, and told to drop it', async () => {
    const outcome = await applied('resolvconf', 'tun0');
    await rig.dns('resolvconf').undo(outcome);
    expect(rig.programs).toEqual([
      { argv: ['/sbin/resolvconf', '-a', 'tun0'], input: 'nameserver 10.8.0.1\nsearch office.example\n' },
      { argv: ['/sbin/resolvconf', '-d', 'tun0'], input: '' },
    ]);
  });

  it('puts the record before others: by its name for Debian, by words for openresolv', async () => {
    rig.file('/etc/resolvconf/interface-order'.replace('/resolvconf/', '/'), '');
    mkdirSync(rig.at('/etc/resolvconf'));
    rig.file('/etc/resolvconf/interface-order', 'lo\ntun*\n');
    rig.indexes.set('office', 11);
    await applied('resolvconf', 'office');
    expect(rig.programs.at(-1)?.argv).toEqual(['/sbin/resolvconf', '-a', 'tun.office']);
    rig.file('/sbin/resolvconf', '#!/bin/sh\n# openresolv\n', 0o755);
    await applied('resolvconf', 'tun0');
    expect(rig.programs.at(-1)?.argv).toEqual(['/sbin/resolvconf', '-m', '0', '-x', '-a', 'tun0']);
  });

  it('is not told to drop the record of another tunnel that has the device’s name by now', async () => {
    const outcome = await applied('resolvconf', 'tun0');
    rig.programs.splice(0);
    rig.indexes.set('tun0', 9);
    expect(await rig.dns('resolvconf').undo(outcome)).toEqual({ result: 'restored' });
    expect(rig.programs).toEqual([]);
    rig.indexes.delete('tun0');
    await rig.dns('resolvconf').undo(outcome);
    expect(rig.programs.map(({ argv }) => argv)).toEqual([['/sbin/resolvconf', '-d', 'tun0']]);
  });

  it.each([
    ['Debian’s', '#!/bin/sh\n', ['-a', 'tun0'], ['-d', 'tun0']],
    [
      'openresolv, which minds a record that is not there',
      '# openresolv\n',
      ['-m', '0', '-x', '-a', 'tun0'],
      ['-f', '-d', 'tun0'],
    ],
  ])('drops a record once the call of a killed process has ended: %s', async (_title, text, add, drop) => {
    rig.file('/sbin/resolvconf', text, 0o755);
    await rig.dns('auto').clear({ device: 'tun0', id: '1-2-9' });
    const program = '/sbin/resolvconf';
    expect(rig.programs).toEqual([
      { argv: [program, ...add], input: 'ended?' },
      { argv: [program, ...drop], input: '' },
    ]);
  });

  it('that fails is told with what it said, and keeps no record', async () => {
    rig.exitCode = 3;
    const outcome = await rig.dns('resolvconf').apply({ device: 'tun0', id: '1', wanted: wanted('10.8.0.1') });
    expect(outcome).toEqual({ result: 'failed', reason: '/sbin/resolvconf -a tun0 exited with status 3: it broke' });
    expect(rig.programs.at(-1)?.argv).toEqual(['/sbin/resolvconf', '-d', 'tun0']);
  });
});

describe('dnsmasq', () => {
  beforeEach(() => hosts.dnsmasq());
  const servers = (): string => rig.files.read('/etc/dnsmasq.servers') ?? '';

  it('reads its servers-file again, with the domains of each tunnel', async () => {
    const one = await applied('dnsmasq', 'tun0', wanted('10.8.0.1', ['office.example'], ['lab.example']));
    const two = await applied('dnsmasq', 'tun1', wanted('10.9.0.1', [], ['other.example']));
    expect(servers()).toContain('\nserver=/office.example/lab.example/10.8.0.1\n');
    await rig.dns('dnsmasq').undo(one);
    expect(servers()).toMatch(
      /^server=9\.9\.9\.9\n# sallyport 1-2-1 begin tun1\nserver=\/other\.example\/10\.9\.0\.1\n/,
    );
    await rig.dns('dnsmasq').undo(two);
    expect(servers()).toBe('server=9.9.9.9\n');
    expect(rig.hangUps).toEqual([77, 77, 77, 77]);
  });

  it('keeps lines that another program has changed', async () => {
    const one = await applied('dnsmasq', 'tun0');
    rig.file('/etc/dnsmasq.servers', servers().replace('10.8.0.1', '10.8.0.2'));
    const left = servers();
    expect(await rig.dns('dnsmasq').undo(one)).toMatchObject({ result: 'left' });
    expect(servers()).toBe(left);
  });

  it('on the bus is told the servers of all tunnels at once, and those that stay', async () => {
    rig.owner = ':1.5';
    const one = await applied('dnsmasq', 'tun0', wanted('10.8.0.1', [], ['lab.example']));
    const two = await applied('dnsmasq', 'tun1', wanted('10.9.0.1', [], ['other.example']));
    const told = () => rig.calls.at(-1)?.body?.[0];
    expect(told()).toEqual([
      ['10.8.0.1', 'lab.example'],
      ['10.9.0.1', 'other.example'],
    ]);
    // None of these endings: it is no tunnel.
    expect(readdirSync(rig.at('/run/sallyport')).filter((name) => /\.(sock|json|log)$/.test(name))).toEqual([]);
    await rig.dns('dnsmasq').undo(one);
    expect(told()).toEqual([['10.9.0.1', 'other.example']]);
    await rig.dns('dnsmasq').undo(two);
    expect(told()).toEqual([]);
    expect(rig.files.look('/run/sallyport/dnsmasq.servers')).toEqual({ kind: 'absent' });
  });

  it.each(['undo', 'clear'] as const)(
    'reads a file again that a killed process has put back already: %s',
    async (verb) => {
      const outcome = await applied('dnsmasq', 'tun0');
      rig.file('/etc/dnsmasq.servers', 'server=9.9.9.9\n');
      rig.hangUps.splice(0);
      const dns = rig.dns('auto');
      await (verb === 'undo' ? dns.undo(outcome) : dns.clear({ device: undefined, id: outcome.id }));
      expect(rig.hangUps).toEqual([77]);
    },
  );

  it('that has been ended meanwhile loses the lines of a killed process all the same', async () => {
    await applied('dnsmasq', 'tun0');
    rmSync(rig.at('/proc/77'), { recursive: true });
    rig.file('/etc/dnsmasq.conf', 'servers-file=/etc/dnsmasq.servers\n');
    await rig.dns('auto').clear({ device: undefined, id: '1-2-0' });
    expect(servers()).toBe('server=9.9.9.9\n');
  });

  it('on the bus is told to forget what it was told by a process that died before it heard so', async () => {
    rig.owner = ':1.5';
    const told = new Promise<void>((resolve) => {
      rig.answer = () => {
        resolve();
        return new Promise(() => {});
      };
    });
    void rig.dns('dnsmasq').apply({ device: 'tun0', id: '1-2-0', wanted: wanted('10.8.0.1', [], ['lab.example']) });
    await told;
    rig.answer = () => Promise.resolve([]);
    expect(await rig.dns('auto').clear({ device: undefined, id: '1-2-0' })).toEqual({ result: 'restored' });
    expect(rig.calls.at(-1)?.body).toEqual([[]]);
  });

  it('on the bus that does not take it in time is told to forget it behind that', async () => {
    rig.owner = ':1.5';
    rig.file('/proc/77/cmdline', 'dnsmasq\0--enable-dbus\0');
    rig.answer = () => Promise.reject(new Error('no answer'));
    const request = { device: 'tun0', id: '1-2-0', wanted: wanted('10.8.0.1', [], ['lab.example']) };
    expect(await rig.dns('dnsmasq').apply(request)).toEqual({ result: 'failed', reason: 'no answer' });
    expect(rig.calls.map(({ body }) => body)).toEqual([[[['10.8.0.1', 'lab.example']]], [[]]]);
    expect(rig.files.look('/run/sallyport/dnsmasq.servers')).toEqual({ kind: 'absent' });
  });

  it('is passed by where every name is to be asked of the tunnel', async () => {
    const outcome = await applied('auto', 'tun0', wanted('10.8.0.1', ['office.example']));
    expect(outcome.backend).toBe('file');
    await rig.dns('auto').undo(outcome);
    expect(rig.files.read(CONF)).toBe('nameserver 127.0.0.1\n');
  });

  it('without the port of name servers is some program that a user has called so', async () => {
    rig.file('/etc/shadow', 'root:*:1::::::\n', 0o600);
    rig.file('/proc/77/cmdline', 'dnsmasq\0--servers-file=/etc/shadow\0--port=5353\0');
    rmSync(rig.at('/proc/77/fd/4'));
    rig.link('/proc/77/fd/4', 'socket:[4712]');
    expect((await applied('auto', 'tun0')).backend).toBe('file');
    const outcome = await rig
      .dns('dnsmasq')
      .apply({ device: 'tun0', id: '1', wanted: wanted('10.8.0.1', [], ['x.example']) });
    expect(outcome).toEqual({ result: 'failed', reason: 'no dnsmasq runs here' });
    expect(rig.files.read('/etc/shadow')).toBe('root:*:1::::::\n');
    expect(rig.hangUps).toEqual([]);
  });

  it('of virtual machines, which has no servers-file, does not stand for the one that has', async () => {
    for (const folder of ['ns', 'fd']) mkdirSync(rig.at(`/proc/12/${folder}`), { recursive: true });
    rig.file('/proc/12/comm', 'dnsmasq\n');
    rig.file('/proc/12/cmdline', 'dnsmasq\0--conf-file=/var/lib/vm.conf\0');
    rig.link('/proc/12/ns/net', 'net:[1]');
    rig.link('/proc/12/fd/4', 'socket:[4711]');
    await applied('dnsmasq', 'tun0');
    expect(rig.hangUps).toEqual([77]);
  });

  describe('of another user, of whose process only a few facts are told without CAP_SYS_PTRACE,', () => {
    beforeEach(() => {
      rmSync(rig.at('/proc/77/ns'), { recursive: true });
      rmSync(rig.at('/proc/77/fd'), { recursive: true });
      mkdirSync(rig.at('/proc/77/net'));
      rig.file('/proc/77/net/udp', UDP);
      rig.file('/proc/77/status', 'Name:\tdnsmasq\nUid:\t104\t104\t104\t104\n');
      rig.file('/etc/passwd', 'root:x:0:0::/root:/bin/sh\ndnsmasq:x:104:65534::/var/lib/misc:/usr/sbin/nologin\n');
    });
    const tell = () =>
      rig.dns('dnsmasq').apply({ device: 'tun0', id: '1', wanted: wanted('10.8.0.1', [], ['x.example']) });

    it('is known by its user and its network', async () => {
      expect(await tell()).toMatchObject({ result: 'applied' });
      expect(rig.hangUps).toEqual([77]);
    });

    it.each([
      ['a user who has called a program so', () => rig.file('/proc/77/status', 'Uid:\t1000\t1000\t1000\t1000\n')],
      [
        'a program that anybody may start as its user',
        () => rig.file('/proc/77/status', 'Uid:\t1000\t104\t104\t104\n'),
      ],
      ['root, whom sudo may be under any name', () => rig.file('/proc/77/status', 'Uid:\t0\t0\t0\t0\n')],
      ['nobody knows whom', () => rmSync(rig.at('/proc/77/status'))],
      ['an account that is not there', () => rig.file('/etc/passwd', 'root:x:0:0::/root:/bin/sh\n')],
      [
        'an account that is root',
        () => {
          rig.file('/etc/passwd', 'dnsmasq:x:0:0::/:/\n');
          rig.file('/proc/77/status', 'Uid:\t0\t0\t0\t0\n');
        },
      ],
      ['it, in another network', () => rig.file('/proc/77/net/udp', UDP.replace('4711', '4799'))],
    ] as const)('is not to be mistaken for %s', async (_, change) => {
      change();
      expect(await tell()).toEqual({ result: 'failed', reason: 'no dnsmasq runs here' });
      expect(rig.hangUps).toEqual([]);
    });
  });

  it('in another network is not ours to tell', async () => {
    rig.link('/proc/77/ns/net', 'net:[2]');
    expect((await applied('auto', 'tun0')).backend).toBe('file');
  });
});

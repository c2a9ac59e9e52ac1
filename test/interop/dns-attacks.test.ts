// Name servers of a tunnel on a host with a user, a server or a file system that wants them otherwise.

import { afterEach, describe, expect, it } from 'vitest';
import { DnsHost, hasResolvers, type Resolver } from '../lab/dns-host.ts';
import { useLab } from '../lab/lab.ts';
import { eventually } from '../lab/process.ts';
import { clientCommand, isOurs, labSuite } from '../lab/requirements.ts';

const suite = isOurs && hasResolvers ? labSuite : describe.skip;
const DNS = ['dhcp-option DNS 10.8.0.1', 'dhcp-option DOMAIN office.example'];
/** Another user of the machine, without any rights. */
const OTHER = 'setpriv --reuid 12345 --regid 12345 --clear-groups';

suite('name servers of a tunnel that somebody wants otherwise', () => {
  const lab = useLab();
  let host: DnsHost | undefined;
  afterEach(() => host?.end());

  async function begin(resolver: Resolver, pushed: readonly string[] = DNS) {
    await lab().server({ version: '2.6', lines: pushed.map((option) => `push "${option}"`) });
    host = await DnsHost.start(lab(), resolver);
    return { host, before: await host.state() };
  }

  it('are set and unset while another user has locked whatever he can', async () => {
    const { host, before } = await begin('file');
    const first = await lab().connect({ prefix: host.prefix });
    expect(await first.stop()).toEqual({ code: 0, signal: null });
    const lock = (path: string) => `(${OTHER} flock ${path} sleep 300 || echo refused) >/run/lock.out 2>&1 &`;
    await host.run('sh', '-c', `chmod 755 /run; ${lock('/etc')} sleep 1; ${lock('/run/sallyport')} sleep 1`);
    expect(await host.run('cat', '/run/lock.out')).toMatch(/Permission denied/);
    const client = await lab().connect({ prefix: host.prefix });
    expect(client.count(/DNS set: 10\.8\.0\.1 on tun0/)).toBe(1);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(client.count(/DNS unset: tun0/)).toBe(1);
    expect(await host.state()).toBe(before);
  });

  it('go into no file that another user has called the servers-file of a program by the name of dnsmasq', async () => {
    const { host } = await begin('file', [
      ...DNS,
      'dns server 1 address 10.8.0.1',
      'dns server 1 resolve-domains x.example',
    ]);
    const program = await lab().file('dnsmasq', '#!/bin/sh\nsleep 300\n', 0o755);
    await host.run('sh', '-c', `cp ${program} /run/dnsmasq; chmod 755 /run /run/dnsmasq; echo keep >/etc/precious`);
    await host.run('sh', '-c', `${OTHER} /run/dnsmasq --servers-file=/etc/precious >/dev/null 2>&1 &`);
    await eventually('the program runs', async () =>
      (await host.run('sh', '-c', 'cat /proc/[0-9]*/comm')).includes('dnsmasq\n'),
    );
    const client = await lab().connect({ prefix: host.prefix, lines: ['dns-backend dnsmasq'] });
    expect(client.text).toMatch(/WARNING: DNS is not set: /);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await host.run('cat', '/etc/precious')).toBe('keep\n');
  });

  it.each(['user nobody', undefined])(
    'that can not be put back at the end (%s) are put back by recover',
    async (rights) => {
      const { host, before } = await begin('file');
      const client = await lab().connect({
        prefix: host.prefix,
        lines: rights === undefined ? [] : [rights, 'persist-tun'],
      });
      expect(await host.asks('any.example')).toBe('tunnel');
      await host.run('mount', '-o', 'remount,bind,ro', '/etc');
      expect(await client.stop()).toEqual({ code: 0, signal: null });
      expect(client.count(/WARNING: DNS is not restored: .*sallyport recover/)).toBe(1);
      await host.run('mount', '-o', 'remount,bind,rw', '/etc');
      const said = await host.run(...clientCommand('sallyport'), 'recover');
      expect(said).toMatch(/took the name servers of tun0 out of \/etc\/resolv\.conf/);
      expect(await host.state()).toBe(before);
      expect(await host.run(...clientCommand('sallyport'), 'recover')).toBe('There is nothing to put right.\n');
    },
  );

  it.each(['dnsmasq on the bus', 'dnsmasq with a file', 'resolved', 'file'] as const)(
    'that a hostile server names leave %s alive, and the host as it was',
    async (resolver) => {
      const long = `${'a'.repeat(64)}.example`;
      const evil = ['a..b', '-x', long, '..', 'x/y', '*', `${'b.'.repeat(100)}example`];
      const { host, before } = await begin(resolver, [
        'dns server 1 address 10.8.0.1',
        ...evil.map((name) => `dns search-domains ${name}`),
        `dns server 1 resolve-domains lab.example ${evil.slice(0, 4).join(' ')}`,
      ]);
      const client = await lab().connect({ prefix: host.prefix });
      await eventually('the tunnel is asked', async () => (await host.asks('a.lab.example')) === 'tunnel');
      expect(await client.stop()).toEqual({ code: 0, signal: null });
      expect(await host.state()).toBe(before);
      expect(await host.asks('any.example')).toBe('local');
    },
  );
});

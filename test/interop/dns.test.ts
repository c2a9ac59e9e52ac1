// Name servers of a tunnel on hosts with real resolvers: names are asked where they should be, and the host is as before.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { DnsHost, hasResolvers, type Resolver } from '../lab/dns-host.ts';
import { useLab } from '../lab/lab.ts';
import { eventually } from '../lab/process.ts';
import { isOurs, labSuite, projectRoot } from '../lab/requirements.ts';

const suite = isOurs && hasResolvers ? labSuite : describe.skip;
const DNS = ['dhcp-option DNS 10.8.0.1', 'dhcp-option DOMAIN office.example'];
const SPLIT = [
  'dns server 1 address 10.8.0.1',
  'dns server 1 resolve-domains lab.example',
  'dns search-domains office.example',
];

suite('name servers of a tunnel', () => {
  const lab = useLab();
  let host: DnsHost | undefined;
  afterEach(() => host?.end());

  async function begin(resolver: Resolver, pushed: readonly string[], lines: readonly string[] = []) {
    await lab().server({ version: '2.6', lines: pushed.map((option) => `push "${option}"`) });
    host = await DnsHost.start(lab(), resolver);
    const before = await host.state();
    const client = await lab().connect({ prefix: host.prefix, lines });
    return { host, before, client };
  }
  const all: Resolver[] = ['resolved', 'resolvconf', 'openresolv', 'file', 'dnsmasq on the bus', 'dnsmasq with a file'];

  it.each(all)('with %s: every name is asked of the tunnel, and of the local server afterwards', async (resolver) => {
    const { host, before, client } = await begin(resolver, DNS);
    await eventually('the tunnel is asked', async () => (await host.asks('any.example')) === 'tunnel');
    expect(client.count(/DNS set: 10\.8\.0\.1 on tun0/)).toBe(1);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await host.state()).toBe(before);
    expect(await host.asks('any.example')).toBe('local');
  });

  it.each(['resolved', 'dnsmasq on the bus', 'dnsmasq with a file'] as const)(
    'with %s: some names are asked of the tunnel, the rest elsewhere',
    async (resolver) => {
      const { host, before, client } = await begin(resolver, SPLIT);
      await eventually('the tunnel is asked', async () => (await host.asks('a.lab.example')) === 'tunnel');
      expect(await host.asks('b.office.example')).toBe('tunnel');
      expect(await host.asks('any.example')).toBe('local');
      expect(await client.stop()).toEqual({ code: 0, signal: null });
      expect(await host.state()).toBe(before);
      expect(await host.asks('a.lab.example')).toBe('local');
    },
  );

  // In which the kernel tells little of another user's processes.
  it('are told to a dnsmasq of its own user with the rights of the packaged unit', async () => {
    const unit = await readFile(join(projectRoot, 'packaging/files/sallyport-client@.service'), 'utf8');
    const rights =
      /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.toLowerCase().replaceAll('cap_', '+').split(' ') ?? [];
    expect(rights).toContain('+net_admin');
    expect(rights).not.toContain('+sys_ptrace');
    await lab().server({ version: '2.6', lines: SPLIT.map((option) => `push "${option}"`) });
    host = await DnsHost.start(lab(), 'dnsmasq with a file');
    const before = await host.state();
    const narrow = ['setpriv', `--bounding-set=-all,${rights}`, '--inh-caps=-all'];
    const client = await lab().connect({ prefix: [...host.prefix, ...narrow] });
    await eventually('the tunnel is asked', async () => (await host?.asks('a.lab.example')) === 'tunnel');
    expect(await host.asks('any.example')).toBe('local');
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await host.state()).toBe(before);
    expect(await host.asks('a.lab.example')).toBe('local');
  });

  it('are undone after rights were given up, and when the client is killed then', async () => {
    const rights = ['user nobody', 'group nogroup', 'persist-tun'];
    const { host, before, client } = await begin('file', DNS, rights);
    expect(await host.asks('any.example')).toBe('tunnel');
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await host.state()).toBe(before);
    const again = await lab().connect({ prefix: host.prefix, lines: rights });
    expect(await host.state()).not.toBe(before);
    await again.stop('SIGKILL');
    await eventually('the helper has undone it', async () => (await host.state()) === before);
  });

  it('are taken back by the helper of a client that was killed while dnsmasq had not answered', async () => {
    await lab().server({ version: '2.6', lines: SPLIT.map((option) => `push "${option}"`) });
    host = await DnsHost.start(lab(), 'dnsmasq on the bus');
    const before = await host.state();
    await host.run('sh', '-c', 'kill -STOP $(cat /run/dnsmasq.pid)');
    const client = await lab().client({ prefix: host.prefix, lines: ['user nobody', 'group nogroup'] });
    const told = (): Promise<string> => host?.run('cat', '/run/sallyport/dnsmasq.servers') ?? Promise.resolve('');
    await eventually('dnsmasq is being told', async () => (await told()).includes('10.8.0.1'));
    await client.stop('SIGKILL');
    await host.run('sh', '-c', 'kill -CONT $(cat /run/dnsmasq.pid)');
    await eventually('the helper has undone it', async () => (await host?.state()) === before);
    expect(await host.asks('a.lab.example')).toBe('local');
  });

  it('go at a restart that keeps the device, and come back with the tunnel', async () => {
    const { host, before, client } = await begin('file', DNS, ['persist-tun']);
    const mark = client.mark();
    client.signal('SIGUSR1');
    await client.line(/DNS unset/, { from: mark });
    await client.line(/Initialization Sequence Completed/, { from: mark });
    expect(await host.asks('any.example')).toBe('tunnel');
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await host.state()).toBe(before);
  });

  it('that the host refuses are one warning, and the tunnel goes on', async () => {
    await lab().server({ version: '2.6', lines: DNS.map((option) => `push "${option}"`) });
    host = await DnsHost.start(lab(), 'file');
    await host.run('mount', '-o', 'remount,bind,ro', '/etc');
    const before = await host.state();
    const client = await lab().connect({ prefix: host.prefix });
    expect(client.count(/WARNING: DNS is not set: .*read-only/i)).toBe(1);
    expect(await host.state()).toBe(before);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  it('that resolved does not take in time are one warning, and the tunnel goes on', async () => {
    await lab().server({ version: '2.6', lines: DNS.map((option) => `push "${option}"`) });
    host = await DnsHost.start(lab(), 'resolved');
    await host.run('sh', '-c', 'kill -STOP $(cat /run/resolved.pid)');
    const client = await lab().connect({ prefix: host.prefix });
    expect(client.count(/WARNING: DNS is not set: /)).toBe(1);
    // Nor what it finds waiting for it later.
    await host.run('sh', '-c', 'kill -CONT $(cat /run/resolved.pid)');
    expect(await host.asks('any.example')).toBe('local');
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(client.count(/DNS (un)?set:|DNS is not restored/)).toBe(0);
  });

  it('stay as another program has left them', async () => {
    const { host, client } = await begin('file', DNS);
    await host.run('sh', '-c', 'echo nameserver 192.0.2.1 >/etc/resolv.conf');
    const left = await host.state();
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(client.count(/DNS is left as it is: .*resolv\.conf was changed/)).toBe(1);
    expect(await host.state()).toBe(left);
  });

  it('are the business of a program that dns-updown names', async () => {
    const out = `${lab().dir}/updown`;
    const script = await lab().file('updown.sh', `#!/bin/sh\nenv | sort >>${out}\n`, 0o755);
    const { host, before, client } = await begin('file', SPLIT, ['script-security 2', `dns-updown ${script}`]);
    expect(await host.state()).toBe(before);
    expect(client.count(/dns up command exited with status 0/)).toBe(1);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(client.count(/dns down command exited with status 0/)).toBe(1);
    const told = (await host.run('cat', out)).split('\n').filter((line) => /^(dev|dns|script)/.test(line));
    const variables = [
      'dns_search_domain_1=office.example',
      'dns_server_1_address_1=10.8.0.1',
      'dns_server_1_resolve_domain_1=lab.example',
    ];
    expect(told).toEqual([
      'dev=tun0',
      ...variables,
      'script_type=dns-up',
      'dev=tun0',
      ...variables,
      'script_type=dns-down',
    ]);
  });
});

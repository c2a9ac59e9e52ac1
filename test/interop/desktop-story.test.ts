// One story on every kind of host: a profile is imported, the tunnel goes up, names and networks go where they should, it goes
// down or is killed, and the host is as it was, byte for byte.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DnsHost, hasResolvers, type Resolver } from '../lab/dns-host.ts';
import { comparable } from '../lab/host-comparison.ts';
import { tunnel, useLab } from '../lab/lab.ts';
import { hostState } from '../lab/net.ts';
import { eventually } from '../lab/process.ts';
import { clientCommand, isOurs, labSuite, projectRoot } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const suite = isOurs && hasResolvers ? labSuite : describe.skip;
const PUSHED = [
  'redirect-gateway def1',
  'route 10.77.0.0 255.255.255.0',
  'dhcp-option DNS 10.8.0.1',
  'dhcp-option DOMAIN office.example',
];
const HOSTS: Resolver[] = ['resolved', 'resolvconf', 'openresolv', 'file', 'dnsmasq on the bus', 'dnsmasq with a file'];
/** Those that can ask different servers for different names. */
const SPLITTING: Resolver[] = ['resolved', 'dnsmasq on the bus', 'dnsmasq with a file'];

suite('a tunnel in the life of a host', () => {
  const lab = useLab();
  let host: DnsHost | undefined;
  let env: NodeJS.ProcessEnv;

  beforeEach(async () => {
    const folder = await lab().directory('desktop');
    env = {
      ...process.env,
      SALLYPORT_PROFILES: join(folder, 'profiles'),
      SALLYPORT_RUNTIME: join(folder, 'run'),
      SALLYPORT: join(folder, 'sallyport'),
    };
    await mkdir(join(folder, 'profiles'));
  });
  afterEach(() => host?.end());

  const onHost = (argv: readonly string[]) =>
    lab().net.client.run([...(host?.prefix ?? []), ...argv], { cwd: lab().dir, env, anyCode: true, timeoutMs: 60_000 });
  const sallyport = (...words: string[]) => onHost([...clientCommand('sallyport'), ...words]);
  const state = async () => ({ net: comparable(await hostState(lab().net.client)), dns: await host?.state() });

  async function begin(resolver: Resolver) {
    await lab().server({ version: '2.6', lines: PUSHED.map((option) => `push "${option}"`) });
    host = await DnsHost.start(lab(), resolver);
    const before = await state();
    expect(await sallyport('import', await lab().clientConfig(), '--name', 'office')).toMatchObject({ code: 0 });
    return { host, before };
  }

  it.each(HOSTS)('goes by import, up, status, explain and down, with %s', async (resolver) => {
    const { host, before } = await begin(resolver);
    expect(await sallyport('up', 'office')).toMatchObject({ code: 0, stderr: '' });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await host.asks('any.example')).toBe('tunnel');
    const said = (await sallyport('status', 'office')).stdout;
    expect(said).toMatch(/^office is connected to .*all traffic/m);
    expect(said).toMatch(/ dns +10\.8\.0\.1/);
    const explained = async () => JSON.parse((await sallyport('explain', 'any.example', '--json')).stdout);
    const inTunnel = { way: { verdict: 'tunnel', tunnel: { name: 'office' } } };
    expect((await explained()).name.servers).toMatchObject([inTunnel]);
    expect(await sallyport('down', 'office')).toMatchObject({ code: 0 });
    expect(await state()).toEqual(before);
    expect(await host.asks('any.example')).toBe('local');
    expect((await explained()).name.servers).not.toMatchObject([inTunnel]);
  });

  it.each(HOSTS)('with %s, only its networks and names go through it where one says so', async (resolver) => {
    const { host, before } = await begin(resolver);
    expect(await sallyport('up', 'office', '--only-its-networks')).toMatchObject({ code: 0 });
    const routes = await lab().net.client.ip('-4 route show');
    expect(routes).toContain('10.77.0.0/24');
    expect(routes).not.toMatch(/^(0\.0\.0\.0|128\.0\.0\.0)\/1/m);
    expect(await host.asks('any.example')).toBe('local');
    expect(await host.asks('wiki.office.example')).toBe(SPLITTING.includes(resolver) ? 'tunnel' : 'local');
    expect(await sallyport('down', 'office')).toMatchObject({ code: 0 });
    expect(await state()).toEqual(before);
  });

  it.each(HOSTS)('with %s, recover puts right what a killed one left', async (resolver) => {
    const { host, before } = await begin(resolver);
    expect(await sallyport('up', 'office')).toMatchObject({ code: 0 });
    const { pid } = JSON.parse((await sallyport('status', 'office', '--json')).stdout) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await eventually('the device is gone', async () => !(await lab().net.client.ip('-br link')).includes('tun0'));
    expect(await sallyport('recover')).toMatchObject({ code: 0 });
    expect(await state()).toEqual(before);
    expect(await host.asks('any.example')).toBe('local');
  });

  it('has its name servers back after NetworkManager wrote over them and called the hook', async () => {
    const { host, before } = await begin('file');
    await lab().file('sallyport', '', 0o755);
    const command = clientCommand('sallyport').map((word) => `'${word}'`);
    await onHost([
      'sh',
      '-c',
      `printf '#!/bin/sh\\nexec %s "$@"\\n' "${command.join(' ')}" >"$SALLYPORT"; chmod 755 "$SALLYPORT"`,
    ]);
    expect(await sallyport('up', 'office')).toMatchObject({ code: 0 });
    await onHost(['sh', '-c', "echo 'nameserver 192.0.2.1' >/etc/resolv.conf"]);
    const hook = join(projectRoot, 'packaging/files/90-sallyport');
    const call = (event: string) => onHost(['sh', hook, 'eth0', event]);
    expect(await call('pre-up')).toMatchObject({ code: 0 });
    expect((await onHost(['cat', '/etc/resolv.conf'])).stdout).toBe('nameserver 192.0.2.1\n');
    expect(await call('dhcp4-change')).toMatchObject({ code: 0 });
    await eventually('the tunnel is asked', async () => (await host.asks('any.example')) === 'tunnel');
    expect(await sallyport('down', 'office')).toMatchObject({ code: 0 });
    expect((await onHost(['cat', '/etc/resolv.conf'])).stdout).toBe('nameserver 192.0.2.1\n');
    expect((await state()).net).toEqual(before.net);
    // Where no tunnel is up nothing is started.
    await onHost(['rm', env.SALLYPORT ?? '']);
    expect(await call('up')).toMatchObject({ code: 0, stderr: '' });
  });
});

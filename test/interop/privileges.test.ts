// After the connection is up the client is somebody else, in another root, and still does its work.

import { mkdir, readdir, readFile, readlink } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { address, device, hostState } from '../lab/net.ts';
import { eventually, isAlive } from '../lab/process.ts';
import { itOurs, labSuite } from '../lab/requirements.ts';
import { scriptDump } from '../lab/script-dump.ts';
import { pings } from '../lab/traffic.ts';

/** The user and group ids, supplementary groups and effective capabilities of every thread of a process. */
async function identities(pid: number) {
  const threads = await readdir(`/proc/${pid}/task`);
  return Promise.all(
    threads.map(async (thread) => {
      const status = await readFile(`/proc/${pid}/task/${thread}/status`, 'utf8');
      const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.trim() ?? '';
      return { uid: field('Uid'), gid: field('Gid'), groups: field('Groups'), capabilities: field('CapEff') };
    }),
  );
}

const netAdmin = 1n << 12n;

labSuite('privileges', () => {
  const lab = useLab();
  const dropped = ['user nobody', 'group nogroup', 'persist-tun', 'persist-key', 'connect-retry 1'];

  it('are dropped in every thread, and nothing but the right over the network is kept', async () => {
    await lab().server();
    const client = await lab().connect({ lines: dropped });
    for (const thread of await identities(client.pid)) {
      expect(thread.uid.split(/\s+/)).toEqual(Array(4).fill('65534'));
      expect(thread.gid.split(/\s+/)).toEqual(Array(4).fill('65534'));
      expect(thread.groups).not.toMatch(/\b0\b/);
      expect(BigInt(`0x${thread.capabilities}`) & ~netAdmin).toBe(0n);
    }
    expect(client.text).toMatch(/GID set to nogroup|setgid/i);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await client.stop();
  });

  itOurs('do not stand in the way of another address at a restart', async () => {
    const { client: namespace } = lab().net;
    const before = await hostState(namespace);
    const pushed = ['push "redirect-gateway def1"', 'push "route 10.77.0.0 255.255.255.0"'];
    const first = await lab().server({ lines: ['explicit-exit-notify 1', ...pushed] });
    const client = await lab().connect({ lines: dropped });
    const mark = client.mark();
    await first.stop();
    await lab().server({ without: ['server'], lines: ['server 10.9.0.0 255.255.255.0', ...pushed] });
    await client.line(/NOTE: Pulled options changed on restart/, { from: mark });
    await client.line(up, { from: mark });
    expect((await device(namespace, 'tun0'))?.addresses).toEqual(['10.9.0.2/24', 'fd00:8::1000/64']);
    for (const host of ['10.9.0.1', address.office4, address.world4]) expect(await pings(namespace, host)).toBe(true);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await hostState(namespace)).toEqual(before);
  });

  it('do not stand in the way of a soft restart: same device, routes, traffic', async () => {
    const { client: namespace } = lab().net;
    await lab().server({ lines: ['push "route 10.77.0.0 255.255.255.0"', 'push "redirect-gateway def1"'] });
    const before = await hostState(namespace);
    const client = await lab().connect({ lines: dropped });
    const index = await namespace.ip('-j link show dev tun0');
    for (let restart = 0; restart < 2; restart += 1) {
      const mark = client.mark();
      client.signal('SIGUSR1');
      await client.line(/SIGUSR1\[hard,\] received, process restarting/, { from: mark });
      await client.line(/Preserving previous TUN\/TAP instance: tun0/, { from: mark });
      await client.line(up, { from: mark });
      expect(await namespace.ip('-j link show dev tun0')).toBe(index);
      expect(await pings(namespace, address.office4)).toBe(true);
      expect(await pings(namespace, address.world4)).toBe(true);
    }
    await client.stop();
    expect(await hostState(namespace)).toEqual(before);
  });

  it('do not stand in the way of a chroot', async () => {
    const { client: namespace } = lab().net;
    const root = await lab().directory('root', 0o777);
    // The C program insists on a directory for its temporary files inside.
    await mkdir(`${root}/tmp`);
    await lab().server({ lines: ['push "route 10.77.0.0 255.255.255.0"'] });
    const before = await hostState(namespace);
    const client = await lab().connect({ lines: [...dropped, `chroot ${root}`] });
    expect(await readlink(`/proc/${client.pid}/root`)).toBe(root);
    const mark = client.mark();
    client.signal('SIGUSR1');
    await client.line(up, { from: mark });
    expect(await pings(namespace, address.office4)).toBe(true);
    await client.stop();
    expect(await hostState(namespace)).toEqual(before);
  });

  it('are still those of root when up and route-up run, and dropped when down runs', async () => {
    await lab().server();
    const seen = await lab().file('seen', '', 0o666);
    const script = await lab().file('id.sh', `#!/bin/sh\necho $script_type $(id -un) >>${seen}\n`, 0o755);
    const client = await lab().connect({
      lines: [...dropped, 'script-security 2', ...['up', 'route-up', 'down'].map((hook) => `${hook} ${script}`)],
    });
    await client.stop();
    expect((await readFile(seen, 'utf8')).trim().split('\n')).toEqual(['up root', 'route-up root', 'down nobody']);
  });

  it('of an unknown user are an error before anything is changed', async () => {
    const before = await hostState(lab().net.client);
    const client = await lab().client({ lines: ['user no-such-user-here'] });
    expect(await client.exit()).toEqual({ code: 1, signal: null });
    expect(client.text).toMatch(/failed to find UID for user no-such-user-here/);
    expect(await hostState(lab().net.client)).toEqual(before);
  });
});

labSuite('a client in the background', () => {
  const lab = useLab();

  it('with daemon returns at once, writes its pid and its log, and ends with SIGTERM', async () => {
    const { client: namespace } = lab().net;
    await lab().server();
    const before = await hostState(namespace);
    const dir = await lab().directory('daemon');
    const parent = await lab().client({
      lines: ['daemon', `log ${dir}/log`, `writepid ${dir}/pid`, `status ${dir}/status 1`, 'explicit-exit-notify 1'],
    });
    expect(await parent.exit()).toEqual({ code: 0, signal: null });
    expect(parent.lines.filter((line) => !/Note:|WARNING|DEPRECATED/.test(line))).toEqual([]);
    await eventually('the tunnel', async () => up.test(await readFile(`${dir}/log`, 'utf8')));
    const pid = Number(await readFile(`${dir}/pid`, 'utf8'));
    expect(await isAlive(pid)).toBe(true);
    expect(await readlink(`/proc/${pid}/cwd`)).toBe('/');
    expect(await pings(namespace, tunnel.server4)).toBe(true);
    await eventually('the status file', async () => {
      const status = await readFile(`${dir}/status`, 'utf8').catch(() => '');
      return /^OpenVPN STATISTICS\nUpdated,.*\nTUN\/TAP read bytes,\d+\nTUN\/TAP write bytes,\d+\nTCP\/UDP read bytes,\d+\nTCP\/UDP write bytes,\d+\n/.test(
        status,
      );
    });
    process.kill(pid, 'SIGTERM');
    await eventually('its end', async () => !(await isAlive(pid)));
    expect(await hostState(namespace)).toEqual(before);
  });

  it('appends with log-append where log truncates', async () => {
    const log = await lab().file('log', 'before\n', 0o600);
    for (const [option, kept] of [
      ['log-append', true],
      ['log', false],
    ] as const) {
      const client = await lab().client({
        lines: [`${option} ${log}`, 'connect-retry-max 1', 'connect-timeout 1', 'proto tcp4'],
      });
      await client.exit();
      expect((await readFile(log, 'utf8')).startsWith('before\n'), option).toBe(kept);
    }
  });

  it.each(['log', 'log-append'])(
    'warns when the file of %s can not be opened, and goes on at standard output',
    async (option) => {
      await lab().server();
      const path = `${await lab().directory('log')}/no/where`;
      const client = await lab().client({ lines: [`${option} ${path}`] });
      await client.line(up);
      expect(client.text).toContain(
        `Warning: Error redirecting stdout/stderr to --log file: ${path}: No such file or directory (errno=2)\n`,
      );
      expect(await client.stop()).toEqual({ code: 0, signal: null });
    },
  );

  it('still finds files named relative to where it was started', async () => {
    await lab().server();
    const dir = await lab().directory('daemon');
    const { pki } = lab();
    const parent = await lab().client({
      without: ['ca', 'cert', 'key'],
      lines: ['ca ca.crt', 'cert client.crt', 'key client.key', 'daemon', `log ${dir}/log`, `writepid ${dir}/pid`],
      cwd: pki.dir,
    });
    expect(await parent.exit()).toEqual({ code: 0, signal: null });
    await eventually('the tunnel', async () => up.test(await readFile(`${dir}/log`, 'utf8')));
  });

  it('keeps its scripts working with daemon', async () => {
    await lab().server();
    const dump = await scriptDump(lab());
    const dir = await lab().directory('daemon');
    await (
      await lab().client({ lines: ['daemon', `log ${dir}/log`, 'script-security 2', `up ${dump.script}`] })
    ).exit();
    const call = await eventually('up', async () => (await dump.calls()).up);
    expect(call.env.daemon).toBe('1');
  });
});

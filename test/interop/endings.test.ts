// Every way in which a process can end or lose its surroundings leaves no process hanging and the host as it was.
// SIGTERM and SIGINT of a connected client, the end of the reader of its output and of its shell are in life.test.ts
// and output.test.ts.

import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { type Lab, tunnel, up, useLab } from '../lab/lab.ts';
import { type HostState, hostState } from '../lab/net.ts';
import { eventually, isAlive, type WatchedProcess } from '../lab/process.ts';
import { clientCommand, itOurs, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

/** Everything that a client can change on its host is changed. */
const fullTunnel = ['push "redirect-gateway def1 ipv6"', 'push "route 10.77.0.0 255.255.255.0"'];

async function expectNothingLeft(lab: Lab, before: HostState): Promise<void> {
  const { client: namespace } = lab.net;
  const agent = (await namespace.pids()).length === 0 ? undefined : (await namespace.agent()).pid;
  await eventually('the end of every process', async () => (await namespace.pids()).every((pid) => pid === agent));
  expect(await hostState(namespace)).toEqual(before);
}

labSuite('a client that is told to end', () => {
  const lab = useLab();

  it.each([
    ['before its first packet', /UDPv4 link remote/],
    ['while TLS is going on', /TLS: Initial packet/],
    ['after the certificate was verified', /VERIFY OK: depth=0/],
    ['before the push', /Peer Connection Initiated/],
    ['when the push has come', /PUSH: Received control message/],
    ['when the device is open', /TUN\/TAP device tun0 opened/],
    ['when the tunnel is up', up],
  ])('%s does so, and puts back what it changed', async (_title, moment) => {
    await lab().server({ lines: fullTunnel });
    const before = await hostState(lab().net.client);
    const client = await lab().client();
    await client.line(moment);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(client.text).toMatch(/SIGTERM\[hard,.*\] received, process exiting/);
    await expectNothingLeft(lab(), before);
  });

  it.each(['SIGHUP', 'SIGUSR1'] as const)('in the middle of the restart of a %s does so', async (signal) => {
    await lab().server({ lines: fullTunnel });
    const before = await hostState(lab().net.client);
    const client = await lab().connect({ lines: ['connect-retry 1', 'persist-tun'] });
    const mark = client.mark();
    client.signal(signal);
    await client.line(/process restarting/, { from: mark });
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    await expectNothingLeft(lab(), before);
  });

  it('by two signals at once does so', async () => {
    await lab().server({ lines: fullTunnel });
    const before = await hostState(lab().net.client);
    const client = await lab().connect();
    client.signal('SIGHUP');
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    await expectNothingLeft(lab(), before);
  });

  it('while a script of its own sleeps does so when the script ends', async () => {
    await lab().server({ lines: fullTunnel });
    const before = await hostState(lab().net.client);
    const script = await lab().file('slow.sh', '#!/bin/sh\nsleep 1\n', 0o755);
    const client = await lab().client({ lines: ['script-security 2', `up ${script}`] });
    await client.line(/slow\.sh/);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    await expectNothingLeft(lab(), before);
  });
});

/** Faults in the process itself, from a module that Node loads first; the client has no part in it. */
const faults = `import { isMainThread } from 'node:worker_threads';
if (isMainThread) {
  process.on('SIGWINCH', () => { throw new Error('a fault made by the test'); });
  process.on('SIGXCPU', () => { Promise.reject(new Error('a fault made by the test')); });
}`;

labSuite('a client with a fault', () => {
  const lab = useLab();

  for (const [title, signal] of [
    ['an exception that nobody catches', 'SIGWINCH'],
    ['a rejection that nobody catches', 'SIGXCPU'],
  ] as const) {
    itOurs(`${title} says so, puts the host back, and ends with exit code 1`, async () => {
      await lab().server({ lines: fullTunnel });
      const before = await hostState(lab().net.client);
      const client = await lab().connect({
        env: { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(faults)}` },
      });
      expect(await hostState(lab().net.client)).not.toEqual(before);
      client.signal(signal);
      expect(await client.exit(5000)).toEqual({ code: 1, signal: null });
      expect(client.text).toMatch(/internal error: .*a fault made by the test/);
      await expectNothingLeft(lab(), before);
    });
  }
});

labSuite('a client whose terminal or streams go away', () => {
  const lab = useLab();
  /** Becomes the client with its standard streams changed. */
  const redirected = (words: string) => ['sh', '-c', `exec "$@" ${words}`, 'sh'];

  async function expectWorkingUntilStopped(client: WatchedProcess, log: string, before: HostState): Promise<void> {
    await eventually('the tunnel', async () => up.test(await readFile(log, 'utf8')));
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    await expectNothingLeft(lab(), before);
  }

  it.each([
    ['standard input closed', '<&-'],
    ['standard output and error closed', '>&- 2>&-'],
    ['all of them closed', '<&- >&- 2>&-'],
    ['standard output full', '>/dev/full 2>&1'],
  ])('works and ends as ever when started with %s', async (_title, words) => {
    await lab().server({ lines: fullTunnel });
    const before = await hostState(lab().net.client);
    const log = await lab().file('log', '');
    const client = await lab().client({ lines: [`log ${log}`], prefix: redirected(words) });
    await expectWorkingUntilStopped(client, log, before);
  });

  it('takes the end of its terminal for a SIGHUP: it connects again, and ends with SIGTERM', async () => {
    const { client: namespace } = lab().net;
    const server = await lab().server({ lines: fullTunnel });
    const before = await hostState(namespace);
    const pidFile = `${await lab().directory('terminal')}/pid`;
    const config = await lab().clientConfig({ lines: [`writepid ${pidFile}`, 'connect-retry 1'] });
    // `script` holds the terminal; its death is the terminal's.
    const command = `exec ${clientCommand().join(' ')} --config ${config}`;
    const terminal = namespace.watch(['script', '-q', '-c', command, '/dev/null'], { name: 'terminal' });
    await terminal.line(up);
    const pid = Number(await readFile(pidFile, 'utf8'));
    const mark = server.mark();
    await terminal.kill();
    await server.line(/Peer Connection Initiated/, { from: mark });
    await eventually('the new tunnel', () => pings(namespace, tunnel.server4, { count: 1 }));
    expect(await isAlive(pid)).toBe(true);
    process.kill(pid, 'SIGTERM');
    await eventually('its end', async () => !(await isAlive(pid)));
    await expectNothingLeft(lab(), before);
  });
});

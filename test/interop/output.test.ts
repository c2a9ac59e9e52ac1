// Where a client writes, in which form, and that it does not outlive or hang on whoever reads it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { device, hostState } from '../lab/net.ts';
import { eventually, isAlive } from '../lab/process.ts';
import { clientCommand, isOurs, itOurs, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

labSuite('the log', () => {
  const lab = useLab();

  it('has a date and a time before each line, and microseconds from verbosity 4 on', async () => {
    await lab().server();
    for (const [verbosity, form] of [
      [3, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?!us=)./],
      [4, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d us=\d+ ./],
    ] as const) {
      const client = await lab().connect({ without: ['verb'], lines: [`verb ${verbosity}`] });
      await client.stop();
      expect(client.lines.filter((line) => !form.test(line))).toEqual([]);
    }
  });

  it('has neither with suppress-timestamps', async () => {
    await lab().server();
    const client = await lab().connect({ lines: ['suppress-timestamps'] });
    await client.stop();
    expect(client.lines).toContain('Initialization Sequence Completed');
  });

  it('has seconds, microseconds and flags with machine-readable-output', async () => {
    await lab().server();
    const client = await lab().connect({ lines: ['machine-readable-output'] });
    await client.stop();
    expect(client.lines.filter((line) => !/^\d+\.\d{6} [0-9a-f]+ /.test(line))).toEqual([]);
    expect(client.text).toMatch(/^\d+\.\d{6} 1 Initialization Sequence Completed$/m);
  });

  it('says nothing but errors at verbosity 0', async () => {
    await lab().server();
    const client = await lab().client({ without: ['verb'], lines: ['verb 0'] });
    await eventually('the tunnel', () => pings(lab().net.client, tunnel.server4));
    await client.stop();
    expect(client.lines).toEqual([]);
  });

  it('stops repeating a category with mute, and says how much it left out', async () => {
    // A port where nobody listens: each packet of the handshake is refused, one line of one category after another.
    const client = await lab().client({
      without: ['verb'],
      lines: ['verb 1', 'mute 1', 'tls-timeout 1', 'hand-window 5', 'connect-retry-max 1'],
    });
    await client.exit();
    // The C program 2.6 counts each message twice, and is silent from the first one on.
    expect(client.count(/ECONNREFUSED/)).toBe(isOurs ? 1 : 0);
    expect(client.text).toMatch(
      /NOTE: --mute triggered\.\.\.\n.* \d variation\(s\) on previous 1 message\(s\) suppressed by --mute\n/,
    );
  });

  it('goes to a file with log, and nothing to standard output', async () => {
    await lab().server();
    const log = await lab().file('log', '');
    const client = await lab().client({ lines: [`log ${log}`] });
    await eventually('the tunnel', async () => up.test(await readFile(log, 'utf8')));
    await client.stop();
    expect(client.lines.filter((line) => !/Note:|WARNING|DEPRECATED/.test(line))).toEqual([]);
    expect(await readFile(log, 'utf8')).toMatch(/SIGTERM\[hard,\] received, process exiting/);
  });
});

labSuite('the status file', () => {
  const lab = useLab();

  it('is written in intervals with growing counters', async () => {
    await lab().server();
    const path = join(await lab().directory('status'), 'status');
    await lab().connect({ lines: [`status ${path} 1`] });
    const counters = async () => {
      const text = await readFile(path, 'utf8').catch(() => '');
      return Number(/^TUN\/TAP read bytes,(\d+)$/m.exec(text)?.[1] ?? -1);
    };
    const first = await eventually('the first status', async () => {
      const value = await counters();
      return value >= 0 ? value + 1 : undefined;
    });
    expect(await pings(lab().net.client, tunnel.server4, { sizeBytes: 1000 })).toBe(true);
    await eventually('a later status', async () => (await counters()) >= first + 1999);
  });
});

labSuite('a client whose surroundings go away', () => {
  const lab = useLab();

  it('goes on when the shell that started it ends', async () => {
    const { client: namespace } = lab().net;
    await lab().server();
    const dir = await lab().directory('orphan');
    const config = await lab().clientConfig({ lines: [`writepid ${dir}/pid`, `log ${dir}/log`] });
    await namespace.run(['sh', '-c', `${clientCommand().join(' ')} --config ${config} </dev/null >/dev/null 2>&1 &`]);
    await eventually('the tunnel', async () => up.test(await readFile(`${dir}/log`, 'utf8').catch(() => '')));
    const pid = Number(await readFile(`${dir}/pid`, 'utf8'));
    expect(await pings(namespace, tunnel.server4)).toBe(true);
    process.kill(pid, 'SIGTERM');
    await eventually('its end', async () => !(await isAlive(pid)));
    expect(await device(namespace, 'tun0')).toBeUndefined();
  });

  it('undoes what it did when its device is deleted under it', async () => {
    const { client: namespace } = lab().net;
    await lab().server({ lines: ['push "redirect-gateway def1"'] });
    const before = await hostState(namespace);
    const client = await lab().connect();
    await namespace.ip('link del tun0');
    await client.stop();
    expect(await hostState(namespace)).toEqual(before);
  });

  itOurs('leaves no process and no route behind when it is killed in the middle of connecting', async () => {
    const { client: namespace } = lab().net;
    await lab().server();
    const before = await hostState(namespace);
    const client = await lab().client();
    await client.line(/Peer Connection Initiated/);
    client.signal('SIGKILL');
    await client.exit();
    expect((await namespace.pids()).length).toBeLessThanOrEqual(1);
    await eventually(
      'the host as before',
      async () => JSON.stringify(await hostState(namespace)) === JSON.stringify(before),
    );
  });
});

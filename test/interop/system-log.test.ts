// The system log: a private /dev/log in a mount namespace of the client's own, and what arrives there.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { eventually } from '../lab/process.ts';
import { labSuite } from '../lab/requirements.ts';
import { openSystemLog } from '../lab/system-log.ts';
import { pings } from '../lab/traffic.ts';

labSuite('the system log', () => {
  const lab = useLab();

  it('gets the lines with syslog, under the name and with the process id, and standard output none', async () => {
    await lab().server();
    using log = openSystemLog(join(await lab().directory('syslog'), 'log'));
    const client = await lab().client({ lines: ['syslog office'], prefix: log.prefix });
    await eventually('the tunnel', () => log.lines().some((line) => up.test(line)));
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    await eventually('the last line', () =>
      log.lines().some((line) => /SIGTERM\[hard,\] received, process exiting/.test(line)),
    );
    // Priority: facility daemon (3), and the severity of a line that is no error.
    const form = new RegExp(`^<(\\d+)>[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d office\\[${client.pid}\\]: .`);
    expect(log.lines().filter((line) => !form.test(line))).toEqual([]);
    const done = log.lines().find((line) => up.test(line)) ?? '';
    expect(Number(form.exec(done)?.[1]) >> 3).toBe(3);
    expect(client.lines.filter((line) => !/Note:|WARNING|DEPRECATED/.test(line))).toEqual([]);
  });

  it('gets the lines of a daemon under its name, which is openvpn without one', async () => {
    await lab().server();
    for (const [line, name] of [
      ['daemon office', 'office'],
      ['daemon', clientProgramName],
    ] as const) {
      using log = openSystemLog(join(await lab().directory('syslog'), 'log'));
      const parent = await lab().client({ lines: [line], prefix: log.prefix });
      expect(await parent.exit()).toEqual({ code: 0, signal: null });
      await eventually('the tunnel', () => log.lines().some((text) => up.test(text)));
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      const said = log.lines().find((text) => up.test(text)) ?? '';
      const [, shown, pid] = /^<\d+>.{15} (\S+)\[(\d+)\]: Initialization/.exec(said) ?? [];
      expect(shown).toBe(name);
      process.kill(Number(pid), 'SIGTERM');
      await eventually('its last line', () => log.lines().some((text) => /process exiting/.test(text)));
    }
  });

  it('gets the lines of a daemon whose log file can not be opened, the warning about it first', async () => {
    await lab().server();
    using log = openSystemLog(join(await lab().directory('syslog'), 'log'));
    const parent = await lab().client({ lines: ['log /no/where', 'daemon office'], prefix: log.prefix });
    expect(await parent.exit()).toEqual({ code: 0, signal: null });
    await eventually('the tunnel', () => log.lines().some((text) => up.test(text)));
    expect(log.lines()[0]).toMatch(
      /office\[\d+\]: Warning: Error redirecting stdout\/stderr to --log file: \/no\/where: No such file or directory \(errno=2\)$/,
    );
    process.kill(Number(/office\[(\d+)\]/.exec(log.lines()[0] ?? '')?.[1]), 'SIGTERM');
    await eventually('its last line', () => log.lines().some((text) => /process exiting/.test(text)));
  });
});

/** What the C program calls itself there. */
const clientProgramName = 'openvpn';

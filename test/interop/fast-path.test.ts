// Many packets at once, to and from real peers: nothing arrives out of the order that they allow, whatever moves it.

import { beforeAll, expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { isOurs, itOurs, labSuite } from '../lab/requirements.ts';
import { expectHealthy, serveTraffic } from '../lab/traffic.ts';

/** What either program says of a packet that came twice, too late, or behind a later one. */
const replay = /may be a replay|Authenticate\/Decrypt packet error|PID_ERR/;
const seconds = 2;

labSuite('many packets at once', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  /** Mbit/s that eight flows carried. */
  async function flows(direction: 'up' | 'down'): Promise<number> {
    const sink = lab().net.server.watch(['iperf3', '--server', '--one-off', '--forceflush'], { name: 'iperf3' });
    await sink.line(/Server listening/);
    const argv = ['iperf3', '--client', tunnel.server4, '--time', `${seconds}`, '--parallel', '8', '--json'];
    if (direction === 'down') argv.push('--reverse');
    const { stdout } = await lab().net.client.run(argv, { timeoutMs: 60_000 });
    await sink.kill();
    const report = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
    return report.end.sum_received.bits_per_second / 1e6;
  }

  it.each([
    ['2.6', 'udp4'],
    ['2.7', 'udp4'],
    ['2.7', 'udp6'],
    ['2.7', 'tcp4'],
  ] as const)('keep to the window of 64 packets of a %s server, over %s', async (version, transport) => {
    const server = await lab().server({ version, transport, lines: ['keepalive 10 60'] });
    const client = await lab().connect({ transport });
    for (const direction of ['up', 'down'] as const) expect(await flows(direction)).toBeGreaterThan(1);
    expect(server.lines.filter((line) => replay.test(line))).toEqual([]);
    expect(client.lines.filter((line) => replay.test(line))).toEqual([]);
    await expectHealthy(lab());
  });

  it.each(['openvpn', 'openvpn-2.7'] as const)(
    'keep to the window of our server and of its %s client',
    async (kind) => {
      const server = await lab().serve({ lines: ['keepalive 10 60'] });
      const client = await lab().connect({ kind });
      for (const direction of ['up', 'down'] as const) expect(await flows(direction)).toBeGreaterThan(1);
      expect(server.lines.filter((line) => replay.test(line))).toEqual([]);
      expect(client.lines.filter((line) => replay.test(line))).toEqual([]);
      await expectHealthy(lab());
    },
  );

  itOurs('are said to move together, once', async () => {
    await lab().server();
    const client = await lab().connect();
    await expectHealthy(lab());
    const said = client.lines.filter((line) => line.includes('Data path: '));
    expect(said).toHaveLength(1);
    expect(said[0]).toContain('Data path: UDP with GSO and GRO, device with TSO and USO');
    client.signal('SIGUSR2');
    await client.line(/Data path, packets in calls: TUN\/TAP read \d+ in \d+/);
  });

  it('go through a persistent device as it is', async () => {
    await lab().server({ version: '2.7' });
    await lab().net.client.run(['ip', 'tuntap', 'add', 'dev', 'tun7', 'mode', 'tun']);
    try {
      const client = await lab().client({ device: 'tun7' });
      await client.line(up);
      if (isOurs) await client.line(/Data path: UDP with GSO and GRO, a packet for each read of the device/);
      await expectHealthy(lab());
      await client.stop();
      const shown = await lab().net.client.ip('-details link show tun7');
      expect(shown).toContain('persist on');
    } finally {
      await lab().net.client.run(['ip', 'link', 'del', 'tun7'], { anyCode: true });
    }
  });
});

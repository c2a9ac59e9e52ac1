// Several workers move the packets of one server, or of one client, and the peers are real ones at their default replay
// window of 64: nothing arrives in an order that they would not have from one thread.

import { beforeAll, describe, expect, it } from 'vitest';
import { type ClientOptions, type Lab, tunnel, useLab } from '../lab/lab.ts';
import { address, type Namespace } from '../lab/net.ts';
import { eventually, type WatchedProcess } from '../lab/process.ts';
import { isOurServer, isOurs, labSuite } from '../lab/requirements.ts';
import {
  echoPort,
  expectHealthy,
  expectNoLoss,
  expectTransfer,
  pings,
  serveTraffic,
  sinkPort,
} from '../lab/traffic.ts';

/** What either program says of a packet that came twice, too late, or behind a later one. */
const replay = /may be a replay|Authenticate\/Decrypt packet error|PID_ERR/;
const second4 = '10.8.0.3';
const seconds = 2;

const replays = (...programs: readonly WatchedProcess[]): readonly string[] =>
  programs.flatMap(({ lines }) => lines.filter((line) => replay.test(line)));

/** A client in the router's namespace: the server's second, with the second peer-id. */
const secondClient = (lab: Lab, more: ClientOptions = {}): ClientOptions => ({
  namespace: lab.net.router,
  certificate: lab.pki.rsa,
  device: 'tun5',
  ...more,
});

/** Mbit/s that eight flows carried between a client and the server. */
async function flows(lab: Lab, direction: 'up' | 'down', client: Namespace = lab.net.client): Promise<number> {
  const sink = lab.net.server.watch(['iperf3', '--server', '--one-off', '--forceflush'], { name: 'iperf3' });
  await sink.line(/Server listening/);
  const argv = ['iperf3', '--client', tunnel.server4, '--time', `${seconds}`, '--parallel', '8', '--json'];
  if (direction === 'down') argv.push('--reverse');
  const { stdout } = await client.run(argv, { timeoutMs: 60_000 });
  await sink.kill();
  const report = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
  return report.end.sum_received.bits_per_second / 1e6;
}

describe.runIf(isOurServer)('our server', () => {
  labSuite('with several workers', () => {
    const lab = useLab();
    beforeAll(() => serveTraffic(lab()));

    const serve = (workers: number, ...lines: readonly string[]): Promise<WatchedProcess> =>
      lab().serve({ lines: [`workers ${workers}`, 'keepalive 10 60', ...lines] });

    it.each([
      [2, 'openvpn'],
      [2, 'openvpn-2.7'],
      [3, 'openvpn-2.7'],
    ] as const)('keeps to the window, %i of them, with two %s clients', async (workers, kind) => {
      const server = await serve(workers);
      const client = await lab().connect({ kind });
      const other = await lab().connect(secondClient(lab(), { kind }));
      for (const direction of ['up', 'down'] as const) {
        expect(await flows(lab(), direction)).toBeGreaterThan(1);
        expect(await flows(lab(), direction, lab().net.router)).toBeGreaterThan(1);
      }
      expect(replays(server, client, other)).toEqual([]);
      await expectHealthy(lab());
      await expectNoLoss(lab().net.client, tunnel.server4, 500);
      await expectNoLoss(lab().net.router, tunnel.server4, 500);

      expect(
        server.lines.filter((line) => line.includes('Data path: ')).map((line) => line.split('path: ')[1]),
      ).toEqual([`UDP with GSO and GRO, device with TSO and USO, ${workers} workers`]);
      // Each client's packets are moved by its own worker.
      const mark = server.mark();
      server.signal('SIGUSR2');
      for (const worker of [0, 1]) {
        const line = await server.line(new RegExp(`Data path of worker ${worker}, packets in calls: .*`), {
          from: mark,
        });
        const [read, written] = ['TCP/UDP read', 'TCP/UDP write'].map((what) =>
          Number(new RegExp(`${what} (\\d+)`).exec(line)?.[1]),
        );
        expect(read).toBeGreaterThan(1000);
        expect(written).toBeGreaterThan(1000);
      }
    });

    it('loses nothing when a client gets another port, whichever worker has it', async () => {
      const relayPort = 1700;
      const server = await serve(2, 'float');
      const other = await lab().connect(secondClient(lab()));
      const router = await lab().net.router.agent();
      await router.ask('relay', { port: relayPort, targetHost: address.server4, targetPort: 1194 });
      const client = await lab().connect({
        kind: 'openvpn-2.7',
        without: ['remote'],
        lines: [`remote ${address.gateway4} ${relayPort} udp4`],
      });
      const client4 = second4;
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      const mark = client.mark();
      const { to } = await router.ask('relayMove', {});
      expect(await pings(lab().net.client, tunnel.server4, { count: 5 })).toBe(true);
      await server.line(new RegExp(`peer 1 .*floated.* to (udp4:)?(\\[AF_INET\\])?${address.router4}:${to}`));
      await expectNoLoss(lab().net.client, tunnel.server4, 500);
      expect(await pings(lab().net.server, client4)).toBe(true);
      for (const direction of ['up', 'down'] as const) expect(await flows(lab(), direction)).toBeGreaterThan(1);
      expect(client.count(/restarting/, mark)).toBe(0);
      expect(replays(server, client, other)).toEqual([]);
    });

    it('passes packets from client to client, whichever workers have them', async () => {
      const { client, router } = lab().net;
      const agent = await router.agent();
      await agent.ask('tcpSink', { host: '::', port: sinkPort });
      await agent.ask('udpEcho', { host: '0.0.0.0', port: echoPort });
      const server = await serve(2, 'client-to-client');
      const one = await lab().connect({ kind: 'openvpn-2.7' });
      const two = await lab().connect(secondClient(lab(), { kind: 'openvpn' }));
      expect(await pings(client, second4, { sizeBytes: 1300 })).toBe(true);
      expect(await pings(client, 'fd00:8::1001')).toBe(true);
      await expectTransfer(client, second4);
      await expectTransfer(router, tunnel.client4);
      await expectNoLoss(client, second4, 500);
      expect(replays(server, one, two)).toEqual([]);
    });

    it('hands over what one worker reads of a device with one queue, within the window', async () => {
      const { server: host } = lab().net;
      await host.run(['ip', 'tuntap', 'add', 'dev', 'tun7', 'mode', 'tun']);
      try {
        const lines = ['workers 2', 'keepalive 10 60', 'dev tun7'];
        const server = await lab().serve({ without: ['dev'], lines });
        const client = await lab().connect({ kind: 'openvpn-2.7' });
        const other = await lab().connect(secondClient(lab(), { kind: 'openvpn' }));
        await server.line(
          /Data path: UDP .*, a packet for each read of the device, 2 workers, one of them for the device/,
        );
        for (const namespace of [lab().net.client, lab().net.router]) {
          expect(await flows(lab(), 'up', namespace)).toBeGreaterThan(1);
          expect(await flows(lab(), 'down', namespace)).toBeGreaterThan(1);
          await expectNoLoss(namespace, tunnel.server4, 500);
        }
        expect(replays(server, client, other)).toEqual([]);
        await server.stop();
      } finally {
        await host.run(['ip', 'link', 'del', 'tun7'], { anyCode: true });
      }
    });

    it('takes its streams one by one, and reads a configuration again, and ends', async () => {
      const server = await lab().serve({ transport: 'tcp4', lines: ['workers 2', 'keepalive 10 60'] });
      const one = await lab().connect({ transport: 'tcp4', kind: 'openvpn-2.7' });
      await lab().connect(secondClient(lab(), { transport: 'tcp4', kind: 'openvpn' }));
      await server.line(/Data path: TCP, device with TSO and USO, 2 workers, one for each stream/);
      await expectHealthy(lab());
      expect(await flows(lab(), 'up', lab().net.router)).toBeGreaterThan(1);
      const mark = one.mark();
      server.signal('SIGHUP');
      await server.line(/SIGHUP/);
      await expectTransfer(lab().net.client, tunnel.server4);
      expect(one.count(/restarting/, mark)).toBe(0);
      server.signal('SIGTERM');
      expect(await server.exit()).toMatchObject({ code: 0 });
      const gone = async () => !(await lab().net.server.ip('-br link')).includes('tun0');
      await eventually('the end of the device', gone);
    });
  });
});

describe.runIf(isOurs)('our client', () => {
  labSuite('with several workers', () => {
    const lab = useLab();
    beforeAll(() => serveTraffic(lab()));

    it.each(['2.6', '2.7'] as const)(
      'keeps to the window of a %s server, whether the second worker helps or not',
      async (version) => {
        const server = await lab().server({ version, lines: ['keepalive 10 60'] });
        const client = await lab().connect({ lines: ['workers 2'] });
        for (const direction of ['up', 'down'] as const) expect(await flows(lab(), direction)).toBeGreaterThan(1);
        await expectHealthy(lab());
        await expectNoLoss(lab().net.client, tunnel.server4, 500);
        await client.line(
          /Data path: UDP with GSO and GRO, device with TSO and USO, two workers: the second one helps when the first has no time left/,
        );
        expect(replays(server, client)).toEqual([]);

        const mark = client.mark();
        client.signal('SIGUSR2');
        const first = await client.line(/Data path of worker 0, /, { from: mark });
        expect(first).toMatch(/TUN\/TAP read \d{4}/);
        expect(first).toMatch(/TCP\/UDP write \d{4}/);
        await client.line(/Data path of worker 1, .*TUN\/TAP read 0 in 0.*TCP\/UDP write 0 in 0/, { from: mark });
      },
    );

    it('has one for a stream', async () => {
      await lab().server({ transport: 'tcp4' });
      const client = await lab().connect({ transport: 'tcp4', lines: ['workers 2'] });
      await expectHealthy(lab());
      await client.line(/Data path: TCP, device with TSO and USO$/);
    });

    it('hears the server where packets are opened, and leaves when it is silent', async () => {
      const server = await lab().server({ lines: ['ping 1', 'push "ping 1"', 'push "ping-restart 4"'] });
      const client = await lab().connect({ lines: ['workers 2', 'connect-retry 1'] });
      const mark = client.mark();
      await expectNoLoss(lab().net.client, tunnel.server4, 3000); // longer than ping-restart
      expect(client.count(/Inactivity timeout/, mark)).toBe(0);
      await server.kill();
      await client.line(/Inactivity timeout \(--ping-restart\), restarting/, { from: mark, timeoutMs: 15_000 });
      client.signal('SIGTERM');
      expect(await client.exit()).toMatchObject({ code: 0 });
    });
  });
});

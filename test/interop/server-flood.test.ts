// A flood of first packets with nobody behind them: a server keeps nothing of them, and goes on serving.
// SALLYPORT_SERVER=openvpn (or openvpn-2.7) runs the C program as the server instead of Sallyport.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { FloodKind, FloodOptions, FloodReport } from '../lab/flood.ts';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { residentBytes, type WatchedProcess } from '../lab/process.ts';
import { type ClientKind, clientCommand, labSuite, projectRoot } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const serverKind = (process.env.SALLYPORT_SERVER || 'sallyport') as ClientKind;

const FLOOD_PACKETS = 20_000;
/** Half of what a socket holds by default: the server is to look at the packets, not the kernel to drop them. */
const QUEUE_BYTES = 100_000;
/** What memory may grow by over four floods of 20,000: 105 bytes for each packet would be seen. */
const BOUND_BYTES = 8 * 2 ** 20;

labSuite('a flood of hard resets', () => {
  const lab = useLab();

  async function startServer(lines: readonly string[]): Promise<WatchedProcess> {
    const config = await lab().file('flooded.conf', `${lab().serverLines({ lines }).join('\n')}\n`);
    const server = lab().net.server.watch([...clientCommand(serverKind), '--config', config], {
      name: `${serverKind} (server)`,
      cwd: lab().dir,
    });
    await server.line(up);
    return server;
  }

  async function flood(kind: FloodKind, server: WatchedProcess): Promise<FloodReport> {
    const options: FloodOptions = {
      kind,
      host: address.server4,
      port: 1194,
      packets: FLOOD_PACKETS,
      secondsLimit: 60,
      loopback: false,
      serverPid: server.pid,
      queueBytes: QUEUE_BYTES,
    };
    const main = join(projectRoot, 'test/lab/flood-main.ts');
    const argv = [process.execPath, '--import', 'tsx', main, JSON.stringify(options)];
    const { stdout } = await lab().net.client.run(argv, { timeoutMs: 90_000, cwd: projectRoot });
    return JSON.parse(stdout) as FloodReport;
  }

  it.each([
    ['without a wrapping key', 'plain', (): string[] => []],
    ['with a tls-crypt key that the server does not have', 'tls-crypt', () => [`tls-crypt ${lab().keys.shared}`]],
    ['with a tls-auth key that the server does not have', 'tls-auth', () => [`tls-auth ${lab().keys.shared}`]],
  ] as const)(
    '%s leaves memory flat, is answered no more than it sends, and a client still connects',
    async (_words, kind, wrapLines) => {
      const server = await startServer([...wrapLines(), 'verb 1']);
      const connect = async (): Promise<void> => {
        const client = await lab().client({ kind: 'openvpn', lines: [...wrapLines(), 'connect-retry 1'] });
        // A server that bounds first contacts in time may have no room for the next seconds.
        await client.line(up, { timeoutMs: 60_000 });
        expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
        await client.stop();
      };
      // The first client and two floods fill what is filled once, and some seconds after that client our server gives memory back,
      // once, which a later flood may need again. A look may come just before the garbage collector's: so the least of the
      // later ones counts, beside the most that there was before.
      await connect();
      const looks: number[] = [];
      for (let round = 0; round < 8; round++) {
        const report = await flood(kind, server);
        looks.push(residentBytes(server.pid));
        expect(report.sent).toBe(FLOOD_PACKETS);
        expect(report.replies).toBeLessThanOrEqual(kind === 'plain' ? report.sent : 0);
        if (round >= 2) expect(report.dropped).toBeLessThan(FLOOD_PACKETS / 10);
      }
      expect(Math.min(...looks.slice(5)) - Math.max(...looks.slice(0, 2))).toBeLessThan(BOUND_BYTES);
      expect(server.exited).toBeUndefined();
      await connect();
      await server.stop();
    },
  );
});

// Many real clients at once, strangers on the server's port, and a web server behind it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { eventually } from '../lab/process.ts';
import { labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const CROWD = 50;

labSuite('a server with a crowd', () => {
  const lab = useLab();

  /** Numbers of the devices from which a ping is not answered. */
  async function unanswered(numbers: readonly number[]): Promise<readonly string[]> {
    const ping = (number: number) =>
      `{ ping -n -q -c 2 -i 0.2 -W 3 -I tun${number} ${tunnel.server4} | grep -q ' [12] received' || echo ${number}; } &`;
    const { stdout } = await lab().net.client.run(['sh', '-c', `${numbers.map(ping).join('\n')}\nwait`]);
    return stdout.split('\n').filter(Boolean);
  }

  it(`serves ${CROWD} real clients that come at once, and half of them again after kill -9`, async () => {
    const status = join(lab().dir, 'status');
    const server = await lab().serve({
      lines: ['duplicate-cn', 'keepalive 10 60', `status ${status} 1`, 'status-version 2'],
    });
    const numbers = Array.from({ length: CROWD }, (_, index) => index + 1);
    const start = (number: number) =>
      lab().client({
        kind: number % 2 === 0 ? 'openvpn' : 'openvpn-2.7',
        device: `tun${number}`,
        without: ['verb'],
        lines: ['verb 3', 'connect-retry 1 2'],
      });
    const clients = await Promise.all(numbers.map(start));
    await Promise.all(clients.map((client) => client.line(up, { timeoutMs: 60_000 })));
    expect(await unanswered(numbers)).toEqual([]);
    const rows = await eventually('everybody in the status file, with an address', async () => {
      const lines = (await readFile(status, 'utf8')).split('\n');
      const found = lines.filter((line) => line.startsWith('CLIENT_LIST,')).map((line) => line.split(','));
      return found.length === CROWD && found.every((row) => row[3] !== '') && found;
    });
    expect(new Set(rows.map((row) => row[3])).size, 'addresses').toBe(CROWD);
    expect(new Set(rows.map((row) => row[11])).size, 'peer-ids').toBe(CROWD);

    const half = clients.slice(0, CROWD / 2);
    await Promise.all(half.map((client) => client.kill()));
    const back = await Promise.all(numbers.slice(0, CROWD / 2).map(start));
    await Promise.all(back.map((client) => client.line(up, { timeoutMs: 60_000 })));
    expect(await unanswered(numbers)).toEqual([]);
    expect(server.count(/Peer Connection Initiated/)).toBe(CROWD * 1.5);
    expect(server.exited).toBeUndefined();
  });

  it('is not troubled by garbage, by resets from nowhere, by replayed resets', async () => {
    const server = await lab().serve({ lines: [`tls-crypt ${lab().keys.shared}`, 'keepalive 10 60'] });
    const lines = [`tls-crypt ${lab().keys.shared}`];
    await lab().connect({ kind: 'openvpn', lines });
    const agent = await lab().net.router.agent();
    await agent.ask('udpGarbage', { host: address.server4, port: 1194, count: 3000 });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const another = await lab().connect({
      kind: 'openvpn-2.7',
      namespace: lab().net.router,
      lines,
      certificate: lab().pki.rsa,
    });
    expect(await pings(lab().net.router, tunnel.server4)).toBe(true);
    await another.stop();
    expect(server.exited).toBeUndefined();
  });

  it('shares its TCP port with a web server', async () => {
    const page = 'hello from the web';
    const web = lab().net.server.watch(
      [
        process.execPath,
        '-e',
        `require('node:http').createServer((_, answer) => answer.end('${page}')).listen(8080, '127.0.0.1', () => console.log('listening'))`,
      ],
      { name: 'web server' },
    );
    try {
      await web.line(/listening/);
      const server = await lab().serve({ transport: 'tcp4', lines: ['port-share 127.0.0.1 8080', 'keepalive 10 60'] });
      const get = `exec 3<>/dev/tcp/${address.server4}/1194; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; timeout 2 cat <&3`;
      const answers = async () => (await lab().net.client.run(['bash', '-c', get], { anyCode: true })).stdout;
      expect(await answers()).toContain(page);
      await server.line(/192\.0\.2\.2:\d+ Non-OpenVPN client protocol detected/);
      await lab().connect({ kind: 'openvpn', transport: 'tcp4' });
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      expect(await answers()).toContain(page);
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    } finally {
      await web.kill();
    }
  });
});

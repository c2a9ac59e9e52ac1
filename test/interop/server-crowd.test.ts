// Many real clients at once, strangers on the server's port, and a web server behind it.

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { eventually, type WatchedProcess } from '../lab/process.ts';
import { labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const CROWD = 50;

/** A client's hard reset without wrapping: opcode, session id, no acknowledgements, packet-id 0. */
const reset = (session: string = randomBytes(8).toString('latin1')): string =>
  `38${Buffer.from(session, 'latin1').toString('hex')}0000000000`;

const isResetReply = (packet: string): boolean => packet.startsWith('40');

labSuite('a server with a crowd', () => {
  const lab = useLab();

  /** Numbers of the devices from which a ping is not answered. */
  async function unanswered(numbers: readonly number[]): Promise<readonly string[]> {
    const ping = (number: number) =>
      `{ ping -n -q -c 2 -i 0.2 -W 3 -I tun${number} ${tunnel.server4} | grep -q ' [12] received' || echo ${number}; } &`;
    const { stdout } = await lab().net.client.run(['sh', '-c', `${numbers.map(ping).join('\n')}\nwait`]);
    return stdout.split('\n').filter(Boolean);
  }

  /** What the server answers to packets of strangers on the router, the last of which is a reset. */
  async function answers(packets: readonly string[]): Promise<readonly string[]> {
    const agent = await lab().net.router.agent();
    return (await agent.ask('udpAnswers', { host: address.server4, port: 1194, packets: [...packets] })).replies;
  }

  /** The client still works, nobody else is in the status, and another one can come in. */
  async function expectOnlyTheClient(server: WatchedProcess): Promise<void> {
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const mark = server.mark();
    server.signal('SIGUSR2');
    await server.line(/END$/, { from: mark });
    expect(server.count(/,\S+:\d+,\d+,\d+,/, mark), 'rows of clients').toBe(1);
    expect(server.count(/Peer Connection Initiated/)).toBe(1);
    const another = await lab().connect({
      kind: 'openvpn-2.7',
      namespace: lab().net.router,
      certificate: lab().pki.rsa,
      device: 'tun5',
    });
    expect(await pings(lab().net.router, tunnel.server4)).toBe(true);
    await another.stop();
    expect(server.exited).toBeUndefined();
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

  it('is not troubled by garbage', async () => {
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

  it('answers resets from nowhere, and the same one again and again, and nothing more comes of them', async () => {
    const server = await lab().serve({ lines: ['keepalive 10 60'] });
    await lab().connect({ kind: 'openvpn' });
    // Fewer than connect-freq-initial lets through, so that each is answered.
    const strangers = Array.from({ length: 30 }, () => reset());
    const again = Array.from({ length: 30 }, () => reset('ABCDEFGH'));
    const replies = await answers([...strangers, ...again, reset()]);
    expect(replies.filter(isResetReply)).toHaveLength(61);
    expect(replies).toHaveLength(61);
    await expectOnlyTheClient(server);
  });

  it('makes nothing of the packets of a client that come again from another address', async () => {
    const server = await lab().serve({ lines: ['keepalive 10 60'] });
    const relay = await lab().net.router.agent();
    await relay.ask('relay', { port: 2020, targetHost: address.server4, targetPort: 1194 });
    await lab().connect({
      kind: 'openvpn',
      without: ['remote'],
      lines: [`remote ${address.gateway4} 2020 udp4`],
    });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const { packets } = await relay.ask('relayHeard', {});
    const opcodes = packets.map((packet) => Number.parseInt(packet.slice(0, 2), 16) >> 3);
    expect(opcodes[0], 'the reset').toBe(7);
    expect(new Set(opcodes.slice(1)), 'acknowledgements or TLS, and data').toEqual(new Set([4, 5, 9]));
    const replies = await answers([...packets, ...packets, reset()]);
    expect(replies.filter(isResetReply)).toHaveLength(3);
    expect(replies).toHaveLength(3);
    expect(server.count(/floated/)).toBe(0);
    await expectOnlyTheClient(server);
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

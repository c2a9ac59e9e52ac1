// The demo where the machine allows no network namespaces or no tun device: Sallyport at both ends in this process, over
// UDP on loopback, with devices in memory. The far end answers pings by itself.

import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect, createServer, echoReply } from '../dist/src/index.js';

const command = fileURLToPath(new URL('../bin/sallyport.js', import.meta.url));
const say = (text) => console.log(`\n\x1b[1m${text}\x1b[0m`);
const show = (text) => console.log(text.trimEnd().replace(/^/gm, '    '));
/** Lines of a log that match, cut to a terminal's width. */
const lines = (log, pattern) =>
  show(
    log
      .filter((line) => pattern.test(line))
      .map((line) => (line.length > 150 ? `${line.slice(0, 149)}…` : line))
      .join('\n'),
  );
const directory = mkdtempSync(join(tmpdir(), 'sally-demo-'));
const failing = setTimeout(() => {
  console.error('demo: it took more than a minute');
  process.exit(1);
}, 60_000);

try {
  await run();
  say('Done. The keys are being removed.');
} catch (error) {
  console.error(`demo: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
clearTimeout(failing);
// A server that a failure left running.
process.exit();

async function run() {
  const port = await freePort();
  const pki = (...words) =>
    execFileSync(process.execPath, [command, 'pki', ...words, '--dir', join(directory, 'pki')], { encoding: 'utf8' });
  const profile = join(directory, 'office.ovpn');

  say('1. Keys: an authority, a server, a client (sallyport pki, EC P-256)');
  show(pki('init', '--remote', `127.0.0.1:${port}`, '--cn', 'Demo CA', '--days', '2').split('\n')[0]);
  show(pki('server', 'demo-server', '--days', '1').split('\n')[0]);
  show(pki('client', 'demo', '--days', '1', '--out', profile).split('\n')[0]);

  say(`2. The server: createServer(), on 127.0.0.1 port ${port}`);
  const heard = { server: [], client: [] };
  const file = (...names) => join(directory, 'pki', ...names);
  const server = await createServer(
    {
      network: '10.8.0.0/24',
      listen: { host: '127.0.0.1', port },
      ca: file('ca.crt'),
      cert: file('issued', 'demo-server.crt'),
      key: file('private', 'demo-server.key'),
      crl: file('crl.pem'),
      tlsCryptV2: file('tls-crypt-v2-server.key'),
      push: ['route 10.77.0.0 255.255.255.0'],
      options: 'remote-cert-tls client\nverb 3',
    },
    { device: 'memory', log: (_flags, line) => heard.server.push(line) },
  );
  server.device.onPacket((packet) => {
    const reply = echoReply(packet);
    if (reply !== undefined) server.device.write(reply);
  });
  lines(heard.server, /link local|Initialization Sequence/);

  say('3. The client: connect(), with the profile that pki wrote');
  const started = performance.now();
  const text = `${readFileSync(profile, 'utf8')}explicit-exit-notify 1\n`;
  const client = await connect(text, { device: 'memory', log: (_flags, line) => heard.client.push(line) });
  const took = Math.round(performance.now() - started);

  say(`4. What happened (from the client's log; ${took} ms from its start)`);
  lines(
    heard.client,
    /link remote|TLS: Initial|VERIFY|Control Channel: |Peer Connection|PUSH: Received|net_addr|net_route|Data Channel: cipher|Initialization Seq/,
  );
  show("and from the server's:");
  lines(heard.server, /HMAC challenge|VERIFY OK|Peer Connection|pool returned|Learn|Data Channel: cipher/);

  say('5. A ping through it, to the office behind the server');
  const { address4, routes } = client.state.plan;
  show(`${address4.local} by way of ${routes.map(({ prefix }) => prefix).join(', ')}`);
  for (let number = 1; number <= 3; number++) {
    const ms = await ping(client.device, address4.local, '10.77.0.1', number);
    show(`echo reply from 10.77.0.1: icmp_seq=${number} time=${ms.toFixed(2)} ms`);
  }
  const [{ name, cipher, bytesReceived, bytesSent }] = server.clients;
  show(`the server's view: ${name}, ${cipher}, ${bytesReceived} bytes received, ${bytesSent} sent`);

  say('6. The client says good-bye');
  const gone = new Promise((resolve) => server.on('disconnected', resolve));
  await client.close();
  const { client: left, reason } = await gone;
  show(`the server heard of it: ${left.name}, ${reason}`);
  await server.close();
}

/** Milliseconds until the reply. */
function ping(device, from, to, number) {
  const packet = new Uint8Array(64);
  const view = new DataView(packet.buffer);
  packet.set([0x45, 0, 0, packet.length, 0, number, 0, 0, 64, 1]);
  packet.set(from.split('.').map(Number), 12);
  packet.set(to.split('.').map(Number), 16);
  view.setUint16(10, checksum(view, 0, 20));
  view.setUint8(20, 8);
  view.setUint16(26, number);
  view.setUint16(22, checksum(view, 20, packet.length));
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the ping did not cross')), 2000);
    device.onPacket((reply) => {
      if (reply[9] !== 1 || reply[20] !== 0 || reply[27] !== number) return;
      clearTimeout(timer);
      resolve(performance.now() - started);
    });
    device.write(packet);
  });
}

function checksum(view, from, to) {
  let sum = 0;
  for (let at = from; at < to; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

async function freePort() {
  const socket = createSocket('udp4');
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

// A million first packets of nobody at one server: does its memory stay flat, how fast does it turn them away, how much
// does it answer, and does a real client still connect, meanwhile and afterwards? `npm run bench:server -- flood`, as
// root; everything happens in a network of its own.
//
// The sender waits while the server's socket queue is half full, so that the server looks at every packet: packets a
// second is the rate at which it turned them away, not the rate at which the kernel dropped them.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { WrapOptions } from '../src/control/wrap-options.ts';
import { parseStaticKey } from '../src/wire/static-key.ts';
import { FLOOD_BATCH, type FloodKind, type FloodOptions, type FloodReport } from '../test/lab/flood.ts';
import { makePki, type Pki } from '../test/lab/pki.ts';
import { enterPrivateNetwork } from '../test/lab/private-network.ts';
import type { ClientKind } from '../test/lab/requirements.ts';
import { makeStaticKeys, type StaticKeys } from '../test/lab/static-keys.ts';
import { BenchServer, raiseLoopback, SERVER_PORT } from './bench-server.ts';
import { Fleet } from './fleet.ts';
import { createLoadShared } from './load-client.ts';
import { createBenchTls } from './load-tls.ts';
import { machineLine, programLabel, table } from './report.ts';

const { values: options } = parseArgs({
  options: {
    servers: { type: 'string', default: 'sallyport,openvpn-2.7,openvpn' },
    command: { type: 'string' },
    packets: { type: 'string', default: '1000000' },
    kinds: { type: 'string', default: 'plain,tls-crypt' },
    /** As fast as it goes, whatever the kernel drops. */
    flat: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '120' },
  },
});
const kinds = options.servers.split(',') as ClientKind[];
/** Half of what a socket holds by default. */
const QUEUE_BYTES = 100_000;
const CONNECT_LIMIT_MS = 60_000;

enterPrivateNetwork();
await raiseLoopback();
const dir = await mkdtemp(join(tmpdir(), 'sallyport-flood-'));
let code = 0;
try {
  const [pki, keys] = await Promise.all([makePki(join(dir, 'pki')), makeStaticKeys(dir)]);
  process.stdout.write(
    `${machineLine()}\n${options.packets} hard resets, ${FLOOD_BATCH} from each of many ports all over 127.0.0.0/8, ` +
      `${options.flat ? 'as fast as it goes' : 'each waits until the server has room for it'}; clients: sallyport sessions\n`,
  );
  const rows = [
    [
      '',
      'sent',
      'pkt/s',
      'dropped',
      'replies',
      'bytes out/in',
      'RSS before',
      'most',
      'after',
      'growth KiB',
      'connect ms before',
      'during',
      'after',
    ],
  ];
  for (const wrap of options.kinds.split(',') as FloodKind[]) {
    for (const kind of kinds) rows.push(await flood(kind, wrap, pki, keys));
  }
  process.stdout.write(table(rows));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  code = 1;
} finally {
  await rm(dir, { recursive: true, force: true });
}
process.exit(code);

async function flood(kind: ClientKind, wrap: FloodKind, pki: Pki, keys: StaticKeys): Promise<string[]> {
  const line = { plain: [], 'tls-crypt': [`tls-crypt ${keys.shared}`], 'tls-auth': [`tls-auth ${keys.shared}`] }[wrap];
  const command = kind === 'sallyport' ? options.command?.split(' ') : undefined;
  const server = await BenchServer.start({ kind, command, dir, pki, lines: ['keepalive 10 120', ...line] });
  try {
    const connect = () => connectOnce(wrap, pki, keys);
    const before = await connect();
    const restingBytes = await server.restingBytes();
    let mostBytes = restingBytes;
    const looks = setInterval(() => {
      mostBytes = Math.max(mostBytes, server.residentBytes());
    }, 100);
    const sender = startFlood({
      kind: wrap,
      host: '127.0.0.1',
      port: SERVER_PORT,
      serverPid: server.process.pid,
      packets: Number(options.packets),
      secondsLimit: Number(options.seconds),
      loopback: true,
      queueBytes: options.flat ? 0 : QUEUE_BYTES,
    });
    await delay(1500);
    const flooding = sender.child.exitCode === null;
    const during = await connect();
    const report = await sender.report;
    clearInterval(looks);
    const after = await connect();
    const endBytes = await server.restingBytes();
    const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
    const sentBytes = report.sent * { plain: 14, 'tls-auth': 42, 'tls-crypt': 54 }[wrap];
    return [
      `${programLabel[kind]}, ${wrap}`,
      `${report.sent}`,
      (report.sent / report.seconds).toFixed(0),
      `${report.dropped}`,
      `${report.replies}`,
      (report.replyBytes / sentBytes).toFixed(3),
      mib(restingBytes),
      mib(mostBytes),
      mib(endBytes),
      ((endBytes - restingBytes) / 1024).toFixed(0),
      before,
      flooding ? during : `${during} (flood was over)`,
      after,
    ];
  } finally {
    await server.stop();
  }
}

/** Milliseconds that one client takes to connect, or the cause why not. */
async function connectOnce(wrap: FloodKind, pki: Pki, keys: StaticKeys): Promise<string> {
  const tls = await createBenchTls({ ca: pki.ca.cert, ...pki.client });
  const staticKey = readStaticKey(keys.shared);
  const wraps: Readonly<Record<FloodKind, WrapOptions>> = {
    plain: { kind: 'none' },
    'tls-crypt': { kind: 'tls-crypt', staticKey },
    'tls-auth': { kind: 'tls-auth', staticKey, direction: undefined, digest: 'SHA1' },
  };
  const fleet = new Fleet(createLoadShared(tls, wraps[wrap]), { host: '127.0.0.1', port: SERVER_PORT });
  try {
    const { connectMs, failures } = await fleet.open({
      count: 1,
      concurrency: 1,
      rate: 0,
      timeoutMs: CONNECT_LIMIT_MS,
    });
    return connectMs[0]?.toFixed(0) ?? [...failures.keys()].join('; ');
  } finally {
    fleet.close();
  }
}

function readStaticKey(path: string): Uint8Array {
  const parsed = parseStaticKey(readFileSync(path, 'latin1'));
  if ('problem' in parsed) throw new Error(`${path}: ${parsed.problem}`);
  return parsed.key;
}

function startFlood(flood: FloodOptions): { readonly child: ChildProcess; readonly report: Promise<FloodReport> } {
  const main = fileURLToPath(new URL('../test/lab/flood-main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', main, JSON.stringify(flood)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const report = once(child, 'close').then(() => JSON.parse(text) as FloodReport);
  return { child, report };
}

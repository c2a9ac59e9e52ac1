// A thousand clients at one server: handshakes a second, what each costs, memory of an idle session, and whether all of
// them live through a renegotiation that the server begins. The programs take turns in one run with the same file; the
// figures that count are the ratios. `npm run bench:server`, as root; everything happens in a network of its own.
//
// The clients are Sallyport's own sessions in this process. It has one core of a two-core machine, and says how busy it
// was: where it was the limit, read the CPU time of the server and not the handshakes a second.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { makePki } from '../test/lab/pki.ts';
import { enterPrivateNetwork } from '../test/lab/private-network.ts';
import type { ClientKind } from '../test/lab/requirements.ts';
import { BenchServer, type LoopDelay, raiseLoopback, SERVER_PORT } from './bench-server.ts';
import { Fleet } from './fleet.ts';
import { createLoadShared, type LoadShared } from './load-client.ts';
import { createBenchTls } from './load-tls.ts';
import { machineLine, median, programLabel, quantile, table } from './report.ts';

const { values: options } = parseArgs({
  options: {
    servers: { type: 'string', default: 'sallyport,openvpn-2.7,openvpn' },
    /** Command of the server called sallyport, with its words separated by spaces. */
    command: { type: 'string' },
    sessions: { type: 'string', default: '1000' },
    concurrency: { type: 'string', default: '32' },
    rate: { type: 'string', default: '0' },
    rounds: { type: 'string', default: '2' },
    /** `reneg-sec` of the server; 0 leaves the renegotiation out. */
    renegotiate: { type: 'string', default: '40' },
    tls12: { type: 'boolean', default: false },
  },
});
const kinds = options.servers.split(',') as ClientKind[];
const count = Number(options.sessions);
const renegotiateSeconds = Number(options.renegotiate);

interface Figures {
  readonly opened: number;
  readonly handshakesPerSecond: number;
  readonly serverMs: number;
  readonly generatorShare: number;
  readonly connectMs: readonly number[];
  readonly idleKib: number;
  readonly renegotiatedKib: number;
  readonly renegotiated: number;
  readonly renegotiationMs: number;
  readonly pings: number;
  readonly badPackets: number;
  readonly failures: ReadonlyMap<string, number>;
  readonly lost: ReadonlyMap<string, number>;
  readonly loop: LoopDelay | undefined;
  readonly idleLoop: LoopDelay | undefined;
  readonly heapKib: number;
  readonly externalKib: number;
}

enterPrivateNetwork();
await raiseLoopback();
const dir = await mkdtemp(join(tmpdir(), 'sallyport-load-'));
let code = 0;
try {
  const pki = await makePki(join(dir, 'pki'));
  const tls = await createBenchTls({ ca: pki.ca.cert, ...pki.client }, options.tls12 ? '1.2' : undefined);
  const shared = createLoadShared(tls, { kind: 'none' });
  process.stdout.write(
    `${machineLine()}\n${count} sessions, ${options.concurrency} handshakes at once at most, TLS 1.${options.tls12 ? 2 : 3}, ` +
      'EC P-256 on both sides, AES-256-GCM, UDP over loopback; clients: sallyport sessions in one process of the same machine\n',
  );
  const figures = new Map<ClientKind, Figures[]>(kinds.map((kind) => [kind, []]));
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const kind of kinds) {
      const measured = await measure(kind, shared, pki);
      figures.get(kind)?.push(measured);
      process.stdout.write(`\nround ${round + 1}, ${programLabel[kind]}\n${describe(measured)}`);
    }
  }
  summarize(figures);
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  code = 1;
} finally {
  await rm(dir, { recursive: true, force: true });
}
process.exit(code);

async function measure(kind: ClientKind, shared: LoadShared, pki: Awaited<ReturnType<typeof makePki>>) {
  const server = await BenchServer.start({
    kind,
    command: kind === 'sallyport' ? options.command?.split(' ') : undefined,
    dir,
    pki,
    lines: [
      'max-clients 2000',
      'connect-freq-initial 100000 1',
      'keepalive 10 120',
      'hand-window 60',
      `reneg-sec ${renegotiateSeconds}`,
    ],
  });
  const fleet = new Fleet(shared, { host: '127.0.0.1', port: SERVER_PORT });
  try {
    return await measureServer(server, fleet);
  } finally {
    fleet.close();
    await server.stop();
  }
}

async function measureServer(server: BenchServer, fleet: Fleet): Promise<Figures> {
  const restingBytes = await server.restingBytes();
  const beganMs = Date.now();
  const cpu = server.cpuSeconds();
  const own = process.cpuUsage();
  const ownMs = performance.now();
  const opened = await fleet.open({
    count,
    concurrency: Number(options.concurrency),
    rate: Number(options.rate),
    timeoutMs: 120_000,
  });
  const ownUsed = process.cpuUsage(own);
  const generatorShare = (ownUsed.user + ownUsed.system) / 1000 / (performance.now() - ownMs);
  const openCpu = server.cpuSeconds() - cpu;
  await delay(1000);
  const openedMs = Date.now();
  const loop = await server.loopDelay(beganMs);
  const idleBytes = await server.restingBytes();
  const heap = await server.heapBytes();
  const idleLoop = await server.loopDelay(openedMs);
  let renegotiationCpu = 0;
  let renegotiatedBytes = Number.NaN;
  if (renegotiateSeconds > 0) {
    const before = server.cpuSeconds();
    await fleet.renegotiation(opened.opened, (renegotiateSeconds + 60) * 1000);
    renegotiationCpu = server.cpuSeconds() - before;
    renegotiatedBytes = await server.restingBytes();
  }
  const each = Math.max(1, opened.opened);
  return {
    opened: opened.opened,
    handshakesPerSecond: opened.opened / opened.seconds,
    serverMs: (openCpu * 1000) / each,
    generatorShare,
    connectMs: opened.connectMs,
    idleKib: (idleBytes - restingBytes) / 1024 / each,
    renegotiatedKib: (renegotiatedBytes - restingBytes) / 1024 / each,
    renegotiated: fleet.renegotiated.size,
    renegotiationMs: (renegotiationCpu * 1000) / Math.max(1, fleet.renegotiations),
    pings: fleet.data.pings,
    badPackets: fleet.data.bad,
    failures: opened.failures,
    lost: fleet.lost,
    loop,
    idleLoop,
    heapKib: (heap?.heap ?? Number.NaN) / 1024 / each,
    externalKib: (heap?.external ?? Number.NaN) / 1024 / each,
  };
}

function describe(one: Figures): string {
  const causes = (map: ReadonlyMap<string, number>): string =>
    map.size === 0 ? 'none' : [...map].map(([cause, times]) => `${times} x ${cause}`).join('; ');
  const delays = (loop: LoopDelay): string =>
    `p50 ${loop.p50.toFixed(1)}, p99 ${loop.p99.toFixed(1)}, max ${loop.max.toFixed(1)} ms`;
  const rows = [
    ['sessions up', `${one.opened} of ${count}`],
    ['failures', causes(one.failures)],
    ['ended while held', causes(one.lost)],
    [
      'handshakes a second',
      `${one.handshakesPerSecond.toFixed(0)} (generator ${(one.generatorShare * 100).toFixed(0)} % of a core)`,
    ],
    ['server CPU for each handshake', `${one.serverMs.toFixed(2)} ms`],
    ['time to connect', `p50 ${median(one.connectMs).toFixed(0)}, p99 ${quantile(one.connectMs, 0.99).toFixed(0)} ms`],
    ['memory of an idle session', `${one.idleKib.toFixed(1)} KiB`],
  ];
  if (renegotiateSeconds > 0) {
    rows.push(
      ['renegotiated', `${one.renegotiated} of ${one.opened}`],
      ['server CPU for each renegotiation', `${one.renegotiationMs.toFixed(2)} ms, idle work of the time included`],
      ['memory with the old key beside', `${one.renegotiatedKib.toFixed(1)} KiB`],
    );
  }
  rows.push(['pings from the server', `${one.pings}, and ${one.badPackets} packets that did not open`]);
  if (one.loop !== undefined) rows.push(['event loop while opening', delays(one.loop)]);
  if (one.idleLoop !== undefined) rows.push(['event loop while idle', delays(one.idleLoop)]);
  if (!Number.isNaN(one.heapKib)) {
    rows.push([
      'whole JS heap over sessions',
      `${one.heapKib.toFixed(1)} KiB, external ${one.externalKib.toFixed(1)} KiB`,
    ]);
  }
  return table(rows.map(([name = '', value = '']) => [name, value.padEnd(60)]));
}

function summarize(all: ReadonlyMap<ClientKind, readonly Figures[]>): void {
  const middle = (kind: ClientKind, of: (one: Figures) => number): number => median((all.get(kind) ?? []).map(of));
  const columns: readonly (readonly [string, (one: Figures) => number, number])[] = [
    ['handshakes/s', (one) => one.handshakesPerSecond, 0],
    ['server ms/handshake', (one) => one.serverMs, 2],
    ['connect p50 ms', (one) => median(one.connectMs), 0],
    ['KiB/idle session', (one) => one.idleKib, 1],
    ['KiB/renegotiated', (one) => one.renegotiatedKib, 1],
    ['renegotiated', (one) => one.renegotiated, 0],
  ];
  const rows = [['', ...columns.map(([name]) => name)]];
  for (const kind of kinds) {
    rows.push([programLabel[kind], ...columns.map(([, of, digits]) => middle(kind, of).toFixed(digits))]);
  }
  const [first, ...others] = kinds;
  for (const kind of others) {
    if (first === undefined) break;
    const ratio = ([, of]: (typeof columns)[number]): string => (middle(first, of) / middle(kind, of)).toFixed(2);
    rows.push([`${programLabel[first]} / ${programLabel[kind]}`, ...columns.map(ratio)]);
  }
  process.stdout.write(`\nmedian of ${options.rounds} rounds\n${table(rows)}`);
}

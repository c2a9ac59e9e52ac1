// Where the time of a handshake goes with our own session code: a server's end here, the client's in a child process,
// joined by a pipe, TLS by the real engine. `node --import tsx bench/handshake.ts [--count 500]`; with --cpu-prof
// (and --cpu-prof-dir) in front, the profile of this process is that of the server's end.
//
//   --hold N          keeps N established sessions and tells what each holds: JS heap, external, resident memory
//   --allocation      bytes of JS heap allocated for each handshake (run with --expose-gc --max-semi-space-size=128)

import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PerformanceObserver } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { TlsEngineFactory } from '../src/control/tls-engine.ts';
import { createNodeCrypto } from '../src/node/crypto-provider.ts';
import type { SessionEvent } from '../src/session/event.ts';
import { createSession, type Instants, type Session } from '../src/session/session.ts';
import { makePki } from '../test/lab/pki.ts';
import { PUSH, sessionOptions } from '../test/lab/session-pair.ts';
import { nowOf } from './instants.ts';
import { createBenchTls, type TlsFiles } from './load-tls.ts';
import { machineLine, table } from './report.ts';

/** Packets of one turn for the sessions with these numbers; `start`: open this many from `first` on; `up`: one is up. */
type Message =
  | { readonly type: 'packets'; readonly packets: readonly (readonly [number: number, bytes: Uint8Array])[] }
  | { readonly type: 'tls'; readonly files: TlsFiles }
  | { readonly type: 'start'; readonly first: number; readonly count: number }
  | { readonly type: 'usage' }
  | { readonly type: 'used'; readonly cpuMs: number }
  | { readonly type: 'close' };

interface Pipe {
  send(message: Message): void;
}

/** One end's sessions, and what they have to send in this turn. */
class End {
  up = 0;
  readonly sessions = new Map<number, Session>();
  onUp = (): void => {};
  readonly #role: 'client' | 'server';
  readonly #tls: TlsEngineFactory;
  readonly #pipe: Pipe;
  readonly #crypto = createNodeCrypto();
  #packets: [number, Uint8Array][] = [];

  constructor(role: 'client' | 'server', tls: TlsEngineFactory, pipe: Pipe) {
    this.#role = role;
    this.#tls = tls;
    this.#pipe = pipe;
  }

  open(number: number): void {
    const session: Session = createSession(sessionOptions(this.#role), {
      crypto: this.#crypto,
      tls: this.#tls,
      log: () => {},
      wake: () => this.#drive(number, session, (now) => session.handleWake(now)),
    });
    this.sessions.set(number, session);
    this.#drive(number, session, (now) => session.start(now, '[AF_INET]192.0.2.1:1194'));
  }

  handle(packets: readonly (readonly [number, Uint8Array])[]): void {
    for (const [number, bytes] of packets) {
      if (this.#role === 'server' && !this.sessions.has(number)) this.open(number);
      const session = this.sessions.get(number);
      if (session !== undefined) this.#drive(number, session, (now) => session.handleControl(bytes, now));
    }
  }

  close(): void {
    for (const session of this.sessions.values()) session.close();
    this.sessions.clear();
    this.up = 0;
  }

  #drive(number: number, session: Session, input: (now: Instants) => void): void {
    if (this.sessions.get(number) !== session) return;
    const now = nowOf();
    input(now);
    for (let more = true; more; ) {
      more = false;
      for (let packet = session.pollTransmit(now); packet !== undefined; packet = session.pollTransmit(now)) {
        if (this.#packets.length === 0) setImmediate(() => this.#flush());
        this.#packets.push([number, packet]);
      }
      for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
        this.#handleEvent(session, event, now);
        more = true;
      }
    }
  }

  #flush(): void {
    const packets = this.#packets;
    this.#packets = [];
    this.#pipe.send({ type: 'packets', packets });
  }

  #handleEvent(session: Session, event: SessionEvent, now: Instants): void {
    switch (event.type) {
      case 'verify-peer':
        session.acceptPeer({ accept: true }, now);
        return;
      case 'push-request':
        session.applyPush(PUSH, now);
        session.sendPushReply(['route-gateway 10.8.0.1', 'ifconfig 10.8.0.2 255.255.255.0', 'peer-id 0'], now);
        return;
      case 'push-reply':
        session.applyPush(PUSH, now);
        return;
      case 'use-key':
        this.up++;
        this.onUp();
        return;
      case 'ended':
        process.stderr.write(`a session ended: ${JSON.stringify(event.end)}\n`);
        return;
      default:
        return;
    }
  }
}

async function runClient(): Promise<void> {
  const pipe: Pipe = { send: (message) => process.send?.(message) };
  let end: End | undefined;
  let usage = process.cpuUsage();
  process.on('message', (message: Message) => {
    if (message.type === 'tls') {
      void createBenchTls(message.files).then((tls) => {
        end = new End('client', tls, pipe);
        pipe.send({ type: 'used', cpuMs: 0 });
      });
    } else if (message.type === 'packets') end?.handle(message.packets);
    else if (message.type === 'start') {
      for (let n = message.first; n < message.first + message.count; n++) end?.open(n);
    } else if (message.type === 'usage') {
      const used = process.cpuUsage(usage);
      usage = process.cpuUsage();
      pipe.send({ type: 'used', cpuMs: (used.user + used.system) / 1000 });
    } else if (message.type === 'close') end?.close();
  });
}

async function runServer(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      count: { type: 'string', default: '500' },
      concurrency: { type: 'string', default: '16' },
      hold: { type: 'string', default: '0' },
      allocation: { type: 'boolean', default: false },
      tls12: { type: 'boolean', default: false },
    },
  });
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-handshake-'));
  const child = fork(fileURLToPath(import.meta.url), [], {
    env: { ...process.env, SALLYPORT_BENCH_END: 'client' },
    execArgv: ['--import', 'tsx'],
    serialization: 'advanced',
  });
  try {
    const pki = await makePki(join(dir, 'pki'));
    const versionMax = options.tls12 ? '1.2' : undefined;
    const tls = await createBenchTls({ ca: pki.ca.cert, ...pki.server }, versionMax);
    const bench = new HandshakeBench(child, tls);
    await bench.ready({ ca: pki.ca.cert, ...pki.client });
    process.stdout.write(`${machineLine()}, TLS 1.${options.tls12 ? 2 : 3}\n`);
    await bench.run(100, 16);
    if (Number(options.hold) > 0) await bench.hold(Number(options.hold), Number(options.concurrency));
    else if (options.allocation) await bench.allocation(20);
    else await bench.time(Number(options.count), Number(options.concurrency));
  } finally {
    child.kill();
    await rm(dir, { recursive: true, force: true });
  }
}

class HandshakeBench {
  readonly #child: ChildProcess;
  readonly #end: End;
  #onUsed: (cpuMs: number) => void = () => {};
  #next = 0;

  constructor(child: ChildProcess, tls: TlsEngineFactory) {
    this.#child = child;
    this.#end = new End('server', tls, { send: (message) => this.#send(message) });
    child.on('message', (message: Message) => {
      if (message.type === 'packets') this.#end.handle(message.packets);
      else if (message.type === 'used') this.#onUsed(message.cpuMs);
    });
  }

  ready(files: TlsFiles): Promise<number> {
    return this.#ask({ type: 'tls', files });
  }

  /** Handshakes, so many at once; the sessions stay. */
  async run(count: number, concurrency: number): Promise<void> {
    const goal = this.#end.up + count;
    let started = 0;
    const more = (): void => {
      const room = Math.min(count - started, concurrency - (started - (count - (goal - this.#end.up))));
      if (room <= 0) return;
      this.#send({ type: 'start', first: this.#next, count: room });
      this.#next += room;
      started += room;
    };
    await new Promise<void>((resolve) => {
      this.#end.onUp = () => {
        if (this.#end.up >= goal) resolve();
        else more();
      };
      more();
    });
    this.#end.onUp = () => {};
  }

  closeAll(): void {
    this.#end.close();
    this.#send({ type: 'close' });
  }

  async time(count: number, concurrency: number): Promise<void> {
    this.closeAll();
    const usage = process.cpuUsage();
    await this.#ask({ type: 'usage' });
    const beganMs = performance.now();
    await this.run(count, concurrency);
    const seconds = (performance.now() - beganMs) / 1000;
    const used = process.cpuUsage(usage);
    const clientMs = (await this.#ask({ type: 'usage' })) / count;
    const serverMs = (used.user + used.system) / 1000 / count;
    process.stdout.write(
      table([
        [`handshakes a second, ${concurrency} at once`, (count / seconds).toFixed(0)],
        ['CPU of the server’s end, each', `${serverMs.toFixed(2)} ms`],
        ['handshakes a second of one core', (1000 / serverMs).toFixed(0)],
        ['CPU of the client’s end, each', `${clientMs.toFixed(2)} ms`],
      ]),
    );
    this.closeAll();
  }

  /** What an established session holds, clean of garbage. */
  async hold(count: number, concurrency: number): Promise<void> {
    const collect = collector();
    await collect();
    const before = process.memoryUsage();
    await this.run(count, concurrency);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await collect();
    const after = process.memoryUsage();
    const kib = (of: keyof NodeJS.MemoryUsage): string => `${((after[of] - before[of]) / 1024 / count).toFixed(2)} KiB`;
    process.stdout.write(
      table([
        ['held sessions', `${count}`],
        ['JS heap, each', kib('heapUsed')],
        ['external, each', kib('external')],
        ['of it array buffers', kib('arrayBuffers')],
        ['resident, each', kib('rss')],
      ]),
    );
  }

  /** Bytes allocated in the JS heap, counted while no collection ran. */
  async allocation(count: number): Promise<void> {
    const collect = collector();
    let collections = 0;
    const observer = new PerformanceObserver((list) => {
      collections += list.getEntries().length;
    });
    await collect();
    await new Promise((resolve) => setTimeout(resolve, 50));
    observer.observe({ entryTypes: ['gc'] });
    const before = process.memoryUsage();
    await this.run(count, 1);
    const after = process.memoryUsage();
    await new Promise((resolve) => setTimeout(resolve, 50));
    observer.disconnect();
    process.stdout.write(
      table([
        [
          'JS heap allocated for each handshake',
          `${((after.heapUsed - before.heapUsed) / 1024 / count).toFixed(0)} KiB`,
        ],
        ['external', `${((after.external - before.external) / 1024 / count).toFixed(0)} KiB`],
        ['collections meanwhile (0 or the figure is wrong)', `${collections}`],
      ]),
    );
  }

  #send(message: Message): void {
    if (this.#child.connected) this.#child.send(message);
  }

  #ask(message: Message): Promise<number> {
    return new Promise((resolve) => {
      this.#onUsed = resolve;
      this.#send(message);
    });
  }
}

/** Collects garbage, twice, with turns between for finalizers. */
function collector(): () => Promise<void> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  return async () => {
    for (let round = 0; round < 3; round++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
}

if (process.env.SALLYPORT_BENCH_END === 'client') await runClient();
else await runServer();

// A server process under a bench: started from one file that all programs take, and measured from outside by /proc.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { up } from '../test/lab/lab.ts';
import type { Pki } from '../test/lab/pki.ts';
import { residentBytes, run, WatchedProcess } from '../test/lab/process.ts';
import { type ClientKind, clientCommand } from '../test/lab/requirements.ts';
import { cpuSeconds, median, programLabel, quantile } from './report.ts';

export const SERVER_PORT = 1194;

export interface BenchServerOptions {
  readonly kind: ClientKind;
  /** Replaces the program of the kind. */
  readonly command?: readonly string[] | undefined;
  readonly dir: string;
  readonly pki: Pick<Pki, 'ca' | 'server'>;
  readonly lines: readonly string[];
}

export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

interface LoopSample extends LoopDelay {
  readonly at: number;
  readonly heapUsed: number;
  readonly external: number;
}

export class BenchServer {
  readonly label: string;
  readonly process: WatchedProcess;
  readonly #loopFile: string;

  private constructor(label: string, process: WatchedProcess, loopFile: string) {
    this.label = label;
    this.process = process;
    this.#loopFile = loopFile;
  }

  /** Starts the program and waits until it serves. Everything happens in the network of the calling thread. */
  static async start(options: BenchServerOptions): Promise<BenchServer> {
    const { kind, dir, pki } = options;
    const config = join(dir, `${kind}.conf`);
    const loopFile = join(dir, `${kind}.loop`);
    await writeFile(loopFile, '');
    await writeFile(
      config,
      `${[
        'local 127.0.0.1',
        `port ${SERVER_PORT}`,
        'proto udp4',
        'dev tun',
        'topology subnet',
        'server 10.8.0.0 255.255.240.0',
        `ca ${pki.ca.cert}`,
        `cert ${pki.server.cert}`,
        `key ${pki.server.key}`,
        'dh none',
        'duplicate-cn',
        'verb 1',
        ...options.lines,
      ].join('\n')}\n`,
    );
    const label = programLabel[kind];
    const command = options.command ?? clientCommand(kind);
    const loop = `--import ${new URL('loop-delay.mjs', import.meta.url).href}`;
    const server = new WatchedProcess([...command, '--config', config], {
      name: `${label} (server)`,
      cwd: dir,
      env: { ...process.env, NODE_OPTIONS: loop, SALLYPORT_BENCH_LOOP: loopFile },
    });
    await server.line(up);
    return new BenchServer(label, server, loopFile);
  }

  /** Resident bytes now. */
  residentBytes(): number {
    return residentBytes(this.process.pid);
  }

  /** Resident bytes at rest: the middle of looks over two seconds. */
  async restingBytes(): Promise<number> {
    const looks: number[] = [];
    for (let look = 0; look < 9; look++) {
      looks.push(this.residentBytes());
      await delay(250);
    }
    return median(looks);
  }

  /** Seconds of processor time of all threads so far. */
  cpuSeconds(): number {
    return cpuSeconds(this.process.pid);
  }

  /** Delay of the event loop since this time (Date.now()); undefined for a program that has none. */
  async loopDelay(sinceMs: number): Promise<LoopDelay | undefined> {
    const samples = (await this.#samples()).filter(({ at }) => at >= sinceMs);
    if (samples.length === 0) return undefined;
    return {
      p50: median(samples.map(({ p50 }) => p50)),
      p99: quantile(
        samples.map(({ p99 }) => p99),
        0.99,
      ),
      max: Math.max(...samples.map(({ max }) => max)),
    };
  }

  /** JavaScript heap and what hangs on it, last seen; undefined for another program. */
  async heapBytes(): Promise<{ readonly heap: number; readonly external: number } | undefined> {
    const last = (await this.#samples()).at(-1);
    return last === undefined ? undefined : { heap: last.heapUsed, external: last.external };
  }

  async stop(): Promise<void> {
    await this.process.stop('SIGTERM', 10_000).catch(() => this.process.kill());
  }

  async #samples(): Promise<LoopSample[]> {
    const text = await readFile(this.#loopFile, 'utf8');
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as LoopSample);
  }
}

/** The loopback device of a new network is down. */
export async function raiseLoopback(): Promise<void> {
  await run(['ip', 'link', 'set', 'lo', 'up']);
}

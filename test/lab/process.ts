// The lab: network namespaces, real OpenVPN peers, the client under test, and the means to watch them. A test reads:
// net.ts makes the network, peer.ts starts a server in it, client.ts the client, agent.ts sends and receives traffic.

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { PeersSeen } from './peers-seen.ts';

/** The real programs that run, for count-peers.ts. */
export const peersSeen = new PeersSeen();

export interface RunResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  /** Resolve whatever the exit code; without it a code other than 0 rejects. */
  readonly anyCode?: boolean;
}

/** Runs a program to its end, bounded; rejects with what it wrote to standard error. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = start(argv, { cwd: options.cwd, env: options.env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const timeoutMs = options.timeoutMs ?? 20_000;
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  }).finally(() => clearTimeout(timer));
  if (code !== 0 && options.anyCode !== true) {
    throw new Error(`${argv.join(' ')} ended with ${code ?? `a signal (bound ${timeoutMs} ms)`}: ${stderr || stdout}`);
  }
  return { code, stdout, stderr };
}

/** How a watched process ended: an exit code or a signal. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface WatchOptions {
  readonly cwd?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** A name for messages. */
  readonly name: string;
  readonly stdin?: string | undefined;
  /** Standard input stays open for `write`. */
  readonly keepStdin?: boolean | undefined;
}

const defaultWaitMs = 20_000;

/** The programs of the running case, for what-they-said.ts. */
export const watched: WatchedProcess[] = [];

/** A process whose output is kept in memory line by line and can be waited for. */
export class WatchedProcess {
  readonly name: string;
  readonly pid: number;
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #exit: Exit | undefined;
  /** The last line, as far as it is written; of standard output. */
  #unfinished = '';

  constructor(argv: readonly string[], options: WatchOptions) {
    this.name = options.name;
    watched.push(this);
    this.#child = start(argv, { cwd: options.cwd, env: options.env, stdio: ['pipe', 'pipe', 'pipe'] });
    if (this.#child.pid === undefined) throw new Error(`${options.name} did not start: ${argv.join(' ')}`);
    this.pid = this.#child.pid;
    this.#collect(this.#child.stdout);
    this.#collect(this.#child.stderr);
    this.#child.stdin?.on('error', () => {});
    if (options.keepStdin !== true) this.#child.stdin?.end(options.stdin ?? '');
    this.#child.on('close', (code, signal) => {
      this.#exit = { code, signal };
      this.#wake();
    });
  }

  /** Everything written so far. */
  get text(): string {
    return this.lines.join('\n');
  }

  get exited(): Exit | undefined {
    return this.#exit;
  }

  /** A place in the output to look from later. */
  mark(): number {
    return this.lines.length;
  }

  /** The first line at or after `from` that matches; rejects at the bound, or when the process has ended without it. */
  async line(pattern: RegExp, options: { from?: number; timeoutMs?: number } = {}): Promise<string> {
    const from = options.from ?? 0;
    const found = await this.#until(options.timeoutMs ?? defaultWaitMs, () => {
      const line = this.lines.slice(from).find((text) => pattern.test(text));
      return line ?? (this.#exit ? null : undefined);
    });
    if (typeof found === 'string') return found;
    throw new Error(`${this.name} ${this.#exit ? 'ended' : 'went on'} without a line ${pattern}:\n${this.tail()}`);
  }

  /** Waits until the last, unfinished line matches: a prompt. */
  async prompt(pattern: RegExp, timeoutMs = defaultWaitMs): Promise<void> {
    const found = await this.#until(
      timeoutMs,
      () => pattern.test(this.#unfinished) || (this.#exit ? false : undefined),
    );
    if (found !== true) throw new Error(`${this.name} did not ask ${pattern}:\n${this.tail()}\n${this.#unfinished}`);
  }

  /** Types; needs `keepStdin`. */
  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Resolves with the number of lines that match. */
  count(pattern: RegExp, from = 0): number {
    return this.lines.slice(from).filter((line) => pattern.test(line)).length;
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Waits for the end of the process, bounded. */
  async exit(timeoutMs = defaultWaitMs): Promise<Exit> {
    const exit = await this.#until(timeoutMs, () => this.#exit);
    if (exit) return exit;
    throw new Error(`${this.name} did not end within ${timeoutMs} ms:\n${this.tail()}`);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM', timeoutMs = defaultWaitMs): Promise<Exit> {
    if (!this.#exit) this.signal(signal);
    return this.exit(timeoutMs);
  }

  /** Asks again and again, for a program that may lose a signal. */
  async stopForSure(signal: NodeJS.Signals = 'SIGTERM', timeoutMs = defaultWaitMs): Promise<Exit> {
    for (let waitedMs = 0; waitedMs < timeoutMs && !this.#exit; waitedMs += 1000) {
      this.signal(signal);
      await this.#until(1000, () => this.#exit);
    }
    return this.exit(0);
  }

  /** The end by SIGKILL, for clean-up; never rejects. */
  async kill(): Promise<void> {
    if (this.#exit) return;
    this.#child.kill('SIGKILL');
    await this.#until(5000, () => this.#exit);
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  /** Closes the reading end of standard output and standard error, as a broken pipeline does. */
  closeOutput(): void {
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  tail(count = 60): string {
    return this.lines.slice(-count).join('\n');
  }

  #collect(stream: NodeJS.ReadableStream | null): void {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      this.lines.push(...parts);
      if (stream === this.#child.stdout) this.#unfinished = rest;
      this.#wake();
    });
    stream?.on('end', () => {
      if (rest !== '') this.lines.push(rest);
      rest = '';
    });
  }

  async #until<T>(timeoutMs: number, ready: () => T | undefined): Promise<T | undefined> {
    const atOnce = ready();
    if (atOnce !== undefined) return atOnce;
    return new Promise((resolve) => {
      const finish = (value: T | undefined) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        resolve(value);
      };
      const look = () => {
        const value = ready();
        if (value !== undefined) finish(value);
      };
      const timer = setTimeout(() => finish(undefined), timeoutMs);
      this.#watchers.add(look);
    });
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** Waits until `ready` answers something other than undefined or false, looking again every 25 ms, bounded. */
export async function eventually<T>(
  what: string | (() => string),
  ready: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = defaultWaitMs,
): Promise<T> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const value = await ready();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > until) {
      throw new Error(`${typeof what === 'string' ? what : what()}: not within ${timeoutMs} ms`);
    }
    await delay(25);
  }
}

/** Whether a process (not a zombie) with this id exists. */
export async function isAlive(pid: number): Promise<boolean> {
  const { stdout } = await run(['ps', '-o', 'stat=', '-p', String(pid)], { anyCode: true });
  return stdout.trim() !== '' && !stdout.trim().startsWith('Z');
}

/** Bytes of memory that a process holds now. */
export function residentBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? Number.NaN) * 1024;
}

function start(argv: readonly string[], options: SpawnOptions): ChildProcess {
  const [program, ...rest] = argv;
  if (program === undefined) throw new Error('an empty command');
  const child = spawn(program, rest, options);
  peersSeen.started(argv, child);
  return child;
}

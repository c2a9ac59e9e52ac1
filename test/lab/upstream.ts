// OpenVPN's own test scripts, run with another program in the binary's place: a copy of them in a folder of its own, laid
// out as the build they expect, and a network namespace, because they use fixed ports and open devices.

import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunResult, run } from './process.ts';
import { upstreamDirectory } from './requirements.ts';

/** Why the scripts cannot be run here; undefined where they can. */
export const upstreamMissing = existsSync(join(upstreamDirectory, 'VERSION'))
  ? undefined
  : "OpenVPN's own test scripts have not been fetched (scripts/peers.sh: Debian's source of openvpn 2.7)";

/** The release whose scripts are there. */
export const upstreamRelease = (): string => readFileSync(join(upstreamDirectory, 'VERSION'), 'utf8').trim();

/** Lets those who wait go on one after the other. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  async take(): Promise<Disposable> {
    const before = this.#last;
    let done = (): void => {};
    this.#last = new Promise((resolve) => {
      done = resolve;
    });
    await before;
    return { [Symbol.dispose]: done };
  }
}

let copies = 0;

export class UpstreamCopy implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sallyport-upstream-'));
  readonly #namespace = `sp-up-${process.pid}-${copies++}`;

  /** `program` stands where the build's openvpn would. */
  static async make(program: readonly string[]): Promise<UpstreamCopy> {
    const copy = new UpstreamCopy();
    for (const part of ['tests', 'sample']) cpSync(join(upstreamDirectory, part), copy.path(part), { recursive: true });
    mkdirSync(copy.path('src/openvpn'), { recursive: true });
    copy.program('src/openvpn/openvpn', program);
    await run(['ip', 'netns', 'add', copy.#namespace]);
    await run(['ip', '-n', copy.#namespace, 'link', 'set', 'lo', 'up']);
    return copy;
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** Writes a program that is nothing but another command line, after some lines of shell; gives its path. */
  program(name: string, command: readonly string[], before = ''): string {
    return this.script(
      name,
      `${before}exec ${command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')} "$@"\n`,
    );
  }

  /** Writes a shell script; gives its path. */
  script(name: string, body: string): string {
    const path = this.path(name);
    writeFileSync(path, `#!/bin/sh\n${body}`);
    chmodSync(path, 0o755);
    return path;
  }

  /** Runs one of the scripts in tests/, bounded. */
  run(name: string, environment: Readonly<Record<string, string>>, timeoutMs: number): Promise<RunResult> {
    const place = { top_builddir: this.#folder, top_srcdir: this.#folder, srcdir: this.path('tests') };
    return run(['ip', 'netns', 'exec', this.#namespace, 'sh', `./${name}`], {
      cwd: this.path('tests'),
      env: { ...process.env, ...place, openvpn: this.path('src/openvpn/openvpn'), ...environment },
      timeoutMs,
      anyCode: true,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What a script that was cut short has left behind would hold the namespace.
    const { stdout } = await run(['ip', 'netns', 'pids', this.#namespace], { anyCode: true });
    for (const pid of stdout.split('\n').filter(Boolean)) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It has just ended by itself.
      }
    }
    await run(['ip', 'netns', 'del', this.#namespace], { anyCode: true });
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

// Helper processes of this program, from its side: started while it is still root, asked from then on. A helper ends when
// this program ends, however that comes.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SallyportError } from '../error.ts';
import type { DnsAsked, DnsSetup, HelperReport, HelperRole, PamSetup } from './helper-messages.ts';
import type { PamResult } from './pam.ts';

export interface HelperOptions {
  /** The built root-helper. */
  readonly url: URL;
  /** Where it and what it starts print; default: where this process prints. */
  readonly output?: number | 'ignore' | undefined;
}

export interface PamLoginRequest {
  readonly username: string;
  readonly password: string;
  readonly commonName: string;
  readonly remote: string;
}

export interface PamHelper {
  /** Never rejects: what can't be asked is refused. */
  login(request: PamLoginRequest, timeoutMs: number): Promise<PamResult>;
  close(): void;
}

export interface DownRootHelper {
  /** What the command will see; only the first counts. */
  arm(environment: Readonly<Record<string, string>>): void;
  /** Its exit code; undefined when it could not be run. */
  run(): Promise<number | undefined>;
  close(): void;
}

/** Rejects with SallyportError when there is no PAM on this machine. */
export async function startPamHelper(setup: PamSetup, options: HelperOptions): Promise<PamHelper> {
  const waiting = new Map<number, (result: PamResult) => void>();
  let nextId = 1;
  const failed = (problem: string): PamResult => ({ accepted: false, problem, questions: [] });
  const helper = await startHelper('pam', [], options, {
    started: (started) => started.send(setup, () => {}), // what fails here is told by its end
    heard(report) {
      if (report.type !== 'pam') return;
      waiting.get(report.id)?.(report.result);
      waiting.delete(report.id);
    },
    lost() {
      for (const settle of waiting.values()) settle(failed('the PAM helper process has ended'));
      waiting.clear();
    },
  });
  return {
    login: (request, timeoutMs) =>
      new Promise((resolve) => {
        if (!helper.connected) return resolve(failed('the PAM helper process has ended'));
        const id = nextId++;
        waiting.set(id, resolve);
        helper.send({ id, request, timeoutMs }, (error) => {
          if (error === null || !waiting.delete(id)) return;
          resolve(failed('the PAM helper process has ended'));
        });
      }),
    close: () => end(helper),
  };
}

/** Rejects with SallyportError when it can't be started. */
export async function startDownRootHelper(command: readonly string[], options: HelperOptions): Promise<DownRootHelper> {
  const waiting: ((exitCode: number | undefined) => void)[] = [];
  const helper = await startHelper('down-root', command, options, {
    heard: (report) => report.type === 'ran' && waiting.shift()?.(report.exitCode),
    lost: () => {
      for (const settle of waiting.splice(0)) settle(undefined);
    },
  });
  return {
    arm: (environment) => void (helper.connected && helper.send({ type: 'arm', environment }, () => {})),
    run: () =>
      new Promise((resolve) => {
        if (!helper.connected) return resolve(undefined);
        waiting.push(resolve);
        helper.send({ type: 'run' }, () => {});
      }),
    close: () => end(helper),
  };
}

export interface DnsHelper {
  /** The helper's answer. Rejects when it is gone. */
  ask(call: DnsAsked): Promise<unknown>;
  close(): void;
}

/** Rejects with SallyportError when it can't be started. */
export async function startDnsHelper(setup: DnsSetup, options: HelperOptions): Promise<DnsHelper> {
  const waiting = new Map<number, { settle(result: unknown): void; fail(error: Error): void }>();
  let nextId = 1;
  const gone = (): Error => new Error('the helper process for DNS has ended');
  const helper = await startHelper('dns', [], options, {
    started: (started) => started.send(setup, () => {}), // what fails here is told by its end
    heard(report) {
      if (report.type !== 'dns') return;
      waiting.get(report.id)?.settle(report.result);
      waiting.delete(report.id);
    },
    lost() {
      for (const { fail } of waiting.values()) fail(gone());
      waiting.clear();
    },
  });
  return {
    ask: (call) =>
      new Promise((settle, fail) => {
        if (!helper.connected) return fail(gone());
        const id = nextId++;
        waiting.set(id, { settle, fail });
        helper.send({ ...call, id }, (error) => {
          if (error !== null && waiting.delete(id)) fail(gone());
        });
      }),
    close: () => end(helper),
  };
}

function startHelper(
  role: HelperRole,
  words: readonly string[],
  { url, output }: HelperOptions,
  on: { started?(helper: ChildProcess): unknown; heard(report: HelperReport): unknown; lost(): void },
): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    const helper = fork(fileURLToPath(url), [role, ...words], {
      stdio: ['ignore', output ?? 'inherit', output ?? 'inherit', 'ipc'],
      execArgv: [],
    });
    const refuse = (why: string): void =>
      reject(
        new SallyportError(
          `the helper process of ${role === 'dns' ? 'DNS' : `the plug-in ${role}`} did not start: ${why}`,
          {
            code: 'SALLYPORT_HOST',
            blame: 'config',
            ...(role === 'pam'
              ? { hint: 'The PAM library (libpam.so.0) must be installed, and not in a chroot only.' }
              : {}),
          },
        ),
      );
    helper.on('error', (error) => refuse(error.message));
    helper.on('exit', (code, signal) => {
      refuse(`it ended (${signal ?? `exit code ${code}`})`);
      on.lost();
    });
    helper.on('message', (report: HelperReport) => {
      if (report.type !== 'ready') on.heard(report);
      else if (report.problem !== undefined) {
        refuse(report.problem);
        end(helper);
      } else {
        // It lives as long as this program does, and is no reason for it to live on.
        helper.unref();
        helper.channel?.unref();
        resolve(helper);
      }
    });
    on.started?.(helper);
  });
}

function end(helper: ChildProcess): void {
  if (helper.connected) helper.disconnect();
}

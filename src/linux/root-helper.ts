// The entry of helper processes that keep root's rights when this program gives them up: built as dist/bin/root-helper.js,
// started by helpers.ts before that.
//
//   pam         asks its workers, a few at once; a worker that hangs or crashes is one login that failed
//   pam-worker  one login after the other, through PAM
//   down-root   runs one command, with one environment, when it is told to
//
// What a helper does is fixed when it starts: who has got into the program afterwards can ask it for nothing else.

import { type ChildProcess, fork, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { messageOf } from '../error.ts';
import type { DownRootCall, HelperReport, HelperRole, PamCall, PamSetup, PamWorkerCall } from './helper-messages.ts';
import { libc } from './libc.ts';
import { authenticate, type PamRequest, type PamResult, pamProblem } from './pam.ts';

const WORKERS_AT_ONCE = 4;
const MOST_WAITING = 256;
/** A worker is replaced after so many logins: modules leak. */
const LOGINS_OF_A_WORKER = 500;
/** linux/prctl.h */
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

const [, program = '', role, ...words] = process.argv;

const tell = (report: HelperReport): void => {
  process.send?.(report);
};

// The program that started this one hears signals, and ends it.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGPIPE'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit(0));
// A service manager ends all processes at once, but the command of down-root runs at the end of the program.
if (role === 'down-root') process.on('SIGTERM', () => {});
if (role === 'pam') process.on('SIGTERM', () => process.exit(0));

/** A worker inside a PAM module does not hear that this process ends. */
const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

switch (role as HelperRole) {
  case 'pam':
    process.once('message', serveLogins);
    break;
  case 'pam-worker':
    endWithParent();
    tell({ type: 'ready', problem: pamProblem() });
    process.on('message', ({ id, request }: PamWorkerCall) => {
      endWithParent(); // a module that changes its user for a while takes the setting away
      tell({ type: 'pam', id, result: tryLogin(request) });
    });
    break;
  case 'down-root':
    serveCommand(words);
    break;
  // `dns` is a program of its own.
  default:
    process.exit(1);
}

/** Kills this worker when its helper ends, however that comes; the helper's process id is the worker's only word. */
function endWithParent(): void {
  const set = libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) === 0;
  if (!set || process.ppid !== Number(words[0])) process.exit(1);
}

function tryLogin(request: PamRequest): PamResult {
  try {
    return authenticate(request);
  } catch (error) {
    return { accepted: false, problem: messageOf(error), questions: [] };
  }
}

/** Logins in the order in which they come, each in a worker of its own time. */
function serveLogins({ service, answers }: PamSetup): void {
  const waiting: { readonly call: PamWorkerCall; readonly endMs: number }[] = [];
  const idle: Worker[] = [];
  let workers = 0;
  const fail = (id: number, problem: string): void =>
    tell({ type: 'pam', id, result: { accepted: false, problem, questions: [] } });

  const next = (): void => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const leftMs = first.endMs - performance.now();
      if (leftMs <= 0) {
        waiting.shift();
        fail(first.call.id, 'there was no answer in time');
        continue;
      }
      if (idle.length === 0 && workers === WORKERS_AT_ONCE) return;
      waiting.shift();
      const worker = idle.pop() ?? start();
      worker.login(first.call, leftMs, (again) => {
        if (again) idle.push(worker);
        next();
      });
    }
  };
  const start = (): Worker => {
    workers++;
    return createWorker(() => {
      workers--;
      const at = idle.findIndex(({ gone }) => gone);
      if (at >= 0) idle.splice(at, 1);
      next();
    });
  };
  process.on('message', ({ id, request, timeoutMs }: PamCall) => {
    if (waiting.length >= MOST_WAITING) {
      fail(id, 'too many logins at once');
      return;
    }
    waiting.push({ call: { id, request: { ...request, service, answers } }, endMs: performance.now() + timeoutMs });
    next();
  });
  const first = start();
  void first.ready.then((problem) => {
    if (problem === undefined) idle.push(first);
    tell({ type: 'ready', problem });
  });
}

interface Worker {
  readonly gone: boolean;
  /** undefined, or why it is of no use. */
  readonly ready: Promise<string | undefined>;
  /** `done` when it is free again, with whether it can be used for another login. */
  login(call: PamWorkerCall, leftMs: number, done: (again: boolean) => void): void;
}

function createWorker(ended: () => void): Worker {
  const child: ChildProcess = fork(program, ['pam-worker', String(process.pid)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  children.add(child);
  let gone = false;
  let logins = 0;
  let finish: ((result: HelperReport & { type: 'pam' }) => void) | undefined;
  let current: number | undefined;
  let told: (problem: string | undefined) => void = () => {};
  const ready = new Promise<string | undefined>((settle) => {
    told = settle;
  });
  child.on('message', (report: HelperReport) => {
    if (report.type === 'ready') told(report.problem);
    else if (report.type === 'pam' && report.id === current) finish?.(report);
  });
  const lost = (why: string): void => {
    if (gone) return;
    gone = true;
    children.delete(child);
    told(why);
    if (current !== undefined) {
      const result = { accepted: false, problem: why, questions: [] };
      finish?.({ type: 'pam', id: current, result });
    }
    ended();
  };
  child.on('error', (error) => lost(error.message));
  child.on('exit', (code, signal) => lost(`a PAM module ended its process (${signal ?? `exit code ${code}`})`));
  return {
    get gone() {
      return gone;
    },
    ready,
    login(call, leftMs, done) {
      const timer = setTimeout(() => {
        finish?.({
          type: 'pam',
          id: call.id,
          result: { accepted: false, problem: 'the PAM modules gave no answer in time', questions: [] },
        });
        child.kill('SIGKILL');
      }, leftMs);
      current = call.id;
      finish = (report) => {
        clearTimeout(timer);
        finish = undefined;
        current = undefined;
        tell(report);
        const again = !gone && !report.result.problem.endsWith('in time') && ++logins < LOGINS_OF_A_WORKER;
        if (!again && !gone) child.kill('SIGKILL');
        done(again);
      };
      child.send(call);
    },
  };
}

/** Runs `command` as often as it is told to, always with the first environment that it was given. */
function serveCommand(command: readonly string[]): void {
  let environment: Readonly<Record<string, string>> | undefined;
  tell({ type: 'ready' });
  process.on('message', (call: DownRootCall) => {
    if (call.type === 'arm') {
      environment ??= call.environment;
      return;
    }
    const [name = '', ...args] = command;
    const child = spawn(resolve(name), args, { env: environment ?? {}, stdio: ['ignore', 'inherit', 'inherit'] });
    let done = false;
    const finish = (exitCode: number | undefined): void => {
      if (!done) tell({ type: 'ran', exitCode });
      done = true;
    };
    child.on('error', () => finish(undefined));
    child.on('exit', (code) => finish(code ?? undefined));
  });
}

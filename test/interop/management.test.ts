// The management interface of the built command beside the C program's: the same dialog with both, answers compared.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../lab/process.ts';

const OURS = [process.execPath, join(import.meta.dirname, '../../bin/sallyport.js')];
const THEIRS = ['openvpn'];
/** Nobody answers at this port of the loopback. */
const NOWHERE = ['--remote', '127.0.0.1', '9', 'udp', '--nobind'];

let folder: string;
let socketPath: string;
let children: ChildProcess[];

beforeEach(() => {
  folder = mkdtempSync('/tmp/sallyport-management-');
  socketPath = join(folder, 'm.sock');
  children = [];
  writeFileSync(join(folder, 'password'), 'open sesame\n', { mode: 0o600 });
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a client under management; its certificate authority is a fingerprint, so that no file is needed. */
function start(program: readonly string[], ...more: string[]): ChildProcess {
  const [command = '', ...first] = program;
  const fingerprint = Array(32).fill('00').join(':');
  const common = ['--client', '--dev', 'null', ...NOWHERE, '--peer-fingerprint', fingerprint, '--auth-user-pass'];
  const child = spawn(command, [...first, ...common, '--management-query-passwords', ...more], { stdio: 'ignore' });
  children.push(child);
  return child;
}

interface Talk {
  readonly socket: Socket;
  text(): string;
  closed(): boolean;
}

function connect(): Promise<Talk> {
  return eventually(
    'a management socket',
    () =>
      new Promise<Talk | undefined>((resolve) => {
        const socket = createConnection(socketPath);
        let text = '';
        let closed = false;
        socket.setEncoding('utf8');
        socket.on('data', (chunk: string) => {
          text += chunk;
        });
        socket.on('close', () => {
          closed = true;
        });
        socket.once('connect', () => resolve({ socket, text: () => text, closed: () => closed }));
        socket.once('error', () => resolve(undefined));
      }),
  );
}

/** Says a line and waits for what has to be in the answer. */
async function say(talk: Talk, line: string, until: RegExp): Promise<string> {
  const before = talk.text().length;
  talk.socket.write(`${line}\n`);
  return eventually(`an answer to ${line}`, () => {
    const answer = talk.text().slice(before);
    return until.test(answer) ? answer : undefined;
  });
}

/** What another user hears at the socket: its greeting, an error's code, or that it was closed. */
function as(uid: number): string {
  const script = `require('node:net').connect('${socketPath}').on('data', (d) => { process.stdout.write(d); process.exit(); }).on('error', (e) => { console.log(e.code); process.exit(); }).on('close', () => { console.log('closed'); })`;
  const who = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  return spawnSync('setpriv', [...who, process.execPath, '-e', script], { encoding: 'utf8', timeout: 10_000 }).stdout;
}

const ANSWER = /^(SUCCESS|ERROR): .*\r\n/m;
const DIALOG: readonly (readonly [string, RegExp])[] = [
  ['hold', ANSWER],
  ['state on', ANSWER],
  ['verb', ANSWER],
  ['verb 99', ANSWER],
  ['mute', ANSWER],
  ['mute -1', ANSWER],
  ['auth-retry', ANSWER],
  ['auth-retry interact', ANSWER],
  ['signal', ANSWER],
  ['signal SIGFOO', ANSWER],
  ['signal SIGUSR1', />HOLD:.*\r\n/],
  ['kill x', ANSWER],
  ['load-stats', ANSWER],
  ['net', ANSWER],
  ['echo', ANSWER],
  ['echo all', /END\r\n/],
  ['log x', ANSWER],
  ['password "Auth" x', ANSWER],
  ['username Auth', ANSWER],
  ['needok a ok', ANSWER],
  ['needstr a b', ANSWER],
  ['bytecount 0', ANSWER],
  ['pk-sig', ANSWER],
  ['env-filter 2', ANSWER],
  ['client-kill 1', ANSWER],
  ['hold release', />PASSWORD:.*\r\n/],
  ['username "Private Key" x', ANSWER],
  ['username "Auth" "bob \\"b\\""', ANSWER],
  ['password "Auth" secret', />STATE:\d+,WAIT,.*\r\n/],
  ['state all', /END\r\n/],
  ['signal SIGTERM', /EXITING.*\r\n/],
];

/** Servers of other modes refuse what a client has before it starts; numbers and times differ. */
const comparable = (text: string): string => text.replace(/\d{10},/g, 'TIME,').replace(/^>BYTECOUNT.*\r\n/gm, '');

async function dialogWith(program: readonly string[]): Promise<readonly string[]> {
  const child = start(program, '--management', socketPath, 'unix', '--management-hold');
  const talk = await connect();
  await eventually('the hold', () => talk.text().includes('>HOLD:') || undefined);
  const answers: string[] = [];
  for (const [line, until] of DIALOG) answers.push(`${line} -> ${comparable(await say(talk, line, until))}`);
  await eventually('its end', () => (child.exitCode !== null ? true : undefined));
  return answers;
}

describe('the management interface', () => {
  it('answers as the C program does', { timeout: 60_000 }, async () => {
    const theirs = await dialogWith(THEIRS);
    expect(await dialogWith(OURS)).toEqual(theirs);
    expect(existsSync(socketPath)).toBe(false);
  });

  it('ends within two seconds of SIGTERM, while it asks for a password', { timeout: 30_000 }, async () => {
    const child = start(OURS, '--management', socketPath, 'unix');
    const talk = await connect();
    await eventually('the question', () => talk.text().includes(">PASSWORD:Need 'Auth'") || undefined);
    const before = performance.now();
    child.kill('SIGTERM');
    await eventually('its end', () => (child.exitCode !== null ? true : undefined));
    expect(performance.now() - before).toBeLessThan(2000);
    expect(child.exitCode).toBe(0);
  });

  it('sends a client away after three wrong passwords, and takes the right one', { timeout: 30_000 }, async () => {
    start(OURS, '--management', socketPath, 'unix', join(folder, 'password'));
    const wrong = await connect();
    for (let tries = 0; tries < 3; tries++) await say(wrong, 'open sesam', /ERROR: bad password/);
    await eventually('the end of the session', () => wrong.closed() || undefined);
    expect(wrong.text()).not.toContain('>');
    const right = await connect();
    await say(right, 'open sesame', /SUCCESS: password is correct\r\n>INFO:/);
  });

  it('refuses another user than the one it was told', { timeout: 30_000 }, async () => {
    start(OURS, '--management', socketPath, 'unix', '--management-client-user', 'nobody');
    const talk = await connect();
    await eventually('the end of the session', () => talk.closed() || undefined);
    expect(talk.text()).toBe('');
  });

  it('lets in the user that it was told, who is not root, and nobody else', { timeout: 30_000 }, async () => {
    chmodSync(folder, 0o755);
    start(OURS, '--management', socketPath, 'unix', '--management-client-user', 'nobody');
    await connect();
    expect(as(65_534)).toMatch(/^>INFO:/);
    expect(as(12_345)).toBe('closed\n');
  });

  it('is reached by its owner alone, as the umask has it, where nobody was named', { timeout: 30_000 }, async () => {
    chmodSync(folder, 0o755);
    const before = process.umask(0o022);
    try {
      start(OURS, '--management', socketPath, 'unix');
    } finally {
      process.umask(before);
    }
    await connect();
    const { mode, uid, gid } = statSync(socketPath);
    expect([mode & 0o777, uid, gid]).toEqual([0o755, process.getuid?.(), process.getgid?.()]);
    expect(as(65_534)).toBe('EACCES\n');
  });

  it('goes on beside a client that hangs, and one that says a megabyte', { timeout: 30_000 }, async () => {
    const child = start(OURS, '--management', socketPath, 'unix', '--management-hold');
    const talk = await connect();
    talk.socket.write('x'.repeat(1024 * 1024));
    expect(await say(talk, '', /ERROR: .*\r\n/)).toMatch(/too long/);
    await say(talk, 'pid', /SUCCESS: pid=/);
    talk.socket.pause();
    for (let i = 0; i < 20; i++) talk.socket.write('test 20000\n');
    talk.socket.once('close', () => {});
    talk.socket.destroy();
    const next = await connect();
    await say(next, 'hold', /SUCCESS: hold=1/);
    expect(child.exitCode).toBeNull();
  });
});

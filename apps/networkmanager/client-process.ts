// The client as a process of its own without rights: the device comes as an open descriptor, settings and secrets as lines
// of JSON on another one, never as arguments or in the environment. It ends when the service ends, and the device with it.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { lookupUser } from '../../src/command.ts';
import { type OpenDevice, openHandedDevice } from '../../src/handed-device.ts';
import type { ClientProblem } from './failure.ts';
import {
  FROM_CLIENT_LIMIT_BYTES,
  type FromClient,
  JsonLines,
  MESSAGE_FD,
  readFromClient,
  type ToClient,
} from './messages.ts';
import type { NmSettings, ReadLine } from './settings.ts';

/** network-manager-openvpn's, and the package's own. Not nobody: other services are that, too, and could look into the client. */
const ACCOUNTS = ['nm-openvpn', 'sallyport'];
/** The exit notice takes a second. */
const STOP_MS = 3_000;

export interface ClientOrder {
  readonly name: string;
  readonly settings: Pick<NmSettings, 'device' | 'blocksIpv6Leak'>;
  readonly lines: readonly ReadLine[];
  readonly verb: number;
}

export interface ClientEvents {
  message(message: FromClient): void;
  /** It is gone, after everything that it said. */
  ended(problem: ClientProblem | undefined): void;
}

export interface ClientProcess {
  readonly device: string;
  send(message: ToClient): void;
  /** Asks it to end, and kills it where it does not. Resolves when it is gone. */
  stop(): Promise<void>;
}

/** `url`: the built client. It runs as the first of `accounts` that exists. Throws HostError where there can be no device. */
export function startClient(
  order: ClientOrder,
  url: URL,
  events: ClientEvents,
  accounts: readonly string[] = ACCOUNTS,
): ClientProcess {
  const { device, close } = openHandedDevice(order.settings.device.name, order.settings.device.layer);
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [fileURLToPath(url)], {
      cwd: '/',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      // A crash is told where the service's own is.
      stdio: ['ignore', 'ignore', 'inherit', 'pipe', device.fd],
      ...unprivileged(accounts),
    });
  } finally {
    // The client alone has it from here: the device goes when the client goes.
    close();
  }
  return new Running(child, device, order, events);
}

/** Nothing where this process has no rights to give up. */
function unprivileged(accounts: readonly string[]): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  for (const name of accounts) {
    const account = lookupUser(name);
    if (account !== undefined) return { uid: account.uid, gid: account.gid };
  }
  throw new Error(
    `neither user exists (${accounts.join(', ')}), and the client does not run as root: useradd --system ${accounts.at(-1)}`,
  );
}

class Running implements ClientProcess {
  readonly device: string;
  readonly #child: ChildProcess;
  readonly #pipe: Duplex;
  readonly #gone: Promise<void>;
  #problem: ClientProblem | undefined;
  #told = false;
  #stopping = false;

  constructor(child: ChildProcess, device: OpenDevice, order: ClientOrder, events: ClientEvents) {
    this.device = device.name;
    this.#child = child;
    this.#pipe = child.stdio[MESSAGE_FD] as Duplex;
    const lines = new JsonLines(FROM_CLIENT_LIMIT_BYTES);
    this.#pipe.on('error', () => {});
    this.#pipe.on('data', (bytes: Buffer) => {
      try {
        for (const value of lines.push(bytes)) this.#hear(readFromClient(value), events);
      } catch (error) {
        // Who speaks nonsense is no client of ours any more.
        this.#problem ??= problemOf(`The client process said what can't be meant: ${(error as Error).message}`);
        child.kill('SIGKILL');
      }
    });
    this.#gone = new Promise((resolve) => {
      const end = (words: string): void => {
        if (!this.#told) this.#problem ??= problemOf(words);
        resolve();
        events.ended(this.#stopping ? undefined : this.#problem);
      };
      child.once('error', (error) => {
        if (child.pid === undefined) end(`The client process could not be started: ${error.message}`);
      });
      child.once('close', (code, signal) => end(`The client process has ended (${signal ?? `exit code ${code}`})`));
    });
    const { index, persistent, offload, name } = device;
    this.send({
      type: 'start',
      name: order.name,
      lines: order.lines,
      device: { name, index, persistent, offload },
      blocksIpv6: order.settings.blocksIpv6Leak,
      verb: order.verb,
    });
  }

  send(message: ToClient): void {
    if (this.#pipe.writable) this.#pipe.write(`${JSON.stringify(message)}\n`);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.send({ type: 'stop' });
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await this.#gone;
    clearTimeout(timer);
  }

  #hear(message: FromClient | undefined, events: ClientEvents): void {
    if (message === undefined) throw new Error('a message of no known form');
    if (message.type === 'ended') {
      this.#told = true;
      this.#problem = message.problem;
    } else events.message(message);
  }
}

const problemOf = (message: string): ClientProblem => ({
  code: 'SALLYPORT_INTERNAL',
  message,
  hint: undefined,
  retry: false,
});

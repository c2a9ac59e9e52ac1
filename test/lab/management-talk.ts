// A management client that says lines and waits for others; all that it heard is kept, to be compared.

import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { eventually } from './process.ts';

const WAIT_MS = 20_000;

export class Talk {
  readonly #socket: Socket;
  #text = '';
  #seen = 0;
  #isClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.#text += text;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#isClosed = true;
    });
  }

  /** Connects to a socket that is about to be opened: a path, or a port of the loopback. */
  static open(at: string | number): Promise<Talk> {
    return eventually(
      `a management socket at ${at}`,
      () =>
        new Promise<Talk | undefined>((resolve) => {
          const socket = typeof at === 'string' ? createConnection(at) : createConnection(at, '127.0.0.1');
          socket.once('connect', () => resolve(new Talk(socket)));
          socket.once('error', () => resolve(undefined));
        }),
    );
  }

  /** Listens, for a program with `management-client`; resolves when it is there. */
  static listen(path: string): { readonly server: Server; readonly talk: Promise<Talk> } {
    let take = (_: Talk): void => {};
    const talk = new Promise<Talk>((resolve) => {
      take = resolve;
    });
    const server = createServer((socket) => take(new Talk(socket)));
    server.listen(path);
    return { server, talk };
  }

  get text(): string {
    return this.#text;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  write(text: string): void {
    this.#socket.write(text);
  }

  pause(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Waits for text that has not been waited for yet; returns all that came up to its end. */
  hear(what: RegExp, waitMs = WAIT_MS): Promise<string> {
    return eventually(
      () => `${what} in ${JSON.stringify(this.#text.slice(this.#seen).slice(-600))}`,
      () => {
        const rest = this.#text.slice(this.#seen);
        const found = what.exec(rest);
        if (found === null) return undefined;
        const end = found.index + found[0].length;
        this.#seen += end;
        return rest.slice(0, end);
      },
      waitMs,
    );
  }

  /** Says lines, and waits for what has to come then. */
  say(lines: string, until: RegExp = /^(SUCCESS|ERROR): .*\r\n/m): Promise<string> {
    this.write(`${lines}\n`);
    return this.hear(until);
  }

  async ended(): Promise<void> {
    await eventually('the end of the session', () => this.#isClosed || undefined, WAIT_MS);
  }
}

/** Times, ports of the kernel's choice and the like differ between two runs of the same. */
export const comparable = (text: string): string =>
  text
    .replace(/\r\n/g, '\n')
    .replace(/\b1[789]\d{8}\b/g, 'TIME')
    .replace(/Interface Version \d/g, 'Interface Version N')
    .replace(/pid=\d+/g, 'pid=N');

/** The talks of one test, closed after it. */
export function useTalks(): Talk[] {
  const talks: Talk[] = [];
  afterEach(() => {
    for (const talk of talks.splice(0)) talk.close();
  });
  return talks;
}

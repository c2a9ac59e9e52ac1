// The management socket of a real server: what a program behind `management-client-auth` sees and says.

import { createConnection, type Socket } from 'node:net';
import { eventually } from './process.ts';

/** A `>CLIENT:` notification with its environment. */
export interface ClientEvent {
  readonly type: string;
  readonly cid: string;
  readonly kid: string;
  /** Further words: the response of CR_RESPONSE. */
  readonly rest: string;
  readonly env: Readonly<Record<string, string>>;
}

const waitMs = 20_000;

export class Management {
  readonly lines: string[] = [];
  readonly #socket: Socket;
  readonly #events: ClientEvent[] = [];
  #reading: { type: string; cid: string; kid: string; rest: string; env: Record<string, string> } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      const parts = (rest + text).split(/\r?\n/);
      rest = parts.pop() ?? '';
      for (const line of parts) this.#take(line);
    });
    socket.on('error', () => {});
  }

  /** Connects to a socket that the server is about to open. */
  static open(path: string): Promise<Management> {
    return eventually(
      `a management socket at ${path}`,
      () =>
        new Promise<Management | undefined>((resolve) => {
          const socket = createConnection(path);
          socket.once('connect', () => resolve(new Management(socket)));
          socket.once('error', () => resolve(undefined));
        }),
    );
  }

  /** Says a command and waits for its answer. */
  async command(...lines: readonly string[]): Promise<string> {
    const from = this.lines.length;
    this.#socket.write(`${lines.join('\n')}\n`);
    return eventually(
      `an answer to ${lines[0]}`,
      () => this.lines.slice(from).find((line) => /^(SUCCESS|ERROR):/.test(line)),
      waitMs,
    );
  }

  /** The next notification of a type that has not been taken yet. */
  event(type: string): Promise<ClientEvent> {
    return eventually(
      `>CLIENT:${type}`,
      () => {
        const index = this.#events.findIndex((event) => event.type === type);
        return index < 0 ? undefined : this.#events.splice(index, 1)[0];
      },
      waitMs,
    );
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(line: string): void {
    if (!line.startsWith('>CLIENT:')) {
      this.lines.push(line);
      return;
    }
    const words = line.slice('>CLIENT:'.length);
    if (words === 'ENV,END') {
      if (this.#reading !== undefined) this.#events.push(this.#reading);
      this.#reading = undefined;
    } else if (words.startsWith('ENV,')) {
      const at = words.indexOf('=');
      if (this.#reading !== undefined) this.#reading.env[words.slice(4, at)] = words.slice(at + 1);
    } else {
      const [type = '', cid = '', kid = '', ...rest] = words.split(',');
      this.#reading = { type, cid, kid, rest: rest.join(','), env: {} };
    }
  }
}

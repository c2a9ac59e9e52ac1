// A proxy in memory for tests of a whole client: each connection is talked to by a function of the test.

import type { ByteStream, StreamPort } from '../../src/ports.ts';

/** One connection, as the proxy sees it. */
export interface ProxyConnection {
  /** What has come on this connection so far, as Latin-1 text. */
  readonly heard: string;
  say(text: string | Uint8Array): void;
  hangUp(): void;
}

export class FakeProxy implements StreamPort {
  /** Called with each piece that comes. */
  talk: (connection: ProxyConnection, bytes: Uint8Array) => void = () => {};
  /** Why connections are not taken; `never` leaves them waiting. */
  refuses: string | 'never' | undefined;
  readonly connections: FakeStream[] = [];
  /** Hears of each descriptor that is closed. */
  onClosed: (fd: number) => void = () => {};

  open(fd: number): ByteStream {
    const stream = new FakeStream(this, fd);
    this.connections.push(stream);
    return stream;
  }

  get last(): FakeStream {
    const stream = this.connections.at(-1);
    if (stream === undefined) throw new Error('nobody came');
    return stream;
  }

  /** Connections that the client has not given back. */
  get openCount(): number {
    return this.connections.filter(({ isClosed }) => !isClosed).length;
  }
}

class FakeStream implements ByteStream, ProxyConnection {
  heard = '';
  isClosed = false;
  readonly fd: number;
  readonly #proxy: FakeProxy;
  readonly #queue: Uint8Array[] = [];
  #isEnded = false;
  #wake: () => void = () => {};

  constructor(proxy: FakeProxy, fd: number) {
    this.#proxy = proxy;
    this.fd = fd;
  }

  async connected(): Promise<void> {
    const { refuses } = this.#proxy;
    if (refuses === 'never') await new Promise(() => {});
    if (refuses !== undefined) throw new Error(refuses);
  }

  send(bytes: Uint8Array): void {
    this.heard += Buffer.from(bytes).toString('latin1');
    this.#proxy.talk(this, bytes);
  }

  async receive(): Promise<Uint8Array | undefined> {
    for (;;) {
      const bytes = this.#queue.shift();
      if (bytes !== undefined || this.#isEnded) return bytes;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  release(): Uint8Array {
    const rest = Buffer.concat(this.#queue);
    this.close();
    return rest;
  }

  async ended(): Promise<void> {
    while (!this.#isEnded && !this.isClosed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  say(text: string | Uint8Array): void {
    this.#queue.push(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
    this.#wake();
  }

  /** The proxy ends the connection. */
  hangUp(): void {
    this.#isEnded = true;
    this.#wake();
  }

  close(): void {
    if (!this.isClosed) this.#proxy.onClosed(this.fd);
    this.isClosed = true;
    this.#isEnded = true;
    this.#wake();
  }
}

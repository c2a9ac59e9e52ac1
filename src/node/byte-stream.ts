// A socket's descriptor as a stream of bytes, for as long as somebody on the main thread has to talk on it.

import { Socket } from 'node:net';
import { getSystemErrorMap } from 'node:util';
import type { ByteStream, StreamPort } from '../ports.ts';

export function createStreamPort(): StreamPort {
  return { open: (fd) => new SocketStream(new Socket({ fd, readable: true, writable: true })) };
}

class SocketStream implements ByteStream {
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??= sentence(error);
    });
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** An empty write waits for the connection as any other does, and tells how it went. */
  async connected(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(new Uint8Array(0), (error) => (error ? reject(sentence(error)) : resolve()));
    });
  }

  send(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  async receive(): Promise<Uint8Array | undefined> {
    const socket = this.#socket;
    for (;;) {
      const bytes = socket.read() as Buffer | null;
      if (bytes !== null) return bytes;
      await this.#failure();
      if (socket.readableEnded || socket.destroyed) return undefined;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          for (const event of ['readable', 'end', 'close'] as const) socket.off(event, wake);
          resolve();
        };
        for (const event of ['readable', 'end', 'close'] as const) socket.once(event, wake);
      });
    }
  }

  release(): Uint8Array {
    const rest = this.#socket.read() as Buffer | null;
    this.close();
    return rest ?? new Uint8Array(0);
  }

  ended(): Promise<void> {
    this.#socket.resume();
    return this.#closed;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** An error that was told with the callback is told as an event a moment later. */
  async #failure(): Promise<void> {
    if (this.#socket.errored !== null && this.#error === undefined) await this.#closed;
    if (this.#error !== undefined) throw this.#error;
  }
}

/** The system's sentence, as the C library has it. */
function sentence(error: NodeJS.ErrnoException): Error {
  const words = WORDS.get(error.code ?? '') ?? getSystemErrorMap().get(error.errno ?? 0)?.[1] ?? error.message;
  return new Error(`${words.charAt(0).toUpperCase()}${words.slice(1)}`, { cause: error });
}

const WORDS = new Map([
  ['EHOSTUNREACH', 'No route to host'],
  ['EPIPE', 'Broken pipe'],
]);

// The socket of the management interface: listens or connects, one client at a time, and knows nothing of commands. A
// client that does not read is cut off once too much waits for it.

import { lstatSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { peerCredentials, SallyportError } from '../../src/command.ts';
import type { ManagementOutput } from './core.ts';
import type { ManagementSettings } from './settings.ts';

/** What may wait for a client that does not read. */
const OUTPUT_BYTES = 4 * 1024 * 1024;
/** Those who come while another is there wait; more are sent away. */
const WAITING = 4;
const HALT_MS = 300;

export interface SocketEvents {
  connected(output: ManagementOutput, description: string): void;
  data(bytes: Uint8Array): void;
  disconnected(): void;
  log(text: string): void;
}

/** Who may connect; undefined: everybody. */
export interface Allowed {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

export interface ManagementSocket {
  /** Sends what waits, and takes the socket away. */
  close(): Promise<void>;
}

/** Resolves when clients can come, or when we are connected. Rejects with SallyportError. */
export async function openSocket(
  settings: ManagementSettings,
  allowed: Allowed,
  events: SocketEvents,
): Promise<ManagementSocket> {
  const clients = new Clients(settings, allowed, events);
  if (settings.connects) {
    await clients.connect();
    return { close: () => clients.close() };
  }
  const server = await listen(settings, (socket) => clients.add(socket));
  const where = whereOf(settings, server);
  events.log(where);
  return {
    async close() {
      server.close();
      await clients.close();
      if ('path' in settings.at) removeSocketFile(settings.at.path);
    },
  };
}

class Clients {
  readonly #settings: ManagementSettings;
  readonly #allowed: Allowed;
  readonly #events: SocketEvents;
  #current: Socket | undefined;
  #waiting: Socket[] = [];
  #closed = false;

  constructor(settings: ManagementSettings, allowed: Allowed, events: SocketEvents) {
    this.#settings = settings;
    this.#allowed = allowed;
    this.#events = events;
  }

  add(socket: Socket): void {
    socket.on('error', () => {});
    if (this.#closed || this.#waiting.length >= WAITING || !this.#isAllowed(socket)) {
      socket.destroy();
      return;
    }
    if (this.#current !== undefined) {
      this.#waiting.push(socket);
      return;
    }
    this.#begin(socket, 'Client connected from');
  }

  async connect(): Promise<void> {
    const { at } = this.#settings;
    const socket = 'path' in at ? createConnection(at.path) : createConnection(at.port, at.host);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error) =>
        reject(
          new SallyportError(`MANAGEMENT: connect to ${addressOf(at)} failed: ${error.message}`, {
            code: 'SALLYPORT_CONFIG',
            blame: 'config',
            cause: error,
            hint: 'Start the management client first: with management-client it has to listen there.',
          }),
        ),
      );
    });
    socket.on('error', () => {});
    if (!this.#isAllowed(socket)) {
      socket.destroy();
      throw new SallyportError(`MANAGEMENT: connect to ${addressOf(at)} failed: it belongs to another user`, {
        code: 'SALLYPORT_CONFIG',
        blame: 'config',
        hint: 'Check management-client-user and management-client-group.',
      });
    }
    this.#begin(socket, 'Connected to management server at');
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const socket of this.#waiting) socket.destroy();
    const current = this.#current;
    if (current === undefined) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        current.destroy();
        resolve();
      };
      current.end(done);
      setTimeout(done, HALT_MS).unref();
    });
  }

  #begin(socket: Socket, words: string): void {
    const { at } = this.#settings;
    this.#current = socket;
    socket.setNoDelay(true);
    let halted = false;
    const output: ManagementOutput = {
      send(text) {
        if (halted || socket.destroyed) return;
        if (socket.writableLength > OUTPUT_BYTES) {
          halted = true;
          socket.destroy();
        } else socket.write(text);
      },
      halt() {
        if (halted) return;
        halted = true;
        socket.end();
        setTimeout(() => socket.destroy(), HALT_MS).unref();
      },
    };
    const peer = socket.remoteAddress;
    const from = 'path' in at || peer === undefined ? addressOf(at) : `[AF_INET]${peer}:${socket.remotePort}`;
    socket.on('data', (bytes) => {
      if (!halted) this.#events.data(bytes);
    });
    socket.on('end', () => socket.end());
    socket.once('close', () => this.#gone(socket));
    this.#events.connected(output, `${words} ${from}`);
  }

  #gone(socket: Socket): void {
    if (this.#current !== socket) return;
    this.#current = undefined;
    this.#events.disconnected();
    if (this.#closed) return;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next.destroyed) continue;
      this.#begin(next, 'Client connected from');
      return;
    }
  }

  #isAllowed(socket: Socket): boolean {
    const { uid, gid } = this.#allowed;
    if (!('path' in this.#settings.at) || (uid === undefined && gid === undefined)) return true;
    const prefix = 'MANAGEMENT: unix domain socket client connection rejected --';
    const peer = peerCredentials(socket);
    if (peer === undefined) {
      this.#events.log(`${prefix} cannot get UID/GID of socket peer`);
      return false;
    }
    for (const [name, has, needs, option] of [
      ['UID', peer.uid, uid, 'user'],
      ['GID', peer.gid, gid, 'group'],
    ] as const) {
      if (needs === undefined || has === needs) continue;
      this.#events.log(
        `${prefix} ${name} of socket peer (${has}) doesn't match required value (${needs}) as given by --management-client-${option}`,
      );
      return false;
    }
    return true;
  }
}

function listen(settings: ManagementSettings, accept: (socket: Socket) => void): Promise<Server> {
  const { at } = settings;
  if ('path' in at) removeSocketFile(at.path);
  const server = createServer({ allowHalfOpen: false }, accept);
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new SallyportError(`MANAGEMENT: Socket bind failed on local address ${addressOf(at)}: ${error.message}`, {
          code: 'SALLYPORT_CONFIG',
          blame: 'config',
          cause: error,
          hint: 'Write another address after management, or end the program that has this one.',
        }),
      ),
    );
    server.listen('path' in at ? { path: at.path } : { host: at.host, port: at.port }, () => resolve(server));
  });
}

/** Nothing but a socket is ever taken away. */
function removeSocketFile(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // It is not there, or not ours to remove.
  }
}

const addressOf = (at: ManagementSettings['at']): string => ('path' in at ? at.path : `[AF_INET]${at.host}:${at.port}`);

function whereOf({ at }: ManagementSettings, server: Server): string {
  if ('path' in at) return `MANAGEMENT: unix domain socket listening on ${at.path}`;
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : at.port;
  return `MANAGEMENT: TCP Socket listening on [AF_INET]${at.host}:${port}`;
}

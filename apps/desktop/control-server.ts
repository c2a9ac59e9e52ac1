// The control socket of a tunnel that `sallyport up` started: HTTP and JSON on a Unix socket (docs/CONTROL.md). Who may
// ask is decided by the kernel's word on the peer's user id; a reader that hangs is dropped and holds nothing up.

import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import {
  type ClientObserver,
  type ClientState,
  type ClientStatistics,
  cleanTerminalText,
  formatLogLine,
  type JournalEntry,
  type Logger,
  peerCredentials,
  SallyportError,
  type SignalName,
  standingDns,
  startTimeOf,
  type TerminalPort,
} from '../../src/command.ts';
import { statusOf, type TunnelNames, type TunnelStatus } from './status-model.ts';

/** What `up` hands over to the process that it starts. */
export interface ControlOrder {
  readonly name: string;
  readonly profile: string;
  readonly socket: string;
  readonly record: string;
}

export interface ControlledClient {
  signal(name: SignalName): void;
  lookAtHost(): void;
  statistics(): ClientStatistics;
  /** What stands on the host of what was done to it. */
  changes(): readonly JournalEntry[];
}

export interface EndReport {
  readonly exitCode: number;
  readonly message: string | null;
  readonly hint: string | null;
}

export interface Control {
  readonly observer: ClientObserver;
  readonly terminal: TerminalPort;
  /** The logger, with everybody who follows the log listening. */
  tap(logger: Logger): Logger;
  attach(client: ControlledClient | undefined): void;
  /** Tells everybody how it ended, and removes the socket. */
  close(end: EndReport): Promise<void>;
}

const MAX_BODY_BYTES = 8192;
const MAX_CONNECTIONS = 16;
const MAX_UNREAD_BYTES = 256 * 1024;
const KEPT_LINES = 1000;
const QUESTION_LIMIT_MS = 300_000;
const CLOSE_LIMIT_MS = 500;

/** Whether this user may read and steer a tunnel of `owner`. */
export const mayControl = (uid: number | undefined, owner: number): boolean =>
  uid !== undefined && (uid === 0 || uid === owner);

/** Opens the socket. Rejects when a tunnel of the name runs already. `uidOf`: for tests. */
export async function openControl(
  order: ControlOrder,
  uidOf: (socket: Socket) => number | undefined = kernelUid,
): Promise<Control> {
  const owner = process.getuid?.() ?? 0;
  const names: TunnelNames = { name: order.name, profile: order.profile, pid: process.pid };
  const seconds = (): number => Math.floor(Date.now() / 1000);
  let state: ClientState | undefined;
  let sinceUnix = seconds();
  let client: ControlledClient | undefined;
  let asked = 0;
  const lines: string[] = [];
  const events = new Set<ServerResponse>();
  const followers = new Set<ServerResponse>();
  const questions = new Map<number, { readonly event: object; answer(text: string): void }>();

  const status = (): TunnelStatus =>
    statusOf(names, { state, sinceUnix, statistics: client?.statistics(), changes: client?.changes() ?? [] });
  const send = (to: Set<ServerResponse>, text: string): void => {
    for (const response of to) {
      // Nobody's slowness may grow this process.
      if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
      else response.write(text);
    }
  };
  const tell = (event: object): void => send(events, `${JSON.stringify(event)}\n`);

  const answers: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>> = {
    'GET /status': (_, response) => json(response, 200, status()),
    'GET /plan': (_, response) => json(response, 200, planOf(state, client)),
    'GET /events': (_, response) => {
      stream(response, events);
      response.write(`${JSON.stringify({ type: 'status', status: status() })}\n`);
      for (const { event } of questions.values()) response.write(`${JSON.stringify(event)}\n`);
    },
    'GET /log': (request, response) => {
      const follow = request.url?.endsWith('follow=1') === true;
      stream(response, follow ? followers : new Set());
      const text = lines.map((line) => `${line}\n`).join('');
      if (follow) response.write(text);
      else response.end(text);
    },
    'POST /down': (_, response) => {
      json(response, 202, {});
      client?.signal('SIGTERM');
    },
    'POST /reconnect': (_, response) => {
      json(response, 202, {});
      client?.signal('SIGUSR1');
    },
    'POST /refresh': (_, response) => {
      json(response, 202, {});
      client?.lookAtHost();
    },
    'POST /answer': (request, response) => {
      void readBody(request).then((body) => {
        const { id, text } = body as { id?: unknown; text?: unknown };
        const question = typeof id === 'number' && typeof text === 'string' ? questions.get(id) : undefined;
        if (question === undefined) return json(response, 400, { error: 'there is no such question' });
        question.answer(text as string);
        json(response, 200, {});
      });
    },
  };

  const server = createServer(
    { maxHeaderSize: 8192, requestTimeout: 5000, headersTimeout: 5000 },
    (request, response) => {
      response.on('error', () => {});
      if (!mayControl(uidOf(request.socket), owner))
        return json(response, 403, { error: 'it belongs to another user' });
      const path = request.url?.split('?')[0] ?? '';
      const answer = answers[`${request.method} ${path}`];
      if (answer === undefined) return json(response, 404, { error: 'there is no such thing here' });
      answer(request, response);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on('clientError', (_, socket) => socket.destroy());
  await listen(server, order);
  // The tunnel, not its socket, keeps the process alive.
  server.unref();
  writeRecord(order, { ...names, startTime: startTimeOf(process.pid), sinceUnix });

  return {
    observer: {
      state(next) {
        if (next.phase !== state?.phase) sinceUnix = seconds();
        state = next;
        tell({ type: 'status', status: status() });
      },
      peerConnected() {},
      info() {},
    },
    terminal: {
      ask({ prompt, echo, suffix = ':' }, signal) {
        if (events.size === 0) return Promise.reject(nobody(prompt));
        return new Promise((resolve, reject) => {
          asked += 1;
          const id = asked;
          const done = (): void => {
            questions.delete(id);
            clearTimeout(timer);
            signal.removeEventListener('abort', fail);
          };
          const fail = (): void => {
            done();
            reject(nobody(prompt));
          };
          const timer = setTimeout(fail, QUESTION_LIMIT_MS);
          signal.addEventListener('abort', fail, { once: true });
          const event = { type: 'question', id, text: cleanTerminalText(prompt), echo, suffix };
          questions.set(id, {
            event,
            answer(text) {
              done();
              resolve(text);
            },
          });
          tell(event);
        });
      },
      tell: (text) => tell({ type: 'tell', text: cleanTerminalText(text) }),
    },
    tap(logger) {
      const keep = (line: string): void => {
        lines.push(line);
        if (lines.length > KEPT_LINES) lines.shift();
        send(followers, `${line}\n`);
      };
      return {
        ...logger,
        // Read when they are asked for: they change.
        get verb() {
          return logger.verb;
        },
        get mute() {
          return logger.mute;
        },
        setSink: (sink) =>
          logger.setSink((line) => {
            sink(line);
            keep(formatLogLine(line, { suppressTimestamps: false, machineReadable: false }));
          }),
      };
    },
    attach(next) {
      client = next;
    },
    async close(end) {
      tell({ type: 'ended', ...end });
      for (const response of [...events, ...followers]) response.end();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const path of [order.socket, order.record]) rmQuietly(path);
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, CLOSE_LIMIT_MS))]);
      server.closeAllConnections();
    },
  };
}

/** The plan in force, the steps of it that stand on the host, and the name servers that were set; null while it is not up. */
function planOf(state: ClientState | undefined, client: ControlledClient | undefined): object | null {
  if (state?.phase !== 'connected') return null;
  const journal = client?.changes() ?? [];
  return { plan: state.plan, journal, dns: standingDns(journal) ?? null };
}

const kernelUid = (socket: Socket): number | undefined => peerCredentials(socket)?.uid;

function json(response: ServerResponse, code: number, value: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json', connection: 'close' });
  response.end(`${JSON.stringify(value)}\n`);
}

function stream(response: ServerResponse, listeners: Set<ServerResponse>): void {
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  listeners.add(response);
  response.on('close', () => listeners.delete(response));
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = '';
  try {
    for await (const part of request) {
      text += part;
      if (text.length > MAX_BODY_BYTES) return {};
    }
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

async function listen(server: Server, order: ControlOrder): Promise<void> {
  const before = process.umask(0o177);
  try {
    await listenOn(server, order.socket).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      if (await answers(order.socket)) {
        throw new SallyportError(`${order.name} is up already`, {
          code: 'SALLYPORT_CONFIG',
          blame: 'config',
          hint: `sallyport status ${order.name} has more; sallyport down ${order.name} ends it.`,
        });
      }
      rmQuietly(order.socket);
      await listenOn(server, order.socket);
    });
  } finally {
    process.umask(before);
  }
  chmodSync(order.socket, 0o600);
}

const listenOn = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.removeListener('error', reject);
      server.on('error', () => {});
      resolve();
    });
  });

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

function writeRecord({ record, socket }: ControlOrder, value: object): void {
  rmQuietly(`${record}.new`);
  try {
    writeFileSync(`${record}.new`, `${JSON.stringify(value)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(`${record}.new`, record);
  } catch (error) {
    for (const path of [`${record}.new`, socket]) rmQuietly(path);
    throw error;
  }
}

function rmQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // After the rights were given up: whoever starts next finds nobody behind it and removes it.
  }
}

const nobody = (prompt: string): SallyportError =>
  new SallyportError(`"${cleanTerminalText(prompt)}" is asked, and nobody is there to answer`, {
    code: 'SALLYPORT_CREDENTIALS',
    blame: 'config',
    hint: 'Connect again with sallyport up, on a terminal.',
  });

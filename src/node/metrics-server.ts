// `metrics`: counters of a server for Prometheus, over HTTP. Whoever reaches the port may read them and do nothing else;
// a reader costs little and can't hold anything for long.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { SallyportError } from '../error.ts';

export interface MetricsServer {
  /** Where it listens; the port is the system's where 0 was asked for. */
  readonly address: AddressInfo;
  /** The longest that the event loop was late since this was asked last, in seconds. */
  eventLoopDelaySeconds(): number;
  close(): Promise<void>;
}

const CONNECTIONS_LIMIT = 16;
const HEADERS_LIMIT_BYTES = 8192;
const REQUEST_MS = 5000;
const IDLE_MS = 10_000;
const DELAY_RESOLUTION_MS = 20;

/**
 * Listens and answers GET and HEAD of `/metrics` with `text()`. Rejects with a SallyportError when the address can't be
 * had.
 */
export async function openMetricsServer(
  listen: { readonly host: string; readonly port: number },
  contentType: string,
  text: () => string,
): Promise<MetricsServer> {
  const { createServer } = await import('node:http');
  const server = createServer(
    { maxHeaderSize: HEADERS_LIMIT_BYTES, headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS },
    (request, response) => answer(request, response, contentType, text),
  );
  server.maxConnections = CONNECTIONS_LIMIT;
  server.keepAliveTimeout = IDLE_MS;
  server.setTimeout(IDLE_MS);
  await listening(server, listen);
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  return {
    address: server.address() as AddressInfo,
    eventLoopDelaySeconds() {
      // Counted from one tick of its timer to the next: what is over the time between two is the delay.
      const seconds = Math.max(0, delay.max / 1e9 - DELAY_RESOLUTION_MS / 1000);
      delay.reset();
      return seconds;
    },
    close() {
      delay.disable();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function listening(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const at = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      const why = cause.code === 'EADDRINUSE' ? 'the port is in use' : cause.message;
      reject(
        new SallyportError(`metrics: can't listen on ${at}: ${why}`, {
          code: 'SALLYPORT_CONFIG',
          blame: 'config',
          cause,
          hint: 'Write a free port and an address of this machine: metrics 127.0.0.1:9100.',
        }),
      );
    });
    server.listen({ host, port }, resolve);
  });
}

function answer(request: IncomingMessage, response: ServerResponse, contentType: string, text: () => string): void {
  // A body is nobody's business here: it is not read, and the connection ends.
  const bare = request.headers['content-length'] === undefined && request.headers['transfer-encoding'] === undefined;
  const say = (status: number, type: string, body: string, headers: Record<string, string> = {}): void => {
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      ...(bare ? {} : { Connection: 'close' }),
      ...headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  if (request.url?.split('?', 1)[0] !== '/metrics') say(404, 'text/plain', 'The figures are at /metrics.\n');
  else if (request.method !== 'GET' && request.method !== 'HEAD') {
    say(405, 'text/plain', 'GET and HEAD only.\n', { Allow: 'GET, HEAD' });
  } else say(200, contentType, text());
}

// Carries out a conversation with a proxy (client/proxy-dialog): connects, as often as the proxy asks for it, passes bytes
// to and fro, and ends on time and on a signal.

import { messageOf, SallyportError } from '../error.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import type { ByteStream, ClockPort, LinkPort, LinkRequest, OpenLink, StreamPort } from '../ports.ts';
import type { Credentials } from '../session/options.ts';
import { concatBytes } from '../wire/writer.ts';
import type { ProxyDialog, ProxyStep } from './proxy-dialog.ts';
import { type ClientSignal, softRestart } from './signal.ts';

export interface ProxyStreamContext {
  readonly links: LinkPort;
  readonly streams: StreamPort;
  readonly clock: ClockPort;
  readonly log: Log;
  /** The address of the proxy, and the socket to it. */
  readonly request: LinkRequest & { readonly remote: SocketAddress };
  /** When patience ends (`server-poll-timeout`), monotonic milliseconds; undefined for never. */
  readonly deadlineMs: number | undefined;
  /** The user's signal. */
  readonly signal: AbortSignal;
  login(signal: AbortSignal): Promise<Credentials>;
  logBuffers(buffers: OpenLink['buffers']): void;
}

/** A way that a proxy has opened. */
export interface ProxyWay {
  readonly type: 'open';
  /** The connection to the proxy, which nobody reads any more unless it is watched. */
  readonly fd: number;
  readonly readAhead: Uint8Array;
  readonly relay: SocketAddress | undefined;
  /** When patience ends now: what a person took to answer does not count. */
  readonly deadlineMs: number | undefined;
}

/** The end of the attempt. */
export interface ProxyEnd {
  readonly type: 'ended';
  readonly signal: ClientSignal;
  readonly loginRefused: boolean;
}

/** Resolves when the way is open or the attempt over; the connection is closed in the latter case. Rejects as `signal` asks. */
export async function openWay(dialog: ProxyDialog, context: ProxyStreamContext): Promise<ProxyWay | ProxyEnd> {
  const { clock, signal } = context;
  let { deadlineMs } = context;
  for (;;) {
    const { step } = dialog;
    if (step.type === 'login') {
      const askedMs = clock.now().monoMs;
      dialog.handleLogin(await context.login(signal));
      if (deadlineMs !== undefined) deadlineMs += clock.now().monoMs - askedMs;
    } else if (step.type === 'connect') {
      const patience = new Patience({ clock, deadlineMs, signal });
      const way = await connection(dialog, context, patience).finally(() => patience.end());
      if (way?.type === 'open') return { ...way, deadlineMs };
      if (way !== undefined) return way;
    } else if (step.type === 'failed') return failed(step, dialog);
    else throw new Error(`a proxy's dialog is at '${step.type}' without a connection`);
  }
}

/** One connection to the proxy, to the end of what is said on it; undefined where it did not open the way. */
async function connection(
  dialog: ProxyDialog,
  context: ProxyStreamContext,
  patience: Patience,
): Promise<Omit<ProxyWay, 'deadlineMs'> | ProxyEnd | undefined> {
  const { links, streams, log, request } = context;
  const remote = formatLogAddress(request.remote);
  const opened = links.open(request);
  let stream: ByteStream | undefined;
  let isKept = false;
  try {
    context.logBuffers(opened.buffers);
    log(Level.info, `Attempting to establish TCP connection with ${remote}`);
    // The stream has a descriptor of its own: ours stays when it is closed.
    stream = streams.open(links.duplicate(opened.fd));
    try {
      await patience.during(stream.connected());
    } catch (error) {
      context.signal.throwIfAborted();
      return connectFailed(patience.isOver ? 'Connection timed out' : messageOf(error), remote, log);
    }
    log(Level.info, `TCP connection established with ${remote}`);
    dialog.handleOpen();
    await converse(dialog, stream, context, patience);
    const { step } = dialog;
    if (step.type !== 'open') return undefined;
    isKept = true;
    const rest = stream.release();
    return {
      type: 'open',
      fd: opened.fd,
      readAhead: concatBytes(step.readAhead, rest),
      relay: step.relay,
    };
  } finally {
    stream?.close();
    if (!isKept) links.close(opened.fd);
  }
}

async function converse(
  dialog: ProxyDialog,
  stream: ByteStream,
  context: ProxyStreamContext,
  patience: Patience,
): Promise<void> {
  for (;;) {
    const bytes = dialog.pollSend();
    if (bytes !== undefined) stream.send(bytes);
    if (dialog.step.type !== 'receive') return;
    let received: Uint8Array | undefined;
    try {
      received = await patience.during(stream.receive());
    } catch {
      context.signal.throwIfAborted();
      dialog.handleSilence(patience.isOver ? 'timeout' : 'closed');
      return;
    }
    if (received === undefined) {
      dialog.handleSilence('closed');
      return;
    }
    dialog.handleBytes(received);
  }
}

/** Waits for something, but not beyond the deadline, nor beyond the user's signal. */
class Patience {
  isOver = false;
  readonly #aborter = new AbortController();
  readonly #cancel: () => void;

  constructor({ clock, deadlineMs, signal }: Pick<ProxyStreamContext, 'clock' | 'deadlineMs' | 'signal'>) {
    const abort = (): void => this.#aborter.abort(signal.reason);
    const cancelTimer =
      deadlineMs === undefined
        ? (): void => {}
        : clock.at(deadlineMs, () => {
            this.isOver = true;
            this.#aborter.abort();
          });
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    this.#cancel = () => {
      cancelTimer();
      signal.removeEventListener('abort', abort);
    };
  }

  during<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#aborter;
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason);
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
      work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    });
  }

  end(): void {
    this.#cancel();
  }
}

function connectFailed(text: string, remote: string, log: Log): ProxyEnd {
  log(Level.linkErrors, `TCP: connect to ${remote} failed: ${text}`);
  const error = new SallyportError(`The proxy ${remote} could not be reached: ${text}`, {
    code: 'SALLYPORT_REFUSED',
    blame: 'network',
    retry: true,
    hint: "Check the proxy's address and port, that it runs, and that no firewall stands between.",
  });
  const signal = softRestart('connection-failed', { error, connectionFailed: true });
  return { type: 'ended', signal, loginRefused: false };
}

function failed({ error, loginRefused }: Extract<ProxyStep, { type: 'failed' }>, dialog: ProxyDialog): ProxyEnd {
  return { type: 'ended', signal: softRestart(dialog.signalText, { error }), loginRefused };
}

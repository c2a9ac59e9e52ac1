// The library's connection: a client as an object with typed events. Nothing is printed, no process-wide handler is set.

import type { Client, ClientEnd, ClientObserver, ClientStatistics } from './client/client.ts';
import type { ClientState } from './client/state.ts';
import { SallyportError } from './error.ts';
import { EventFeed } from './event-feed.ts';
import type { PacketDevice } from './packet-device.ts';
import type { PeerFacts } from './tunnel/host-port.ts';
import type { TunnelPlan } from './tunnel/plan.ts';

/** What a connection tells its owner. `plan` has addresses, routes, DNS and MTU as the server assigned them. */
export type ConnectionEvent =
  | { readonly type: 'state'; readonly state: ClientState }
  | { readonly type: 'connected'; readonly plan: TunnelPlan }
  /** The server changed the tunnel while it is up. */
  | { readonly type: 'updated'; readonly plan: TunnelPlan }
  | { readonly type: 'peer'; readonly commonName: string | undefined }
  | { readonly type: 'message'; readonly kind: string; readonly text: string }
  /** Every `statisticsMs` while the tunnel is up. */
  | { readonly type: 'statistics'; readonly statistics: ClientStatistics }
  | { readonly type: 'end'; readonly reason: string; readonly error: SallyportError | undefined };

export type ConnectionEventType = ConnectionEvent['type'];
type EventOf<T extends ConnectionEventType> = Extract<ConnectionEvent, { type: T }>;

/** Events kept for a reader of `events()` that does not keep up; the oldest are dropped beyond this. */
const QUEUE_LIMIT = 256;

/** A running connection. `close()` (or `await using`) ends it and undoes everything done to the host. */
export class Connection implements AsyncDisposable {
  /** Settles when the connection has ended and the host is as it was. Never rejects. */
  readonly ended: Promise<{ readonly reason: string; readonly error: SallyportError | undefined }>;
  /** The packets, under `device: 'memory'`. */
  readonly device: PacketDevice | undefined;
  readonly #client: Client;
  readonly #feed = new EventFeed<ConnectionEvent>(QUEUE_LIMIT);
  #state: ClientState = { phase: 'reconnecting', reason: 'start', pauseSeconds: 0 };

  /** Use `connect` instead: it composes the client. */
  constructor(
    start: (observer: ClientObserver) => { client: Client; run(): Promise<ClientEnd> },
    options: { readonly statisticsMs?: number | undefined; readonly device?: PacketDevice | undefined } = {},
  ) {
    this.device = options.device;
    const { client, run } = start({
      state: (state) => {
        const type = this.#state.phase === 'connected' ? 'updated' : 'connected';
        this.#state = state;
        this.#feed.emit({ type: 'state', state });
        if (state.phase === 'connected') this.#feed.emit({ type, plan: state.plan });
      },
      peerConnected: (peer: PeerFacts) => this.#feed.emit({ type: 'peer', commonName: peer.commonName }),
      info: (kind, text) => this.#feed.emit({ type: 'message', kind, text }),
    });
    this.#client = client;
    const { statisticsMs } = options;
    const timer =
      statisticsMs === undefined ? undefined : setInterval(() => this.#tellStatistics(), statisticsMs).unref();
    this.ended = run().then((end) => {
      clearInterval(timer);
      const told =
        end.kind === 'exit'
          ? { reason: end.signal.text === '' ? end.signal.name : end.signal.text, error: end.error }
          : { reason: 'reload', error: undefined };
      this.#feed.emit({ type: 'end', ...told });
      return told;
    });
  }

  get state(): ClientState {
    return this.#state;
  }

  /**
   * Bytes, packets and drops by cause, as they are now. `peer`: data packets of the tunnel that is up, undefined until
   * one is; `plane`: everything since the start, the packets of every handshake too.
   */
  statistics(): ClientStatistics {
    return this.#client.statistics();
  }

  /** Calls back for each event of a type; returns the function that stops it. */
  on<T extends ConnectionEventType>(type: T, listener: (event: EventOf<T>) => void): () => void {
    return this.#feed.on(type, listener);
  }

  /** All events from now on, until the end or until `signal` aborts. */
  events(options: { signal?: AbortSignal } = {}): AsyncGenerator<ConnectionEvent, void, undefined> {
    return this.#feed.events(options);
  }

  /** Drops the session and connects again, keeping the device where the profile says `persist-tun`. */
  reconnect(): void {
    this.#client.signal('SIGUSR1');
  }

  /** Asks the server for new keys now. */
  renegotiate(): void {
    this.#client.renegotiate();
  }

  /** Ends the connection, with the exit notice where the profile asks for it. */
  async close(): Promise<void> {
    this.#client.signal('SIGTERM');
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Resolves when the tunnel is up; rejects with the error that ended the connection, or the abort reason. */
  async untilConnected(signal?: AbortSignal): Promise<void> {
    if (this.#state.phase === 'connected') return signal?.throwIfAborted();
    await this.#feed.until('connected', errorOf, signal);
  }

  #tellStatistics(): void {
    if (this.#state.phase === 'connected') this.#feed.emit({ type: 'statistics', statistics: this.statistics() });
  }
}

const errorOf = ({ error, reason }: EventOf<'end'>): SallyportError =>
  error ??
  new SallyportError(`The connection ended before the tunnel was up: ${reason}`, {
    code: 'SALLYPORT_PEER_ENDED',
    blame: 'peer',
  });

// The library's server: a server as an object with typed events. Nothing is printed, no process-wide handler is set.

import type { Config } from './config/config.ts';
import type { PlaneStatistics } from './data/plane.ts';
import { SallyportError } from './error.ts';
import { EventFeed } from './event-feed.ts';
import { formatAddress } from './ip/address.ts';
import { checkNames, type KnownNames } from './known-names.ts';
import type { PacketDevice } from './packet-device.ts';
import type { ReloadReport, RunningParts } from './serve.ts';
import type { ClientInfo, ServerHooks } from './server/hooks.ts';
import type { Reconnect, ServerEnd, ServerObserver } from './server/server.ts';
import type { ServerSettings } from './server-settings.ts';

/** A socket that clients come to. */
export interface ListenAddress {
  readonly address: string;
  readonly port: number;
  readonly transport: 'udp' | 'tcp';
}

/** What a server tells its owner. */
export type ServerEvent =
  /** Clients can come: at the start, and after each restart. */
  | { readonly type: 'listening'; readonly addresses: readonly ListenAddress[] }
  | { readonly type: 'connected'; readonly client: ClientInfo }
  /** `reason`: `remote-exit`, `ping-restart`, `kicked`, `replaced` … */
  | { readonly type: 'disconnected'; readonly client: ClientInfo; readonly reason: string }
  | { readonly type: 'reloaded'; readonly applied: readonly string[]; readonly needRestart: readonly string[] }
  | { readonly type: 'end'; readonly error: SallyportError | undefined };

export type ServerEventType = ServerEvent['type'];
type EventOf<T extends ServerEventType> = Extract<ServerEvent, { type: T }>;

export interface KickOptions {
  /** Told to the client. */
  readonly reason?: string;
  /** Whether the client comes again: at once, at the next server of its profile, or not at all. Default: `here`. */
  readonly reconnect?: Reconnect;
}

/** What a reload did: names of options. */
export type ReloadResult = Pick<ReloadReport, 'applied' | 'needRestart'>;

export const HOOKS = {
  onAuthenticate: 'function',
  onConnect: 'function',
  onResponse: 'function',
  onDisconnect: 'function',
  onAddress: 'function',
} as const satisfies KnownNames<ServerHooks>;

/** The decisions of the program around, as they are now. */
export class CurrentHooks implements ServerHooks {
  #hooks: ServerHooks;

  constructor(hooks: ServerHooks) {
    this.#hooks = hooks;
  }

  set(hooks: ServerHooks): void {
    this.#hooks = hooks;
  }

  get onAuthenticate(): ServerHooks['onAuthenticate'] {
    return this.#hooks.onAuthenticate?.bind(this.#hooks);
  }

  get onConnect(): ServerHooks['onConnect'] {
    return this.#hooks.onConnect?.bind(this.#hooks);
  }

  get onDisconnect(): ServerHooks['onDisconnect'] {
    return this.#hooks.onDisconnect?.bind(this.#hooks);
  }

  get onAddress(): ServerHooks['onAddress'] {
    return this.#hooks.onAddress?.bind(this.#hooks);
  }
}

export interface RunningServerOptions {
  readonly device: PacketDevice | undefined;
  readonly hooks: CurrentHooks;
  /** Reads what `reload` is given. Throws SallyportError. */
  read(config: string | Config | ServerSettings, checksLogins: boolean): Config;
}

/** Events kept for a reader of `events()` that does not keep up; the oldest are dropped beyond this. */
const QUEUE_LIMIT = 1024;

/** A running server. `close()` (or `await using`) ends it and undoes everything done to the host. */
export class RunningServer implements AsyncDisposable {
  /** Settles when the server has ended and the host is as it was. Never rejects. */
  readonly ended: Promise<{ readonly error: SallyportError | undefined }>;
  /** The packets of all clients, under `device: 'memory'`. */
  readonly device: PacketDevice | undefined;
  readonly #parts: RunningParts;
  readonly #options: RunningServerOptions;
  readonly #feed = new EventFeed<ServerEvent>(QUEUE_LIMIT);
  #addresses: readonly ListenAddress[] | undefined;
  /** One reload after another. */
  #reloading: Promise<unknown> = Promise.resolve();

  /** Use `createServer` instead: it composes the server. */
  constructor(start: (observer: ServerObserver) => RunningParts, options: RunningServerOptions) {
    this.#options = options;
    this.device = options.device;
    this.#parts = start({
      listening: (listeners) => {
        this.#addresses = listeners.map(({ local, transport }) => ({
          address: formatAddress(local.address),
          port: local.port,
          transport,
        }));
        this.#feed.emit({ type: 'listening', addresses: this.#addresses });
      },
      connected: (client) => this.#feed.emit({ type: 'connected', client }),
      disconnected: (client, reason) => this.#feed.emit({ type: 'disconnected', client, reason }),
    });
    this.ended = this.#parts.run().then((end: ServerEnd) => {
      const error = end.kind === 'exit' ? end.error : undefined;
      this.#feed.emit({ type: 'end', error });
      return { error };
    });
  }

  /** Clients that are in, as they are now. */
  get clients(): readonly ClientInfo[] {
    return this.#parts.server.clients;
  }

  /** Where clients come to. */
  get addresses(): readonly ListenAddress[] {
    return this.#addresses ?? [];
  }

  /** Bytes, packets and drops by cause of the whole server. */
  statistics(): PlaneStatistics {
    return this.#parts.server.statistics();
  }

  /**
   * Ends a client's session: its packets stop at once, and it is told. Resolves when it is gone, a few seconds later at
   * the most; false when there is no such client. To keep it out, refuse it in `onAuthenticate` or revoke its certificate.
   */
  kick(client: number | Pick<ClientInfo, 'id'>, { reason = '', reconnect = 'here' }: KickOptions = {}) {
    return this.#parts.server.kick(idOf(client), reconnect, reason);
  }

  /**
   * Changes options of clients that are up (PUSH_UPDATE): `route 10.1.0.0 255.255.0.0` replaces the routes, `-dns` takes
   * the option away, `?` in front makes one dispensable. Reaches all who announce that they take updates, or the one named.
   * Resolves with the ids of those that were told. Rejects with SallyportError, and nobody is told, for options that
   * can't be changed so, and where the one named takes no updates.
   */
  pushUpdate(
    options: readonly string[],
    { to }: { readonly to?: number | Pick<ClientInfo, 'id'> } = {},
  ): Promise<readonly number[]> {
    return this.#parts.server.pushUpdate(options, to === undefined ? undefined : idOf(to));
  }

  /**
   * Reads all files again (certificates, keys, revocation list) and goes by another configuration and by other hooks (all
   * of them are replaced), as far as they are given, without dropping a session; only clients whose certificate is
   * revoked now are ended and told. Resolves with the options that changed, and those that need a restart and keep their
   * old value. Rejects with SallyportError for what can't be used; then nothing has changed.
   */
  reload(config?: string | Config | ServerSettings, hooks?: ServerHooks): Promise<ReloadResult> {
    const next = this.#reloading.then(async () => {
      if (hooks !== undefined) checkNames(hooks, HOOKS, 'hook', 'reload()');
      const checksLogins = (hooks ?? this.#options.hooks).onAuthenticate !== undefined;
      const read = config === undefined ? undefined : this.#options.read(config, checksLogins);
      const { applied, needRestart } = await this.#parts.reload(read, checksLogins);
      if (hooks !== undefined) this.#options.hooks.set(hooks);
      this.#feed.emit({ type: 'reloaded', applied, needRestart });
      return { applied, needRestart };
    });
    this.#reloading = next.catch(() => {});
    return next;
  }

  /** Drops every session and starts anew, as SIGUSR1 does. */
  restart(): void {
    this.#parts.server.signal('SIGUSR1');
  }

  /** Calls back for each event of a type; returns the function that stops it. */
  on<T extends ServerEventType>(type: T, listener: (event: EventOf<T>) => void): () => void {
    return this.#feed.on(type, listener);
  }

  /** All events from now on, until the end or until `signal` aborts. */
  events(options: { signal?: AbortSignal } = {}): AsyncGenerator<ServerEvent, void, undefined> {
    return this.#feed.events(options);
  }

  /** Ends the server; clients are told where the configuration has `explicit-exit-notify`. */
  async close(): Promise<void> {
    this.#parts.server.signal('SIGTERM');
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Resolves when clients can come; rejects with the error that ended the server, or the abort reason. */
  async untilListening(signal?: AbortSignal): Promise<void> {
    if (this.#feed.end === undefined && this.#addresses !== undefined) return signal?.throwIfAborted();
    await this.#feed.until('listening', errorOf, signal);
  }
}

const idOf = (client: number | Pick<ClientInfo, 'id'>): number => (typeof client === 'number' ? client : client.id);

const errorOf = ({ error }: EventOf<'end'>): SallyportError =>
  error ??
  new SallyportError('The server ended before clients could come', { code: 'SALLYPORT_ABORTED', blame: 'config' });

// A server's life: device, sockets and privileges in the C program's order, clients until a signal, and everything taken
// down again. SIGUSR1 begins anew, SIGHUP hands back to the caller for a new reading of the configuration, SIGTERM and
// SIGINT end.
//
// The way of a client through the room: gate (a stranger's packets, answered without state) → clients (who it is for) →
// instance (its session) → judge (who it is) → connect (what it gets) → routes (its addresses) → the plane.

import type { Config } from '../config/config.ts';
import type { ServerOptions } from '../config/server-options.ts';
import type { DataPlane, DeviceId, PlaneEvent, PlaneStatistics } from '../data/plane.ts';
import { messageOf, SallyportError } from '../error.ts';
import { Level } from '../log.ts';
import { closing } from '../peer/closing.ts';
import { PendingSignal, type SignalName } from '../peer/pending-signal.ts';
import { wait } from '../peer/wait.ts';
import type { ScriptEnvironment } from '../tunnel/environment.ts';
import { HostError } from '../tunnel/ports.ts';
import { AuthTokens } from './auth-token.ts';
import { Clients, type ClientsObserver } from './clients.ts';
import { Connector } from './connect.ts';
import { Gate } from './gate.ts';
import type { ClientInfo } from './hooks.ts';
import { Judge } from './judge.ts';
import { closeListeners, type Listener, type ListenerPorts, openListeners } from './listeners.ts';
import type { ServerMetrics } from './metrics-text.ts';
import { openPool, type Pool } from './pool.ts';
import type { ServerPorts } from './ports.ts';
import { type MetricsFacts, serverMetrics, statusFacts } from './report.ts';
import { Routes } from './routes.ts';
import { ScriptCalls } from './script-calls.ts';
import { serverEndOf } from './server-end.ts';
import { serverBase } from './server-environment.ts';
import type { StatusFacts } from './status-text.ts';
import { refusal } from './verdict.ts';

/** How a server ended: exit with a code, or read the configuration again (SIGHUP). */
export type ServerEnd =
  | { readonly kind: 'exit'; readonly exitCode: number; readonly error: SallyportError | undefined }
  | { readonly kind: 'reload' };

export interface ServerObserver extends ClientsObserver {
  /** Clients can come. */
  listening(listeners: readonly Listener[]): void;
}

/** Whether and where a client that is sent away may come back. */
export type Reconnect = 'here' | 'elsewhere' | 'never';

/** What lives from one start to the next restart. */
interface Serving {
  readonly device: DeviceId;
  readonly listeners: readonly Listener[];
  readonly clients: Clients;
  readonly calls: ScriptCalls;
  readonly gate: Gate;
  readonly pool: Pool | undefined;
  readonly routes: Routes;
  readonly cancelRevocations: () => void;
}

const RESTART_PAUSE_MS = 1000;
/** How often the revocation list is looked at for the sake of those who are in. */
const REVOCATION_MS = 5000;

export class Server {
  #config: Config;
  #options: ServerOptions;
  readonly #ports: ServerPorts;
  readonly #observer: ServerObserver;
  readonly #plane: DataPlane;
  #serving: Serving | undefined;
  readonly #pending = new PendingSignal<SignalName>(
    (name) => name,
    () => new AbortController(),
  );
  #failure: string | undefined;
  /** One update after the other: each begins with the addresses that the last one gave. */
  #updating: Promise<unknown> = Promise.resolve();
  #device: DeviceId | undefined;
  readonly #startUnixSeconds: number;

  /** Throws for a configuration that is not a server's. */
  constructor(config: Config, ports: ServerPorts, observer: ServerObserver) {
    if (config.server === undefined) throw new TypeError('the configuration is not that of a server (mode server)');
    this.#config = config;
    this.#options = config.server;
    this.#ports = ports;
    this.#observer = observer;
    this.#startUnixSeconds = Math.floor(ports.clock.now().unixSeconds);
    this.#plane = ports.plane((event) => this.#handlePlaneEvent(event));
  }

  /** What the server goes by now. */
  get config(): Config {
    return this.#config;
  }

  /** Clients that are up. */
  get clients(): readonly ClientInfo[] {
    return this.#serving?.clients.list ?? [];
  }

  /** The number that `status` has for a client, never given twice; `id` is its peer-id. */
  clientIdOf(id: number): number | undefined {
    return this.#serving?.clients.clientIdOf(id);
  }

  /** What a program would see of a client that is up; undefined where there is none of this id. */
  environmentOf(id: number): ScriptEnvironment | undefined {
    return this.#serving?.clients.environmentOf(id);
  }

  /** What `status` and SIGUSR2 tell. Between restarts there are no clients. */
  status(title: string): StatusFacts {
    return statusFacts(this.#serving, this.#plane, title, this.#ports.clock.now());
  }

  metrics(facts: Omit<MetricsFacts, 'startUnixSeconds' | 'maxClients'>): ServerMetrics {
    const serving = this.#serving;
    const parts = serving && { ...serving, pool: serving.pool?.addresses };
    const { maxClients } = this.#options;
    return serverMetrics(parts, this.#plane.statistics(), {
      ...facts,
      maxClients,
      startUnixSeconds: this.#startUnixSeconds,
    });
  }

  statistics(): PlaneStatistics {
    return this.#plane.statistics();
  }

  /** A signal from outside. Safe at any time and any number of times. */
  signal(name: SignalName): void {
    const to = name === 'SIGUSR1' ? (this.#config.process.remapUsr1 ?? name) : name;
    this.#pending.offer(to);
  }

  /** Goes by another configuration from now on, whose fixed parts are those of the running one; nobody is cut off. */
  reload(config: Config): void {
    if (config.server === undefined) throw new TypeError('the configuration is not that of a server (mode server)');
    this.#config = config;
    this.#options = config.server;
    const serving = this.#serving;
    if (serving === undefined) return;
    serving.calls.reload(config, config.server);
    serving.clients.reload(config, config.server);
    this.#endRevoked(serving.clients);
  }

  /** Says a control message to a client that is up and ends it: `RESTART`, `HALT,[…]`. False when there is none of this id. */
  async dismiss(id: number, message: string): Promise<boolean> {
    const instance = this.#serving?.clients.ofId(id);
    if (instance === undefined) return false;
    instance.leave(refusal(message).text ?? '', { signal: 'SIGTERM', text: 'client-kill' });
    await instance.ended;
    return true;
  }

  /** Tells a client that is up to go, and ends it; resolves when it is gone, false when there is none of this id. */
  async kick(id: number, reconnect: Reconnect, reason: string): Promise<boolean> {
    const instance = this.#serving?.clients.ofId(id);
    if (instance === undefined) return false;
    instance.leave(goodbye(reconnect, refusal(reason).text ?? ''), { signal: 'SIGTERM', text: 'kicked' });
    await instance.ended;
    return true;
  }

  /**
   * Changes options of one client that is up, or of all that take updates: `route …` replaces the routes, `-dns` takes
   * the option away, `?…` is dispensable. Returns the ids of those that were told. Throws SallyportError for options that
   * can't be changed so, and for one client that does not take updates.
   */
  pushUpdate(options: readonly string[], to: number | undefined): Promise<readonly number[]> {
    const update = this.#updating.then(() => {
      const clients = this.#serving?.clients;
      const instance = to === undefined ? undefined : clients?.ofId(to);
      if (clients === undefined || (to !== undefined && instance === undefined)) return [];
      return clients.pushUpdate(options, instance);
    });
    this.#updating = update.catch(() => {});
    return update;
  }

  /** Runs until an exit or a reload. Everything done to the host is undone by then. Rejects never. */
  async run(): Promise<ServerEnd> {
    const { log } = this.#ports;
    for (;;) {
      const failed = await this.#serve();
      const signal = this.#pending.take();
      const end = failed ?? this.#failed();
      const restart = end === undefined && signal === 'SIGUSR1';
      await this.#takeDown(signal, end !== undefined, restart && this.#config.process.persistTun);
      if (end === undefined) {
        const verb = signal === 'SIGUSR1' || signal === 'SIGHUP' ? 'restarting' : 'exiting';
        log(Level.info, `${signal ?? 'SIGTERM'}[hard,] received, process ${verb}`);
      }
      if (restart) {
        log(Level.restart, `Restart pause, ${RESTART_PAUSE_MS / 1000} second(s)`);
        await wait(this.#ports.clock, RESTART_PAUSE_MS, this.#pending.interrupt);
        continue;
      }
      await this.#plane.close();
      return end ?? (signal === 'SIGHUP' ? { kind: 'reload' } : { kind: 'exit', exitCode: 0, error: undefined });
    }
  }

  /** Brings everything up and waits for a signal; an end that nothing can mend is returned. */
  async #serve(): Promise<ServerEnd | undefined> {
    // A signal that came while the last start was taken down.
    if (this.#pending.interrupt.aborted) return undefined;
    try {
      await this.#bringUp();
      if (!this.#pending.interrupt.aborted) {
        await new Promise<void>((resolve) =>
          this.#pending.interrupt.addEventListener('abort', () => resolve(), { once: true }),
        );
      }
      return undefined;
    } catch (error) {
      if (this.#pending.interrupt.aborted && !(error instanceof SallyportError)) return undefined;
      return this.#fatal(error);
    }
  }

  async #bringUp(): Promise<void> {
    const { host, log } = this.#ports;
    const { connections, tunnel } = this.#config;
    const [profile] = connections;
    if (profile === undefined) throw new TypeError('a configuration has at least one connection profile');
    const signal = this.#pending.interrupt;
    const opened = await host.open({
      profile,
      tunnel,
      remote: undefined,
      letGo: () => this.#letGo(),
      signal,
    });
    if (!opened.kept || this.#device === undefined) {
      const { endpoint, layer, mtuBytes, blockIpv6, unreachableFrom } = opened;
      const { clientToClient } = this.#options;
      const learnsAddresses = layer === 'tap';
      this.#device = this.#plane.addDevice({
        ...{ endpoint, layer, mtuBytes, blockIpv6, unreachableFrom, clientToClient, learnsAddresses },
      });
    }
    if (!opened.kept) await host.route();
    const listeners = await openListeners(this.#config, this.#options, this.#listenerPorts(), signal);
    try {
      this.#serving = this.#open(this.#device, listeners, opened.linkAddress);
    } catch (error) {
      await closeListeners(listeners, this.#listenerPorts());
      throw error;
    }
    host.dropPrivileges();
    log(Level.info, 'Initialization Sequence Completed');
    this.#observer.listening(listeners);
  }

  #open(device: DeviceId, listeners: readonly Listener[], linkAddress: string | undefined): Serving {
    const { crypto, clock, log, hooks, material, files } = this.#ports;
    const config = this.#config;
    const server = this.#options;
    const plane = this.#plane;
    const hash = 4 * server.maxClients;
    log(Level.multi, `MULTI: multi_init called, r=${hash} v=${hash}`);
    const gate = new Gate(
      {
        wraps: material.wraps,
        handWindowSeconds: config.tls.handWindowSeconds,
        connectFreqInitial: server.connectFreqInitial,
      },
      crypto,
      log,
    );
    const calls = this.#scriptCalls();
    const { tokenKey } = material;
    const token = server.authGenToken;
    const tokens = tokenKey === undefined || token === undefined ? undefined : new AuthTokens(crypto, tokenKey, token);
    const end = serverEndOf(config, server);
    const routes = new Routes(
      {
        own: [end.local4, end.local6, linkAddress].filter((address) => address !== undefined),
        layer: config.device.type === 'tap' ? 'tap' : 'tun',
        stale: server.staleRoutes,
      },
      { plane, clock, scripts: calls, hooks, log },
    );
    // Last of those that may fail: it has a timer.
    const pool = openPool(config, server, { files, clock, log });
    routes.watchStale(device);
    const clients = new Clients({
      config,
      server,
      device,
      listeners,
      plane,
      ports: this.#ports,
      gate,
      judge: new Judge(server, { clock, scripts: calls, hooks, tokens }),
      connector: new Connector(config, server, {
        files,
        scripts: calls,
        hooks,
        pool: pool?.addresses,
        end,
        capabilities: plane.capabilities,
        nowUnixSeconds: () => clock.now().unixSeconds,
      }),
      scripts: calls,
      routes,
      observer: this.#observer,
    });
    return {
      device,
      listeners,
      clients,
      calls,
      gate,
      pool,
      routes,
      cancelRevocations: this.#watchRevocations(clients),
    };
  }

  #scriptCalls(): ScriptCalls {
    const { scripts, files, clock, log, host, localTime } = this.#ports;
    const { listens } = this.#options;
    return new ScriptCalls(this.#config, this.#options, {
      certificateFiles: this.#ports.certificateFiles,
      passwordPlugins: this.#ports.passwordPlugins ?? [],
      scripts,
      files,
      clock,
      log,
      localTime,
      base: () => serverBase(host.scriptEnvironment('up'), listens),
    });
  }

  /** Returns the function that stops it. */
  #watchRevocations(clients: Clients): () => void {
    if (this.#ports.material.revocation === undefined) return () => {};
    const { clock } = this.#ports;
    let cancel = (): void => {};
    const again = (): void => {
      cancel = clock.at(clock.now().monoMs + REVOCATION_MS, () => {
        this.#endRevoked(clients);
        again();
      });
    };
    again();
    return () => cancel();
  }

  #endRevoked(clients: Clients): void {
    const { revocation } = this.#ports.material;
    if (revocation?.refresh() === true) clients.endRevoked((chain) => revocation.isRevoked(chain));
  }

  async #takeDown(signal: SignalName | undefined, fatal: boolean, keep: boolean): Promise<void> {
    const serving = this.#serving;
    const { log } = this.#ports;
    if (serving !== undefined) {
      await closing('the clients', () => serving.clients.close(this.#lastWord(signal)), log);
      this.#serving = undefined;
      serving.cancelRevocations();
      serving.gate.close();
      serving.pool?.close();
      await closing('the sockets', () => closeListeners(serving.listeners, this.#listenerPorts()), log);
    }
    const name = signal ?? 'SIGTERM';
    if (fatal) log(Level.info, 'Exiting due to fatal error');
    const { host } = this.#ports;
    await closing('the tunnel', () => host.close({ signal: name, signalText: '', keep }, () => this.#letGo()), log);
  }

  /** What clients are told: to come again, here or elsewhere. Without explicit-exit-notify they are told nothing. */
  #lastWord(signal: SignalName | undefined): string | undefined {
    const { exitNotify } = this.#options;
    if (exitNotify === 0 || signal === undefined) return undefined;
    return exitNotify === 2 ? 'RESTART,[N]' : 'RESTART';
  }

  async #letGo(): Promise<void> {
    const device = this.#device;
    this.#device = undefined;
    if (device !== undefined) await this.#plane.removeDevice(device);
  }

  #handlePlaneEvent(event: PlaneEvent): void {
    if (event.type === 'plane-failed') {
      this.#failure = event.text;
      this.#ports.log(Level.fatal, event.text);
      this.#pending.break();
      return;
    }
    const clients = this.#serving?.clients;
    if (clients !== undefined) clients.handlePlaneEvent(event);
    else if (event.type === 'accepted') this.#ports.links.close(event.fd);
  }

  #failed(): ServerEnd | undefined {
    if (this.#failure === undefined) return undefined;
    const error = new SallyportError(this.#failure, { code: 'SALLYPORT_INTERNAL', blame: 'internal' });
    return { kind: 'exit', exitCode: 1, error };
  }

  #fatal(error: unknown): ServerEnd {
    const text = messageOf(error);
    this.#ports.log(Level.fatal, text);
    if (error instanceof SallyportError) return { kind: 'exit', exitCode: 1, error };
    const known =
      error instanceof HostError
        ? new SallyportError(text, { code: 'SALLYPORT_HOST', blame: 'config', cause: error })
        : new SallyportError(text, { code: 'SALLYPORT_INTERNAL', blame: 'internal', cause: error });
    return { kind: 'exit', exitCode: 1, error: known };
  }

  #listenerPorts(): ListenerPorts {
    const { links, resolver, log } = this.#ports;
    return { links, resolver, log, plane: this.#plane };
  }
}

/** The last word to a client; in brackets P: it keeps its password, N: it turns to its next server. */
function goodbye(reconnect: Reconnect, reason: string): string {
  switch (reconnect) {
    case 'here':
      return `RESTART,[P]${reason}`;
    case 'elsewhere':
      return `RESTART,[NP]${reason}`;
    case 'never':
      return reason === '' ? 'HALT' : `HALT,${reason}`;
    default:
      return reconnect satisfies never;
  }
}

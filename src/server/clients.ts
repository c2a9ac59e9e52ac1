// All clients of the server: what the plane reports goes to the one it concerns, and strangers' packets to arrivals.ts.
// Here an instance finds its judge, its options and its addresses, and here it is taken leave of.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { ServerOptions } from '../config/server-options.ts';
import { namingEngines } from '../control/certificate-name.ts';
import type { Claim } from '../control/first-contact.ts';
import type { TlsEngineFactory } from '../control/tls-engine.ts';
import type { DataPlane, DeviceId, PeerStatistics, PlaneEvent } from '../data/plane.ts';
import { Level, type Log } from '../log.ts';
import { endsStream, logDrop, tellLost } from '../peer/drop-words.ts';
import { linkErrorLine } from '../peer/path-mtu.ts';
import { fragmentBytesOf } from '../peer/payload-limits.ts';
import { protocolName } from '../peer/protocol-name.ts';
import { createSession, type Session, type SessionPorts } from '../session/session.ts';
import type { ScriptEnvironment } from '../tunnel/environment.ts';
import { type Arrival, Arrivals } from './arrivals.ts';
import type { ClientFacts } from './client-facts.ts';
import type { Connector, Grant } from './connect.ts';
import type { Dialog } from './dialog.ts';
import { Farewells } from './farewells.ts';
import { answerFloat } from './float.ts';
import type { Gate } from './gate.ts';
import type { ClientInfo } from './hooks.ts';
import { clientInfo } from './identity.ts';
import { type Authenticate, type Connected, Instance, type InstanceServer } from './instance.ts';
import { InstanceTable } from './instance-table.ts';
import type { Judge } from './judge.ts';
import type { Listener } from './listeners.ts';
import type { ServerPorts } from './ports.ts';
import { renewedTokenReply } from './push-list.ts';
import type { Routes } from './routes.ts';
import type { ServerScripts } from './scripts.ts';
import { sessionOptionsOf } from './session-options.ts';
import { updateClients } from './update-clients.ts';
import { type Refusal, refusal, type Verdict } from './verdict.ts';

export interface ClientsOptions {
  readonly config: Config;
  readonly server: ServerOptions;
  readonly device: DeviceId;
  readonly listeners: readonly Listener[];
  readonly plane: DataPlane;
  readonly ports: ServerPorts;
  readonly gate: Gate;
  readonly judge: Judge;
  readonly connector: Connector;
  readonly scripts: ServerScripts;
  readonly routes: Routes;
  readonly observer: ClientsObserver;
}

/** Whoever is told of clients that are in. */
export interface ClientsObserver {
  connected?(client: ClientInfo): void;
  /** A client has said that it goes (EXIT on the control channel). */
  leaves?(): void;
  /** Only of those that were told as connected. */
  disconnected?(client: ClientInfo, reason: string): void;
}

/** Counts since the start, for metrics. */
export interface ClientCounters {
  readonly handshakes: Readonly<Record<string, number>>;
  readonly disconnects: Readonly<Record<string, number>>;
  readonly renegotiations: number;
}

/** Why clients end that nothing is wrong with, as programs hear it. */
const SERVER_END = 'server-exit';
const SESSION_ID_AT = 1;
const SESSION_ID_END = 9;

export class Clients implements InstanceServer {
  readonly clock: ServerPorts['clock'];
  readonly plane: DataPlane;
  readonly log: Log;
  #options: ClientsOptions;
  #engines: TlsEngineFactory;
  readonly #table: InstanceTable;
  #nextSerial = 1;
  readonly #arrivals: Arrivals;
  readonly #farewells: Farewells;
  readonly #handshakes: Record<string, number> = {};
  readonly #disconnects: Record<string, number> = {};
  /** Those whose handshake was completed, for the counts. */
  readonly #settled = new WeakSet<Instance>();
  /** The observer has heard of them: nobody hears of an end without a beginning. */
  readonly #announced = new WeakSet<Instance>();
  #renegotiations = 0;
  /** Those that programs are asked about. */
  readonly #asked = new WeakSet<Instance>();
  #cancelTokens = new Map<Instance, () => void>();

  constructor(options: ClientsOptions) {
    const { server, ports } = options;
    this.#options = options;
    this.clock = ports.clock;
    this.plane = options.plane;
    this.log = ports.log;
    this.#engines = namingEngines(ports.material.tls, server.usernameFields);
    this.#table = new InstanceTable(server.maxClients);
    this.#farewells = new Farewells(ports.clock, ports.log);
    this.#arrivals = new Arrivals(
      { ...options, farewells: this.#farewells },
      {
        begin: (arrival) => this.#begin(arrival),
        refused: () => count(this.#handshakes, 'tls-error'),
        handWindowMs: this.handWindowMs,
      },
    );
  }

  get handWindowMs(): number {
    return this.#options.config.tls.handWindowSeconds * 1000;
  }

  get mtuTest(): boolean {
    return this.#options.config.mtuTest;
  }

  get waitLimitSeconds(): number {
    const { handWindowSeconds, renegSeconds } = this.#options.config.tls;
    return Math.max(handWindowSeconds, Math.floor(renegSeconds / 2));
  }

  /** Clients that are up, oldest peer-id first. */
  get list(): readonly ClientInfo[] {
    return [...this.#table].filter(({ phase }) => phase === 'up').map((each) => this.#info(each));
  }

  get counters(): ClientCounters {
    return { handshakes: this.#handshakes, disconnects: this.#disconnects, renegotiations: this.#renegotiations };
  }

  instances(): Iterable<Instance> {
    return this.#table;
  }

  ofId(id: number): Instance | undefined {
    const instance = this.#table.ofId(id);
    return instance?.phase === 'up' ? instance : undefined;
  }

  /** The number that `status` and management have for a client, counted up and never given twice; also before it is up. */
  clientIdOf(id: number): number | undefined {
    const instance = this.#table.ofId(id);
    return instance && instance.serial - 1;
  }

  /** What a program would see of a client that is up; undefined where there is none of this id. */
  environmentOf(id: number): ScriptEnvironment | undefined {
    const instance = this.ofId(id);
    return instance && this.#options.scripts.environment(instance.facts);
  }

  handlePlaneEvent(event: PlaneEvent): void {
    switch (event.type) {
      case 'control':
        this.#handleControl(event);
        return;
      case 'accepted':
        this.#arrivals.accept(event);
        return;
      case 'foreign-stream':
        this.#arrivals.pass(event);
        return;
      case 'link-closed':
        this.#linkClosed(event);
        return;
      case 'in-band':
        this.#table.ofPeer(event.peer)?.handleInBand(event.bytes);
        return;
      case 'key-used-up':
        this.#table.ofPeer(event.peer)?.handleKeyUsedUp(event.key);
        return;
      case 'float-request':
        this.#float(event);
        return;
      case 'address-request': {
        const instance = this.#table.ofPeer(event.peer);
        if (instance !== undefined) this.#options.routes.learnMac(instance, event.address);
        return;
      }
      case 'addresses-forgotten':
        this.#options.routes.forgetMacs(event.addresses);
        return;
      case 'drop-notice':
        this.#dropped(event);
        return;
      case 'link-error':
        this.#linkError(event);
        return;
      case 'device-error':
        this.log(Level.linkErrors, `read from TUN/TAP [${event.code}]: ${event.text}`);
        return;
      case 'data-path':
        this.log(Level.dataPath, `Data path: ${event.text}`);
        return;
      case 'link-open':
      case 'plane-failed':
        return;
      default:
        event satisfies never;
    }
  }

  /** Goes by another configuration from now on; who is in stays in. */
  reload(config: Config, server: ServerOptions): void {
    const { judge, connector } = this.#options;
    this.#options = { ...this.#options, config, server };
    this.#table.capacity = server.maxClients;
    judge.reload(server);
    connector.reload(config, server);
    this.#arrivals.reload(server);
    this.#engines = namingEngines(this.#options.ports.material.tls, server.usernameFields);
  }

  /** Ends those whose certificate is not good any more; they are told. */
  endRevoked(isRevoked: (chain: ClientFacts['chain']) => boolean): void {
    for (const instance of this.#table) if (isRevoked(instance.facts.chain)) instance.revoke();
  }

  /** Changes options of clients that are up. Returns the ids of those that were told; see Server.pushUpdate. */
  pushUpdate(options: readonly string[], to: Instance | undefined): Promise<readonly number[]> {
    return updateClients(this.#table, to, options, this.#options);
  }

  /** Says `text` to every client that is up (undefined: nothing) and ends them all; no new ones are taken. */
  async close(text: string | undefined): Promise<void> {
    this.#arrivals.stop();
    const last = [...this.#table].map((instance) => {
      if (text === undefined || instance.phase !== 'up') instance.close(undefined, SERVER_END);
      else instance.leave(text, undefined, SERVER_END);
      return instance.ended;
    });
    await Promise.all(last);
    await this.#arrivals.close();
    // Nobody waits for their answers any more; programs that hear of an end are waited for.
    this.#options.scripts.close();
    this.#farewells.add(this.#options.routes.settled());
    await this.#farewells.wait();
    await this.#options.routes.close();
  }

  createSession(profile: ConnectionProfile, claim: Claim, { log, wake }: Pick<SessionPorts, 'log' | 'wake'>): Session {
    const { config, server, ports, plane } = this.#options;
    const options = sessionOptionsOf(config, server, profile, claim, plane.capabilities);
    return createSession(options, { crypto: ports.crypto, tls: this.#engines, log, wake });
  }

  verifyPeer(instance: Instance, chain: ClientFacts['chain']): Promise<boolean> {
    return this.#options.scripts.verifyPeer(instance.facts, chain);
  }

  async authenticate(instance: Instance, event: Authenticate, dialog: Dialog): Promise<Verdict> {
    const { judge, connector, server } = this.#options;
    const verdict = await judge.authenticate(instance, event, dialog);
    if (!verdict.accept) return verdict;
    const missing = connector.missingFile(verdict.name);
    if (missing === undefined) return verdict;
    instance.log(
      Level.tlsErrors,
      `TLS Auth Error: --client-config-dir authentication failed for common name '${verdict.name ?? ''}' file='${missing || server.clientConfigDir}'`,
    );
    return refusal(undefined);
  }

  async connect(
    instance: Instance,
    event: Authenticate,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<Connected | Refusal> {
    this.#makeWay(instance);
    instance.facts.connectedUnixSeconds = this.clock.now().unixSeconds;
    const { judge, connector } = this.#options;
    const { username } = instance.facts;
    // Under another user name the token would be nobody's.
    const tokenNow = () => (instance.facts.username === username ? token : judge.renewToken(instance));
    await this.#farewells.of(instance.name);
    signal.throwIfAborted();
    this.#asked.add(instance);
    const grant = await connector.connect(instance, event, tokenNow, signal);
    if (!grant.accept) return grant;
    return { ...grant, settle: () => this.#settle(instance, grant) };
  }

  renegotiated(instance: Instance): readonly string[] {
    this.#renegotiations++;
    const token = this.#options.judge.token(instance);
    return token === undefined ? [] : [renewedTokenReply(token)];
  }

  crResponse(instance: Instance, base64: string): void {
    const { ports, scripts } = this.#options;
    ports.hooks.onResponse?.(instance.facts.id, base64, () => scripts.environment(instance.facts));
    this.#farewells.add(this.#options.scripts.crResponse(instance.facts, base64));
  }

  leaves(): void {
    this.#options.observer.leaves?.();
  }

  closed(instance: Instance, reason: string): void {
    const { plane, scripts, connector, routes, ports } = this.#options;
    const statistics = plane.peerStatistics(instance.peer);
    const info = this.#info(instance, statistics);
    count(this.#settled.has(instance) ? this.#disconnects : this.#handshakes, reason);
    this.#cancelTokens.get(instance)?.();
    this.#cancelTokens.delete(instance);
    this.#table.remove(instance);
    plane.removePeer(instance.peer);
    if (instance.transport === 'tcp') this.#arrivals.endStream(instance.link);
    routes.release(instance);
    if (this.#announced.has(instance)) this.#options.observer.disconnected?.(info, reason);
    if (!this.#asked.has(instance)) {
      connector.release(instance);
      return;
    }
    const traffic = { bytesReceived: statistics.linkReadBytes, bytesSent: statistics.linkWriteBytes };
    // Its address is somebody else's only when programs have heard of its end.
    const now = this.clock.now().unixSeconds;
    const durationSeconds = Math.max(0, now - (instance.facts.connectedUnixSeconds || now));
    const environment = () => scripts.environment(instance.facts, { ended: { ...traffic, durationSeconds } });
    const told = scripts.disconnect(instance.facts, traffic, now).finally(() => connector.release(instance));
    this.#farewells.add(told, instance.name);
    this.#farewells.add((async () => ports.hooks.onDisconnect?.(info, reason, environment))());
  }

  /** By stream, or by address and session id; whatever belongs to no session is a stranger's. */
  #handleControl(event: Extract<PlaneEvent, { type: 'control' }>): void {
    const { link, address, bytes } = event;
    const sessionId = bytes.subarray(SESSION_ID_AT, SESSION_ID_END);
    const known =
      this.#table.ofStream(link) ?? this.#table.at(link, address).find((instance) => instance.hasSession(sessionId));
    if (known === undefined) this.#arrivals.handleControl(event);
    else known.handleControl(bytes);
  }

  #begin({ claim, listener, link, address, transport }: Arrival): boolean {
    const { config, device } = this.#options;
    // Who came this far at this address before and did not finish has given up.
    for (const other of this.#table.at(link, address)) if (other.phase === 'handshaking') other.close(undefined);
    const id = this.#table.freeId();
    if (id === undefined) return false;
    this.log(Level.multiMedium, 'MULTI: multi_create_instance called');
    const peer = this.plane.addPeer({
      device,
      link,
      receivePeerId: id,
      replayWindowPackets: config.replayWindow.packets,
      replayWindowSeconds: config.replayWindow.seconds,
      address: transport === 'tcp' ? undefined : address,
      sendPeerId: undefined,
      compression: 'none',
      decompress: 'none',
      fragmentBytes: fragmentBytesOf(listener.profile, address.family),
      mssBytes4: 0,
      mssBytes6: 0,
      pingIntervalMs: 0,
      prefixes: [],
      dropRecursive: false,
      mayFloat: transport === 'udp',
      natRules: config.tunnel.natRules,
      copyTrafficClass: config.passTos,
    });
    const instance = new Instance(
      {
        id,
        serial: this.#nextSerial++,
        link,
        transport,
        address,
        profile: listener.profile,
        peer,
        claim,
      },
      this,
    );
    this.#table.add(instance);
    instance.start();
    instance.handleControl(claim.bytes);
    return true;
  }

  /** A client that was let in takes the place of the one that it was before, and of whoever is at its address. */
  #makeWay(instance: Instance): void {
    const { name } = instance;
    const others = new Set(this.#table.at(instance.link, instance.address));
    if (!this.#options.server.duplicateCn && name !== undefined) {
      for (const other of this.#table.named(name)) others.add(other);
    }
    others.delete(instance);
    if ([...others].some((other) => other.name === name && name !== undefined && other.phase !== 'leaving')) {
      this.log(
        Level.multi,
        `MULTI: new connection by client '${name}' will cause previous active sessions by this client to be dropped.  Remember to use the --duplicate-cn option if you want multiple clients using the same certificate or username to concurrently connect.`,
      );
    }
    for (const other of others) other.close(undefined);
  }

  async #settle(instance: Instance, grant: Grant): Promise<void> {
    count(this.#handshakes, 'completed');
    this.#settled.add(instance);
    instance.facts.routes = grant.routes;
    await this.#options.routes.learn(instance, grant);
    if (instance.phase !== 'up') return;
    this.#renewTokens(instance);
    this.#announced.add(instance);
    this.#options.observer.connected?.(this.#info(instance));
  }

  /** A token that is used must not grow old: it is replaced while the session lasts. */
  #renewTokens(instance: Instance): void {
    const seconds = this.#options.server.authGenToken?.renewalSeconds ?? 0;
    if (seconds <= 0 || this.#options.judge.token(instance) === undefined) return;
    const cancel = this.clock.at(this.clock.now().monoMs + seconds * 1000, () => {
      if (instance.phase !== 'up') return;
      const token = this.#options.judge.renewToken(instance);
      if (token !== undefined) instance.sendText(renewedTokenReply(token));
      this.#renewTokens(instance);
    });
    this.#cancelTokens.set(instance, cancel);
  }

  #float({ peer, address }: Extract<PlaneEvent, { type: 'float-request' }>): void {
    const instance = this.#table.ofPeer(peer);
    // The plane forgets the question with the peer.
    if (instance !== undefined)
      answerFloat(instance, address, { table: this.#table, plane: this.plane, log: this.log });
  }

  #linkError(event: Extract<PlaneEvent, { type: 'link-error' }>): void {
    const { link, address, pathMtuBytes } = event;
    const listener = this.#arrivals.listener(link);
    const name = listener === undefined ? 'UDP' : protocolName(listener.profile.proto, listener.local.family);
    this.log(Level.linkErrors, linkErrorLine(event, name, listener?.fd ?? -1));
    if (address === undefined || pathMtuBytes === undefined) return;
    for (const instance of this.#table.at(link, address)) instance.fitPath(pathMtuBytes);
  }

  #linkClosed(event: Extract<PlaneEvent, { type: 'link-closed' }>): void {
    const instance = this.#table.ofStream(event.link);
    if (instance === undefined) {
      this.#arrivals.lost(event);
      return;
    }
    tellLost(event, instance.log);
    instance.close({ signal: 'SIGUSR1', text: 'connection-reset' });
  }

  #dropped(event: Extract<PlaneEvent, { type: 'drop-notice' }>): void {
    const instance = event.peer === undefined ? undefined : this.#table.ofPeer(event.peer);
    logDrop(event, instance?.log ?? this.log, {
      peerPrefix: '',
      muteReplayWarnings: this.#options.config.process.muteReplayWarnings,
    });
    if (instance?.transport !== 'tcp' || !endsStream(event)) return;
    instance.log(Level.linkErrors, 'Fatal decryption error (process_incoming_link), restarting');
    instance.close({ signal: 'SIGUSR1', text: 'decryption-error' });
  }

  #info(instance: Instance, statistics: PeerStatistics = this.plane.peerStatistics(instance.peer)): ClientInfo {
    return clientInfo(instance, statistics);
  }
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

// All clients of the server: what the plane reports goes to the one it concerns, strangers go through the gate, and who
// gets through becomes an instance. Here an instance finds its judge, its options and its addresses, and here it is
// taken leave of.

import type { Config } from '../config/config.ts';
import type { ServerOptions } from '../config/server-options.ts';
import type { Claim } from '../control/first-contact.ts';
import type { DataPlane, DeviceId, LinkId, PeerStatistics, PlaneEvent } from '../data/plane.ts';
import { formatLogAddress, type SocketAddress, sameSocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import { endsStream, logDrop } from '../peer/drop-words.ts';
import { createSession, type Session, type SessionPorts } from '../session/session.ts';
import { addressText } from './address-text.ts';
import type { ClientFacts } from './client-facts.ts';
import type { Connector, Grant } from './connect.ts';
import type { Dialog } from './dialog.ts';
import type { Gate } from './gate.ts';
import type { ClientInfo } from './hooks.ts';
import { clientInfo } from './identity.ts';
import { type Authenticate, type Connected, Instance, type InstanceServer } from './instance.ts';
import { InstanceTable } from './instance-table.ts';
import type { Judge } from './judge.ts';
import type { Listener } from './listeners.ts';
import type { ServerPorts } from './ports.ts';
import { renewedTokenReply } from './push-list.ts';
import { ConnectRateLimit, connectFreqLine } from './rate-limit.ts';
import type { Routes } from './routes.ts';
import type { ServerScripts } from './scripts.ts';
import { sessionOptionsOf } from './session-options.ts';
import { Streams } from './streams.ts';
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
}

/** Counts since the start, for metrics. */
export interface ClientCounters {
  readonly handshakes: Readonly<Record<string, number>>;
  readonly disconnects: Readonly<Record<string, number>>;
  readonly renegotiations: number;
}

const SESSION_ID_AT = 1;
const SESSION_ID_END = 9;
/** The longest that programs are waited for when the server ends. */
const FAREWELL_MS = 10_000;

export class Clients implements InstanceServer {
  readonly clock: ServerPorts['clock'];
  readonly plane: DataPlane;
  readonly log: Log;
  readonly handWindowMs: number;
  readonly waitLimitSeconds: number;
  readonly #options: ClientsOptions;
  readonly #table: InstanceTable;
  readonly #streams: Streams;
  readonly #connectFreq: ConnectRateLimit;
  /** The claim that an instance is being made for. */
  #claim: Claim | undefined;
  #nextSerial = 1;
  #leaving = false;
  #turnedAway = false;
  /** What is still being done for clients that are gone. */
  readonly #farewells = new Set<Promise<unknown>>();
  readonly #handshakes: Record<string, number> = {};
  readonly #disconnects: Record<string, number> = {};
  #renegotiations = 0;
  #cancelTokens = new Map<Instance, () => void>();

  constructor(options: ClientsOptions) {
    const { config, server, ports } = options;
    this.#options = options;
    this.clock = ports.clock;
    this.plane = options.plane;
    this.log = ports.log;
    this.handWindowMs = config.tls.handWindowSeconds * 1000;
    this.waitLimitSeconds = Math.max(config.tls.handWindowSeconds, Math.floor(config.tls.renegSeconds / 2));
    this.#table = new InstanceTable(server.maxClients);
    this.#connectFreq = new ConnectRateLimit(server.connectFreq);
    this.#streams = new Streams({
      plane: options.plane,
      clock: ports.clock,
      links: ports.links,
      log: ports.log,
      relay: ports.relay,
      handshakeMs: this.handWindowMs,
      queuePackets: server.tcpQueueLimit,
      onlyOpenVpn: server.portShare !== undefined,
    });
  }

  get size(): number {
    return this.#table.size;
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

  handlePlaneEvent(event: PlaneEvent): void {
    switch (event.type) {
      case 'control':
        this.#handleControl(event);
        return;
      case 'accepted':
        this.#streams.accept(event, this.#listener(event.listener));
        return;
      case 'foreign-stream':
        this.#streams.pass(event);
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
      case 'drop-notice':
        this.#dropped(event);
        return;
      case 'link-error':
        this.log(Level.linkErrors, `read UDP [${event.code}]: ${event.text} (code=${event.errno ?? event.code})`);
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

  /** Says `text` to every client that is up (undefined: nothing) and ends them all; no new ones are taken. */
  async close(text: string | undefined): Promise<void> {
    this.#leaving = true;
    const last = [...this.#table].map((instance) => {
      if (text === undefined || instance.phase !== 'up') instance.close(undefined);
      else instance.leave(text, undefined);
      return instance.ended;
    });
    await Promise.all(last);
    await this.#streams.close();
    await this.#waitForFarewells();
    await this.#options.routes.close();
  }

  createSession(instance: Instance, { log, wake }: Pick<SessionPorts, 'log' | 'wake'>): Session {
    const { config, server, ports, plane } = this.#options;
    if (this.#claim === undefined) throw new Error('an instance is made for a claim');
    const options = sessionOptionsOf(config, server, instance.profile, this.#claim, plane.capabilities);
    return createSession(options, { crypto: ports.crypto, tls: ports.material.tls, log, wake });
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
    const grant = await this.#options.connector.connect(instance, event, token, signal);
    if (!grant.accept) return grant;
    return { ...grant, settle: () => this.#settle(instance, grant) };
  }

  renegotiated(instance: Instance): readonly string[] {
    this.#renegotiations++;
    const token = this.#options.judge.token(instance);
    return token === undefined ? [] : [renewedTokenReply(token)];
  }

  crResponse(instance: Instance, base64: string): void {
    this.#later(this.#options.scripts.crResponse(instance.facts, base64));
  }

  closed(instance: Instance, reason: string, introduced: boolean): void {
    const { plane, scripts, connector, routes, ports } = this.#options;
    const statistics = plane.peerStatistics(instance.peer);
    const info = this.#info(instance, statistics);
    count(introduced ? this.#disconnects : this.#handshakes, reason);
    this.#cancelTokens.get(instance)?.();
    this.#cancelTokens.delete(instance);
    this.#table.remove(instance);
    plane.removePeer(instance.peer);
    if (instance.transport === 'tcp') this.#later(this.#streams.end(instance.link));
    routes.release(instance);
    connector.release(instance);
    if (!introduced) return;
    const traffic = { bytesReceived: statistics.linkReadBytes, bytesSent: statistics.linkWriteBytes };
    this.#later(scripts.disconnect(instance.facts, traffic, this.clock.now().unixSeconds));
    this.#later(Promise.resolve(ports.hooks.onDisconnect?.(info, reason)));
  }

  #handleControl({ link, address, bytes }: Extract<PlaneEvent, { type: 'control' }>): void {
    const known = this.#table.ofStream(link);
    if (known !== undefined) {
      known.handleControl(bytes);
      return;
    }
    const stream = this.#streams.waiting(link);
    if (stream !== undefined) this.#firstOfStream(stream, bytes);
    else this.#handleDatagram(link, address, bytes);
  }

  #firstOfStream(
    { link, address, listener }: { link: LinkId; address: SocketAddress; listener: Listener },
    bytes: Uint8Array,
  ): void {
    const claim = this.#options.gate.handleStream(bytes, address, this.clock.now());
    if (claim !== undefined && this.#begin(claim, listener, link, address, 'tcp') !== undefined) {
      this.#streams.claimed(link);
      return;
    }
    this.#later(this.#streams.end(link));
  }

  /** By address and session id; whatever belongs to no session is a stranger's. */
  #handleDatagram(link: LinkId, address: SocketAddress, bytes: Uint8Array): void {
    const sessionId = bytes.subarray(SESSION_ID_AT, SESSION_ID_END);
    for (const instance of this.#table.at(link, address)) {
      if (!instance.hasSession(sessionId)) continue;
      instance.handleControl(bytes);
      return;
    }
    const listener = this.#listener(link);
    if (listener === undefined) return;
    if (this.#leaving) {
      this.#turnAway(address);
      return;
    }
    const answer = this.#options.gate.handleDatagram(bytes, address, this.clock.now());
    if (answer instanceof Uint8Array) this.plane.sendControl(link, address, answer);
    else if (answer !== undefined) this.#begin(answer, listener, link, address, 'udp');
  }

  #begin(
    claim: Claim,
    listener: Listener,
    link: LinkId,
    address: SocketAddress,
    transport: 'udp' | 'tcp',
  ): Instance | undefined {
    const { config, device, server } = this.#options;
    const text = addressText(address);
    if (this.#leaving) {
      this.#turnAway(address);
      return undefined;
    }
    if (!this.#connectFreq.allow(this.clock.now().unixSeconds)) {
      this.log(Level.multiErrors, connectFreqLine(text));
      return undefined;
    }
    // Who came this far at this address before and did not finish has given up.
    for (const other of this.#table.at(link, address)) if (other.phase === 'handshaking') other.close(undefined);
    const id = this.#table.freeId();
    if (id === undefined) {
      this.log(
        Level.multiErrors,
        `${text} MULTI: new incoming connection would exceed maximum number of clients (${server.maxClients})`,
      );
      return undefined;
    }
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
      fragmentBytes: 0,
      mssBytes4: 0,
      mssBytes6: 0,
      pingIntervalMs: 0,
      prefixes: [],
      dropRecursive: false,
      mayFloat: transport === 'udp',
    });
    this.#claim = claim;
    const instance = new Instance(
      {
        id,
        serial: this.#nextSerial++,
        link,
        transport,
        address,
        profile: listener.profile,
        peer,
        peerSessionId: claim.peerSessionId,
      },
      this,
    );
    this.#claim = undefined;
    this.#table.add(instance);
    instance.start();
    instance.handleControl(claim.bytes);
    return instance;
  }

  /** Who is not even answered goes on asking, and finds the server that comes after this one. */
  #turnAway(address: SocketAddress): void {
    if (this.#turnedAway) return;
    this.#turnedAway = true;
    const text = addressText(address);
    this.log(Level.multiErrors, `MULTI: Connection attempt from ${text} ignored while server is shutting down`);
  }

  /** A client that was let in takes the place of the one that it was before, and of whoever is at its address. */
  #makeWay(instance: Instance): void {
    const { name } = instance;
    const others = new Set(this.#table.at(instance.link, instance.address));
    if (!this.#options.server.duplicateCn && name !== undefined) {
      for (const other of this.#table.named(name)) others.add(other);
    }
    others.delete(instance);
    if ([...others].some((other) => other.name === name && name !== undefined)) {
      this.log(
        Level.multi,
        `MULTI: new connection by client '${name}' will cause previous active sessions by this client to be dropped.  Remember to use the --duplicate-cn option if you want multiple clients using the same certificate or username to concurrently connect.`,
      );
    }
    for (const other of others) other.close(undefined);
  }

  async #settle(instance: Instance, grant: Grant): Promise<void> {
    count(this.#handshakes, 'completed');
    instance.facts.routes = grant.routes;
    await this.#options.routes.learn(instance, grant);
    this.#renewTokens(instance);
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
    if (instance === undefined || instance.phase !== 'up') {
      this.plane.answerFloat(peer, address, false);
      return;
    }
    const from = instance.address;
    if (sameSocketAddress(from, address)) return;
    this.log(Level.multiMedium, `Float requested for peer ${instance.id} to ${addressText(address)}`);
    const others = this.#table.at(instance.link, address).filter((other) => other !== instance);
    const foreign = others.find((other) => other.phase === 'up' && !sameCertificate(other.facts, instance.facts));
    if (foreign !== undefined) {
      this.log(Level.multiErrors, `Disallow float to an address taken by another client ${foreign.label}`);
      this.plane.answerFloat(peer, address, false);
      return;
    }
    for (const other of others) other.close(undefined);
    this.log(
      Level.multiMedium,
      `peer ${instance.id} (${instance.name ?? 'UNDEF'}) floated from ${addressText(from)} to ${formatLogAddress(address)}`,
    );
    this.plane.answerFloat(peer, address, true);
    instance.moveTo(address);
    this.#table.move(instance, from);
  }

  #linkClosed({ link, code, text }: Extract<PlaneEvent, { type: 'link-closed' }>): void {
    const instance = this.#table.ofStream(link);
    if (instance === undefined) {
      this.#later(this.#streams.end(link));
      return;
    }
    if (code === 'BAD_FRAME') instance.log(Level.warning, `WARNING: Bad encapsulated packet length from peer: ${text}`);
    instance.log(Level.streamErrors, `Connection reset, restarting [${code === 'EOF' ? 0 : -1}]`);
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

  #listener(link: LinkId): Listener | undefined {
    return this.#options.listeners.find(({ id }) => id === link);
  }

  #info(instance: Instance, statistics: PeerStatistics = this.plane.peerStatistics(instance.peer)): ClientInfo {
    return clientInfo(instance, statistics);
  }

  /** Work for a client that nobody waits for; what goes wrong in it is written down. */
  #later(work: Promise<unknown>): void {
    const noted = work
      .catch((error: unknown) => this.log(Level.error, error instanceof Error ? error.message : String(error)))
      .finally(() => this.#farewells.delete(noted));
    this.#farewells.add(noted);
  }

  async #waitForFarewells(): Promise<void> {
    let cancel = (): void => {};
    const patience = new Promise<void>((resolve) => {
      cancel = this.clock.at(this.clock.now().monoMs + FAREWELL_MS, resolve);
    });
    await Promise.race([Promise.allSettled(this.#farewells), patience]);
    cancel();
  }
}

function sameCertificate(a: ClientFacts, b: ClientFacts): boolean {
  const [one, other] = [a.chain[0]?.sha256, b.chain[0]?.sha256];
  if (one === undefined || other === undefined) return one === other && a.name === b.name;
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

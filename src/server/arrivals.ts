// From a stranger's packet to a client: the gate judges it without state, a program may judge its key, limits are kept,
// and what is left is a claim that a client begins with. Streams come through here from accept to their first packet.

import type { ServerOptions } from '../config/server-options.ts';
import type { Claim } from '../control/first-contact.ts';
import type { DataPlane, LinkId, PlaneEvent } from '../data/plane.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import { addressText } from './address-text.ts';
import type { Farewells } from './farewells.ts';
import type { Gate } from './gate.ts';
import { endLine } from './instance-end.ts';
import { KeyChecks } from './key-checks.ts';
import type { Listener } from './listeners.ts';
import type { ServerPorts } from './ports.ts';
import { ConnectRateLimit, connectFreqLine } from './rate-limit.ts';
import type { ServerScripts } from './scripts.ts';
import { Streams } from './streams.ts';

/** Where a claim came from. */
export interface Arrival {
  readonly claim: Claim;
  readonly listener: Listener;
  readonly link: LinkId;
  readonly address: SocketAddress;
  readonly transport: 'udp' | 'tcp';
}

export interface ArrivalsHost {
  /** Makes a client of a claim; false when there is no room. */
  begin(arrival: Arrival): boolean;
  /** A claim came to nothing: its key was refused. */
  refused(): void;
  readonly handWindowMs: number;
}

export interface ArrivalsOptions {
  readonly server: ServerOptions;
  readonly listeners: readonly Listener[];
  readonly plane: DataPlane;
  readonly ports: ServerPorts;
  readonly gate: Gate;
  readonly scripts: ServerScripts;
  readonly farewells: Farewells;
}

/** The line about a full server is written once in this time: who is turned away may come again at once, and often. */
const FULL_QUIET_MS = 1000;

export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #host: ArrivalsHost;
  readonly #log: Log;
  readonly #streams: Streams;
  #server: ServerOptions;
  #connectFreq: ConnectRateLimit;
  readonly #keyChecks: KeyChecks;
  #closed = false;
  #turnedAway = false;
  #fullMs = Number.NEGATIVE_INFINITY;

  constructor(options: ArrivalsOptions, host: ArrivalsHost) {
    const { server, plane, ports, scripts } = options;
    this.#options = options;
    this.#host = host;
    this.#server = server;
    this.#log = ports.log;
    this.#connectFreq = new ConnectRateLimit(server.connectFreq);
    this.#keyChecks = new KeyChecks({ scripts, log: ports.log });
    this.#streams = new Streams({
      plane,
      clock: ports.clock,
      links: ports.links,
      log: ports.log,
      relay: ports.relay,
      handshakeMs: host.handWindowMs,
      queuePackets: server.tcpQueueLimit,
      onlyOpenVpn: server.portShare !== undefined,
    });
  }

  listener(link: LinkId): Listener | undefined {
    return this.#options.listeners.find(({ id }) => id === link);
  }

  /** Goes by other limits from now on. */
  reload(server: ServerOptions): void {
    if (JSON.stringify(server.connectFreq) !== JSON.stringify(this.#server.connectFreq)) {
      this.#connectFreq = new ConnectRateLimit(server.connectFreq);
    }
    this.#server = server;
  }

  /** A control packet that belongs to no client: a stranger's datagram, or the first of a stream. */
  handleControl({ link, address, bytes }: Extract<PlaneEvent, { type: 'control' }>): void {
    const stream = this.#streams.waiting(link);
    if (stream !== undefined) this.#firstOfStream(stream, bytes);
    else this.#handleDatagram(link, address, bytes);
  }

  accept(event: Extract<PlaneEvent, { type: 'accepted' }>): void {
    this.#streams.accept(event, this.listener(event.listener));
  }

  pass(event: Extract<PlaneEvent, { type: 'foreign-stream' }>): void {
    this.#streams.pass(event);
  }

  /** A stream was closed before a client came of it. */
  lost(event: Extract<PlaneEvent, { type: 'link-closed' }>): void {
    this.#options.farewells.add(this.#streams.lost(event));
  }

  /** A client's stream is not needed any more. */
  endStream(link: LinkId): void {
    this.#options.farewells.add(this.#streams.end(link));
  }

  /** Nobody comes in from now on. */
  stop(): void {
    this.#closed = true;
  }

  close(): Promise<void> {
    return this.#streams.close();
  }

  #handleDatagram(link: LinkId, address: SocketAddress, bytes: Uint8Array): void {
    const listener = this.listener(link);
    if (listener === undefined) return;
    if (this.#closed) {
      this.#turnAway(address);
      return;
    }
    const { gate, plane, ports } = this.#options;
    const answer = gate.handleDatagram(bytes, address, ports.clock.now());
    if (answer instanceof Uint8Array) plane.sendControl(link, address, answer);
    else if (answer !== undefined) {
      const arrival = { claim: answer, listener, link, address, transport: 'udp' } as const;
      this.#judgeKey(arrival, (accepted) => {
        if (accepted) this.#begin(arrival);
      });
    }
  }

  #firstOfStream(
    { link, address, listener }: { link: LinkId; address: SocketAddress; listener: Listener },
    bytes: Uint8Array,
  ): void {
    const { gate, ports } = this.#options;
    const claim = gate.handleStream(bytes, address, ports.clock.now());
    if (claim === undefined) {
      this.endStream(link);
      return;
    }
    const arrival = { claim, listener, link, address, transport: 'tcp' } as const;
    this.#judgeKey(arrival, (accepted) => {
      if (this.#streams.waiting(link) === undefined) return;
      if (accepted && this.#begin(arrival)) this.#streams.claimed(link);
      else this.endStream(link);
    });
  }

  /** Asks the program of `tls-crypt-v2-verify`; `then` is not called for a claim that was not looked at. */
  #judgeKey({ claim, link, address }: Arrival, then: (accepted: boolean) => void): void {
    if (!this.#keyChecks.concerns(claim)) {
      then(true);
      return;
    }
    const judging = this.#keyChecks.judge(claim, link, address).then((verdict) => {
      if (verdict === 'busy') return;
      if (verdict === 'refused') {
        this.#host.refused();
        this.#log(Level.multi, `${addressText(address)} ${endLine({ signal: 'SIGUSR1', text: 'tls-error' })}`);
      }
      then(verdict === 'accepted');
    });
    this.#options.farewells.add(judging);
  }

  #begin(arrival: Arrival): boolean {
    const { address } = arrival;
    if (this.#closed) {
      this.#turnAway(address);
      return false;
    }
    const now = this.#options.ports.clock.now();
    if (!this.#connectFreq.allow(now.unixSeconds)) {
      this.#log(Level.multiErrors, connectFreqLine(addressText(address)));
      return false;
    }
    if (this.#host.begin(arrival)) return true;
    if (now.monoMs - this.#fullMs < FULL_QUIET_MS) return false;
    this.#fullMs = now.monoMs;
    this.#log(
      Level.multiErrors,
      `${addressText(address)} MULTI: new incoming connection would exceed maximum number of clients (${this.#server.maxClients})`,
    );
    return false;
  }

  /** Who is not even answered goes on asking, and finds the server that comes after this one. */
  #turnAway(address: SocketAddress): void {
    if (this.#turnedAway) return;
    this.#turnedAway = true;
    const text = addressText(address);
    this.#log(Level.multiErrors, `MULTI: Connection attempt from ${text} ignored while server is shutting down`);
  }
}

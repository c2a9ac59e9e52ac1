// Watches the host's network for a connection, and carries out what `network-change` decides: the socket gets a new
// address under a session that lives on, or the client connects anew at once.

import { messageOf } from '../error.ts';
import { formatAddress } from '../ip/address.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import type { ClockPort, NetworkWatchPort } from '../ports.ts';
import type { TunnelHost } from '../tunnel/host-port.ts';
import { NetworkChange } from './network-change.ts';

/** Changes come in showers: an address, its routes, the default route. */
const SETTLE_MS = 250;
/** How long the server may take to answer on the new way, and when it is asked. */
const ANSWER_MS = 2500;
const ASK_AT_MS = [0, 400, 1200];

/** A connection as the watch knows it. */
export interface Watched {
  /** Where packets leave this host for. */
  readonly hop: SocketAddress;
  readonly stream: boolean;
  readonly isUp: boolean;
  /** How long the peer may take to answer on another way; without it 2.5 seconds. */
  readonly answerMs?: number;
  /** Takes the address that the host has now. Throws HostError. */
  rebind(): void;
  /** Sends what the peer answers. */
  ask(): void;
  /** When anything authentic came last, monotonic milliseconds. */
  lastReceivedMs(): number;
}

export interface WatchPorts {
  readonly clock: ClockPort;
  readonly log: Log;
  readonly host: Pick<TunnelHost, 'follow'>;
  readonly network?: NetworkWatchPort | undefined;
}

export class NetworkWatch {
  readonly #ports: WatchPorts;
  readonly #reconnect: () => void;
  #watched: Watched | undefined;
  /** Of the connection, and after its end of the next one to the same place. */
  #change: NetworkChange | undefined;
  #hop: SocketAddress | undefined;
  #cancelLook = (): void => {};
  #cancelProbe = (): void => {};
  #looking = false;
  #stop = (): void => {};

  /** `reconnect`: ends the connection or the pause that is on, for the next attempt at once. */
  constructor(ports: WatchPorts, reconnect: () => void) {
    this.#ports = ports;
    this.#reconnect = reconnect;
  }

  start(): void {
    const { network, log } = this.#ports;
    try {
      this.#stop = network?.watch(() => this.look()) ?? this.#stop;
    } catch (error) {
      log(Level.low, `NOTE: changes of the network are not noticed: ${messageOf(error)}`);
    }
  }

  close(): void {
    this.#stop();
    this.detach();
    this.#cancelLook();
  }

  attach(watched: Watched): void {
    if (this.#ports.network === undefined) return;
    this.#watched = watched;
    this.#hop = watched.hop;
    this.#change = new NetworkChange(this.#ports.host.follow(watched.hop));
  }

  detach(): void {
    this.#watched = undefined;
    this.#cancelProbe();
  }

  /** Something has changed, or may have: looks at it soon. */
  look(): void {
    if (this.#looking || this.#hop === undefined) return;
    this.#looking = true;
    const { clock } = this.#ports;
    this.#cancelLook = clock.at(clock.now().monoMs + SETTLE_MS, () => {
      this.#looking = false;
      this.#look();
    });
  }

  #look(): void {
    const { host, network, log } = this.#ports;
    const [change, hop, watched] = [this.#change, this.#hop, this.#watched];
    if (change === undefined || hop === undefined || network === undefined) return;
    const verdict = change.handleSight({
      way: host.follow(hop),
      sleptMs: network.sleptMs(),
      stream: watched?.stream ?? true,
      isUp: watched?.isUp ?? true,
    });
    switch (verdict.action) {
      case 'nothing':
        return;
      case 'wait':
        this.#cancelProbe();
        log(Level.info, `NOTE: the network is gone, there is no way to ${formatAddress(hop.address)}: waiting for it`);
        return;
      case 'reconnect':
        log(Level.info, `NOTE: ${verdict.reason}: connecting anew`);
        this.#cancelProbe();
        this.#reconnect();
        return;
      case 'probe':
        if (watched === undefined) this.#reconnect();
        else this.#probe(watched, verdict.rebind && !watched.stream, verdict.reason);
        return;
      default:
        verdict satisfies never;
    }
  }

  #probe(watched: Watched, rebind: boolean, reason: string): void {
    const { clock, log } = this.#ports;
    this.#cancelProbe();
    log(Level.info, `NOTE: ${reason}: the tunnel goes on there if the server answers`);
    try {
      if (rebind) watched.rebind();
    } catch (error) {
      log(Level.info, `NOTE: the socket can't go on there (${messageOf(error)}): connecting anew`);
      this.#reconnect();
      return;
    }
    const startMs = clock.now().monoMs;
    const isAnswered = (): boolean => watched.lastReceivedMs() > startMs;
    const cancels = ASK_AT_MS.filter((afterMs) => afterMs < (watched.answerMs ?? ANSWER_MS)).map((afterMs) =>
      clock.at(startMs + afterMs, () => !isAnswered() && watched.ask()),
    );
    const verdict = clock.at(startMs + (watched.answerMs ?? ANSWER_MS), () => {
      if (isAnswered()) {
        log(Level.info, 'NOTE: the server has answered, the tunnel goes on');
        return;
      }
      log(Level.info, 'NOTE: the server has not answered: connecting anew');
      this.#reconnect();
    });
    this.#cancelProbe = () => {
      for (const cancel of [...cancels, verdict]) cancel();
    };
  }
}

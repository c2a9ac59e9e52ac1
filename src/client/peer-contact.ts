// One peer at one address: its session, and what the plane has of it. Between two equal ends there may be two at once: the
// one that is in, and one that has begun anew and has not proven itself yet.

import type { DataPlane, DeviceId, LinkId, PeerHandle } from '../data/plane.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import type { Log } from '../log.ts';
import type { MtuTest } from '../peer/mtu-test.ts';
import { createPeerKeys, type PeerKeys } from '../peer/peer-keys.ts';
import type { ClockPort } from '../ports.ts';
import type { SessionEvent } from '../session/event.ts';
import type { Session, Traffic } from '../session/session.ts';
import { sameBytes } from '../wire/reader.ts';
import type { UpTunnel } from './bring-up.ts';
import { SessionDriver } from './session-driver.ts';

export interface ContactPorts {
  readonly plane: DataPlane;
  readonly clock: ClockPort;
  readonly log: Log;
  createSession(wake: () => void): Session;
  handle(event: SessionEvent, contact: Contact): void;
}

export interface ContactPlace {
  readonly link: LinkId;
  readonly address: SocketAddress;
  /** The link serves any address: the plane is told of this one, so that its control packets are a known peer's. */
  readonly lobby: DeviceId | undefined;
  /** Where incoming data is looked for that no key fits yet; no peer-id that anybody uses. */
  readonly placeholderId: number;
}

const NO_TRAFFIC: Traffic = { lastReceivedMs: 0, lastPayloadMs: 0, payloadBytes: 0 };

export class Contact {
  address: SocketAddress;
  readonly driver: SessionDriver;
  readonly startedMs: number;
  /** Set once the tunnel is up with it. */
  tunnel: UpTunnel | undefined;
  keys: PeerKeys | undefined;
  #mtuTest: MtuTest | undefined;
  readonly #ports: ContactPorts;
  #waiting: PeerHandle | undefined;

  constructor({ link, address, lobby, placeholderId }: ContactPlace, ports: ContactPorts) {
    const { plane, clock } = ports;
    this.address = address;
    this.#ports = ports;
    this.startedMs = clock.now().monoMs;
    if (lobby !== undefined) this.#waiting = plane.addPeer(waitingPeer(lobby, link, address, placeholderId));
    this.driver = new SessionDriver((wake) => ports.createSession(wake), {
      clock,
      send: (packet) => plane.sendControl(link, lobby === undefined ? undefined : this.address, packet),
      traffic: () => this.#traffic(),
      handle: (event) => ports.handle(event, this),
    });
  }

  get peer(): PeerHandle | undefined {
    return this.tunnel?.peer;
  }

  start(): void {
    this.driver.drive((now) => this.driver.session.start(now, formatLogAddress(this.address)));
  }

  /** Begins with what the peer said first. False, and not a word is said, when that is no beginning. */
  answer(bytes: Uint8Array): boolean {
    const { driver } = this;
    driver.drive((now) => {
      driver.session.start(now, formatLogAddress(this.address));
      driver.session.handleControl(bytes, now);
      if (driver.session.peerSessionId === undefined) driver.close(true);
    });
    return driver.session.peerSessionId !== undefined;
  }

  /** Whether a control packet with this session id is for it; one that knows no peer yet takes the first that comes. */
  owns(sessionId: Uint8Array): boolean {
    const { peerSessionId } = this.driver.session;
    return peerSessionId === undefined || sameBytes(peerSessionId, sessionId);
  }

  /** The tunnel is up with it: what it needs of the plane is its peer there from now on. */
  joined(tunnel: UpTunnel, mtuTest: MtuTest): void {
    this.tunnel = tunnel;
    this.#mtuTest = mtuTest;
    this.keys = createPeerKeys(this.#ports.plane, tunnel.peer, this.#ports.log);
    this.#leaveLobby();
  }

  /** When anything authentic came last, monotonic milliseconds. */
  get lastReceivedMs(): number {
    return this.#traffic().lastReceivedMs;
  }

  /** A message in the data channel that is no payload. */
  handleInBand(bytes: Uint8Array): void {
    if (this.#mtuTest?.handle(bytes) === true) return;
    this.driver.drive((now) => this.driver.session.handleInBand(bytes, now));
  }

  close(): void {
    this.#mtuTest?.close();
    this.driver.close();
    this.#leaveLobby();
    if (this.tunnel !== undefined) this.#ports.plane.removePeer(this.tunnel.peer);
    this.tunnel = undefined;
    this.keys = undefined;
  }

  #leaveLobby(): void {
    if (this.#waiting !== undefined) this.#ports.plane.removePeer(this.#waiting);
    this.#waiting = undefined;
  }

  #traffic(): Traffic {
    if (this.peer === undefined) return NO_TRAFFIC;
    const statistics = this.#ports.plane.peerStatistics(this.peer);
    return {
      lastReceivedMs: statistics.lastReceivedMs,
      lastPayloadMs: statistics.lastPayloadMs,
      payloadBytes: statistics.deviceReadBytes + statistics.deviceWriteBytes,
    };
  }
}

function waitingPeer(device: DeviceId, link: LinkId, address: SocketAddress, receivePeerId: number) {
  return {
    ...{ device, link, address, receivePeerId },
    replayWindowPackets: 64,
    replayWindowSeconds: 15,
    sendPeerId: undefined,
    compression: 'none',
    decompress: 'none',
    fragmentBytes: 0,
    mssBytes4: 0,
    mssBytes6: 0,
    pingIntervalMs: 0,
    prefixes: [],
    dropRecursive: false,
    mayFloat: false,
  } as const;
}

// One peer at one address: its session, and what the plane has of it. A client has one, its server. Between two equal ends
// there may be two at once: the one that is in, and one that has begun anew and has not proven itself yet.

import type { TlsEstablished } from '../control/tls-engine.ts';
import type { DataPlane, DeviceId, KeyHandle, LinkId, PeerHandle } from '../data/plane.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import type { Log } from '../log.ts';
import type { MtuTest } from '../peer/mtu-test.ts';
import { createPeerKeys, type PeerKeys } from '../peer/peer-keys.ts';
import { SessionDriver } from '../peer/session-driver.ts';
import { trafficOf } from '../peer/traffic.ts';
import type { ClockPort, Instants } from '../ports.ts';
import type { SessionEvent } from '../session/event.ts';
import type { Session } from '../session/session.ts';
import type { ConnectionScripts, PeerFacts } from '../tunnel/host-port.ts';
import { writeInBand } from '../wire/in-band.ts';
import { sameBytes } from '../wire/reader.ts';
import type { UpTunnel } from './bring-up.ts';

/** What a session says that is not for the plane. */
export type ContactEvent = Exclude<SessionEvent, { type: 'data-key' | 'use-key' | 'drop-key' | 'send-in-band' }>;

export interface ContactPorts {
  readonly plane: DataPlane;
  readonly clock: ClockPort;
  readonly log: Log;
  createSession(wake: () => void): Session;
  handle(event: ContactEvent, contact: Contact): void;
}

export interface ContactPlace {
  readonly link: LinkId;
  readonly address: SocketAddress;
  /** Packets have to name where they go. */
  readonly isNamed: boolean;
  /** Where it waits on a link that serves any address: the plane is told of this one, so that its packets are a known peer's. */
  readonly waiting?: Waiting | undefined;
}

export interface Waiting {
  /** A device that nothing can come out of. */
  readonly lobby: DeviceId;
  /** Where incoming data is looked for that no key fits yet; no peer-id that anybody uses. */
  readonly placeholderId: number;
}

const NO_PEER: PeerFacts = { commonName: undefined, chain: [] };

export class Contact {
  address: SocketAddress;
  readonly session: Session;
  /** Monotonic milliseconds. */
  readonly startedMs: number;
  readonly #driver: SessionDriver;
  readonly #ports: ContactPorts;
  #facts: PeerFacts = NO_PEER;
  #tunnel: UpTunnel | undefined;
  #keys: PeerKeys | undefined;
  #mtuTest: MtuTest | undefined;
  #waiting: PeerHandle | undefined;

  constructor({ link, address, isNamed, waiting }: ContactPlace, ports: ContactPorts) {
    const { plane, clock } = ports;
    this.address = address;
    this.#ports = ports;
    this.startedMs = clock.now().monoMs;
    if (waiting !== undefined) this.#waiting = plane.addPeer(waitingPeer(waiting, link, address));
    this.#driver = new SessionDriver((wake) => ports.createSession(wake), {
      clock,
      send: (packet) => plane.sendControl(link, isNamed ? this.address : undefined, packet),
      traffic: () => trafficOf(plane, this.peer),
      handle: (event) => this.#handle(event),
    });
    this.session = this.#driver.session;
  }

  /** Set while the tunnel is up with it. */
  get tunnel(): UpTunnel | undefined {
    return this.#tunnel;
  }

  get peer(): PeerHandle | undefined {
    return this.#tunnel?.peer;
  }

  /** Who it is, once it has proven itself. */
  get facts(): PeerFacts {
    return this.#facts;
  }

  /** `[name] ` as lines of the log begin; empty while nobody is known. */
  get prefix(): string {
    return this.#facts.commonName === undefined ? '' : `[${this.#facts.commonName}] `;
  }

  /** When anything authentic came last, monotonic milliseconds. */
  get lastReceivedMs(): number {
    return trafficOf(this.#ports.plane, this.peer).lastReceivedMs;
  }

  /** One input to the session, and everything that follows from it. */
  drive(input: (now: Instants) => void): void {
    this.#driver.drive(input);
  }

  start(): void {
    this.drive((now) => this.session.start(now, formatLogAddress(this.address)));
  }

  /** Begins with what the peer said first. False, and not a word is said, when that is no beginning. */
  answer(bytes: Uint8Array): boolean {
    this.drive((now) => {
      this.session.start(now, formatLogAddress(this.address));
      this.session.handleControl(bytes, now);
      if (this.session.peerSessionId === undefined) this.#driver.close(true);
    });
    return this.session.peerSessionId !== undefined;
  }

  /** Whether a control packet with this session id is for it; one that knows no peer yet takes the first that comes. */
  owns(sessionId: Uint8Array): boolean {
    const { peerSessionId } = this.session;
    return peerSessionId === undefined || sameBytes(peerSessionId, sessionId);
  }

  /** Has the driver's own checks made of the certificate that the peer has shown (`tls-verify`). */
  async verify({ chain }: TlsEstablished, scripts: ConnectionScripts): Promise<void> {
    const accepted = await scripts.verifyPeer(chain, this.address);
    this.drive((now) =>
      this.session.acceptPeer(accepted ? { accept: true } : { accept: false, reason: 'tls-verify script failed' }, now),
    );
  }

  /** It is a peer of the plane now, and keys that come are given to it. */
  joined(tunnel: UpTunnel): void {
    this.#tunnel = tunnel;
    this.#mtuTest = tunnel.sizes.createMtuTest();
    this.#keys = createPeerKeys(this.#ports.plane, tunnel.peer, this.#ports.log);
    this.#leaveLobby();
    this.drive((now) => this.session.applyPush(tunnel.push, now));
  }

  /** Measures the path to it, on a tunnel that is up. */
  startMtuTest(): void {
    this.#mtuTest?.start();
  }

  /** A message in the data channel that is no payload. */
  handleInBand(bytes: Uint8Array): void {
    if (this.#mtuTest?.handle(bytes) === true) return;
    this.drive((now) => this.session.handleInBand(bytes, now));
  }

  handleKeyUsedUp(key: KeyHandle): void {
    const handle = this.#keys?.sessionHandle(key);
    if (handle !== undefined) this.drive((now) => this.session.handleKeyUsedUp(handle, now));
  }

  /** Sends what the peer answers in band, whatever its version. */
  ask(): void {
    if (this.peer !== undefined) this.#ports.plane.sendInBand(this.peer, writeInBand({ type: 'occ-request' }));
  }

  close(): void {
    this.#mtuTest?.close();
    this.#driver.close();
    this.#leaveLobby();
    if (this.peer !== undefined) this.#ports.plane.removePeer(this.peer);
    this.#tunnel = undefined;
    this.#keys = undefined;
  }

  #handle(event: SessionEvent): void {
    switch (event.type) {
      case 'data-key':
        this.#keys?.add(event);
        this.#tunnel?.sizes.keyed(event);
        return;
      case 'use-key':
        this.#keys?.use(event.handle);
        return;
      case 'drop-key':
        this.#keys?.drop(event.handle);
        return;
      case 'send-in-band':
        if (this.peer !== undefined) this.#ports.plane.sendInBand(this.peer, event.bytes);
        return;
      case 'peer-connected':
        this.#facts = { commonName: event.leaf?.commonName, chain: event.established.chain };
        break;
    }
    this.#ports.handle(event, this);
  }

  #leaveLobby(): void {
    if (this.#waiting !== undefined) this.#ports.plane.removePeer(this.#waiting);
    this.#waiting = undefined;
  }
}

function waitingPeer({ lobby, placeholderId }: Waiting, link: LinkId, address: SocketAddress) {
  return {
    ...{ device: lobby, link, address, receivePeerId: placeholderId },
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

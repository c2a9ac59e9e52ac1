// One attempt at a tunnel between two equal ends (tls-server and tls-client without anything pushed): the device first, as
// with the C program, then the link, then whoever comes and proves itself.
//
// The way: device → link → contact (the peer's session) → what both agree on → peer and keys in the plane → up. A peer that
// was restarted comes as a second contact; it takes the first one's place once it has proven itself, not before.

import type { Config, ConnectionProfile, TunnelOptions } from '../config/config.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import type { DeviceId, PeerHandle, PlaneEvent } from '../data/plane.ts';
import { formatLogAddress, type SocketAddress, sameSocketAddress } from '../ip/socket-address.ts';
import { Level } from '../log.ts';
import { linkErrorLine } from '../peer/path-mtu.ts';
import { logResults } from '../peer/results.ts';
import type { SessionEvent } from '../session/event.ts';
import { createSession } from '../session/session.ts';
import type { OpenTunnel } from '../tunnel/host-port.ts';
import { isHardReset, parseOpcode } from '../wire/opcode.ts';
import { endOfDrop, endOfLostStream, endOfRefusedStream } from './attempt-end.ts';
import { AttemptLife } from './attempt-life.ts';
import type { AttemptPorts } from './attempt-ports.ts';
import { addPeer } from './bring-up.ts';
import { Contact, type ContactEvent, type Waiting } from './contact.ts';
import { KeyGate } from './key-gate.ts';
import type { Watched } from './network-watch.ts';
import { agreeOnTunnel } from './peer-agreement.ts';
import type { PeerLink } from './peer-link.ts';
import { signalOfEnd } from './session-end.ts';
import { sessionOptionsOf } from './session-options.ts';
import { type ClientSignal, planeFailure } from './signal.ts';

/** A newcomer that gets nowhere makes way for another after this time. */
const NEWCOMER_MS = 10_000;
/** The C program takes data from another address only in a new session: it is not waited for long. */
const ANSWER_MS = 1000;
/** What is still on its way to a peer that there is nothing in common with: it is to know, too. */
const LAST_WORDS_MS = 1000;
/** Peer-ids of contacts that have no keys: nobody is told them. */
const PLACEHOLDER_IDS = [0xfffffe, 0xfffffd] as const;

export class PeerAttempt {
  readonly #config: Config;
  readonly #profile: ConnectionProfile;
  readonly #link: PeerLink;
  readonly #ports: AttemptPorts;
  readonly #life: AttemptLife;
  readonly #keyGate: KeyGate;
  #opened: OpenTunnel | undefined;
  #opening: Promise<void> | undefined;
  #device: DeviceId | undefined;
  /** A device for contacts without keys, which nothing can come out of. */
  #lobby: DeviceId | undefined;
  #linkOpen: boolean;
  #begun = false;
  /** Whom this side called, or who is in. */
  #contact: Contact | undefined;
  /** Who came, and has not proven itself. */
  #newcomer: Contact | undefined;
  #contacts = 0;

  constructor(config: Config, profile: ConnectionProfile, link: PeerLink, ports: AttemptPorts) {
    this.#config = config;
    this.#profile = profile;
    this.#link = link;
    this.#ports = ports;
    this.#life = new AttemptLife(ports.clock, ports.log);
    this.#linkOpen = !link.connecting && link.id !== undefined;
    this.#keyGate = new KeyGate(config, ports);
  }

  /** Settles once, with the signal that ends the attempt. Never rejects. */
  get ended(): Promise<ClientSignal> {
    return this.#life.ended;
  }

  /** Begins. There is no time after which another remote is tried: the peer may come whenever it likes. */
  start(): void {
    if (this.#config.scripts.upDelay) this.#begin();
    else this.#life.onHost(this.#deviceOpen().then(() => this.#begin()));
  }

  get peer(): PeerHandle | undefined {
    return this.#contact?.peer;
  }

  /**
   * What the watch over the host's network needs of it; undefined where it is not known yet where the peer is. `rebind` gives
   * the socket another local address; one that serves any address has whichever the kernel chooses.
   */
  watched(rebind: (fd: number, remote: SocketAddress) => void): Watched | undefined {
    const { remote, fd, shared } = this.#link;
    const hop = this.#link.hop ?? remote;
    if (hop === undefined || remote === undefined) return undefined;
    const attempt = this;
    return {
      hop,
      stream: this.#profile.proto.transport !== 'udp' || !sameSocketAddress(hop, remote),
      get isUp() {
        return attempt.peer !== undefined && !attempt.#life.isOver;
      },
      answerMs: ANSWER_MS,
      rebind: () => {
        if (!shared) rebind(fd, remote);
      },
      ask: () => this.#contact?.ask(),
      lastReceivedMs: () => this.#contact?.lastReceivedMs ?? 0,
    };
  }

  renegotiate(): void {
    const contact = this.#contact;
    contact?.drive((now) => contact.session.renegotiate(now));
  }

  /** Ends on a signal from outside: at once, or after the exit notice where the profile asks for one. */
  stop(signal: ClientSignal): void {
    const contact = this.#contact;
    const { proto, explicitExitNotify } = this.#profile;
    this.#life.stop(signal, {
      times: contact?.tunnel !== undefined && proto.transport === 'udp' ? explicitExitNotify : 0,
      reliable: contact?.tunnel?.push.controlExit === true,
      send: () => this.#contact?.drive((now) => this.#contact?.session.sendExit(now)),
    });
  }

  handlePlaneEvent(event: PlaneEvent): void {
    if (this.#life.isOver) return;
    const { log, plane } = this.#ports;
    switch (event.type) {
      case 'control':
        if (event.link === this.#link.id) this.#handleControl(event.address, event.bytes);
        return;
      case 'in-band':
        if (event.peer === this.peer) this.#contact?.handleInBand(event.bytes);
        return;
      case 'key-used-up':
        this.#contact?.handleKeyUsedUp(event.key);
        return;
      case 'accepted':
        if (!this.#link.accept(event.listener, event.fd, event.address)) return;
        log(Level.info, `TCP connection established with ${formatLogAddress(event.address)}`);
        this.#linkOpen = true;
        this.#begin();
        return;
      case 'link-open':
        if (event.link !== this.#link.id) return;
        log(Level.info, `TCP connection established with ${this.#remoteText()}`);
        this.#linkOpen = true;
        this.#begin();
        return;
      case 'link-closed':
        if (event.link === this.#link.id) this.#linkClosed(event);
        return;
      case 'link-error':
        if (event.link === this.#link.id) this.#linkError(event);
        return;
      case 'float-request':
        if (event.peer !== this.peer) return;
        plane.answerFloat(event.peer, event.address, this.#profile.float);
        if (this.#profile.float && this.#contact !== undefined) this.#moved(this.#contact, event.address);
        return;
      case 'drop-notice':
        this.#dropped(event);
        return;
      case 'device-error':
        log(Level.linkErrors, `read from TUN/TAP [${event.code}]: ${event.text}`);
        return;
      case 'data-path':
        log(Level.dataPath, `Data path: ${event.text}`);
        return;
      case 'plane-failed':
        this.#life.end(planeFailure(event.text));
        return;
      case 'foreign-stream':
      case 'address-request':
      case 'addresses-forgotten':
        return; // one peer, whose streams and frames are taken as they are
      default:
        event satisfies never;
    }
  }

  /** Lets go of sessions, peers and link, and waits for what is being done to the host. The device is the host's business. */
  async close(): Promise<void> {
    this.#life.abandon();
    this.#contact?.close();
    this.#newcomer?.close();
    this.#contact = undefined;
    this.#newcomer = undefined;
    if (this.#lobby !== undefined) await this.#ports.plane.removeDevice(this.#lobby);
    await this.#link.close();
    await this.#life.hostSettled();
  }

  /** Once, whoever asks for it: a peer that is restarted meanwhile finds the first one's on its way. */
  #deviceOpen(): Promise<void> {
    this.#opening ??= this.#openDevice();
    return this.#opening;
  }

  async #openDevice(): Promise<void> {
    const { host, device } = this.#ports;
    const opened = await host.open({
      profile: this.#profile,
      tunnel: this.#config.tunnel,
      remote: this.#link.remote,
      letGo: () => device.release(),
      signal: this.#life.signal,
    });
    this.#opened = opened;
    this.#device = device.attach(opened);
    if (!opened.kept && !this.#life.isOver) await host.route();
    if (!this.#life.isOver) host.dropPrivileges();
  }

  /** The link can be spoken over: this side calls its peer, if it knows where that is. */
  #begin(): void {
    const { id, remote } = this.#link;
    if (this.#life.isOver || this.#begun || !this.#linkOpen || id === undefined) {
      return;
    }
    if (this.#opened === undefined && !this.#config.scripts.upDelay) return;
    this.#begun = true;
    this.#link.announce();
    if (remote === undefined) return;
    this.#ports.observer.connecting(remote);
    const wrap = this.#ports.material.wrapOf(this.#profile);
    // Where the peer brings its key there is nobody to talk to before it has.
    if (wrap === undefined) return;
    this.#contact = this.#meet(remote, true, wrap);
    this.#contact?.start();
  }

  /** `calls`: this side speaks first. */
  #meet(address: SocketAddress, calls: boolean, wrap: WrapOptions): Contact | undefined {
    const { id } = this.#link;
    if (id === undefined) return undefined;
    const { plane, clock, log, crypto, material } = this.#ports;
    const { config, profile } = { config: this.#config, profile: this.#profile };
    const options = sessionOptionsOf(config, profile, address, material, plane.capabilities, undefined, wrap);
    const ports = { crypto, tls: material.tls, log };
    return new Contact(
      {
        link: id,
        address,
        isNamed: !this.#link.connected,
        waiting: this.#link.shared ? this.#nextWaiting() : undefined,
      },
      {
        ...{ plane, clock, log },
        createSession: (wake) => createSession({ ...options, speaksFirst: calls }, { ...ports, wake }),
        handle: (event, contact) => {
          if (!this.#life.isOver) this.#handleEvent(event, contact);
        },
      },
    );
  }

  #nextWaiting(): Waiting {
    this.#lobby ??= this.#ports.plane.addDevice({
      endpoint: { kind: 'memory' },
      layer: 'null',
      mtuBytes: 1500,
      blockIpv6: false,
    });
    return { lobby: this.#lobby, placeholderId: PLACEHOLDER_IDS[this.#contacts++ % 2] ?? PLACEHOLDER_IDS[0] };
  }

  #handleControl(address: SocketAddress, bytes: Uint8Array): void {
    const opcode = parseOpcode(bytes[0] ?? 0);
    if (!this.#begun || opcode === undefined) return;
    const sessionId = bytes.subarray(1, 9);
    for (const contact of [this.#contact, this.#newcomer]) {
      if (contact === undefined || !sameSocketAddress(contact.address, address) || !contact.owns(sessionId)) continue;
      contact.drive((now) => contact.session.handleControl(bytes, now));
      return;
    }
    if (isHardReset(opcode) && this.#mayCome(address)) this.#receive(address, bytes);
  }

  /** Without `float`, a peer whose address the profile states comes from there only. */
  #mayCome(address: SocketAddress): boolean {
    const { remote } = this.#link;
    if (remote !== undefined && !this.#profile.float && !sameSocketAddress(remote, address)) return false;
    if (this.#newcomer === undefined) return true;
    return this.#ports.clock.now().monoMs - this.#newcomer.startedMs >= NEWCOMER_MS;
  }

  /** Somebody begins. A packet that does not pass the wrapping, or answers what nobody asked, leaves nothing behind. */
  #receive(address: SocketAddress, bytes: Uint8Array): void {
    const wrap = this.#ports.material.wrapOf(this.#profile);
    if (wrap !== undefined) {
      this.#admit(address, bytes, wrap);
      return;
    }
    // A program may be asked; the bytes are the plane's until then.
    const first = bytes.slice();
    const asked = this.#keyGate.pass(this.#profile, first, address, (brought) => {
      if (this.#life.isOver) brought.clientKey.fill(0);
      else this.#admit(address, first, brought);
    });
    if (asked !== undefined) this.#life.onHost(asked);
  }

  #admit(address: SocketAddress, bytes: Uint8Array, wrap: WrapOptions): void {
    const contact = this.#meet(address, false, wrap);
    if (contact === undefined) return;
    const before = this.#newcomer;
    this.#newcomer = contact;
    if (contact.answer(bytes)) before?.close();
    else {
      this.#newcomer = before;
      contact.close();
    }
  }

  #dismiss(): void {
    this.#newcomer?.close();
    this.#newcomer = undefined;
  }

  #handleEvent(event: ContactEvent, contact: Contact): void {
    const { observer, scripts } = this.#ports;
    switch (event.type) {
      case 'peer-answered':
        if (contact === this.#contact) observer.handshaking(contact.address);
        return;
      case 'verify-peer':
        this.#life.onHost(contact.verify(event.established, scripts));
        return;
      case 'peer-connected':
        this.#connected(contact, event);
        return;
      case 'info':
        observer.info(event.kind, event.text);
        return;
      case 'ended':
        this.#sessionEnded(contact, event);
        return;
      case 'renegotiated':
        return;
      case 'need-credentials':
      case 'login-pending':
      case 'push-request':
      case 'push-reply':
      case 'push-update':
      case 'authenticate':
      case 'auth-token':
        return; // equal ends ask each other for nothing
      default:
        event satisfies never;
    }
  }

  /** The peer has proven itself. Whoever was in before is what it was before it was restarted. */
  #connected(contact: Contact, event: Extract<SessionEvent, { type: 'peer-connected' }>): void {
    const { log, observer, scripts } = this.#ports;
    if (contact === this.#newcomer) {
      this.#contact?.close();
      this.#contact = contact;
      this.#newcomer = undefined;
    }
    observer.peerConnected(contact.facts);
    this.#life.onHost(scripts.ipChange(contact.address, contact.facts));
    const { capabilities } = this.#ports.plane;
    const agreed = agreeOnTunnel(this.#config, capabilities, contact.session, event.peerInfo, log);
    if (agreed.type === 'agreed') this.#life.onHost(this.#bringUp(contact, agreed.tunnel));
    else this.#life.endAfter(LAST_WORDS_MS, agreed.end);
  }

  async #bringUp(contact: Contact, tunnel: TunnelOptions): Promise<void> {
    const { observer, log } = this.#ports;
    observer.configuring(contact.address);
    await this.#deviceOpen();
    const { id } = this.#link;
    const [opened, device] = [this.#opened, this.#device];
    if (this.#life.isOver || this.#contact !== contact || opened === undefined || device === undefined) return;
    if (id === undefined) return;
    const hop = this.#link.hop ?? contact.address;
    const link = { id, hop, remote: contact.address, connected: this.#link.connected };
    const up = addPeer(device, tunnel, {
      config: this.#config,
      profile: this.#profile,
      link,
      ports: this.#ports,
    });
    contact.joined(up);
    if (this.#life.isOver) return;
    if (this.#config.mtuTest) contact.startMtuTest();
    log(Level.info, 'Initialization Sequence Completed');
    logResults(tunnel, this.#profile.explicitExitNotify, log);
    observer.connected(contact.address, opened.plan, up.sizes.cipher);
  }

  #sessionEnded(contact: Contact, { end }: Extract<SessionEvent, { type: 'ended' }>): void {
    if (contact === this.#newcomer) {
      // Who did not prove itself changes nothing.
      this.#dismiss();
      return;
    }
    if (contact !== this.#contact) return;
    this.#life.end(
      signalOfEnd(end, {
        config: this.#config,
        forgetToken: () => false,
        challenges: undefined,
        setChallenge: () => {},
      }),
    );
  }

  #moved(contact: Contact, address: SocketAddress): void {
    contact.address = address;
    const { log, scripts } = this.#ports;
    log(Level.info, `${contact.prefix}Peer Connection Initiated with ${formatLogAddress(address)}`);
    this.#life.onHost(scripts.ipChange(address, contact.facts));
  }

  /** The path takes smaller packets only, or nobody is there. */
  #linkError(event: Extract<PlaneEvent, { type: 'link-error' }>): void {
    const contact = this.#contact;
    const { address, pathMtuBytes } = event;
    const family = (address ?? contact?.address ?? this.#link.remote)?.family;
    this.#ports.log(Level.linkErrors, linkErrorLine(event, family === 6 ? 'UDPv6' : 'UDPv4', this.#link.fd));
    if (contact === undefined) return;
    if (pathMtuBytes === undefined) contact.session.handleLinkRefused(event.text);
    else if (address === undefined || sameSocketAddress(address, contact.address))
      contact.tunnel?.sizes.fitPath(pathMtuBytes);
  }

  #linkClosed({ code, text }: Extract<PlaneEvent, { type: 'link-closed' }>): void {
    const { log } = this.#ports;
    this.#life.end(
      this.#linkOpen
        ? endOfLostStream('peer', code, text, log)
        : endOfRefusedStream('peer', this.#remoteText(), text, log),
    );
  }

  #dropped(event: Extract<PlaneEvent, { type: 'drop-notice' }>): void {
    if (event.peer !== undefined && event.peer !== this.peer) return;
    const end = endOfDrop(event, this.#ports.log, {
      peerPrefix: this.#contact?.prefix ?? '',
      muteReplayWarnings: this.#config.process.muteReplayWarnings,
      stream: this.#profile.proto.transport !== 'udp',
    });
    if (end !== undefined) this.#life.end(end);
  }

  #remoteText(): string {
    const { remote } = this.#link;
    return remote === undefined ? '[AF_UNSPEC]' : formatLogAddress(remote);
  }
}

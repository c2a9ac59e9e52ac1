// One client of the server, from its first packet to its end: drives its session, owns its peer in the plane, and waits
// for what the server decides about it. It decides nothing itself.
//
//   handshaking → judging → connecting → up → leaving → closed
//
// Every judgement has a limit of time; a client whose judge is slow, fails or hangs waits or is refused alone.

import type { ConnectionProfile } from '../config/config.ts';
import type { Claim } from '../control/first-contact.ts';
import type { DataPlane, LinkId, PeerHandle } from '../data/plane.ts';
import { messageOf } from '../error.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import type { MtuTest } from '../peer/mtu-test.ts';
import { PacketSizes } from '../peer/packet-sizes.ts';
import { createPeerKeys, type PeerKeys } from '../peer/peer-keys.ts';
import { logResults } from '../peer/results.ts';
import { trafficOf } from '../peer/traffic.ts';
import type { ClockPort, Instants } from '../ports.ts';
import type { SessionEnd, SessionEvent } from '../session/event.ts';
import type { RefusalWord, Session, SessionPorts } from '../session/session.ts';
import { formatHex } from '../wire/hex.ts';
import { addressText } from './address-text.ts';
import { type ClientFacts, newClientFacts } from './client-facts.ts';
import type { Grant } from './connect.ts';
import { Dialog } from './dialog.ts';
import { endLine, type InstanceEnd, instanceEndOf } from './instance-end.ts';
import { type Admission, type Refusal, refusal, type Verdict } from './verdict.ts';

export type Authenticate = Extract<SessionEvent, { type: 'authenticate' }>;
export type InstancePhase = 'handshaking' | 'judging' | 'connecting' | 'up' | 'leaving' | 'closed';

/** What a client that was let in gets. */
export interface Connected extends Pick<Grant, 'accept' | 'push' | 'options' | 'settings' | 'results' | 'pushUnasked'> {
  /** Learns the client's addresses; they are its from then on. */
  settle(): Promise<void>;
}

/** What an instance asks of its server. */
export interface InstanceServer {
  readonly clock: ClockPort;
  readonly plane: DataPlane;
  readonly log: Log;
  /** The longest that a judgement may take, and how far a client may be put off. */
  readonly handWindowMs: number;
  readonly waitLimitSeconds: number;
  /** Whether the path to each client is measured. */
  readonly mtuTest: boolean;
  createSession(profile: ConnectionProfile, claim: Claim, ports: Pick<SessionPorts, 'log' | 'wake'>): Session;
  verifyPeer(instance: Instance, chain: ClientFacts['chain']): Promise<boolean>;
  authenticate(instance: Instance, event: Authenticate, dialog: Dialog): Promise<Verdict>;
  /** `event`: how the client proved itself; `token`: what it will be known by next time. */
  connect(
    instance: Instance,
    event: Authenticate,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<Connected | Refusal>;
  /** Texts after a renegotiation: a new auth-token. */
  renegotiated(instance: Instance): readonly string[];
  crResponse(instance: Instance, base64: string): void;
  /** The client says that it goes (EXIT on the control channel). */
  leaves(): void;
  /** The instance has ended; everything that is its own goes now. */
  closed(instance: Instance, reason: string): void;
}

export interface InstanceOptions {
  readonly id: number;
  /** Never used twice. */
  readonly serial: number;
  readonly link: LinkId;
  readonly transport: 'udp' | 'tcp';
  readonly address: SocketAddress;
  readonly profile: ConnectionProfile;
  readonly peer: PeerHandle;
  /** What it begins with. */
  readonly claim: Claim;
}

/** The session ends an overdue handshake itself, and says why; this is for one that has forgotten to. */
const HANDSHAKE_GRACE_MS = 1000;
/** How long a client may take to acknowledge that it is refused … */
const REFUSAL_MS = 5000;
/** … and that the server goes: C's clients are gone at once and acknowledge nothing. */
const FAREWELL_MS = 2000;
/** A push reply is not repeated sooner. */
const PUSH_REPEAT_MS = 30_000;

export class Instance {
  readonly id: number;
  readonly serial: number;
  readonly link: LinkId;
  readonly transport: 'udp' | 'tcp';
  readonly profile: ConnectionProfile;
  readonly peer: PeerHandle;
  readonly facts: ClientFacts;
  /** When its first packet came. */
  readonly createdUnixSeconds: number;
  /** Writes with the client's name and address in front. */
  readonly log: Log;
  /** Settles when the instance has closed. */
  readonly ended: Promise<void>;
  address: SocketAddress;
  readonly #peerSessionId: string;
  readonly #server: InstanceServer;
  readonly #session: Session;
  readonly #keys: PeerKeys;
  #phase: InstancePhase = 'handshaking';
  #settleEnd: () => void = () => {};
  #prefix: string;
  #dialog: Dialog | undefined;
  /** Ends what is being decided about the client. */
  readonly #aborter = new AbortController();
  #cancelTimer = (): void => {};
  #cancelLimit = (): void => {};
  #cancelSettling = (): void => {};
  #wantsPush = false;
  #reply: readonly string[] = [];
  #repliedMs = Number.NEGATIVE_INFINITY;
  /** Its addresses are learned: the reply may go out. */
  #settled = false;
  readonly #sizes: PacketSizes;
  readonly #mtuTest: MtuTest;
  #settings: Connected['settings'] | undefined;
  #driving = false;
  /** How it ends, once it is leaving. */
  #last: { readonly end: InstanceEnd | undefined; readonly reason: string } | undefined;

  constructor(options: InstanceOptions, server: InstanceServer) {
    this.id = options.id;
    this.serial = options.serial;
    this.link = options.link;
    this.transport = options.transport;
    this.address = options.address;
    this.profile = options.profile;
    this.peer = options.peer;
    this.#peerSessionId = formatHex(options.claim.peerSessionId);
    this.#server = server;
    this.createdUnixSeconds = Math.floor(server.clock.now().unixSeconds);
    this.ended = new Promise((resolve) => {
      this.#settleEnd = resolve;
    });
    this.#prefix = `${addressText(options.address)} `;
    this.log = (flags, text) => server.log(flags, this.#prefix + text);
    this.facts = newClientFacts(options.id, options.transport, options.address, this.log);
    this.#keys = createPeerKeys(server.plane, options.peer, this.log);
    const ports = { plane: server.plane, clock: server.clock, log: this.log };
    this.#sizes = new PacketSizes(options.peer, options.profile, ports, () => ({
      outerFamily: this.address.family,
      peerId: true,
      compression: this.#settings?.compression ?? 'none',
      tunMtuBytes: undefined,
    }));
    this.#mtuTest = this.#sizes.createMtuTest();
    this.#session = server.createSession(options.profile, options.claim, {
      log: this.log,
      wake: () => this.#drive((now) => this.#session.handleWake(now)),
    });
  }

  get phase(): InstancePhase {
    return this.#phase;
  }

  /** Set once the client was let in. */
  get name(): string | undefined {
    return this.facts.name;
  }

  /** `client/192.0.2.1:40000`, as lines of the log begin. */
  get label(): string {
    return this.#prefix.trimEnd();
  }

  /** Whether a control packet with this session id is for this instance. */
  hasSession(sessionId: Uint8Array): boolean {
    return formatHex(sessionId) === this.#peerSessionId;
  }

  /** Of the data channel, by OpenSSL's name; empty before there is a key. */
  get cipher(): string {
    return this.#sizes.cipher ?? '';
  }

  /** Begins; a client that does not finish its handshake in time goes. */
  start(): void {
    this.#limit(this.#server.handWindowMs + HANDSHAKE_GRACE_MS, 'handshake');
    this.#drive((now) => this.#session.start(now, formatLogAddress(this.address)));
  }

  handleControl(bytes: Uint8Array): void {
    this.#drive((now) => this.#session.handleControl(bytes, now));
  }

  handleInBand(bytes: Uint8Array): void {
    if (this.#phase === 'closed' || this.#mtuTest.handle(bytes)) return;
    this.#drive((now) => this.#session.handleInBand(bytes, now));
  }

  handleKeyUsedUp(planeKey: number): void {
    const handle = this.#keys.sessionHandle(planeKey);
    if (handle !== undefined) this.#drive((now) => this.#session.handleKeyUsedUp(handle, now));
  }

  /** The client is at another address from now on. */
  moveTo(address: SocketAddress): void {
    this.address = address;
    this.facts.trusted = address;
    this.#name(this.facts.name);
  }

  /** Says something on the control channel of a client that is up. */
  sendText(text: string): void {
    if (this.#phase === 'up') this.#drive((now) => this.#session.sendText(text, now));
  }

  /** Says a last word, waits until it is acknowledged (a few seconds at most), and ends. */
  leave(text: string, end: InstanceEnd | undefined, reason?: string): void {
    if (this.#phase === 'leaving' || this.#phase === 'closed') return;
    this.#drive((now) => this.#session.sendText(text, now));
    this.#leaving(end, FAREWELL_MS, reason);
  }

  /** A client that was let in has proven itself with a certificate that is not good any more. */
  revoke(): void {
    this.log(Level.tlsErrors, 'VERIFY ERROR: the certificate was revoked while the client was connected');
    this.refuse(refusal('certificate revoked'));
  }

  /** Tells the client that it is refused, and ends. */
  refuse({ text }: Refusal, word?: RefusalWord): void {
    if (this.#phase === 'leaving' || this.#phase === 'closed') return;
    this.log(Level.delayedExit, 'Delayed exit in 5 seconds');
    this.#drive((now) => this.#session.refuse(text, now, word));
    this.#leaving({ signal: 'SIGTERM', text: 'delayed-exit' }, REFUSAL_MS);
  }

  /**
   * Ends at once; undefined: without a word in the log. `reason` is what programs are told, where it is not the end's.
   * What is on its way out already ends as it was going to.
   */
  close(end: InstanceEnd | undefined, reason = end?.text ?? 'replaced'): void {
    if (this.#phase === 'closed') return;
    const last = this.#last ?? { end, reason };
    this.#phase = 'closed';
    this.#cancelTimer();
    this.#cancelLimit();
    this.#cancelSettling();
    this.#mtuTest.close();
    this.#dialog?.end('the client is gone');
    this.#aborter.abort();
    if (last.end !== undefined) this.log(Level.multi, endLine(last.end));
    this.#session.close();
    try {
      this.#server.closed(this, last.reason);
    } finally {
      this.#settleEnd();
    }
  }

  /** One input, then everything that follows from it. */
  #drive(input: (now: Instants) => void): void {
    if (this.#phase === 'closed') return;
    const now = this.#server.clock.now();
    try {
      input(now);
      // What an event causes may bring another input; the loop that is on takes it along.
      if (!this.#driving) this.#drainOnce(now);
    } catch (error) {
      // A mistake of ours that one client brings to light is no reason for all others to go.
      this.log(Level.error, `the client is ended, because handling it failed: ${messageOf(error)}`);
      this.close({ signal: 'SIGUSR1', text: 'internal-error' });
    }
  }

  #drainOnce(now: Instants): void {
    this.#driving = true;
    try {
      this.#drain(now);
    } finally {
      this.#driving = false;
    }
  }

  #drain(now: Instants): void {
    for (let more = true; more && !this.#isClosed(); ) {
      more = this.#transmit(now);
      for (let event = this.#session.pollEvent(); event !== undefined; event = this.#session.pollEvent()) {
        more = true;
        this.#handleEvent(event, now);
        if (this.#isClosed()) return;
      }
    }
    if (this.#phase === 'leaving' && this.#session.drained) {
      this.close(undefined);
      return;
    }
    this.#cancelTimer();
    const deadline = this.#session.pollTimeout();
    if (deadline === undefined) return;
    this.#cancelTimer = this.#server.clock.at(deadline.atMs, () =>
      this.#drive((at) => this.#session.handleTimeout(at, trafficOf(this.#server.plane, this.peer))),
    );
  }

  #transmit(now: Instants): boolean {
    let sent = false;
    const to = this.transport === 'tcp' ? undefined : this.address;
    for (let packet = this.#session.pollTransmit(now); packet !== undefined; packet = this.#session.pollTransmit(now)) {
      this.#server.plane.sendControl(this.link, to, packet);
      sent = true;
    }
    return sent;
  }

  #handleEvent(event: SessionEvent, now: Instants): void {
    switch (event.type) {
      case 'verify-peer':
        this.#verify(event);
        return;
      case 'authenticate':
        this.#judge(event);
        return;
      case 'peer-connected':
        this.#phase = 'connecting';
        return;
      case 'push-request':
        this.#wantsPush = true;
        if (this.#settled && this.#phase === 'up' && now.monoMs - this.#repliedMs >= PUSH_REPEAT_MS) {
          this.#sendReply(now);
        }
        return;
      case 'data-key':
        this.#keys.add(event);
        this.#sizes.keyed(event);
        return;
      case 'use-key':
        this.#keys.use(event.handle);
        return;
      case 'drop-key':
        this.#keys.drop(event.handle);
        return;
      case 'renegotiated':
        for (const text of this.#server.renegotiated(this)) this.#session.sendText(text, now);
        return;
      case 'send-in-band':
        this.#server.plane.sendInBand(this.peer, event.bytes);
        return;
      case 'info':
        if (event.kind === 'cr-response') this.#heardResponse(event.text);
        return;
      case 'ended':
        this.#transmit(now);
        this.#sessionEnded(event.end);
        return;
      case 'peer-answered':
      case 'need-credentials':
      case 'login-pending':
      case 'push-update':
      case 'push-reply':
      case 'auth-token':
        // A server's session has none of these for its driver.
        return;
      default:
        event satisfies never;
    }
  }

  #verify({ established }: Extract<SessionEvent, { type: 'verify-peer' }>): void {
    const { chain } = established;
    this.#settle(this.#server.verifyPeer(this, chain), (accepted) => {
      const verdict = accepted
        ? ({ accept: true } as const)
        : { accept: false as const, reason: 'tls-verify script failed' };
      this.#drive((now) => this.#session.acceptPeer(verdict, now));
    });
  }

  #judge(event: Authenticate): void {
    // Last words were said; a renegotiation that comes to its end meanwhile has nobody to judge it.
    if (this.#phase === 'leaving') return;
    if (this.#phase === 'handshaking') this.#phase = 'judging';
    this.#cancelLimit();
    if (event.refusal !== undefined) {
      // A certificate that this side can't check now is no reason for a client to give up for good.
      this.refuse(refusal(event.refusal.message), event.refusal.retry ? 'RESTART' : 'AUTH_FAILED');
      return;
    }
    if (event.first) {
      this.facts.chain = event.established.chain;
      this.facts.commonName = event.established.chain[0]?.commonName;
      this.facts.peerInfo = event.peerInfo;
      this.facts.peerInfoText = event.peerInfoText;
      this.facts.optionsString = event.peerOptionsString;
    }
    const dialog = new Dialog({
      peerInfo: event.peerInfo,
      waitLimitSeconds: this.#server.waitLimitSeconds,
      sendText: (text) => this.#drive((now) => this.#session.sendText(text, now)),
      extend: (seconds) => this.#limit(seconds * 1000, 'judgement'),
    });
    this.#dialog?.end('another judgement began');
    this.#dialog = dialog;
    this.#limit(this.#server.handWindowMs, 'judgement');
    this.#settle(this.#server.authenticate(this, event, dialog), (verdict) => {
      if (this.#dialog !== dialog) return;
      this.#dialog = undefined;
      this.#cancelLimit();
      dialog.end('the judgement is made');
      if (!verdict.accept) this.refuse(verdict);
      else this.#admit(event, verdict);
    });
  }

  #admit(event: Authenticate, { name, token }: Admission): void {
    this.facts.trusted = this.address;
    this.#drive((now) => this.#session.admit(event.keyId, name, now));
    if (!event.first || this.#phase !== 'connecting') return;
    this.#name(name);
    this.#connect(event, token);
  }

  /** Logs have the name in front from now on. */
  #name(name: string | undefined): void {
    this.facts.name = name;
    this.#prefix = `${name === undefined ? '' : `${name}/`}${addressText(this.address)} `;
  }

  #connect(event: Authenticate, token: string | undefined): void {
    this.#limit(this.#server.handWindowMs, 'judgement');
    this.#settle(this.#server.connect(this, event, token, this.#aborter.signal), (result) => {
      if (this.#phase !== 'connecting') return;
      this.#cancelLimit();
      if (!result.accept) this.refuse(result);
      else this.#bringUp(result);
    });
  }

  #bringUp(connected: Connected): void {
    const { plane } = this.#server;
    this.#settings = connected.settings;
    this.#reply = connected.options;
    plane.setPeer(this.peer, { ...connected.settings, sendPeerId: connected.push.peerId });
    this.#drive((now) => this.#session.applyPush(connected.push, now));
    if (this.#phase !== 'connecting') return;
    logResults(connected.results, this.profile.explicitExitNotify, this.log);
    this.#phase = 'up';
    // A renegotiation may have a limit of its own by now.
    const { clock, handWindowMs } = this.#server;
    this.#cancelSettling = clock.at(clock.now().monoMs + handWindowMs, () => this.refuse(refusal(undefined)));
    this.#settle(connected.settle(), () => {
      this.#cancelSettling();
      if (this.#phase !== 'up') return;
      this.#settled = true;
      if (this.#server.mtuTest) this.#mtuTest.start();
      if (this.#wantsPush || connected.pushUnasked) this.#drive((now) => this.#sendReply(now));
    });
  }

  #sendReply(now: Instants): void {
    this.#repliedMs = now.monoMs;
    this.#session.sendPushReply(this.#reply, now);
  }

  /** The path to the client takes packets of so many bytes only, headers of IP and transport included. */
  fitPath(pathMtuBytes: number): void {
    if (this.#phase !== 'closed') this.#sizes.fitPath(pathMtuBytes);
  }

  #heardResponse(base64: string): void {
    if (this.#dialog?.handleResponse(base64) !== undefined) this.#server.crResponse(this, base64);
  }

  #sessionEnded(end: SessionEnd): void {
    if (end.reason === 'peer-exit' && end.notice === 'EXIT') this.#server.leaves();
    this.close(instanceEndOf(end));
  }

  #leaving(end: InstanceEnd | undefined, patienceMs: number, reason?: string): void {
    if (this.#isClosed()) return;
    this.#phase = 'leaving';
    // Its packets end now, its words take a moment longer.
    this.#server.plane.setPeer(this.peer, { prefixes: [], pingIntervalMs: 0 });
    this.#dialog?.end('the client was refused');
    this.#dialog = undefined;
    this.#aborter.abort();
    this.#last = { end, reason: reason ?? end?.text ?? 'replaced' };
    this.#cancelSettling();
    this.#cancelLimit();
    this.#cancelLimit = this.#server.clock.at(this.#server.clock.now().monoMs + patienceMs, () =>
      this.close(undefined),
    );
    this.#drive((now) => this.#session.handleWake(now));
  }

  /** Ends the instance, or the judgement it waits for, when this much time is over. */
  #limit(ms: number, of: 'handshake' | 'judgement'): void {
    this.#cancelLimit();
    this.#cancelLimit = this.#server.clock.at(this.#server.clock.now().monoMs + ms, () => {
      if (of === 'judgement') this.refuse(refusal(undefined));
      else this.close({ signal: 'SIGUSR1', text: 'tls-error' });
    });
  }

  /** What was decided elsewhere; a decision that fails refuses the client, and one that comes too late changes nothing. */
  #settle<T>(decision: Promise<T>, then: (decided: T) => void): void {
    decision
      .then((decided) => {
        if (!this.#isClosed()) then(decided);
      })
      .catch((error: unknown) => {
        if (this.#isClosed() || this.#phase === 'leaving') return;
        this.log(Level.error, `the client is refused, because deciding about it failed: ${messageOf(error)}`);
        this.refuse(refusal(undefined));
      });
  }

  #isClosed(): boolean {
    return this.#phase === 'closed';
  }
}

// One attempt at one address, from the socket to the tunnel and to its end. It joins a session (what to say), a link and
// a peer of the data plane (how it travels) and the host (what it changes), and decides nothing that they can decide.
//
// The way: open the link → session → peer answered → certificate → push reply → device, peer, keys → routes → up.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { PeerHandle, PlaneEvent } from '../data/plane.ts';
import { SallyportError } from '../error.ts';
import { formatLogAddress, type SocketAddress, sameSocketAddress } from '../ip/socket-address.ts';
import { Level } from '../log.ts';
import type { MtuTest } from '../peer/mtu-test.ts';
import { linkErrorLine } from '../peer/path-mtu.ts';
import { createPeerKeys, type PeerKeys } from '../peer/peer-keys.ts';
import type { ClockPort } from '../ports.ts';
import type { SessionEvent } from '../session/event.ts';
import { createSession, type Session, type Traffic } from '../session/session.ts';
import type { PeerFacts } from '../tunnel/host-port.ts';
import { writeInBand } from '../wire/in-band.ts';
import { endOfDrop, endOfFailedWork, endOfLostStream, endOfRefusedStream } from './attempt-end.ts';
import type { AttemptPorts } from './attempt-ports.ts';
import { type BringUpContext, bringUp, mtuTestOf, type UpTunnel } from './bring-up.ts';
import type { AttemptLink } from './link.ts';
import { updateTunnel } from './live-update.ts';
import type { Watched } from './network-watch.ts';
import { PendingLogin } from './pending-login.ts';
import { signalOfEnd } from './session-end.ts';
import { sessionOptionsOf } from './session-options.ts';
import { type ClientSignal, planeFailure, softExit, softRestart } from './signal.ts';

const NO_TRAFFIC: Traffic = { lastReceivedMs: 0, lastPayloadMs: 0, payloadBytes: 0 };
/** Updates of the server that may wait for each other. */
const UPDATE_LIMIT = 32;
const NO_PEER: PeerFacts = { commonName: undefined, chain: [] };

export class Attempt {
  /** Settles once, with the signal that ends the attempt. Never rejects. */
  readonly ended: Promise<ClientSignal>;
  readonly #config: Config;
  readonly #profile: ConnectionProfile;
  readonly #ports: AttemptPorts;
  readonly #link: AttemptLink;
  readonly #session: Session;
  readonly #aborter = new AbortController();
  #settle: (signal: ClientSignal) => void = () => {};
  #over = false;
  #cancelTimer = (): void => {};
  #cancelPoll = (): void => {};
  #cancelExit = (): void => {};
  #peer: PeerHandle | undefined;
  #keys: PeerKeys | undefined;
  #tunnel: UpTunnel | undefined;
  #facts: PeerFacts = NO_PEER;
  #up = false;
  /** The tunnel's last change, to be waited for by the next. */
  #broughtUp: Promise<void> = Promise.resolve();
  #updates = 0;
  /** The exit notice is being said. */
  #leaving = false;
  readonly #hostWork = new Set<Promise<void>>();
  readonly #login: PendingLogin;
  #mtuTest: MtuTest | undefined;

  constructor(config: Config, profile: ConnectionProfile, link: AttemptLink, ports: AttemptPorts) {
    this.#config = config;
    this.#profile = profile;
    this.#link = link;
    this.#ports = ports;
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#session = createSession(
      sessionOptionsOf(config, profile, link.remote, ports.material, ports.plane.capabilities, ports.challenges),
      {
        crypto: ports.crypto,
        tls: ports.material.tls,
        log: ports.log,
        wake: () => this.#drive((now) => this.#session.handleWake(now)),
      },
    );
    this.#login = new PendingLogin({
      challenges: ports.challenges,
      log: ports.log,
      signal: this.#aborter.signal,
      tell: (state) => ports.observer.loginPending(state),
      send: (text) => this.#drive((now) => this.#session.sendText(text, now)),
    });
  }

  /**
   * Begins: at once on a datagram link, after `link-open` on a stream. `deadlineMs`: when `server-poll-timeout` is over,
   * monotonic milliseconds; undefined for never.
   */
  start(deadlineMs: number | undefined): void {
    if (deadlineMs !== undefined) this.#cancelPoll = this.#ports.clock.at(deadlineMs, () => this.#pollTimeout());
    if (!this.#link.connecting) this.#begin();
  }

  /** What the plane reports about this attempt's link, peer or device. */
  handlePlaneEvent(event: PlaneEvent): void {
    if (this.#over) return;
    switch (event.type) {
      case 'control':
        if (event.link !== this.#link.id || !sameSocketAddress(event.address, this.#link.remote)) return;
        this.#drive((now) => this.#session.handleControl(event.bytes, now));
        return;
      case 'in-band':
        if (event.peer === this.#peer && this.#mtuTest?.handle(event.bytes) !== true) {
          this.#drive((now) => this.#session.handleInBand(event.bytes, now));
        }
        return;
      case 'key-used-up': {
        const handle = this.#keys?.sessionHandle(event.key);
        if (handle !== undefined) this.#drive((now) => this.#session.handleKeyUsedUp(handle, now));
        return;
      }
      case 'link-open':
        if (event.link === this.#link.id) this.#linkOpen();
        return;
      case 'link-closed':
        if (event.link === this.#link.id) this.#linkClosed(event.code, event.text);
        return;
      case 'link-error':
        if (event.link === this.#link.id) this.#linkError(event);
        return;
      case 'float-request':
        if (event.peer === this.#peer) this.#answerFloat(event.peer, event.address);
        return;
      case 'drop-notice':
        this.#dropped(event);
        return;
      case 'device-error':
        this.#ports.log(Level.linkErrors, `read from TUN/TAP [${event.code}]: ${event.text}`);
        return;
      case 'data-path':
        this.#ports.log(Level.dataPath, `Data path: ${event.text}`);
        return;
      case 'plane-failed':
        this.#end(planeFailure(event.text));
        return;
      case 'accepted':
      case 'foreign-stream':
      case 'address-request':
      case 'addresses-forgotten':
        return; // a client has no listeners, and one peer
      default:
        event satisfies never;
    }
  }

  /** Ends on a signal from outside: at once, or after the exit notice where the profile asks for one. A second end does not wait. */
  stop(signal: ClientSignal): void {
    if (this.#over) return;
    const notices = this.#profile.proto.transport === 'udp' ? this.#exitNotices() : 0;
    if ((signal.name !== 'SIGTERM' && signal.name !== 'SIGINT') || notices === 0 || !this.#up || this.#leaving) {
      this.#end(signal);
      return;
    }
    this.#leaving = true;
    this.#ports.log(Level.info, 'SIGTERM received, sending exit notification to peer');
    this.#sendExit(notices, true);
  }

  /** Asks for new keys now. */
  renegotiate(): void {
    this.#drive((now) => this.#session.renegotiate(now));
  }

  get peer(): PeerHandle | undefined {
    return this.#peer;
  }

  /** What the watch over the host's network needs of it. `rebind` gives the socket another local address. */
  watched(rebind: (fd: number, remote: SocketAddress) => void): Watched {
    const attempt = this;
    const link = this.#link;
    return {
      hop: link.hop,
      stream: this.#profile.proto.transport !== 'udp' || !sameSocketAddress(link.hop, link.remote),
      get isUp() {
        return attempt.#up && !attempt.#over;
      },
      rebind: () => {
        if (link.connected) rebind(link.fd, link.remote);
      },
      ask: () => {
        if (this.#peer === undefined) return;
        this.#ports.plane.sendInBand(this.#peer, writeInBand({ type: 'occ-request' }));
      },
      lastReceivedMs: () => this.#traffic().lastReceivedMs,
    };
  }

  /** Counters of the control channel. */
  counters(): ReturnType<Session['counters']> {
    return this.#session.counters();
  }

  /** Lets go of session, peer and link, and waits for what is being done to the host. The device is the host's business. */
  async close(): Promise<void> {
    this.#over = true;
    this.#aborter.abort();
    this.#cancelTimer();
    this.#cancelPoll();
    this.#cancelExit();
    this.#mtuTest?.close();
    this.#session.close();
    if (this.#peer !== undefined) this.#ports.plane.removePeer(this.#peer);
    this.#peer = undefined;
    await this.#link.close();
    await Promise.allSettled(this.#hostWork);
  }

  #begin(): void {
    this.#link.announce();
    this.#ports.observer.connecting(this.#link.remote);
    const { known } = this.#ports.credentials;
    if (known !== undefined) this.#session.setCredentials(known);
    this.#drive((now) => this.#session.start(now, formatLogAddress(this.#link.remote)));
  }

  /** One input, then everything that follows from it, until the session has nothing more to say. */
  #drive(input: (now: ReturnType<ClockPort['now']>) => void): void {
    if (this.#over) return;
    const now = this.#ports.clock.now();
    input(now);
    this.#drain(now);
  }

  /** Sends what the session has to say; false when that was nothing. */
  #transmit(now: ReturnType<ClockPort['now']>): boolean {
    let sent = false;
    for (let packet = this.#session.pollTransmit(now); packet !== undefined; packet = this.#session.pollTransmit(now)) {
      this.#ports.plane.sendControl(this.#link.id, this.#link.connected ? undefined : this.#link.remote, packet);
      sent = true;
    }
    return sent;
  }

  #drain(now: ReturnType<ClockPort['now']>): void {
    for (let more = true; more && !this.#over; ) {
      more = this.#transmit(now);
      for (let event = this.#session.pollEvent(); event !== undefined; event = this.#session.pollEvent()) {
        this.#handleEvent(event);
        more = true;
        if (!this.#over) continue;
        // Acknowledgements and alerts that the end left behind still go out.
        this.#transmit(now);
        return;
      }
    }
    this.#cancelTimer();
    const deadline = this.#session.pollTimeout();
    if (deadline === undefined || this.#over) return;
    this.#cancelTimer = this.#ports.clock.at(deadline.atMs, () =>
      this.#drive((at) => this.#session.handleTimeout(at, this.#traffic())),
    );
  }

  #handleEvent(event: SessionEvent): void {
    const { credentials, plane } = this.#ports;
    switch (event.type) {
      case 'peer-answered':
        this.#cancelPoll();
        this.#ports.observer.handshaking(this.#link.remote);
        return;
      case 'verify-peer':
        this.#onHost(this.#verify(event));
        return;
      case 'need-credentials':
        this.#background(this.#supplyCredentials());
        return;
      case 'peer-connected':
        this.#facts = { commonName: event.leaf?.commonName, chain: event.established.chain };
        credentials.used();
        this.#ports.observer.peerConnected(this.#facts);
        this.#onHost(this.#ports.scripts.ipChange(this.#link.remote, this.#facts));
        return;
      case 'login-pending': {
        const leftMs = event.deadlineMs - this.#ports.clock.now().monoMs;
        this.#background(this.#login.handle(event.request, leftMs / 1000));
        return;
      }
      case 'push-reply':
        this.#login.stop();
        this.#broughtUp = this.#bringUp(event.options);
        this.#onHost(this.#broughtUp);
        return;
      case 'data-key':
        this.#keys?.add(event);
        this.#tunnel?.keyed(event);
        return;
      case 'use-key':
        this.#keys?.use(event.handle);
        return;
      case 'drop-key':
        this.#keys?.drop(event.handle);
        return;
      case 'renegotiated':
        credentials.used();
        this.#ports.observer.renegotiated(event.keyId);
        return;
      case 'push-request':
      case 'authenticate':
        // Only a server is asked; a client that is gets no further.
        return;
      case 'send-in-band':
        if (this.#peer !== undefined) plane.sendInBand(this.#peer, event.bytes);
        return;
      case 'auth-token':
        credentials.setToken(event.token, event.user);
        this.#ports.observer.authToken?.(event.token);
        return;
      case 'push-update':
        this.#onHost(this.#update(event.options));
        return;
      case 'info':
        this.#ports.observer.info(event.kind, event.text);
        return;
      case 'ended':
        if (event.end.reason === 'auth-failed') {
          this.#ports.observer.loginRefused?.(event.end.dynamicChallenge ?? event.end.text);
        }
        this.#end(
          signalOfEnd(event.end, {
            config: this.#config,
            forgetToken: () => credentials.forgetToken(),
            challenges: this.#ports.challenges,
            setChallenge: (challenge) => credentials.setChallenge(challenge),
          }),
        );
        return;
      default:
        event satisfies never;
    }
  }

  async #verify(event: Extract<SessionEvent, { type: 'verify-peer' }>): Promise<void> {
    const accepted = await this.#ports.scripts.verifyPeer(event.established.chain, this.#link.remote);
    this.#drive((now) =>
      this.#session.acceptPeer(
        accepted ? { accept: true } : { accept: false, reason: 'tls-verify script failed' },
        now,
      ),
    );
  }

  async #supplyCredentials(): Promise<void> {
    const credentials = await this.#ports.credentials.obtain(this.#aborter.signal);
    this.#drive(() => this.#session.setCredentials(credentials ?? { username: '', password: '' }));
  }

  async #bringUp(pushed: readonly string[]): Promise<void> {
    if (this.#tunnel !== undefined) return;
    this.#ports.observer.configuring(this.#link.remote);
    await bringUp(pushed, this.#bringUpContext());
    if (this.#over || this.#tunnel === undefined) return;
    this.#up = true;
    if (this.#config.mtuTest) this.#mtuTest?.start();
  }

  /** Each after the one before, the first after the tunnel is up. */
  async #update(pushed: readonly string[]): Promise<void> {
    const before = this.#broughtUp;
    this.#updates++;
    const update = async (): Promise<void> => {
      await before;
      if (this.#over) return;
      const tunnel = this.#up && this.#updates <= UPDATE_LIMIT ? this.#tunnel : undefined;
      await updateTunnel(pushed, tunnel, this.#bringUpContext());
      this.#updates--;
    };
    this.#broughtUp = update();
    await this.#broughtUp;
  }

  #bringUpContext(): BringUpContext {
    return {
      config: this.#config,
      profile: this.#profile,
      link: this.#link,
      ports: this.#ports,
      signal: this.#aborter.signal,
      /** The peer exists and its keys may come: from here on the session's keys go to the plane. */
      peerAdded: (tunnel) => {
        this.#tunnel = tunnel;
        this.#peer = tunnel.peer;
        this.#keys = createPeerKeys(this.#ports.plane, tunnel.peer, this.#ports.log);
        this.#mtuTest = mtuTestOf(tunnel, this.#profile, this.#ports);
        const { push } = tunnel;
        if (push.authToken !== undefined) {
          this.#ports.credentials.setToken(push.authToken, push.authTokenUser);
          this.#ports.observer.authToken?.(push.authToken);
        }
        this.#drive((now) => this.#session.applyPush(push, now));
      },
      stillWanted: () => !this.#over,
      failed: (signal) => this.#end(signal),
    };
  }

  #traffic(): Traffic {
    if (this.#peer === undefined) return NO_TRAFFIC;
    const statistics = this.#ports.plane.peerStatistics(this.#peer);
    return {
      lastReceivedMs: statistics.lastReceivedMs,
      lastPayloadMs: statistics.lastPayloadMs,
      payloadBytes: statistics.deviceReadBytes + statistics.deviceWriteBytes,
    };
  }

  #linkOpen(): void {
    this.#ports.log(Level.info, `TCP connection established with ${formatLogAddress(this.#link.remote)}`);
    this.#begin();
  }

  #linkClosed(code: string, text: string): void {
    const { log } = this.#ports;
    const refused = this.#session.state.name === 'starting';
    const where = formatLogAddress(this.#link.remote);
    this.#end(refused ? endOfRefusedStream('server', where, text, log) : endOfLostStream('server', code, text, log));
  }

  #linkError(event: Extract<PlaneEvent, { type: 'link-error' }>): void {
    const name = this.#link.remote.family === 6 ? 'UDPv6' : 'UDPv4';
    this.#ports.log(Level.linkErrors, linkErrorLine(event, name, this.#link.fd));
    if (event.pathMtuBytes === undefined) this.#session.handleLinkRefused(event.text);
    else this.#tunnel?.fitPath(event.pathMtuBytes);
  }

  #answerFloat(peer: PeerHandle, address: SocketAddress): void {
    const { log, plane, scripts } = this.#ports;
    plane.answerFloat(peer, address, this.#profile.float);
    if (!this.#profile.float) return;
    log(Level.info, `${this.#peerPrefix()}Peer Connection Initiated with ${formatLogAddress(address)}`);
    this.#onHost(scripts.ipChange(address, this.#facts));
  }

  #dropped(event: Extract<PlaneEvent, { type: 'drop-notice' }>): void {
    if (event.peer !== undefined && event.peer !== this.#peer) return;
    const end = endOfDrop(event, this.#ports.log, {
      peerPrefix: this.#peerPrefix(),
      muteReplayWarnings: this.#config.process.muteReplayWarnings,
      stream: this.#profile.proto.transport !== 'udp',
    });
    if (end !== undefined) this.#end(end);
  }

  #pollTimeout(): void {
    if (this.#over) return;
    this.#ports.log(Level.info, 'Server poll timeout, restarting');
    const error = new SallyportError(`Nothing came back from ${formatLogAddress(this.#link.remote)}`, {
      code: 'SALLYPORT_NO_ANSWER',
      blame: 'network',
      retry: true,
      hint: 'Check address, port and protocol, and that the tls-auth or tls-crypt key is the server’s: a server is silent to a wrong one.',
    });
    this.#end(softRestart('server_poll', { error, advice: { pauseSeconds: -1, advance: 'default' } }));
  }

  #exitNotices(): number {
    return this.#tunnel?.explicitExitNotify ?? this.#profile.explicitExitNotify;
  }

  /** In band the notice goes once a second, `left` times; the control channel carries it reliably, once. Then it ends. */
  #sendExit(left: number, first: boolean): void {
    if (this.#over) return;
    if (left === 0) {
      this.#end(softExit('exit-with-notification'));
      return;
    }
    if (first || this.#tunnel?.push.controlExit !== true) this.#drive((now) => this.#session.sendExit(now));
    if (this.#over) return;
    this.#cancelExit = this.#ports.clock.at(this.#ports.clock.now().monoMs + 1000, () =>
      this.#sendExit(left - 1, false),
    );
  }

  #peerPrefix(): string {
    return this.#facts.commonName === undefined ? '' : `[${this.#facts.commonName}] `;
  }

  /** Work on the host, scripts among it: it can't be stopped half-way, so the attempt's closing waits for it. */
  #onHost(work: Promise<void>): void {
    this.#hostWork.add(work);
    const done = (): boolean => this.#hostWork.delete(work);
    work.then(done, done);
    this.#background(work);
  }

  /** Work that goes on while the session is driven; its failure ends the attempt. */
  #background(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#over) this.#end(endOfFailedWork(error, this.#ports.log));
    });
  }

  #end(signal: ClientSignal): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimer();
    this.#cancelPoll();
    this.#cancelExit();
    this.#mtuTest?.close();
    this.#aborter.abort();
    if (this.#leaving && signal.name === 'SIGUSR1') {
      this.#ports.log(Level.info, 'Converting soft SIGUSR1 received during exit notification to SIGTERM');
      this.#settle(softExit('exit-with-notification'));
      return;
    }
    this.#settle(signal);
  }
}

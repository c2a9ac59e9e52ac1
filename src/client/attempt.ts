// One attempt at one address, from the socket to the tunnel and to its end. It joins a contact (what to say, and the peer of
// the data plane), a link (how it travels) and the host (what it changes), and decides nothing that they can decide.
//
// The way: open the link → session → peer answered → certificate → push reply → device, peer, keys → routes → up.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { PeerHandle, PlaneEvent } from '../data/plane.ts';
import { SallyportError } from '../error.ts';
import { formatLogAddress, type SocketAddress, sameSocketAddress } from '../ip/socket-address.ts';
import { Level } from '../log.ts';
import { linkErrorLine } from '../peer/path-mtu.ts';
import { createSession } from '../session/session.ts';
import { endOfDrop, endOfLostStream, endOfRefusedStream } from './attempt-end.ts';
import { AttemptLife } from './attempt-life.ts';
import type { AttemptPorts } from './attempt-ports.ts';
import { type BringUpContext, bringUp } from './bring-up.ts';
import { Contact, type ContactEvent } from './contact.ts';
import type { AttemptLink } from './link.ts';
import { updateTunnel } from './live-update.ts';
import type { Watched } from './network-watch.ts';
import { PendingLogin } from './pending-login.ts';
import { signalOfEnd } from './session-end.ts';
import { sessionOptionsOf } from './session-options.ts';
import { type ClientSignal, planeFailure, softRestart } from './signal.ts';

/** Updates of the server that may wait for each other. */
const UPDATE_LIMIT = 32;

export class Attempt {
  readonly #config: Config;
  readonly #profile: ConnectionProfile;
  readonly #ports: AttemptPorts;
  readonly #link: AttemptLink;
  readonly #life: AttemptLife;
  readonly #contact: Contact;
  readonly #login: PendingLogin;
  #cancelPoll = (): void => {};
  #up = false;
  /** The tunnel's last change, to be waited for by the next. */
  #broughtUp: Promise<void> = Promise.resolve();
  #updates = 0;

  constructor(config: Config, profile: ConnectionProfile, link: AttemptLink, ports: AttemptPorts) {
    const { plane, clock, log, crypto, material, challenges, observer } = ports;
    this.#config = config;
    this.#profile = profile;
    this.#link = link;
    this.#ports = ports;
    this.#life = new AttemptLife(clock, log);
    const options = sessionOptionsOf(config, profile, link.remote, material, plane.capabilities, challenges);
    this.#contact = new Contact(
      { link: link.id, address: link.remote, isNamed: !link.connected },
      {
        ...{ plane, clock, log },
        createSession: (wake) => createSession(options, { crypto, tls: material.tls, log, wake }),
        handle: (event) => {
          if (!this.#life.isOver) this.#handleEvent(event);
        },
      },
    );
    this.#login = new PendingLogin({
      ...{ challenges, log },
      signal: this.#life.signal,
      tell: (state) => observer.loginPending(state),
      send: (text) => this.#contact.drive((now) => this.#contact.session.sendText(text, now)),
    });
  }

  /** Settles once, with the signal that ends the attempt. Never rejects. */
  get ended(): Promise<ClientSignal> {
    return this.#life.ended;
  }

  get peer(): PeerHandle | undefined {
    return this.#contact.peer;
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
    if (this.#life.isOver) return;
    const contact = this.#contact;
    switch (event.type) {
      case 'control':
        if (event.link !== this.#link.id || !sameSocketAddress(event.address, this.#link.remote)) return;
        contact.drive((now) => contact.session.handleControl(event.bytes, now));
        return;
      case 'in-band':
        if (event.peer === contact.peer) contact.handleInBand(event.bytes);
        return;
      case 'key-used-up':
        contact.handleKeyUsedUp(event.key);
        return;
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
        if (event.peer === contact.peer) this.#answerFloat(event.peer, event.address);
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
        this.#life.end(planeFailure(event.text));
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
    const { session, tunnel } = this.#contact;
    const notices = tunnel?.explicitExitNotify ?? this.#profile.explicitExitNotify;
    this.#life.stop(signal, {
      times: this.#up && this.#profile.proto.transport === 'udp' ? notices : 0,
      reliable: tunnel?.push.controlExit === true,
      send: () => this.#contact.drive((now) => session.sendExit(now)),
    });
  }

  /** Asks for new keys now. */
  renegotiate(): void {
    this.#contact.drive((now) => this.#contact.session.renegotiate(now));
  }

  /** What the watch over the host's network needs of it. `rebind` gives the socket another local address. */
  watched(rebind: (fd: number, remote: SocketAddress) => void): Watched {
    const attempt = this;
    const link = this.#link;
    return {
      hop: link.hop,
      stream: this.#profile.proto.transport !== 'udp' || !sameSocketAddress(link.hop, link.remote),
      get isUp() {
        return attempt.#up && !attempt.#life.isOver;
      },
      rebind: () => {
        if (link.connected) rebind(link.fd, link.remote);
      },
      ask: () => this.#contact.ask(),
      lastReceivedMs: () => this.#contact.lastReceivedMs,
    };
  }

  /** Lets go of session, peer and link, and waits for what is being done to the host. The device is the host's business. */
  async close(): Promise<void> {
    this.#life.abandon();
    this.#cancelPoll();
    this.#contact.close();
    await this.#link.close();
    await this.#life.hostSettled();
  }

  #begin(): void {
    this.#link.announce();
    this.#ports.observer.connecting(this.#link.remote);
    const { known } = this.#ports.credentials;
    if (known !== undefined) this.#contact.session.setCredentials(known);
    this.#contact.start();
  }

  #handleEvent(event: ContactEvent): void {
    const { credentials } = this.#ports;
    switch (event.type) {
      case 'peer-answered':
        this.#cancelPoll();
        this.#ports.observer.handshaking(this.#link.remote);
        return;
      case 'verify-peer':
        this.#life.onHost(this.#contact.verify(event.established, this.#ports.scripts));
        return;
      case 'need-credentials':
        this.#life.background(this.#supplyCredentials());
        return;
      case 'peer-connected':
        credentials.used();
        this.#ports.observer.peerConnected(this.#contact.facts);
        this.#life.onHost(this.#ports.scripts.ipChange(this.#link.remote, this.#contact.facts));
        return;
      case 'login-pending': {
        const leftMs = event.deadlineMs - this.#ports.clock.now().monoMs;
        this.#life.background(this.#login.handle(event.request, leftMs / 1000));
        return;
      }
      case 'push-reply':
        this.#login.stop();
        this.#broughtUp = this.#bringUp(event.options);
        this.#life.onHost(this.#broughtUp);
        return;
      case 'renegotiated':
        credentials.used();
        return;
      case 'push-request':
      case 'authenticate':
        // Only a server is asked; a client that is gets no further.
        return;
      case 'auth-token':
        credentials.setToken(event.token, event.user);
        this.#ports.observer.authToken?.(event.token);
        return;
      case 'push-update':
        this.#life.onHost(this.#update(event.options));
        return;
      case 'info':
        this.#ports.observer.info(event.kind, event.text);
        return;
      case 'ended':
        if (event.end.reason === 'auth-failed') {
          this.#ports.observer.loginRefused?.(event.end.dynamicChallenge ?? event.end.text);
        }
        this.#life.end(
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

  async #supplyCredentials(): Promise<void> {
    const credentials = await this.#ports.credentials.obtain(this.#life.signal);
    const { session } = this.#contact;
    this.#contact.drive(() => session.setCredentials(credentials ?? { username: '', password: '' }));
  }

  async #bringUp(pushed: readonly string[]): Promise<void> {
    if (this.#contact.tunnel !== undefined) return;
    this.#ports.observer.configuring(this.#link.remote);
    await bringUp(pushed, this.#bringUpContext());
    if (this.#life.isOver || this.#contact.tunnel === undefined) return;
    this.#up = true;
    if (this.#config.mtuTest) this.#contact.startMtuTest();
  }

  /** Each after the one before, the first after the tunnel is up. */
  async #update(pushed: readonly string[]): Promise<void> {
    const before = this.#broughtUp;
    this.#updates++;
    const update = async (): Promise<void> => {
      await before;
      if (this.#life.isOver) return;
      const tunnel = this.#up && this.#updates <= UPDATE_LIMIT ? this.#contact.tunnel : undefined;
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
      signal: this.#life.signal,
      peerAdded: (tunnel) => {
        const { authToken, authTokenUser } = tunnel.push;
        if (authToken !== undefined) {
          this.#ports.credentials.setToken(authToken, authTokenUser);
          this.#ports.observer.authToken?.(authToken);
        }
        this.#contact.joined(tunnel);
      },
      stillWanted: () => !this.#life.isOver,
      failed: (signal) => this.#life.end(signal),
    };
  }

  #linkOpen(): void {
    this.#ports.log(Level.info, `TCP connection established with ${formatLogAddress(this.#link.remote)}`);
    this.#begin();
  }

  #linkClosed(code: string, text: string): void {
    const { log } = this.#ports;
    const refused = this.#contact.session.state.name === 'starting';
    const where = formatLogAddress(this.#link.remote);
    this.#life.end(
      refused ? endOfRefusedStream('server', where, text, log) : endOfLostStream('server', code, text, log),
    );
  }

  #linkError(event: Extract<PlaneEvent, { type: 'link-error' }>): void {
    const name = this.#link.remote.family === 6 ? 'UDPv6' : 'UDPv4';
    this.#ports.log(Level.linkErrors, linkErrorLine(event, name, this.#link.fd));
    if (event.pathMtuBytes === undefined) this.#contact.session.handleLinkRefused(event.text);
    else this.#contact.tunnel?.sizes.fitPath(event.pathMtuBytes);
  }

  #answerFloat(peer: PeerHandle, address: SocketAddress): void {
    const { log, plane, scripts } = this.#ports;
    plane.answerFloat(peer, address, this.#profile.float);
    if (!this.#profile.float) return;
    log(Level.info, `${this.#contact.prefix}Peer Connection Initiated with ${formatLogAddress(address)}`);
    this.#life.onHost(scripts.ipChange(address, this.#contact.facts));
  }

  #dropped(event: Extract<PlaneEvent, { type: 'drop-notice' }>): void {
    if (event.peer !== undefined && event.peer !== this.#contact.peer) return;
    const end = endOfDrop(event, this.#ports.log, {
      peerPrefix: this.#contact.prefix,
      muteReplayWarnings: this.#config.process.muteReplayWarnings,
      stream: this.#profile.proto.transport !== 'udp',
    });
    if (end !== undefined) this.#life.end(end);
  }

  #pollTimeout(): void {
    if (this.#life.isOver) return;
    this.#ports.log(Level.info, 'Server poll timeout, restarting');
    const error = new SallyportError(`Nothing came back from ${formatLogAddress(this.#link.remote)}`, {
      code: 'SALLYPORT_NO_ANSWER',
      blame: 'network',
      retry: true,
      hint: 'Check address, port and protocol, and that the tls-auth or tls-crypt key is the server’s: a server is silent to a wrong one.',
    });
    this.#life.end(softRestart('server_poll', { error, advice: { pauseSeconds: -1, advance: 'default' } }));
  }
}

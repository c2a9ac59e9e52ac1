// A connection's life: remotes one after the other, an attempt at each, restarts and pauses between them, and the end.
//
// Everything that ends an attempt is a signal (client/signal): SIGUSR1 goes on with the next attempt, SIGHUP hands back
// to the caller for a new reading of the configuration, SIGTERM and SIGINT end.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { DataPlane, PeerStatistics, PlaneEvent, PlaneListener, PlaneStatistics } from '../data/plane.ts';
import { SallyportError } from '../error.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import { closing } from '../peer/closing.ts';
import { PendingSignal, type SignalName } from '../peer/pending-signal.ts';
import { wait } from '../peer/wait.ts';
import type { ClockPort, LinkPort, NetworkWatchPort, ResolverPort, StreamPort } from '../ports.ts';
import type { ConnectionScripts, PeerFacts, TunnelHost } from '../tunnel/host-port.ts';
import type { TunnelPlan } from '../tunnel/plan.ts';
import { Attempt } from './attempt.ts';
import { endOfFailedStart, endOfUnknownName } from './attempt-end.ts';
import type { AttemptPorts } from './attempt-ports.ts';
import { type CredentialStore, createCredentialStore } from './credentials.ts';
import type { AttemptLink } from './link.ts';
import { NetworkWatch } from './network-watch.ts';
import { LinkOpener } from './open-link.ts';
import { PeerAttempt } from './peer-attempt.ts';
import { callingLink, type PeerOpened } from './peer-link.ts';
import { createPlaneDevice, type PlaneDevice } from './plane-device.ts';
import type { ChallengePort, ClientMaterial, CredentialsPort, Steering } from './ports.ts';
import { hopOf, isProxied, type ProxiedLink } from './proxied-link.ts';
import { createProxyCredentials, type ProxyCredentials } from './proxy-credentials.ts';
import { createRemotes, type RemoteAddress, type Remotes, shuffled } from './remotes.ts';
import { resolveHost, resolveRemote } from './resolve.ts';
import { type ClientSignal, FATAL, hardSignal, planeFailure, signalLine, softExit, softRestart } from './signal.ts';
import type { AttemptObserver, ClientState } from './state.ts';

export interface ClientPorts {
  readonly clock: ClockPort;
  readonly resolver: ResolverPort;
  readonly links: LinkPort;
  readonly streams: StreamPort;
  readonly crypto: CryptoProvider;
  readonly host: TunnelHost;
  readonly scripts: ConnectionScripts;
  readonly material: ClientMaterial;
  readonly credentials: CredentialsPort;
  /** Whoever answers questions beside username and password, if there is anybody. */
  readonly challenges?: ChallengePort | undefined;
  /** Whoever steers the attempts from outside, if there is anybody. */
  readonly steering?: Steering | undefined;
  /** Tells of changes of the host's network; undefined: nobody looks. */
  readonly network?: NetworkWatchPort | undefined;
  readonly log: Log;
  /** Makes the data plane; its events come back through the listener. */
  plane(listener: PlaneListener): DataPlane;
}

export interface ClientObserver {
  state(state: ClientState): void;
  peerConnected(peer: PeerFacts): void;
  info(kind: string, text: string): void;
  /** An attempt has ended and everything of it is taken down; what follows is in the signal. */
  signalled?(signal: ClientSignal): void;
  loginRefused?(reason: string): void;
  authToken?(token: string): void;
  /** The device is open with its addresses; its routes come next. */
  assigned?(plan: TunnelPlan): void;
  /** A pushed `echo`. */
  echo?(text: string): void;
}

/** How a client ended: exit with a code, or read the configuration again (SIGHUP). */
export type ClientEnd =
  | {
      readonly kind: 'exit';
      readonly exitCode: number;
      readonly error: SallyportError | undefined;
      readonly signal: ClientSignal;
    }
  | { readonly kind: 'reload' };

export interface ClientStatistics {
  readonly peer: PeerStatistics | undefined;
  readonly plane: PlaneStatistics;
}

export class Client {
  readonly #config: Config;
  readonly #ports: ClientPorts;
  readonly #observer: ClientObserver;
  readonly #plane: DataPlane;
  readonly #remotes: Remotes;
  readonly #proxyCredentials: ProxyCredentials;
  readonly #watch: NetworkWatch;
  #attempt: Attempt | PeerAttempt | undefined;
  #credentials: CredentialStore | undefined;
  readonly #pending = new PendingSignal<ClientSignal>(
    ({ name }) => name,
    () => new AbortController(),
  );
  readonly #links: LinkOpener;
  /** Why the last attempt ended. */
  #lastError: SallyportError | undefined;

  constructor(config: Config, ports: ClientPorts, observer: ClientObserver) {
    this.#config = config;
    this.#ports = ports;
    this.#observer = observer;
    this.#proxyCredentials = createProxyCredentials(ports.credentials, { nocache: config.authNocache });
    this.#watch = new NetworkWatch(ports, () => this.#networkChanged());
    this.#plane = ports.plane((event) => this.#handlePlaneEvent(event));
    const { clock, links, streams, resolver, crypto, log } = ports;
    const connecting = (remote: SocketAddress): void => observer.state({ phase: 'connecting', remote });
    this.#links = new LinkOpener(
      config,
      { plane: this.#plane, clock, links, streams, resolver, crypto, log, connecting },
      this.#proxyCredentials,
    );
    const profiles = config.remoteRandom
      ? shuffled(config.connections, (n) => randomBelow(n, ports.crypto))
      : config.connections;
    this.#remotes = createRemotes({
      profiles,
      retryMax: config.connectRetryMax,
      persistRemoteIp: config.process.persistRemoteIp,
      retryNoInteract: config.authRetry === 'nointeract',
    });
  }

  /** Runs until an exit or a reload. Everything done to the host is undone by then. Rejects never. */
  async run(): Promise<ClientEnd> {
    const { log, host } = this.#ports;
    const credentials = createCredentialStore(this.#config, this.#ports.credentials, this.#challenges());
    this.#credentials = credentials;
    const device = createPlaneDevice(this.#plane);
    let signal: ClientSignal;
    await this.#hold(0);
    this.#watch.start();
    for (;;) {
      signal = await this.#attemptOnce(async (profile, address) => {
        if (credentials.known === undefined) await credentials.obtain(this.#pending.interrupt);
        return this.#connect(profile, address, credentials, device);
      });
      this.#watch.detach();
      signal = this.#remapped(signal);
      const restart = signal.name === 'SIGUSR1';
      const keep = restart && this.#config.process.persistTun;
      await closing('the link', async () => this.#attempt?.close(), log);
      this.#attempt = undefined;
      const reason = { signal: signal.name, signalText: signal.text, keep };
      await closing('the tunnel', () => host.close(reason, () => device.release()), log);
      if (signal.text !== FATAL) log(Level.info, signalLine(signal));
      if (signal.text !== FATAL) this.#explain(signal);
      this.#observer.signalled?.(signal);
      this.#lastError = signal.error;
      if (!restart) break;
      if (signal.purgeCredentials) {
        credentials.purge(signal.error?.code === 'SALLYPORT_AUTH_FAILED' ? 'refused' : 'told');
      }
      this.#remotes.ended(signal.advice);
      await this.#pause(signal);
    }
    this.#watch.close();
    await this.#plane.close();
    this.#observer.state({ phase: 'ended' });
    // One may have come while all this was taken down.
    const last = this.#pending.takeOver(signal);
    if (last !== signal) log(Level.info, signalLine(last));
    signal = last;
    if (signal.name === 'SIGHUP') return { kind: 'reload' };
    return { kind: 'exit', exitCode: signal.exitCode, error: signal.error, signal };
  }

  /** A signal from outside; `why`: of something other than the system, in the log's words. Safe at any time and any number of times. */
  signal(name: SignalName, why?: string): void {
    const hard = hardSignal(name);
    const signal = this.#remapped(why === undefined ? hard : { ...hard, source: 'soft', text: why });
    if (this.#pending.offer(signal)) this.#attempt?.stop(signal);
  }

  /** Passwords that were asked for or read are forgotten, and a token. */
  forgetPasswords(): void {
    this.#credentials?.purge('told');
    this.#proxyCredentials.forget();
  }

  /** The next attempt begins now, as after a connection that worked: what failed before failed on another network. */
  #networkChanged(): void {
    if (this.#pending.isSet) return;
    this.#remotes.succeeded();
    const signal = softRestart('network-changed', { advice: { advance: 'stay', pauseSeconds: -1 } });
    if (this.#attempt === undefined) this.#pending.put(signal);
    else this.#attempt.stop(signal);
  }

  /** The host's network or its name servers have changed, or may have. Safe at any time. */
  lookAtHost(): void {
    this.#watch.look();
    void this.#ports.host.refreshDns();
  }

  renegotiate(): void {
    this.#attempt?.renegotiate();
  }

  statistics(): ClientStatistics {
    const peer = this.#attempt?.peer;
    return {
      peer: peer === undefined ? undefined : this.#plane.peerStatistics(peer),
      plane: this.#plane.statistics(),
    };
  }

  /** One step over the remotes: resolve, connect, and wait for the end. Always answers with a signal. */
  async #attemptOnce(
    connect: (profile: ConnectionProfile, address: RemoteAddress | undefined) => Promise<ClientSignal>,
  ): Promise<ClientSignal> {
    const early = this.#pending.take();
    if (early !== undefined) return early;
    let step = this.#remotes.next();
    if (step.kind === 'exhausted') {
      this.#ports.log(Level.fatal, step.text);
      const last = this.#lastError;
      const hint = last?.hint === undefined ? {} : { hint: last.hint };
      const error = new SallyportError(step.text, {
        code: 'SALLYPORT_NO_ANSWER',
        blame: 'network',
        cause: last,
        ...hint,
      });
      return softExit(FATAL, { error, exitCode: 1 });
    }
    try {
      const { steering } = this.#ports;
      if (steering !== undefined) {
        await this.#credentials?.obtain(this.#pending.interrupt);
        const chosen = await steering.choose(step.profile, step.index, this.#pending.interrupt);
        if (chosen === undefined) {
          this.#remotes.ended({ advance: 'remote', resolveAgain: false, pauseSeconds: 0 });
          return this.#attemptOnce(connect);
        }
        step = { ...step, profile: chosen, address: chosen.remote === step.profile.remote ? step.address : undefined };
      }
      if (!this.#config.pull && step.profile.remote === undefined) return await connect(step.profile, undefined);
      const address = step.address ?? (await this.#resolve(step.profile));
      if (address === undefined) return this.#pending.take() ?? endOfUnknownName(hopOf(step.profile).host);
      return await connect(step.profile, address);
    } catch (error) {
      return this.#pending.take() ?? endOfFailedStart(error, this.#ports.log);
    }
  }

  async #resolve(profile: ConnectionProfile): Promise<RemoteAddress | undefined> {
    const { resolver, clock, crypto, log } = this.#ports;
    const hop = hopOf(profile);
    this.#observer.state({ phase: 'resolving', host: hop.host });
    const context = { resolver, clock, crypto, log };
    const signal = this.#pending.interrupt;
    const found = isProxied(profile)
      ? await resolveHost(hop, this.#config, context, signal)
      : await resolveRemote(profile, this.#config, context, signal);
    return this.#remotes.resolved(found);
  }

  async #connect(
    profile: ConnectionProfile,
    address: RemoteAddress | undefined,
    credentials: CredentialStore,
    device: PlaneDevice,
  ): Promise<ClientSignal> {
    const early = this.#pending.take();
    if (early !== undefined) return early;
    const { clock, crypto, host, scripts, material, log } = this.#ports;
    const opened = await this.#links.open({ profile, address, signal: this.#pending.interrupt });
    if (opened.type === 'ended') return opened.signal;
    const ports = {
      clock,
      plane: this.#plane,
      crypto,
      host,
      scripts,
      material,
      credentials,
      challenges: this.#ports.challenges,
      device,
      log,
      observer: this.#attemptObserver(),
    };
    const attempt = await startedOrClosed(opened.link, () => this.#attemptOver(opened, profile, ports));
    this.#attempt = attempt;
    const { network } = this.#ports;
    const watched = network && attempt.watched(network.rebind);
    if (watched !== undefined) this.#watch.attach(watched);
    attempt.start(opened.type === 'open' ? opened.deadlineMs : undefined);
    if (opened.type === 'open') void opened.lost?.then((lost) => lost !== undefined && attempt.stop(lost));
    const waiting = this.#pending.take();
    if (waiting !== undefined) attempt.stop(waiting);
    const signal = await attempt.ended;
    // One may have come while the attempt ended by itself.
    return this.#pending.takeOver(signal);
  }

  #attemptOver(
    opened: ProxiedLink | PeerOpened,
    profile: ConnectionProfile,
    ports: AttemptPorts,
  ): Attempt | PeerAttempt {
    if (opened.type === 'meeting') return new PeerAttempt(this.#config, profile, opened.link, ports);
    if (this.#config.pull) return new Attempt(this.#config, profile, opened.link, ports);
    return new PeerAttempt(this.#config, profile, callingLink(opened.link), ports);
  }

  #attemptObserver(): AttemptObserver {
    const observer = this.#observer;
    return {
      connecting: (remote) => observer.state({ phase: 'connecting', remote }),
      handshaking: (remote) => observer.state({ phase: 'authenticating', remote }),
      peerConnected: (peer) => observer.peerConnected(peer),
      loginPending: (state) => observer.state(state),
      configuring: (remote) => observer.state({ phase: 'configuring', remote }),
      connected: (remote, plan, cipher) => {
        this.#remotes.succeeded();
        observer.state({ phase: 'connected', remote, plan, cipher });
      },
      info: (kind, text) => observer.info(kind, text),
      loginRefused: (reason) => observer.loginRefused?.(reason),
      authToken: (token) => observer.authToken?.(token),
      assigned: (plan) => observer.assigned?.(plan),
      echo: (text) => observer.echo?.(text),
    };
  }

  /** Questions of the profile and of a refused login come between attempts; they are told as a state, too. */
  #challenges(): Pick<ChallengePort, 'respond'> | undefined {
    const { challenges } = this.#ports;
    const respond = challenges?.respond;
    if (respond === undefined) return undefined;
    return {
      respond: (challenge, signal) => {
        const { text, secondsLeft } = challenge;
        this.#observer.state({ phase: 'login-pending', needs: 'response', text, url: undefined, secondsLeft });
        return respond(challenge, signal);
      },
    };
  }

  /** A plane that fails ends the client at any time; everything else is for the attempt that is on. */
  #handlePlaneEvent(event: PlaneEvent): void {
    if (event.type === 'plane-failed') {
      this.#pending.put(planeFailure(event.text));
    }
    this.#attempt?.handlePlaneEvent(event);
  }

  async #pause(signal: ClientSignal): Promise<void> {
    const seconds = this.#remotes.pauseSeconds();
    const { text: reason, error } = signal;
    this.#observer.state({ phase: 'reconnecting', reason, pauseSeconds: seconds, error });
    if (this.#pending.isSet || (await this.#hold(seconds))) return;
    if (seconds > 0) this.#ports.log(Level.restart, `Restart pause, ${seconds} second(s)`);
    const { clock } = this.#ports;
    // Without a pause it is still a later turn: signals and packets must be heard between attempts that fail at once.
    await wait(clock, seconds * 1000, this.#pending.interrupt);
    this.#pending.dropRestart();
  }

  /** Whether somebody was waited for; a signal ends the wait. */
  async #hold(seconds: number): Promise<boolean> {
    try {
      return (await this.#ports.steering?.hold(seconds, this.#pending.interrupt)) ?? false;
    } catch {
      return true;
    }
  }

  /** Which step failed and what to do, beside the C program's words. */
  #explain({ error }: ClientSignal): void {
    if (error === undefined) return;
    this.#ports.log(Level.info, `NOTE: ${error.message}${error.hint === undefined ? '' : `. ${error.hint}`}`);
  }

  /** `remap-usr1`. */
  #remapped(signal: ClientSignal): ClientSignal {
    const to = this.#config.process.remapUsr1;
    return signal.name === 'SIGUSR1' && to !== undefined ? { ...signal, name: to } : signal;
  }
}

/** What `make` makes for a link; a link that nothing could be made for is closed. */
async function startedOrClosed<T>(link: Pick<AttemptLink, 'close'>, make: () => T): Promise<T> {
  try {
    return make();
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** A fair draw from 0 to n - 1. */
function randomBelow(n: number, crypto: CryptoProvider): number {
  const bytes = crypto.randomBytes(4);
  const value =
    ((bytes[0] ?? 0) * 2 ** 24 + ((bytes[1] ?? 0) << 16) + ((bytes[2] ?? 0) << 8) + (bytes[3] ?? 0)) / 2 ** 32;
  return Math.floor(value * n);
}

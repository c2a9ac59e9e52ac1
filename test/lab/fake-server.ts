// A server in memory for tests of a whole client: a real session in the server's role, deterministic TLS, the client's
// own clock, and a push reply as text. It lives at an address of a `FakeNetwork`.

import type { LinkId, LinkOptions, PeerHandle } from '../../src/data/plane.ts';
import { formatSocketAddress, type SocketAddress } from '../../src/ip/socket-address.ts';
import type { SessionEvent } from '../../src/session/event.ts';
import type { SessionPush } from '../../src/session/options.ts';
import { createSession, type Session } from '../../src/session/session.ts';
import { DeterministicTls } from './deterministic-tls.ts';
import type { FakePlane, FarSide } from './fake-plane.ts';
import { NO_KEEPALIVE, PUSH, seededCrypto, sessionOptions } from './session-pair.ts';
import type { VirtualClock } from './virtual-clock.ts';

const DELAY_MS = 10;
const IDLE = { lastReceivedMs: 0, lastPayloadMs: 0, payloadBytes: 0 };

/** What a server pushes beside what a test adds. */
const BASE_PUSH = [
  'topology subnet',
  'route-gateway 10.8.0.1',
  'ifconfig 10.8.0.2 255.255.255.0',
  'peer-id 0',
  'cipher AES-256-GCM',
];

export class FakeServer {
  /** Pushed beside addresses, cipher and peer-id. */
  push: readonly string[] = ['protocol-flags cc-exit tls-ekm'];
  /** Says nothing at all, as a server with another tls-auth key does. */
  silent = false;
  /** A TCP server that is not there. */
  refusesConnections = false;
  /** Answers the push request; undefined: with the push reply. */
  answer: (() => string | undefined) | undefined;
  /** Who came, with what they said. */
  readonly logins: { readonly username: string | undefined; readonly password: string | undefined }[] = [];
  /** In-band messages and EXIT texts that clients sent. */
  readonly notices: string[] = [];
  readonly tls: DeterministicTls;
  readonly #clock: VirtualClock;
  readonly #seed: number;
  #ends: ServerEnd[] = [];

  constructor(clock: VirtualClock, seed = 7) {
    this.#clock = clock;
    this.#seed = seed;
    this.tls = new DeterministicTls({ name: 'server', seed });
  }

  /** Connections so far. */
  get count(): number {
    return this.#ends.length;
  }

  /** The newest connection. */
  get last(): ServerEnd {
    const end = this.#ends.at(-1);
    if (end === undefined) throw new Error('nobody came');
    return end;
  }

  /** A new client on a link; `send` takes what goes back. */
  accept(send: (bytes: Uint8Array) => void): ServerEnd {
    const end = new ServerEnd(this, this.#clock, this.#seed + this.#ends.length, send);
    this.#ends = [...this.#ends, end];
    return end;
  }

  /** No more timers of this server. */
  stop(): void {
    for (const end of this.#ends) end.stop();
  }

  get pushReply(): readonly string[] {
    return [...BASE_PUSH, ...this.push];
  }

  get sessionPush(): SessionPush {
    const flags = this.push.find((option) => option.startsWith('protocol-flags'))?.split(' ') ?? [];
    return {
      ...PUSH,
      useExporter: flags.includes('tls-ekm'),
      controlExit: flags.includes('cc-exit'),
      keepalive: NO_KEEPALIVE,
    };
  }
}

/** The server's side of one connection. */
export class ServerEnd {
  readonly session: Session;
  readonly events: SessionEvent[] = [];
  readonly #server: FakeServer;
  readonly #clock: VirtualClock;
  readonly #send: (bytes: Uint8Array) => void;
  #cancelTimer = (): void => {};
  #stopped = false;

  constructor(server: FakeServer, clock: VirtualClock, seed: number, send: (bytes: Uint8Array) => void) {
    this.#server = server;
    this.#clock = clock;
    this.#send = send;
    this.session = createSession(sessionOptions('server'), {
      crypto: seededCrypto(seed),
      tls: server.tls,
      log: () => {},
      wake: () => this.act((session) => session.handleWake(clock.now())),
    });
    this.act((session) => session.start(clock.now(), '[AF_INET]192.0.2.2:40000'));
  }

  /** One input to the session, then what follows from it. */
  act(input: (session: Session) => void): void {
    if (this.#stopped) return;
    input(this.session);
    for (let more = true; more; ) {
      more = false;
      const now = this.#clock.now();
      for (let bytes = this.session.pollTransmit(now); bytes; bytes = this.session.pollTransmit(now)) {
        this.#send(bytes);
        more = true;
      }
      for (let event = this.session.pollEvent(); event !== undefined; event = this.session.pollEvent()) {
        this.#handleEvent(event);
        more = true;
      }
    }
    this.#cancelTimer();
    const deadline = this.session.pollTimeout();
    if (deadline === undefined) return;
    this.#cancelTimer = this.#clock.happens(deadline.atMs, () =>
      this.act((session) => session.handleTimeout(this.#clock.now(), IDLE)),
    );
  }

  /** A text on the control channel. */
  say(text: string): void {
    this.act((session) => session.sendText(text, this.#clock.now()));
  }

  renegotiate(): void {
    this.act((session) => session.renegotiate(this.#clock.now()));
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer();
    this.session.close();
  }

  #handleEvent(event: SessionEvent): void {
    this.events.push(event);
    const now = this.#clock.now();
    const server = this.#server;
    switch (event.type) {
      case 'verify-peer':
        this.session.acceptPeer({ accept: true }, now);
        return;
      case 'peer-connected':
        server.logins.push({ username: event.username, password: event.password });
        return;
      case 'push-request': {
        const text = server.answer?.();
        if (text !== undefined) {
          this.session.sendText(text, now);
          return;
        }
        if (this.session.state.name === 'waiting-for-push') this.session.applyPush(server.sessionPush, now);
        this.session.sendPushReply(server.pushReply, now);
        return;
      }
      case 'ended':
        if (event.end.reason === 'peer-exit') server.notices.push('exit');
        return;
      default:
    }
  }
}

/** Where servers live: what the links of a plane lead to. */
export class FakeNetwork implements FarSide {
  readonly servers = new Map<string, FakeServer>();
  readonly #plane: FakePlane;
  readonly #clock: VirtualClock;
  readonly #ends = new Map<LinkId, ServerEnd>();

  constructor(plane: FakePlane, clock: VirtualClock) {
    this.#plane = plane;
    this.#clock = clock;
  }

  linkAdded(link: LinkId, { connecting, remote }: LinkOptions): void {
    if (!connecting) return;
    const server = remote === undefined ? undefined : this.servers.get(formatSocketAddress(remote));
    if (server?.silent === true) return;
    this.#later(link, () => {
      if (server !== undefined && !server.refusesConnections) this.#plane.report({ type: 'link-open', link });
      else this.#plane.report({ type: 'link-closed', link, code: 'ECONNREFUSED', text: 'Connection refused' });
    });
  }

  control(link: LinkId, bytes: Uint8Array, to?: SocketAddress): void {
    const end = this.#endOf(link, to);
    if (end === undefined) return;
    this.#clock.happens(this.#clock.nowMs + DELAY_MS, () =>
      end.act((session) => session.handleControl(bytes, this.#clock.now())),
    );
  }

  inBand(link: LinkId, bytes: Uint8Array): void {
    this.#ends.get(link)?.act((session) => session.handleInBand(bytes, this.#clock.now()));
  }

  /** The peer that the client has on its newest link. */
  get peer(): PeerHandle {
    const found = [...this.#plane.peers.keys()].at(-1);
    if (found === undefined) throw new Error('the plane has no peer');
    return found;
  }

  get link(): LinkId {
    const found = [...this.#plane.links.keys()].at(-1);
    if (found === undefined) throw new Error('the plane has no link');
    return found;
  }

  #endOf(link: LinkId, to: SocketAddress | undefined): ServerEnd | undefined {
    const options = this.#plane.links.get(link);
    const remote = options?.framing === 'socks-udp' ? to : options?.remote;
    const server = remote === undefined ? undefined : this.servers.get(formatSocketAddress(remote));
    if (server === undefined || server.silent) return undefined;
    const known = this.#ends.get(link);
    if (known !== undefined) return known;
    const address = remote!;
    const end = server.accept((bytes) =>
      this.#later(link, () => this.#plane.report({ type: 'control', link, address, bytes, known: true })),
    );
    this.#ends.set(link, end);
    return end;
  }

  #later(link: LinkId, act: () => void): void {
    this.#clock.happens(this.#clock.nowMs + DELAY_MS, () => {
      if (this.#plane.links.has(link)) act();
    });
  }
}

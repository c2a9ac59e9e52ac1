// A whole client with nothing real around it: a virtual clock, a plane that moves nothing, servers in memory, a host in
// memory, scripts that a test lets run and end.

import { expect } from 'vitest';
import { Client, type ClientEnd, type ClientObserver } from '../../src/client/client.ts';
import type { ChallengePort } from '../../src/client/ports.ts';
import type { ClientState } from '../../src/client/state.ts';
import type { Config } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse.ts';
import type { WrapOptions } from '../../src/control/wrap-options.ts';
import { parseAddress } from '../../src/ip/address.ts';
import type { SignalName } from '../../src/peer/pending-signal.ts';
import type { LinkRequest } from '../../src/ports.ts';
import type { Credentials } from '../../src/session/options.ts';
import { Host } from '../../src/tunnel/host.ts';
import { HostError } from '../../src/tunnel/ports.ts';
import { FakeHost } from '../tunnel/fake-host.ts';
import { DeterministicTls } from './deterministic-tls.ts';
import { FakePlane } from './fake-plane.ts';
import { FakeProxy } from './fake-proxy.ts';
import { FakeNetwork, FakeServer } from './fake-server.ts';
import { seededCrypto } from './session-pair.ts';
import { VirtualClock } from './virtual-clock.ts';

type ScriptResult = { exitCode: number | undefined; signal: string | undefined; error: string | undefined };

export const SUCCESS: ScriptResult = { exitCode: 0, signal: undefined, error: undefined };

/** A client's configuration: these lines beside the needed ones. */
export function clientConfig(...lines: readonly string[]): Config {
  const text = ['client', 'dev tun', 'nobind', ...inline('ca', 'cert', 'key'), ...lines, ''].join('\n');
  const { config, findings } = parseConfig({ text, file: 'office.ovpn' }, { readText: () => undefined });
  if (config === undefined) throw new Error(JSON.stringify(findings.filter(({ severity }) => severity === 'error')));
  return config;
}

export class ClientLab {
  readonly clock = new VirtualClock();
  readonly host = new FakeHost();
  readonly server: FakeServer;
  /** Behind every connection to a proxy. */
  readonly proxy = new FakeProxy();
  readonly plane: FakePlane;
  readonly network: FakeNetwork;
  readonly client: Client;
  readonly states: ClientState[] = [];
  readonly log: string[] = [];
  /** Hears each line as it is written. */
  onLog: (line: string) => void = () => {};
  readonly requests: LinkRequest[] = [];
  readonly openFds = new Set<number>();
  /** Names to literal addresses, or to an error; a name that is missing here is never answered. */
  readonly names = new Map<string, readonly string[] | Error>();
  readonly lookups: string[] = [];
  /** Scripts that ran, as argv and environment. */
  readonly ran: { readonly argv: readonly string[]; readonly environment: Readonly<Record<string, string>> }[] = [];
  /** How a script ends. */
  script: (argv: readonly string[]) => Promise<ScriptResult> = () => Promise.resolve(SUCCESS);
  wrap: WrapOptions = { kind: 'none' };
  refuseLink: ((request: LinkRequest) => string | undefined) | undefined;
  /** Answers a person gives, in turn; when they are used up the person says nothing until the signal comes. */
  answers: Credentials[] = [];
  /** Who answers challenges; set before the start. */
  challenges: ChallengePort | undefined;
  /** The one who is asked does not listen to the signal. */
  deaf = false;
  asked = 0;
  /** Answers the question that nobody has answered yet. */
  answer: (credentials: Credentials) => void = () => {};
  fileReads = 0;
  readonly dropped: string[] = [];
  end: ClientEnd | undefined;
  /** Hears what the client tells, beside the lab. */
  observer: ClientObserver | undefined;
  readonly #tls = new DeterministicTls({ name: 'client', seed: 3 });
  readonly #before = this.host.state();
  #nextFd = 50;

  /** The configuration's lines; a server listens at 198.51.100.1:1194. */
  constructor(...lines: readonly string[]) {
    const config = clientConfig(...lines);
    this.server = new FakeServer(this.clock);
    const host = new Host(config, {
      devices: this.host.device,
      network: this.host.network,
      scripts: {
        run: (argv, environment) => {
          this.ran.push({ argv, environment });
          return this.script(argv);
        },
      },
      privileges: {
        chroot: (path) => void this.dropped.push(`chroot ${path}`),
        changeIdentity: ({ user }) => {
          this.dropped.push(`user ${user}`);
          return ['CAP_NET_ADMIN'];
        },
      },
      resolver: { resolve: (name, _family, signal) => this.#resolve(name, signal) },
      log: (_flags, text) => this.#say(text),
      pid: 4711,
      startUnixSeconds: 1_800_000_000,
      unique: 'ab12',
      configFile: 'office.ovpn',
    });
    let plane: FakePlane | undefined;
    const lab = this;
    this.client = new Client(
      config,
      {
        clock: this.clock,
        resolver: { resolve: (name, _family, signal) => this.#resolve(name, signal) },
        links: {
          open: (request) => this.#openLink(request),
          remoteAddress: () => ({ family: 4, address: Uint8Array.of(192, 0, 2, 1), port: 1194, scopeId: 0 }),
          localAddress: () => ({ family: 4, address: Uint8Array.of(192, 0, 2, 2), port: 40_000, scopeId: 0 }),
          duplicate: () => {
            const fd = this.#nextFd++;
            this.openFds.add(fd);
            return fd;
          },
          setBuffers: () => ({ receive: [1, 1], send: [1, 1] }),
          close: (fd) => {
            if (!this.openFds.delete(fd)) throw new Error(`fd ${fd} closed twice`);
          },
        },
        streams: this.proxy,
        crypto: seededCrypto(5),
        host,
        scripts: host.scripts,
        material: {
          wrapOf: () => this.wrap,
          broughtKey: () => undefined,
          tls: this.#tls,
          peerInfo: {
            version: '2.7.0',
            platform: 'linux',
            platformVersion: '6.1',
            sslVersion: 'OpenSSL',
            hardwareAddress: () => undefined,
          },
        },
        credentials: {
          read: () => {
            this.fileReads++;
            return { username: 'alice', password: 'stored' };
          },
          ask: (_known, signal) => this.#ask(signal),
        },
        get challenges() {
          return lab.challenges;
        },
        log: (_flags, text) => this.#say(text),
        plane: (listener) => {
          plane = new FakePlane(listener);
          return plane;
        },
      },
      {
        state: (state) => {
          this.states.push(state);
          this.observer?.state(state);
        },
        peerConnected: (peer) => this.observer?.peerConnected(peer),
        info: (kind, text) => this.observer?.info(kind, text),
      },
    );
    if (plane === undefined) throw new Error('the client made no plane');
    this.plane = plane;
    this.proxy.onClosed = (fd) => void this.openFds.delete(fd);
    this.network = new FakeNetwork(this.plane, this.clock);
    this.plane.connectTo(this.network);
    this.network.servers.set('198.51.100.1:1194', this.server);
  }

  /** Another server beside the first. */
  addServer(address: string): FakeServer {
    const server = new FakeServer(this.clock, 100 + this.network.servers.size);
    this.network.servers.set(address, server);
    return server;
  }

  start(): this {
    void this.run();
    return this;
  }

  async run(): Promise<ClientEnd> {
    this.end = await this.client.run();
    return this.end;
  }

  /** Starts, and waits for the tunnel. */
  async up(): Promise<this> {
    this.start();
    await this.until(() => this.isUp, 'the tunnel is up');
    return this;
  }

  get phase(): ClientState['phase'] | undefined {
    return this.states.at(-1)?.phase;
  }

  get phases(): readonly string[] {
    return this.states.map(({ phase }) => phase);
  }

  get isUp(): boolean {
    return this.phase === 'connected';
  }

  /** How often the tunnel came up. */
  get ups(): number {
    return this.states.filter(({ phase }) => phase === 'connected').length;
  }

  /** Scripts that begin from now on run until they are let end; what is given back ends the one that began last. */
  hangScripts(): () => void {
    let finish = (): void => {};
    this.script = () =>
      new Promise((resolve) => {
        finish = () => resolve(SUCCESS);
      });
    return () => finish();
  }

  signal(name: SignalName): void {
    this.client.signal(name);
  }

  /** Lets time pass until something holds; fails with the log when it does not within the bound of virtual time. */
  async until(holds: () => boolean, what: string, limitMs = 600_000): Promise<void> {
    const endMs = this.clock.nowMs + limitMs;
    await this.settle();
    while (!holds()) {
      if (!this.clock.step(endMs)) {
        throw new Error(`not within ${limitMs} ms: ${what}\n${this.phases.join(' ')}\n${this.log.join('\n')}`);
      }
      await this.settle();
    }
  }

  async runFor(ms: number): Promise<void> {
    const endMs = this.clock.nowMs + ms;
    await this.settle();
    while (this.clock.step(endMs)) await this.settle();
    this.clock.nowMs = endMs;
  }

  /** The end, which must come by itself. */
  async ended(limitMs?: number): Promise<ClientEnd> {
    await this.until(() => this.end !== undefined, 'the client ends', limitMs);
    if (this.end === undefined) throw new Error('no end');
    return this.end;
  }

  /** The log's lines about signals, as operators look for them. */
  get received(): readonly string[] {
    return this.log.filter((line) => / received, process /.test(line));
  }

  /** Waits for the end, and holds that it left nothing. */
  async gone(): Promise<void> {
    await this.ended();
    expect(this.phase).toBe('ended');
    expect(this.leftovers()).toEqual({});
  }

  /** Everything that promises and TLS have ready at this moment of the clock. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const busy = [this.#tls, ...[...this.network.servers.values()].map(({ tls }) => tls)].map((tls) => tls.pump());
      quiet = busy.includes(true) ? 0 : quiet + 1;
    }
  }

  /** What an ended client has not given back. */
  leftovers(): Record<string, number> {
    for (const server of this.network.servers.values()) server.stop();
    const { links, peers, devices, closed } = this.plane;
    return Object.fromEntries(
      Object.entries({
        fds: this.openFds.size,
        'connections to a proxy': this.proxy.openCount,
        links: links.size,
        peers: peers.size,
        devices: devices.size,
        timers: this.clock.waiting,
        'plane closed more or less than once': closed - 1,
        'host changed': this.host.state() === this.#before ? 0 : 1,
      }).filter(([, count]) => count !== 0),
    );
  }

  #say(text: string): void {
    this.log.push(text);
    this.onLog(text);
  }

  #openLink(request: LinkRequest) {
    this.requests.push(request);
    const code = this.refuseLink?.(request);
    if (code !== undefined) throw new HostError(code, `refused (${code})`);
    const fd = this.#nextFd++;
    this.openFds.add(fd);
    return {
      fd,
      connecting: request.transport !== 'udp',
      connected: true,
      local: { family: 4 as const, address: Uint8Array.of(192, 0, 2, 2), port: 40_000, scopeId: 0 },
      buffers: { receive: [1, 1] as const, send: [1, 1] as const },
    };
  }

  async #resolve(name: string, signal: AbortSignal) {
    const literal = parseAddress(name);
    if (literal !== undefined) return [toRemote(literal)];
    this.lookups.push(name);
    const found = this.names.get(name);
    if (found instanceof Error) throw found;
    if (found !== undefined) return found.map((text) => toRemote(parseAddress(text) as Uint8Array));
    return untilAborted(signal);
  }

  async #ask(signal: AbortSignal): Promise<Credentials> {
    this.asked++;
    const known = this.answers.shift();
    if (known !== undefined) return known;
    if (this.deaf) return new Promise(() => {});
    const late = new Promise<Credentials>((resolve) => {
      this.answer = resolve;
    });
    return Promise.race([late, untilAborted(signal)]);
  }
}

const toRemote = (address: Uint8Array) => ({ family: address.length === 4 ? (4 as const) : (6 as const), address });

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}

const inline = (...names: readonly string[]) => names.flatMap((name) => [`<${name}>`, 'x', `</${name}>`]);

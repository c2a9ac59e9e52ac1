// A whole server with nothing real around it: a virtual clock, the engine's plane in memory, a host, files and programs in
// memory, and clients that are real sessions, joined by a wire that can lose, repeat and reorder. Hours in milliseconds.

import { parseConfig } from '../../src/config/parse.ts';
import type { FirstContactOptions } from '../../src/control/first-contact.ts';
import { createArena } from '../../src/data/arena.ts';
import { createMemoryPlane, MEMORY_PLANE_ARENA_BYTES, type MemoryPlane } from '../../src/data/memory-plane.ts';
import type { DeviceId, LinkId, LinkOptions, ListenerOptions, PlaneEvent } from '../../src/data/plane.ts';
import { SallyportError } from '../../src/error.ts';
import { parseAddress } from '../../src/ip/address.ts';
import type { SocketAddress } from '../../src/ip/socket-address.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import { AuthTokens } from '../../src/server/auth-token.ts';
import type { ClientInfo, ServerHooks } from '../../src/server/hooks.ts';
import type { PasswordPlugin, ServerFiles } from '../../src/server/ports.ts';
import { Server, type ServerEnd } from '../../src/server/server.ts';
import type { OpenTunnel } from '../../src/tunnel/host-port.ts';
import { HostError, type ScriptPort } from '../../src/tunnel/ports.ts';
import { DeterministicTls, type DeterministicTlsOptions } from './deterministic-tls.ts';
import { ipPacket, LabClient, type LabClientOptions } from './lab-client.ts';
import { type Noise, NoisyWire, QUIET } from './noisy-wire.ts';
import { seededCrypto } from './session-pair.ts';
import { VirtualClock } from './virtual-clock.ts';

type ScriptResult = Awaited<ReturnType<ScriptPort['run']>>;

export const exited = (exitCode: number): ScriptResult => ({ exitCode, signal: undefined, error: undefined });

export interface ServerLabOptions {
  readonly hooks?: ServerHooks;
  readonly tls?: Partial<DeterministicTlsOptions>;
  readonly seed?: number;
  /** The program around the server checks logins (a hook is set). */
  readonly checksLogins?: boolean;
  /** Default: none. */
  readonly wraps?: FirstContactOptions;
  readonly passwordPlugins?: readonly PasswordPlugin[];
}

type Flight = { readonly to: 'server'; readonly from: SocketAddress } | { readonly to: LabClient };

const TOKEN_KEY = new Uint8Array(32).fill(7);
/** Numbers of sockets that the lab opens; streams that the plane accepts have small ones. */
const FIRST_FD = 10_000;
const PATH_LIMIT_BYTES = 255;

export class ServerLab {
  readonly clock = new VirtualClock();
  readonly log: string[] = [];
  readonly tls: DeterministicTls;
  readonly clients: LabClient[] = [];
  readonly wire: NoisyWire<Flight>;
  readonly openFds = new Set<number>();
  /** Text by path. */
  readonly files = new Map<string, string>();
  /** Every path that was asked for. */
  readonly paths: string[] = [];
  readonly ran: {
    readonly argv: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
    /** Aborts when nobody waits for it any more. */
    readonly signal: AbortSignal | undefined;
  }[] = [];
  /** How a program ends. */
  script: (argv: readonly string[], environment: Readonly<Record<string, string>>) => Promise<ScriptResult> = () =>
    Promise.resolve(exited(0));
  /** errno name for a socket that is refused, by its index. */
  refuseLink: (index: number) => string | undefined = () => undefined;
  readonly hostCalls: string[] = [];
  onHost: (call: string) => Promise<void> = () => Promise.resolve();
  listening = 0;
  /** What the program around the server has heard of clients. */
  readonly told: string[] = [];
  end: ServerEnd | undefined;
  readonly plane: MemoryPlane;
  readonly server: Server;
  /** Links, peers and devices that the server has in the plane. */
  readonly inPlane = { links: new Set<number>(), peers: new Set<number>(), devices: new Set<number>() };
  /** Control packets from the server, as they left. */
  sentControl = 0;
  #device: DeviceId | undefined;
  #udp: LinkId | undefined;
  #tcp: LinkId | undefined;
  #nextFd = FIRST_FD;
  #linksOpened = 0;
  #temporary = 0;
  #nextHost = 10;
  #tell: (event: PlaneEvent) => void = () => {};
  readonly #fdOfLink = new Map<LinkId, number>();

  /** Lines beside the needed ones; without a `server` line of their own clients get 10.8.0.2 and on. */
  constructor(lines: readonly string[], options: ServerLabOptions = {}) {
    const seed = options.seed ?? 1;
    this.wire = new NoisyWire<Flight>(seed, QUIET);
    this.tls = new DeterministicTls({ name: 'server', seed: 1000 + seed, ...options.tls });
    const config = serverConfig(lines, options.checksLogins ?? options.hooks?.onAuthenticate !== undefined);
    const crypto = seededCrypto(seed + 77);
    let plane: MemoryPlane | undefined;
    this.server = new Server(
      config,
      {
        clock: this.clock,
        resolver: {
          resolve: async (host) => {
            const address = parseAddress(host);
            if (address === undefined) throw new Error('no names here');
            return [{ family: address.length === 4 ? 4 : 6, address }];
          },
        },
        links: {
          open: () => this.#openLink(),
          duplicate: () => {
            throw new Error('a server has no descriptors to spare');
          },
          localAddress: () => addressOf('198.51.100.1', 1194),
          remoteAddress: () => addressOf('192.0.2.1', 1),
          setBuffers: () => ({ receive: [1, 1], send: [1, 1] }),
          close: (fd) => {
            if (!this.openFds.delete(fd)) throw new Error(`fd ${fd} closed twice`);
          },
        },
        crypto,
        host: {
          open: async (request) => {
            this.hostCalls.push('open');
            await this.onHost('open');
            request.signal.throwIfAborted();
            const tunnel: Omit<OpenTunnel, 'plan'> = {
              endpoint: { kind: 'memory' },
              layer: 'tun',
              mtuBytes: 1500,
              blockIpv6: false,
              unreachableFrom: undefined,
              kept: false,
              name: 'tun0',
              linkAddress: undefined,
            };
            return tunnel as OpenTunnel;
          },
          route: async () => {
            this.hostCalls.push('route');
            await this.onHost('route');
            return true;
          },
          update: () => Promise.reject(new Error('a server is pushed nothing')),
          follow: () => undefined,
          refreshDns: async () => {},
          scriptEnvironment: () => ({ dev: 'tun0' }),
          dropPrivileges: () => void this.hostCalls.push('drop'),
          close: async (_reason, letGo) => {
            this.hostCalls.push('close');
            await letGo();
            await this.onHost('close');
          },
        },
        scripts: {
          run: (argv, environment, { timeoutMs, signal }) => {
            this.ran.push({ argv, environment, signal });
            return this.#runScript(argv, environment, timeoutMs);
          },
        },
        files: this.#serverFiles(),
        passwordPlugins: options.passwordPlugins ?? [],
        localTime: () => '2027-01-15 08:00:00',
        material: {
          tls: this.tls,
          wraps: options.wraps ?? { sharedWraps: [{ kind: 'none' }], tlsCryptV2: undefined },
          tokenKey: TOKEN_KEY,
        },
        hooks: options.hooks ?? {},
        log: (_flags, text) => void this.log.push(text),
        relay: undefined,
        plane: (listener) => {
          plane = this.#makePlane(listener);
          return plane;
        },
      },
      {
        listening: () => this.listening++,
        connected: ({ name }) => void this.told.push(`connected ${name}`),
        disconnected: ({ name }, reason) => void this.told.push(`disconnected ${name} ${reason}`),
      },
    );
    if (plane === undefined) throw new Error('the server made no plane');
    this.plane = plane;
  }

  /** Starts and waits until clients can come. */
  async up(): Promise<this> {
    void this.run();
    await this.until(() => this.listening > 0 || this.end !== undefined, 'the server listens');
    return this;
  }

  async run(): Promise<ServerEnd> {
    this.end = await this.server.run();
    return this.end;
  }

  /** A client, at an address of its own unless the options say where. */
  connect(name: string, options: Partial<LabClientOptions> = {}): LabClient {
    const transport = options.transport ?? 'udp';
    const address = options.address ?? addressOf(`192.0.2.${this.#nextHost++}`, 40_000);
    const seed = options.seed ?? 100 + this.clients.length;
    const client = new LabClient(name, { ...options, address, transport, seed }, () => this.clock.now());
    this.clients.push(client);
    if (transport === 'tcp') {
      if (this.#tcp === undefined) throw new Error('the server listens on no TCP socket');
      const before = new Set(this.inPlane.links);
      this.plane.acceptStream(this.#tcp, address);
      client.stream = [...this.inPlane.links].find((link) => !before.has(link));
    }
    return client;
  }

  /** The same, and waits until it is up. */
  async connected(name: string, options: Partial<LabClientOptions> = {}): Promise<LabClient> {
    const client = this.connect(name, options);
    await this.until(() => client.isUp, `${name} is up`);
    return client;
  }

  /** How often clients have come by new keys. */
  get renegotiations(): number {
    const expiry = {
      certificateExpiryUnixSeconds: undefined,
      caExpiryUnixSeconds: undefined,
      crlExpiryUnixSeconds: undefined,
    };
    return this.server.metrics({ version: '', expiry, eventLoopDelaySeconds: undefined }).renegotiations;
  }

  get list(): readonly ClientInfo[] {
    return this.server.clients;
  }

  get names(): (string | undefined)[] {
    return this.list.map(({ name }) => name);
  }

  /** Everything that the server keeps state of, whatever its phase. */
  get kept(): number {
    return this.inPlane.peers.size;
  }

  /** Something from anywhere on the UDP socket. */
  inject(from: SocketAddress, bytes: Uint8Array): void {
    if (this.#udp !== undefined) this.plane.inject(this.#udp, from, bytes);
  }

  /** Bytes of a stream, cut as they are. */
  injectStream(client: LabClient, bytes: Uint8Array): void {
    if (client.stream !== undefined) this.plane.injectStream(client.stream, bytes);
  }

  /** A TCP connection that has sent nothing. */
  acceptStream(from: SocketAddress): void {
    if (this.#tcp !== undefined) this.plane.acceptStream(this.#tcp, from);
  }

  closeStream(client: LabClient, code = 'EOF'): void {
    if (client.stream !== undefined) this.plane.closeLink(client.stream, code, 'the stream ended');
  }

  /** An event as if the plane reported it. */
  report(event: PlaneEvent): void {
    this.#tell(event);
  }

  /** Inner packets that the server's device got, as `source > destination`. */
  inner(): string[] {
    if (this.#device === undefined) return [];
    const end = this.plane.deviceEnd(this.#device);
    const packets: string[] = [];
    for (let packet = end.read(); packet !== undefined; packet = end.read()) {
      packets.push(`${[...packet.subarray(12, 16)].join('.')} > ${[...packet.subarray(16, 20)].join('.')}`);
    }
    return packets;
  }

  /** The host sends a packet to a client's tunnel address. */
  sendInner(destination: string, source = '10.8.0.1'): void {
    if (this.#device !== undefined) this.plane.deviceEnd(this.#device).write(ipPacket(source, destination));
  }

  setNoise(noise: Noise): void {
    this.wire.setNoise(noise);
  }

  lines(pattern: RegExp): string[] {
    return this.log.filter((line) => pattern.test(line));
  }

  /** Lets time pass until something holds; fails with the log when it does not within the bound of virtual time. */
  async until(holds: () => boolean, what: string, limitMs = 600_000): Promise<void> {
    const endMs = this.clock.nowMs + limitMs;
    await this.settle();
    while (!holds()) {
      if (!this.#step(endMs)) throw new Error(`not within ${limitMs} ms: ${what}\n${this.log.join('\n')}`);
      await this.settle();
    }
  }

  async runFor(ms: number): Promise<void> {
    const endMs = this.clock.nowMs + ms;
    await this.settle();
    while (this.#step(endMs)) await this.settle();
    this.clock.nowMs = endMs;
    await this.settle();
  }

  /** Everything that promises, TLS and the wire have ready at this moment of the clock. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      await new Promise((resolve) => setImmediate(resolve));
      quiet = this.#turn() ? 0 : quiet + 1;
    }
  }

  /** Ends the server, and says what it has not given back. */
  async gone(signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<Record<string, number>> {
    if (this.end === undefined) this.server.signal(signal);
    await this.until(() => this.end !== undefined, 'the server ends');
    return this.leftovers();
  }

  leftovers(): Record<string, number> {
    const { links, peers, devices } = this.inPlane;
    return Object.fromEntries(
      Object.entries({
        fds: this.openFds.size,
        links: links.size,
        peers: peers.size,
        devices: devices.size,
        timers: this.clock.waiting,
        engines: this.tls.open,
        'temporary files': [...this.files.keys()].filter((path) => path.startsWith('/tmp/')).length,
      }).filter(([, count]) => count !== 0),
    );
  }

  #turn(): boolean {
    const now = this.clock.now();
    let busy = this.tls.pump();
    for (const client of this.clients) {
      const sent = client.drive(now, (bytes) => this.#fromClient(client, bytes));
      busy = sent || busy;
    }
    for (let arrived = this.wire.poll(now.monoMs); arrived !== undefined; arrived = this.wire.poll(now.monoMs)) {
      busy = true;
      if (arrived.to.to === 'server') this.inject(arrived.to.from, arrived.bytes);
      else arrived.to.to.handle(arrived.bytes, now);
    }
    return busy;
  }

  #step(limitMs: number): boolean {
    const times = [this.clock.nextMs(), this.wire.nextMs(), ...this.clients.map((client) => client.nextMs())].filter(
      (time) => time !== undefined,
    );
    const next = times.length === 0 ? undefined : Math.min(...times);
    if (next === undefined || next > limitMs) return false;
    if (!this.clock.step(next)) this.clock.nowMs = Math.max(this.clock.nowMs, next);
    return true;
  }

  #fromClient(client: LabClient, bytes: Uint8Array): void {
    if (client.transport === 'udp') {
      this.wire.send({ to: 'server', from: client.address }, bytes, this.clock.nowMs);
      return;
    }
    if (client.stream === undefined || !this.inPlane.links.has(client.stream)) return;
    const framed = new Uint8Array(2 + bytes.length);
    new DataView(framed.buffer).setUint16(0, bytes.length);
    framed.set(bytes, 2);
    this.plane.injectStream(client.stream, framed);
  }

  #toClient(link: LinkId, address: SocketAddress, bytes: Uint8Array): void {
    const opcode = (bytes[0] ?? 0) >> 3;
    if (opcode !== 6 && opcode !== 9) this.sentControl++;
    for (const client of this.clients) {
      if (client.transport === 'tcp' && client.stream === link) {
        client.handle(bytes, this.clock.now());
        return;
      }
    }
    for (const client of this.clients) {
      if (client.transport === 'udp' && sameAddress(client.address, address)) {
        this.wire.send({ to: client }, bytes, this.clock.nowMs);
      }
    }
  }

  #makePlane(listener: (event: PlaneEvent) => void): MemoryPlane {
    this.#tell = listener;
    const plane = createMemoryPlane({
      packetCrypto: createNodePacketCrypto(createArena(MEMORY_PLANE_ARENA_BYTES)),
      now: () => this.clock.nowMs,
      listener: (event) => {
        if (event.type === 'accepted') this.openFds.add(event.fd);
        listener(event);
      },
      onSend: (link, address, bytes) => this.#toClient(link, address, bytes),
    });
    const { links, peers, devices } = this.inPlane;
    const inMemory = <T extends LinkOptions | ListenerOptions>(options: T): T => {
      const { endpoint } = options;
      return endpoint.kind === 'fd' && endpoint.fd >= FIRST_FD ? { ...options, endpoint: { kind: 'memory' } } : options;
    };
    const { addDevice, removeDevice, addLink, addListener, removeLink, addPeer, removePeer } = bound(plane);
    plane.addDevice = (options) => {
      this.#device = kept(devices, addDevice(options));
      return this.#device;
    };
    plane.removeDevice = (device) => {
      devices.delete(device);
      return removeDevice(device);
    };
    plane.addLink = (options) => {
      const id = kept(links, addLink(inMemory(options)));
      if (options.framing === 'udp') this.#udp = id;
      if (options.endpoint.kind === 'fd') this.#fdOfLink.set(id, options.endpoint.fd);
      return id;
    };
    plane.addListener = (options) => {
      this.#tcp = kept(links, addListener(inMemory(options)));
      return this.#tcp;
    };
    plane.removeLink = (link) => {
      links.delete(link);
      for (const client of this.clients) if (client.stream === link) client.cut = true;
      return removeLink(link);
    };
    plane.addPeer = (options) => kept(peers, addPeer(options));
    plane.removePeer = (peer) => {
      peers.delete(peer);
      removePeer(peer);
    };
    return plane;
  }

  #openLink() {
    const code = this.refuseLink(this.#linksOpened++);
    if (code !== undefined) throw new HostError(code, `refused (${code})`);
    const fd = this.#nextFd++;
    this.openFds.add(fd);
    return {
      fd,
      connecting: false,
      connected: false,
      local: addressOf('198.51.100.1', 1194),
      buffers: { receive: [1, 1] as const, send: [1, 1] as const },
    };
  }

  /** As the real port: a program that takes too long is ended. */
  #runScript(
    argv: readonly string[],
    environment: Readonly<Record<string, string>>,
    timeoutMs: number | undefined,
  ): Promise<ScriptResult> {
    return new Promise((resolve, reject) => {
      const cancel =
        timeoutMs === undefined
          ? () => {}
          : this.clock.happens(this.clock.nowMs + timeoutMs, () =>
              resolve({ exitCode: undefined, signal: 'SIGKILL', error: 'took too long' }),
            );
      this.script(argv, environment).then((result) => {
        cancel();
        resolve(result);
      }, reject);
    });
  }

  #serverFiles(): ServerFiles {
    return {
      read: (path, limitBytes) => {
        this.paths.push(path);
        if (path.includes('\0')) throw new SallyportError('NUL', { code: 'SALLYPORT_HOST', blame: 'config' });
        const name = path.slice(path.lastIndexOf('/') + 1);
        if (Buffer.byteLength(name) > PATH_LIMIT_BYTES) return undefined;
        const text = this.files.get(path);
        if (text === undefined || text.length <= limitBytes) return text;
        throw new SallyportError(`${path} is too long`, { code: 'SALLYPORT_HOST', blame: 'config' });
      },
      replace: (path, text) => {
        this.paths.push(path);
        this.files.set(path, typeof text === 'string' ? text : Buffer.from(text).toString('latin1'));
      },
      temporary: (prefix) => {
        const path = `/tmp/openvpn_${prefix}_${this.#temporary++}.tmp`;
        this.files.set(path, '');
        return path;
      },
      remove: (path) => void this.files.delete(path),
    };
  }
}

/** Tokens as this lab's server signs them. */
export const labTokens = (): AuthTokens =>
  new AuthTokens(seededCrypto(3), TOKEN_KEY, { lifetimeSeconds: 0, renewalSeconds: 3600 });

export function addressOf(text: string, port: number): SocketAddress {
  return { family: 4, address: Uint8Array.from(text.split('.').map(Number)), port, scopeId: 0 };
}

/** A server's configuration: these lines beside the needed ones. */
function serverConfig(lines: readonly string[], checksLogins = false) {
  const inline = (...names: readonly string[]) => names.flatMap((name) => [`<${name}>`, 'x', `</${name}>`]);
  const network = lines.some((line) => /^(server|mode) /.test(line)) ? [] : ['server 10.8.0.0 255.255.255.0'];
  const text = ['dev tun', 'topology subnet', 'dh none', ...inline('ca', 'cert', 'key'), ...network, ...lines, ''];
  const { config, findings } = parseConfig(
    { text: text.join('\n'), file: 'server.conf' },
    { readText: () => undefined, checksLogins },
  );
  if (config === undefined) throw new Error(JSON.stringify(findings.filter(({ severity }) => severity === 'error')));
  return config;
}

function kept<T>(set: Set<T>, id: T): T {
  set.add(id);
  return id;
}

function bound(plane: MemoryPlane) {
  return {
    addDevice: plane.addDevice.bind(plane),
    removeDevice: plane.removeDevice.bind(plane),
    addLink: plane.addLink.bind(plane),
    addListener: plane.addListener.bind(plane),
    removeLink: plane.removeLink.bind(plane),
    addPeer: plane.addPeer.bind(plane),
    removePeer: plane.removePeer.bind(plane),
  };
}

const sameAddress = (a: SocketAddress, b: SocketAddress): boolean =>
  a.port === b.port && a.address.join() === b.address.join();

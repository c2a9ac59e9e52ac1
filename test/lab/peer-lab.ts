// Two equal ends with nothing real around them: a virtual clock, an engine's plane in memory at each, a host that notes what
// it is asked, TLS that can be had again, and a net that carries what is sent to an address.

import { Client, type ClientEnd } from '../../src/client/client.ts';
import type { ClientState } from '../../src/client/state.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { createArena } from '../../src/data/arena.ts';
import { createMemoryPlane, MEMORY_PLANE_ARENA_BYTES, type MemoryPlane } from '../../src/data/memory-plane.ts';
import type { DeviceId, LinkId } from '../../src/data/plane.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { formatSocketAddress, type SocketAddress } from '../../src/ip/socket-address.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import type { OpenTunnel } from '../../src/tunnel/host-port.ts';
import { DeterministicTls, type DeterministicTlsOptions } from './deterministic-tls.ts';
import { ipPacket } from './lab-client.ts';
import { addressOf } from './server-lab.ts';
import { seededCrypto } from './session-pair.ts';
import { VirtualClock } from './virtual-clock.ts';

const DELAY_MS = 5;

export class PeerLab {
  readonly clock = new VirtualClock();
  readonly ends: PeerEnd[] = [];
  /** Packets that were on the way, by where they came from. */
  readonly sent: { readonly from: SocketAddress; readonly to: SocketAddress; readonly bytes: Uint8Array }[] = [];

  /** An end at an address, with these lines beside the needed ones. It is started at once. */
  end(address: SocketAddress, lines: readonly string[], tls: Partial<DeterministicTlsOptions> = {}): PeerEnd {
    const end = new PeerEnd(this, address, lines, 10 + this.ends.length, tls);
    this.ends.push(end);
    return end;
  }

  carry(from: SocketAddress, to: SocketAddress, bytes: Uint8Array): void {
    this.sent.push({ from, to, bytes });
    this.clock.happens(this.clock.nowMs + DELAY_MS, () => {
      for (const end of this.ends) if (sameText(end.address, to)) end.hear(from, bytes);
    });
  }

  async until(holds: () => boolean, what: string, limitMs = 300_000): Promise<void> {
    const endMs = this.clock.nowMs + limitMs;
    await this.settle();
    while (!holds()) {
      if (!this.clock.step(endMs)) {
        throw new Error(
          `not within ${limitMs} ms: ${what}\n${this.ends.map(({ log }) => log.join('\n')).join('\n--\n')}`,
        );
      }
      await this.settle();
    }
  }

  async runFor(ms: number): Promise<void> {
    const endMs = this.clock.nowMs + ms;
    await this.settle();
    while (this.clock.step(endMs)) await this.settle();
    this.clock.nowMs = endMs;
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const busy = this.ends.map(({ tls }) => tls.pump()).includes(true);
      quiet = busy ? 0 : quiet + 1;
    }
  }
}

export class PeerEnd {
  readonly address: SocketAddress;
  readonly log: string[] = [];
  readonly states: ClientState[] = [];
  readonly client: Client;
  readonly tls: DeterministicTls;
  readonly hostCalls: string[] = [];
  /** What it has in the plane. */
  readonly inPlane = { links: new Set<number>(), peers: new Set<number>(), devices: new Set<number>() };
  ended: ClientEnd | undefined;
  /** It neither hears nor says anything any more, as after a power cut. */
  dead = false;
  /** How long its host takes to open a device (`up` scripts). */
  openTakesMs = 0;
  readonly #lab: PeerLab;
  #plane: MemoryPlane | undefined;
  #link: LinkId | undefined;
  #device: DeviceId | undefined;

  constructor(
    lab: PeerLab,
    address: SocketAddress,
    lines: readonly string[],
    seed: number,
    tls: Partial<DeterministicTlsOptions>,
  ) {
    this.#lab = lab;
    this.address = address;
    this.tls = new DeterministicTls({ name: `end-${seed}`, seed, ...tls });
    const inline = ['ca', 'cert', 'key'].flatMap((name) => [`<${name}>`, 'x', `</${name}>`]);
    const text = ['dev tun', 'dh none', ...inline, ...lines, ''].join('\n');
    const { config, findings } = parseConfig({ text, file: 'peer.conf' }, { readText: () => undefined });
    if (config === undefined) throw new Error(JSON.stringify(findings));
    this.client = new Client(
      config,
      {
        clock: lab.clock,
        resolver: {
          resolve: async (host) => {
            const literal = parseAddress(host);
            if (literal === undefined) throw new Error('no names here');
            return [{ family: 4, address: literal }];
          },
        },
        links: {
          open: () => ({
            ...{ fd: 7, connecting: false, connected: false, local: address },
            buffers: { receive: [1, 1], send: [1, 1] },
          }),
          localAddress: () => address,
          remoteAddress: () => address,
          setBuffers: () => ({ receive: [1, 1], send: [1, 1] }),
          duplicate: (fd) => fd,
          close: () => {},
        },
        streams: {
          open: () => {
            throw new Error('no proxies here');
          },
        },
        crypto: seededCrypto(seed),
        host: this.#host(),
        scripts: { verifyPeer: async () => true, verifyKey: async () => true, ipChange: async () => {} },
        material: {
          wrapOf: () => ({ kind: 'none' }),
          broughtKey: () => undefined,
          tls: this.tls,
          peerInfo: {
            ...{ version: '2.7.8', platform: 'linux', platformVersion: '6', sslVersion: 'x' },
            hardwareAddress: () => undefined,
          },
        },
        credentials: {
          read: () => ({ username: '', password: '' }),
          ask: async () => ({ username: '', password: '' }),
        },
        log: (_flags, line) => void this.log.push(line),
        plane: (listener) => this.#makePlane(listener),
      },
      { state: (state) => this.states.push(state), peerConnected: () => {}, info: () => {} },
    );
    void this.client.run().then((ended) => {
      this.ended = ended;
    });
  }

  /** How often the tunnel came up. */
  get ups(): number {
    return this.states.filter(({ phase }) => phase === 'connected').length;
  }

  hear(from: SocketAddress, bytes: Uint8Array): void {
    if (!this.dead && this.#link !== undefined) this.#plane?.inject(this.#link, from, bytes);
  }

  /** The host sends a packet into the tunnel. */
  write(source: string, destination: string): void {
    if (this.#device !== undefined) this.#plane?.deviceEnd(this.#device).write(ipPacket(source, destination));
  }

  /** How many packets came out of the tunnel since the last call. */
  read(): number {
    const end = this.#device === undefined ? undefined : this.#plane?.deviceEnd(this.#device);
    let count = 0;
    while (end?.read() !== undefined) count++;
    return count;
  }

  lines(pattern: RegExp): string[] {
    return this.log.filter((line) => pattern.test(line));
  }

  #host() {
    const opened: Omit<OpenTunnel, 'plan'> = {
      ...{ endpoint: { kind: 'memory' }, layer: 'tun', mtuBytes: 1500, blockIpv6: false, kept: false, name: 'tun0' },
      linkAddress: undefined,
      unreachableFrom: undefined,
    };
    return {
      open: async () => {
        this.hostCalls.push('open');
        const { clock } = this.#lab;
        if (this.openTakesMs > 0) {
          await new Promise<void>((resolve) => clock.happens(clock.nowMs + this.openTakesMs, resolve));
        }
        return opened as OpenTunnel;
      },
      route: async () => {
        this.hostCalls.push('route');
        return true;
      },
      update: () => Promise.reject(new Error('nothing is pushed')),
      follow: () => undefined,
      refreshDns: async () => {},
      scriptEnvironment: () => ({}),
      dropPrivileges: () => {},
      close: async (_reason: unknown, letGo: () => Promise<void>) => {
        this.hostCalls.push('close');
        await letGo();
      },
    };
  }

  #makePlane(listener: Parameters<typeof createMemoryPlane>[0]['listener']): MemoryPlane {
    const plane = createMemoryPlane({
      packetCrypto: createNodePacketCrypto(createArena(MEMORY_PLANE_ARENA_BYTES)),
      now: () => this.#lab.clock.nowMs,
      listener,
      onSend: (_link, to, bytes) => {
        if (!this.dead) this.#lab.carry(this.address, to, bytes);
      },
    });
    const { links, peers, devices } = this.inPlane;
    const { addDevice, removeDevice, addLink, removeLink, addPeer, removePeer } = plane;
    plane.addDevice = (options) => {
      const id = addDevice.call(plane, options);
      devices.add(id);
      if (options.layer !== 'null') this.#device = id;
      return id;
    };
    plane.removeDevice = (device) => {
      devices.delete(device);
      return removeDevice.call(plane, device);
    };
    plane.addLink = (options) => {
      this.#link = addLink.call(plane, { ...options, endpoint: { kind: 'memory' } });
      links.add(this.#link);
      return this.#link;
    };
    plane.removeLink = (link) => {
      links.delete(link);
      return removeLink.call(plane, link);
    };
    plane.addPeer = (options) => {
      const peer = addPeer.call(plane, options);
      peers.add(peer);
      return peer;
    };
    plane.removePeer = (peer) => {
      peers.delete(peer);
      removePeer.call(plane, peer);
    };
    this.#plane = plane;
    return plane;
  }
}

export const SERVER = addressOf('198.51.100.1', 1194);
export const CLIENT = addressOf('192.0.2.2', 1194);

const sameText = (one: SocketAddress, other: SocketAddress): boolean =>
  formatSocketAddress(one) === formatSocketAddress(other);

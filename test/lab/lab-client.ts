// A client of the server lab: a real session and a real data plane of its own at an address of its own. It answers what
// a client answers, writes down what it hears, and can be made to do what no client does.

import type { WrapOptions } from '../../src/control/wrap-options.ts';
import { createArena } from '../../src/data/arena.ts';
import { createMemoryPlane, MEMORY_PLANE_ARENA_BYTES, type MemoryPlane } from '../../src/data/memory-plane.ts';
import type { DeviceId, LinkId, PeerHandle } from '../../src/data/plane.ts';
import type { SocketAddress } from '../../src/ip/socket-address.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import { createPeerKeys, type PeerKeys } from '../../src/peer/peer-keys.ts';
import type { Instants } from '../../src/ports.ts';
import type { SessionEnd, SessionEvent } from '../../src/session/event.ts';
import type { Credentials, SessionOptions, SessionPush } from '../../src/session/options.ts';
import { createSession, type Session } from '../../src/session/session.ts';
import { DeterministicTls, type DeterministicTlsOptions } from './deterministic-tls.ts';
import { peerOptions } from './peer-options.ts';
import { NO_KEEPALIVE, seededCrypto, sessionOptions } from './session-pair.ts';

export interface LabClientOptions {
  readonly address: SocketAddress;
  readonly transport: 'udp' | 'tcp';
  readonly credentials?: Credentials | undefined;
  readonly session?: Partial<SessionOptions>;
  readonly tls?: Partial<DeterministicTlsOptions>;
  readonly wrap?: WrapOptions;
  readonly seed: number;
}

/** A client's peer info beside what a test adds: of OpenVPN 2.6, with every way to be asked. */
export const PEER_INFO = [
  'IV_VER=2.6.14',
  'IV_PLAT=linux',
  'IV_PROTO=478',
  'IV_CIPHERS=AES-256-GCM:AES-128-GCM',
  'IV_SSO=webauth,openurl,crtext',
];

const SERVER: SocketAddress = { family: 4, address: Uint8Array.of(198, 51, 100, 1), port: 1194, scopeId: 0 };

export class LabClient {
  readonly name: string;
  readonly transport: 'udp' | 'tcp';
  readonly tls: DeterministicTls;
  readonly session: Session;
  readonly events: SessionEvent[] = [];
  readonly log: string[] = [];
  readonly plane: MemoryPlane;
  /** Where its packets come from; a test may move it. */
  address: SocketAddress;
  /** The server's link of a TCP client. */
  stream: LinkId | undefined;
  /** It is there no more: sends and hears nothing. */
  silent = false;
  woken = false;
  /** The server's stream to it has ended. */
  cut = false;
  /** Looks at each event first; true: it is dealt with. */
  onEvent: (event: SessionEvent, now: Instants) => boolean = () => false;
  readonly #device: DeviceId;
  readonly #link: LinkId;
  readonly #peer: PeerHandle;
  readonly #keys: PeerKeys;
  readonly #dataOut: Uint8Array[] = [];
  #options: readonly string[] | undefined;

  constructor(name: string, options: LabClientOptions, now: () => Instants) {
    this.name = name;
    this.address = options.address;
    this.transport = options.transport;
    this.tls = new DeterministicTls({ name, seed: options.seed, ...options.tls });
    this.plane = createMemoryPlane({
      packetCrypto: createNodePacketCrypto(createArena(MEMORY_PLANE_ARENA_BYTES)),
      now: () => now().monoMs,
      listener: (event) => {
        if (event.type === 'in-band') this.session.handleInBand(event.bytes, now());
      },
      onSend: (_link, _address, bytes) => this.#dataOut.push(bytes),
    });
    this.#device = this.plane.addDevice({
      endpoint: { kind: 'memory' },
      layer: 'tun',
      mtuBytes: 1500,
      blockIpv6: false,
      unreachableFrom: undefined,
    });
    this.#link = this.plane.addLink({
      endpoint: { kind: 'memory' },
      framing: 'udp',
      connecting: false,
      remote: SERVER,
      connected: true,
      readAhead: undefined,
    });
    const [device, link] = [this.#device, this.#link];
    this.#peer = this.plane.addPeer(
      peerOptions({ device, link, receivePeerId: undefined, address: SERVER, sendPeerId: undefined }),
    );
    this.#keys = createPeerKeys(this.plane, this.#peer, () => {});
    this.session = createSession(
      sessionOptions('client', {
        transport: options.transport,
        peerInfo: PEER_INFO,
        ...(options.wrap && { wrap: options.wrap }),
        ...options.session,
      }),
      {
        crypto: seededCrypto(options.seed),
        tls: this.tls,
        log: (_flags, text) => this.log.push(text),
        wake: () => {
          this.woken = true;
        },
      },
    );
    if (options.credentials !== undefined) this.session.setCredentials(options.credentials);
    this.session.start(now(), '[AF_INET]198.51.100.1:1194');
  }

  /** What was pushed first; undefined before. */
  get pushed(): readonly string[] | undefined {
    return this.#options;
  }

  get isUp(): boolean {
    return this.session.state.name === 'up';
  }

  get end(): SessionEnd | undefined {
    const { state } = this.session;
    return state.name === 'ended' ? state.end : undefined;
  }

  /** The reason that AUTH_FAILED gave; undefined when it has not been refused. */
  get refused(): string | undefined {
    return this.end?.reason === 'auth-failed' ? this.end.text : undefined;
  }

  /** The tunnel address that was pushed. */
  get tunnelAddress(): string | undefined {
    return this.#options?.find((option) => option.startsWith('ifconfig '))?.split(' ')[1];
  }

  get peerId(): number | undefined {
    const text = this.#options?.find((option) => option.startsWith('peer-id '));
    return text === undefined ? undefined : Number(text.slice('peer-id '.length));
  }

  infos(kind: string): string[] {
    return this.events.flatMap((event) => (event.type === 'info' && event.kind === kind ? [event.text] : []));
  }

  /** Sends a packet of the inner network, from its own tunnel address or another. */
  sendPacket(destination: string, source = this.tunnelAddress ?? '0.0.0.0'): void {
    this.plane.deviceEnd(this.#device).write(ipPacket(source, destination));
  }

  /** Inner packets that came out of the tunnel, as their source addresses. */
  receivedFrom(): string[] {
    const sources: string[] = [];
    const end = this.plane.deviceEnd(this.#device);
    for (let packet = end.read(); packet !== undefined; packet = end.read()) {
      sources.push([...packet.subarray(12, 16)].join('.'));
    }
    return sources;
  }

  /** A packet of the server. */
  handle(bytes: Uint8Array, now: Instants): void {
    if (this.silent) return;
    const opcode = (bytes[0] ?? 0) >> 3;
    if (opcode === 6 || opcode === 9) this.plane.inject(this.#link, SERVER, bytes);
    else this.session.handleControl(bytes, now);
  }

  /** Everything that it has to send, and everything that happened; false when there was nothing. */
  drive(now: Instants, send: (bytes: Uint8Array) => void): boolean {
    let busy = this.tls.pump();
    if (this.silent) return busy;
    const due = this.session.pollTimeout();
    if (due !== undefined && due.atMs <= now.monoMs && due.reason !== 'retransmit') {
      this.session.handleTimeout(now, { lastReceivedMs: now.monoMs, lastPayloadMs: 0, payloadBytes: 0 });
      busy = true;
    }
    if (this.woken) {
      this.woken = false;
      this.session.handleWake(now);
      busy = true;
    }
    for (let event = this.session.pollEvent(); event !== undefined; event = this.session.pollEvent()) {
      busy = true;
      this.#handleEvent(event, now);
    }
    for (let bytes = this.session.pollTransmit(now); bytes !== undefined; bytes = this.session.pollTransmit(now)) {
      busy = true;
      send(bytes);
    }
    for (let bytes = this.#dataOut.shift(); bytes !== undefined; bytes = this.#dataOut.shift()) {
      busy = true;
      send(bytes);
    }
    return busy;
  }

  nextMs(): number | undefined {
    return this.silent ? undefined : this.session.pollTimeout()?.atMs;
  }

  #handleEvent(event: SessionEvent, now: Instants): void {
    this.events.push(event);
    if (this.onEvent(event, now)) return;
    switch (event.type) {
      case 'verify-peer':
        this.session.acceptPeer({ accept: true }, now);
        return;
      case 'push-reply':
        this.#options = event.options;
        this.plane.setPeer(this.#peer, { sendPeerId: this.peerId });
        this.session.applyPush(pushOf(event.options), now);
        return;
      case 'data-key':
        this.#keys.add(event);
        return;
      case 'use-key':
        this.#keys.use(event.handle);
        return;
      case 'drop-key':
        this.#keys.drop(event.handle);
        return;
      case 'send-in-band':
        this.plane.sendInBand(this.#peer, event.bytes);
        return;
    }
  }
}

function pushOf(options: readonly string[]): SessionPush {
  const find = (name: string) => options.find((option) => option.startsWith(`${name} `))?.slice(name.length + 1);
  const flags = (find('protocol-flags') ?? '').split(' ');
  const peerId = find('peer-id');
  const user = find('auth-token-user');
  return {
    cipher: find('cipher'),
    peerId: peerId === undefined ? undefined : Number(peerId),
    useExporter: flags.includes('tls-ekm') || find('key-derivation') === 'tls-ekm',
    controlExit: flags.includes('cc-exit'),
    dynamicTlsCrypt: flags.includes('dyn-tls-crypt'),
    epochData: flags.includes('aead-epoch'),
    authToken: find('auth-token'),
    authTokenUser: user === undefined ? undefined : atob(user),
    keepalive: NO_KEEPALIVE,
  };
}

/** An empty UDP packet of IPv4. */
export function ipPacket(source: string, destination: string): Uint8Array {
  const packet = new Uint8Array(28);
  packet.set([0x45, 0, 0, packet.length, 0, 0, 0, 0, 64, 17]);
  packet.set(source.split('.').map(Number), 12);
  packet.set(destination.split('.').map(Number), 16);
  packet.set([0x30, 0x39, 0x30, 0x39, 0, 8], 20);
  return packet;
}

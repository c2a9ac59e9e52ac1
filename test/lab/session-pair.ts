// Two sessions joined by a noisy wire under a virtual clock, with a data plane that only knows which keys are installed
// and counts what could not be opened.

import type { WrapOptions } from '../../src/control/wrap-options.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { verbOf } from '../../src/log.ts';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';
import type { SessionEvent } from '../../src/session/event.ts';
import type { KeepaliveOptions, SessionOptions, SessionPush } from '../../src/session/options.ts';
import { createSession, type Instants, type Session, type Traffic } from '../../src/session/session.ts';
import { formatHex } from '../../src/wire/hex.ts';
import { DeterministicTls, type DeterministicTlsOptions } from './deterministic-tls.ts';
import { type Noise, NoisyWire, QUIET, seededRandom } from './noisy-wire.ts';

export const NO_KEEPALIVE: KeepaliveOptions = {
  pingRestartMs: 0,
  pingExitMs: 0,
  timerRemote: false,
  inactiveMs: 0,
  inactiveBytes: 0,
  sessionTimeoutMs: 0,
};

export const PUSH: SessionPush = {
  cipher: 'AES-256-GCM',
  peerId: 0,
  useExporter: true,
  controlExit: true,
  dynamicTlsCrypt: false,
  epochData: false,
  authToken: undefined,
  authTokenUser: undefined,
  keepalive: NO_KEEPALIVE,
};

const OPTIONS_STRING =
  'V4,dev-type tun,link-mtu 1549,tun-mtu 1500,proto UDPv4,auth [null-digest],keysize 256,key-method 2';

export function sessionOptions(role: 'client' | 'server', change: Partial<SessionOptions> = {}): SessionOptions {
  const other = role === 'client' ? 'server' : 'client';
  return {
    tlsRole: role,
    pull: role === 'client',
    transport: 'udp',
    wrap: { kind: 'none' },
    tlsTimeoutMs: 2000,
    handWindowMs: 60_000,
    tranWindowMs: 3_600_000,
    renegotiateMs: 0,
    renegotiateSpreadMs: 0,
    maxControlPacketBytes: 1250,
    replayWindowPackets: 64,
    replayWindowSeconds: 15,
    optionsString: `${OPTIONS_STRING},tls-${role}`,
    expectedOptionsString: `${OPTIONS_STRING},tls-${other}`,
    peerInfo: role === 'client' ? ['IV_VER=2.6.14', 'IV_PROTO=478', 'IV_CIPHERS=AES-256-GCM'] : [],
    verify: {
      requireCertificate: true,
      keyUsages: undefined,
      extendedKeyUsage: undefined,
      netscapeCertType: undefined,
      name: undefined,
      fingerprints: [],
      withoutCa: false,
      issuerHash: undefined,
    },
    dataCiphers: ['AES-256-GCM', 'AES-128-GCM', 'CHACHA20-POLY1305'],
    dataCiphersFallback: undefined,
    digest: 'SHA1',
    renegotiateBytes: undefined,
    renegotiatePackets: 0,
    keepalive: NO_KEEPALIVE,
    pushRequestMs: 5000,
    ...change,
  };
}

/** Random bytes from a seed, so that a failing run can be had again. */
export function seededCrypto(seed: number): CryptoProvider {
  const random = seededRandom(seed);
  return {
    ...createNodeCrypto(),
    randomBytes: (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)),
  };
}

/** A data plane's view of one peer: which keys open, which seals. */
export class KeyRing {
  readonly #keys = new Map<number, { keyId: number; open: string; seal: string }>();
  #sending: number | undefined;
  /** Most keys that were installed at once. */
  most = 0;

  handleEvent(event: SessionEvent): void {
    if (event.type === 'data-key') {
      const { open, seal } = event.material;
      const text = (key: typeof open) => `${formatHex(key.cipher)}/${formatHex(key.hmac)}`;
      this.#keys.set(event.handle, { keyId: event.keyId, open: text(open), seal: text(seal) });
      this.most = Math.max(this.most, this.#keys.size);
    } else if (event.type === 'use-key') this.#sending = event.handle;
    else if (event.type === 'drop-key') this.#keys.delete(event.handle);
  }

  /** Seals a packet: its key-id and the key. */
  seal(): { readonly keyId: number; readonly key: string } | undefined {
    const key = this.#sending === undefined ? undefined : this.#keys.get(this.#sending);
    return key === undefined ? undefined : { keyId: key.keyId, key: key.seal };
  }

  opens(packet: { readonly keyId: number; readonly key: string }): boolean {
    return [...this.#keys.values()].some((key) => key.keyId === packet.keyId && key.open === packet.key);
  }

  get sendingKeyId(): number | undefined {
    return this.seal()?.keyId;
  }
}

export interface End {
  readonly name: 'client' | 'server';
  readonly session: Session;
  readonly tls: DeterministicTls;
  readonly ring: KeyRing;
  readonly events: SessionEvent[];
  readonly log: string[];
  /** The verb at which each of them shows. */
  readonly verbs: number[];
  traffic: Traffic;
  woken: boolean;
}

export interface PairOptions {
  readonly seed?: number;
  readonly noise?: Noise;
  readonly client?: Partial<SessionOptions>;
  readonly server?: Partial<SessionOptions>;
  readonly clientWrap?: WrapOptions;
  readonly serverWrap?: WrapOptions;
  readonly push?: Partial<SessionPush>;
  readonly pushOptions?: readonly string[];
  readonly clientTls?: Partial<DeterministicTlsOptions>;
  readonly serverTls?: Partial<DeterministicTlsOptions>;
  /** Answers to events; the default accepts the peer and applies the push. */
  readonly onEvent?: (end: End, event: SessionEvent, now: Instants) => boolean;
  /** Sends a data packet each way this often once keys are there; 0 for never. */
  readonly dataEveryMs?: number;
}

interface DataFlight {
  readonly atMs: number;
  readonly to: End;
  readonly packet: { readonly keyId: number; readonly key: string };
}

export class SessionPair {
  readonly client: End;
  readonly server: End;
  readonly wire: NoisyWire<End>;
  nowMs = 1_000_000;
  /** Data packets that arrived, and those that no installed key could open. */
  dataArrived = 0;
  dataLost = 0;
  readonly #options: PairOptions;
  #data: DataFlight[] = [];
  #nextDataMs: number;

  constructor(options: PairOptions = {}) {
    this.#options = options;
    const seed = options.seed ?? 1;
    this.wire = new NoisyWire<End>(seed, options.noise ?? QUIET);
    this.client = this.#end('client', seed * 2 + 1);
    this.server = this.#end('server', seed * 2 + 2);
    this.#nextDataMs = this.nowMs;
    this.server.session.start(this.now, '[AF_INET]192.0.2.1:40000');
    this.client.session.start(this.now, '[AF_INET]192.0.2.2:1194');
  }

  get now(): Instants {
    return { monoMs: this.nowMs, unixSeconds: 1_800_000_000 + Math.floor(this.nowMs / 1000) };
  }

  get ends(): readonly [End, End] {
    return [this.client, this.server];
  }

  /** Lets time pass until the condition holds or the limit is reached; returns whether it holds. */
  run(until: () => boolean, limitMs = 120_000): boolean {
    const endMs = this.nowMs + limitMs;
    this.settle();
    while (!until()) {
      const nextMs = this.#nextMs();
      if (nextMs === undefined || nextMs > endMs) {
        this.nowMs = endMs;
        this.settle();
        return until();
      }
      this.nowMs = Math.max(this.nowMs, nextMs);
      this.settle();
    }
    return true;
  }

  runFor(ms: number): void {
    this.run(() => false, ms);
  }

  connect(limitMs = 120_000): boolean {
    return this.run(() => this.ends.every((end) => end.session.state.name === 'up'), limitMs);
  }

  /** Handles everything that is due now. */
  settle(): void {
    for (let busy = true; busy; ) {
      busy = false;
      for (const end of this.ends) {
        const due = end.session.pollTimeout();
        if (due !== undefined && due.atMs <= this.nowMs && due.reason !== 'retransmit') {
          end.session.handleTimeout(this.now, end.traffic);
          busy = true;
        }
        if (end.tls.pump()) busy = true;
        if (end.woken) {
          end.woken = false;
          end.session.handleWake(this.now);
          busy = true;
        }
        for (let event = end.session.pollEvent(); event !== undefined; event = end.session.pollEvent()) {
          busy = true;
          this.#handleEvent(end, event);
        }
        for (let bytes = end.session.pollTransmit(this.now); bytes; bytes = end.session.pollTransmit(this.now)) {
          busy = true;
          this.wire.send(this.#other(end), bytes, this.nowMs);
        }
      }
      const arrived = this.wire.poll(this.nowMs);
      if (arrived !== undefined) {
        arrived.to.session.handleControl(arrived.bytes, this.now);
        busy = true;
      }
    }
    this.#exchangeData();
  }

  #handleEvent(end: End, event: SessionEvent): void {
    end.events.push(event);
    end.ring.handleEvent(event);
    if (this.#options.onEvent?.(end, event, this.now) === true) return;
    const push = { ...PUSH, ...this.#options.push };
    switch (event.type) {
      case 'verify-peer':
        end.session.acceptPeer({ accept: true }, this.now);
        return;
      case 'push-request':
        if (end.session.state.name === 'waiting-for-push') end.session.applyPush(push, this.now);
        end.session.sendPushReply(this.#options.pushOptions ?? ['ifconfig 10.8.0.2 255.255.255.0'], this.now);
        return;
      case 'push-reply':
        end.session.applyPush(push, this.now);
        return;
      case 'send-in-band':
        this.#other(end).session.handleInBand(event.bytes, this.now);
        return;
    }
  }

  /** Data packets take a few milliseconds and are never lost by the wire: what does not open is the keys' fault. */
  #exchangeData(): void {
    const every = this.#options.dataEveryMs ?? 0;
    if (every > 0 && this.nowMs >= this.#nextDataMs) {
      this.#nextDataMs = this.nowMs + every;
      for (const end of this.ends) {
        const packet = end.ring.seal();
        const to = this.#other(end);
        if (packet !== undefined && to.ring.seal() !== undefined)
          this.#data.push({ atMs: this.nowMs + 30, to, packet });
      }
    }
    this.#data = this.#data.filter((flight) => {
      if (flight.atMs > this.nowMs) return true;
      this.dataArrived++;
      if (!flight.to.ring.opens(flight.packet)) this.dataLost++;
      return false;
    });
  }

  #nextMs(): number | undefined {
    const times = this.ends.map((end) => end.session.pollTimeout()?.atMs);
    const data = (this.#options.dataEveryMs ?? 0) > 0 ? this.#nextDataMs : undefined;
    const all = [...times, this.wire.nextMs(), data].filter((time) => time !== undefined);
    return all.length === 0 ? undefined : Math.min(...all);
  }

  #other(end: End): End {
    return end === this.client ? this.server : this.client;
  }

  #end(name: 'client' | 'server', seed: number): End {
    const options = this.#options;
    const wrap = name === 'client' ? options.clientWrap : options.serverWrap;
    const tls = new DeterministicTls({ name, seed, ...(name === 'client' ? options.clientTls : options.serverTls) });
    const log: string[] = [];
    const verbs: number[] = [];
    const session = createSession(
      sessionOptions(name, { ...(wrap && { wrap }), ...(name === 'client' ? options.client : options.server) }),
      {
        crypto: seededCrypto(seed),
        tls,
        log: (flags, text) => {
          log.push(text);
          verbs.push(verbOf(flags));
        },
        wake: () => {
          end.woken = true;
        },
      },
    );
    const traffic = { lastReceivedMs: 0, lastPayloadMs: 0, payloadBytes: 0 };
    const end: End = { name, session, tls, ring: new KeyRing(), events: [], log, verbs, traffic, woken: false };
    return end;
  }
}

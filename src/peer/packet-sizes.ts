// How large the packets to one peer may be, as it becomes known: the key says what a data packet has beside the inner one,
// ICMP what the path takes. The plane is told of whatever follows.

import type { ConnectionProfile } from '../config/config.ts';
import type { CompressionFraming, DataPlane, PeerHandle } from '../data/plane.ts';
import { Level, type Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';
import type { SessionEvent } from '../session/event.ts';
import { MtuTest } from './mtu-test.ts';
import { fitPathMtu } from './path-mtu.ts';
import { fragmentBytesOf, mssOf, outerHeaderBytes, overheadOf, type PacketFacts, withinMtu } from './payload-limits.ts';

/** What is agreed with a peer beside the key. */
export interface PacketShape {
  readonly outerFamily: 4 | 6;
  /** Whether packets carry a peer-id (DATA_V2). */
  readonly peerId: boolean;
  readonly compression: CompressionFraming;
  /** A pushed `tun-mtu`; undefined: the profile's. */
  readonly tunMtuBytes: number | undefined;
}

export interface PacketSizesPorts {
  readonly plane: Pick<DataPlane, 'setPeer' | 'peerStatistics' | 'sendInBand'>;
  readonly clock: ClockPort;
  readonly log: Log;
}

export class PacketSizes {
  readonly #peer: PeerHandle;
  readonly #ports: PacketSizesPorts;
  readonly #shape: () => PacketShape;
  /** With the sizes that the path allows. */
  #profile: ConnectionProfile;
  #key: Pick<PacketFacts, 'cipher' | 'digest' | 'format'> | undefined;

  /** `shape` is asked anew each time: an address moves, options are updated. */
  constructor(peer: PeerHandle, profile: ConnectionProfile, ports: PacketSizesPorts, shape: () => PacketShape) {
    this.#peer = peer;
    this.#profile = profile;
    this.#ports = ports;
    this.#shape = shape;
  }

  /** Of the data channel, by OpenSSL's name; undefined before there is a key. */
  get cipher(): string | undefined {
    return this.#key?.cipher;
  }

  /** A data key's cipher is known now, and with it the overhead that MSS clamping must leave room for. */
  keyed({ cipher, digest, format }: Extract<SessionEvent, { type: 'data-key' }>): void {
    this.#key = { cipher, digest, format };
    this.clampMss();
  }

  /** The path takes packets of so many bytes only, headers of IP and transport included. */
  fitPath(pathMtuBytes: number): void {
    const { outerFamily } = this.#shape();
    const outerBytes = outerHeaderBytes(outerFamily, this.#isUdp ? 'udp' : 'tcp');
    const fitted = fitPathMtu(this.#profile, pathMtuBytes, outerBytes);
    if (fitted === undefined) return;
    for (const line of fitted.lines) this.#ports.log(Level.mtuInfo, line);
    this.#profile = fitted.sizes;
    this.#ports.plane.setPeer(this.#peer, { fragmentBytes: fragmentBytesOf(this.#profile, outerFamily) });
    this.clampMss();
  }

  /** The MSS of inner TCP, as the shape has it now; nothing before there is a key. */
  clampMss(): void {
    const facts = this.#facts();
    if (facts === undefined) return;
    this.#ports.plane.setPeer(this.#peer, withinMtu(mssOf(facts, this.#profile), this.#shape().tunMtuBytes));
  }

  /** What measures the path to the peer, and answers one that does. */
  createMtuTest(): MtuTest {
    const { plane, clock, log } = this.#ports;
    return new MtuTest({
      ...{ clock, log },
      sizes: () => {
        const facts = this.#facts();
        const tunMtuBytes = this.#shape().tunMtuBytes ?? this.#profile.tunMtuBytes;
        return facts && { overheadBytes: overheadOf(facts, this.#profile), tunMtuBytes };
      },
      statistics: () => plane.peerStatistics(this.#peer),
      send: (bytes) => plane.sendInBand(this.#peer, bytes),
      isLossy: this.#isUdp && this.#profile.fragment === undefined,
    });
  }

  get #isUdp(): boolean {
    return this.#profile.proto.transport === 'udp';
  }

  #facts(): PacketFacts | undefined {
    const { outerFamily, peerId, compression } = this.#shape();
    return this.#key && { ...this.#key, outerFamily, peerId, compression };
  }
}

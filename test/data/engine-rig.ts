// The engine of the data plane in an arena of its own, with all its outputs written down.

import type { PacketCrypto } from '../../src/crypto/provider.ts';
import { BUFFER_BYTES, HEADROOM_BYTES } from '../../src/data/arena.ts';
import { countersByteLength, readPlaneStatistics } from '../../src/data/counters.ts';
import type { LaneCapacity } from '../../src/data/event-lanes.ts';
import type { Handover } from '../../src/data/handover.ts';
import type { DropCause, PeerOptions, PlaneEvent } from '../../src/data/plane.ts';
import { createPlaneCore } from '../../src/data/plane-core.ts';
import { scratchByteLength } from '../../src/data/plane-state.ts';
import { PASS } from '../../src/data/verdict.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { readPackedAddress, writePackedAddress } from '../../src/ip/packed-address.ts';
import { formatSocketAddress, type SocketAddress, socketAddress } from '../../src/ip/socket-address.ts';
import { peerOptions as labPeerOptions } from '../lab/peer-options.ts';

export const SOURCE = 64;
export const INPUT = 256 + HEADROOM_BYTES;
export const SCRATCH = INPUT + BUFFER_BYTES;
export const PEERS = 64;
export const ARENA_BYTES = SCRATCH + scratchByteLength(PEERS, PEERS);

export const [DEVICE, LINK, PEER, KEY] = [1, 2, 3, 4] as const;
export const at = (text: string, port = 1194) => socketAddress(parseAddress(text)!, port);
export const HOME = at('192.0.2.1');

interface Sent {
  readonly link: number;
  readonly to: string;
  readonly bytes: Uint8Array;
}

interface Handed {
  readonly to: number;
  readonly what: Handover;
  readonly id: number;
  readonly about: number;
  readonly from: SocketAddress | undefined;
  readonly bytes: Uint8Array;
}

/** The engine with all its outputs written down. */
export const build = (crypto: PacketCrypto, laneCapacity: LaneCapacity = { known: 4, unknown: 4 }, engine = 0) => {
  const counters = new Float64Array(countersByteLength(PEERS) / 8);
  const sent: Sent[] = [];
  const written: Uint8Array[] = [];
  /** Where what was written lay. */
  const places: number[] = [];
  const handed: Handed[] = [];
  const verdicts = { link: PASS, device: PASS, handOver: PASS };
  const { bytes, view } = crypto.arena;
  const core = createPlaneCore({
    packetCrypto: crypto,
    io: {
      sendLink: (link, address, offset, length) => {
        const to = address === 0 ? 'remote' : formatSocketAddress(readPackedAddress(view, address));
        if (verdicts.link === PASS) sent.push({ link, to, bytes: bytes.slice(offset, offset + length) });
        return verdicts.link;
      },
      writeDevice: (_device, offset, length) => {
        if (verdicts.device === PASS) written.push(bytes.slice(offset, offset + length));
        places.push(offset);
        return verdicts.device;
      },
      handOver: (to, what, id, about, source, offset, length) => {
        if (verdicts.handOver !== PASS) return verdicts.handOver;
        const from = source === 0 ? undefined : readPackedAddress(view, source);
        handed.push({ to, what, id, about, from, bytes: bytes.slice(offset, offset + length) });
        return PASS;
      },
    },
    scratch: { start: SCRATCH, length: scratchByteLength(PEERS, PEERS) },
    counters,
    laneCapacity,
    nowMs: 1000,
    engine,
  });
  const fromLink = (packet: Uint8Array, from: SocketAddress | undefined = HOME) => {
    if (from !== undefined) writePackedAddress(view, SOURCE, from);
    bytes.set(packet, INPUT);
    core.handleLinkPacket(LINK, from === undefined ? 0 : SOURCE, INPUT, packet.length);
  };
  const fromDevice = (packet: Uint8Array) => {
    bytes.set(packet, INPUT);
    core.handleDevicePacket(DEVICE, INPUT, packet.length);
  };
  /** What another engine has handed over. */
  const fromEngine = ({ what, id, about, from, bytes: packet }: Handed) => {
    if (from !== undefined) writePackedAddress(view, SOURCE, from);
    bytes.set(packet, INPUT);
    core.handleHandover(what, id, about, SOURCE, INPUT, packet.length);
  };
  const poll = () => {
    const events: PlaneEvent[] = [];
    for (let event = core.pollEvent(); event !== undefined; event = core.pollEvent()) events.push(event);
    return events;
  };
  const drops = (cause: DropCause) => readPlaneStatistics(counters).drops[cause];
  return {
    ...{ core, bytes, counters, sent, written, handed, places, verdicts },
    ...{ fromLink, fromDevice, fromEngine, poll, drops },
  };
};

export const peerOptions = (change: Partial<PeerOptions> = {}): PeerOptions =>
  labPeerOptions({ device: DEVICE, link: LINK, receivePeerId: 5, address: HOME, sendPeerId: 5, ...change });

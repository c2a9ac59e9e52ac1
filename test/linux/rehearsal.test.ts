import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { KeyOptions, LinkOptions, PeerOptions } from '../../src/data/plane.ts';
import { dropCode } from '../../src/data/verdict.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { socketAddress } from '../../src/ip/socket-address.ts';
import { Outbox } from '../../src/linux/outbox.ts';
import { createPacketCrypto } from '../../src/linux/packet-crypto.ts';
import { createPacketMemory } from '../../src/linux/packet-memory.ts';
import { Rehearsal } from '../../src/linux/rehearsal.ts';
import { rehearsalPackets } from '../../src/linux/rehearsal-packets.ts';
import type { CreateStageLoop } from '../../src/linux/rehearsal-stage.ts';
import { createStageLoops, STAGE_SCRATCH_BYTES } from '../../src/linux/worker-loops.ts';
import type { WorkerCall } from '../../src/linux/worker-messages.ts';

const PACKETS = rehearsalPackets().length;
const ROUNDS = 3;
const memory = createPacketMemory(STAGE_SCRATCH_BYTES);
const createStageLoop = createStageLoops(
  {
    memory,
    outbox: new Outbox(memory),
    packetCrypto: createPacketCrypto(memory.arena, 'openssl'),
    laneCapacity: { known: 8, unknown: 8 },
  },
  memory.scratch,
);

const far = (text: string) => socketAddress(parseAddress(text)!, 1194);

const link: LinkOptions = {
  endpoint: { kind: 'fd', fd: 9001 },
  framing: 'udp',
  connecting: false,
  connected: true,
  remote: far('198.51.100.1'),
  readAhead: undefined,
};
const peer: PeerOptions = {
  device: 70,
  link: 71,
  receivePeerId: undefined,
  sendPeerId: 5,
  replayWindowPackets: 64,
  replayWindowSeconds: 15,
  address: undefined,
  compression: 'none',
  decompress: 'none',
  fragmentBytes: 0,
  mssBytes4: 0,
  mssBytes6: 0,
  pingIntervalMs: 10_000,
  prefixes: ['0.0.0.0/0', '::/0'],
  dropRecursive: true,
  mayFloat: false,
  natRules: [],
};
const bytes = (length: number, first: number) => Uint8Array.from({ length }, (_, index) => first + index);
const keyOf = (cipher: string, cipherBytes: number, hmacBytes: number, format?: 'epoch'): KeyOptions => ({
  keyId: 0,
  cipher,
  format,
  digest: hmacBytes > 8 ? 'SHA256' : 'none',
  material: {
    seal: { cipher: bytes(cipherBytes, 1), hmac: bytes(hmacBytes, 101) },
    open: { cipher: bytes(cipherBytes, 51), hmac: bytes(hmacBytes, 151) },
  },
  limitBytes: 0,
  limitPackets: 0,
});
const gcm = keyOf('AES-256-GCM', 32, 8);

interface Calls {
  readonly device?: Partial<Extract<WorkerCall, readonly ['addDevice', ...unknown[]]>[2]>;
  readonly link?: Partial<LinkOptions>;
  readonly peer?: Partial<PeerOptions>;
  readonly key?: KeyOptions;
}

/** What the main thread asks of a worker for a connection. The fds are nobody's. */
const callsFor = (change: Calls = {}): WorkerCall[] => [
  ['sendControl', 71, undefined, new Uint8Array(9)],
  [
    'addDevice',
    70,
    {
      endpoint: { kind: 'fd', fd: 9000, offload: 'tcp-udp' },
      layer: 'tun',
      mtuBytes: 1500,
      blockIpv6: false,
      ...change.device,
    },
    true,
  ],
  ['addLink', 71, { ...link, ...change.link }, 'both'],
  ['addPeer', 72, 3, { ...peer, ...change.peer }, { opens: 0, seals: 0 }],
  ['addKey', 72, 73, change.key ?? gcm, undefined],
  ['setPeer', 72, { mssBytes4: 1396, mssBytes6: 1376 }],
  ['useKey', 72, 73],
];

function begin(rounds: number, change: Calls = {}, loop: CreateStageLoop = createStageLoop): Rehearsal {
  const rehearsal = new Rehearsal(rounds, loop);
  for (const call of callsFor(change)) {
    expect(rehearsal.isDue).toBe(false);
    rehearsal.handleCall(call);
  }
  return rehearsal;
}

/** How many steps it takes until it is over. */
function stepsOf(rehearsal: Rehearsal): number {
  let steps = 0;
  while (rehearsal.isDue && steps < 1000) {
    rehearsal.step();
    steps++;
  }
  return steps;
}

const openFds = () => readdirSync('/proc/self/fd').length;

const server: Calls = {
  link: { connected: false, remote: undefined },
  peer: {
    receivePeerId: 5,
    address: far('203.0.113.7'),
    prefixes: ['10.8.0.6/32'],
    mayFloat: true,
    dropRecursive: false,
  },
};

describe('a rehearsal', () => {
  // It ends at the first packet that does not come back, so all its steps mean that all packets did.
  it.each<[string, Calls]>([
    ['a client', {}],
    ['a client with the epoch format', { key: keyOf('AES-256-GCM', 32, 0, 'epoch') }],
    ['a client with CHACHA20-POLY1305', { key: keyOf('CHACHA20-POLY1305', 32, 8) }],
    ['a client with CBC and HMAC', { key: keyOf('AES-128-CBC', 16, 32) }],
    ['a client without peer-ids', { peer: { sendPeerId: undefined } }],
    ['a client with fragments', { peer: { fragmentBytes: 600 } }],
    ['a client over IPv6', { link: { remote: far('2001:db8::7') } }],
    ['a client whose socket is not connected', { link: { connected: false } }],
    ['a device that joins TCP only', { device: { endpoint: { kind: 'fd', fd: 9000, offload: 'tcp' } } }],
    ['a server', server],
    ['a server over IPv6', { ...server, peer: { ...server.peer, address: far('2001:db8::7') } }],
    ['a server that forwards between clients', { ...server, device: { clientToClient: true } }],
    ['a peer with a limited rate', { peer: { bytesPerSecond: 1 } }],
    ['a peer whose pings are always due', { peer: { pingIntervalMs: 1 } }],
    ['a key that is used up at once', { key: { ...gcm, limitPackets: 1 } }],
  ])('of %s takes every packet out and in', (_, change) => {
    const before = openFds();
    const rehearsal = begin(3, change);
    expect(rehearsal.isDue).toBe(true);
    expect(openFds()).toBe(before); // the key may be used in the middle of a read
    rehearsal.step();
    expect(openFds()).toBe(before + 3);
    expect(stepsOf(rehearsal)).toBe(3 * PACKETS - 1);
    expect(openFds()).toBe(before);
    // Once only.
    for (const call of callsFor(change)) rehearsal.handleCall(call);
    expect(rehearsal.isDue).toBe(false);
  });

  it.each<[string, Calls]>([
    ['TAP', { device: { layer: 'tap' } }],
    ['a device of bare packets', { device: { endpoint: { kind: 'fd', fd: 9000 } } }],
    ['a device in memory', { device: { endpoint: { kind: 'memory' } } }],
    ['TCP', { link: { framing: 'tcp' } }],
    ['a SOCKS relay', { link: { framing: 'socks-udp' } }],
  ])('is none for %s', (_, change) => {
    const before = openFds();
    const rehearsal = begin(3, change);
    expect(rehearsal.isDue).toBe(false);
    expect(openFds()).toBe(before);
  });

  it('has a key of its own, and leaves that of the connection as it is', () => {
    const taken: WorkerCall[] = [];
    const key = keyOf('AES-256-GCM', 32, 8);
    const before = structuredClone(key.material);
    const rehearsal = begin(1, { key }, (nextCall) =>
      createStageLoop(() => {
        const call = nextCall();
        // The loop wipes what it has taken.
        if (call !== undefined) taken.push(structuredClone(call));
        return call;
      }),
    );
    stepsOf(rehearsal);
    const own = taken.find(([name]) => name === 'addKey')?.[3] as KeyOptions;
    expect(own.material.seal.cipher).toHaveLength(32);
    expect(own.material.seal.cipher).toEqual(own.material.open.cipher);
    for (const real of [before.seal.cipher, before.open.cipher, new Uint8Array(32)]) {
      expect(own.material.seal.cipher).not.toEqual(real);
    }
    expect(key.material).toEqual(before);
    expect(taken).not.toHaveLength(0);
    const fds = taken.flatMap((call) => JSON.stringify(call).match(/"fd":\d+/g) ?? []);
    expect(fds).not.toContain('"fd":9000');
    expect(fds).not.toContain('"fd":9001');
  });

  it('ends at the first packet that does not come back', () => {
    const before = openFds();
    const rehearsal = begin(3, {}, (nextCall) => {
      const loop = createStageLoop(nextCall);
      const turn = loop.turn.bind(loop);
      let turns = 0;
      loop.turn = (longestMs) => (++turns > 4 ? undefined : turn(longestMs));
      return loop;
    });
    // A turn for the calls, then one for each packet of the first round.
    expect(stepsOf(rehearsal)).toBe(4);
    expect(openFds()).toBe(before);
  });

  it('is of the connection whose key is used, and waits for one of the usual kind', () => {
    const rehearsal = new Rehearsal(1, createStageLoop);
    const [first, second] = [callsFor({ link: { framing: 'tcp' } }), callsFor({ key: keyOf('AES-128-GCM', 16, 8) })];
    for (const call of first) rehearsal.handleCall(call);
    expect(rehearsal.isDue).toBe(false);
    // Another peer's key, one that was taken away, and one of a device that has gone.
    for (const call of second.slice(0, -1)) rehearsal.handleCall(call);
    rehearsal.handleCall(['useKey', 99, 73]);
    rehearsal.handleCall(['useKey', 72, 99]);
    rehearsal.handleCall(['removeDevice', 70, 1]);
    rehearsal.handleCall(['useKey', 72, 73]);
    expect(rehearsal.isDue).toBe(false);
    for (const call of second) rehearsal.handleCall(call);
    expect(rehearsal.isDue).toBe(true);
    expect(stepsOf(rehearsal)).toBe(PACKETS);
  });

  it('ends, and nothing else, where something throws', () => {
    const before = openFds();
    const unmade = begin(3, {}, () => {
      throw new Error('no loop');
    });
    expect(stepsOf(unmade)).toBe(1);
    const refused = begin(3, { key: keyOf('NO-SUCH-CIPHER', 16, 8) });
    expect(stepsOf(refused)).toBe(1);
    const broken = begin(3, {}, (nextCall) => {
      const loop = createStageLoop(nextCall);
      const turn = loop.turn.bind(loop);
      loop.turn = (longestMs) => {
        if (longestMs > 0) throw new Error('the poll failed');
        turn(longestMs);
      };
      return loop;
    });
    expect(stepsOf(broken)).toBe(1);
    expect(openFds()).toBe(before);
    // The room for joining has come back from all of them: there is some for three devices.
    const rooms = [1, 2, 3].map(() => memory.joining.tryTake());
    expect(rooms).not.toContain(undefined);
    for (const room of rooms) memory.joining.give(room!);
  });

  it('ends after some seconds on a machine that is too slow for it', () => {
    const rehearsal = begin(100, {}, (nextCall) => {
      const loop = createStageLoop(nextCall);
      const [start, turn] = [loop.nowMs(), loop.turn.bind(loop)];
      let turns = 0;
      loop.turn = (longestMs) => {
        turns++;
        turn(longestMs);
      };
      loop.nowMs = () => start + 500 * turns;
      return loop;
    });
    // A turn to a packet in the first round: half a second each.
    const steps = stepsOf(rehearsal);
    expect(steps).toBeGreaterThan(3);
    expect(steps).toBeLessThan(9);
  });

  it.each<[string, Calls, number]>([
    ['a server drops', server, ROUNDS],
    ['a client takes', {}, 0],
  ])('has a packet of nobody in the tunnel, which %s', (_, change, drops) => {
    let counters: Float64Array = new Float64Array();
    const rehearsal = begin(ROUNDS, change, (nextCall) => {
      const loop = createStageLoop(nextCall);
      counters = loop.counters;
      return loop;
    });
    expect(stepsOf(rehearsal)).toBe(ROUNDS * PACKETS);
    expect(counters[dropCode('bad-source') - 1]).toBe(drops);
  });

  it('can be ended in the middle, or before it has begun', () => {
    const before = openFds();
    const rehearsal = begin(3);
    rehearsal.step();
    rehearsal.close();
    rehearsal.close();
    rehearsal.step();
    expect(rehearsal.isDue).toBe(false);
    const never = new Rehearsal(3, createStageLoop);
    never.close();
    for (const call of callsFor()) never.handleCall(call);
    expect(never.isDue).toBe(false);
    expect(openFds()).toBe(before);
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { writePackedAddress } from '../../src/ip/packed-address.ts';
import { libc, nativeBytes } from '../../src/linux/libc.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { createPacketMemory } from '../../src/linux/packet-memory.ts';
import { UdpReceiver } from '../../src/linux/udp-receiver.ts';
import { UdpSender } from '../../src/linux/udp-sender.ts';
import { linkRequest, loopback, packetPair, readPacket } from './plane-rig.ts';

const SOL_SOCKET = 1;
const SO_NO_CHECK = 11;
const FIRST_PACKET = 65_536;
const PACKET_DISTANCE = 2048;

const links = createLinkPort();

describe.skipIf(process.platform !== 'linux')('batches of datagrams', () => {
  const cleanUps: (() => unknown)[] = [];
  afterEach(() => {
    for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
  });

  function open(more: Parameters<typeof linkRequest>[0]) {
    const socket = links.open(linkRequest(more));
    cleanUps.push(() => links.close(socket.fd));
    return socket;
  }

  /** A sender, with what it says, and a way to give it packets that begin with their number. */
  function sender(fd: number, connected: boolean) {
    const memory = createPacketMemory(4096);
    const told = { drops: [] as [string, number][], errors: [] as number[], fallbacks: 0 };
    const sending = new UdpSender({
      fd,
      memory,
      connected,
      remote: nativeBytes(64),
      remoteLength: 0,
      localEnds: false,
      handleDrop: (cause, packets) => told.drops.push([cause, packets]),
      handleError: (number) => told.errors.push(number),
      reconnect: () => false,
      counters: new Float64Array(64),
      handleFallback: () => told.fallbacks++,
    });
    let next = 0;
    const hold = (length: number, port?: number) => {
      const at = FIRST_PACKET + (next % 256) * PACKET_DISTANCE;
      memory.arena.bytes.fill(next, at, at + length);
      if (port !== undefined) writePackedAddress(memory.arena.view, memory.sourceAddress, loopback(port));
      sending.hold(port === undefined ? 0 : memory.sourceAddress, at, length);
      next++;
    };
    return { sending, hold, told };
  }

  const pair = () => {
    const far = open({ local: loopback(0) });
    const near = open({ remote: loopback(far.local.port) });
    return { far, near };
  };
  /** What a plain socket reads: length and number of each. */
  const readAll = (fd: number, count: number) =>
    Array.from({ length: count }, () => {
      const packet = readPacket(fd);
      return packet === undefined ? undefined : [packet.length, packet[0]];
    });

  it.each([
    ['of one size', [1000, 1000, 1000, 1000]],
    ['with a shorter one at the end', [1000, 1000, 1000, 10]],
    ['with a shorter one in the middle', [1000, 1000, 400, 1000, 1000]],
    ['that grow', [100, 200, 300]],
    ['that shrink', [300, 200, 100]],
    ['of one byte', [1, 1, 1]],
    ['more than one message can have', Array.from({ length: 150 }, () => 500)],
    ['larger than one message together', Array.from({ length: 60 }, () => 1400)],
  ])('arrive as they are: %s', (_what, sizes) => {
    const { far, near } = pair();
    const { sending, hold, told } = sender(near.fd, true);
    for (const size of sizes) hold(size);
    sending.flush();
    expect(readAll(far.fd, sizes.length)).toEqual(sizes.map((size, index) => [size, index]));
    expect(readPacket(far.fd, 0)).toBeUndefined();
    expect(told).toEqual({ drops: [], errors: [], fallbacks: 0 });
  });

  it('are cut by the kernel, and joined by it for a receiver', () => {
    const { far, near } = pair();
    const { sending, hold } = sender(near.fd, true);
    const memory = createPacketMemory(4096);
    const receiver = new UdpReceiver(far.fd, memory);
    expect([sending.segments, receiver.joins]).toEqual([true, true]);
    for (const size of [1000, 1000, 1000, 300, 700]) hold(size);
    sending.flush();
    expect(receiver.read()).toBe(2);
    expect([receiver.lengthOf(0), receiver.segmentBytes(0)]).toEqual([3300, 1000]);
    expect([receiver.lengthOf(1), receiver.segmentBytes(1)]).toEqual([700, 700]);
    const firstBytes = [0, 1000, 2000, 3000].map((at) => memory.arena.bytes[receiver.slotAt(0) + at]);
    expect(firstBytes).toEqual([0, 1, 2, 3]);
    expect(receiver.read()).toBe(-1);
  });

  it('wait in a last message that has room for more, if that begins in the newest region, and go out with those that follow', () => {
    const { far, near } = pair();
    const { sending, hold, told } = sender(near.fd, true);
    const memory = createPacketMemory(4096);
    const receiver = new UdpReceiver(far.fd, memory);
    const place = (number: number) => FIRST_PACKET + number * PACKET_DISTANCE;
    const messages = () => {
      const slots = Math.max(0, receiver.read());
      return Array.from({ length: slots }, (_, slot) => [receiver.lengthOf(slot), receiver.segmentBytes(slot)]);
    };
    for (let number = 0; number < 50; number++) hold(1400);
    expect(sending.flushButLast(place(0), place(50))).toBe(true);
    expect(messages()).toEqual([[46 * 1400, 1400]]);
    expect(sending.isEmpty).toBe(false);
    for (let number = 50; number < 53; number++) hold(1400);
    // It begins with number 46, so the next region is another.
    expect(sending.flushButLast(place(50), place(53))).toBe(false);
    expect(messages()).toEqual([[7 * 1400, 1400]]);
    expect(sending.isEmpty).toBe(true);

    for (let number = 53; number < 55; number++) hold(1400);
    hold(100); // nothing may follow a shorter one
    expect(sending.flushButLast(place(53), place(56))).toBe(false);
    expect(messages()).toEqual([[2900, 1400]]);

    for (let number = 56; number < 56 + 46; number++) hold(1400);
    expect(sending.flushButLast(place(56), place(102))).toBe(false); // full
    expect(messages()).toEqual([[46 * 1400, 1400]]);

    hold(1400);
    expect(sending.flushButLast(place(102), place(103))).toBe(true);
    for (let number = 103; number < 105; number++) hold(1400);
    sending.flush();
    expect(messages()).toEqual([[3 * 1400, 1400]]);
    expect(told).toEqual({ drops: [], errors: [], fallbacks: 0 });
  });

  it('reach several peers in order where the last message of one had waited for more', () => {
    const near = open({ local: loopback(0) });
    const far = Array.from({ length: 41 }, () => open({ local: loopback(0) }));
    const { sending, hold, told } = sender(near.fd, false);
    const expected = far.map(() => [] as [number, number][]);
    let number = 0;
    const give = (peer: number) => {
      hold(600, far[peer]!.local.port);
      expected[peer]!.push([600, number++]);
    };
    const everywhere = [0, Number.MAX_SAFE_INTEGER] as const;
    for (let peer = 1; peer < 31; peer++) give(peer);
    give(0);
    give(0);
    expect(sending.flushButLast(...everywhere)).toBe(true);
    expect(readPacket(far[0]!.fd, 0)).toBeUndefined(); // it waits
    expect(readPacket(far[30]!.fd)).toBeDefined(); // and the others do not
    expected[30] = [];
    // More of them than a batch has messages, from behind the one that waits; then more for that one.
    for (let peer = 1; peer < 41; peer++) give(peer);
    give(0);
    expect(sending.flushButLast(...everywhere)).toBe(true);
    give(7);
    sending.flush();
    for (const [peer, packets] of expected.entries()) {
      expect(readAll(far[peer]!.fd, packets.length)).toEqual(packets);
      expect(readPacket(far[peer]!.fd, 0)).toBeUndefined();
    }
    expect(told).toEqual({ drops: [], errors: [], fallbacks: 0 });
  });

  it('have room where they wait, but for a size that somebody has chosen', () => {
    const memory = createPacketMemory(4096);
    const buffer = (fd: number) => links.setBuffers(fd, undefined, undefined).receive[0];
    const usual = open({ local: loopback(0) });
    const chosen = open({ local: loopback(0), rcvbufBytes: 100_000 });
    const before = [buffer(usual.fd), buffer(chosen.fd)] as const;
    for (const { fd } of [usual, chosen]) new UdpReceiver(fd, memory);
    expect(buffer(usual.fd)).toBeGreaterThan(before[0]);
    expect(buffer(chosen.fd)).toBe(before[1]);
  });

  it('reach each of several peers in order', () => {
    const near = open({ local: loopback(0) });
    const far = [open({ local: loopback(0) }), open({ local: loopback(0) }), open({ local: loopback(0) })];
    const { sending, hold, told } = sender(near.fd, false);
    const expected: [number, number][][] = [[], [], []];
    for (let index = 0; index < 90; index++) {
      const size = index % 7 === 0 ? 50 : 800;
      hold(size, far[index % 3]!.local.port);
      expected[index % 3]!.push([size, index]);
    }
    sending.flush();
    for (const [index, socket] of far.entries()) expect(readAll(socket.fd, 30)).toEqual(expected[index]);
    expect(told.drops).toEqual([]);
  });

  it('are sent one by one where the kernel refuses to cut them, which is told once', () => {
    const { far, near } = pair();
    // Without checksums of its own a socket may not leave the cutting to the kernel: EINVAL.
    const one = nativeBytes(64);
    one.view.setInt32(0, 1, true);
    expect(libc.setsockopt(near.fd, SOL_SOCKET, SO_NO_CHECK, one.address, 4)).toBe(0);
    const { sending, hold, told } = sender(near.fd, true);
    expect(sending.segments).toBe(true);
    let number = 0;
    for (const size of [1200, 800, 500, 500]) {
      for (let count = 0; count < 5; count++) hold(size);
      sending.flush();
      expect(readAll(far.fd, 5)).toEqual([0, 1, 2, 3, 4].map((index) => [size, number + index]));
      number += 5;
    }
    expect(told).toEqual({ drops: [], errors: [], fallbacks: 1 });
    expect(sending.segments).toBe(false);
  });

  it('are sent one by one over a socket that knows nothing of cutting', () => {
    const [near, far] = packetPair();
    cleanUps.push(
      () => libc.close(near),
      () => libc.close(far),
    );
    const { sending, hold, told } = sender(near, true);
    expect(sending.segments).toBe(false);
    for (const size of [900, 900, 900, 20]) hold(size);
    sending.flush();
    expect(readAll(far, 4)).toEqual([
      [900, 0],
      [900, 1],
      [900, 2],
      [20, 3],
    ]);
    expect(told.drops).toEqual([]);
  });

  it('that are refused at their address disturb no others', () => {
    const near = open({ local: loopback(0) });
    const live = open({ local: loopback(0) });
    const gone = links.open(linkRequest({ local: loopback(0) }));
    links.close(gone.fd);
    const { sending, hold } = sender(near.fd, false);
    let number = 0;
    for (let batch = 0; batch < 4; batch++) {
      const expected: [number, number][] = [];
      for (let index = 0; index < 12; index++) {
        const forLive = index % 3 !== 0;
        hold(600, forLive ? live.local.port : gone.local.port);
        if (forLive) expected.push([600, number]);
        number++;
      }
      sending.flush();
      expect(readAll(live.fd, expected.length)).toEqual(expected);
    }
  });

  it('too long for any datagram are dropped and counted, and the others sent', () => {
    const { far, near } = pair();
    const { sending, hold, told } = sender(near.fd, true);
    hold(100);
    hold(65_530);
    hold(200);
    sending.flush();
    expect(readAll(far.fd, 2)).toEqual([
      [100, 0],
      [200, 2],
    ]);
    expect(told.drops).toEqual([['too-big', 1]]);
  });
});

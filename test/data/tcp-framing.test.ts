import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TcpFrameReader, writeTcpLength } from '../../src/data/tcp-framing.ts';

const frame = (packet: Uint8Array) => Uint8Array.of(packet.length >> 8, packet.length & 0xff, ...packet);

const read = (stream: Uint8Array, cuts: readonly number[], maxPacketBytes = 65_535) => {
  const reader = new TcpFrameReader(() => maxPacketBytes);
  const packets: Uint8Array[] = [];
  const edges = [0, ...[...cuts].map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  let whole = true;
  for (let index = 1; index < edges.length; index++) {
    whole = reader.handleBytes(stream, edges[index - 1]!, edges[index]!, (bytes, offset, length) =>
      packets.push(bytes.slice(offset, offset + length)),
    );
  }
  return { packets, whole, pending: reader.pending };
};

describe('TCP framing', () => {
  it('gives the same packets however the stream is cut', () => {
    const packet = fc.uint8Array({ minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 10 }), fc.array(fc.nat(), { maxLength: 40 }), (packets, cuts) => {
        const stream = Uint8Array.from(packets.flatMap((one) => [...frame(one)]));
        expect(read(stream, cuts)).toEqual({ packets, whole: true, pending: false });
      }),
    );
  });

  it('gives the same packets a byte at a time and a hundred in one piece', () => {
    const packets = Array.from({ length: 100 }, (_, index) => new Uint8Array(index + 1).fill(index));
    const stream = Uint8Array.from(packets.flatMap((one) => [...frame(one)]));
    expect(read(stream, []).packets).toEqual(packets);
    expect(read(stream, [...stream.keys()]).packets).toEqual(packets);
  });

  it.each([
    ['zero', [0, 0, 1, 2, 3]],
    ['more than allowed', [0x05, 0xdd, 1, 2, 3]],
  ])('breaks at a length of %s and reads nothing after it', (_name, bytes) => {
    const stream = Uint8Array.of(...frame(Uint8Array.of(7)), ...bytes, ...frame(Uint8Array.of(8)));
    for (const cuts of [[], [...stream.keys()]]) {
      expect(read(stream, cuts, 1500)).toMatchObject({ packets: [Uint8Array.of(7)], whole: false });
    }
  });

  it('takes the longest packet, and waits for one that is not whole', () => {
    const longest = new Uint8Array(65_535).fill(3);
    expect(read(frame(longest), [1000, 40_000]).packets).toEqual([longest]);
    expect(read(frame(longest).subarray(0, 65_000), [])).toMatchObject({ packets: [], whole: true, pending: true });
  });

  it('writes the length before the packet', () => {
    const bytes = new Uint8Array(4);
    writeTcpLength(new DataView(bytes.buffer), 2, 0x1234);
    expect(bytes).toEqual(Uint8Array.of(0x12, 0x34, 0, 0));
  });
});

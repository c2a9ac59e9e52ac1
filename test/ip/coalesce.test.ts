import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPlainChecksum } from '../../src/ip/checksum.ts';
import { COALESCER_BYTES, Coalescer } from '../../src/ip/coalesce.ts';
import { InnerPacket } from '../../src/ip/packet.ts';
import { heapGrowth } from './heap-growth.ts';
import { packetFault, wordSum } from './packet-verifier.ts';
import { ipPacket } from './packets.ts';
import {
  ACK,
  CWR,
  FIN,
  PSH,
  payloadOf,
  type SuperFields,
  splitAccepted,
  superPacket,
  TIMESTAMPS,
} from './super-packets.ts';

const INPUT = COALESCER_BYTES + 64;
const base: SuperFields = { version: 4, protocol: 'tcp', payload: payloadOf(400), gsoSize: 100 };
const six: SuperFields = { ...base, version: 6 };
const udp: SuperFields = { ...base, protocol: 'udp' };

/** A coalescer and the list of what it writes. */
const build = ({ joinUdp = true } = {}) => {
  const bytes = new Uint8Array(INPUT + 70_000);
  const view = new DataView(bytes.buffer);
  const written: { bytes: Uint8Array; packets: number }[] = [];
  const coalescer = new Coalescer({
    view,
    checksum: createPlainChecksum(bytes, view),
    buffer: 0,
    joinUdp,
    sink: {
      writeJoined: (offset, length, packets) => written.push({ bytes: bytes.slice(offset, offset + length), packets }),
    },
  });
  const inner = new InnerPacket();
  const accept = (packet: Uint8Array) => {
    bytes.set(packet, INPUT);
    if (!inner.parse(view, INPUT, packet.length)) throw new Error('no IP packet');
    coalescer.accept(inner, packet.length);
    bytes.fill(0xee, INPUT - 10, INPUT + packet.length); // free again
  };
  return { coalescer, written, accept };
};

/** What a batch of packets becomes. */
const join = (packets: readonly Uint8Array[], options = {}) => {
  const { coalescer, written, accept } = build(options);
  for (const packet of packets) accept(packet);
  coalescer.flush();
  return written;
};

const counts = (packets: readonly Uint8Array[], options = {}) => join(packets, options).map((write) => write.packets);

/** A packet written alone: nothing to be done for it. */
const alone = (packet: Uint8Array) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...packet);

/** Sets bytes of a packet and makes its checksums right again. */
const changed = (packet: Uint8Array, change: (copy: Uint8Array, view: DataView) => void): Uint8Array => {
  const copy = packet.slice();
  const view = new DataView(copy.buffer);
  change(copy, view);
  const four = copy[0]! >> 4 === 4;
  const transport = four ? (copy[0]! & 15) * 4 : 40;
  const protocol = copy[four ? 9 : 6]!;
  const checksum = transport + (protocol === 6 ? 16 : 6);
  if (four) {
    view.setUint16(10, 0);
    view.setUint16(10, 0xffff - (wordSum(copy.subarray(0, transport)) % 0xffff));
  }
  view.setUint16(checksum, 0);
  const addresses = four ? copy.subarray(12, 20) : copy.subarray(8, 40);
  const sum = wordSum(copy.subarray(transport)) + wordSum(addresses) + protocol + copy.length - transport;
  view.setUint16(checksum, 0xffff - (sum % 0xffff));
  return copy;
};

const joinable: [string, SuperFields][] = [
  ['TCP over IPv4', base],
  ['TCP over IPv4 without DF', { ...base, fragmentWord: 0, id: 0xfffe }],
  ['TCP over IPv4 with timestamps', { ...base, tcpOptions: TIMESTAMPS }],
  ['TCP over IPv6', { ...six, tcpOptions: TIMESTAMPS }],
  ['TCP with a shorter last segment', { ...base, payload: payloadOf(333) }],
  ['TCP of odd sizes', { ...six, payload: payloadOf(1111), gsoSize: 77 }],
  ['TCP that ends with PSH', { ...base, flags: ACK | PSH }],
  ['TCP that ends with FIN and PSH', { ...six, flags: ACK | PSH | FIN }],
  ['TCP over the end of its sequence numbers', { ...base, sequence: 0xffffff80 }],
  ['TCP with an ECN mark', { ...base, trafficClass: 3, flags: ACK | 0x40 }],
  ['TCP of 64 KiB', { ...base, payload: payloadOf(65_495), gsoSize: 1448 }],
  ['UDP over IPv4', udp],
  ['UDP over IPv6', { ...udp, version: 6 }],
  ['UDP with a shorter last datagram', { ...udp, payload: payloadOf(301) }],
];

describe('joining', () => {
  it.each(joinable)('gives back what was split: %s', (_name, fields) => {
    const read = superPacket(fields);
    const packets = splitAccepted(read);
    expect(join(packets)).toEqual([{ bytes: read, packets: packets.length }]);
  });

  it('gives back what was split, whatever the sizes are', () => {
    fc.assert(
      fc.property(
        fc.record({
          version: fc.constantFrom(4 as const, 6 as const),
          protocol: fc.constantFrom('tcp' as const, 'udp' as const),
          payload: fc.uint8Array({ minLength: 101, maxLength: 3000 }),
          gsoSize: fc.integer({ min: 50, max: 100 }),
          flags: fc.constantFrom(ACK, ACK | PSH, ACK | FIN, ACK | 0x40),
          sequence: fc.integer({ min: 0, max: 0xffffffff }),
          id: fc.integer({ min: 0, max: 0xffff }),
          trafficClass: fc.integer({ min: 0, max: 255 }),
          tcpOptions: fc.constantFrom([], TIMESTAMPS),
        }),
        (fields) => {
          const read = superPacket(fields);
          expect(join(splitAccepted(read)).map(({ bytes }) => bytes)).toEqual([read]);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('joins two flows whose packets come by turns', () => {
    const reads = [
      superPacket(base),
      superPacket({ ...base, ports: [40_001, 443] }),
      superPacket(six),
      superPacket(udp),
    ];
    const packets = reads.map(splitAccepted);
    const mixed = [0, 1, 2, 3].flatMap((index) => packets.map((flow) => flow[index]!));
    expect(join(mixed).map(({ bytes }) => bytes)).toEqual(reads);
  });

  it('writes the flow that has waited longest when there are more than it holds', () => {
    const flows = Array.from({ length: 9 }, (_, index) => splitAccepted(superPacket({ ...base, ports: [index, 443] })));
    const { coalescer, written, accept } = build();
    for (const flow of flows.slice(0, 8)) accept(flow[0]!);
    accept(flows[0]![1]!);
    expect(written).toHaveLength(0);
    accept(flows[8]![0]!);
    expect(written.map(({ packets }) => packets)).toEqual([2]);
    coalescer.flush();
    expect(written.map(({ packets }) => packets)).toEqual([2, 1, 1, 1, 1, 1, 1, 1, 1]);
  });

  it('writes a packet that stayed alone unchanged, and says while it waits for more', () => {
    const [packet] = splitAccepted(superPacket(base));
    const { coalescer, written, accept } = build();
    expect(coalescer.pending).toBe(false);
    accept(packet!);
    expect([coalescer.pending, written]).toEqual([true, []]);
    coalescer.flush();
    expect([coalescer.pending, written]).toEqual([false, [{ bytes: alone(packet!), packets: 1 }]]);
    coalescer.flush();
    expect(written).toHaveLength(1);
  });

  it('ends a super-packet at 65,535 bytes, and a UDP one at 64 datagrams', () => {
    const long = splitAccepted(superPacket({ ...base, payload: payloadOf(64_000), gsoSize: 1000 }));
    const more = long.map((packet) =>
      changed(packet, (_, view) => {
        view.setUint32(24, view.getUint32(24) + 64_000);
        view.setUint16(4, view.getUint16(4) + 64);
      }),
    );
    const written = join([...long, ...more]);
    expect(written.map(({ packets }) => packets)).toEqual([65, 63]);
    const many = splitAccepted(superPacket({ ...udp, payload: payloadOf(6500) }));
    expect(counts(many)).toEqual([64, 1]);
  });

  it('joins ids that stay the same where fragmenting is forbidden, as ids mean nothing there', () => {
    const same = (fragmentWord: number) =>
      splitAccepted(superPacket({ ...base, fragmentWord })).map((packet) =>
        changed(packet, (_, view) => view.setUint16(4, 7)),
      );
    expect(counts(same(0x4000))).toEqual([4]);
    expect(counts(same(0))).toEqual([1, 1, 1, 1]);
  });

  it('joins no ids that count up once and stay once', () => {
    const packets = splitAccepted(superPacket(base));
    packets[2] = changed(packets[2]!, (_, view) => view.setUint16(4, view.getUint16(4) - 1));
    packets[3] = changed(packets[3]!, (_, view) => view.setUint16(4, view.getUint16(4) - 1));
    expect(counts(packets)).toEqual([2, 2]);
  });

  it('ends at a shorter packet, and begins anew behind it', () => {
    const first = splitAccepted(superPacket({ ...base, payload: payloadOf(250) }));
    const second = splitAccepted(superPacket({ ...base, sequence: 1250, id: 0x1237 }));
    expect(counts([...first, ...second])).toEqual([3, 4]);
  });

  it('begins anew at a longer packet', () => {
    const first = splitAccepted(superPacket({ ...base, payload: payloadOf(200) }));
    const second = splitAccepted(superPacket({ ...base, gsoSize: 200, sequence: 1200, id: 0x1236 }));
    expect(counts([...first, ...second])).toEqual([2, 2]);
  });

  it.each([
    ['lost', [0, 1, 3], [2, 1]],
    ['reordered', [0, 2, 1, 3], [1, 1, 1, 1]],
    ['sent again', [0, 1, 1, 2], [2, 2]],
  ])('keeps the order where a packet was %s', (_name, order, expected) => {
    const packets = splitAccepted(superPacket(base));
    const written = join(order.map((index) => packets[index]!));
    expect(written.map((write) => write.packets)).toEqual(expected);
    const again = written.flatMap(({ bytes }) => splitAccepted(bytes));
    expect(again).toEqual(order.map((index) => packets[index]!));
  });

  type Change = (copy: Uint8Array, view: DataView) => void;
  it.each<[string, SuperFields, Change]>([
    ['another type of service', base, (copy) => (copy[1] = 4)],
    ['another ECN mark', base, (copy) => (copy[1] = 3)],
    ['another TTL', base, (copy) => (copy[8] = 62)],
    ['no DF bit', base, (copy) => (copy[6] = 0)],
    ['an id that jumps', base, (_, view) => view.setUint16(4, 0x4321)],
    ['another sequence number', base, (_, view) => view.setUint32(24, 5)],
    ['another acknowledgement', base, (_, view) => view.setUint32(28, 5)],
    ['another window', base, (_, view) => view.setUint16(34, 5)],
    ['an urgent pointer', base, (_, view) => view.setUint16(38, 5)],
    ['ECE', base, (copy) => (copy[33]! |= 0x40)],
    ['the accurate-ECN bit', base, (copy) => (copy[32]! |= 0x01)],
    ['another timestamp', { ...base, tcpOptions: TIMESTAMPS }, (copy) => (copy[51]! ^= 1)],
    ['another traffic class', six, (_, view) => view.setUint16(0, 0x6040)],
    ['another flow label', six, (copy) => (copy[3]! ^= 1)],
    ['another hop limit', six, (copy) => (copy[7] = 62)],
  ])('does not join over %s', (_name, fields, change) => {
    const packets = splitAccepted(superPacket(fields));
    packets[2] = changed(packets[2]!, change);
    expect(packetFault(packets[2])).toBeUndefined();
    const written = join(packets);
    expect(written.map((write) => write.packets)).toEqual([2, 1, 1]);
    expect(written[1]!.bytes).toEqual(alone(packets[2]));
  });

  it.each<[string, SuperFields, Change]>([
    ['type of service', base, (copy) => (copy[1] = 4)],
    ['TTL', base, (copy) => (copy[8] = 62)],
    ['DF bit', base, (copy) => (copy[6] = 0)],
    ['hop limit', six, (copy) => (copy[7] = 62)],
    ['flow label', six, (copy) => (copy[3]! ^= 1)],
  ])('joins what follows with the same other %s', (_name, fields, change) => {
    const packets = splitAccepted(superPacket(fields));
    for (const index of [2, 3]) packets[index] = changed(packets[index]!, change);
    expect(counts(packets)).toEqual([2, 2]);
  });

  it('takes no IPv6 source that looks like two IPv4 addresses for a flow of IPv4', () => {
    const four = splitAccepted(superPacket(base));
    const alike = changed(splitAccepted(superPacket(six))[0]!, (copy) => copy.set(four[0]!.subarray(12, 20), 8));
    expect(counts([four[0]!, alike, four[1]!])).toEqual([2, 1]);
  });

  it.each<[string, number]>([
    ['CWR', CWR],
    ['URG', 0x20],
    ['SYN', 0x02],
    ['RST', 0x04],
  ])('never joins %s, first or later', (_name, flag) => {
    const packets = splitAccepted(superPacket(base));
    const flagged = (index: number) =>
      packets.map((packet, at) => (at === index ? changed(packet, (copy) => (copy[33]! |= flag)) : packet));
    expect(counts(flagged(0))).toEqual([1, 3]);
    expect(counts(flagged(1))).toEqual([1, 1, 2]);
    expect(join(flagged(1))[1]!.bytes).toEqual(alone(flagged(1)[1]!));
    const everywhere = packets.map((packet) => changed(packet, (copy) => (copy[33]! |= flag)));
    expect(counts(everywhere)).toEqual([1, 1, 1, 1]);
  });

  it.each<[string, number]>([
    ['FIN', FIN],
    ['PSH', PSH],
  ])('joins nothing behind %s', (_name, flag) => {
    const packets = splitAccepted(superPacket(base));
    const flagged = (index: number) =>
      packets.map((packet, at) => (at === index ? changed(packet, (copy) => (copy[33]! |= flag)) : packet));
    expect(counts(flagged(0))).toEqual([1, 3]);
    expect(counts(flagged(1))).toEqual([2, 2]);
  });

  it('writes PSH at once, as nothing may follow it', () => {
    const { written, accept } = build();
    accept(changed(splitAccepted(superPacket(base))[0]!, (copy) => (copy[33]! |= PSH)));
    expect(written).toHaveLength(1);
  });

  it('does not join without ACK, or without payload', () => {
    const packets = splitAccepted(superPacket(base));
    expect(counts(packets.map((packet) => changed(packet, (copy) => (copy[33] = 0))))).toEqual([1, 1, 1, 1]);
    const empty = changed(packets[0]!.slice(0, 40), (_, view) => view.setUint16(2, 40));
    expect(counts([empty, empty, packets[0]!, packets[1]!, empty])).toEqual([1, 1, 2, 1]);
  });

  it.each<[string, SuperFields, number]>([
    ['an IPv4 header', base, 10],
    ['a TCP segment', base, 50],
    ['a TCP segment over IPv6', six, 70],
    ['a UDP datagram', udp, 35],
    ['a UDP datagram over IPv6', { ...udp, version: 6 }, 46],
  ])('writes a packet with a wrong checksum of %s alone, unchanged', (_name, fields, place) => {
    for (let index = 0; index < 4; index++) {
      const packets = splitAccepted(superPacket(fields));
      packets[index]![place]! ^= 0x40;
      const written = join(packets);
      expect(
        written.find(
          ({ bytes }) => bytes.length === alone(packets[index]!).length && bytes[10 + place] === packets[index]![place],
        ),
      ).toBeDefined();
      const expected = [
        [1, 3],
        [1, 1, 2],
        [2, 1, 1],
        [3, 1],
      ][index];
      expect(written.map((write) => write.packets)).toEqual(expected);
      expect(written[[0, 1, 1, 1][index]!]!.bytes).toEqual(alone(packets[index]!));
    }
  });

  it('never joins IPv4 options', () => {
    expect(counts(splitAccepted(superPacket({ ...base, extra: [1, 1, 1, 0] })))).toEqual([1, 1, 1, 1]);
  });

  it('writes everything before a packet whose ports it does not see, and that alone', () => {
    const packets = splitAccepted(superPacket(base));
    const extension = splitAccepted(superPacket({ ...six, extra: [6, 0, 1, 4, 0, 0, 0, 0], nextHeader: 60 }))[0]!;
    const fragment = changed(packets[2]!, (copy) => (copy[6] = 0x20));
    const later = ipPacket({ source: '10.8.0.1', destination: '10.8.0.2', protocol: 6, payload: new Uint8Array(64) });
    later[7] = 9;
    const laterUdp = ipPacket({ source: '10.8.0.1', destination: '10.8.0.2', payload: new Uint8Array(64) });
    laterUdp[7] = 9;
    for (const odd of [extension, fragment, later, laterUdp]) {
      const written = join([packets[0]!, packets[1]!, odd, odd, packets[2]!]);
      expect(written.map((write) => write.packets)).toEqual([2, 1, 1, 1]);
      expect(written[1]!.bytes).toEqual(alone(odd));
    }
  });

  it('lets packets of other protocols pass by', () => {
    const packets = splitAccepted(superPacket(base));
    const ping = ipPacket({ source: '10.8.0.1', destination: '10.8.0.2', protocol: 1 });
    const written = join([packets[0]!, ping, packets[1]!]);
    expect(written.map((write) => write.packets)).toEqual([1, 2]);
    expect(written[0]!.bytes).toEqual(alone(ping));
  });

  it('writes a packet with bytes behind it alone, with them', () => {
    const packets = splitAccepted(superPacket(base));
    const padded = Uint8Array.of(...packets[1]!, 0, 0);
    const written = join([packets[0]!, padded, packets[2]!]);
    expect(written.map(({ bytes }) => bytes)).toEqual([alone(packets[0]!), alone(padded), alone(packets[2]!)]);
  });

  it.each<[string, Change]>([
    ['a TCP header that is too short', (copy) => (copy[32] = 0x40)],
    ['a TCP header beyond the packet', (copy) => (copy[32] = 0xf0)],
  ])('writes %s alone', (_name, change) => {
    const short = changed(splitAccepted(superPacket({ ...base, payload: payloadOf(40), gsoSize: 20 }))[0]!, change);
    expect(join([short, short])).toEqual([
      { bytes: alone(short), packets: 1 },
      { bytes: alone(short), packets: 1 },
    ]);
  });

  it('joins no UDP where the device takes none, none without checksum or payload, none with a length that lies', () => {
    const packets = splitAccepted(superPacket(udp));
    expect(counts(packets, { joinUdp: false })).toEqual([1, 1, 1, 1]);
    const bare = packets.map((packet) => {
      const copy = packet.slice();
      copy.fill(0, 26, 28);
      return copy;
    });
    expect(counts(bare)).toEqual([1, 1, 1, 1]);
    // Even where the sum is right without one: what the checksum was is at the end of the payload.
    const fitting = splitAccepted(superPacket({ ...udp, payload: new Uint8Array(200) })).map((packet) => {
      const copy = packet.slice();
      copy.set(copy.subarray(26, 28), 126);
      copy.fill(0, 26, 28);
      return copy;
    });
    expect(counts(fitting)).toEqual([1, 1]);
    const empty = changed(packets[0]!.slice(0, 28), (_, view) => {
      view.setUint16(2, 28);
      view.setUint16(24, 8);
    });
    expect(counts([empty, empty])).toEqual([1, 1]);
    expect(counts(packets.map((packet) => changed(packet, (_, view) => view.setUint16(24, 107))))).toEqual([
      1, 1, 1, 1,
    ]);
  });

  it('loses, changes and reorders nothing of a flow in any mix', () => {
    const step = fc.record({
      flow: fc.integer({ min: 0, max: 10 }),
      what: fc.constantFrom('next', 'next', 'next', 'next', 'short', 'again', 'skip', 'push', 'mark', 'cwr', 'broken'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const sent = mixedTraffic(steps);
        const written = join(sent).flatMap(({ bytes }) => splitAccepted(bytes));
        expect(written).toHaveLength(sent.length);
        for (let flow = 0; flow <= 10; flow++) {
          const own = (packet: Uint8Array) => packet[packet[0]! >> 4 === 4 ? 21 : 41] === flow;
          expect(written.filter(own)).toEqual(sent.filter(own));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('remembers nothing of a flow that was written', () => {
    const { coalescer, written, accept } = build();
    for (const fields of [{ ...base, flags: ACK | PSH | FIN }, { ...udp, version: 6 as const }, six, udp]) {
      for (const packet of splitAccepted(superPacket(fields))) accept(packet);
      coalescer.flush();
    }
    expect(written.map(({ packets }) => packets)).toEqual([4, 4, 4, 4]);
  });

  it('refuses a buffer that is not in the arena, or at an odd place', () => {
    const bytes = new Uint8Array(COALESCER_BYTES + 16);
    const view = new DataView(bytes.buffer);
    const at = (buffer: number) =>
      new Coalescer({
        view,
        checksum: createPlainChecksum(bytes, view),
        buffer,
        joinUdp: true,
        sink: { writeJoined: () => undefined },
      });
    expect(at(16).pending).toBe(false);
    expect(() => at(8)).toThrow(RangeError);
    expect(() => at(32)).toThrow(RangeError);
  });

  it('allocates nothing for a packet', () => {
    const bytes = new Uint8Array(INPUT + 70_000);
    const view = new DataView(bytes.buffer);
    let written = 0;
    const coalescer = new Coalescer({
      view,
      checksum: createPlainChecksum(bytes, view),
      buffer: 0,
      joinUdp: true,
      sink: {
        writeJoined: (_offset, _length, packets) => {
          written += packets;
        },
      },
    });
    const inner = new InnerPacket();
    const packets = [{ ...base, sequence: 0xffffff00 }, six, { ...udp, version: 6 as const }].flatMap((fields) =>
      splitAccepted(superPacket({ ...fields, payload: payloadOf(3000), gsoSize: 60 })),
    );
    const run = () => {
      for (const packet of packets) {
        bytes.set(packet, INPUT);
        inner.parse(view, INPUT, packet.length);
        coalescer.accept(inner, packet.length);
      }
      coalescer.flush();
    };
    // 15,000 packets: one object of 16 bytes for each would be 240,000 bytes.
    expect(heapGrowth(run, 100, 120_000)).toBeLessThan(120_000);
    expect(written % packets.length).toBe(0);
  });
});

/** Packets of eleven flows (TCP and UDP of both versions), each with its own number as the lower byte of its source port. */
function mixedTraffic(steps: readonly { readonly flow: number; readonly what: string }[]): Uint8Array[] {
  const states = Array.from({ length: 11 }, () => ({ sequence: 1000, id: 0 }));
  return steps.map(({ flow, what }) => {
    const state = states[flow]!;
    if (what === 'skip') {
      state.sequence += 100;
      state.id++;
    }
    const length = what === 'short' ? 33 : 100;
    const read = superPacket({
      version: flow % 2 === 0 ? 4 : 6,
      protocol: flow % 3 === 0 ? 'udp' : 'tcp',
      payload: payloadOf(length),
      gsoSize: length,
      ports: [0x4000 + flow, 443],
      sequence: state.sequence,
      id: state.id,
      trafficClass: what === 'mark' ? 3 : 2,
      flags: what === 'push' ? ACK | PSH : what === 'cwr' ? ACK | CWR : ACK,
    });
    const [packet] = splitAccepted(read);
    if (what === 'broken') packet![packet!.length - 1]! ^= 1;
    if (what !== 'again') state.sequence += length;
    // Datagrams of the same id and DF are joined, and count up when they are split again.
    if (what !== 'again' || flow % 3 === 0) state.id++;
    return packet!;
  });
}

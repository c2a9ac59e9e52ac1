import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPlainChecksum } from '../../src/ip/checksum.ts';
import { Segmenter } from '../../src/ip/segment.ts';
import { DeviceRefusal } from '../../src/ip/virtio-header.ts';
import { heapGrowth } from './heap-growth.ts';
import { packetFault } from './packet-verifier.ts';
import { pcapOf } from './pcap.ts';
import {
  ACK,
  CWR,
  FIN,
  PSH,
  payloadOf,
  type SuperFields,
  split,
  splitAccepted,
  superPacket,
  TIMESTAMPS,
} from './super-packets.ts';

const base: SuperFields = { version: 4, protocol: 'tcp', payload: payloadOf(3000), gsoSize: 1000 };
const u16 = (packet: Uint8Array, at: number) => packet[at]! * 256 + packet[at + 1]!;
const u32 = (packet: Uint8Array, at: number) => u16(packet, at) * 65_536 + u16(packet, at + 2);

/** Hop-by-hop and destination options of 8 bytes each, TCP or UDP behind them. */
const extensions = (protocol: number) => [60, 0, 1, 4, 0, 0, 0, 0, protocol, 0, 1, 4, 0, 0, 0, 0];

const shapes: [string, SuperFields][] = [
  ['TCP over IPv4', base],
  ['TCP over IPv4 with timestamps', { ...base, tcpOptions: TIMESTAMPS, gsoSize: 1388 }],
  ['TCP over IPv6', { ...base, version: 6 }],
  ['TCP over IPv4 with options', { ...base, extra: [1, 1, 1, 0] }],
  ['TCP over IPv6 with extension headers', { ...base, version: 6, extra: extensions(6), nextHeader: 0 }],
  ['TCP of odd sizes', { ...base, payload: payloadOf(2999), gsoSize: 333 }],
  ['TCP of single bytes', { ...base, payload: payloadOf(5), gsoSize: 1 }],
  ['TCP of 64 KiB', { ...base, payload: payloadOf(65_495), gsoSize: 1448 }],
  ['TCP in jumbo frames', { ...base, version: 6, payload: payloadOf(60_000), gsoSize: 8928 }],
  ['UDP over IPv4', { ...base, protocol: 'udp' }],
  ['UDP over IPv6', { ...base, protocol: 'udp', version: 6, gsoSize: 1231 }],
  [
    'UDP over IPv6 with extension headers',
    { ...base, protocol: 'udp', version: 6, extra: extensions(17), nextHeader: 0 },
  ],
];

describe('splitting', () => {
  it.each(shapes)('gives valid packets with all of the payload in order: %s', (_name, fields) => {
    const packets = splitAccepted(superPacket(fields));
    expect(packets.map(packetFault)).toEqual(packets.map(() => undefined));
    const headerBytes = packets[0]!.length - fields.gsoSize;
    const payload = packets.flatMap((packet) => [...packet.subarray(headerBytes)]);
    expect(Uint8Array.from(payload)).toEqual(fields.payload);
    expect(packets.slice(0, -1).every((packet) => packet.length === packets[0]!.length)).toBe(true);
  });

  it('gives known bytes for a small packet', () => {
    // Checksums by hand: of the first IPv4 header, 4500+002a+0001+4000+3f06+0a08+0001+0a08+0002 = d844.
    const packets = splitAccepted(superPacket({ ...base, payload: Uint8Array.of(1, 2, 3), gsoSize: 2, id: 1 }));
    expect(packets.map((packet) => Buffer.from(packet).toString('hex'))).toEqual([
      '4500002a000140003f0627bb0a0800010a0800029c4001bb000003e8112233445010200094740000'.concat('0102'),
      '45000029000240003f0627bb0a0800010a0800029c4001bb000003ea112233445010200092750000'.concat('03'),
    ]);
  });

  it('counts ids and sequence numbers up, over their ends', () => {
    const packets = splitAccepted(superPacket({ ...base, id: 0xfffe, sequence: 0xfffffb00 }));
    expect(packets.map((packet) => u16(packet, 4))).toEqual([0xfffe, 0xffff, 0]);
    expect(packets.map((packet) => u32(packet, 24))).toEqual([0xfffffb00, 0xfffffee8, 0x000002d0]);
    expect(packets.map(packetFault)).toEqual([undefined, undefined, undefined]);
  });

  it('leaves CWR to the first segment, FIN and PSH to the last', () => {
    const packets = splitAccepted(superPacket({ ...base, flags: ACK | CWR | FIN | PSH | 0x40 }));
    expect(packets.map((packet) => packet[33])).toEqual([ACK | CWR | 0x40, ACK | 0x40, ACK | FIN | PSH | 0x40]);
    expect(packets.map(packetFault)).toEqual([undefined, undefined, undefined]);
  });

  it('takes the ECN bit of the gso type', () => {
    const read = superPacket({ ...base, flags: ACK | CWR });
    read[1]! |= 0x80;
    expect(split(read)).toHaveLength(3);
  });

  it('keeps the ECN mark, the hop limit and the DF bit in every segment', () => {
    const packets = splitAccepted(superPacket({ ...base, trafficClass: 0xb9, fragmentWord: 0 }));
    for (const packet of packets) expect([packet[1], u16(packet, 6), packet[8]]).toEqual([0xb9, 0, 63]);
    const packets6 = splitAccepted(superPacket({ ...base, version: 6, trafficClass: 0xb9 }));
    for (const packet of packets6) expect([u32(packet, 0), packet[7]]).toEqual([0x6b954321, 63]);
  });

  it('never writes 0, "no checksum", into a UDP datagram', () => {
    for (let last = 0; last < 0x10000; last++) {
      const payload = Uint8Array.of(0, 0, last >> 8, last & 0xff);
      const packets = splitAccepted(superPacket({ ...base, protocol: 'udp', payload, gsoSize: 2 }));
      if (u16(packets[1]!, 26) === 0xffff) return expect(packetFault(packets[1]!)).toBeUndefined();
      expect(u16(packets[1]!, 26)).not.toBe(0);
      last += 6;
    }
  });

  it('uses the pseudo header of the kernel, which knows the last destination behind a routing header', () => {
    const read = superPacket({ ...base, version: 6, extra: [6, 0, 4, 0, 0, 0, 0, 0], nextHeader: 43 });
    const view = new DataView(read.buffer);
    const checksum = 10 + 48 + 16;
    const farther = view.getUint16(checksum) + 7;
    view.setUint16(checksum, farther);
    for (const packet of splitAccepted(read)) {
      expect(packetFault(packet)).toBe('transport checksum');
      packet[39]! += 7;
      expect(packetFault(packet)).toBeUndefined();
    }
  });

  it('gives valid packets whatever the sizes are', () => {
    fc.assert(
      fc.property(
        fc.record({
          version: fc.constantFrom(4 as const, 6 as const),
          protocol: fc.constantFrom('tcp' as const, 'udp' as const),
          payload: fc.uint8Array({ minLength: 1, maxLength: 3000 }),
          gsoSize: fc.integer({ min: 40, max: 1600 }),
          flags: fc.integer({ min: 0, max: 255 }),
          sequence: fc.integer({ min: 0, max: 0xffffffff }),
          id: fc.integer({ min: 0, max: 0xffff }),
          trafficClass: fc.integer({ min: 0, max: 255 }),
          tcpOptions: fc.constantFrom([], TIMESTAMPS),
        }),
        (fields) => {
          for (const packet of splitAccepted(superPacket(fields))) expect(packetFault(packet)).toBeUndefined();
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('allocates nothing for a packet', () => {
    const bytes = new Uint8Array(200_000);
    const view = new DataView(bytes.buffer);
    const segmenter = new Segmenter(view, createPlainChecksum(bytes, view));
    const reads = [superPacket({ ...base, payload: payloadOf(6000), gsoSize: 60, sequence: 0xfffff000 })];
    reads.push(superPacket({ ...base, version: 6, protocol: 'udp', payload: payloadOf(6000), gsoSize: 60 }));
    const run = () => {
      for (const read of reads) {
        bytes.set(read, 0);
        const count = segmenter.begin(0, read.length);
        for (let index = 0; index < count; index++) segmenter.next(100_000);
      }
    };
    // 20,000 segments: one object of 16 bytes for each would be 320,000 bytes.
    expect(heapGrowth(run, 100, 160_000)).toBeLessThan(160_000);
  });
});

describe('a packet that is not split', () => {
  const lone = (fields: SuperFields) => {
    const read = superPacket(fields);
    read[1] = 0;
    return read;
  };

  it.each(shapes)('gets its checksum completed: %s', (_name, fields) => {
    const packets = splitAccepted(lone(fields));
    expect(packets).toHaveLength(1);
    expect(packetFault(packets[0]!)).toBeUndefined();
  });

  it('is the same with a checksum of its own, whatever it is', () => {
    const read = Uint8Array.of(0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 0xde, 0xad);
    expect(split(read)).toEqual([Uint8Array.of(0xde, 0xad)]);
  });

  it('is completed in place, ready for sending where it lies', () => {
    const bytes = lone(base);
    const view = new DataView(bytes.buffer);
    const segmenter = new Segmenter(view, createPlainChecksum(bytes, view));
    expect(segmenter.begin(0, bytes.length)).toBe(1);
    expect(segmenter).toMatchObject({ whole: true, packetOffset: 10, packetLength: 3040, segmentLength: 3040 });
    expect(packetFault(bytes.subarray(10))).toBeUndefined();
  });

  it('is a super-packet whose payload fits into one segment', () => {
    const packets = splitAccepted(superPacket({ ...base, gsoSize: 3000, flags: ACK | CWR | PSH }));
    expect(packets).toHaveLength(1);
    expect(packetFault(packets[0]!)).toBeUndefined();
    expect(packets[0]![33]).toBe(ACK | CWR | PSH);
  });
});

describe('a header that lies', () => {
  const changed = (change: (read: Uint8Array, view: DataView) => void, fields: SuperFields = base) => {
    const read = superPacket(fields);
    change(read, new DataView(read.buffer));
    return read;
  };
  const six: SuperFields = { ...base, version: 6 };
  const udp: SuperFields = { ...base, protocol: 'udp' };

  it.each<[string, Uint8Array, keyof typeof DeviceRefusal]>([
    ['no header', new Uint8Array(9), 'short'],
    ['nothing behind the header', new Uint8Array(10), 'short'],
    ['UFO', changed((read) => (read[1] = 3)), 'gsoType'],
    ['an unknown type', changed((read) => (read[1] = 0x21)), 'gsoType'],
    ['a super-packet without NEEDS_CSUM', changed((read) => (read[0] = 0)), 'gsoSize'],
    ['a gso size of 0', changed((_, view) => view.setUint16(4, 0)), 'gsoSize'],
    ['a header length beyond the packet', changed((_, view) => view.setUint16(2, 3041, true)), 'headerLength'],
    ['a checksum start beyond the packet', changed((_, view) => view.setUint16(6, 3025, true)), 'checksumPlace'],
    ['a checksum offset beyond the packet', changed((_, view) => view.setUint16(8, 0xffff, true)), 'checksumPlace'],
    [
      'a lone packet with a checksum beyond it',
      changed((read, view) => {
        read[1] = 0;
        view.setUint16(6, 3023, true);
      }),
      'checksumPlace',
    ],
    [
      'a checksum start that is not the transport header',
      changed((_, view) => view.setUint16(6, 24, true)),
      'checksumPlace',
    ],
    ['a checksum offset that is not the field', changed((_, view) => view.setUint16(8, 6, true)), 'checksumPlace'],
    ['UDP with the offset of TCP', changed((_, view) => view.setUint16(8, 16, true), udp), 'checksumPlace'],
    ['TCPV6 for IPv4', changed((read) => (read[1] = 4)), 'superPacket'],
    ['TCPV4 for IPv6', changed((read) => (read[1] = 1), six), 'superPacket'],
    ['UDP for TCP', changed((read) => (read[1] = 5)), 'superPacket'],
    ['TCP for UDP', changed((read) => (read[1] = 1), udp), 'superPacket'],
    ['no IP', changed((read) => (read[10] = 0x55)), 'superPacket'],
    ['an IPv4 length that is too long', changed((_, view) => view.setUint16(12, 3041)), 'superPacket'],
    ['an IPv4 length that is too short', changed((_, view) => view.setUint16(12, 3039)), 'superPacket'],
    ['an IPv6 length that is too short', changed((_, view) => view.setUint16(14, 3019), six), 'superPacket'],
    ['a first fragment', changed((read) => (read[16]! |= 0x20)), 'superPacket'],
    ['a later fragment', changed((read) => (read[17] = 1)), 'superPacket'],
    ['an IPv6 fragment', changed((read) => (read[16] = 44), six), 'superPacket'],
    [
      'extension headers beyond the packet',
      changed((read) => read.set([0, 255], 50), { ...six, nextHeader: 0 }),
      'superPacket',
    ],
    ['a TCP header that is too short', changed((read) => (read[42] = 0x40)), 'superPacket'],
    [
      'a TCP header beyond the packet',
      changed((read) => (read[42] = 0xf0), { ...base, payload: payloadOf(20) }),
      'superPacket',
    ],
    ['a UDP length that is not the datagram’s', changed((read) => (read[35]! ^= 1), udp), 'superPacket'],
    ['no payload', superPacket({ ...base, payload: new Uint8Array(0) }), 'superPacket'],
  ])('is refused: %s', (_name, read, refusal) => {
    expect(split(read)).toBe(DeviceRefusal[refusal]);
  });

  it('never throws and never writes outside, whatever the bytes are', () => {
    const anywhere = fc.array(fc.tuple(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 0, max: 255 })), {
      maxLength: 6,
    });
    const some = fc.constantFrom(...shapes.map(([, fields]) => ({ ...fields, payload: payloadOf(200), gsoSize: 50 })));
    fc.assert(
      fc.property(some, anywhere, fc.integer({ min: 0, max: 300 }), (fields, changes, cut) => {
        const read = superPacket(fields);
        for (const [at, value] of changes) read[at] = value;
        split(read.subarray(0, cut > 200 ? read.length : cut));
      }),
      { numRuns: 5000 },
    );
  });
});

const hasTcpdump = (() => {
  try {
    execFileSync('tcpdump', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!hasTcpdump)(`tcpdump${hasTcpdump ? '' : ' (skipped: it is not installed)'}`, () => {
  it('finds every checksum correct', () => {
    const packets = shapes.flatMap(([, fields]) => splitAccepted(superPacket({ ...fields, payload: payloadOf(2999) })));
    const wrong = splitAccepted(superPacket(base)).slice(0, 1);
    wrong[0]![50]! ^= 1;
    const folder = mkdtempSync(join(tmpdir(), 'segments-'));
    try {
      const verdictOn = (name: string, written: readonly Uint8Array[]) => {
        const file = join(folder, name);
        writeFileSync(file, pcapOf(written));
        return execFileSync('tcpdump', ['-n', '-vv', '-r', file], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        });
      };
      const text = verdictOn('right.pcap', packets);
      expect(text.match(/\(correct\)|udp sum ok/g)).toHaveLength(packets.length);
      expect(text).not.toMatch(/incorrect|bad/);
      expect(verdictOn('wrong.pcap', wrong)).toMatch(/incorrect/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

// What splitting and joining cost for each packet, with the checksum in WebAssembly and in plain TypeScript:
// `node --import tsx bench/segment.ts [--rounds 15]`. Medians of the rounds.

import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { ChecksumEngine } from '../src/ip/checksum.ts';
import { COALESCER_BYTES, Coalescer } from '../src/ip/coalesce.ts';
import { InnerPacket } from '../src/ip/packet.ts';
import { Segmenter } from '../src/ip/segment.ts';
import { createNativeArena } from '../src/linux/arena.ts';
import { loadChecksum, readChecksumModule } from '../src/linux/checksum.ts';
import { payloadOf, type SuperFields, superPacket, TIMESTAMPS } from '../test/ip/super-packets.ts';
import { checksumModulePath } from '../test/lab/checksum-module.ts';
import { machineLine, median, table } from './report.ts';

const SEGMENT_BYTES = 1500;
const READ = 64;
const SEGMENTS = 65_536 + 128;
const SEGMENTS_STRIDE = 1664;
const BUFFER = 256 * 1024;

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } });
const rounds = Number(values.rounds);
const arena = createNativeArena(BUFFER + COALESCER_BYTES);
const { bytes, view } = arena;

const tcp: SuperFields = { version: 4, protocol: 'tcp', payload: payloadOf(0), gsoSize: 0, tcpOptions: TIMESTAMPS };
const shapes: [string, SuperFields][] = [
  ['TCP, IPv4, timestamps', tcp],
  ['TCP, IPv6, timestamps', { ...tcp, version: 6 }],
  ['UDP, IPv4', { ...tcp, protocol: 'udp' }],
];

function headerBytes({ version, protocol }: SuperFields): number {
  return (version === 4 ? 20 : 40) + (protocol === 'tcp' ? 32 : 8);
}

/** Nanoseconds for each packet: split, joined again, and verified alone. */
function measure(fields: SuperFields, engine: ChecksumEngine): { split: number; join: number; sum: number } {
  const gsoSize = SEGMENT_BYTES - headerBytes(fields);
  const read = superPacket({ ...fields, gsoSize, payload: payloadOf(44 * gsoSize) });
  bytes.set(read, READ);
  const segmenter = new Segmenter(view, engine);
  const inner = new InnerPacket();
  let joined = 0;
  const write = (_offset: number, _length: number, packets: number) => {
    joined = packets;
  };
  const coalescer = new Coalescer({
    view,
    checksum: engine,
    buffer: BUFFER,
    joinUdp: true,
    sink: { writeJoined: write },
  });
  let count = 0;
  const split = () => {
    count = segmenter.begin(READ, read.length);
    for (let index = 0; index < count; index++) segmenter.next(SEGMENTS + index * SEGMENTS_STRIDE);
  };
  const join = () => {
    for (let index = 0; index < count; index++) {
      inner.parse(view, SEGMENTS + index * SEGMENTS_STRIDE, SEGMENT_BYTES);
      coalescer.accept(inner, SEGMENT_BYTES);
    }
    coalescer.flush();
  };
  const sum = () => {
    for (let index = 0; index < count; index++) engine.sum(SEGMENTS + index * SEGMENTS_STRIDE, SEGMENT_BYTES);
  };
  const result = { split: timed(split, 44), join: timed(join, 44), sum: timed(sum, 44) };
  if (joined !== 44) throw new Error(`${joined} packets were joined, not 44`);
  return result;
}

function timed(run: () => void, packets: number): number {
  const REPEAT = 400;
  const times = Array.from({ length: rounds + 3 }, () => {
    const start = process.hrtime.bigint();
    for (let index = 0; index < REPEAT; index++) run();
    return Number(process.hrtime.bigint() - start) / (REPEAT * packets);
  });
  return median(times.slice(3));
}

const module = readChecksumModule(pathToFileURL(checksumModulePath()));
const rows = [module, undefined].flatMap((found) => {
  const { engine, fast } = loadChecksum(found, arena);
  return shapes.map(([name, fields]) => {
    const { split, join, sum } = measure(fields, engine);
    return [`${name}, ${fast ? 'WebAssembly' : 'plain'}`, ...[split, join, sum].map((value) => value.toFixed(0))];
  });
});
console.log(machineLine());
console.log(table([['packets of 1500 bytes', 'ns to split', 'ns to join', 'ns to sum'], ...rows]));

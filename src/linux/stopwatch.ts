// Where the time of a data worker goes (`--measure-data-path`): functions are replaced by ones that add what they take to a
// counter of the plane. Without the option nothing is replaced, and nothing is slower.

import type { PacketCrypto } from '../crypto/provider.ts';
import { PlaneCounter } from '../data/counters.ts';
import type { ChecksumEngine } from '../ip/checksum.ts';
import { type Libc, libc } from './libc.ts';

/** The calls that move packets. poll(2) is none: it waits. */
const MOVING: readonly (keyof Libc)[] = [
  'read',
  'write',
  'send',
  'sendto',
  'recv',
  'sendmsg',
  'sendmmsg',
  'recvmsg',
  'recvmmsg',
];

type Functions = Record<string, (...values: never[]) => unknown>;

/** The same object, whose own functions add their milliseconds to `counters[place]`. */
function timed<T extends object>(
  target: T,
  names: readonly (keyof T & string)[],
  counters: Float64Array,
  place: number,
): T {
  const functions = target as unknown as Functions;
  for (const name of names) {
    const inner = functions[name]!.bind(target);
    const value = (...values: never[]): unknown => {
      const before = performance.now();
      try {
        return inner(...values);
      } finally {
        counters[place]! += performance.now() - before;
      }
    };
    Object.defineProperty(target, name, { value, configurable: true });
  }
  return target;
}

/** Times the system calls of this thread that move packets. */
export function timeSystemCalls(counters: Float64Array): void {
  timed(libc, MOVING, counters, PlaneCounter.systemMs);
}

/** Times every key's work. */
export function timedCrypto(crypto: PacketCrypto, counters: Float64Array): PacketCrypto {
  const place = PlaneCounter.cryptoMs;
  return {
    arena: crypto.arena,
    aeadKey: (...values) => timed(crypto.aeadKey(...values), ['seal', 'open'], counters, place),
    cbcKey: (...values) => timed(crypto.cbcKey(...values), ['encrypt', 'decrypt'], counters, place),
    feedbackKey: (...values) => timed(crypto.feedbackKey(...values), ['apply'], counters, place),
    macKey: (...values) => timed(crypto.macKey(...values), ['sign', 'verify'], counters, place),
    random: (start, length) => crypto.random(start, length),
  };
}

/** Times checksums, and the copying that goes with them where packets are split. */
export function timedChecksum(engine: ChecksumEngine, counters: Float64Array): ChecksumEngine {
  const { sum, copySegment } = engine;
  return timed({ sum, copySegment }, ['sum', 'copySegment'], counters, PlaneCounter.checksumMs);
}

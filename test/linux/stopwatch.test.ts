import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { countersByteLength, readPlaneStatistics } from '../../src/data/counters.ts';
import { createPlainChecksum } from '../../src/ip/checksum.ts';
import { createNativeArena } from '../../src/linux/arena.ts';
import { createPacketCrypto } from '../../src/linux/packet-crypto.ts';
import { timedChecksum, timedCrypto } from '../../src/linux/stopwatch.ts';

it('counts what ciphers and checksums take, each by itself, and changes no result', () => {
  const counters = new Float64Array(countersByteLength(1) / 8);
  const arena = createNativeArena(4096);
  const plain = createPlainChecksum(arena.bytes, arena.view);
  const checksum = timedChecksum(plain, counters);
  arena.bytes.set(randomBytes(1400), 1024);
  expect(checksum.sum(1024, 1400)).toBe(plain.sum(1024, 1400));
  const first = readPlaneStatistics(counters);
  expect(first.checksumMs).toBeGreaterThan(0);
  expect(first.cryptoMs).toBe(0);

  const crypto = timedCrypto(createPacketCrypto(arena, 'openssl'), counters);
  const key = randomBytes(32);
  const text = arena.bytes.slice(1024, 1124);
  crypto.aeadKey('AES-256-GCM', 'seal', key).seal(0, 64, 8, 1024, 100, 128);
  expect(crypto.aeadKey('AES-256-GCM', 'open', key).open(0, 64, 8, 1024, 100, 128)).toBe(true);
  expect(arena.bytes.slice(1024, 1124)).toEqual(text);
  const second = readPlaneStatistics(counters);
  expect(second.cryptoMs).toBeGreaterThan(0);
  expect(second.checksumMs).toBe(first.checksumMs);
  expect(second.systemMs).toBe(0);
});

import { describe, expect, it } from 'vitest';
import { MtuTest } from '../../src/peer/mtu-test.ts';
import { parseInBand, writeInBand } from '../../src/wire/in-band.ts';
import { VirtualClock } from '../lab/virtual-clock.ts';

const OVERHEAD = 24;
const TUN_MTU = 1500;

/** Two ends joined by a path on which packets longer than `pathBytes` are lost. */
const pair = (pathBytes: number) => {
  const clock = new VirtualClock();
  const log: string[] = [];
  const largest = [
    { linkReadLargest: 0, linkWriteLargest: 0 },
    { linkReadLargest: 0, linkWriteLargest: 0 },
  ];
  const ends: MtuTest[] = [];
  const sent: string[] = [];
  const end = (own: 0 | 1) => {
    const other = own === 0 ? 1 : 0;
    return new MtuTest({
      clock,
      log: (_flags, text) => log.push(text),
      sizes: () => ({ overheadBytes: OVERHEAD, tunMtuBytes: TUN_MTU }),
      statistics: () => largest[own]!,
      isLossy: true,
      send(bytes) {
        const length = bytes.length + OVERHEAD;
        sent.push(parseInBand(bytes)!.type);
        largest[own]!.linkWriteLargest = Math.max(largest[own]!.linkWriteLargest, length);
        if (length > pathBytes) return;
        largest[other]!.linkReadLargest = Math.max(largest[other]!.linkReadLargest, length);
        ends[other]!.handle(bytes);
      },
    });
  };
  ends.push(end(0), end(1));
  const run = (seconds: number) => {
    const limitMs = clock.nowMs + seconds * 1000;
    while (clock.step(limitMs));
  };
  return { clock, log, ends, sent, run };
};

describe('mtu-test', () => {
  it('measures a path that takes everything within four minutes, and then is quiet', () => {
    const { clock, ends, log, run } = pair(65_535);
    ends[0]!.start();
    run(240);
    expect(log).toEqual([
      'NOTE: Beginning empirical MTU test -- results should be available in 3 to 4 minutes.',
      'NOTE: Empirical MTU test completed [Tried,Actual] local->remote=[1524,1524] remote->local=[1524,1524]',
    ]);
    expect(clock.waiting).toBe(0);
  });

  it('says what to do about a path that loses large packets', () => {
    const { ends, log, run } = pair(1400);
    ends[0]!.start();
    run(240);
    expect(log.slice(1)).toEqual([
      'NOTE: Empirical MTU test completed [Tried,Actual] local->remote=[1524,1374] remote->local=[1524,1374]',
      'NOTE: This connection is unable to accommodate a UDP packet size of 1524. Consider using --fragment or --mssfix options as a workaround.',
    ]);
  });

  it('gives up on a peer that never answers', () => {
    const { clock, ends, log, run } = pair(0);
    ends[0]!.start();
    run(300);
    expect(log.at(-1)).toBe(
      'NOTE: failed to empirically measure MTU (requires OpenVPN 1.5 or higher at other end of connection).',
    );
    expect(clock.waiting).toBe(0);
  });

  it('answers whoever asks, with no longer packets than ours may be, and leaves other messages to others', () => {
    const { ends, log, sent } = pair(65_535);
    expect(ends[0]!.handle(writeInBand({ type: 'mtu-request' }))).toBe(true);
    expect(ends[0]!.handle(writeInBand({ type: 'mtu-load-request', sizeBytes: 0xffff }))).toBe(true);
    expect(sent).toEqual(['mtu-reply', 'mtu-load']);
    expect(ends[0]!.handle(writeInBand({ type: 'exit' }))).toBe(false);
    expect(ends[0]!.handle(writeInBand({ type: 'occ-request' }))).toBe(false);
    // Nobody has asked: what the peer says unasked is no result.
    expect(ends[0]!.handle(writeInBand({ type: 'mtu-reply', receiveBytes: 1, sendBytes: 1 }))).toBe(true);
    expect(log).toEqual([]);
  });

  it('says nothing before a key is there to say it with, and stops when it is told to', () => {
    const clock = new VirtualClock();
    const sent: Uint8Array[] = [];
    const test = new MtuTest({
      clock,
      log: () => {},
      sizes: () => undefined,
      statistics: () => ({ linkReadLargest: 0, linkWriteLargest: 0 }),
      isLossy: true,
      send: (bytes) => sent.push(bytes),
    });
    test.handle(writeInBand({ type: 'mtu-load-request', sizeBytes: 1000 }));
    expect(sent).toEqual([]);
    test.start();
    expect(clock.waiting).toBe(1);
    test.close();
    expect(clock.waiting).toBe(0);
  });
});

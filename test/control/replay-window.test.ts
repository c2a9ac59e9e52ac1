import { describe, expect, it } from 'vitest';
import { ReplayWindow } from '../../src/control/replay-window.ts';

type Step = readonly [packetId: number, time: number, now: number, fresh: boolean];

const CASES: readonly (readonly [title: string, windowPackets: number, steps: readonly Step[]])[] = [
  ['refuses packet-id 0', 8, [[0, 1, 1, false]]],
  [
    'takes ids in order once',
    8,
    [
      [1, 1, 1, true],
      [2, 1, 1, true],
      [2, 1, 1, false],
      [1, 1, 1, false],
    ],
  ],
  [
    'takes late ids inside the window',
    8,
    [
      [8, 1, 1, true],
      [1, 1, 1, true],
      [1, 1, 1, false],
    ],
  ],
  [
    'refuses ids below the window',
    8,
    [
      [9, 1, 1, true],
      [1, 1, 1, false],
      [2, 1, 1, true],
    ],
  ],
  [
    'takes a jump over the whole window',
    8,
    [
      [1, 1, 1, true],
      [1000, 1, 1, true],
      [993, 1, 1, true],
      [992, 1, 1, false],
    ],
  ],
  [
    'starts afresh with a later time',
    8,
    [
      [50, 1, 1, true],
      [1, 2, 1, true],
      [51, 1, 1, false],
      [50, 2, 1, true],
    ],
  ],
  [
    'refuses an id that was overtaken more than 15 s ago',
    8,
    [
      [3, 1, 100, true],
      [2, 1, 115, true],
      [1, 1, 116, false],
    ],
  ],
  [
    'takes the last id of 32 bits',
    8,
    [
      [0xffffffff, 1, 1, true],
      [0xfffffffe, 1, 1, true],
      [1, 1, 1, false],
    ],
  ],
  [
    'is strict with a window of 0',
    0,
    [
      [7, 1, 1, true],
      [9, 1, 1, false],
      [8, 1, 1, true],
      [8, 1, 1, false],
      [1, 2, 1, true],
    ],
  ],
];

describe('the replay window of control packets', () => {
  it.each(CASES)('%s', (_title, windowPackets, steps) => {
    const window = new ReplayWindow(windowPackets, 15);
    for (const [packetId, time, now, fresh] of steps) {
      expect(window.accept(packetId, time, now), `id ${packetId} time ${time}`).toBe(fresh);
    }
  });
});

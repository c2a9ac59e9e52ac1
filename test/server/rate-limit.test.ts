import { describe, expect, it } from 'vitest';
import { Level, type LogFlags } from '../../src/log.ts';
import { ConnectRateLimit, connectFreqLine, InitialRateLimit } from '../../src/server/rate-limit.ts';

const start = 1_800_000_000;

function initial(count: number, seconds: number) {
  const lines: [LogFlags, string][] = [];
  const limit = new InitialRateLimit({ count, seconds }, (flags, text) => lines.push([flags, text]));
  const ask = (times: number, at: number) =>
    Array.from({ length: times }, () => limit.allow(at)).filter(Boolean).length;
  return { limit, lines, ask };
}

describe('connect-freq-initial', () => {
  it('answers as many first packets as it says in a period', () => {
    const { ask } = initial(3, 10);
    expect(ask(5, start)).toBe(3);
    expect(ask(1, start + 10)).toBe(0);
    expect(ask(5, start + 11)).toBe(3);
  });

  it('counts a handshake that goes on no more', () => {
    const { ask, limit } = initial(2, 10);
    for (let client = 0; client < 50; client++) {
      expect(ask(1, start)).toBe(1);
      limit.giveBack();
    }
    expect(ask(3, start)).toBe(2);
  });

  it('gives back no more than was taken', () => {
    const { ask, limit } = initial(1, 10);
    for (let i = 0; i < 5; i++) limit.giveBack();
    expect(ask(3, start)).toBe(1);
  });

  it('says so once in a period, and at the next how many there were', () => {
    const { ask, lines } = initial(100, 10);
    ask(100, start);
    expect(lines).toEqual([]);
    ask(1000, start + 4);
    const note =
      'Note: --connect-freq-initial 100 10 rate limit exceeded, dropping initial handshake packets for the next 6 seconds';
    expect(lines).toEqual([[Level.warning, note]]);
    ask(1, start + 11);
    const dropped = 'Dropped 1000 initial handshake packets due to --connect-freq-initial 100 10';
    expect(lines.slice(1)).toEqual([[Level.tlsDebugLow, dropped]]);
    ask(101, start + 12);
    expect(lines.length).toBe(3);
  });

  it('is not held by a clock that was set back', () => {
    const { ask } = initial(1, 10);
    ask(5, start);
    expect(ask(1, start - 100_000)).toBe(1);
  });
});

describe('connect-freq', () => {
  it('takes as many clients as it says in a period', () => {
    const limit = new ConnectRateLimit({ count: 2, seconds: 5 });
    const at = (seconds: number) => limit.allow(start + seconds);
    expect([at(0), at(1), at(2), at(4), at(5), at(5), at(5)]).toEqual([true, true, false, false, true, true, false]);
    expect(limit.allow(start - 1000)).toBe(true);
  });

  it('takes any number without the option, or with a period of 0', () => {
    for (const limit of [new ConnectRateLimit(undefined), new ConnectRateLimit({ count: 1, seconds: 0 })]) {
      expect(Array.from({ length: 1000 }, () => limit.allow(start)).every(Boolean)).toBe(true);
    }
  });

  it('has the C program’s words', () => {
    expect(connectFreqLine('192.0.2.1:1194')).toBe(
      'MULTI: Connection from 192.0.2.1:1194 would exceed new connection frequency limit as controlled by --connect-freq',
    );
  });
});

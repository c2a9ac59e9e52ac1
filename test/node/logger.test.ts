import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Level } from '../../src/log.ts';
import type { LogLine } from '../../src/node/logger.ts';
import {
  cleanLogText,
  createLogger,
  fdSink,
  formatLocalTime,
  formatLogLine,
  openFileSink,
} from '../../src/node/logger.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-log-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const plainFormat = { suppressTimestamps: true, machineReadable: false };

function record(verb: number, mute = 0): { lines: string[]; logger: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  const logger = createLogger({ verb, mute, sink: (line) => lines.push(line.text), now: () => 1_000_000.25 });
  return { lines, logger };
}

describe('the log', () => {
  const line: LogLine = {
    flags: 0x0100_0021,
    text: 'hello',
    unixSeconds: 1_795_435_200,
    microseconds: 1234,
    showMicroseconds: false,
  };
  const local = formatLocalTime(line.unixSeconds);

  it.each([
    [{ suppressTimestamps: false, machineReadable: false }, line, `${local} hello`],
    [
      { suppressTimestamps: false, machineReadable: false },
      { ...line, showMicroseconds: true },
      `${local} us=1234 hello`,
    ],
    [{ suppressTimestamps: true, machineReadable: false }, line, 'hello'],
    [{ suppressTimestamps: false, machineReadable: true }, line, '1795435200.001234 1000021 hello'],
  ])("looks like the C program's line with %j", (format, given, text) => {
    expect(formatLogLine(given, format)).toBe(text);
    expect(local).toMatch(/^2026-11-\d\d \d\d:\d\d:\d\d$/);
  });

  it('shows lines up to its verb, and another verb from the next line on', () => {
    const { lines, logger } = record(1);
    logger.log(Level.info, 'one');
    logger.log(Level.tlsDebugLow, 'three');
    logger.setVerb(3);
    logger.log(Level.tlsDebugLow, 'three again');
    logger.log(Level.warning, 'always');
    expect(lines).toEqual(['one', 'three again', 'always']);
  });

  it('mutes a category after its limit and says how much it left out', () => {
    const { lines, logger } = record(3, 2);
    for (let i = 0; i < 5; i++) logger.log(Level.replayErrors, `replay ${i}`);
    logger.log(Level.info, 'other');
    logger.log(Level.replayErrors, 'replay again');
    expect(lines).toEqual([
      'replay 0',
      'replay 1',
      'NOTE: --mute triggered...',
      '3 variation(s) on previous 2 message(s) suppressed by --mute',
      'other',
      'replay again',
    ]);
  });

  it('never mutes category 0, and nothing without a limit', () => {
    const muted = record(3, 1);
    for (let i = 0; i < 5; i++) muted.logger.log(Level.info, 'info');
    expect(muted.lines).toHaveLength(5);
    const free = record(3, 0);
    for (let i = 0; i < 5; i++) free.logger.log(Level.replayErrors, 'replay');
    expect(free.lines).toHaveLength(5);
  });

  it('makes one clean bounded line of any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        expect(cleanLogText(text)).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/);
      }),
    );
    expect(cleanLogText('a\r\nb\x1b[31m\tc')).toBe('a__b_[31m\tc');
    expect(cleanLogText('x'.repeat(100_000)).length).toBe(10_240);
  });

  it('goes on when its sink throws, the pipe is dead or the disk is full', () => {
    const logger = createLogger({
      verb: 1,
      mute: 0,
      sink: () => {
        throw new Error('broken');
      },
    });
    expect(() => logger.log(Level.info, 'x')).not.toThrow();
    const closed = openSync(join(dir, 'closed'), 'w');
    closeSync(closed);
    logger.setSink(fdSink(closed, plainFormat));
    expect(() => logger.log(Level.info, 'x')).not.toThrow();
    const full = openSync('/dev/full', 'w');
    logger.setSink(fdSink(full, plainFormat));
    expect(() => logger.log(Level.info, 'x')).not.toThrow();
    closeSync(full);
  });

  it('truncates the file of log, keeps that of log-append, and makes both private', () => {
    const path = join(dir, 'vpn.log');
    for (const [append, expected] of [
      [false, 'a\n'],
      [true, 'a\na\n'],
      [false, 'a\n'],
    ] as const) {
      const file = openFileSink(path, append, plainFormat);
      createLogger({ verb: 1, mute: 0, sink: file.sink }).log(Level.info, 'a');
      file.close();
      expect(readFileSync(path, 'utf8')).toBe(expected);
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});

// The log as the C program writes it: which lines show (`verb`), which are too many (`mute`), and how a line looks.
// A sink takes finished lines; syslog is another sink of the same kind. Nothing here throws: a log that can't be
// written must not end a tunnel.

import { closeSync, openSync, writeSync } from 'node:fs';
import type { Log, LogFlags } from '../log.ts';
import { Level, muteCategoryOf, verbOf } from '../log.ts';

/** One line, cleaned, with its time. */
export interface LogLine {
  readonly flags: LogFlags;
  readonly text: string;
  readonly unixSeconds: number;
  readonly microseconds: number;
  /** From verb 4 on lines show microseconds. */
  readonly showMicroseconds: boolean;
}

export type LogSink = (line: LogLine) => void;

export interface Logger {
  readonly log: Log;
  setVerb(verb: number): void;
  setMute(limit: number): void;
  setSink(sink: LogSink): void;
  /** Hears of each line beside the sink. */
  setTap(tap: LogSink | undefined): void;
  readonly verb: number;
  readonly mute: number;
}

export interface LoggerOptions {
  readonly verb: number;
  /** Lines of one category in a row that are shown; 0 for all. */
  readonly mute: number;
  readonly sink: LogSink;
  /** Unix time in milliseconds with a fraction. */
  readonly now?: () => number;
}

const MAX_TEXT = 10_240;
const MICROSECONDS_VERB = 4;

/** A logger with the C program's filters in front of a sink. Lines of category 0 are never muted. */
export function createLogger(options: LoggerOptions): Logger {
  let { verb, mute, sink } = options;
  const now = options.now ?? (() => performance.timeOrigin + performance.now());
  let category = 0;
  let count = 0;
  let tap: LogSink | undefined;

  const write = (flags: LogFlags, text: string): void => {
    const ms = now();
    const unixSeconds = Math.floor(ms / 1000);
    const line = {
      flags,
      text: cleanLogText(text),
      unixSeconds,
      microseconds: Math.floor((ms - unixSeconds * 1000) * 1000),
      showMicroseconds: verb >= MICROSECONDS_VERB,
    };
    try {
      sink(line);
      tap?.(line);
    } catch {
      // A sink that fails loses its line.
    }
  };
  const note = (text: string): void => {
    if (verb >= verbOf(Level.info)) write(Level.info, text);
  };
  /** Whether a line is one too many of its category in a row. */
  const isMuted = (flags: LogFlags): boolean => {
    if (mute <= 0) return false;
    const next = muteCategoryOf(flags);
    if (next === category && next !== 0) {
      if (count === mute) note('NOTE: --mute triggered...');
      return ++count > mute;
    }
    if (count > mute) note(`${count - mute} variation(s) on previous ${mute} message(s) suppressed by --mute`);
    category = next;
    count = next === 0 ? 0 : 1;
    return false;
  };
  return {
    log(flags, text) {
      if (verbOf(flags) > verb || isMuted(flags)) return;
      write(flags, text);
    },
    setVerb(next) {
      verb = next;
    },
    setMute(next) {
      mute = next;
    },
    setSink(next) {
      sink = next;
    },
    setTap(next) {
      tap = next;
    },
    get verb() {
      return verb;
    },
    get mute() {
      return mute;
    },
  };
}

/** One line of bounded length without line separators or control characters, but for the tabs of status 3. */
export const cleanLogText = (text: string): string =>
  text.slice(0, MAX_TEXT).replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/g, '_');

export interface LineFormat {
  readonly suppressTimestamps: boolean;
  readonly machineReadable: boolean;
}

/** `2026-11-23 12:00:00 text`, `… us=123456 text`, `text`, or `sec.usec flags text`; no newline. */
export function formatLogLine(line: LogLine, format: LineFormat): string {
  if (format.machineReadable) {
    const micro = String(line.microseconds).padStart(6, '0');
    return `${line.unixSeconds}.${micro} ${(line.flags >>> 0).toString(16)} ${line.text}`;
  }
  if (format.suppressTimestamps) return line.text;
  const micro = line.showMicroseconds && line.microseconds > 0 ? ` us=${line.microseconds}` : '';
  return `${formatLocalTime(line.unixSeconds)}${micro} ${line.text}`;
}

/** Local time as `2026-11-23 12:00:00`. */
export function formatLocalTime(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Lines to an open descriptor, each written before the call returns. Errors lose the line and nothing else. */
export function fdSink(fd: number, format: LineFormat): LogSink {
  return (line) => writeAll(fd, `${formatLogLine(line, format)}\n`);
}

/** Lines to standard output. */
export const stdoutSink = (format: LineFormat): LogSink => fdSink(1, format);

export interface FileSink {
  readonly sink: LogSink;
  /** For scripts, whose output goes to the log file as well. */
  readonly fd: number;
  close(): void;
}

/** Lines to a file (`log` truncates it, `log-append` does not). Throws where the file can't be opened. */
export function openFileSink(path: string, append: boolean, format: LineFormat): FileSink {
  const fd = openSync(path, append ? 'a' : 'w', 0o600);
  return { fd, sink: fdSink(fd, format), close: () => closeSync(fd) };
}

/** How often a full pipe is tried again, a millisecond apart, before the line is lost. */
const FULL_PIPE_TRIES = 20;

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  let offset = 0;
  let tries = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(fd, bytes, offset);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EINTR') continue;
      if (code !== 'EAGAIN' || tries++ === FULL_PIPE_TRIES) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

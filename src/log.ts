// The log port. Any room may import this file. A line carries its flags in the C program's encoding, because
// `--verb`, `--mute` and `--machine-readable-output` are defined by them: bits 0-3 the verb at which the line shows,
// bits 4-8 its severity, bits 24-31 the category that `--mute` counts.

export type LogFlags = number;

/** Writes one line. The text has no newline and no control character; the sink cleans it all the same. */
export type Log = (flags: LogFlags, text: string) => void;

const level = (verb: number, mute: number, severity: number): LogFlags => (mute << 24) | severity | verb;

/** Severity bits. */
export const Severity = { fatal: 0x10, nonFatal: 0x20, warning: 0x40, debug: 0x80 } as const;

/** The levels that the rooms use; names after what is logged, numbers as in the C program's errlevel.h. */
export const Level = {
  fatal: Severity.fatal,
  error: Severity.nonFatal,
  warning: Severity.warning,
  info: level(1, 0, 0),
  linkErrors: level(1, 1, Severity.nonFatal),
  cryptErrors: level(1, 2, Severity.nonFatal),
  tlsErrors: level(1, 3, Severity.nonFatal),
  resolveErrors: level(1, 4, Severity.nonFatal),
  compressErrors: level(1, 5, Severity.nonFatal),
  replayErrors: level(1, 6, Severity.nonFatal),
  streamErrors: level(1, 7, Severity.nonFatal),
  importErrors: level(1, 8, Severity.nonFatal),
  pushErrors: level(1, 9, Severity.nonFatal),
  multiErrors: level(1, 9, Severity.nonFatal),
  pingErrors: level(1, 10, Severity.nonFatal),
  restart: level(3, 33, 0),
  handshake: level(2, 20, 0),
  close: level(2, 22, 0),
  tlsDebugLow: level(3, 20, 0),
  /** Never muted. */
  routeChange: level(3, 0, 0),
  dataPath: level(3, 0, 0),
  proxy: level(2, 24, 0),
  push: level(3, 26, 0),
  osiBuffers: level(3, 27, 0),
  script: level(3, 28, 0),
  genkey: level(3, 31, 0),
  pool: level(3, 35, 0),
  plugin: level(3, 39, 0),
  multi: level(3, 38, 0),
  delayedExit: level(3, 41, 0),
  low: level(4, 52, 0),
  multiMedium: level(4, 58, 0),
  mtuInfo: level(4, 36, 0),
  parameters: level(4, 37, 0),
  packetIdDebugLow: level(4, 38, Severity.debug),
  tlsDebug: level(6, 60, Severity.debug),
  linkRw: level(6, 61, Severity.debug),
  tunRw: level(6, 62, Severity.debug),
  optionsCompared: level(7, 70, Severity.debug),
  reliableDebug: level(7, 70, Severity.debug),
  multiDebug: level(7, 70, Severity.debug),
  tlsStateErrors: level(7, 70, Severity.debug),
  timerDebug: level(7, 71, Severity.debug),
} as const;

/** The verb at which a line shows: 0 always, 1 by default. */
export const verbOf = (flags: LogFlags): number => flags & 0x0f;

/** The category that `--mute` counts; 0 is never muted. */
export const muteCategoryOf = (flags: LogFlags): number => (flags >>> 24) & 0xff;

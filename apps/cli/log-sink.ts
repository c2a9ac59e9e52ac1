// Where log lines go: a file (`log`, `log-append`), the system log (`syslog`, `daemon`), or standard output.

import {
  type Config,
  Level,
  type LogFlags,
  type Logger,
  type LogSink,
  openFileSink,
  openSyslog,
  Severity,
  SyslogPriority,
  stdoutSink,
} from '../../src/command.ts';
import { sentenceOf } from './named-files.ts';

type Format = Parameters<typeof stdoutSink>[0];

/** How lines look; without a configuration, as by default. */
function logSinkFormat(config: Config | undefined): Format {
  return {
    suppressTimestamps: config?.process.suppressTimestamps ?? false,
    machineReadable: config?.process.machineReadable ?? false,
  };
}

/**
 * Opens what the configuration asks for and points the logger at it. Returns the descriptor that scripts print to as
 * well, if it is a file. A log file that can't be opened is warned about, and the log goes where it goes without one.
 */
export function chooseSink(config: Config, logger: Logger): number | undefined {
  const { log, syslog, daemon } = config.process;
  const format = logSinkFormat(config);
  let problem: unknown;
  if (log !== undefined) {
    try {
      const { sink, fd } = openFileSink(log.path, log.append, format);
      logger.setSink(sink);
      return fd;
    } catch (error) {
      problem = error;
    }
  }
  if (syslog !== undefined) logger.setSink(syslogSink(syslog.name));
  else if (daemon !== undefined) logger.setSink(syslogSink(daemon.name));
  else logger.setSink(stdoutSink(format));
  if (log !== undefined) logger.log(Level.warning, redirectWarning(log.path, problem));
  return undefined;
}

function redirectWarning(path: string, problem: unknown): string {
  const errno = Math.abs((problem as NodeJS.ErrnoException).errno ?? 0);
  return `Warning: Error redirecting stdout/stderr to --log file: ${path}: ${sentenceOf(problem)} (errno=${errno})`;
}

function syslogSink(name: string): LogSink {
  const write = openSyslog(name);
  return ({ flags, text }) => write(priorityOf(flags), text);
}

function priorityOf(flags: LogFlags): number {
  if ((flags & (Severity.fatal | Severity.nonFatal)) !== 0) return SyslogPriority.error;
  if ((flags & Severity.warning) !== 0) return SyslogPriority.warning;
  if ((flags & Severity.debug) !== 0) return SyslogPriority.debug;
  return SyslogPriority.notice;
}

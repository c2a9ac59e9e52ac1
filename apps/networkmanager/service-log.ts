// Where the service's lines go, and how many of its client's there are: NetworkManager says so in the environment.

import {
  createLogger,
  Level,
  type LogFlags,
  openSyslog,
  Severity,
  SyslogPriority,
  stdoutSink,
} from '../../src/command.ts';

export interface ServiceLog {
  readonly service: (level: 'notice' | 'warning', text: string) => void;
  readonly client: (flags: LogFlags, text: string) => void;
  /** `verb` of the client. */
  readonly clientVerb: number;
}

const NAME = 'sallyport-nm';
/** syslog's priorities, in which NetworkManager counts. */
const INFO = 6;
const DEBUG = 7;
const MOST = 6;

/** `NM_VPN_LOG_LEVEL` 0 to 7, `NM_VPN_LOG_SYSLOG` 0 or 1. */
export function openServiceLog(environment: Readonly<Record<string, string | undefined>>, debug: boolean): ServiceLog {
  const clientVerb = verbFor(environment.NM_VPN_LOG_LEVEL, debug);
  const toSyslog = debug ? environment.NM_VPN_LOG_SYSLOG === '1' : environment.NM_VPN_LOG_SYSLOG !== '0';
  const write = toSyslog ? openSyslog(NAME) : undefined;
  const plain = stdoutSink({ suppressTimestamps: true, machineReadable: false });
  const { log } = createLogger({
    verb: MOST,
    mute: 0,
    sink: (line) => {
      if (write === undefined) plain({ ...line, text: `${NAME}[${process.pid}] ${line.text}` });
      else write(priorityOf(line.flags), line.text);
    },
  });
  return {
    service: (level, text) => log(level === 'warning' ? Level.warning : Level.info, text),
    client: log,
    clientVerb,
  };
}

/** The existing service's scale; its most would be every packet. */
export function verbFor(level: string | undefined, debug: boolean): number {
  const number = /^[0-7]$/.test(level ?? '') ? Number(level) : undefined;
  if (debug || number === DEBUG) return MOST;
  if (number === INFO) return 5;
  return number === undefined || number === 0 ? 1 : 2;
}

function priorityOf(flags: LogFlags): number {
  if ((flags & (Severity.fatal | Severity.nonFatal)) !== 0) return SyslogPriority.error;
  if ((flags & Severity.warning) !== 0) return SyslogPriority.warning;
  return (flags & Severity.debug) === 0 ? SyslogPriority.notice : SyslogPriority.debug;
}

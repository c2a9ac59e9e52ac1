import { libc, type NativeBytes, nativeBytes } from './libc.ts';

/** Priorities of syslog(3). */
export const SyslogPriority = { error: 3, warning: 4, notice: 5, info: 6, debug: 7 } as const;

const LOG_PID = 0x01;
const LOG_NDELAY = 0x08;
const LOG_DAEMON = 3 << 3;

// libc keeps the pointer, not a copy.
let identity: NativeBytes | undefined;

/** Opens the system log under a name. A machine without /dev/log is no error: libc drops the lines. */
export function openSyslog(name: string): (priority: number, text: string) => void {
  const bytes = Buffer.from(name, 'utf8');
  identity = nativeBytes(bytes.length + 64);
  identity.bytes.set(bytes);
  // Connected now, so that it goes on after chroot.
  libc.openlog(identity.address, LOG_PID | LOG_NDELAY, LOG_DAEMON);
  return (priority, text) => libc.syslog(priority, '%s', 'str', text);
}

/** Closes the connection to the system log. */
export function closeSyslog(): void {
  libc.closelog();
}

// How a client's end is told, in the C program's terms: a signal that concerns this instance alone.

import type { SessionEnd } from '../session/event.ts';

export interface InstanceEnd {
  readonly signal: 'SIGUSR1' | 'SIGTERM';
  /** `ping-restart`, `remote-exit` … */
  readonly text: string;
}

/** The end that follows from a session's. */
export function instanceEndOf(end: SessionEnd): InstanceEnd {
  switch (end.reason) {
    case 'ping-restart':
      return { signal: 'SIGUSR1', text: 'ping-restart' };
    case 'ping-exit':
    case 'inactive':
    case 'session-timeout':
      return { signal: 'SIGTERM', text: end.reason };
    case 'peer-exit':
      return { signal: 'SIGTERM', text: 'remote-exit' };
    case 'failed':
      return { signal: 'SIGUSR1', text: 'tls-error' };
    case 'auth-failed':
    case 'server-restart':
    case 'server-halt':
      // Words of servers; a server that hears them takes no notice, and its session does not end by them.
      return { signal: 'SIGUSR1', text: 'tls-error' };
    default:
      return end satisfies never;
  }
}

/** `SIGUSR1[soft,ping-restart] received, client-instance restarting`. */
export function endLine({ signal, text }: InstanceEnd): string {
  const verb = signal === 'SIGUSR1' ? 'restarting' : 'exiting';
  return `${signal}[soft,${text}] received, client-instance ${verb}`;
}

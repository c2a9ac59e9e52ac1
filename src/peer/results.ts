// The two lines at the end of a client's start, and of a client's reception by a server, that say which timers and protocol options are in force.

import type { TunnelOptions } from '../config/config.ts';
import { Level, type Log } from '../log.ts';

export type Results = Pick<
  TunnelOptions,
  'ping' | 'pingExit' | 'pingRestart' | 'inactive' | 'sessionTimeoutSeconds' | 'protocolFlags'
>;

/** Logs them, each only if there is something to say. */
export function logResults(tunnel: Results, explicitExitNotify: number, log: Log): void {
  const timers = timerWords(tunnel);
  if (timers.length > 0) log(Level.handshake, `Timers: ${timers.join(', ')}`);
  const options: string[] = [];
  if (explicitExitNotify > 0) options.push(`explicit-exit-notify ${explicitExitNotify}`);
  const flags = ['cc-exit', 'tls-ekm', 'dyn-tls-crypt', 'aead-epoch'].filter((flag) =>
    tunnel.protocolFlags.includes(flag),
  );
  if (flags.length > 0) options.push(['protocol-flags', ...flags].join(' '));
  if (options.length > 0) log(Level.handshake, `Protocol options: ${options.join(', ')}`);
}

function timerWords({ ping, pingExit, pingRestart, inactive, sessionTimeoutSeconds }: Results): string[] {
  const words: string[] = [];
  if (ping) words.push(`ping ${ping}`);
  if (pingExit) words.push(`ping-exit ${pingExit}`);
  else if (pingRestart) words.push(`ping-restart ${pingRestart}`);
  if (inactive !== undefined && inactive.seconds > 0) {
    words.push(`inactive ${inactive.seconds}${inactive.bytes > 0 ? ` ${inactive.bytes}` : ''}`);
  }
  if (sessionTimeoutSeconds) words.push(`session-timeout ${sessionTimeoutSeconds}`);
  return words;
}

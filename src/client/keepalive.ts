// How long silence and idleness may last, from options to the session's record.

import type { Config, ConnectionProfile, TunnelOptions } from '../config/config.ts';
import type { KeepaliveOptions } from '../session/options.ts';

/** Silence that restarts a client where nobody said otherwise: datagrams alone never tell that a server is gone. */
const PING_RESTART_SECONDS = 120;

/** The options with the limit of silence that a pulling client over UDP has by default. */
export function withRestart(tunnel: TunnelOptions, config: Config, profile: ConnectionProfile): TunnelOptions {
  const stated = tunnel.pingRestart !== undefined || tunnel.pingExit !== undefined;
  if (stated || !config.pull || profile.proto.transport !== 'udp') return tunnel;
  return { ...tunnel, pingRestart: PING_RESTART_SECONDS };
}

/** Silence and idleness limits as the session counts them. */
export function keepaliveOf(tunnel: TunnelOptions): KeepaliveOptions {
  return {
    pingRestartMs: (tunnel.pingRestart ?? 0) * 1000,
    pingExitMs: (tunnel.pingExit ?? 0) * 1000,
    timerRemote: tunnel.pingTimerRem,
    inactiveMs: (tunnel.inactive?.seconds ?? 0) * 1000,
    inactiveBytes: tunnel.inactive?.bytes ?? 0,
    sessionTimeoutMs: (tunnel.sessionTimeoutSeconds ?? 0) * 1000,
  };
}

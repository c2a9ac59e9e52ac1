// How long silence and idleness may last, from options to the session's record.

import type { TunnelOptions } from '../config/config.ts';
import type { KeepaliveOptions } from '../session/options.ts';

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

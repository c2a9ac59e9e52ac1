// How long silence may last for a client that nobody told.

import type { Config, ConnectionProfile, TunnelOptions } from '../config/config.ts';

/** Silence that restarts a client where nobody said otherwise: datagrams alone never tell that a server is gone. */
const PING_RESTART_SECONDS = 120;

/** The options with the limit of silence that a pulling client over UDP has by default. */
export function withRestart(tunnel: TunnelOptions, config: Config, profile: ConnectionProfile): TunnelOptions {
  const stated = tunnel.pingRestart !== undefined || tunnel.pingExit !== undefined;
  if (stated || !config.pull || profile.proto.transport !== 'udp') return tunnel;
  return { ...tunnel, pingRestart: PING_RESTART_SECONDS };
}

// The server's own end of the tunnel, as clients' addresses depend on it.

import type { Config } from '../config/config.ts';
import type { ServerOptions } from '../config/server-options.ts';
import type { ServerEnd } from './client-addresses.ts';

export function serverEndOf({ tunnel, device }: Config, server: ServerOptions): ServerEnd {
  const topology = device.type === 'tap' ? 'subnet' : (tunnel.topology ?? 'net30');
  const own = topology === 'subnet' ? tunnel.ifconfig?.remoteOrNetmask : undefined;
  return {
    topology,
    local4: tunnel.ifconfig?.local,
    netmask: server.pool4?.netmask ?? own,
    local6: tunnel.ifconfigIpv6?.local,
    prefixLength6: tunnel.ifconfigIpv6?.prefixLength,
  };
}

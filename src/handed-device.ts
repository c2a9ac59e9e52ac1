// A tunnel device that one process opens, with rights, and another one uses without any: for the NetworkManager service,
// whose NetworkManager gives the device its addresses and routes. It is not persistent: it goes when nobody has it open.

import { createNetlinkPort } from './linux/netlink.ts';
import { createTunPort } from './linux/tun.ts';
import type { OpenTunnel, TunnelHost } from './tunnel/host-port.ts';
import type { DevicePort, NetworkPort, OpenDevice } from './tunnel/ports.ts';

export { configOfLines } from './config/parse.ts';
export { parseAddress } from './ip/address.ts';
export { parsePrefix } from './ip/prefix.ts';
export { unmapSocketAddress } from './ip/socket-address.ts';
export { isHostDomain } from './tunnel/dns-table.ts';
export type { OpenDevice } from './tunnel/ports.ts';

export interface HandedDevice {
  readonly device: OpenDevice;
  /** IPv6 is answered with unreachable as long as the tunnel has no IPv6 address. */
  readonly blocksIpv6: boolean;
}

/** Opens a device of this name, or the first free one for `tun` and `tap`. Throws HostError. */
export function openHandedDevice(name: string, layer: 'tun' | 'tap'): { device: OpenDevice; close(): void } {
  const port = createTunPort();
  const device = port.open({ name, layer, node: undefined, txQueueLength: undefined });
  return { device, close: () => port.close(device) };
}

/** The device is there and stays as long as the process has it; nothing of the host's network is changed. */
export function handedPorts({ device }: HandedDevice): { devices: DevicePort; network: NetworkPort } {
  return {
    devices: { open: () => device, mayOpen: () => true, close() {} },
    network: createNetlinkPort(),
  };
}

/** The host, for whom IPv6 beside the tunnel is blocked where it is asked for. */
export function hostOfHanded(host: TunnelHost, { blocksIpv6 }: HandedDevice): TunnelHost {
  const blocked = (opened: OpenTunnel): OpenTunnel => ({
    ...opened,
    blockIpv6: opened.blockIpv6 || (blocksIpv6 && opened.plan.address6 === undefined),
  });
  return {
    open: async (request) => blocked(await host.open(request)),
    update: async (request) => blocked(await host.update(request)),
    route: () => host.route(),
    follow: (server) => host.follow(server),
    refreshDns: () => host.refreshDns(),
    scriptEnvironment: (type) => host.scriptEnvironment(type),
    dropPrivileges: () => host.dropPrivileges(),
    close: (reason, letGo) => host.close(reason, letGo),
  };
}

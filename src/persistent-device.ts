// Devices that outlive the program: for the command's `--mktun` and `--rmtun`.

import type { DeviceRequest } from './config/device-request.ts';
import { messageOf } from './error.ts';
import { createNetlinkPort } from './linux/netlink.ts';
import { lookupGroup, lookupUser } from './linux/privileges.ts';
import { createTunPort } from './linux/tun.ts';
import { Level, type Log } from './log.ts';

export { asksForDevice, type DeviceRequest, parseDeviceRequest } from './config/device-request.ts';

/** Makes a device stay, or lets it go, and says so in the C program's words. Throws HostError, or Error for an unknown account. */
export function keepDevice(request: DeviceRequest, log: Log): void {
  const { name, type, node, persistent, txQueueLength, linkAddress } = request;
  const port = createTunPort();
  const device = port.openBare({ name, layer: type, node, txQueueLength });
  log(Level.info, `TUN/TAP device ${device.name} opened`);
  try {
    port.setPersistent(device, persistent, {
      uid: request.user === undefined ? undefined : known(lookupUser(request.user)?.uid, 'user', request.user),
      gid: request.group === undefined ? undefined : known(lookupGroup(request.group), 'group', request.group),
    });
  } finally {
    port.close(device);
  }
  log(Level.info, `Persist state set to: ${persistent ? 'ON' : 'OFF'}`);
  if (persistent && linkAddress !== undefined) setLinkAddress(device.name, linkAddress, log);
}

function setLinkAddress(device: string, address: string, log: Log): void {
  const network = createNetlinkPort();
  log(Level.info, `net_addr_ll_set: lladdr ${address} for ${device}`);
  try {
    network.setLinkAddress(device, address);
  } catch (error) {
    log(Level.warning, `ERROR: Unable to set link layer address: ${messageOf(error)}`);
  } finally {
    network.close();
  }
}

function known(id: number | undefined, kind: 'user' | 'group', name: string): number {
  if (id === undefined) throw new Error(`Cannot get ${kind} entry for ${name}`);
  return id;
}

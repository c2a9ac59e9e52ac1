// The host's own route to the server, which leads past a tunnel that takes the default route: it goes where the host's
// default route goes, also when that moves. To a server in a network that the host is in it goes there, for as long as it is.

import { messageOf } from '../error.ts';
import { parseAddress } from '../ip/address.ts';
import { formatPrefix, networkOf, prefixContains } from '../ip/prefix.ts';
import { Level, type Log } from '../log.ts';
import type { Journal } from './journal.ts';
import type { HostRoute, NetworkPort } from './ports.ts';
import { isSameRoute, routeLine } from './step.ts';

/**
 * Makes the standing route to `server` (address text) fit the best default route that is not `tunnel`'s. True where
 * something was changed. All at once, so that nothing comes between; throws nothing.
 */
export function followUplink(
  server: string,
  tunnel: string,
  { journal, network, log }: { readonly journal: Journal; readonly network: NetworkPort; readonly log: Log },
): boolean {
  const family = server.includes(':') ? 6 : 4;
  const prefix = `${server}/${family === 6 ? 128 : 32}`;
  const index = journal.entries.findIndex(({ step }) => step.kind === 'add-route' && step.route.prefix === prefix);
  const entry = journal.entries[index];
  if (entry?.step.kind !== 'add-route' || entry.seen?.device?.name === tunnel) return false;
  try {
    const old: HostRoute = { ...entry.step.route, device: entry.seen?.device?.name ?? entry.step.route.device };
    const uplink = isOnLink(server, old, network)
      ? old
      : network.defaultRoutes(family).find(({ device }) => device !== undefined && device !== tunnel);
    if (uplink?.device === undefined) return false;
    const route: HostRoute = { ...entry.step.route, gateway: uplink.gateway, device: uplink.device };
    const standing = network.routesTo(route.prefix);
    if (standing.some((other) => isSameRoute(other, route))) return false;
    const deviceIndex = network.linkIndex(uplink.device);
    const device = deviceIndex === undefined ? undefined : { name: uplink.device, index: deviceIndex };
    const id = journal.begin({ ...entry.step, route }, entry.id, { existed: false, device });
    try {
      if (standing.some((other) => isSameRoute(other, old))) {
        log(Level.routeChange, routeLine('del', old));
        network.removeRoute(old);
      }
      log(Level.routeChange, routeLine('add', route));
      network.addRoute(route);
    } catch (error) {
      journal.end(id, { result: 'failed' });
      throw error;
    }
    journal.end(id, { result: 'changed' });
    journal.undone(entry.id);
    return true;
  } catch (error) {
    log(Level.warning, `WARNING: the route to ${server} could not follow the default route: ${messageOf(error)}`);
    return false;
  }
}

/** Whether this route leads to `server` in a network that the host is in still, with its link up. */
function isOnLink(server: string, { gateway, device }: HostRoute, network: NetworkPort): boolean {
  const target = parseAddress(server);
  if (target === undefined || gateway !== undefined || device === undefined) return false;
  return network.addressesOf(device).some(({ address, prefixLength }) => {
    const own = parseAddress(address);
    if (own === undefined) return false;
    const prefix = { address: networkOf(own, prefixLength), length: prefixLength };
    // A link that is down has its addresses still, and no such route.
    return (
      prefixContains(prefix, target) && network.routesTo(formatPrefix(prefix)).some((route) => route.device === device)
    );
  });
}

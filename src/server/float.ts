// A client that is at another address from now on: an authentic packet of its came from there. Whether it may is decided
// here; that the packet is authentic the plane has seen to.

import type { DataPlane } from '../data/plane.ts';
import { formatLogAddress, type SocketAddress, sameSocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import { sameBytes } from '../wire/reader.ts';
import { addressText } from './address-text.ts';
import type { ClientFacts } from './client-facts.ts';
import type { Instance } from './instance.ts';
import type { InstanceTable } from './instance-table.ts';

/** Answers the plane's request. A client that has the address already keeps it, unless it is the same one's former self. */
export function answerFloat(
  instance: Instance,
  address: SocketAddress,
  { table, plane, log }: { readonly table: InstanceTable; readonly plane: DataPlane; readonly log: Log },
): void {
  const from = instance.address;
  const stays = sameSocketAddress(from, address);
  if (instance.phase !== 'up' || stays) {
    plane.answerFloat(instance.peer, address, stays);
    return;
  }
  log(Level.multiMedium, `Float requested for peer ${instance.id} to ${addressText(address)}`);
  const others = table.at(instance.link, address).filter((other) => other !== instance);
  const foreign = others.find((other) => !isSameClient(other.facts, instance.facts));
  if (foreign !== undefined) {
    log(Level.multiErrors, `Disallow float to an address taken by another client ${foreign.label}`);
    plane.answerFloat(instance.peer, address, false);
    return;
  }
  for (const other of others) other.close(undefined);
  const name = instance.name ?? 'UNDEF';
  const way = `from ${addressText(from)} to ${formatLogAddress(address)}`;
  log(Level.multiMedium, `peer ${instance.id} (${name}) floated ${way}`);
  plane.answerFloat(instance.peer, address, true);
  instance.moveTo(address);
  table.move(instance, from);
}

/** By certificate; without one by a name that both have. */
function isSameClient(a: ClientFacts, b: ClientFacts): boolean {
  const [one, other] = [a.chain[0]?.sha256, b.chain[0]?.sha256];
  if (one === undefined || other === undefined) return one === other && a.name !== undefined && a.name === b.name;
  return sameBytes(one, other);
}

// A tunnel that is up made to fit another plan: only what differs is undone and done, in the order in which a whole
// undoing and doing would have it. The journal keeps that order, too, so that the end undoes everything in its place.

import { parseAddress } from '../ip/address.ts';
import { networkOf, prefixContains } from '../ip/prefix.ts';
import type { JournalEntry } from './journal.ts';
import type { PlannedSteps } from './plan-steps.ts';
import type { HostRoute } from './ports.ts';
import { bindDevice, type TunnelStep } from './step.ts';

/** A step to do, and the standing step in front of which the journal keeps it. */
export interface PlacedStep {
  readonly step: TunnelStep;
  readonly before: number | undefined;
}

export interface TunnelUpdate {
  /** Ids of standing routes and addresses that go. */
  readonly undoRoutes: ReadonlySet<number>;
  readonly undoAddresses: ReadonlySet<number>;
  /** MTU and addresses, then routes, in the plan's order. A new MTU takes the place of the old one. */
  readonly device: readonly PlacedStep[];
  readonly routes: readonly PlacedStep[];
  /** The standing MTU step that a new one replaces. */
  readonly replacedMtu: number | undefined;
}

/** What leads from the standing steps to the planned ones. `device` is the tunnel device's real name. */
export function planUpdate(standing: readonly JournalEntry[], planned: PlannedSteps, device: string): TunnelUpdate {
  const bound = (steps: readonly TunnelStep[]) => steps.map((step) => bindDevice(step, device));
  const wantedAddresses = bound(planned.device).filter(isAddress);
  const wantedRoutes = bound(planned.routes).filter(isRoute);
  const undoAddresses = idsOf(standing.filter(({ step }) => isAddress(step) && !includes(wantedAddresses, step)));
  const lost = standing.filter(({ id }) => undoAddresses.has(id)).map(({ step }) => step);
  // The kernel drops a device's routes with its last address, and a next hop with the network it is in.
  const falls = (step: TunnelStep): boolean =>
    step.kind === 'add-route' && lost.some((address) => dependsOn(step.route, address, device));
  const undoRoutes = idsOf(
    standing.filter(({ step }) => isRoute(step) && (falls(step) || !includes(wantedRoutes, step))),
  );
  const left = standing.filter(({ id }) => !undoRoutes.has(id) && !undoAddresses.has(id)).map(({ step }) => step);
  const mtu = bound(planned.device).find(({ kind }) => kind === 'set-mtu');
  const oldMtu = standing.find(({ step }) => step.kind === 'set-mtu');
  const newMtu = mtu !== undefined && !includes(left, mtu) ? mtu : undefined;
  const find = (matches: (step: TunnelStep) => boolean) => standing.find(({ step }) => matches(step))?.id;
  const beforeAddress = find((step) => step.kind === 'say' && step.onUndo !== undefined);
  const beforeRoute = find((step) => step.kind === 'hook' && step.onUndo === 'route-pre-down');
  const placed = (steps: readonly TunnelStep[], before: number | undefined) =>
    steps.filter((step) => !includes(left, step)).map((step) => ({ step, before }));
  return {
    undoRoutes,
    undoAddresses,
    device: [
      ...(newMtu === undefined ? [] : [{ step: newMtu, before: oldMtu?.id ?? beforeAddress }]),
      ...placed(bringUp(bound(planned.device)), beforeAddress),
      ...placed(wantedAddresses, beforeAddress),
    ],
    routes: placed(wantedRoutes, beforeRoute),
    replacedMtu: newMtu === undefined ? undefined : oldMtu?.id,
  };
}

const isAddress = (step: TunnelStep): boolean => step.kind === 'add-address';
const isRoute = ({ kind }: TunnelStep): boolean => kind === 'add-route' || kind === 'remove-route';
const bringUp = (steps: readonly TunnelStep[]) => steps.filter(({ kind }) => kind === 'link-up');
const idsOf = (entries: readonly JournalEntry[]): ReadonlySet<number> => new Set(entries.map(({ id }) => id));

/** Whether a route leads into the tunnel by way of an address of it. */
function dependsOn({ prefix, gateway, device }: HostRoute, step: TunnelStep, tunnelDevice: string): boolean {
  if (step.kind !== 'add-address' || prefix.includes(':') !== step.address.includes(':')) return false;
  if (device !== undefined || gateway === undefined) return device === tunnelDevice;
  if (gateway === step.remote) return true;
  const [own, hop] = [parseAddress(step.address), parseAddress(gateway)];
  if (own === undefined || hop === undefined) return false;
  return prefixContains({ address: networkOf(own, step.prefixLength), length: step.prefixLength }, hop);
}

/** Steps are plain data: two that say the same are the same. */
function includes(steps: readonly TunnelStep[], step: TunnelStep): boolean {
  const text = textOf(step);
  return steps.some((other) => textOf(other) === text);
}

const textOf = (step: TunnelStep): string => JSON.stringify(step);

// What a process that is gone has left on the host, and which of it is still its own: that is undone, and nothing that
// somebody else has changed since. The kernel takes a device back with its process, and with it the device's addresses and
// routes; what stays is what was changed elsewhere, and devices that outlive their process.

import { messageOf } from '../error.ts';
import type { DnsApplied, DnsPort } from './dns-port.ts';
import { Journal, type JournalEntry, type SeenBefore } from './journal.ts';
import type { ReadJournal } from './journal-text.ts';
import type { HostRoute, NetworkPort } from './ports.ts';
import { isSameRoute } from './step.ts';

/** One change of the host, after a look at it. `text` is a sentence's predicate: `removed the route 10.0.0.0/8 …`. */
export type Recovered =
  | { readonly result: 'restored'; readonly text: string }
  /** It is somebody else's now, or it can't be known whose it is. */
  | { readonly result: 'left'; readonly text: string; readonly reason: string }
  /** The host refused; another try may succeed. */
  | { readonly result: 'failed'; readonly text: string; readonly reason: string };

/** What to do about a standing step; undefined: there is nothing of it any more. */
type Judgement = { readonly verdict: 'undo'; readonly text: string; act(): Promise<Leave | undefined> } | Leave;

interface Leave {
  readonly verdict: 'leave';
  readonly text: string;
  readonly reason: string;
}

export interface RecoverContext {
  readonly network: NetworkPort;
  readonly dns: DnsPort;
  /** The journal is of the boot that runs: else what the kernel had is gone, and only files are left. */
  readonly sameBoot: boolean;
  /** The journal is of this network namespace. Of another one, or one that is gone, only files are seen from here, where /etc is the same. */
  readonly sameNetwork: boolean;
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean;
}

/** Undoes what is still the dead process's, newest first. Never rejects. */
export async function recoverSteps(journal: ReadJournal, context: RecoverContext): Promise<readonly Recovered[]> {
  const found: Recovered[] = [];
  const { entries } = Journal.replay(journal.records);
  for (const entry of [...entries].reverse()) {
    const recovered = await recoverEntry(entry, context);
    if (recovered !== undefined) found.push(recovered);
  }
  return found;
}

async function recoverEntry(entry: JournalEntry, context: RecoverContext): Promise<Recovered | undefined> {
  let text = `looked at what was left (${entry.step.kind})`;
  try {
    const judgement = await judge(entry, context);
    if (judgement === undefined) return undefined;
    text = judgement.text;
    const left = judgement.verdict === 'leave' ? judgement : context.dryRun ? undefined : await judgement.act();
    return left ? { result: 'left', text: left.text, reason: left.reason } : { result: 'restored', text };
  } catch (error) {
    return { result: 'failed', text, reason: messageOf(error) };
  }
}

async function judge(
  { step, seen, outcome }: JournalEntry,
  { network, dns, sameBoot, sameNetwork }: RecoverContext,
): Promise<Judgement | undefined> {
  if (!sameNetwork) {
    const stands = outcome?.result === 'dns' && isInFile(outcome.applied) && (await dns.stands(outcome.applied));
    return stands ? judgeDns(outcome.applied, dns, false) : undefined;
  }
  switch (step.kind) {
    case 'add-address':
      return sameBoot ? judgeAddress(step, seen, network) : undefined;
    case 'add-route':
      return sameBoot ? judgeAddedRoute(step.route, seen, network) : undefined;
    case 'remove-route':
      return sameBoot ? judgeRemovedRoute(step.route, seen, network) : undefined;
    case 'set-dns':
      return outcome?.result === 'dns'
        ? judgeDns(outcome.applied, dns, sameBoot)
        : judgeHalfDns(step, dns, sameBoot && isNobodyElses(step.device, seen, network));
    default:
      return undefined;
  }
}

/** A file outlives a boot; what a resolver was told, or what lay in /run, does not. */
function judgeDns(applied: DnsApplied, dns: DnsPort, sameBoot: boolean): Judgement | undefined {
  if (!sameBoot && !isInFile(applied)) return undefined;
  const where = 'path' in applied ? applied.path : applied.backend;
  return {
    verdict: 'undo',
    text: `took the name servers of ${applied.device} out of ${where}`,
    async act() {
      const undone = await dns.undo(applied);
      if (undone.result === 'failed') throw new Error(undone.reason);
      return undone.result === 'left'
        ? { verdict: 'leave', text: `left the name servers in ${where}`, reason: undone.reason }
        : undefined;
    },
  };
}

const isInFile = (applied: DnsApplied): boolean =>
  applied.backend === 'file' || (applied.backend === 'dnsmasq' && applied.way === 'servers-file');

/** It died while it set them. */
function judgeHalfDns(
  { device, id }: { readonly device: string; readonly id: string },
  dns: DnsPort,
  byDevice: boolean,
): Judgement {
  return {
    verdict: 'undo',
    text: `made sure that no name servers of ${device} are left`,
    async act() {
      const undone = await dns.clear({ device: byDevice ? device : undefined, id });
      if (undone.result === 'failed') throw new Error(undone.reason);
      return undefined;
    },
  };
}

function undo(text: string, change: () => void): Judgement {
  return {
    verdict: 'undo',
    text,
    act: async () => {
      change();
      return undefined;
    },
  };
}

function judgeAddress(
  step: { device: string; address: string; prefixLength: number; remote: string | undefined },
  seen: SeenBefore | undefined,
  network: NetworkPort,
): Judgement | undefined {
  const { device, address, prefixLength, remote } = step;
  if (!isStillThere(seen, network) || seen.existed) return undefined;
  const same = (own: { address: string; prefixLength: number }) =>
    own.address === address && own.prefixLength === prefixLength;
  if (!network.addressesOf(device).some(same)) return undefined;
  return undo(`removed the address ${address}/${prefixLength} from ${device}`, () =>
    network.removeAddress(device, address, prefixLength, remote === undefined ? {} : { remote }),
  );
}

function judgeAddedRoute(route: HostRoute, seen: SeenBefore | undefined, network: NetworkPort): Judgement | undefined {
  if (!isStillThere(seen, network) || seen.existed) return undefined;
  const ours: HostRoute = { ...route, device: seen.device.name };
  const now = network.routesTo(route.prefix);
  if (now.some((other) => isSameRoute(other, ours))) {
    return undo(`removed the route ${routeText(ours)}`, () => network.removeRoute(ours));
  }
  const other = now.find((each) => isSameRoute(placeOf(each), placeOf(ours)));
  if (other === undefined) return undefined;
  return {
    verdict: 'leave',
    text: `left the route ${routeText(other)}`,
    reason: `it took the place of ${routeText(ours)} since`,
  };
}

function judgeRemovedRoute(
  route: HostRoute,
  seen: SeenBefore | undefined,
  network: NetworkPort,
): Judgement | undefined {
  const text = `put back the route ${routeText(route)}`;
  const now = network.routesTo(route.prefix);
  if (now.some((other) => isSameRoute(other, route))) return undefined;
  const rival = now.find((other) => isSameRoute(placeOf(other), placeOf(route)));
  if (rival !== undefined) {
    return {
      verdict: 'leave',
      text: `left the route ${routeText(rival)}`,
      reason: 'it was set since by somebody else',
    };
  }
  if (!isStillThere(seen, network)) {
    return {
      verdict: 'leave',
      text: `left out the route ${routeText(route)}`,
      reason: 'the device that it led to is not there any more',
    };
  }
  return undo(text, () => network.addRoute(route));
}

/** What two routes can't both have. */
const placeOf = (route: HostRoute): HostRoute => ({
  ...route,
  gateway: undefined,
  device: undefined,
  type: undefined,
});

/** Whether no other tunnel can have the name of the device by now: it is free, or the very device outlived its process. */
const isNobodyElses = (device: string, seen: SeenBefore | undefined, network: NetworkPort): boolean =>
  network.linkIndex(device) === undefined || isStillThere(seen, network);

/** Whether the very device is there that the step was about. */
function isStillThere(
  seen: SeenBefore | undefined,
  network: NetworkPort,
): seen is SeenBefore & { readonly device: NonNullable<SeenBefore['device']> } {
  return seen?.device !== undefined && network.linkIndex(seen.device.name) === seen.device.index;
}

function routeText({ prefix, gateway, device, metric, type }: HostRoute): string {
  const via = gateway === undefined ? '' : ` via ${gateway}`;
  const dev = device === undefined ? '' : ` dev ${device}`;
  return `${type === undefined ? '' : `${type} `}${prefix}${via}${dev}${metric === undefined || metric <= 0 ? '' : ` metric ${metric}`}`;
}

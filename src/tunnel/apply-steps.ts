// Carries out steps in order and undoes them in reverse, keeping the journal, and says what it does in the words of the
// C program.

import { messageOf, SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import { setDns, unsetDns } from './apply-dns.ts';
import type { DnsPort } from './dns-port.ts';
import type { Journal, JournalEntry, SeenBefore, StepOutcome } from './journal.ts';
import { type DevicePort, HostError, type HostRoute, type NetworkPort, type OpenDevice } from './ports.ts';
import {
  bindDevice,
  type HostChange,
  type InverseChange,
  inverse,
  isSameRoute,
  routeLine,
  type ScriptHook,
  type TunnelStep,
} from './step.ts';

export interface StepPorts {
  readonly device: DevicePort;
  readonly network: NetworkPort;
  /** undefined: name servers are left alone. */
  readonly dns?: DnsPort | undefined;
  /** Runs the script of an occasion, if there is one. Rejects only when the program has to end because of it (`up`, `down`). */
  runHook(hook: ScriptHook, device: string): Promise<void>;
}

export interface ApplyResult {
  /** Routes that the host refused; the connection goes on without them, as with the C program. */
  readonly refusedRoutes: number;
}

/**
 * Does the steps in order, each recorded in the journal first. A refused route is logged and left out. Anything else
 * that fails undoes what this call did, without scripts, and rejects with a SallyportError.
 */
export async function applySteps(
  steps: readonly TunnelStep[],
  journal: Journal,
  ports: StepPorts,
  log: Log,
): Promise<ApplyResult> {
  const before = new Set(journal.entries.map((entry) => entry.id));
  let refusedRoutes = 0;
  try {
    for (const step of steps) {
      const outcome = await applyStep(bindDevice(step, journal.device?.name ?? ''), journal, ports, log);
      if (outcome.result === 'failed') refusedRoutes++;
    }
  } catch (cause) {
    await undoEntries(journal, (entry) => !before.has(entry.id), { ...ports, runHook: noScript }, log);
    throw cause;
  }
  return { refusedRoutes };
}

/** Undoes every standing step, newest first, and goes on when one of them fails. Resolves to the number of failures. */
export async function undoSteps(journal: Journal, ports: StepPorts, log: Log): Promise<number> {
  return undoEntries(journal, () => true, ports, log);
}

const noScript = () => Promise.resolve();

/** Does one step, recorded in the journal first, in front of the standing step `before` if one is named. Rejects as `applySteps` does. */
export async function applyStep(
  step: TunnelStep,
  journal: Journal,
  ports: StepPorts,
  log: Log,
  before?: number,
): Promise<StepOutcome> {
  const id = journal.begin(step, before, seenBefore(step, ports.network));
  let outcome: StepOutcome = { result: 'failed' };
  try {
    switch (step.kind) {
      case 'hook':
        if (step.onApply !== undefined) await ports.runHook(step.onApply, deviceName(journal));
        outcome = { result: 'changed' };
        break;
      case 'say':
        if (step.onApply !== undefined) log(step.onApply.flags, step.onApply.text);
        outcome = { result: 'changed' };
        break;
      case 'set-dns':
        outcome = await setDns(step, ports.dns, log);
        break;
      default:
        outcome = change(step, ports, log);
    }
  } finally {
    journal.end(id, outcome);
  }
  return outcome;
}

/** A look at the place that an address, a route or name servers are about to take; undefined where there is nothing to see. */
function seenBefore(step: TunnelStep, network: NetworkPort): SeenBefore | undefined {
  try {
    switch (step.kind) {
      case 'add-address':
        return seenAddress(step, network);
      case 'add-route':
      case 'remove-route':
        return seenRoute(step.route, network);
      case 'set-dns':
        return { existed: false, device: seenDevice(step.device, network) };
      default:
        return undefined;
    }
  } catch {
    return undefined; // the step itself says what is wrong with the host
  }
}

function seenAddress(step: Extract<TunnelStep, { kind: 'add-address' }>, network: NetworkPort): SeenBefore {
  const { device, address, prefixLength } = step;
  const existed = network
    .addressesOf(device)
    .some((own) => own.address === address && own.prefixLength === prefixLength);
  return { existed, device: seenDevice(device, network) };
}

function seenDevice(name: string, network: NetworkPort): SeenBefore['device'] {
  const index = network.linkIndex(name);
  return index === undefined ? undefined : { name, index };
}

function seenRoute(route: HostRoute, network: NetworkPort): SeenBefore {
  const device = deviceOfRoute(route, network);
  const existed = network
    .routesTo(route.prefix)
    .some((other) => isSameRoute(other, { ...route, device: device?.name }));
  return { existed, device };
}

function deviceOfRoute({ device, gateway }: HostRoute, network: NetworkPort): SeenBefore['device'] {
  if (device !== undefined) return seenDevice(device, network);
  const found = gateway === undefined ? undefined : network.lookup(gateway);
  return found && { name: found.device, index: found.deviceIndex };
}

function change(step: HostChange, { device, network }: StepPorts, log: Log): StepOutcome {
  switch (step.kind) {
    case 'open-device':
      return { result: 'opened', device: open(step, device, log) };
    case 'set-mtu':
      log(Level.info, `net_iface_mtu_set: mtu ${step.mtuBytes} for ${step.device}`);
      must(`Linux can't set mtu (${step.mtuBytes}) on ${step.device}`, () =>
        network.setMtu(step.device, step.mtuBytes),
      );
      return { result: 'changed' };
    case 'set-link-address':
      return setLinkAddress(step, network, log);
    case 'link-up':
      log(Level.info, `net_iface_up: set ${step.device} up`);
      must(`Linux can't bring ${step.device} up`, () => network.setLinkUp(step.device, true));
      return { result: 'changed' };
    case 'add-address':
      return addAddress(step, network, log);
    case 'add-route':
      return addRoute(step, network, log);
    case 'remove-route':
      log(Level.routeChange, routeLine('del', step.route));
      try {
        network.removeRoute(step.route);
        return { result: 'changed' };
      } catch (error) {
        log(Level.warning, `ERROR: Linux route delete command failed: ${messageOf(error)}`);
        return { result: 'failed' };
      }
    default:
      return step satisfies never;
  }
}

function open(step: Extract<TunnelStep, { kind: 'open-device' }>, port: DevicePort, log: Log): OpenDevice {
  const { name, layer, node, txQueueLength } = step;
  if (layer === 'null') return { name: 'null', index: 0, fd: -1, persistent: false };
  let device: OpenDevice;
  try {
    device = port.open({ name, layer, node, txQueueLength });
  } catch (error) {
    // The words of the port name the call and the device already.
    throw failure(`ERROR: ${messageOf(error)}`, error, hasNoDriver(error) ? missingDriverHint(node) : undefined);
  }
  log(Level.info, `TUN/TAP device ${device.name} opened`);
  return device;
}

function setLinkAddress(
  { device, address }: Extract<TunnelStep, { kind: 'set-link-address' }>,
  network: NetworkPort,
  log: Log,
): StepOutcome {
  log(Level.info, `net_addr_ll_set: lladdr ${address} for ${device}`);
  try {
    network.setLinkAddress(device, address);
    return { result: 'changed' };
  } catch (error) {
    log(Level.warning, `ERROR: Unable to set link layer address: ${messageOf(error)}`);
    return { result: 'failed' };
  }
}

function addAddress(step: Extract<TunnelStep, { kind: 'add-address' }>, network: NetworkPort, log: Log): StepOutcome {
  const { device, address, prefixLength, remote, broadcast } = step;
  const version = address.includes(':') ? 6 : 4;
  log(
    Level.info,
    remote === undefined
      ? `net_addr_v${version}_add: ${address}/${prefixLength} dev ${device}`
      : `net_addr_ptp_v${version}_add: ${address} peer ${remote} dev ${device}`,
  );
  const options = { ...(remote === undefined ? {} : { remote }), ...(broadcast === undefined ? {} : { broadcast }) };
  try {
    network.addAddress(device, address, prefixLength, options);
    return { result: 'changed' };
  } catch (error) {
    if (isHostError(error, 'EEXIST')) return { result: 'existed' };
    throw failure(
      `Linux can't add ${version === 6 ? 'IPv6' : 'IP'} to interface ${device}: ${messageOf(error)}`,
      error,
    );
  }
}

function addRoute(step: Extract<TunnelStep, { kind: 'add-route' }>, network: NetworkPort, log: Log): StepOutcome {
  const { route } = step;
  if (route.prefix.includes(':')) {
    log(
      Level.routeChange,
      `add_route_ipv6(${route.prefix} -> ${step.shownGateway ?? '::'} metric ${route.metric ?? -1}) dev ${route.device}`,
    );
  }
  log(Level.routeChange, routeLine('add', route));
  try {
    network.addRoute(route);
    return { result: 'changed' };
  } catch (error) {
    if (isHostError(error, 'EEXIST')) {
      log(Level.routeChange, 'NOTE: Linux route add command failed because route exists');
      return { result: 'existed' };
    }
    log(Level.warning, `ERROR: Linux route add command failed: ${messageOf(error)}`);
    return { result: 'failed' };
  }
}

/** Undoes those standing steps, newest first, and goes on when one fails. Resolves to the number of failures. */
export async function undoEntries(
  journal: Journal,
  mine: (entry: JournalEntry) => boolean,
  ports: StepPorts,
  log: Log,
): Promise<number> {
  let failures = 0;
  // Scripts at the very end still want the name of the device that is gone by then.
  const name = deviceName(journal);
  for (const entry of journal.entries.filter(mine).reverse()) {
    let done = true;
    try {
      done = await undoEntry(entry, name, ports, log);
    } catch (error) {
      // What this host had before us is worth another try.
      done = entry.step.kind !== 'remove-route' || isHostError(error, 'EEXIST');
      const { level, text } = undoFailure(entry.step, error);
      log(level, text);
      failures++;
    }
    if (!done) {
      journal.leave(entry.id);
      continue;
    }
    try {
      journal.undone(entry.id);
    } catch (error) {
      failures++;
      log(Level.warning, `Cannot write the journal: ${messageOf(error)}`);
    }
  }
  return failures;
}

/** False where it still stands and that has been told. */
async function undoEntry(entry: JournalEntry, name: string, ports: StepPorts, log: Log): Promise<boolean> {
  const { step } = entry;
  if (step.kind === 'set-dns') return unsetDns(step, entry.outcome, ports.dns, log);
  if (step.kind === 'hook' && step.onUndo !== undefined) await ports.runHook(step.onUndo, name);
  if (step.kind === 'say' && step.onUndo !== undefined) log(step.onUndo.flags, step.onUndo.text);
  const change = inverse(step);
  try {
    if (change !== undefined) revert(change, entry, ports, log);
  } catch (error) {
    // A step that the process died in may not have happened at all.
    if (entry.outcome !== undefined) throw error;
  }
  return true;
}

function revert(change: InverseChange, entry: JournalEntry, { device, network }: StepPorts, log: Log): void {
  switch (change.kind) {
    case 'close-device':
      if (entry.outcome?.result === 'opened' && entry.outcome.device.fd >= 0) device.close(entry.outcome.device);
      return;
    case 'remove-address': {
      const { address, prefixLength, remote } = change;
      const version = address.includes(':') ? 6 : 4;
      if (remote !== undefined) log(Level.info, `net_addr_ptp_v${version}_del: ${address} dev ${change.device}`);
      else if (version === 6) log(Level.info, `net_addr_v6_del: ${address}/${prefixLength} dev ${change.device}`);
      else log(Level.info, `net_addr_v4_del: ${address} dev ${change.device}`);
      network.removeAddress(change.device, address, prefixLength, remote === undefined ? {} : { remote });
      return;
    }
    case 'remove-route':
      if (change.route.prefix.includes(':')) log(Level.routeChange, `delete_route_ipv6(${change.route.prefix})`);
      log(Level.routeChange, routeLine('del', change.route));
      network.removeRoute(change.route);
      return;
    case 'restore-route':
      log(Level.routeChange, routeLine('add', change.route));
      network.addRoute(change.route);
      return;
    default:
      change satisfies never;
  }
}

function undoFailure(step: TunnelStep, error: unknown): { level: number; text: string } {
  const reason = messageOf(error);
  switch (step.kind) {
    case 'add-address': {
      const what = step.address.includes(':') ? 'IPv6' : 'IP';
      return { level: Level.warning, text: `Linux can't del ${what} from iface ${step.device}: ${reason}` };
    }
    case 'add-route': {
      const v6 = step.route.prefix.includes(':') ? ' v6' : '';
      return { level: Level.warning, text: `ERROR: Linux route${v6} delete command failed: ${reason}` };
    }
    case 'remove-route':
      return { level: Level.warning, text: `ERROR: Linux route add command failed: ${reason}` };
    case 'hook':
      return { level: Level.warning, text: reason };
    default:
      return { level: Level.warning, text: `Cannot undo ${step.kind}: ${reason}` };
  }
}

function deviceName(journal: Journal): string {
  return journal.device?.name ?? '';
}

function must<T>(message: string, attempt: () => T): T {
  try {
    return attempt();
  } catch (error) {
    throw failure(`${message}: ${messageOf(error)}`, error);
  }
}

function failure(message: string, cause: unknown, hint?: string): SallyportError {
  const denied = isHostError(cause, 'EPERM') || isHostError(cause, 'EACCES');
  return new SallyportError(message, {
    code: denied ? 'SALLYPORT_PERMISSION' : 'SALLYPORT_HOST',
    blame: 'config',
    cause,
    hint:
      hint ??
      (denied
        ? 'Changing network devices and routes needs root or the capability CAP_NET_ADMIN.'
        : 'Look at the device and its options; nothing was left behind on the host.'),
  });
}

/** No such file, or one without a driver behind it: `ENODEV` and `ENXIO` are what opening that gives. */
const hasNoDriver = (error: unknown): boolean => ['ENOENT', 'ENODEV', 'ENXIO'].some((code) => isHostError(error, code));

const missingDriverHint = (node: string | undefined): string =>
  node === undefined
    ? 'Load the driver with "modprobe tun"; in a container, pass the device in (--device /dev/net/tun).'
    : 'Correct dev-node, or leave it out: /dev/net/tun is the usual one.';

function isHostError(error: unknown, code: string): boolean {
  return error instanceof HostError && error.code === code;
}

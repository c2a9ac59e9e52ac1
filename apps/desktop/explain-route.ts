// Which way an address goes, and what decides it: the kernel's answer, laid beside the policy rules and the plans of the
// tunnels that run. Pure.

import { type PolicyRule, parseAddress, parsePrefix, prefixContains, type RouteFound } from '../../src/look.ts';

/** A tunnel of ours that is up, as GET /plan tells it. */
export interface TunnelSeen {
  readonly name: string;
  readonly device: string;
  readonly ipv6Leak: string | undefined;
  readonly routes: readonly { readonly prefix: string; readonly origin: string; readonly table: number | undefined }[];
}

export interface RouteFacts {
  readonly tunnels: readonly TunnelSeen[];
  /** Devices that lead into some tunnel, whoever made it, and of which kind. */
  readonly tunnelKind: (device: string) => string | undefined;
  readonly rules: (family: 4 | 6) => readonly PolicyRule[];
  readonly uid: number;
}

export interface Destination {
  readonly address: string;
  /** `direct`: past every tunnel. `refused`: a route says no. `unreachable`: there is no route. */
  readonly verdict: 'tunnel' | 'direct' | 'local' | 'refused' | 'unreachable';
  /** The tunnel's name where it is ours, else what kind of device it is. */
  readonly tunnel: { readonly name: string | undefined; readonly kind: string; readonly device: string } | undefined;
  readonly route: RouteFound;
  readonly rule: PolicyRule | undefined;
  /** Who made the route, where it is known. */
  readonly because: string | undefined;
}

/** Puts together what is known of the way to an address. */
export function explainRoute(address: string, route: RouteFound, facts: RouteFacts): Destination {
  const family = address.includes(':') ? 6 : 4;
  const rule = decidingRule(address, route, facts.rules(family), facts.uid);
  const { device, kind } = route;
  const own = facts.tunnels.find((each) => each.device === device);
  const other = device === undefined ? undefined : facts.tunnelKind(device);
  const tunnel =
    kind === 'unicast' && device !== undefined && (own !== undefined || other !== undefined)
      ? { name: own?.name, kind: other ?? 'tun', device }
      : undefined;
  const because = reasonOf(route, facts.tunnels);
  return { address, verdict: verdictOf(route, tunnel !== undefined), tunnel, route, rule, because };
}

function verdictOf({ kind }: RouteFound, inTunnel: boolean): Destination['verdict'] {
  switch (kind) {
    case 'local':
      return 'local';
    case 'none':
      return 'unreachable';
    case 'blackhole':
    case 'unreachable':
    case 'prohibit':
      return 'refused';
    default:
      return inTunnel ? 'tunnel' : 'direct';
  }
}

const LOCAL_TABLE = 255;

/** The rule by which the kernel came to the table of the answer: the first one that fits a packet of this machine's own. */
export function decidingRule(
  address: string,
  found: RouteFound,
  rules: readonly PolicyRule[],
  uid: number,
): PolicyRule | undefined {
  let from = 0;
  for (const rule of rules) {
    if (rule.priority < from || !fits(rule, address, uid)) continue;
    if (rule.action === 'goto') {
      from = rule.goto ?? from;
      continue;
    }
    if (rule.action !== 'table') {
      if (rule.action === found.kind && found.table === undefined) return rule;
      continue;
    }
    // Without rules of its own the kernel keeps the local table and the main one together.
    if (found.kind === 'local' ? rule.table !== LOCAL_TABLE : rule.table !== found.table) continue;
    const length = found.prefix === undefined ? undefined : Number(found.prefix.split('/')[1]);
    if (rule.suppressLength !== undefined && length !== undefined && length <= rule.suppressLength) continue;
    return rule;
  }
  return undefined;
}

/** Whether a rule fits a packet that a program here sends without saying from where. */
function fits(rule: PolicyRule, address: string, uid: number): boolean {
  const { from, to, mark, inputDevice, outputDevice, users } = rule;
  const bytes = parseAddress(address);
  const prefix = to === undefined ? undefined : parsePrefix(to);
  const fit =
    from === undefined &&
    outputDevice === undefined &&
    (inputDevice === undefined || inputDevice === 'lo') &&
    (mark === undefined || (mark.value & mark.mask) === 0) &&
    (users === undefined || (uid >= users[0] && uid <= users[1])) &&
    (prefix === undefined || (bytes !== undefined && prefixContains(prefix, bytes))) &&
    !rule.more;
  return fit !== rule.inverted;
}

/** The rule as `ip rule` writes it. */
export function ruleText(rule: PolicyRule): string {
  const words = [rule.inverted ? 'not from' : 'from', rule.from ?? 'all'];
  if (rule.to !== undefined) words.push('to', rule.to);
  if (rule.mark !== undefined) {
    const { value, mask } = rule.mark;
    words.push('fwmark', `0x${value.toString(16)}${mask === 0xffff_ffff ? '' : `/0x${mask.toString(16)}`}`);
  }
  if (rule.inputDevice !== undefined) words.push('iif', rule.inputDevice);
  if (rule.outputDevice !== undefined) words.push('oif', rule.outputDevice);
  if (rule.users !== undefined) words.push('uidrange', rule.users.join('-'));
  if (rule.action === 'table') words.push('lookup', tableText(rule.table));
  else words.push(rule.action, ...(rule.goto === undefined ? [] : [String(rule.goto)]));
  if (rule.suppressLength !== undefined) words.push('suppress_prefixlength', String(rule.suppressLength));
  return words.join(' ');
}

export const tableText = (table: number): string =>
  new Map([
    [253, 'default'],
    [254, 'main'],
    [255, 'local'],
  ]).get(table) ?? String(table);

function reasonOf({ prefix, kind, device, table }: RouteFound, tunnels: readonly TunnelSeen[]): string | undefined {
  for (const tunnel of tunnels) {
    const route = tunnel.routes.find((each) => each.prefix === prefix && (each.table ?? 254) === (table ?? 254));
    if (route === undefined) continue;
    if (kind === 'unreachable') {
      if (route.origin !== 'ipv6-leak') continue;
      return `IPv6 is blocked while ${tunnel.name} is up, for it takes IPv4 only (--allow-ipv6-leak leaves it open)`;
    }
    const outside = route.origin === 'host-route' || route.origin === 'bypass';
    if (outside === (tunnel.device === device)) continue;
    switch (route.origin) {
      case 'server':
        return `the server of ${tunnel.name} pushed this route`;
      case 'client':
        return `the profile of ${tunnel.name} has this route`;
      case 'redirect-gateway':
        return `${tunnel.name} takes everything (redirect-gateway)`;
      case 'block-local':
        return `${tunnel.name} takes the local network, too (redirect-gateway block-local)`;
      case 'host-route':
        return `this is the server of ${tunnel.name}: its packets must not go into the tunnel`;
      case 'bypass':
        return `${tunnel.name} leaves this way open (redirect-gateway bypass-dhcp or bypass-dns)`;
      default:
        break;
    }
  }
  const own = tunnels.find((tunnel) => tunnel.device === device);
  return own === undefined ? undefined : `this is the network of ${own.name} itself`;
}

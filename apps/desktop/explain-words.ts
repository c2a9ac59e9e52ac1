// What `explain` says: one plain sentence, then the why; and the same as JSON. Pure.

import type { NameDecision } from './explain-name.ts';
import { type Destination, ruleText, tableText } from './explain-route.ts';

/** Everything found out about one address or name. */
export interface Explanation {
  readonly query: string;
  /** Undefined: an address was asked about. */
  readonly name: (NameDecision & { readonly serverRoutes: readonly Destination[] }) | undefined;
  /** Why there are no addresses. */
  readonly problem: string | undefined;
  readonly destinations: readonly Destination[];
}

export function explanationLines(explanation: Explanation): readonly string[] {
  const { query, name, problem, destinations } = explanation;
  const [first] = destinations;
  const lines = [
    first === undefined ? `${query} has no address: ${problem ?? 'nobody knows it'}.` : sentence(query, first),
  ];
  if (name !== undefined) lines.push(...nameLines(name));
  for (const destination of destinations) lines.push(...destinationLines(destination, name !== undefined));
  return lines;
}

function sentence(query: string, destination: Destination, verb = 'goes'): string {
  const { address, tunnel, route } = destination;
  const what = query === address ? query : `${query} (${address})`;
  switch (destination.verdict) {
    case 'tunnel':
      return `${what} ${verb} through ${tunnelText(tunnel)}.`;
    case 'direct': {
      const via = route.gateway === undefined ? ', on the local network' : ` by way of ${route.gateway}`;
      return `${what} ${verb} past every tunnel, out of ${route.device ?? 'some device'}${via}.`;
    }
    case 'local':
      return `${what} is this machine.`;
    case 'refused':
      return `${what} is not reached: a route of this machine refuses it.`;
    case 'unreachable':
      return `${what} is not reached: this machine has no route to it.`;
    default:
      return destination.verdict satisfies never;
  }
}

const KINDS = new Map([
  ['tun', 'a tunnel'],
  ['tunnel', 'a tunnel'],
  ['wireguard', 'a WireGuard tunnel'],
  ['ppp', 'a PPP link'],
]);

function tunnelText(tunnel: Destination['tunnel']): string {
  if (tunnel === undefined) return 'no tunnel';
  if (tunnel.name !== undefined) return `the tunnel ${tunnel.name} (${tunnel.device})`;
  return `${KINDS.get(tunnel.kind) ?? `a ${tunnel.kind} tunnel`} (${tunnel.device}) of another program or user`;
}

const row = (title: string, text: string): string => `  ${title.padEnd(10)}${text}`;

function nameLines(name: NonNullable<Explanation['name']>): readonly string[] {
  if (name.kind !== 'servers') {
    const asked = name.kind === 'multicast' ? 'the local network is asked' : 'no name server is asked';
    return [row('name', `${asked}: ${name.because}`)];
  }
  const servers = name.servers.map(({ address, device }) =>
    device === undefined ? address : `${address} on ${device}`,
  );
  const by = name.by === '/etc/resolv.conf' ? '' : ` by ${name.by}`;
  const afterwards = name.afterwards.length === 0 ? '' : `, then for ${name.afterwards.join(', ')}`;
  return [
    row(
      'name',
      `${servers.join(' and ')} ${servers.length > 1 ? 'are' : 'is'} asked${by} for ${name.name}${afterwards}`,
    ),
    row('', name.because),
    ...name.serverRoutes.map((each) => {
      const server = `the server ${each.address}`;
      return row('', sentence(server, { ...each, address: server }, 'is reached').replace(/\.$/, ''));
    }),
  ];
}

function destinationLines(destination: Destination, named: boolean): readonly string[] {
  const { address, route, rule, because } = destination;
  const lines = named ? [row('address', address)] : [];
  if (route.kind === 'none') lines.push(row('route', 'none'));
  else {
    const kind = route.kind === 'unicast' ? '' : `${route.kind} `;
    const via = route.gateway === undefined ? '' : ` via ${route.gateway}`;
    const device = route.device === undefined ? '' : ` dev ${route.device}`;
    const source = route.source === undefined ? '' : `, from ${route.source}`;
    lines.push(row('route', `${kind}${route.prefix ?? address}${via}${device}${source}`));
  }
  if (rule !== undefined) {
    const longest =
      rule.action === 'table' && route.prefix !== undefined
        ? `: ${route.prefix} is the longest match in the table ${tableText(rule.table)}`
        : '';
    lines.push(row('rule', `${rule.priority} (${ruleText(rule)})${longest}`));
  }
  if (because !== undefined) lines.push(row('because', because));
  return lines;
}

/** The same for programs; null where nothing is known. */
export function explanationJson({ query, name, problem, destinations }: Explanation): unknown {
  return {
    query,
    name:
      name === undefined
        ? null
        : name.kind === 'servers'
          ? {
              answeredBy: 'name-server',
              asks: name.by,
              name: name.name,
              afterwards: name.afterwards,
              servers: name.servers.map(({ address, device }, at) => ({
                address,
                device: device ?? null,
                way: at < name.serverRoutes.length ? destinationJson(name.serverRoutes[at]) : null,
              })),
              because: name.because,
            }
          : { answeredBy: name.kind, because: name.because },
    problem: problem ?? null,
    addresses: destinations.map(destinationJson),
  };
}

function destinationJson(destination: Destination | undefined): unknown {
  if (destination === undefined) return null;
  const { address, verdict, tunnel, route, rule, because } = destination;
  return {
    address,
    verdict,
    tunnel: tunnel === undefined ? null : { name: tunnel.name ?? null, kind: tunnel.kind, device: tunnel.device },
    device: route.device ?? null,
    gateway: route.gateway ?? null,
    source: route.source ?? null,
    prefix: route.prefix ?? null,
    metric: route.metric ?? null,
    table: route.table ?? null,
    rule: rule === undefined ? null : { priority: rule.priority, text: ruleText(rule) },
    because: because ?? null,
  };
}

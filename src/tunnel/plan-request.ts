// From what an attempt asks for to the plan of the tunnel and the steps that make it, on this host.

import type { Config, TunnelOptions } from '../config/config.ts';
import { formatAddress } from '../ip/address.ts';
import { unmapSocketAddress } from '../ip/socket-address.ts';
import type { Log } from '../log.ts';
import type { ResolverPort } from '../ports.ts';
import { dnsSetter } from './dns-steps.ts';
import type { HostFacts } from './host-facts.ts';
import type { TunnelRequest } from './host-port.ts';
import { type Ipv6LeakRule, ipv6LeakRule } from './ipv6-leak.ts';
import { makeTunnelPlan } from './make-plan.ts';
import type { TunnelPlan } from './plan.ts';
import { type PlannedSteps, planSteps } from './plan-steps.ts';
import { namesToResolve } from './planning.ts';

export interface PlanningPorts {
  readonly resolver: ResolverPort;
  /** Whether name servers of the host are set by a port; otherwise by scripts, or not at all. */
  readonly setsDns: boolean;
  readonly log: Log;
}

/** `dnsId` names this tunnel's name servers on the host: never the same twice. Rejects when the request's signal comes. */
export async function planRequest(
  request: TunnelRequest,
  config: Config,
  facts: HostFacts,
  dnsId: string,
  ports: PlanningPorts,
): Promise<{ readonly plan: TunnelPlan; readonly steps: PlannedSteps }> {
  const { profile, tunnel, signal } = request;
  const { plan, log: lines } = makeTunnelPlan({
    device: config.device,
    options: tunnel,
    profile: config.tunnel,
    tunMtuBytes: tunnel.tunMtuBytes ?? profile.tunMtuBytes,
    server: serverOf(request),
    ifconfigNowarn: config.ifconfigNowarn,
    ipv6Leak: leakRule(tunnel, config),
    namesOverlaps: config.mode !== 'server',
    facts,
    resolved: await resolveNames(tunnel, ports.resolver, signal),
  });
  for (const { flags, text } of lines) ports.log(flags, text);
  const by = dnsSetter(config.scripts, ports.setsDns);
  const steps = planSteps(plan, {
    dns: by === undefined ? undefined : { by, id: dnsId, onlyItsNetworks: config.onlyItsNetworks },
    node: config.device.node,
    txQueueLength: tunnel.txQueueLength,
    ifconfigNoexec: config.ifconfigNoexec,
    routeNoexec: config.routeNoexec,
    downPre: config.scripts.downPre,
  });
  return { plan, steps };
}

/** Whom no route may lead into the tunnel, as text; undefined for a server, which has many peers. */
export const serverOf = ({ remote }: Pick<TunnelRequest, 'remote'>): string | undefined =>
  remote === undefined ? undefined : formatAddress(unmapSocketAddress(remote).address);

/** A server's own routes are its business. */
function leakRule(
  { blockIpv6 }: TunnelOptions,
  { mode, blockIpv6Leak, routeNoexec }: Config,
): Ipv6LeakRule | undefined {
  return mode === 'server' ? undefined : ipv6LeakRule({ blockIpv6Leak, blockIpv6, routeNoexec });
}

/** Names in routes (allow-pull-fqdn, or the profile's own); one that can't be resolved fails its route alone. */
async function resolveNames(
  tunnel: TunnelOptions,
  resolver: ResolverPort,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const name of namesToResolve(tunnel)) {
    const addresses = await resolver.resolve(name, 4, signal).catch(() => []);
    signal.throwIfAborted();
    found.set(
      name,
      addresses.map(({ address }) => formatAddress(address)),
    );
  }
  return found;
}

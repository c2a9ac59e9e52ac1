// Who sets a tunnel's name servers, and when: as OpenVPN 2.7, after the addresses and before `up`. At every end, a restart
// that keeps the device among them, they go before anything else.

import type { ScriptOptions } from '../config/config.ts';
import { Level } from '../log.ts';
import type { TunnelPlan } from './plan.ts';
import { TUNNEL_DEVICE, type TunnelStep } from './step.ts';

export interface DnsContext {
  /** `native`: this program; `script`: that of `dns-updown`. */
  readonly by: 'native' | 'script';
  readonly id: string;
  readonly onlyItsNetworks: boolean;
}

/** undefined: nobody. An `up` script stands for its own DNS, unless `dns-updown` says otherwise. */
export function dnsSetter({ dnsUpdown, up }: ScriptOptions, hasPort: boolean): DnsContext['by'] | undefined {
  if (dnsUpdown === 'disable') return undefined;
  if (Array.isArray(dnsUpdown)) return 'script';
  if (up !== undefined && dnsUpdown !== 'force') return undefined;
  return hasPort ? 'native' : undefined;
}

/** Nothing where there is no server: search domains alone are not set. */
export function dnsSteps(plan: TunnelPlan, { by, id, onlyItsNetworks }: DnsContext): TunnelStep[] {
  const { servers, searchDomains } = plan.dns;
  if (servers.length === 0 || plan.layer === 'null') return [];
  return [
    ...familyWarnings(plan).map((text): TunnelStep => {
      return { kind: 'say', onApply: { flags: Level.warning, text }, onUndo: undefined };
    }),
    by === 'script'
      ? { kind: 'hook', onApply: 'dns-up', onUndo: 'dns-down' }
      : { kind: 'set-dns', device: TUNNEL_DEVICE, id, wanted: { servers, searchDomains, onlyItsNetworks } },
  ];
}

/** Whether a standing step has set name servers. */
export const setsDns = (step: TunnelStep): boolean =>
  step.kind === 'set-dns' || (step.kind === 'hook' && step.onUndo === 'dns-down');

function familyWarnings({ dns, address4, address6 }: TunnelPlan): string[] {
  return dns.servers.flatMap(({ priority, addresses }) => {
    const strange = addresses.filter(({ address }) =>
      address.includes(':') ? address6 === undefined : address4 === undefined,
    ).length;
    const family = 'from a family the tunnel is not configured for';
    if (strange === 0) return [];
    return strange === addresses.length
      ? [`DNS server ${priority} only has address(es) ${family} - it will not be reachable`]
      : [`DNS server ${priority} has address(es) ${family}`];
  });
}

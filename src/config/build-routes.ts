// Routes, from lines of a profile and from words of a push reply.

import type { TunnelContext } from './build-tunnel.ts';
import type { RedirectFlags } from './config.ts';
import type { TunnelDraft } from './draft.ts';
import type { Say } from './findings.ts';
import { ipv6Prefix, isAddressOrName, isIpv4, isIpv6, isSpecialGateway, nonNegative, shown } from './values.ts';

/** Reads a `route` line. A profile may name hosts, which are resolved when the routes are set; a server only with allow-pull-fqdn. */
export function readRoute(draft: TunnelDraft, args: readonly string[], say: Say, context: TunnelContext): void {
  const [network = '', netmask, gateway, metric] = args;
  const place = (value: string): boolean => isAddressOrName(value, context.allowNames) || isSpecialGateway(value);
  const nameable = (value: string): boolean => !context.pulled && /^[^\s\0-\x1f]{1,255}$/.test(value);
  if (!place(network) && !nameable(network)) {
    say.error(`route parameter network/IP '${shown(network)}' must be a valid address`);
  } else if (
    netmask !== undefined &&
    netmask !== 'default' &&
    !isIpv4(netmask) &&
    (context.pulled || !isSpecialGateway(netmask))
  ) {
    say.error(`route parameter netmask '${shown(netmask)}' must be an IP address`);
  } else if (gateway !== undefined && gateway !== 'default' && !place(gateway) && !nameable(gateway)) {
    say.error(`route parameter gateway '${shown(gateway)}' must be a valid address`);
  } else {
    draft.routes.push({
      network,
      netmask: netmask === 'default' ? undefined : netmask,
      gateway: gateway === 'default' ? undefined : gateway,
      metric: metric === undefined || metric === 'default' ? undefined : nonNegative(metric, say),
      table: draft.routeTable,
    });
  }
}

/** Reads a `route-ipv6` line. */
export function readRoute6(draft: TunnelDraft, args: readonly string[], say: Say): void {
  const [network = '', gateway, metric] = args;
  if (ipv6Prefix(network) === undefined) {
    say.error(`route-ipv6 parameter network/IP '${shown(network)}' must be a valid address`);
  } else if (gateway !== undefined && gateway !== 'default' && !isIpv6(gateway)) {
    say.error(`route-ipv6 parameter gateway '${shown(gateway)}' must be a valid address`);
  } else {
    draft.routes6.push({
      network,
      gateway: gateway === 'default' ? undefined : gateway,
      metric: metric === undefined || metric === 'default' ? undefined : nonNegative(metric, say),
      table: draft.routeTable,
    });
  }
}

/** Flags of `redirect-gateway` or `redirect-private` added to earlier ones; undefined after a complaint. */
export function redirectFlags(
  before: RedirectFlags | undefined,
  args: readonly string[],
  say: Say,
  option: 'redirect-gateway' | 'redirect-private',
): RedirectFlags | undefined {
  const flags = {
    local: before?.local ?? false,
    autolocal: before?.autolocal ?? false,
    def1: before?.def1 ?? false,
    bypassDhcp: before?.bypassDhcp ?? false,
    bypassDns: before?.bypassDns ?? false,
    blockLocal: before?.blockLocal ?? false,
    ipv4: true,
    ipv6: before?.ipv6 ?? false,
  };
  for (const each of args) {
    if (each === 'local') flags.local = true;
    else if (each === 'autolocal') flags.autolocal = true;
    else if (each === 'def1') flags.def1 = true;
    else if (each === 'bypass-dhcp') flags.bypassDhcp = true;
    else if (each === 'bypass-dns') flags.bypassDns = true;
    else if (each === 'block-local') flags.blockLocal = true;
    else if (each === 'ipv6') flags.ipv6 = true;
    else if (each === '!ipv4') flags.ipv4 = false;
    else {
      say.error(`unknown --${option} flag: ${shown(each)}`);
      return undefined;
    }
  }
  return flags;
}

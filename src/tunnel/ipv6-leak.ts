// IPv6 beside a tunnel that takes all IPv4 and no IPv6: what a person sends there goes past the tunnel, with the person's
// own address. It is blocked by routes that refuse, more specific than the default route and less than every network of
// the host: what is on link stays reachable, and what is not is refused at once.

import { parsePrefix, prefixesCover } from '../ip/prefix.ts';
import { Level } from '../log.ts';
import type { PlannedRoute } from './plan.ts';
import type { RoutePlanning } from './planning.ts';

/** What is done about it: `block-ipv6-leak`, or what follows where nothing is stated. */
export type Ipv6LeakRule = 'block' | 'warn' | 'allow' | 'not-ours';

/** IPv6 while the tunnel takes all IPv4; undefined where it takes IPv6, too, or not all IPv4, or where there is no IPv6. */
export type Ipv6Leak = 'blocked' | 'open' | undefined;

/** All that is in use of global addresses, in pieces that win over a default route of ::/0 and of 2000::/3. */
const BLOCKED = ['::/3', '2000::/4', '3000::/4'];
const GLOBAL = '2000::/3';
const MAIN_TABLE = 254;

/** `block-ipv6` asks for it as well as the option of its name; under `route-noexec` routes are somebody else's business. */
export function ipv6LeakRule(stated: {
  readonly blockIpv6Leak: boolean | undefined;
  readonly blockIpv6: boolean;
  readonly routeNoexec: boolean;
}): Ipv6LeakRule {
  if (stated.blockIpv6Leak === false) return 'allow';
  if (stated.routeNoexec) return 'not-ours';
  return stated.blockIpv6Leak === true || stated.blockIpv6 ? 'block' : 'warn';
}

/** Whether planned routes take all IPv4 into the tunnel and leave IPv6 beside it. Reusable where others set the routes. */
export function leavesIpv6Beside(
  routes4: readonly Pick<PlannedRoute, 'prefix' | 'table'>[],
  routes6: readonly Pick<PlannedRoute, 'prefix' | 'table'>[],
): boolean {
  return covers(routes4, '0.0.0.0/0') && !covers(routes6, GLOBAL);
}

/** The routes that block, and the line about it. `through4` and `through6`: what is planned to lead into the tunnel. */
export function planIpv6Leak(
  { input, say }: RoutePlanning,
  through4: readonly PlannedRoute[],
  through6: readonly PlannedRoute[],
): { readonly leak: Ipv6Leak; readonly routes: readonly PlannedRoute[] } {
  const { ipv6Leak: rule, facts } = input;
  if (rule === undefined || input.device.type === 'null') return { leak: undefined, routes: [] };
  if (!leavesIpv6Beside(through4, through6) || !facts.addresses.some(({ address }) => address.includes(':'))) {
    return { leak: undefined, routes: [] };
  }
  const way = facts.netGateway6;
  const carriesUs = facts.serverGateway4?.device.startsWith('clat') && input.server?.includes(':') === false;
  if (rule === 'block' && !carriesUs) {
    say(
      Level.info,
      'NOTE: IPv6 to the Internet is blocked while the tunnel is up, for the tunnel takes IPv4 only (block-ipv6-leak no leaves it open)',
    );
    const metric = facts.refusingMetrics6.length === 0 ? undefined : Math.max(...facts.refusingMetrics6) + 1;
    return { leak: 'blocked', routes: BLOCKED.map((prefix) => refusing(prefix, metric)) };
  }
  if (rule === 'block') {
    say(
      Level.warning,
      'WARNING: IPv6 is not blocked although the tunnel takes IPv4 only: IPv4 itself goes over IPv6 here (464XLAT), and the tunnel with it',
    );
  } else if (rule !== 'allow' && way !== undefined) {
    const remedy =
      rule === 'warn' ? 'block-ipv6-leak yes blocks it' : 'under route-noexec it can be blocked by who sets the routes';
    say(
      Level.warning,
      `WARNING: IPv6 goes past the tunnel, which takes IPv4 only: out of ${way.device}, with this machine's own address (${remedy}, block-ipv6-leak no takes this warning away)`,
    );
  }
  return { leak: way === undefined ? undefined : 'open', routes: [] };
}

function covers(routes: readonly Pick<PlannedRoute, 'prefix' | 'table'>[], text: string): boolean {
  const target = parsePrefix(text);
  const prefixes = routes.flatMap(({ prefix, table }) => {
    const parsed = (table ?? MAIN_TABLE) === MAIN_TABLE ? parsePrefix(prefix) : undefined;
    return parsed === undefined ? [] : [parsed];
  });
  return target !== undefined && prefixesCover(prefixes, target);
}

const refusing = (prefix: string, metric: number | undefined): PlannedRoute => ({
  prefix,
  gateway: undefined,
  statedGateway: undefined,
  // Where the kernel itself puts what leads nowhere.
  device: 'lo',
  metric,
  table: undefined,
  type: 'unreachable',
  origin: 'ipv6-leak',
});

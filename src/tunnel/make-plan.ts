// Options and facts of the host to the one plan of what the tunnel looks like here. Pure: names were resolved and the
// host was asked before (`host-facts`), and the words for the log come back with the plan.

import type { TunnelOptions } from '../config/config.ts';
import { SallyportError } from '../error.ts';
import { type AddressBytes, formatAddress, parseAddress } from '../ip/address.ts';
import { lastAddressOf, lengthToNetmask, netmaskToLength, networkOf, prefixContains } from '../ip/prefix.ts';
import { Level, type LogFlags } from '../log.ts';
import { makeDnsPlan } from './dns-plan.ts';
import { warnOfOverlaps } from './overlap.ts';
import type { TunnelAddress4, TunnelAddress6, TunnelPlan } from './plan.ts';
import { addresses4, isPointToPoint, type RoutePlanning, type TunnelPlanInput } from './planning.ts';
import { planRoutes4 } from './routes4.ts';
import { planRoutes6 } from './routes6.ts';

export interface PlanLine {
  readonly flags: LogFlags;
  readonly text: string;
}

export interface PlannedTunnel {
  readonly plan: TunnelPlan;
  /** What to log about it, in order. */
  readonly log: readonly PlanLine[];
  /** A route or a redirection could not be planned: the connection counts as completed with route errors. */
  readonly incomplete: boolean;
}

/** Plans the tunnel. Throws SallyportError (SALLYPORT_CONFIG) when the tunnel's own addresses make no sense; nothing has been changed then. */
export function makeTunnelPlan(input: TunnelPlanInput): PlannedTunnel {
  const log: PlanLine[] = [];
  let incomplete = false;
  const planning: RoutePlanning = {
    input,
    say: (flags, text) => log.push({ flags, text }),
    fail: (text) => {
      incomplete = true;
      log.push({ flags: Level.warning, text });
    },
  };
  const { device, options, facts } = input;
  const address4 = planAddress4(planning);
  const address6 = planAddress6(options);
  const routes4 = planRoutes4(planning, address4);
  const routes6 = planRoutes6(planning, address6, address4 === undefined ? [] : routes4.through);
  const routes = [...routes4.routes, ...routes6.routes];
  warnOfOverlaps(planning, { address4, address6, routes: [...routes4.through, ...routes6.routes] });
  const plan: TunnelPlan = {
    device: device.name,
    layer: device.type,
    topology: options.topology ?? 'net30',
    mtuBytes: input.tunMtuBytes,
    linkAddress: device.type === 'tap' ? options.linkAddress : undefined,
    address4,
    address6,
    replacedRoutes: routes4.replaced,
    routes,
    dns: makeDnsPlan(options),
    redirect4: routes4.redirected,
    redirect6: routes6.redirected,
    blockIpv6: options.blockIpv6,
    ipv6Leak: routes6.leak,
    vpnGateway4: routes4.vpnGateway,
    vpnGateway6: routes6.vpnGateway,
    netGateway4: facts.netGateway4 === undefined ? undefined : (facts.netGateway4.gateway ?? '0.0.0.0'),
    netGateway6: facts.netGateway6 === undefined ? undefined : (facts.netGateway6.gateway ?? '::'),
  };
  return { plan, log, incomplete };
}

const howToSilence = '(silence this warning with --ifconfig-nowarn)';

function planAddress4(planning: RoutePlanning): TunnelAddress4 | undefined {
  const { input } = planning;
  const { ifconfig } = input.options;
  if (ifconfig === undefined || input.device.type === 'null') return undefined;
  const local = addresses4(input, ifconfig.local)[0];
  const second = addresses4(input, ifconfig.remoteOrNetmask)[0];
  if (local === undefined || second === undefined) {
    throw wrongIfconfig(`ifconfig ${ifconfig.local} ${ifconfig.remoteOrNetmask}: not two IPv4 addresses`);
  }
  warnOfIfconfig(planning, local, second);
  if (isPointToPoint(input)) {
    return {
      local: formatAddress(local),
      prefixLength: 32,
      remote: formatAddress(second),
      netmask: undefined,
      broadcast: undefined,
    };
  }
  const prefixLength = netmaskToLength(second);
  if (prefixLength === undefined || prefixLength === 0) {
    throw wrongIfconfig(`ifconfig ${ifconfig.local} ${ifconfig.remoteOrNetmask}: the second address is not a netmask`);
  }
  return {
    local: formatAddress(local),
    prefixLength,
    remote: undefined,
    netmask: formatAddress(lengthToNetmask(prefixLength, 4)),
    broadcast: prefixLength <= 30 ? formatAddress(lastAddressOf(local, prefixLength)) : undefined,
  };
}

function planAddress6({ ifconfigIpv6 }: TunnelOptions): TunnelAddress6 | undefined {
  if (ifconfigIpv6 === undefined) return undefined;
  const { local, prefixLength, remote } = ifconfigIpv6;
  const bytes = parseAddress(local);
  if (bytes?.length !== 16 || prefixLength < 0 || prefixLength > 128) {
    throw wrongIfconfig(`ifconfig-ipv6 ${local}/${prefixLength}: not an IPv6 address and prefix length`);
  }
  const remoteBytes = remote === undefined ? undefined : parseAddress(remote);
  if (remote !== undefined && remoteBytes?.length !== 16) {
    throw wrongIfconfig(`ifconfig-ipv6 ${local}/${prefixLength} ${remote}: the remote is not an IPv6 address`);
  }
  return {
    local: formatAddress(bytes),
    prefixLength,
    remote: remoteBytes === undefined ? undefined : formatAddress(remoteBytes),
  };
}

/** The common mistakes that the C program warns of. */
function warnOfIfconfig({ input, say }: RoutePlanning, local: AddressBytes, second: AddressBytes): void {
  if (input.ifconfigNowarn === true) return;
  const pointToPoint = isPointToPoint(input);
  const looksLikeNetmask = second[0] === 0xff;
  if (pointToPoint && looksLikeNetmask) {
    say(
      Level.warning,
      `WARNING: Since you are using --dev tun with a point-to-point topology, the second argument to --ifconfig must be an IP address.  You are using something (${formatAddress(second)}) that looks more like a netmask. ${howToSilence}`,
    );
  }
  if (!pointToPoint && !looksLikeNetmask) {
    say(
      Level.warning,
      `WARNING: Since you are using subnet topology, the second argument to --ifconfig must be a netmask, for example something like 255.255.255.0. ${howToSilence}`,
    );
  }
  const server = input.server === undefined ? undefined : parseAddress(input.server);
  if (server?.length === 4) warnOfClash({ input, say }, server, local, second);
}

function warnOfClash(
  { input, say }: Pick<RoutePlanning, 'input' | 'say'>,
  server: AddressBytes,
  local: AddressBytes,
  second: AddressBytes,
): void {
  const text = formatAddress(server);
  const pair = `[${formatAddress(local)}, ${formatAddress(second)}]`;
  if (input.device.type === 'tap') {
    const length = netmaskToLength(second) ?? 32;
    if (!prefixContains({ address: networkOf(local, length), length }, server)) return;
    say(
      Level.warning,
      `WARNING: --remote address [${text}] conflicts with --ifconfig subnet ${pair} -- local and remote addresses cannot be inside of the --ifconfig subnet. ${howToSilence}`,
    );
    return;
  }
  const same = (a: AddressBytes, length: number) => prefixContains({ address: networkOf(a, length), length }, server);
  if (same(local, 32) || same(second, 32)) {
    say(
      Level.warning,
      `WARNING: --remote address [${text}] conflicts with --ifconfig address pair ${pair}. ${howToSilence}`,
    );
  }
  if (same(local, 24) || same(second, 24)) {
    say(
      Level.warning,
      `WARNING: potential conflict between --remote address [${text}] and --ifconfig address pair ${pair} -- this is a warning only that is triggered when local/remote addresses exist within the same /24 subnet as --ifconfig endpoints. ${howToSilence}`,
    );
  }
}

function wrongIfconfig(message: string): SallyportError {
  return new SallyportError(message, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: 'Correct the address where it was stated: the profile, or the server that pushed it.',
  });
}

// A plan as the ordered list of steps that make it so.

import { Level } from '../log.ts';
import { type DnsContext, dnsSteps } from './dns-steps.ts';
import type { PlannedRoute, TunnelPlan } from './plan.ts';
import { TUNNEL_DEVICE, type TunnelStep } from './step.ts';

export interface StepContext {
  /** Who sets name servers; undefined: nobody. */
  readonly dns?: DnsContext | undefined;
  readonly node: string | undefined;
  readonly txQueueLength: number | undefined;
  /** `ifconfig-noexec`: a script sets addresses, MTU and link. */
  readonly ifconfigNoexec: boolean;
  /** `route-noexec`: a script sets the routes. */
  readonly routeNoexec: boolean;
  /** `down-pre`: the `down` script runs while the device is still there. */
  readonly downPre: boolean;
}

/** Two lists because `route-delay` may put time between them; without it they follow each other at once. */
export interface PlannedSteps {
  /** Opens and configures the device and runs `up`. */
  readonly device: readonly TunnelStep[];
  /** Those of `device` that set name servers: they go first at every end, and come back where the device stays. */
  readonly dns: readonly TunnelStep[];
  /** Adds the routes and runs `route-up`. */
  readonly routes: readonly TunnelStep[];
}

/** The steps of a plan in the C program's order; undone in reverse they give its order on the way down. */
export function planSteps(plan: TunnelPlan, context: StepContext): PlannedSteps {
  const dns = context.dns === undefined ? [] : dnsSteps(plan, context.dns);
  return { device: deviceSteps(plan, context, dns), dns, routes: routeSteps(plan, context) };
}

function deviceSteps(plan: TunnelPlan, context: StepContext, dns: readonly TunnelStep[]): TunnelStep[] {
  const { node, txQueueLength, downPre } = context;
  const down: TunnelStep = { kind: 'hook', onApply: undefined, onUndo: 'down' };
  return [
    ...(downPre ? [] : [down]),
    { kind: 'open-device', name: plan.device, layer: plan.layer, node, txQueueLength },
    ...(plan.linkAddress === undefined
      ? []
      : [{ kind: 'set-link-address' as const, device: TUNNEL_DEVICE, address: plan.linkAddress }]),
    ...(context.ifconfigNoexec || plan.layer === 'null' ? [] : configureSteps(plan)),
    { kind: 'say', onApply: undefined, onUndo: { flags: Level.close, text: 'Closing TUN/TAP interface' } },
    ...(downPre ? [down] : []),
    ...dns,
    { kind: 'hook', onApply: 'up', onUndo: undefined },
  ];
}

function configureSteps({ address4, address6, mtuBytes }: TunnelPlan): TunnelStep[] {
  const device = TUNNEL_DEVICE;
  const text = `do_ifconfig, ipv4=${address4 ? 1 : 0}, ipv6=${address6 ? 1 : 0}`;
  const bringUp: TunnelStep[] = [
    { kind: 'set-mtu', device, mtuBytes },
    { kind: 'link-up', device },
  ];
  const steps: TunnelStep[] = [{ kind: 'say', onApply: { flags: Level.low, text }, onUndo: undefined }];
  if (address4 !== undefined) {
    const { local, prefixLength, remote, broadcast } = address4;
    steps.push(...bringUp, { kind: 'add-address', device, address: local, prefixLength, remote, broadcast });
  }
  if (address6 !== undefined) {
    // The remote of ifconfig-ipv6 is a gateway for routes; the address itself is a plain one, as the C program sets it.
    const { local, prefixLength } = address6;
    if (address4 === undefined) steps.push(...bringUp);
    steps.push({ kind: 'add-address', device, address: local, prefixLength, remote: undefined, broadcast: undefined });
  }
  return steps;
}

function routeSteps(plan: TunnelPlan, context: StepContext): TunnelStep[] {
  const steps: TunnelStep[] = [];
  if (!context.routeNoexec && plan.layer !== 'null') {
    // What a lost default route would cut off (the server) is routed before the default goes.
    const [first, rest] = splitAtDefault(plan);
    steps.push(...first.map((route) => addRoute(route, plan)));
    steps.push(...plan.replacedRoutes.map((route): TunnelStep => ({ kind: 'remove-route', route })));
    steps.push(...rest.map((route) => addRoute(route, plan)));
  }
  steps.push(
    { kind: 'hook', onApply: undefined, onUndo: 'route-pre-down' },
    { kind: 'hook', onApply: 'route-up', onUndo: undefined },
  );
  return steps;
}

function splitAtDefault(plan: TunnelPlan): [PlannedRoute[], PlannedRoute[]] {
  const index = plan.routes.findIndex((route) => route.origin !== 'host-route' && route.origin !== 'bypass');
  const at = index < 0 ? plan.routes.length : index;
  return [plan.routes.slice(0, at), plan.routes.slice(at)];
}

function addRoute(route: PlannedRoute, plan: TunnelPlan): TunnelStep {
  const { prefix, gateway, metric, table, type, statedGateway } = route;
  const outside = route.origin === 'host-route' || route.origin === 'bypass';
  const device = !outside && route.device === plan.device ? TUNNEL_DEVICE : route.device;
  const kind = type === undefined ? {} : { type };
  return { kind: 'add-route', route: { prefix, gateway, device, metric, table, ...kind }, shownGateway: statedGateway };
}

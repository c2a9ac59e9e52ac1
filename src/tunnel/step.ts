// One change of the host as plain data, with its inverse and its words in the log. A step survives JSON, so that a
// journal on disk can hold it before it is done: `plan-steps` makes the list, `apply-steps` carries it out and undoes it.

import type { LogFlags } from '../log.ts';
import type { DnsWanted } from './dns-port.ts';
import type { HostRoute } from './ports.ts';

/** Stands for the tunnel's device until it is open and its real name is known. Never a device name: those have no colon. */
export const TUNNEL_DEVICE = ':tunnel';

/** The occasions on which the client runs scripts as part of the host's steps. */
export type ScriptHook = 'up' | 'down' | 'route-up' | 'route-pre-down' | 'dns-up' | 'dns-down';

export type TunnelStep =
  | {
      readonly kind: 'open-device';
      readonly name: string;
      readonly layer: 'tun' | 'tap' | 'null';
      readonly node: string | undefined;
      readonly txQueueLength: number | undefined;
    }
  /** Ethernet address of a TAP device; what the host refuses is logged and left as it was. */
  | { readonly kind: 'set-link-address'; readonly device: string; readonly address: string }
  | { readonly kind: 'set-mtu'; readonly device: string; readonly mtuBytes: number }
  | { readonly kind: 'link-up'; readonly device: string }
  | {
      readonly kind: 'add-address';
      readonly device: string;
      readonly address: string;
      readonly prefixLength: number;
      readonly remote: string | undefined;
      readonly broadcast: string | undefined;
    }
  | {
      readonly kind: 'add-route';
      readonly route: HostRoute;
      /** The next hop as the log states it, also where the route has none of its own. */
      readonly shownGateway: string | undefined;
    }
  /** Name servers of the host; what has been done stands in the outcome. `id` is unique among all tunnels of the host. */
  | { readonly kind: 'set-dns'; readonly device: string; readonly id: string; readonly wanted: DnsWanted }
  /** Takes away a route that was there before us; its inverse puts it back exactly. */
  | { readonly kind: 'remove-route'; readonly route: HostRoute }
  /** A place in the order at which scripts run, on the way up, on the way down or both. */
  | { readonly kind: 'hook'; readonly onApply: ScriptHook | undefined; readonly onUndo: ScriptHook | undefined }
  /** A line of the log at its place in the order. */
  | { readonly kind: 'say'; readonly onApply: Line | undefined; readonly onUndo: Line | undefined };

interface Line {
  readonly flags: LogFlags;
  readonly text: string;
}

/** A step that has an effect on the host or says something; hooks are run by `apply-steps` alone. */
export type HostChange = Exclude<TunnelStep, { kind: 'hook' | 'say' | 'set-dns' }>;

/** What undoes a step, as a change of the host. */
export type InverseChange =
  | { readonly kind: 'close-device' }
  | {
      readonly kind: 'remove-address';
      readonly device: string;
      readonly address: string;
      readonly prefixLength: number;
      readonly remote: string | undefined;
    }
  | { readonly kind: 'remove-route'; readonly route: HostRoute; readonly shownGateway: string | undefined }
  | { readonly kind: 'restore-route'; readonly route: HostRoute };

/** The inverse of a step; undefined where closing the device undoes it or nothing was changed. */
export function inverse(step: TunnelStep): InverseChange | undefined {
  switch (step.kind) {
    case 'open-device':
      return { kind: 'close-device' };
    case 'add-address': {
      const { device, address, prefixLength, remote } = step;
      return { kind: 'remove-address', device, address, prefixLength, remote };
    }
    case 'add-route':
      return { kind: 'remove-route', route: step.route, shownGateway: step.shownGateway };
    case 'remove-route':
      return { kind: 'restore-route', route: step.route };
    case 'set-link-address':
    case 'set-mtu':
    case 'link-up':
    // Undone by what its outcome says (apply-dns).
    case 'set-dns':
    case 'hook':
    case 'say':
      return undefined;
    default:
      return step satisfies never;
  }
}

/** The step with the tunnel's real device name in place of `TUNNEL_DEVICE`. */
export function bindDevice(step: TunnelStep, device: string): TunnelStep {
  switch (step.kind) {
    case 'set-link-address':
    case 'set-mtu':
    case 'link-up':
    case 'set-dns':
    case 'add-address':
      return step.device === TUNNEL_DEVICE ? { ...step, device } : step;
    case 'add-route':
      return step.route.device === TUNNEL_DEVICE ? { ...step, route: { ...step.route, device } } : step;
    default:
      return step;
  }
}

/** The log line of a route as it is added or deleted, in the words of the C program's netlink code. */
export function routeLine(verb: 'add' | 'del', route: HostRoute): string {
  const family = route.prefix.includes(':') ? 6 : 4;
  const unspecified = family === 6 ? '::' : '0.0.0.0';
  const via = route.gateway ?? unspecified;
  const device = route.device ?? '[NULL]';
  const type = route.type === undefined ? '' : `${route.type} `;
  return `net_route_v${family}_${verb}: ${type}${route.prefix} via ${via} dev ${device} table ${route.table ?? 0} metric ${route.metric ?? -1}`;
}

/** The metric that the kernel gives a route of IPv6 without one. */
const METRIC6_UNSTATED = 1024;

/** Whether the two are one route to the kernel: destination, kind, next hop, device, metric and table. */
export function isSameRoute(a: HostRoute, b: HostRoute): boolean {
  return (
    a.prefix === b.prefix &&
    a.type === b.type &&
    a.gateway === b.gateway &&
    a.device === b.device &&
    metricOf(a) === metricOf(b) &&
    (a.table ?? MAIN_TABLE) === (b.table ?? MAIN_TABLE)
  );
}

const MAIN_TABLE = 254;

/** As the kernel keeps it: none and 0 are its own choice. */
const metricOf = ({ prefix, metric }: HostRoute): number =>
  metric !== undefined && metric > 0 ? metric : prefix.includes(':') ? METRIC6_UNSTATED : 0;

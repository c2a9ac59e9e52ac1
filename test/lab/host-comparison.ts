// The state of a host in a form in which two runs can be compared: what differs by chance is left out.

import type { HostState } from './net.ts';

const byChance = [
  'ifindex',
  'link_index',
  'link_netnsid',
  'address',
  'broadcast',
  'valid_life_time',
  'preferred_life_time',
];

/** A host state without interface numbers, link addresses, lifetimes and link-local IPv6. */
export function comparable(state: HostState): unknown {
  return {
    ...(strip({ links: state.links, routes: state.routes, routes6: state.routes6, rules: state.rules }) as object),
    resolvConf: state.resolvConf,
  };
}

function strip(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value
      .filter((item) => !isLinkLocal(item))
      .map(strip)
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      // The peer of a point-to-point address is told under the same key as a link's own address: keep that one.
      .filter(([key]) => !byChance.includes(key) || (key === 'address' && 'local' in value))
      .map(([key, inner]) => [key, strip(inner)]),
  );
}

function isLinkLocal(item: unknown): boolean {
  if (typeof item !== 'object' || item === null) return false;
  const fields = item as { local?: unknown; dst?: unknown };
  return [fields.local, fields.dst].some((text) => typeof text === 'string' && /^(fe80|ff00):/.test(text));
}

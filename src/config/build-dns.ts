// `dns` lines: servers by priority, each put together from several lines, and search domains.

import type { TunnelContext } from './build-tunnel.ts';
import type { DnsServerOption } from './config.ts';
import type { TunnelDraft } from './draft.ts';
import type { Say } from './findings.ts';
import { isDomain, isIpv4, isIpv6, shown } from './values.ts';

/** Addresses of one DNS server. */
const ADDRESS_LIMIT = 8;
const SEARCH_DOMAIN_LIMIT = 40;
const RESOLVE_DOMAIN_LIMIT = 64;

/** Reads a `dns` line. */
export function readDns(draft: TunnelDraft, args: readonly string[], say: Say, context: TunnelContext): void {
  const [kind = '', second, third, ...rest] = args;
  if (kind === 'search-domains' && second !== undefined) {
    const domains = args.slice(1);
    if (!domains.every(isDomain)) say.error('--dns search-domains contain invalid characters');
    else
      draft.dnsSearchDomains.push(
        ...domains.slice(0, Math.max(0, SEARCH_DOMAIN_LIMIT - draft.dnsSearchDomains.length)),
      );
    return;
  }
  if (kind !== 'server' || second === undefined || third === undefined || rest.length === 0) {
    say.error(`--dns: unknown option type '${shown(kind)}' or missing or unknown parameter`);
    return;
  }
  const priority = /^-?\d{1,4}$/.test(second) ? Number(second) : undefined;
  // A server may push 0 to 127; negative priorities are for the profile, which so wins.
  if (priority === undefined || priority > 127 || priority < (context.pulled ? 0 : -128)) {
    say.error(`--dns server: invalid priority value '${shown(second)}'`);
    return;
  }
  const before = draft.dns.find((each) => each.priority === priority) ?? {
    priority,
    addresses: [],
    resolveDomains: [],
    dnssec: undefined,
    transport: undefined,
    sni: undefined,
  };
  const server = dnsServerWith(before, third, rest, say);
  if (server === undefined) return;
  draft.dns = [...draft.dns.filter((each) => each.priority !== priority), server].sort(
    (a, b) => a.priority - b.priority,
  );
}

function dnsServerWith(
  before: DnsServerOption,
  kind: string,
  values: readonly string[],
  say: Say,
): DnsServerOption | undefined {
  const [first = ''] = values;
  const complain = (words: string): undefined => {
    say.error(`--dns server ${before.priority}: ${words}`);
    return undefined;
  };
  if (kind === 'address') {
    const addresses = [...before.addresses];
    for (const value of values) {
      const address = dnsAddress(value);
      if (address === undefined || addresses.length >= ADDRESS_LIMIT) {
        return complain(`malformed address or maximum exceeded '${shown(value)}'`);
      }
      addresses.push(address);
    }
    return { ...before, addresses };
  }
  if (kind === 'resolve-domains') {
    if (!values.every(isDomain)) return complain('resolve-domains contain invalid characters');
    return { ...before, resolveDomains: [...before.resolveDomains, ...values].slice(0, RESOLVE_DOMAIN_LIMIT) };
  }
  if (values.length === 1) {
    if (kind === 'dnssec') {
      if (first === 'yes' || first === 'no' || first === 'optional') return { ...before, dnssec: first };
      return complain(`malformed dnssec value '${shown(first)}'`);
    }
    if (kind === 'transport') {
      if (first === 'plain' || first === 'DoH' || first === 'DoT') return { ...before, transport: first };
      return complain(`malformed transport value '${shown(first)}'`);
    }
    if (kind === 'sni')
      return isDomain(first) ? { ...before, sni: first } : complain('sni contains invalid characters');
  }
  return complain(`unknown option type '${shown(kind)}' or missing or unknown parameter`);
}

// `1.2.3.4`, `1.2.3.4:53`, `fd00::1`, `[fd00::1]`, `[fd00::1]:53`.
function dnsAddress(text: string): { address: string; port: number | undefined } | undefined {
  if (isIpv6(text)) return { address: text, port: undefined };
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const address = match[1] ?? match[2] ?? '';
  const port = match[3] === undefined ? undefined : Number(match[3]);
  if (port !== undefined && (port < 1 || port > 65535)) return undefined;
  return (match[1] === undefined ? isIpv4(address) : isIpv6(address)) ? { address, port } : undefined;
}

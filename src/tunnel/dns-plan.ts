// Name servers and search domains as `--dns` and `dhcp-option` state them, as one plan and as the old foreign options.

import type { TunnelOptions } from '../config/config.ts';
import type { DnsPlan, DnsServerPlan } from './plan.ts';

const domainWords = new Set(['DOMAIN', 'ADAPTER-DOMAIN-SUFFIX', 'ADAPTER_DOMAIN_SUFFIX']);
/** Addresses of one server. */
const ADDRESS_LIMIT = 8;
const addressWords = new Set(['DNS', 'DNS6']);
const dnsWords = new Set([...domainWords, ...addressWords, 'DOMAIN-SEARCH']);

/** `--dns` servers win; without one, the `dhcp-option` lines count as one server with all their addresses. */
export function makeDnsPlan(options: TunnelOptions): DnsPlan {
  if (options.dns.length > 0) {
    const servers = [...options.dns].sort((a, b) => a.priority - b.priority);
    return { servers, searchDomains: options.dnsSearchDomains };
  }
  const values = (words: ReadonlySet<string>) =>
    options.dhcpOptions.flatMap(([word, value]) =>
      word !== undefined && value !== undefined && words.has(word) ? [value] : [],
    );
  // IPv4 first, as the C program has them.
  const stated = values(addressWords);
  const addresses = [...stated.filter((each) => !each.includes(':')), ...stated.filter((each) => each.includes(':'))]
    .slice(0, ADDRESS_LIMIT)
    .map((address) => ({ address, port: undefined }));
  // The last domain stated is the one; it leads the search list.
  const domain = values(domainWords).at(-1);
  const searched = values(new Set(['DOMAIN-SEARCH']));
  const searchDomains = [...options.dnsSearchDomains, ...(domain === undefined ? [] : [domain]), ...searched];
  return { servers: addresses.length === 0 ? [] : [oneServer(addresses)], searchDomains };
}

/**
 * The texts of `foreign_option_n`. `--dns` servers replace the `dhcp-option` lines about DNS, and where nothing but an
 * `up` script can apply them they are said again in the old words.
 */
export function foreignOptions(options: TunnelOptions, dnsUpdownStated: boolean, hasUpScript: boolean): string[] {
  const replaces = options.dns.length > 0 || dnsUpdownStated;
  const kept = options.dhcpOptions.filter(([word]) => !replaces || word === undefined || !dnsWords.has(word));
  const lines = kept.map((words) => ['dhcp-option', ...words].join(' '));
  if (options.dns.length === 0 || dnsUpdownStated || !hasUpScript) return lines;
  for (const domain of options.dnsSearchDomains) lines.push(`dhcp-option DOMAIN ${domain}`);
  const plain = makeDnsPlan(options).servers.find(isPlain);
  for (const { address } of plain?.addresses ?? []) {
    lines.push(`dhcp-option ${address.includes(':') ? 'DNS6' : 'DNS'} ${address}`);
  }
  return lines;
}

/** Whether the old words can say all that a server needs. */
function isPlain(server: DnsServerPlan): boolean {
  const { transport, dnssec, addresses } = server;
  if (transport !== undefined && transport !== 'plain') return false;
  if (dnssec !== undefined && dnssec !== 'no') return false;
  return addresses.every(({ port }) => port === undefined || port === 53);
}

function oneServer(addresses: DnsServerPlan['addresses']): DnsServerPlan {
  return { priority: 0, addresses, resolveDomains: [], dnssec: undefined, transport: undefined, sni: undefined };
}

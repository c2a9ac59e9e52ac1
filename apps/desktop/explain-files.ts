// What the files of a host's resolver say: nsswitch.conf, hosts, resolv.conf, dnsmasq's. Pure; a line that makes no sense is
// passed over, as their readers do.

import { parseAddress, parseMadeFor, SERVER_LIMIT } from '../../src/look.ts';

/** The sources of `hosts:` in their order; glibc's own order where there is none. */
export function parseNsswitch(text: string | undefined): readonly string[] {
  const line = /^[ \t]*hosts:([^#\n]*)/m.exec(text ?? '')?.[1];
  const words = (line ?? 'files dns').replace(/\[[^\]]*\]/g, ' ').split(/\s+/);
  return words.filter((word) => /^[a-z0-9_]+$/.test(word));
}

export interface HostsEntry {
  readonly address: string;
  readonly names: readonly string[];
  readonly line: number;
}

export function parseHosts(text: string): readonly HostsEntry[] {
  return text.split('\n').flatMap((line, index): HostsEntry[] => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (names.length === 0 || parseAddress(address.replace(/%.*$/, '')) === undefined) return [];
    return [{ address, names: names.map((name) => name.toLowerCase()), line: index + 1 }];
  });
}

export interface ResolvConf {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly ndots: number;
  /** Tunnels of ours that have written it. */
  readonly madeFor: string | undefined;
}

export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let search: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [word, ...values] = line.trim().split(/\s+/);
    if (word === 'nameserver' && values[0] !== undefined) servers.push(values[0]);
    // The last one counts.
    else if (word === 'search' || word === 'domain') search = values.map(bare).filter((name) => name !== '');
    else if (word === 'options') {
      const stated = values.find((value) => /^ndots:\d{1,2}$/.test(value));
      if (stated !== undefined) ndots = Math.min(Number(stated.slice(6)), 15);
    }
  }
  // Without any, the machine itself is asked.
  const asked = servers.length === 0 ? ['127.0.0.1'] : servers.slice(0, SERVER_LIMIT);
  return { servers: asked, search, ndots, madeFor: parseMadeFor(text) };
}

export interface DnsmasqServer {
  /** Undefined: names of these domains are answered by dnsmasq itself, or not at all. */
  readonly address: string | undefined;
  /** Empty: every name that no other server has. */
  readonly domains: readonly string[];
}

/** Words of the command line and lines of the files, as `name` or `name=value`. */
export function parseDnsmasq(lines: readonly string[]): {
  readonly servers: readonly DnsmasqServer[];
  readonly noResolv: boolean;
  readonly resolvFile: string | undefined;
  readonly dbus: boolean;
} {
  const servers: DnsmasqServer[] = [];
  let noResolv = false;
  let resolvFile: string | undefined;
  let dbus = false;
  for (const line of lines) {
    const [, name = '', value = ''] = /^[ \t]*(?:--)?([a-zA-Z0-9-]+)[ \t]*(?:=[ \t]*(.*?))?[ \t]*$/.exec(line) ?? [];
    if (name === 'server' || name === 'local') servers.push(...serverOf(value));
    else if (name === 'no-resolv') noResolv = true;
    else if (name === 'resolv-file') resolvFile = value;
    else if (name === 'enable-dbus') dbus = true;
  }
  return { servers, noResolv, resolvFile, dbus };
}

/** `8.8.8.8`, `/a.example/b.example/10.8.0.1#53`, `/local.example/`. */
function serverOf(value: string): readonly DnsmasqServer[] {
  if (!value.startsWith('/')) return value === '' ? [] : [{ address: value.replace(/@.*$/, ''), domains: [] }];
  const parts = value.slice(1).split('/');
  const address = parts.pop()?.replace(/@.*$/, '');
  const domains = parts.map(bare).filter((name) => name !== '' && name !== '#');
  if (address === '#') return [];
  return [{ address: address === '' ? undefined : address, domains }];
}

const bare = (name: string): string => name.toLowerCase().replace(/^\.+|\.+$/g, '');

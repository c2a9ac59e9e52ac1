// What `explain` has to know of this host: read here, decided elsewhere. Nothing is changed, and no right is needed; what
// can't be read counts as not there.

import { hostname } from 'node:os';
import { formatAddress } from '../../src/command.ts';
import {
  dnsmasqProcesses,
  dnsmasqSettings,
  givenServers,
  hostFiles,
  type PolicyRule,
  type RouteLook,
} from '../../src/look.ts';
import { ask, knownTunnels } from './control-client.ts';
import { type DnsmasqServer, parseDnsmasq, parseHosts, parseNsswitch, parseResolvConf } from './explain-files.ts';
import type { ResolvedScope, ResolverFacts } from './explain-name.ts';
import type { RouteFacts, TunnelSeen } from './explain-route.ts';
import type { CommandIo } from './io.ts';

const BUS_MS = 3000;
const RESOLVED = 'org.freedesktop.resolve1';
const MAX_LINKS = 64;

export async function readRouteFacts(look: RouteLook, io: CommandIo): Promise<RouteFacts> {
  const tunnels: TunnelSeen[] = [];
  for (const name of knownTunnels(io.places)) {
    const answer = await ask(io.places, name, 'GET', '/plan').catch(() => undefined);
    const seen = readPlan(name, answer);
    if (seen !== undefined) tunnels.push(seen);
  }
  const rules = new Map<4 | 6, readonly PolicyRule[]>();
  return {
    tunnels,
    tunnelKind,
    rules(family) {
      const known = rules.get(family) ?? look.rules(family);
      rules.set(family, known);
      return known;
    },
    uid: io.uid,
  };
}

/** The parts that count of the answer of the control socket to GET /plan. */
export function readPlan(name: string, answer: unknown): TunnelSeen | undefined {
  const { device, routes, ipv6Leak } = fieldsOf(fieldsOf(answer).plan);
  if (typeof device !== 'string') return undefined;
  return {
    name,
    device,
    ipv6Leak: typeof ipv6Leak === 'string' ? ipv6Leak : undefined,
    routes: listOf(routes).flatMap((each) => {
      const { prefix, origin, table } = fieldsOf(each);
      if (typeof prefix !== 'string' || typeof origin !== 'string') return [];
      return [{ prefix, origin, table: typeof table === 'number' ? table : undefined }];
    }),
  };
}

/** ARPHRD_*: no link layer (tun, WireGuard), PPP, tunnels of the kernel. */
const TUNNEL_TYPES = new Map([
  ['65534', 'tunnel'],
  ['512', 'ppp'],
  ['768', 'ipip'],
  ['769', 'ip6tnl'],
  ['776', 'sit'],
  ['778', 'gre'],
  ['823', 'gre'],
]);

/** What kind of tunnel a device leads into; undefined: none. */
function tunnelKind(device: string): string | undefined {
  if (!/^[^\s/]{1,15}$/.test(device) || device === '.' || device === '..') return undefined;
  const folder = `/sys/class/net/${device}`;
  if (hostFiles.read(`${folder}/tun_flags`) !== undefined) return 'tun';
  if (/^DEVTYPE=wireguard$/m.test(hostFiles.read(`${folder}/uevent`) ?? '')) return 'wireguard';
  return TUNNEL_TYPES.get((hostFiles.read(`${folder}/type`) ?? '').trim());
}

export async function readResolverFacts(uid: number): Promise<ResolverFacts> {
  const resolvConf = parseResolvConf(hostFiles.read('/etc/resolv.conf') ?? '');
  return {
    sources: parseNsswitch(hostFiles.read('/etc/nsswitch.conf')),
    hosts: parseHosts(hostFiles.read('/etc/hosts') ?? ''),
    hostName: hostname(),
    resolvConf,
    resolved: await readResolved().catch(() => undefined),
    dnsmasq: readDnsmasq(resolvConf.servers, uid),
  };
}

async function readResolved(): Promise<ResolverFacts['resolved']> {
  const { openBus, SYSTEM_BUS } = await import('../../src/bus.ts');
  const bus = await openBus(SYSTEM_BUS, { timeoutMs: BUS_MS, onLost() {} });
  const properties = async (path: string, name: string): Promise<Readonly<Record<string, unknown>>> => {
    const [all] = await bus.call({
      destination: RESOLVED,
      path,
      interface: 'org.freedesktop.DBus.Properties',
      member: 'GetAll',
      signature: 's',
      body: [`${RESOLVED}.${name}`],
    });
    return fieldsOf(all);
  };
  try {
    // A question would start it.
    if ((await bus.nameOwner(RESOLVED)) === undefined) return undefined;
    const manager = await properties('/org/freedesktop/resolve1', 'Manager');
    const defaults = new Map<number, boolean>();
    for (const index of linksOf(manager.DNSEx)) {
      const [path] = await bus.call({
        destination: RESOLVED,
        path: '/org/freedesktop/resolve1',
        interface: `${RESOLVED}.Manager`,
        member: 'GetLink',
        signature: 'i',
        body: [index],
      });
      if (typeof path === 'string') defaults.set(index, (await properties(path, 'Link')).DefaultRoute === true);
    }
    return readManager(manager, (index) => (index === 0 ? true : (defaults.get(index) ?? false)), deviceNames());
  } finally {
    await bus.close();
  }
}

const linksOf = (servers: unknown): readonly number[] =>
  [...new Set(listOf(servers).map((each) => listOf(each)[0]))]
    .filter((index): index is number => typeof index === 'number' && index > 0)
    .slice(0, MAX_LINKS);

/** Scopes from the manager's properties: `DNSEx` a(iiayqs), `Domains` a(isb), `FallbackDNSEx` a(iiayqs). */
export function readManager(
  manager: Readonly<Record<string, unknown>>,
  isDefault: (index: number) => boolean,
  names: ReadonlyMap<number, string>,
): NonNullable<ResolverFacts['resolved']> {
  const servers = readServers(manager.DNSEx);
  const domains = listOf(manager.Domains).flatMap((each) => {
    const [index, name, routeOnly] = listOf(each);
    if (typeof index !== 'number' || typeof name !== 'string') return [];
    return [{ index, name: name.toLowerCase().replace(/^\.+|\.+$/g, ''), routeOnly: routeOnly === true }];
  });
  const indexes = [...new Set([...servers, ...domains].map(({ index }) => index))].sort((a, b) => a - b);
  return {
    scopes: indexes.map(
      (index): ResolvedScope => ({
        device: index === 0 ? undefined : (names.get(index) ?? `link ${index}`),
        servers: servers.filter((each) => each.index === index).map(({ address }) => address),
        domains: domains.filter((each) => each.index === index),
        isDefault: isDefault(index),
      }),
    ),
    fallback: readServers(manager.FallbackDNSEx).map(({ address }) => address),
  };
}

function readServers(value: unknown): readonly { readonly index: number; readonly address: string }[] {
  return listOf(value).flatMap((each) => {
    const [index, , bytes, port] = listOf(each);
    const whole = bytes instanceof Uint8Array && (bytes.length === 4 || bytes.length === 16);
    if (typeof index !== 'number' || !whole) return [];
    const stated = typeof port === 'number' && port !== 0 && port !== 53 ? `#${port}` : '';
    return [{ index, address: `${formatAddress(Uint8Array.from(bytes))}${stated}` }];
  });
}

function deviceNames(): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  for (const name of hostFiles.names('/sys/class/net')) {
    const index = Number(hostFiles.read(`/sys/class/net/${name}/ifindex`) ?? Number.NaN);
    if (Number.isInteger(index)) found.set(index, name);
  }
  return found;
}

/** The dnsmasq of this network that programs here may ask. */
function readDnsmasq(resolvServers: readonly string[], uid: number): ResolverFacts['dnsmasq'] {
  for (const { pid, words } of dnsmasqProcesses(hostFiles)) {
    if (!isTrusted(hostFiles.read(`/proc/${pid}/status`) ?? '', uid)) continue;
    const lines = dnsmasqSettings(words, hostFiles);
    // It serves others than this machine (virtual machines have one).
    if (lines.some((line) => /^(--)?except-interface=lo$/.test(line.trim()))) continue;
    const { servers, noResolv, resolvFile, dbus } = parseDnsmasq(lines);
    const upstream = noResolv ? [] : upstreamOf(resolvFile, resolvServers);
    return {
      servers: [...servers, ...upstream, ...givenByUs()],
      more: dbus || words.some((word) => word.startsWith('--enable-dbus')),
    };
  }
  return undefined;
}

const NOBODY = 65_534;
const FIRST_PERSON = 1000;

/** Whether a process, by its /proc status, is the system's or one's own: others could call themselves anything. */
export function isTrusted(status: string, uid: number): boolean {
  const owner = Number(/^Uid:\t(\d{1,10})\t/m.exec(status)?.[1] ?? Number.NaN);
  return owner < FIRST_PERSON || owner === NOBODY || owner === uid;
}

function upstreamOf(path: string | undefined, resolvServers: readonly string[]): readonly DnsmasqServer[] {
  const servers = path === undefined ? resolvServers : parseResolvConf(hostFiles.read(path) ?? '').servers;
  return servers.filter((address) => !address.startsWith('127.')).map((address) => ({ address, domains: [] }));
}

/** What tunnels of ours have told it by D-Bus. */
const givenByUs = (): readonly DnsmasqServer[] =>
  givenServers(hostFiles).flatMap(([address, ...domains]) => (address === undefined ? [] : [{ address, domains }]));

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

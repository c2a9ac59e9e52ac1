// What is said about a tunnel: one value, made of the client's states, its plan and its counters; and the words for it.
// Pure: times are arguments. The JSON form is documented in docs/CONTROL.md.

import {
  type ClientState,
  type ClientStatistics,
  type DnsBackendName,
  formatAddress,
  type JournalEntry,
  standingDns,
  type TunnelPlan,
} from '../../src/command.ts';

export type Phase = ClientState['phase'] | 'starting';

/** The answer to GET /status. Times are Unix seconds, traffic is bytes; null where nothing is known. */
export interface TunnelStatus {
  readonly name: string;
  readonly profile: string;
  readonly pid: number;
  readonly state: Phase;
  /** Since when this state holds; of `connected`, since the tunnel is up. */
  readonly sinceUnix: number;
  readonly server: string | null;
  readonly reason: string | null;
  /** What the login waits for beside the password: a question, or an address to log in at. */
  readonly login: { readonly text: string | null; readonly url: string | null } | null;
  readonly device: string | null;
  readonly mtuBytes: number | null;
  readonly addresses: readonly string[];
  readonly routes: readonly {
    readonly prefix: string;
    readonly gateway: string | null;
    readonly metric: number | null;
  }[];
  readonly dns: TunnelDns;
  readonly allTraffic: boolean;
  /** IPv6 while the tunnel takes all IPv4 and no IPv6. */
  readonly ipv6: 'blocked' | 'open' | null;
  readonly cipher: string | null;
  readonly traffic: { readonly receivedBytes: number; readonly sentBytes: number };
}

export interface TunnelDns {
  /** As the server and the profile state them. */
  readonly servers: readonly string[];
  readonly searchDomains: readonly string[];
  /** What set them on this machine: `script` is that of dns-updown; null: nothing did. */
  readonly setBy: DnsBackendName | 'script' | null;
  /** Names that are asked here without being tried behind others; `.` is every name. Empty where nothing was set. */
  readonly routingDomains: readonly string[];
  /** Whether names that nobody claims are asked here. */
  readonly everyName: boolean;
}

/** What stays the same over a process's life. */
export interface TunnelNames {
  readonly name: string;
  readonly profile: string;
  readonly pid: number;
}

export interface TunnelFacts {
  readonly state: ClientState | undefined;
  readonly sinceUnix: number;
  readonly statistics: ClientStatistics | undefined;
  readonly changes: readonly JournalEntry[];
}

/** Makes the answer. */
export function statusOf(names: TunnelNames, facts: TunnelFacts): TunnelStatus {
  const { state, statistics } = facts;
  const plan = state?.phase === 'connected' ? state.plan : undefined;
  const remote = state !== undefined && 'remote' in state ? state.remote : undefined;
  const counted = statistics?.plane;
  return {
    ...names,
    state: state?.phase ?? 'starting',
    sinceUnix: facts.sinceUnix,
    server: remote === undefined ? (state?.phase === 'resolving' ? state.host : null) : serverText(remote),
    reason: state?.phase === 'reconnecting' ? whyOf(state) : null,
    login: state?.phase === 'login-pending' ? { text: state.text ?? null, url: state.url ?? null } : null,
    device: plan?.device ?? null,
    mtuBytes: plan?.mtuBytes ?? null,
    addresses: plan === undefined ? [] : addressesOf(plan),
    routes: (plan?.routes ?? [])
      .filter(({ origin }) => origin !== 'ipv6-leak')
      .map(({ prefix, gateway, metric }) => ({
        prefix: String(prefix),
        gateway: gateway ?? null,
        metric: metric ?? null,
      })),
    dns: dnsOf(plan, facts.changes),
    allTraffic: plan !== undefined && (plan.redirect4 || plan.redirect6),
    ipv6: plan?.ipv6Leak ?? null,
    cipher: state?.phase === 'connected' ? (state.cipher ?? null) : null,
    traffic: { receivedBytes: counted?.linkReadBytes ?? 0, sentBytes: counted?.linkWriteBytes ?? 0 },
  };
}

/** Where nothing went wrong at this end. */
const WHY: Readonly<Record<string, string>> = {
  // The signal of a person has no words.
  '': 'asked for',
  'network-changed': 'the network has changed',
  'remote-exit': 'the server ended it',
};

const whyOf = ({ error, reason }: ClientState & { phase: 'reconnecting' }): string =>
  error?.message ?? WHY[reason] ?? reason;

function dnsOf(plan: TunnelPlan | undefined, changes: readonly JournalEntry[]): TunnelDns {
  const applied = standingDns(changes);
  const byScript = changes.some(({ step }) => step.kind === 'hook' && step.onUndo === 'dns-down');
  return {
    servers: (plan?.dns.servers ?? []).flatMap(({ addresses }) =>
      addresses.map(({ address, port }) => (port === undefined ? address : `${address}#${port}`)),
    ),
    searchDomains: plan?.dns.searchDomains ?? [],
    setBy: applied?.backend ?? (byScript ? 'script' : null),
    routingDomains: applied?.setting.routing ?? [],
    everyName: applied?.setting.isDefault === true || applied?.setting.routing.includes('.') === true,
  };
}

const addressesOf = ({ address4, address6 }: TunnelPlan): readonly string[] =>
  [address4, address6].flatMap((each) => (each === undefined ? [] : [`${each.local}/${each.prefixLength}`]));

const serverText = ({ address, port }: { address: Uint8Array; port: number }): string => {
  const text = formatAddress(address);
  return text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`;
};

/** One plain sentence. */
export function sentenceOf(status: TunnelStatus, nowUnix: number): string {
  const { name, state, server } = status;
  const at = server === null ? '' : ` ${server}`;
  switch (state) {
    case 'connected':
      return `${name} is connected to${at}, for ${duration(nowUnix - status.sinceUnix)}; ${status.allTraffic ? 'all traffic goes' : 'some networks go'} through it.`;
    case 'reconnecting':
      return `${name} is not connected (${status.reason}); it tries again.`;
    case 'login-pending':
      return status.login?.url
        ? `${name} waits for its login; log in at ${status.login.url}`
        : `${name} waits for its login to be confirmed.`;
    case 'resolving':
      return `${name} is connecting: looking up${at}.`;
    case 'connecting':
    case 'authenticating':
      return `${name} is connecting: ${state === 'connecting' ? 'calling' : 'logging in at'}${at}.`;
    case 'configuring':
      return `${name} is connecting: setting up the network.`;
    case 'starting':
      return `${name} is starting.`;
    case 'ended':
      return `${name} has ended.`;
    default:
      return state satisfies never;
  }
}

/** What a person has to know of IPv6; undefined where there is nothing to know. */
export function ipv6Line({ ipv6 }: TunnelStatus): string | undefined {
  if (ipv6 === 'blocked') return 'IPv6 to the Internet is blocked meanwhile: the tunnel takes IPv4 only.';
  return ipv6 === 'open' ? 'IPv6 goes past the tunnel: it takes IPv4 only.' : undefined;
}

/** What a person has to know of the tunnel's name servers; undefined where there is nothing to know. */
export function dnsLine({ name, state, dns }: TunnelStatus): string | undefined {
  if (state !== 'connected' || dns.servers.length === 0 || dns.setBy !== null) return undefined;
  return `Its name servers are not set by Sallyport: the profile wants it so, or sallyport log ${name} says why.`;
}

/** The sentence, then a line for each fact that is known. */
export function statusLines(status: TunnelStatus, nowUnix: number, timeText: (unix: number) => string): string[] {
  const row = (title: string, ...values: readonly string[]): string[] =>
    values.map((value, at) => `  ${(at === 0 ? title : '').padEnd(10)}${value}`);
  const { traffic, dns } = status;
  // As resolvectl shows them.
  const domains = [
    ...dns.searchDomains,
    ...dns.routingDomains.filter((name) => name !== '.').map((name) => `~${name}`),
  ];
  return [
    sentenceOf(status, nowUnix),
    ...(status.addresses.length > 0 ? row('address', `${status.addresses.join(', ')} on ${status.device}`) : []),
    ...(status.server === null ? [] : row('server', status.server)),
    ...row('since', timeText(status.sinceUnix)),
    ...row(
      'routes',
      ...status.routes.map(({ prefix, gateway }) => (gateway === null ? prefix : `${prefix} via ${gateway}`)),
    ),
    ...(dns.servers.length > 0 ? row('dns', dnsText(dns)) : []),
    ...(domains.length > 0 ? row('domains', domains.join(', ')) : []),
    ...(status.ipv6 === null ? [] : row('ipv6', status.ipv6 === 'blocked' ? 'blocked' : 'past the tunnel')),
    ...(status.cipher === null ? [] : row('cipher', status.cipher)),
    ...row('traffic', `${bytesText(traffic.receivedBytes)} received, ${bytesText(traffic.sentBytes)} sent`),
  ];
}

const SET_BY: Readonly<Record<DnsBackendName | 'script', string>> = {
  resolved: 'systemd-resolved',
  resolvconf: 'resolvconf',
  file: 'resolv.conf',
  dnsmasq: 'dnsmasq',
  script: 'the program of dns-updown',
};

/** `10.8.0.1, by systemd-resolved, for every name`. */
function dnsText({ servers, setBy, everyName }: TunnelDns): string {
  const by = setBy === null ? 'not set on this machine' : `by ${SET_BY[setBy]}`;
  return `${servers.join(', ')}, ${by}${everyName ? ', for every name' : ''}`;
}

/** `45 s`, `3 min`, `2 h 05 min`, `4 d 3 h`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, '0')} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** `512 B`, `1.5 KiB`, `3.0 MiB`. */
export function bytesText(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return unit === 'B' ? `${value} B` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

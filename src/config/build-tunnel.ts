// Options that a server may push and a profile may state. The same readers serve both: `parse.ts` calls them for lines of
// a file, `push.ts` for words of a push reply.

import type { DnsServerOption, RedirectFlags } from './config.ts';
import type { Reader, Readers, TunnelDraft } from './draft.ts';
import type { Say } from './findings.ts';
import {
  constrained,
  integer,
  ipv6Prefix,
  isAddressOrName,
  isDomain,
  isIpv4,
  isIpv6,
  isSpecialGateway,
  nonNegative,
  nonNegativeLong,
  shown,
} from './values.ts';

/** Seconds that ping options allow. */
export const PING_TIMEOUT_MAX_SECONDS = 86400;
const TUN_MTU_MIN_BYTES = 100;
const TUN_MTU_MAX_BYTES = 65536;
/** Addresses of one DNS server, and servers. */
const DNS_ADDRESS_LIMIT = 8;
const SEARCH_DOMAIN_LIMIT = 10;
const LIST_LIMIT = 64;

/** Where values come from: what a server says is checked more closely. */
export interface TunnelContext {
  readonly pulled: boolean;
  readonly allowNames: boolean;
}

/** Readers for tunnel options in this context. */
export function tunnelReaders(context: TunnelContext): Readers<TunnelDraft> {
  return {
    ...PLAIN_READERS,
    ifconfig: (draft, [local = '', remote = ''], say) => {
      if (isAddressOrName(local, context.allowNames) && isAddressOrName(remote, context.allowNames)) {
        draft.ifconfig = { local, remoteOrNetmask: remote };
      } else say.error(`ifconfig parms '${shown(local)}' and '${shown(remote)}' must be valid addresses`);
    },
    route: (draft, args, say) => readRoute(draft, args, say, context),
    'route-gateway': (draft, [gateway = ''], say) => {
      if (gateway === 'dhcp' || isAddressOrName(gateway, context.allowNames) || isSpecialGateway(gateway)) {
        draft.routeGateway = gateway;
      } else say.error(`route-gateway parm '${shown(gateway)}' must be a valid address`);
    },
    'route-ipv6': (draft, args, say) => readRoute6(draft, args, say),
    dns: (draft, args, say) => readDns(draft, args, say, context),
  };
}

const flag =
  (name: 'blockIpv6' | 'pingTimerRem' | 'persistTun'): Reader<TunnelDraft> =>
  (draft) => {
    draft[name] = true;
  };

const pingTimeout =
  (name: 'ping' | 'pingExit' | 'pingRestart', option: string): Reader<TunnelDraft> =>
  (draft, [text = ''], say) => {
    const value = constrained(text, option, 0, PING_TIMEOUT_MAX_SECONDS, say);
    if (value === undefined) return;
    draft[name] = value;
    // One timer with one action: the later line decides.
    if (name === 'pingExit') draft.pingRestart = undefined;
    if (name === 'pingRestart') draft.pingExit = undefined;
  };

const number =
  (
    name:
      | 'routeMetric'
      | 'routeTable'
      | 'sndbuf'
      | 'rcvbuf'
      | 'verb'
      | 'mute'
      | 'sessionTimeoutSeconds'
      | 'txQueueLength',
  ): Reader<TunnelDraft> =>
  (draft, [text = ''], say) => {
    draft[name] = nonNegative(text, say);
  };

const text =
  (name: 'cipher' | 'auth' | 'authToken' | 'authTokenUser'): Reader<TunnelDraft> =>
  (draft, [value = '']) => {
    draft[name] = value;
  };

const PLAIN_READERS: Readers<TunnelDraft> = {
  topology: (draft, [value = ''], say) => {
    if (value === 'net30' || value === 'p2p' || value === 'subnet') draft.topology = value;
    else say.error('--topology must be net30, p2p, or subnet');
  },
  'ifconfig-ipv6': (draft, [local = '', remote = ''], say) => {
    const prefix = ipv6Prefix(local);
    if (prefix === undefined || !isIpv6(remote)) {
      say.error(`ifconfig-ipv6 parms '${shown(local)}' and '${shown(remote)}' must be valid addresses`);
    } else if (prefix.prefixLength < 64 || prefix.prefixLength > 124) {
      say.error(`ifconfig-ipv6: /netbits must be between 64 and 124, not '/${prefix.prefixLength}'`);
    } else draft.ifconfigIpv6 = { local: prefix.address, prefixLength: prefix.prefixLength, remote };
  },
  'route-ipv6-gateway': (draft, [gateway = ''], say) => {
    if (isIpv6(gateway)) draft.routeIpv6Gateway = gateway;
    else say.error(`route-ipv6-gateway parm '${shown(gateway)}' must be a valid address`);
  },
  'route-metric': number('routeMetric'),
  'route-table': number('routeTable'),
  'route-delay': (draft, [seconds, windowSeconds], say) => {
    draft.routeDelay = {
      seconds: seconds === undefined ? 0 : nonNegative(seconds, say),
      windowSeconds:
        windowSeconds === undefined ? (draft.routeDelay?.windowSeconds ?? 30) : nonNegative(windowSeconds, say),
    };
  },
  'redirect-gateway': (draft, args, say) => {
    draft.redirectGateway = redirect(draft.redirectGateway, args, say, 'redirect-gateway') ?? draft.redirectGateway;
  },
  'redirect-private': (draft, args, say) => {
    draft.redirectPrivate = redirect(draft.redirectPrivate, args, say, 'redirect-private') ?? draft.redirectPrivate;
  },
  'block-ipv6': flag('blockIpv6'),
  'dhcp-option': (draft, args, say) => {
    const [type = '', value] = args;
    const dns = type === 'DNS' || type === 'DNS6';
    const domain =
      type === 'DOMAIN' ||
      type === 'ADAPTER_DOMAIN_SUFFIX' ||
      type === 'ADAPTER-DOMAIN-SUFFIX' ||
      type === 'DOMAIN-SEARCH';
    if (draft.dhcpOptions.length >= LIST_LIMIT)
      say.warn(`--dhcp-option: maximum of ${LIST_LIMIT} entries can be specified`);
    else if (domain && value !== undefined && !isDomain(value)) {
      say.error(`--dhcp-option ${type} contains invalid characters`);
    } else if (dns && value !== undefined && !isIpv4(value) && !isIpv6(value)) {
      say.error(`dhcp-option parameter ${type} '${shown(value)}' must be an IP address`);
    } else draft.dhcpOptions.push([...args]);
  },
  'tun-mtu': (draft, [value = '', occ], say) => {
    const bytes = constrained(value, 'tun-mtu', TUN_MTU_MIN_BYTES, TUN_MTU_MAX_BYTES, say);
    if (occ !== undefined) constrained(occ, 'tun-mtu occ-mtu', TUN_MTU_MIN_BYTES, TUN_MTU_MAX_BYTES, say);
    if (bytes !== undefined) draft.tunMtuBytes = bytes;
  },
  ping: pingTimeout('ping', 'ping'),
  'ping-exit': pingTimeout('pingExit', 'ping-exit'),
  'ping-restart': pingTimeout('pingRestart', 'ping-restart'),
  'ping-timer-rem': flag('pingTimerRem'),
  inactive: (draft, [seconds = '', bytes], say) => {
    draft.inactive = {
      seconds: nonNegative(seconds, say),
      bytes: bytes === undefined ? (draft.inactive?.bytes ?? 0) : (nonNegativeLong(bytes, 'inactive', say) ?? 0),
    };
  },
  'session-timeout': number('sessionTimeoutSeconds'),
  'explicit-exit-notify': (draft, [count], say) => {
    draft.explicitExitNotify = count === undefined ? 1 : nonNegative(count, say);
  },
  compress: (draft, [algorithm = 'stub'], say) => {
    switch (algorithm) {
      case 'stub':
        draft.compress = { framing: 'stub', algorithm: 'none', text: 'compress stub' };
        return;
      case 'stub-v2':
        draft.compress = { framing: 'stub-v2', algorithm: 'none', text: 'compress stub-v2' };
        return;
      case 'migrate':
        draft.compress = { framing: 'none', algorithm: 'none', text: 'compress migrate' };
        return;
      case 'lzo':
        draft.compress = { framing: 'comp-lzo', algorithm: 'lzo', text: 'compress lzo' };
        return;
      case 'lz4':
        draft.compress = { framing: 'stub', algorithm: 'lz4', text: 'compress lz4' };
        return;
      case 'lz4-v2':
        draft.compress = { framing: 'stub-v2', algorithm: 'lz4', text: 'compress lz4-v2' };
        return;
      default:
        say.error(`bad comp option: ${shown(algorithm)}`);
    }
  },
  'comp-lzo': (draft, [mode], say) => {
    if (mode === 'no') draft.compress = { framing: 'comp-lzo', algorithm: 'none', text: 'comp-lzo no' };
    else if (mode === undefined || mode === 'yes' || mode === 'adaptive') {
      draft.compress = {
        framing: 'comp-lzo',
        algorithm: 'lzo',
        text: mode === undefined ? 'comp-lzo' : `comp-lzo ${mode}`,
      };
    } else say.error(`bad comp-lzo option: ${shown(mode)} -- must be 'yes', 'no', or 'adaptive'`);
  },
  cipher: text('cipher'),
  'peer-id': (draft, [id = ''], say) => {
    draft.peerId = integer(id, say);
  },
  'protocol-flags': (draft, flags, say) => {
    for (const each of flags) {
      if (each === 'cc-exit' || each === 'tls-ekm' || each === 'dyn-tls-crypt' || each === 'aead-epoch') {
        if (!draft.protocolFlags.includes(each)) draft.protocolFlags.push(each);
      } else say.error(`Unknown protocol-flags flag: ${shown(each)}`);
    }
  },
  'key-derivation': (draft, [method = ''], say) => {
    if (method === 'tls-ekm') draft.keyDerivation = 'tls-ekm';
    else say.error(`Unknown key-derivation method ${shown(method)}`);
  },
  'auth-token': text('authToken'),
  'auth-token-user': text('authTokenUser'),
  sndbuf: number('sndbuf'),
  rcvbuf: number('rcvbuf'),
  'socket-flags': (draft, flags, say) => {
    for (const each of flags) {
      if (each !== 'TCP_NODELAY') say.error(`unknown socket flag: ${shown(each)}`);
      else if (!draft.socketFlags.includes(each)) draft.socketFlags.push(each);
    }
  },
  echo: (draft, words) => {
    if (draft.echo.length < LIST_LIMIT) draft.echo.push(words.join(' '));
  },
  'setenv-safe': (draft, [name = '', value = ''], say) => {
    if (!/^[A-Za-z0-9_]+$/.test(name)) say.error(`setenv-safe: bad variable name '${shown(name)}'`);
    else if (draft.setenv.length < LIST_LIMIT) draft.setenv.push([`OPENVPN_${name}`, value]);
  },
  verb: number('verb'),
  mute: number('mute'),
  'persist-tun': flag('persistTun'),
  txqueuelen: number('txQueueLength'),
};

function readRoute(draft: TunnelDraft, args: readonly string[], say: Say, context: TunnelContext): void {
  const [network = '', netmask, gateway, metric] = args;
  const place = (value: string): boolean => isAddressOrName(value, context.allowNames) || isSpecialGateway(value);
  // A profile may name hosts, which are resolved when the routes are set. A server may only with allow-pull-fqdn.
  const nameable = (value: string): boolean => !context.pulled && /^[^\s\0-\x1f]{1,255}$/.test(value);
  if (!place(network) && !nameable(network)) {
    say.error(`route parameter network/IP '${shown(network)}' must be a valid address`);
  } else if (
    netmask !== undefined &&
    netmask !== 'default' &&
    !isIpv4(netmask) &&
    (context.pulled || !isSpecialGateway(netmask))
  ) {
    say.error(`route parameter netmask '${shown(netmask)}' must be an IP address`);
  } else if (gateway !== undefined && gateway !== 'default' && !place(gateway) && !nameable(gateway)) {
    say.error(`route parameter gateway '${shown(gateway)}' must be a valid address`);
  } else {
    draft.routes.push({
      network,
      netmask: netmask === 'default' ? undefined : netmask,
      gateway: gateway === 'default' ? undefined : gateway,
      metric: metric === undefined || metric === 'default' ? undefined : nonNegative(metric, say),
      table: draft.routeTable,
    });
  }
}

function readRoute6(draft: TunnelDraft, args: readonly string[], say: Say): void {
  const [network = '', gateway, metric] = args;
  if (ipv6Prefix(network) === undefined) {
    say.error(`route-ipv6 parameter network/IP '${shown(network)}' must be a valid address`);
  } else if (gateway !== undefined && gateway !== 'default' && !isIpv6(gateway)) {
    say.error(`route-ipv6 parameter gateway '${shown(gateway)}' must be a valid address`);
  } else {
    draft.routes6.push({
      network,
      gateway: gateway === 'default' ? undefined : gateway,
      metric: metric === undefined || metric === 'default' ? undefined : nonNegative(metric, say),
      table: draft.routeTable,
    });
  }
}

function redirect(
  before: RedirectFlags | undefined,
  args: readonly string[],
  say: Say,
  option: 'redirect-gateway' | 'redirect-private',
): RedirectFlags | undefined {
  const flags = {
    local: before?.local ?? false,
    autolocal: before?.autolocal ?? false,
    def1: before?.def1 ?? false,
    bypassDhcp: before?.bypassDhcp ?? false,
    bypassDns: before?.bypassDns ?? false,
    blockLocal: before?.blockLocal ?? false,
    ipv4: true,
    ipv6: before?.ipv6 ?? false,
  };
  for (const each of args) {
    if (each === 'local') flags.local = true;
    else if (each === 'autolocal') flags.autolocal = true;
    else if (each === 'def1') flags.def1 = true;
    else if (each === 'bypass-dhcp') flags.bypassDhcp = true;
    else if (each === 'bypass-dns') flags.bypassDns = true;
    else if (each === 'block-local') flags.blockLocal = true;
    else if (each === 'ipv6') flags.ipv6 = true;
    else if (each === '!ipv4') flags.ipv4 = false;
    else {
      say.error(`unknown --${option} flag: ${shown(each)}`);
      return undefined;
    }
  }
  return flags;
}

function readDns(draft: TunnelDraft, args: readonly string[], say: Say, context: TunnelContext): void {
  const [kind = '', second, third, ...rest] = args;
  if (kind === 'search-domains' && second !== undefined) {
    const domains = args.slice(1);
    if (!domains.every(isDomain)) say.error('--dns search-domains contain invalid characters');
    else
      draft.dnsSearchDomains.push(
        ...domains.slice(0, Math.max(0, SEARCH_DOMAIN_LIMIT * 4 - draft.dnsSearchDomains.length)),
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
      if (address === undefined || addresses.length >= DNS_ADDRESS_LIMIT) {
        return complain(`malformed address or maximum exceeded '${shown(value)}'`);
      }
      addresses.push(address);
    }
    return { ...before, addresses };
  }
  if (kind === 'resolve-domains') {
    if (!values.every(isDomain)) return complain('resolve-domains contain invalid characters');
    return { ...before, resolveDomains: [...before.resolveDomains, ...values].slice(0, LIST_LIMIT) };
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

// Options that a server may push and a profile may state. The same readers serve both: `parse.ts` calls them for lines of
// a file, `push.ts` for words of a push reply.

import { parseMac } from '../ip/mac-address.ts';
import { readDns } from './build-dns.ts';
import { readNatRule } from './build-nat.ts';
import { readRoute, readRoute6, redirectFlags } from './build-routes.ts';
import type { Reader, Readers, TunnelDraft } from './draft.ts';
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
/** Bytes per second. */
const SHAPER_MIN = 100;
const SHAPER_MAX = 100_000_000;
/** Entries of lists that only grow. */
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
    draft.redirectGateway =
      redirectFlags(draft.redirectGateway, args, say, 'redirect-gateway') ?? draft.redirectGateway;
  },
  'redirect-private': (draft, args, say) => {
    draft.redirectPrivate =
      redirectFlags(draft.redirectPrivate, args, say, 'redirect-private') ?? draft.redirectPrivate;
  },
  'block-ipv6': flag('blockIpv6'),
  'client-nat': readNatRule,
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
  shaper: (draft, [text = ''], say) => {
    draft.shaperBytesPerSecond = constrained(text, 'shaper', SHAPER_MIN, SHAPER_MAX, say) ?? draft.shaperBytesPerSecond;
  },
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
  lladdr: (draft, [address = ''], say) => {
    if (parseMac(address) !== undefined) draft.linkAddress = address;
    else
      say.error(
        `lladdr parm '${shown(address)}' must be a MAC address`,
        'Write six pairs of hexadecimal digits: 02:00:00:00:00:01.',
      );
  },
};

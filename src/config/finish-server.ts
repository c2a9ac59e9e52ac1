// The macros of a server and what its options come to when every line has been read. The order of what is added to the
// push list is OpenVPN 2.7's: lines of the configuration, server-ipv6, server, keepalive, tcp-nodelay (observed with 2.7.8).

import { type AddressBytes, formatAddress, parseAddress } from '../ip/address.ts';
import { addressPlus, ipv4FromNumber, ipv4ToNumber } from '../ip/address-arithmetic.ts';
import { netmaskToLength } from '../ip/prefix.ts';
import { protoOf } from './build-connection.ts';
import { type BridgeDraft, poolRangeFits, type ServerDraft } from './build-server.ts';
import type { ConnectionProfile, DeviceChoice, KeyWrap } from './config.ts';
import type { LocalDraft } from './draft.ts';
import type { Lines } from './finish.ts';
import type { Drafts } from './parse.ts';
import type { ListenOption, ServerOptions } from './server-options.ts';

/** Lengths of netmasks that `server` takes on a tun device. */
const LENGTH_MIN = 16;
const LENGTH_MAX = 29;
/** … and on a tap device, where nobody takes four addresses. */
const TAP_LENGTH_MAX = 30;
/** Where clients' IPv6 addresses begin in a network that has room for it. */
const POOL6_OFFSET = 0x1000;
/** Seconds that `keepalive` allows a server, which waits twice as long. */
const KEEPALIVE_MAX_SECONDS = 43200;

/** Expands `server`, `server-ipv6`, `keepalive` and `tcp-nodelay`; settles mode, TLS role and topology. */
export function expandServer(drafts: Drafts, device: DeviceChoice, at: Lines): void {
  const { general, tls, tunnel, server } = drafts;
  if (server.network6 !== undefined || server.network !== undefined || server.bridge !== undefined) {
    if (tls.role === 'client' && !general.clientMacro) {
      at.say('tls-client').error('specify only one of --tls-server, --tls-client, or --secret', 'Remove tls-client.');
    }
    general.mode = 'server';
    tls.role = 'server';
  }
  if (server.network6 !== undefined) expandServer6(drafts, server.network6, at);
  if (server.network !== undefined) expandServer4(drafts, server.network, device, at);
  else if (server.bridge !== undefined) expandBridge(drafts, server.bridge, device, at);
  if (tls.role === 'server' && tls.dh?.kind === 'file' && tls.dh.path === 'none') tls.dh = undefined;
  if (general.mode !== 'server') return;
  if (device.type !== 'tap') tunnel.topology ??= 'subnet';
  if (general.keepalive !== undefined) {
    const { interval, timeout } = general.keepalive;
    if (timeout > KEEPALIVE_MAX_SECONDS) {
      at.say('keepalive').error(
        `The second parameter to --keepalive must not exceed ${KEEPALIVE_MAX_SECONDS} in server mode.`,
        'Write keepalive 10 60.',
      );
    }
    server.push.push(`ping ${interval}`, `ping-restart ${timeout}`);
  }
  if (server.tcpNodelay) server.push.push('socket-flags TCP_NODELAY');
}

function expandServer6(drafts: Drafts, macro: NonNullable<ServerDraft['network6']>, at: Lines): void {
  const { general, tunnel, server } = drafts;
  const say = at.say('server-ipv6');
  if (general.clientMacro) say.error('--server-ipv6 and --client cannot be used together', 'Remove one of them.');
  if (server.network?.pool === false) {
    say.error("--server-ipv6 is incompatible with 'nopool' option", 'Remove nopool, or write ifconfig-ipv6-pool.');
  }
  if (server.pool6 !== undefined) {
    at.say('ifconfig-ipv6-pool').error(
      "--server-ipv6 already defines an ifconfig-ipv6-pool, so you can't also specify --ifconfig-pool explicitly",
      'Remove ifconfig-ipv6-pool.',
    );
  }
  const base = parseAddress(macro.address) as AddressBytes;
  const { prefixLength } = macro;
  const plus = (count: number): string => formatAddress(addressPlus(base, count));
  tunnel.ifconfigIpv6 = { local: plus(1), prefixLength, remote: plus(2) };
  server.pool6 = { first: plus(prefixLength < 112 ? POOL6_OFFSET : 2), prefixLength };
  server.push.push('tun-ipv6');
}

function expandServer4(
  drafts: Drafts,
  macro: NonNullable<ServerDraft['network']>,
  device: DeviceChoice,
  at: Lines,
): void {
  const { general, tunnel, server } = drafts;
  const say = at.say('server');
  if (general.clientMacro) say.error('--server and --client cannot be used together', 'Remove one of them.');
  if (server.bridge !== undefined) {
    say.error('--server and --server-bridge cannot be used together', 'Remove one of them.');
  }
  const tap = device.type === 'tap';
  const lengthMax = tap ? TAP_LENGTH_MAX : LENGTH_MAX;
  if (macro.pool && server.pool4 !== undefined) {
    at.say('ifconfig-pool').error(
      "--server already defines an ifconfig-pool, so you can't also specify --ifconfig-pool explicitly",
      'Remove ifconfig-pool, or write nopool after the netmask of server.',
    );
    return;
  }
  const network = macro.network;
  const broadcast = (network | ~macro.netmask) >>> 0;
  const netmask = ipv4FromNumber(macro.netmask);
  const length = netmaskToLength(parseAddress(netmask) as AddressBytes);
  if (length === undefined || (network & macro.netmask) >>> 0 !== network) {
    say.error(
      '--server directive network/netmask combination is invalid',
      'Write the first address of a network and its netmask: server 10.8.0.0 255.255.255.0.',
    );
    return;
  }
  if (length < LENGTH_MIN) {
    say.error(
      '--server directive netmask allows for too many host addresses (subnet must be 255.255.0.0 (/16) or higher)',
      'Write a smaller network, as 255.255.0.0.',
    );
    return;
  }
  if (length > lengthMax) {
    const least = tap
      ? '--dev tap must define a subnet of 255.255.255.252 (/30)'
      : '--dev tun must define a subnet of 255.255.255.248 (/29)';
    say.error(
      length === 32 ? '--server directive netmask is invalid' : `--server directive when used with ${least} or lower`,
      'Write a larger network, as 255.255.255.0.',
    );
    return;
  }
  if (!tap) tunnel.topology ??= 'subnet';
  const own = ipv4FromNumber(network + 1);
  const second = ipv4FromNumber(network + 2);
  const pool = (start: number, end: number): void => {
    if (!macro.pool || !poolRangeFits(start, end, say)) return;
    server.pool4 = { first: ipv4FromNumber(start), last: ipv4FromNumber(end), netmask: undefined };
  };
  if (tap || tunnel.topology === 'subnet') {
    tunnel.ifconfig = { local: own, remoteOrNetmask: netmask };
    pool(network + 2, broadcast - 1);
    server.poolNetmask = netmask;
    server.push.push(`route-gateway ${own}`);
    if (!tap) tunnel.routeGateway ??= second;
    server.ifconfigPushConstraint = { network: ipv4FromNumber(network), netmask };
  } else {
    tunnel.ifconfig = { local: own, remoteOrNetmask: second };
    pool(network + 4, length === LENGTH_MAX ? broadcast : broadcast - 4);
    const whole = { network: ipv4FromNumber(network), netmask };
    tunnel.routes.push({ ...whole, gateway: undefined, metric: undefined, table: tunnel.routeTable });
    if (server.clientToClient) server.push.push(`route ${whole.network} ${netmask}`);
    else if (tunnel.topology === 'net30') server.push.push(`route ${own}`);
    if (tunnel.topology === 'net30' && macro.pool) {
      at.say('topology').warn(
        'WARNING: --topology net30 support for server configs with IPv4 pools will be removed in a future release. Please migrate to --topology subnet as soon as possible.',
        'Write topology subnet, unless clients older than OpenVPN 2.1 have to be served.',
        'deprecated',
      );
    }
  }
  if (!tap) server.push.push(`topology ${tunnel.topology}`);
}

/** `server-bridge`: the device has no address of its own, a script puts it into a bridge. */
function expandBridge({ general, server }: Drafts, bridge: BridgeDraft, device: DeviceChoice, at: Lines): void {
  const say = at.say('server-bridge');
  if (general.clientMacro) say.error('--server-bridge and --client cannot be used together', 'Remove one of them.');
  if (server.pool4 !== undefined) {
    at.say('ifconfig-pool').error(
      "--server-bridge already defines an ifconfig-pool, so you can't also specify --ifconfig-pool explicitly",
      'Remove ifconfig-pool.',
    );
    return;
  }
  if (device.type !== 'tap') {
    say.error('--server-bridge directive only makes sense with --dev tap', 'Write dev tap, or server NETWORK NETMASK.');
  }
  if (bridge.kind === 'dhcp') {
    if (bridge.pushGateway) server.push.push('route-gateway dhcp');
    return;
  }
  const { gateway, netmask, first, last } = bridge;
  const mask = ipv4FromNumber(netmask);
  for (const [one, other] of [
    [gateway, first],
    [first, last],
    [gateway, last],
  ] as const) {
    if ((one & netmask) === (other & netmask)) continue;
    say.error(
      `--server-bridge IP addresses ${ipv4FromNumber(one)} and ${ipv4FromNumber(other)} are not in the same ${mask} subnet`,
      'Write the gateway, and the first and the last address for clients, of one network.',
    );
    return;
  }
  if (!poolRangeFits(first, last, say)) return;
  server.pool4 = { first: ipv4FromNumber(first), last: ipv4FromNumber(last), netmask: undefined };
  server.poolNetmask = mask;
  server.push.push(`route-gateway ${ipv4FromNumber(gateway)}`);
}

/** What the server's part of the configuration comes to. */
export function serverOf(
  drafts: Drafts,
  connections: readonly ConnectionProfile[],
  device: DeviceChoice,
  at: Lines,
): ServerOptions {
  const { server, tunnel } = drafts;
  const { network: _a, network6: _b, bridge: _d, tcpNodelay: _c, poolNetmask, pool4, ...options } = server;
  const exitNotify = connections[0]?.explicitExitNotify ?? 0;
  checkPoolSize(pool4, device.type === 'tun' && tunnel.topology === 'net30', at);
  return {
    ...options,
    pool4: pool4 && { ...pool4, netmask: poolNetmask },
    listens: listensOf(drafts, at),
    authGenToken: options.authGenToken && {
      ...options.authGenToken,
      renewalSeconds: options.authGenToken.renewalSeconds || drafts.tls.renegSeconds,
    },
    wraps: wrapsOf(drafts),
    exitNotify: exitNotify === 0 ? 0 : exitNotify === 2 ? 2 : 1,
    compressMigrate: tunnel.compress?.text === 'compress migrate',
  };
}

function checkPoolSize(pool: ServerOptions['pool4'], blocks: boolean, at: Lines): void {
  if (pool === undefined) return;
  const first = ipv4ToNumber(pool.first) ?? 0;
  const last = ipv4ToNumber(pool.last) ?? 0;
  const size = blocks ? Math.floor(last / 4) - Math.floor(first / 4) + 1 : last - first + 1;
  if (size < 2) {
    at.say('ifconfig-pool', 'server', 'server-bridge').error(
      `IPv4 pool size is too small (${size}), must be at least 2`,
      blocks ? 'Give the pool more addresses: each client takes four under net30.' : 'Give the pool more addresses.',
    );
  }
}

// The last line of each kind counts; tls-auth and tls-crypt exclude each other, which finish.ts says.
function wrapsOf({ wraps, general }: Drafts): KeyWrap[] {
  return (['tls-auth', 'tls-crypt', 'tls-crypt-v2'] as const).flatMap((kind) => {
    const wrap = wraps.filter((each) => each.wrap.kind === kind).at(-1)?.wrap;
    if (wrap === undefined) return [];
    return [kind === 'tls-auth' ? { ...wrap, direction: general.keyDirection } : wrap];
  });
}

function listensOf({ base }: Drafts, at: Lines): ListenOption[] {
  const lines: readonly LocalDraft[] =
    base.locals.length > 0
      ? base.locals
      : [
          {
            host: undefined,
            port: undefined,
            protoName: undefined,
            origin: at.origin('lport', 'port', 'proto', 'server'),
          },
        ];
  return lines.map(({ host, port, protoName, origin }) => {
    const { proto } = protoOf(protoName ?? base.protoName) ?? base;
    const transport = proto.transport === 'udp' ? 'udp' : 'tcp-server';
    // A family that the line does not pin is the one of `proto`.
    return {
      host,
      port: port ?? base.localPort,
      proto: { transport, family: proto.family ?? base.proto.family },
      origin,
    };
  });
}

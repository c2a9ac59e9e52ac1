// Options of one connection: the same at the top of a profile and inside `<connection>`.

import { PROXY_READERS } from './build-proxy.ts';
import type { ConfigLine, KeyWrap, Source, TransportProto } from './config.ts';
import type { ConnectionDraft, Reader, Readers } from './draft.ts';
import type { Say } from './findings.ts';
import { constrained, INT_MAX, isPort, nonNegative, shown } from './values.ts';

const TUN_MTU_MIN_BYTES = 100;
const TUN_MTU_MAX_BYTES = 65536;
/** Least ceiling for pushed MTUs. */
const TUN_MTU_MAX_MIN_BYTES = 1600;
/** A control packet with nothing but its headers in the largest wrap, and the largest buffer for one. */
const CONTROL_PACKET_MIN_BYTES = 154;
const CONTROL_PACKET_MAX_BYTES = 2048;

/** A connection before any line was read. */
export const emptyConnection = (): ConnectionDraft => ({
  remote: undefined,
  remotePort: '1194',
  localHost: undefined,
  localPort: '1194',
  proto: { transport: 'udp', family: undefined },
  protoName: 'udp',
  bindLocal: true,
  bindIpv6Only: false,
  float: false,
  connectRetrySeconds: 1,
  connectRetryMaxSeconds: 300,
  connectTimeoutSeconds: 120,
  explicitExitNotify: 0,
  tunMtuBytes: 1500,
  occMtuBytes: undefined,
  tunMtuMaxBytes: 1600,
  tunMtuExtraBytes: 0,
  linkMtuBytes: undefined,
  maxControlPacketBytes: 1250,
  fragment: undefined,
  mssFix: undefined,
  mtuDiscovery: undefined,
  wrap: undefined,
  httpProxy: undefined,
  socksProxy: undefined,
  origin: { file: '', line: 0 },
  localPortStated: false,
  bindStated: false,
  tunMtuStated: false,
  keyDirection: undefined,
  locals: [],
});

/** What a protocol name says; `tcp` without a role is settled when the role is known. */
export function protoOf(name: string): { readonly proto: TransportProto; readonly open: boolean } | undefined {
  const match = /^(?:(udp)([46])?|(tcp)([46])?(-client|-server)?)$/.exec(name);
  if (match === null) return undefined;
  const digit = match[2] ?? match[4];
  const family = digit === undefined ? undefined : digit === '4' ? 4 : 6;
  if (match[1] !== undefined) return { proto: { transport: 'udp', family }, open: false };
  const transport = match[5] === '-server' ? 'tcp-server' : 'tcp-client';
  return { proto: { transport, family }, open: match[5] === undefined };
}

/** Takes over host, port and protocol of a `remote` line. */
export function readRemote(draft: ConnectionDraft, line: ConfigLine, say: Say): boolean {
  const [host = '', port, proto] = line.words;
  if (port !== undefined && !readPort(port, 'remote', say)) return false;
  if (proto !== undefined) {
    const known = protoOf(proto);
    if (known === undefined) {
      say.error(
        `remote: bad protocol associated with host ${shown(host)}: '${shown(proto)}'`,
        `Write one of ${PROTO_NAMES}.`,
      );
      return false;
    }
    draft.protoName = proto;
    // A family that the line does not pin stays as it was.
    draft.proto = { ...known.proto, family: known.proto.family ?? draft.proto.family };
  }
  draft.remote = host;
  if (port !== undefined) draft.remotePort = port;
  draft.origin = line.origin;
  return true;
}

/** Where key material of a line is. */
export const sourceOf = (line: ConfigLine): Source =>
  line.inline === undefined
    ? { kind: 'file', path: line.words[0] ?? '', origin: line.origin }
    : { kind: 'inline', text: line.inline, origin: line.origin };

/** A key direction; undefined after a complaint. */
export function directionOf(text: string, say: Say): 0 | 1 | undefined {
  if (text === '0' || text === '1') return text === '0' ? 0 : 1;
  say.error(`Unknown key direction '${shown(text)}' -- must be '0' or '1'`);
  return undefined;
}

/** The control channel's wrap that a line asks for. */
export function wrapOf(line: ConfigLine, say: Say): KeyWrap | undefined {
  const kind = line.option;
  if (kind !== 'tls-auth' && kind !== 'tls-crypt' && kind !== 'tls-crypt-v2') return undefined;
  const second = line.inline === undefined ? line.words[1] : undefined;
  if (kind === 'tls-auth') {
    const direction = second === undefined ? undefined : directionOf(second, say);
    return { kind, source: sourceOf(line), direction };
  }
  if (kind === 'tls-crypt-v2' && second !== undefined && second !== 'force-cookie' && second !== 'allow-noncookie') {
    say.error(`Unsupported tls-crypt-v2 argument: ${shown(second)}`);
  }
  return { kind, source: sourceOf(line), direction: undefined };
}

const PROTO_NAMES =
  'udp, udp4, udp6, tcp, tcp4, tcp6, tcp-client, tcp4-client, tcp6-client, tcp-server, tcp4-server, tcp6-server';

const readPort = (text: string, option: string, say: Say): boolean => {
  if (isPort(text)) return true;
  say.error(`Bad port '${shown(text)}' in ${option}`, 'Write a number from 0 to 65535 or a service name.');
  return false;
};

const seconds =
  (name: 'connectTimeoutSeconds'): Reader<ConnectionDraft> =>
  (draft, [value = ''], say) => {
    draft[name] = nonNegative(value, say);
  };

/** Readers for lines of a connection. `remote`, wraps and key direction are the caller's, who knows the level. */
export const CONNECTION_READERS: Readers<ConnectionDraft> = {
  ...PROXY_READERS,
  proto: (draft, [name = ''], say) => {
    const known = protoOf(name);
    if (known === undefined) {
      say.error(
        `Bad protocol: '${shown(name)}'. Allowed protocols with --proto option: ${PROTO_NAMES}`,
        'Choose one of these.',
      );
      return;
    }
    draft.protoName = name;
    draft.proto = known.proto;
  },
  port: (draft, [port = ''], say) => {
    if (!readPort(port, 'port', say)) return;
    draft.localPort = port;
    draft.remotePort = port;
  },
  lport: (draft, [port = ''], say) => {
    if (!readPort(port, 'lport', say)) return;
    draft.localPort = port;
    if (port !== '0') draft.localPortStated = true;
  },
  rport: (draft, [port = ''], say) => {
    if (readPort(port, 'rport', say)) draft.remotePort = port;
  },
  local: (draft, [host = '', port, proto], say, line) => {
    if (port !== undefined && !readPort(port, 'local', say)) return;
    if (proto !== undefined && protoOf(proto) === undefined) {
      say.error(`Bad protocol: '${shown(proto)}' in local`, `Write one of ${PROTO_NAMES}.`);
      return;
    }
    const own = host === '*' ? undefined : host;
    if (own !== undefined) draft.localHost = own;
    draft.bindStated = true;
    draft.locals = [...draft.locals, { host: own, port, protoName: proto, origin: line.origin }];
  },
  bind: (draft, [mode]) => {
    draft.bindStated = true;
    if (mode === 'ipv6only') draft.bindIpv6Only = true;
  },
  nobind: (draft) => {
    draft.bindLocal = false;
  },
  float: (draft) => {
    draft.float = true;
  },
  'connect-retry': (draft, [first = '', max], say) => {
    const value = nonNegative(first, say);
    draft.connectRetrySeconds = Math.min(value, 0xffff);
    if (value > 0xffff) say.warn('connect retry wait interval truncated to 65535');
    if (max !== undefined) draft.connectRetryMaxSeconds = Math.max(nonNegative(max, say), draft.connectRetrySeconds);
  },
  'server-poll-timeout': seconds('connectTimeoutSeconds'),
  'explicit-exit-notify': (draft, [count], say) => {
    draft.explicitExitNotify = count === undefined ? 1 : nonNegative(count, say);
  },
  'link-mtu': (draft, [bytes = ''], say) => {
    draft.linkMtuBytes = nonNegative(bytes, say);
  },
  'tun-mtu': (draft, [bytes = '', occ], say) => {
    const value = constrained(bytes, 'tun-mtu', TUN_MTU_MIN_BYTES, TUN_MTU_MAX_BYTES, say);
    if (value === undefined) return;
    draft.tunMtuBytes = value;
    draft.tunMtuStated = true;
    draft.occMtuBytes =
      occ === undefined ? undefined : constrained(occ, 'tun-mtu occ-mtu', TUN_MTU_MIN_BYTES, TUN_MTU_MAX_BYTES, say);
  },
  'tun-mtu-max': (draft, [bytes = ''], say) => {
    draft.tunMtuMaxBytes =
      constrained(bytes, 'tun-mtu-max', TUN_MTU_MAX_MIN_BYTES, TUN_MTU_MAX_BYTES, say) ?? draft.tunMtuMaxBytes;
  },
  'tun-mtu-extra': (draft, [bytes = ''], say) => {
    draft.tunMtuExtraBytes = constrained(bytes, 'tun-mtu-extra', 0, TUN_MTU_MAX_BYTES, say) ?? draft.tunMtuExtraBytes;
  },
  'max-packet-size': (draft, [text = ''], say) => {
    const bytes = nonNegative(text, say);
    const used = Math.min(CONTROL_PACKET_MAX_BYTES, Math.max(CONTROL_PACKET_MIN_BYTES, bytes));
    if (used !== bytes) {
      say.warn(
        `Note: max-packet-size value outside of allowed control channel packet size (${CONTROL_PACKET_MIN_BYTES} to ${CONTROL_PACKET_MAX_BYTES}), will use ${used} instead.`,
      );
    }
    draft.maxControlPacketBytes = used;
    draft.mssFix = { bytes, mode: 'mtu' };
  },
  fragment: (draft, [text = '', mode], say) => {
    const bytes = constrained(text, 'fragment', 68, INT_MAX, say);
    if (mode !== undefined && mode !== 'mtu') say.error(`Unknown parameter to --fragment: ${shown(mode)}`);
    if (bytes !== undefined) draft.fragment = { bytes, mtuMode: mode === 'mtu' };
  },
  mssfix: (draft, [text, mode], say) => {
    if (mode !== undefined && mode !== 'mtu' && mode !== 'fixed') {
      say.error(`Unknown parameter to --mssfix: ${shown(mode)}`);
      return;
    }
    if (text === undefined) {
      draft.mssFix = undefined;
      return;
    }
    const bytes = constrained(text, 'mssfix', 0, 0xffff, say);
    if (bytes === undefined) return;
    if (bytes !== 0 && bytes < CONTROL_PACKET_MIN_BYTES) {
      say.error(`mssfix needs to be >= ${CONTROL_PACKET_MIN_BYTES}, not ${bytes}`);
      return;
    }
    draft.mssFix = { bytes, mode: mode ?? 'payload' };
  },
  'mtu-disc': (draft, [mode = ''], say) => {
    if (mode === 'no' || mode === 'maybe' || mode === 'yes') draft.mtuDiscovery = mode;
    else say.error(`invalid --mtu-disc type: '${shown(mode)}' -- valid types are yes|maybe|no`);
  },
};

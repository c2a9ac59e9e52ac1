// Option rows: where and how the transport connects.

import { laterWithout, MANY, noEffect, type OptionRow, row, silently, WORKS } from './option-row.ts';

const CONNECTION = { contexts: ['connection'] } as const;

export const LINK_ROWS: readonly OptionRow[] = [
  row(
    'remote',
    'host [port] [proto]',
    [1, 3],
    'general',
    WORKS,
    'A server to connect to; may be given several times.',
    {
      side: 'client',
      contexts: ['connection'],
    },
  ),
  row('connection', '(block)', [1, 2], 'general', WORKS, 'A remote with options of its own.', {
    side: 'client',
    contexts: ['inline'],
  }),
  row('remote-random', '', 0, 'general', WORKS, 'Shuffle the remotes at start.', { side: 'client' }),
  row('remote-random-hostname', '', 0, 'general', WORKS, "Put random characters before the remote's name.", {
    side: 'client',
  }),
  row(
    'proto',
    'udp|tcp|…',
    1,
    'general',
    WORKS,
    'Protocol: udp or tcp, with 4 or 6 for the family, with -client or -server for the role of TCP.',
    {
      ...CONNECTION,
      default: 'udp',
    },
  ),
  row('proto-force', 'udp|tcp', 1, 'general', WORKS, 'Use only the remotes with this protocol.', { side: 'client' }),
  row('port', 'port', 1, 'general', WORKS, 'Port on both sides.', { ...CONNECTION, default: '1194' }),
  row('lport', 'port', 1, 'general', WORKS, 'Local port.', { ...CONNECTION, default: '1194' }),
  row('rport', 'port', 1, 'general', WORKS, "The server's port.", { ...CONNECTION, default: '1194' }),
  row('local', 'host|* [port] [proto]', [1, 3], 'general', WORKS, 'Local address of the transport.', CONNECTION),
  row('bind', '[ipv6only]', [0, 1], 'general', WORKS, 'Bind to the local port.', CONNECTION),
  row('nobind', '', 0, 'general', WORKS, 'Let the system choose the local port.', CONNECTION),
  row('float', '', 0, 'general', WORKS, 'Take authentic packets from any address of the server.', CONNECTION),
  row('bind-dev', 'device', [1, MANY], 'sockflags', WORKS, 'Send the transport through this network device.'),
  row('mark', 'value', 1, 'general', WORKS, 'Mark transport packets for policy routing.', { default: '0' }),
  row('resolv-retry', 'seconds|infinite', 1, 'general', WORKS, 'How long to try to resolve a name.', {
    side: 'client',
    default: 'infinite',
  }),
  row(
    'preresolve',
    '[address]',
    [0, 1],
    'general',
    noEffect('names are resolved when they are needed'),
    'Resolve all names at start.',
  ),
  row(
    'ip-remote-hint',
    '[address]',
    [0, 1],
    'general',
    noEffect('names are resolved when they are needed'),
    'Internal.',
    {
      side: 'client',
    },
  ),
  row(
    'connect-retry',
    'seconds [max]',
    [1, 2],
    'general',
    WORKS,
    'Wait between attempts; doubles up to max after five rounds.',
    {
      ...CONNECTION,
      side: 'client',
      default: '1 300',
    },
  ),
  row('connect-retry-max', 'n', 1, 'general', WORKS, 'Give up after this many attempts for each remote.', {
    ...CONNECTION,
    side: 'client',
    default: 'unlimited',
  }),
  row(
    'server-poll-timeout',
    'seconds',
    1,
    'general',
    WORKS,
    'Seconds to wait for a server before the next one is tried.',
    {
      ...CONNECTION,
      side: 'client',
      default: '120',
    },
  ),
  row('connect-timeout', 'seconds', 1, 'general', WORKS, 'Same as server-poll-timeout.', {
    ...CONNECTION,
    side: 'client',
    default: '120',
    aliasOf: 'server-poll-timeout',
  }),
  row('explicit-exit-notify', '[n]', [0, 1], ['general', 'explicit-notify'], WORKS, 'Tell the peer on exit (UDP).', {
    ...CONNECTION,
    default: 'off',
  }),
  row('keepalive', 'interval timeout', 2, 'general', WORKS, 'Ping and restart on silence: ping plus ping-restart.', {
    contexts: ['push-update'],
  }),
  row('ping', 'seconds', 1, 'timer', WORKS, 'Send a ping after this long without sending.', { contexts: ['ccd'] }),
  row('ping-exit', 'seconds', 1, 'timer', WORKS, 'Exit when the peer is silent for this long.', { contexts: ['ccd'] }),
  row('ping-restart', 'seconds', 1, 'timer', WORKS, 'Restart when the peer is silent for this long.', {
    contexts: ['ccd'],
    default: '120 while pulling, else 0',
  }),
  row('ping-timer-rem', '', 0, 'timer', WORKS, "Count silence only once the peer's address is known.", {
    contexts: ['ccd'],
  }),
  row('inactive', 'seconds [bytes]', [1, 2], 'timer', WORKS, 'Exit when the tunnel carries less than this.', {
    contexts: ['ccd'],
    default: '0',
  }),
  row('session-timeout', 'seconds', 1, 'timer', WORKS, 'End the session after this long.', {
    contexts: ['ccd'],
    default: '0',
  }),
  row('sndbuf', 'bytes', 1, 'sockbuf', WORKS, 'Send buffer of the socket.'),
  row('rcvbuf', 'bytes', 1, 'sockbuf', WORKS, 'Receive buffer of the socket.'),
  row(
    'socket-flags',
    'TCP_NODELAY',
    [0, MANY],
    'sockflags',
    silently('TCP_NODELAY is always set'),
    'Flags of the socket.',
    {
      contexts: ['ccd'],
    },
  ),
  row('fast-io', '', 0, 'general', silently('it has been without meaning since OpenVPN 2.7'), 'Ignored.', {
    deprecated: { since: '2.7', instead: 'Leave it out.' },
  }),
  row(
    'passtos',
    '',
    0,
    'general',
    laterWithout('the TOS byte is not copied to the outer packet yet'),
    'Copy the TOS byte of inner packets.',
  ),
  row(
    'shaper',
    'bytes',
    1,
    'shaper',
    laterWithout('outgoing traffic is not limited yet; use tc(8)'),
    'Limit outgoing bytes per second.',
  ),
  row('mtu-disc', 'no|maybe|yes', 1, 'mtu', WORKS, 'Path MTU discovery of the transport.', CONNECTION),
  row('mtu-test', '', 0, 'general', laterWithout('the path MTU is not measured yet'), 'Measure the MTU of the path.'),
  row('link-mtu', 'bytes', 1, 'mtu', WORKS, 'Largest transport payload.', {
    ...CONNECTION,
    deprecated: { since: '2.6', instead: 'Write tun-mtu or mssfix.' },
  }),
  row('udp-mtu', 'bytes', 1, 'mtu', WORKS, 'Old name of link-mtu.', {
    ...CONNECTION,
    aliasOf: 'link-mtu',
    deprecated: { since: '2.0', instead: 'Write tun-mtu or mssfix.' },
  }),
  row('tun-mtu', 'bytes [occ-bytes]', [1, 2], 'push-mtu', WORKS, 'MTU of the tun device.', {
    contexts: ['connection', 'push-update'],
    default: '1500',
  }),
  row('tun-mtu-max', 'bytes', 1, 'mtu', WORKS, 'Largest MTU that a server may push.', {
    ...CONNECTION,
    default: '1600',
  }),
  row(
    'tun-mtu-extra',
    'bytes',
    1,
    'mtu',
    silently('buffers have room for every packet'),
    'Spare room in buffers.',
    CONNECTION,
  ),
  row('max-packet-size', 'bytes', 1, 'mtu', WORKS, 'Largest transport packet: control packets and mssfix.', {
    ...CONNECTION,
    default: '1250 for control packets',
  }),
  row('fragment', 'bytes [mtu]', [1, 2], 'mtu', WORKS, 'Split larger packets; both sides need it (UDP).', CONNECTION),
  row('mssfix', '[bytes] [mtu|fixed]', [0, 2], 'general', WORKS, 'Make TCP inside choose segments that fit.', {
    ...CONNECTION,
    default: '1492 mtu',
  }),

  row(
    'http-proxy',
    'server port [authfile|stdin|auto|auto-nct] [none|basic|digest]',
    [1, 4],
    'general',
    WORKS,
    'Connect through an HTTP proxy.',
    {
      side: 'client',
      contexts: ['connection'],
    },
  ),
  row('http-proxy-user-pass', 'file', [1, MANY], 'general', WORKS, "The HTTP proxy's user name and password.", {
    side: 'client',
    contexts: ['inline'],
  }),
  row('http-proxy-option', 'VERSION|AGENT|CUSTOM-HEADER …', [1, 3], 'general', WORKS, 'HTTP proxy headers.', {
    side: 'client',
    contexts: ['connection'],
  }),
  row('http-proxy-override', 'server port [nct]', [2, 3], 'general', WORKS, 'HTTP proxy for every remote.', {
    side: 'client',
  }),
  row('socks-proxy', 'server [port] [authfile]', [1, 3], 'general', WORKS, 'Connect through a SOCKS proxy.', {
    side: 'client',
    contexts: ['connection'],
  }),
  ...['http-proxy-retry', 'socks-proxy-retry', 'http-proxy-timeout'].map((name) =>
    row(name, '', [0, MANY], 'general', noEffect('it has been ignored since OpenVPN 2.4'), 'Ignored.', {
      side: 'client',
      contexts: ['connection'],
      deprecated: { since: '2.4', instead: 'Write server-poll-timeout or connect-retry-max.' },
    }),
  ),
];

// Option rows: the device, its addresses, routes and names.

import { laterWithout, MANY, noEffect, type OptionRow, row, silently, WORKS } from './option-row.ts';

const DNS = 'the resolver of this machine is not changed yet; scripts get the values in their environment';
const UPDATE = { contexts: ['push-update'] } as const;

export const TUNNEL_ROWS: readonly OptionRow[] = [
  row('dev', 'tunX|tapX|null|name', 1, 'general', WORKS, 'The network device: tun for IP, tap for Ethernet.', {
    default: 'tun',
  }),
  row('dev-type', 'tun|tap|null', 1, 'general', WORKS, 'What the device is, if its name does not tell.'),
  row('dev-node', 'path', 1, 'general', WORKS, 'Device file of the tun driver.', { default: '/dev/net/tun' }),
  row('lladdr', 'address', 1, 'up', WORKS, 'MAC address of a TAP device.'),
  row(
    'iproute',
    'cmd',
    1,
    'general',
    noEffect('addresses and routes are set by netlink'),
    'Program for network settings.',
  ),
  row('txqueuelen', 'n', 1, 'general', WORKS, 'Queue length of the device.'),
  row(
    'disable-dco',
    '',
    [0, MANY],
    'any',
    silently('packets are moved in user space'),
    'Do not use data channel offload.',
  ),
  row('topology', 'net30|p2p|subnet', 1, 'up', WORKS, 'What the second argument of ifconfig is.', {
    ...UPDATE,
    default: 'net30; subnet for a server',
  }),
  row('ifconfig', 'local remote|netmask', 2, 'up', WORKS, 'IPv4 address of the device.', UPDATE),
  row('ifconfig-ipv6', 'address/bits remote', 2, 'up', WORKS, 'IPv6 address of the device.', UPDATE),
  row('ifconfig-noexec', '', 0, 'up', WORKS, 'Do not set addresses; only tell the scripts.'),
  row('ifconfig-nowarn', '', 0, 'up', WORKS, 'Say nothing about addresses that look like a mistake.'),
  row('tun-ipv6', '', 0, 'any', silently('IPv6 in the tunnel needs no option'), 'Ignored.', {
    deprecated: { since: '2.4', instead: 'Leave it out.' },
  }),
  row(
    'route',
    'network [netmask] [gateway] [metric]',
    [1, 4],
    'route',
    WORKS,
    'Route a network through the tunnel.',
    UPDATE,
  ),
  row(
    'route-ipv6',
    'network/bits [gateway] [metric]',
    [1, 3],
    'route',
    WORKS,
    'Route an IPv6 network through the tunnel.',
    UPDATE,
  ),
  row('route-gateway', 'address|dhcp', 1, 'route-extras', WORKS, 'Gateway for routes that name none.', UPDATE),
  row('route-ipv6-gateway', 'address', 1, 'any', WORKS, 'Gateway for IPv6 routes that name none.'),
  row('route-metric', 'n', 1, 'route', WORKS, 'Metric of routes that name none.', UPDATE),
  row('route-table', 'id', 1, 'route-table', WORKS, 'Routing table for the routes that follow.', { default: 'main' }),
  row('route-delay', '[seconds] [window]', [0, 2], 'route-extras', WORKS, 'Wait before routes are set.', {
    default: '0 30',
  }),
  row('route-noexec', '', 0, 'script', WORKS, 'Do not set routes; only tell the scripts.'),
  row('route-nopull', '', 0, 'general', WORKS, 'Do not take routes and DNS from the server.', { side: 'client' }),
  row(
    'only-its-networks',
    '',
    0,
    'general',
    WORKS,
    'Sallyport only: use the tunnel for its own networks and names; default routes and DNS for everything are left out.',
    { side: 'client' },
  ),
  row(
    'redirect-gateway',
    '[flags…]',
    [0, MANY],
    'route',
    WORKS,
    'Send everything through the tunnel; flags: def1, ipv6, !ipv4, local, autolocal, bypass-dhcp, bypass-dns, block-local.',
    UPDATE,
  ),
  row(
    'redirect-private',
    '[flags…]',
    [0, MANY],
    'route',
    WORKS,
    'As redirect-gateway, but keep the default route.',
    UPDATE,
  ),
  row(
    'block-ipv6',
    '',
    0,
    'route',
    WORKS,
    'Answer IPv6 from this machine with unreachable instead of sending it.',
    UPDATE,
  ),
  row('max-routes', 'n', [0, 1], 'any', silently('there has been no limit since OpenVPN 2.4'), 'Ignored.', {
    side: 'client',
    deprecated: { since: '2.4', instead: 'Leave it out.' },
  }),
  row(
    'client-nat',
    'snat|dnat network netmask alias',
    4,
    'route',
    WORKS,
    'Show a network to the other end under other addresses: snat for ours, dnat for those that are reached.',
    {
      side: 'client',
    },
  ),
  row(
    'allow-recursive-routing',
    '',
    0,
    'general',
    WORKS,
    'Do not drop packets to the server that come out of the tunnel.',
  ),
  row('dns', 'search-domains …|server n …', [1, MANY], 'dhcpdns', laterWithout(DNS), 'DNS servers and domains.', {
    ...UPDATE,
    side: 'client',
  }),
  row('dns-updown', 'cmd|disable|force', 1, 'script', laterWithout(DNS), 'Program that sets up DNS.', {
    side: 'client',
  }),
  row(
    'dhcp-option',
    'type [value]',
    [1, 2],
    'dhcpdns',
    laterWithout(DNS),
    'DNS and other settings, as DHCP names them.',
    {
      ...UPDATE,
      side: 'client',
    },
  ),
];

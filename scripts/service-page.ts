// The man page sallyport-nm-service(8), made from the service's options and the table of keys.

import { OPTIONS } from '../apps/networkmanager/arguments.ts';
import { DATA_KEYS } from '../apps/networkmanager/key-table.ts';
import { SALLYPORT_VERSION } from '../src/version.ts';
import { PAGE_DATE, roff } from './man-page.ts';

/** The page in man(7); the same tables give the same bytes. */
export function servicePage(): string {
  return `${[
    '.\\" Made by `npm run docs` from the service\'s options and keys (apps/networkmanager). Do not edit.',
    `.TH SALLYPORT-NM-SERVICE 8 ${PAGE_DATE} "Sallyport ${SALLYPORT_VERSION}" "System administration"`,
    '.SH NAME',
    roff("sallyport-nm-service - NetworkManager's VPN service for OpenVPN connections"),
    '.SH SYNOPSIS',
    '.B sallyport\\-nm\\-service',
    roff('[--bus-name NAME] [--debug] [--persist]'),
    '.SH DESCRIPTION',
    ...DESCRIPTION.flatMap((text, at) => [...(at === 0 ? [] : ['.P']), roff(text)]),
    '.SH OPTIONS',
    ...OPTIONS.flatMap(([name, text]) => ['.TP', `.B ${roff(name)}`, roff(text)]),
    '.SH KEYS',
    roff(
      'Every key that network-manager-openvpn knows is taken. These are of this service alone; network-manager-openvpn refuses a connection that has them. Set one with nmcli connection modify NAME +vpn.data KEY=VALUE.',
    ),
    ...DATA_KEYS.filter(({ own }) => own).flatMap(({ name, becomes }) => ['.TP', `.B ${roff(name)}`, roff(becomes)]),
    '.SH EXIT STATUS',
    roff('0 after an end that was asked for; 1 where the bus, the name on it or the command line made it impossible.'),
    '.SH ENVIRONMENT',
    ...VARIABLES.flatMap(([name, text]) => ['.TP', `.B ${roff(name)}`, roff(text)]),
    '.SH FILES',
    ...FILES.flatMap(([path, text]) => ['.TP', `.I ${roff(path)}`, roff(text)]),
    '.SH SEE ALSO',
    '.BR sallyport (8),',
    '.BR nmcli (1),',
    '.BR NetworkManager (8)',
  ].join('\n')}\n`;
}

const DESCRIPTION = [
  'NetworkManager starts this program for each OpenVPN connection, once it is the program= of nm-openvpn-service.name; sallyport-nm-switch on does that. Import, dialogs and connections of network-manager-openvpn stay as they are.',
  'The tunnel is made by a client process without rights: the user nm-openvpn, or else sallyport. The service opens the device for it and tells NetworkManager what the server has assigned; addresses, routes and name servers are set by NetworkManager.',
  'Files that a connection names are read by the service. Where the connection is private to users, they are read with the rights of these users.',
];

const VARIABLES = [
  [
    'NM_VPN_LOG_LEVEL',
    'How much is logged, 0 to 7. NetworkManager sets it: nmcli general logging level INFO domains VPN_PLUGIN.',
  ],
  ['NM_VPN_LOG_SYSLOG', '0: to standard output, 1: to the system log.'],
  ['DBUS_SYSTEM_BUS_ADDRESS', 'The system bus, where it is elsewhere.'],
] as const;

const FILES = [
  ['/usr/lib/NetworkManager/sallyport-nm-service', 'The program.'],
  ['/usr/lib/NetworkManager/VPN/nm-openvpn-service.name', 'Which program NetworkManager starts.'],
] as const;

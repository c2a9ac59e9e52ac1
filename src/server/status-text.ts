// The server's status (`status`, SIGUSR2, and the management interface), in the C program's three layouts.
//
//   1  headings, then lines with commas      2  a word in front of each line, commas      3  as 2, with tabs
//
// Observed with OpenVPN 2.7.8.

import { named, replaceControls } from './clean-text.ts';

export interface StatusClient {
  /** Common name and user; undefined is written UNDEF. */
  readonly name: string | undefined;
  readonly username: string | undefined;
  /** From `statusAddressText`. */
  readonly realAddress: string;
  /** Addresses in the tunnel, undefined before the client has them. */
  readonly address4: string | undefined;
  readonly address6: string | undefined;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly connectedUnixSeconds: number;
  readonly clientId: number;
  readonly peerId: number;
  readonly cipher: string;
}

export interface StatusRoute {
  /** An address, or `network/bits`. */
  readonly address: string;
  readonly name: string | undefined;
  readonly realAddress: string;
  readonly lastReferenceUnixSeconds: number;
}

export interface StatusFacts {
  /** The program's title, as its `--version` begins. */
  readonly title: string;
  readonly nowUnixSeconds: number;
  readonly clients: readonly StatusClient[];
  readonly routes: readonly StatusRoute[];
  /** Most packets for several clients that have waited at once. */
  readonly longestBroadcastQueue: number;
  readonly offload: boolean;
}

/** `2026-11-28 21:18:37` in the host's time zone, of Unix seconds. */
export type TimeText = (unixSeconds: number) => string;

/** The status as lines without line ends. */
export function statusLines(facts: StatusFacts, version: 1 | 2 | 3, timeText: TimeText): string[] {
  if (version === 1) return headed(facts, timeText);
  const separator = version === 2 ? ',' : '\t';
  return worded(facts, timeText).map((fields) => fields.map(clean).join(separator));
}

function headed(facts: StatusFacts, timeText: TimeText): string[] {
  const rows = (fields: readonly (string | number)[]): string => fields.map(clean).join(',');
  return [
    'OpenVPN CLIENT LIST',
    `Updated,${timeText(facts.nowUnixSeconds)}`,
    'Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since',
    ...facts.clients.map((client) =>
      rows([
        named(client.name),
        client.realAddress,
        client.receivedBytes,
        client.sentBytes,
        timeText(client.connectedUnixSeconds),
      ]),
    ),
    'ROUTING TABLE',
    'Virtual Address,Common Name,Real Address,Last Ref',
    ...facts.routes.map((route) =>
      rows([route.address, named(route.name), route.realAddress, timeText(route.lastReferenceUnixSeconds)]),
    ),
    'GLOBAL STATS',
    `Max bcast/mcast queue length,${facts.longestBroadcastQueue}`,
    'END',
  ];
}

const CLIENT_COLUMNS = [
  ...['Common Name', 'Real Address', 'Virtual Address', 'Virtual IPv6 Address', 'Bytes Received', 'Bytes Sent'],
  ...['Connected Since', 'Connected Since (time_t)', 'Username', 'Client ID', 'Peer ID', 'Data Channel Cipher'],
];
const ROUTE_COLUMNS = ['Virtual Address', 'Common Name', 'Real Address', 'Last Ref', 'Last Ref (time_t)'];

function worded(facts: StatusFacts, timeText: TimeText): (string | number)[][] {
  return [
    ['TITLE', facts.title],
    ['TIME', timeText(facts.nowUnixSeconds), facts.nowUnixSeconds],
    ['HEADER', 'CLIENT_LIST', ...CLIENT_COLUMNS],
    ...facts.clients.map((client) => [
      ...['CLIENT_LIST', named(client.name), client.realAddress, client.address4 ?? '', client.address6 ?? ''],
      ...[client.receivedBytes, client.sentBytes],
      ...[timeText(client.connectedUnixSeconds), client.connectedUnixSeconds, named(client.username)],
      ...[client.clientId, client.peerId, client.cipher],
    ]),
    ['HEADER', 'ROUTING_TABLE', ...ROUTE_COLUMNS],
    ...facts.routes.map((route) => [
      ...['ROUTING_TABLE', route.address, named(route.name), route.realAddress],
      ...[timeText(route.lastReferenceUnixSeconds), route.lastReferenceUnixSeconds],
    ]),
    ['GLOBAL_STATS', 'Max bcast/mcast queue length', facts.longestBroadcastQueue],
    ['GLOBAL_STATS', 'dco_enabled', facts.offload ? 1 : 0],
    ['END'],
  ];
}

/** A name is a peer's text: it must not begin a line of its own. Commas stay, as in C. */
function clean(field: string | number): string {
  return replaceControls(String(field), '_');
}

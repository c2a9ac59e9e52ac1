// The `remote` key of vpn.data: servers between commas or blanks, each HOST[:PORT[:PROTOCOL]]. HOST may be an IPv6 address,
// bare or between brackets; an empty PORT or PROTOCOL counts as none.

import { parseAddress } from '../../src/handed-device.ts';
import type { OptionLine } from './key-table.ts';
import { badArguments, shown } from './plugin-error.ts';

/** Names as OpenVPN has them; the client's side of TCP is meant where none is said. */
const PROTOCOLS: Readonly<Record<string, string>> = {
  udp: 'udp',
  udp4: 'udp4',
  udp6: 'udp6',
  tcp: 'tcp-client',
  tcp4: 'tcp4-client',
  tcp6: 'tcp6-client',
  'tcp-client': 'tcp-client',
  'tcp4-client': 'tcp4-client',
  'tcp6-client': 'tcp6-client',
};
const DEFAULT_PORT = '1194';
const REMOTES_LIMIT = 64;

export interface RemoteDefaults {
  readonly port: string | undefined;
  readonly tcp: boolean;
}

export interface NmRemotes {
  readonly lines: readonly OptionLine[];
  readonly allUdp: boolean;
}

/** Throws PluginError for one that can't be read. */
export function readRemotes(value: string, { port: defaultPort, tcp }: RemoteDefaults): NmRemotes {
  const entries = value.split(/[ \t,]+/).filter((each) => each !== '');
  if (entries.length === 0) throw badArguments('vpn.data remote: no server is named');
  if (entries.length > REMOTES_LIMIT)
    throw badArguments(`vpn.data remote: more than ${REMOTES_LIMIT} servers are named`);
  const lines = entries.map((entry): OptionLine => {
    const { host, port, protocol } = readRemote(entry);
    const known = protocol === undefined ? (tcp ? 'tcp-client' : 'udp') : PROTOCOLS[protocol];
    if (known === undefined) throw badArguments(`vpn.data remote: "${shown(entry)}" has no protocol that is known`);
    return { option: 'remote', words: [host, port ?? defaultPort ?? DEFAULT_PORT, known] };
  });
  return { lines, allUdp: lines.every(({ words: [, , protocol] }) => protocol?.startsWith('udp') === true) };
}

function readRemote(entry: string): { host: string; port: string | undefined; protocol: string | undefined } {
  const [, bracketed, behind] = /^\[([^\]]*)\](?::(.*))?$/.exec(entry) ?? [];
  const words = entry.split(':');
  let host = entry;
  let rest: readonly string[] = [];
  if (bracketed !== undefined) {
    host = bracketed;
    rest = behind === undefined ? [] : behind.split(':');
  } else if (parseAddress(entry) === undefined && words.length > 1) {
    // One colon: a port follows. More: a port and a protocol, and before them an address that has colons itself.
    const count = words.length === 2 || parseAddress(words.slice(0, -1).join(':')) !== undefined ? 1 : 2;
    host = words.slice(0, -count).join(':');
    rest = words.slice(-count);
  }
  const [port, protocol] = rest.map((word) => (word === '' ? undefined : word));
  if (host === '' || rest.length > 2) throw badArguments(`vpn.data remote: "${shown(entry)}" names no server`);
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) {
    throw badArguments(`vpn.data remote: "${shown(entry)}" has no port from 1 to 65535`);
  }
  return { host, port, protocol };
}

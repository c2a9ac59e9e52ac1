// What a client is pushed, option by option, in the order in which the C program's server writes it: the server's
// `push` lines, the client's own, then what belongs to this session. Observed with OpenVPN 2.7.8.

import { lexLine } from '../config/lexer.ts';
import type { ClientOptions } from '../config/server-options.ts';
import { parseAddress } from '../ip/address.ts';
import { formatPrefix, netmaskToLength, parsePrefix } from '../ip/prefix.ts';
import { formatTextBase64 } from '../wire/base64.ts';
import { announcesCompression } from '../wire/options-string.ts';
import type { ClientAddresses } from './client-addresses.ts';
import type { ProtocolChoice } from './protocol-choice.ts';

/** Characters of an option that the server makes itself; a longer one (the token's user name) is left out. */
const OWN_OPTION_LIMIT = 255;

export interface PushFacts {
  /** The server's `push` lines. */
  readonly push: readonly string[];
  /** What `compressMigration` found to push. */
  readonly migration: string | undefined;
  readonly client: Pick<ClientOptions, 'push' | 'iroutes' | 'iroutes6'>;
  readonly addresses: ClientAddresses;
  readonly peerId: number;
  readonly token: { readonly token: string; readonly username: string } | undefined;
  readonly cipher: string;
  readonly protocol: ProtocolChoice;
  readonly peerInfo: ReadonlyMap<string, string>;
  readonly tunMtuBytes: number;
}

/** The options of the PUSH_REPLY, in order, and lines for the log. */
export function pushList(facts: PushFacts): { readonly options: readonly string[]; readonly notes: readonly string[] } {
  const { client, addresses, protocol, peerInfo } = facts;
  const { v4, v6 } = addresses;
  const start = facts.migration === undefined ? facts.push : [...facts.push, facts.migration];
  const { options, blocked } = applyChanges(start, client.push);
  const list = options.filter((option) => !isOwnRoute(option, client));
  const notes: string[] = [];
  if (v6 !== undefined && !blocked.has('ifconfig-ipv6')) {
    list.push(`ifconfig-ipv6 ${v6.local}/${v6.prefixLength} ${v6.remote}`);
  }
  if (v4 !== undefined && !blocked.has('ifconfig')) list.push(`ifconfig ${v4.pushed} ${v4.remoteOrNetmask}`);
  if (protocol.peerId) list.push(`peer-id ${facts.peerId}`);
  if (facts.token !== undefined) list.push(...tokenOptions(facts.token.token, facts.token.username));
  if (negotiatesCipher(peerInfo)) list.push(`cipher ${facts.cipher}`);
  list.push(...protocolOptions(protocol));
  const clientMtu = statedMtu(peerInfo);
  if (clientMtu !== undefined) {
    list.push(`tun-mtu ${facts.tunMtuBytes}`);
    if (clientMtu < facts.tunMtuBytes) {
      notes.push(
        `Warning: reported maximum MTU from client (${clientMtu}) is lower than MTU used on the server (${facts.tunMtuBytes}). Add tun-mtu-max ${facts.tunMtuBytes} to client configuration.`,
      );
    }
  }
  return { options: list, notes };
}

/** The options that a token is pushed with, in a first reply. A renewed one goes out alone: `PUSH_REPLY,auth-token …`. */
export function tokenOptions(token: string, username: string): string[] {
  const user = formatTextBase64(username);
  const options = [`auth-token ${token}`];
  if (user !== '') options.push(`auth-token-user ${user}`);
  return options.filter((option) => option.length <= OWN_OPTION_LIMIT);
}

/** The text that tells a client of a token during a session. */
export function renewedTokenReply(token: string): string {
  return `PUSH_REPLY,auth-token ${token}`;
}

/**
 * Under `compress migrate`: what a client whose options string has compression is pushed so that it stops, and whether the
 * server's end of the data channel then speaks the old stub framing. undefined: nothing to do.
 */
export function compressionMigration(
  migrate: boolean,
  optionsString: string,
  peerInfo: ReadonlyMap<string, string>,
): { readonly push: string; readonly framing: 'none' | 'stub' } | undefined {
  if (!migrate || !announcesCompression(optionsString)) return undefined;
  if (peerInfo.get('IV_COMP_STUBv2')?.startsWith('1')) return { push: 'compress stub-v2', framing: 'none' };
  return { push: 'comp-lzo no', framing: 'stub' };
}

/** Whether the client can be told a cipher: old ones complain about the option. */
export function negotiatesCipher(peerInfo: ReadonlyMap<string, string>): boolean {
  return peerInfo.has('IV_CIPHERS') || Number.parseInt(peerInfo.get('IV_NCP') ?? '', 10) >= 2;
}

function protocolOptions(protocol: ProtocolChoice): string[] {
  const { tlsKeyExport, ccExit, dynamicTlsCrypt, epochData } = protocol;
  const flags = [
    ccExit ? 'cc-exit' : '',
    ccExit && tlsKeyExport ? 'tls-ekm' : '',
    dynamicTlsCrypt ? 'dyn-tls-crypt' : '',
    epochData ? 'aead-epoch' : '',
  ].filter((flag) => flag !== '');
  // Clients between 2.5 and 2.6 have the exporter but do not know protocol-flags.
  const options = tlsKeyExport && !ccExit ? ['key-derivation tls-ekm'] : [];
  if (flags.length > 0) options.push(`protocol-flags ${flags.join(' ')}`);
  return options;
}

function statedMtu(peerInfo: ReadonlyMap<string, string>): number | undefined {
  const digits = /^\s*([+-]?[0-9]{1,9})/.exec(peerInfo.get('IV_MTU') ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Removal works on what is in the list so far; `ifconfig` and `ifconfig-ipv6` are no list items and have a switch each. */
function applyChanges(
  start: readonly string[],
  changes: ClientOptions['push'],
): { options: string[]; blocked: Set<string> } {
  let options = [...start];
  const blocked = new Set<string>();
  for (const change of changes) {
    switch (change.type) {
      case 'add':
        options.push(change.option);
        break;
      case 'remove': {
        const { prefix } = change;
        if (prefix === 'ifconfig' || prefix === 'ifconfig-ipv6') blocked.add(prefix);
        else options = options.filter((option) => !option.startsWith(prefix));
        break;
      }
      case 'reset':
        options = [];
        break;
      default:
        change satisfies never;
    }
  }
  return { options, blocked };
}

/** A network that is behind this very client must not be routed by it into the tunnel. */
function isOwnRoute(option: string, client: Pick<ClientOptions, 'iroutes' | 'iroutes6'>): boolean {
  if (!option.startsWith('route')) return false;
  const lexed = lexLine(option, 'push');
  if (!lexed.ok) return false;
  const [name, network = '', netmask = '255.255.255.255', ...more] = lexed.words;
  if (name === 'route' && more.length === 0) {
    const address = parseAddress(network);
    const mask = parseAddress(netmask);
    if (address?.length !== 4 || mask?.length !== 4) return false;
    const length = netmaskToLength(mask);
    return length !== undefined && client.iroutes.includes(`${network}/${length}`);
  }
  if (name !== 'route-ipv6' || lexed.words.length !== 2) return false;
  const prefix = parsePrefix(network);
  return prefix !== undefined && client.iroutes6.includes(formatPrefix(prefix));
}

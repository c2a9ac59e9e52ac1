// PUSH_UPDATE (OpenVPN 2.7): what a server changes of a tunnel that is up, laid over the options in force. `-opt` takes an
// option away, `opt …` replaces all that stands under its name, `?` before the name (after the `-`) makes it dispensable: a
// client that can't use it leaves it out, where it otherwise has to reconnect. Only the names below can be changed so.
// C: options_util.c, options.c; observed with OpenVPN 2.7.8.

import { Level } from '../log.ts';
import type { Config, ConnectionProfile, TunnelOptions } from './config.ts';
import type { TunnelDraft } from './draft.ts';
import { OPTIONS } from './option-table.ts';
import { OPTION_LIMIT, type OptionWords, type ParsedPush, Push } from './push.ts';
import { shown } from './values.ts';

/** What can be changed while the tunnel is up, and how each is taken away; undefined: it can't be taken away. */
const UPDATABLE: ReadonlyMap<string, ((draft: TunnelDraft) => void) | undefined> = new Map([
  ['block-ipv6', (draft: TunnelDraft) => set(draft, { blockIpv6: false })],
  ['block-outside-dns', undefined],
  ['dhcp-option', (draft: TunnelDraft) => set(draft, { dhcpOptions: [] })],
  ['dns', (draft: TunnelDraft) => set(draft, { dns: [], dnsSearchDomains: [] })],
  ['ifconfig', (draft: TunnelDraft) => set(draft, { ifconfig: undefined })],
  ['ifconfig-ipv6', (draft: TunnelDraft) => set(draft, { ifconfigIpv6: undefined })],
  ['keepalive', undefined],
  ['push-continuation', () => {}],
  ['redirect-gateway', (draft: TunnelDraft) => set(draft, { redirectGateway: undefined, redirectPrivate: undefined })],
  ['redirect-private', (draft: TunnelDraft) => set(draft, { redirectGateway: undefined, redirectPrivate: undefined })],
  ['route', (draft: TunnelDraft) => set(draft, { routes: [] })],
  ['route-gateway', (draft: TunnelDraft) => set(draft, { routeGateway: undefined })],
  ['route-ipv6', (draft: TunnelDraft) => set(draft, { routes6: [] })],
  ['route-metric', (draft: TunnelDraft) => set(draft, { routeMetric: undefined })],
  ['topology', (draft: TunnelDraft) => set(draft, { topology: undefined })],
  ['tun-mtu', (draft: TunnelDraft) => set(draft, { tunMtuBytes: undefined })],
]);

/** Options that stand several times: the first one of an update takes the earlier ones away. */
const LISTS: ReadonlyMap<string, string> = new Map([
  ['route', 'route'],
  ['route-ipv6', 'route-ipv6'],
  ['redirect-gateway', 'redirect'],
  ['redirect-private', 'redirect'],
  ['dns', 'dns'],
  ['dhcp-option', 'dhcp-option'],
]);

interface UpdateOption {
  readonly remove: boolean;
  readonly optional: boolean;
  /** Without the marks. */
  readonly text: string;
}

/**
 * Lays an update (one text for each option, all fragments joined) over `current`, the options in force. `rejected` is
 * set where the client has to reconnect instead: an option that is not dispensable can't be changed or is filtered away.
 */
export function parsePushUpdate(
  options: readonly string[],
  current: TunnelOptions,
  config: Config,
  connection: ConnectionProfile | undefined = config.connections[0],
): ParsedPush {
  const push = new Push(config, connection, { tunnel: current, localDns: [] });
  const emptied = new Set<string>();
  for (const [index, option] of options.slice(0, OPTION_LIMIT).entries()) {
    if (!handle(push, option, index + 1, emptied)) break;
  }
  if (options.length > OPTION_LIMIT) {
    push.complain(`Options error: only the first ${OPTION_LIMIT} of ${options.length} pushed options are read`);
  }
  return push.finish();
}

/** False when nothing after it counts. */
function handle(push: Push, stated: string, number: number, emptied: Set<string>): boolean {
  const option = parseMarks(stated);
  if (option === undefined || !UPDATABLE.has(nameOf(option.text))) {
    if (option?.optional === true) {
      push.say(Level.push, `Pushed dispensable option is not updatable: '${shown(stated)}'. Ignoring.`);
      return true;
    }
    push.reject(
      `Pushed option is not updatable: '${shown(stated)}'.`,
      'The client reconnects and takes what the server pushes then.',
    );
    return false;
  }
  const verdict = push.filter(option.text);
  if (verdict === 'reject' && !option.optional) {
    push.rejectFiltered(option.text);
    return false;
  }
  if (verdict === 'accept') {
    push.read(option.text, number, (words, place) => {
      if (option.remove) remove(push, words, place);
      else replace(push, words, place, number, emptied);
    });
  }
  return true;
}

/** `-opt`, `?opt`, `-?opt`; undefined for marks without an option, and for `?-`, which means nothing. */
function parseMarks(stated: string): UpdateOption | undefined {
  const match = /^[ \t\r\n\v\f]*(-?)(\??)([^-?].*)$/s.exec(stated);
  if (match === null) return undefined;
  return { remove: match[1] === '-', optional: match[2] === '?', text: match[3] ?? '' };
}

const nameOf = (text: string): string => text.split(' ', 1)[0] ?? '';

/** Only the bare name can be taken away. */
function remove(push: Push, { name, args }: OptionWords, place: string): void {
  const take = args.length === 0 ? UPDATABLE.get(name) : undefined;
  const row = take === undefined ? undefined : OPTIONS.get(name);
  const allowed = push.allowed({ name: row === undefined ? `-${name}` : name, args }, row, place);
  if (allowed !== undefined && take !== undefined) push.change(take);
}

function replace(push: Push, words: OptionWords, place: string, number: number, emptied: Set<string>): void {
  const list = LISTS.get(words.name);
  push.apply(words, place, number, (draft) => {
    if (list === undefined || emptied.has(list)) return;
    emptied.add(list);
    UPDATABLE.get(words.name)?.(draft);
  });
}

function set(draft: TunnelDraft, values: Partial<TunnelDraft>): void {
  Object.assign(draft, values);
}

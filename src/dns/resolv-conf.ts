// The text of /etc/resolv.conf while tunnels have it. What stood there before, and every tunnel's wishes, are kept in it:
//
//   # Made by Sallyport for tun0. What stood here before comes back when the tunnel ends.
//   nameserver 10.8.0.1
//   search office.example
//   #+ BASE64 of the state as JSON, 76 characters a line: {before, layers: [{id, device, servers, search}], hash}
//
// `hash` is over everything above the state. A file whose hash does not fit has been changed by somebody else: it is not ours
// any more. So tunnels can go in any order, and nothing has to be kept beside the file.

import type { DnsSetting, FileBefore } from '../tunnel/dns-port.ts';

/** glibc asks no more servers than these. */
export const SERVER_LIMIT = 3;
/** What every libc takes. */
const SEARCH_LIMIT = 6;
/** How the first line begins; the tunnels' devices follow. */
const MADE_FOR = '# Made by Sallyport for ';
const STATE = '#+ ';
const STATE_LINE = 76;

export interface ResolvLayer {
  readonly id: string;
  readonly device: string;
  readonly servers: readonly string[];
  readonly search: readonly string[];
}

export interface ResolvState {
  readonly before: FileBefore;
  /** Oldest first. */
  readonly layers: readonly ResolvLayer[];
}

export interface TextCodec {
  encode(text: string): string;
  /** Never throws; what is no base64 gives some other text. */
  decode(text: string): string;
  hash(text: string): string;
}

export function layerOf(id: string, device: string, { servers, search }: DnsSetting): ResolvLayer {
  return { id, device, servers: servers.map(({ address }) => address), search };
}

/** The file for these layers: the newest tunnel's servers first; options of the text before are kept. */
export function writeResolvConf(state: ResolvState, codec: TextCodec): string {
  const newestFirst = [...state.layers].reverse();
  const devices = newestFirst.map(({ device }) => device).join(', ');
  // Another server after these would be asked when they are slow, and told what is none of its business.
  const servers = unique(newestFirst[0]?.servers ?? []).slice(0, SERVER_LIMIT);
  const search = unique(newestFirst.flatMap((layer) => layer.search)).slice(0, SEARCH_LIMIT);
  const visible = [
    `${MADE_FOR}${devices}. What stood here before comes back when the tunnel ends.`,
    ...servers.map((address) => `nameserver ${address}`),
    ...(search.length === 0 ? [] : [`search ${search.join(' ')}`]),
    ...keptLines(state.before),
    '',
  ].join('\n');
  const json = JSON.stringify({ ...state, hash: codec.hash(visible) });
  const lines = codec.encode(json).match(new RegExp(`.{1,${STATE_LINE}}`, 'g')) ?? [];
  return `${visible}${lines.map((line) => `${STATE}${line}\n`).join('')}`;
}

/** The devices that the first line names, whether or not somebody has changed the rest; undefined where it is not ours. */
export function parseMadeFor(text: string): string | undefined {
  if (!text.startsWith(MADE_FOR)) return undefined;
  return /^([\w., -]{1,200})\. /.exec(text.slice(MADE_FOR.length))?.[1];
}

/** The state in a text that is exactly as we wrote it; undefined for every other one. */
export function parseResolvConf(text: string, codec: TextCodec): ResolvState | undefined {
  const at = text.indexOf(`\n${STATE}`);
  if (at < 0) return undefined;
  const visible = text.slice(0, at + 1);
  const lines = text.slice(at + 1).split('\n');
  if (lines.pop() !== '' || !lines.every((line) => line.startsWith(STATE))) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(codec.decode(lines.map((line) => line.slice(STATE.length)).join('')));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { before, layers, hash } = value as Record<string, unknown>;
  if (hash !== codec.hash(visible) || !isBefore(before) || !Array.isArray(layers) || !layers.every(isLayer)) {
    return undefined;
  }
  return { before, layers };
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function isLayer(value: unknown): value is ResolvLayer {
  if (typeof value !== 'object' || value === null) return false;
  const { id, device, servers, search } = value as Record<string, unknown>;
  return isText(id) && isText(device) && isTexts(servers) && isTexts(search);
}

function isBefore(value: unknown): value is FileBefore {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, target, text, mode, uid, gid } = value as Record<string, unknown>;
  if (kind === 'absent') return true;
  if (kind === 'link') return isText(target);
  const whole = [mode, uid, gid].every((number) => Number.isSafeInteger(number) && Number(number) >= 0);
  return kind === 'file' && isText(text) && whole && Number(mode) <= 0o7777;
}

/** `options` and `sortlist` say how to ask, not whom. */
function keptLines(before: FileBefore): string[] {
  if (before.kind !== 'file') return [];
  return before.text.split('\n').filter((line) => /^(options|sortlist)[ \t]/.test(line) && !/[\0\r]/.test(line));
}

const unique = (values: readonly string[]): string[] => [...new Set(values)];

// sallyport.json in an authority's folder: where its server is reached, and where else its revocation list is needed.

import { parseAddress } from '../../src/pki.ts';
import { type PkiFolder, PUBLIC, SECRET, writeAtomically } from './folder.ts';
import { refuse } from './refuse.ts';

export type Protocol = 'udp' | 'tcp';

/** Where clients reach the server; without a port, the server's own. */
export interface Remote {
  readonly host: string;
  readonly port?: number;
}

export interface Settings {
  readonly remote?: Remote;
  /** Where the server listens. */
  readonly port?: number;
  readonly protocol?: Protocol;
  /** Absolute paths that get a copy of every revocation list: a server that gave up root can't read the folder. */
  readonly crlCopies?: readonly string[];
}

const FILE = 'sallyport.json';
export const DEFAULT_PORT = 1194;

/** The settings of a folder; empty where there are none. */
export function readSettings(folder: PkiFolder): Settings {
  const text = folder.read(FILE);
  if (text === undefined) return {};
  const wrong = (): never =>
    refuse(`${folder.path(FILE)} is not as sallyport writes it`, 'Correct it, or remove it and name --remote again.');
  try {
    const value = JSON.parse(text) as { remote?: Remote; port?: number; protocol?: string; crlCopies?: string[] };
    const { remote, port, protocol, crlCopies } = value;
    if (remote !== undefined) checkRemote(remote.host, remote.port === undefined ? undefined : String(remote.port));
    if (port !== undefined) checkPort(String(port));
    if (protocol !== undefined) checkProtocol(protocol);
    if (crlCopies !== undefined && !crlCopies.every((path) => typeof path === 'string' && path.startsWith('/')))
      wrong();
    return value as Settings;
  } catch {
    return wrong();
  }
}

/** Replaces some of the settings. */
export function changeSettings(folder: PkiFolder, change: Settings): void {
  const settings: Settings = { ...readSettings(folder), ...change };
  folder.write(SECRET, `${JSON.stringify(settings, undefined, 2)}\n`, FILE);
}

/** Writes a revocation list into the folder and to everywhere else it is needed; returns the paths. */
export function publishRevocationList(folder: PkiFolder, text: string): readonly string[] {
  folder.write(PUBLIC, text, 'crl.pem');
  const copies = readSettings(folder).crlCopies ?? [];
  for (const path of copies) {
    try {
      writeAtomically(path, text, PUBLIC);
    } catch (error) {
      refuse(
        `the revocation list is made, but ${error instanceof Error ? error.message : String(error)}`,
        `Copy ${folder.path('crl.pem')} there, or take the path out of ${folder.path(FILE)}; until then the server does not know the list.`,
      );
    }
  }
  return [folder.path('crl.pem'), ...copies];
}

/** `HOST`, `HOST:PORT`, `[IPv6]:PORT` or a lone IPv6 address. */
export function parseRemote(text: string): Remote {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) return checkRemote(bracketed[1]!, bracketed[2]);
  if (parseAddress(text)?.length === 16) return checkRemote(text, undefined);
  const colon = text.indexOf(':');
  return colon < 0 ? checkRemote(text, undefined) : checkRemote(text.slice(0, colon), text.slice(colon + 1));
}

function checkRemote(host: string, port: string | undefined): Remote {
  const label = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
  const isName =
    typeof host === 'string' && host.length <= 253 && new RegExp(`^${label}(?:\\.${label})*\\.?$`).test(host);
  if (!isName && (typeof host !== 'string' || parseAddress(host) === undefined)) {
    return refuse(`--remote: '${String(host).slice(0, 80)}' is neither a host name nor an address`, REMOTE_FORM);
  }
  return port === undefined ? { host } : { host, port: checkPort(port) };
}

const REMOTE_FORM = 'Write --remote vpn.example.org, --remote 203.0.113.5:1194 or --remote [2001:db8::1]:1194.';

/** A port number from the command line. */
export function checkPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) refuse(`'${text.slice(0, 80)}' is not a port`, 'A port is a number from 1 to 65535.');
  return port;
}

/** `--proto`. */
export function checkProtocol(text: string): Protocol {
  if (text !== 'udp' && text !== 'tcp') return refuse(`--proto takes udp or tcp, not '${text.slice(0, 80)}'`);
  return text;
}

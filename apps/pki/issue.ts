// `pki server NAME` and `pki client NAME`: a key, a certificate, and for a client its profile.

import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createNodeCrypto, parseAddress } from '../../src/pki.ts';
import {
  type Authority,
  type Issue,
  keepRevocationListFresh,
  liveEntries,
  signCertificate,
  unlockAuthority,
} from './authority.ts';
import { type AlternativeName, type Role, readCertificate } from './certificates.ts';
import { openAuthority, type PkiFolder, PUBLIC, readIndex, SECRET, whileLocked, writeAtomically } from './folder.ts';
import { type IndexEntry, nameOf } from './index-file.ts';
import type { PkiIo } from './io.ts';
import { isEncryptedKey, type KeyKind, likeAuthority, makeKey, publicDer, readKey, writeKey } from './keys.ts';
import { checkCase, checkName } from './names.ts';
import { profileText } from './profile.ts';
import { clean, refuse } from './refuse.ts';
import { changeSettings, DEFAULT_PORT, type Protocol, type Remote, readSettings } from './settings.ts';
import { makeTunnelClientKey, makeTunnelServerKey } from './tunnel-key.ts';
import { dayOf } from './words.ts';

const TUNNEL_KEY = 'tls-crypt-v2-server.key';

export interface IssueOptions {
  readonly directory: string;
  readonly name: string;
  readonly days: number;
  /** Undefined: as the authority's key. */
  readonly kind: KeyKind | undefined;
  readonly alternativeNames: readonly AlternativeName[];
  readonly passFile: string | undefined;
}

export interface ProfileOptions {
  readonly remote: Remote | undefined;
  readonly protocol: Protocol | undefined;
  readonly serverName: string | undefined;
  /** Where to; a relative path starts at the current folder. */
  readonly out: string | undefined;
  readonly force: boolean;
  /** False for servers without tls-crypt-v2. */
  readonly tlsCryptV2: boolean;
}

/** `pki server NAME`. */
export async function issueServer(options: IssueOptions, io: PkiIo): Promise<void> {
  checkName(options.name);
  const folder = openAuthority(options.directory);
  await whileLocked(folder, async () => {
    const authority = await unlockAuthority(folder, options.passFile, io);
    await issueServerCertificate(authority, options, io);
  });
  io.write(`For the server's configuration:\n  ${serverLines(folder, options.name).join('\n  ')}\n`);
}

/** The part of `issueServer` for who holds the lock. */
export async function issueServerCertificate(authority: Authority, options: IssueOptions, io: PkiIo): Promise<void> {
  const name = checkName(options.name);
  const names = [...hostNames(name), ...options.alternativeNames];
  await issueNew(authority, 'server', { ...options, name, alternativeNames: names }, io);
  tunnelServerKey(authority.folder);
}

/** Options of a server's configuration that name this folder's files. */
export function serverLines(folder: PkiFolder, name: string): readonly string[] {
  return [
    `ca ${quoted(folder.path('ca.crt'))}`,
    `cert ${quoted(folder.path('issued', `${name}.crt`))}`,
    `key ${quoted(folder.path('private', `${name}.key`))}`,
    'dh none',
    `tls-crypt-v2 ${quoted(folder.path(TUNNEL_KEY))}`,
    `crl-verify ${quoted(folder.path('crl.pem'))}`,
  ];
}

/** A path as a configuration file takes it. */
export const quoted = (path: string): string =>
  /^[\w./@:+-]+$/.test(path) ? path : `"${path.replace(/[\\"]/g, '\\$&')}"`;

/** `pki client NAME`. */
export async function issueClient(options: IssueOptions, profile: ProfileOptions, io: PkiIo): Promise<void> {
  const folder = openAuthority(options.directory);
  const name = checkName(options.name);
  const plan = planProfile(folder, name, profile, io);
  await whileLocked(folder, async () => {
    const authority = await unlockAuthority(folder, options.passFile, io);
    await issueNew(authority, 'client', { ...options, name }, io);
    writeProfile(folder, plan, io);
  });
}

/** `pki client NAME --profile-only`: the profile of a certificate that is there, with a new tls-crypt-v2 key. */
export async function writeProfileAgain(
  directory: string,
  given: string,
  profile: ProfileOptions,
  io: PkiIo,
): Promise<void> {
  const folder = openAuthority(directory);
  const name = checkName(given);
  const plan = planProfile(folder, name, profile, io);
  await whileLocked(folder, async () => {
    finishInterrupted(folder, name);
    const facts = readCertificate(folder.read('issued', `${name}.crt`) ?? '');
    if (facts === undefined || liveEntries(readIndex(folder), name).length === 0) {
      refuse(`there is no certificate ${name}`, `Make one: sallyport pki client ${name}`);
    }
    if (!facts.isClient) refuse(`${name} is a server's certificate`, 'A profile is for a client.');
    writeProfile(folder, plan, io);
  });
}

async function issueNew(authority: Authority, role: Role, options: IssueOptions, io: PkiIo): Promise<void> {
  const { folder } = authority;
  const { name } = options;
  finishInterrupted(folder, name);
  const entries = readIndex(folder);
  checkCase(name, entries.map(nameOf));
  const current = liveEntries(entries, name).at(-1);
  if (current !== undefined || folder.has('issued', `${name}.crt`)) {
    const state = current === undefined ? 'which is not in the index' : `good until ${dayOf(current.notAfterUnix)}`;
    const again = role === 'client' ? `--profile-only writes its profile again; ` : '';
    refuse(
      `${name} has a certificate already, ${state}`,
      `${again}\`sallyport pki renew ${name}\` makes its successor, \`sallyport pki revoke ${name}\` ends it.`,
    );
  }
  const key = await keyFor(folder, name, options.kind ?? likeAuthority(authority.key), io);
  const issue: Issue = { name, role, days: options.days, key, from: { alternativeNames: options.alternativeNames } };
  const issued = await signCertificate(authority, issue, io);
  folder.write(PUBLIC, issued.pem, 'issued', `${name}.crt`);
  await keepRevocationListFresh(authority, io);
  io.write(`${name}: ${role} certificate ${issued.serial}, good until ${dayOf(issued.notAfterUnix)}\n`);
}

// A key without a certificate is one that was just made when the command was interrupted, or of `easyrsa gen-req`.
async function keyFor(folder: PkiFolder, name: string, kind: KeyKind, io: PkiIo): Promise<KeyObject> {
  const file = folder.path('private', `${name}.key`);
  const found = folder.read('private', `${name}.key`);
  if (found === undefined) {
    const key = await makeKey(kind);
    folder.write(SECRET, writeKey(key), 'private', `${name}.key`);
    return key;
  }
  if (isEncryptedKey(found)) refuse(`${file} is there already, and encrypted`, 'Move it away, or choose another name.');
  io.complain(`note: private/${name}.key is there already and is used\n`);
  return readKey(found, file);
}

/** The key that a renewal made and had not yet put in its place. A name can't begin with a dot. */
export const nextKeyFile = (name: string): readonly string[] => ['private', `.${name}.next`];

/**
 * Brings to its end what a crash left of issuing or renewing: the newest certificate of the name in the index is put where
 * it is used, with the key that belongs to it.
 */
export function finishInterrupted(folder: PkiFolder, name: string): void {
  const entry = liveEntries(readIndex(folder), name).at(-1);
  const pem = entry === undefined ? undefined : folder.read('certs_by_serial', `${entry.serial}.pem`);
  const facts = pem === undefined ? undefined : readCertificate(pem);
  const nextKey = folder.read(...nextKeyFile(name));
  if (nextKey !== undefined && facts !== undefined) {
    const next = nextKeyFile(name);
    if (publicDer(readKey(nextKey, folder.path(...next))).equals(facts.publicKey)) {
      folder.move(next, ['private', `${name}.key`]);
    }
  }
  const current = readCertificate(folder.read('issued', `${name}.crt`) ?? '');
  if (facts === undefined || pem === undefined || current?.serial === facts.serial) return;
  if (keyFits(folder, name, facts.publicKey)) folder.write(PUBLIC, pem, 'issued', `${name}.crt`);
}

function keyFits(folder: PkiFolder, name: string, publicKey: Buffer): boolean {
  const text = folder.read('private', `${name}.key`);
  if (text === undefined || isEncryptedKey(text)) return false;
  return publicDer(readKey(text, folder.path('private', `${name}.key`))).equals(publicKey);
}

/** What a profile needs beside certificate and key, settled before anything is made. */
export interface ProfilePlan {
  readonly name: string;
  readonly remote: Remote;
  readonly port: number;
  readonly protocol: Protocol;
  readonly serverName: string | undefined;
  readonly path: string;
  readonly tlsCryptV2: boolean;
}

/** Settles the profile's facts, or refuses. */
export function planProfile(folder: PkiFolder, name: string, options: ProfileOptions, io: PkiIo): ProfilePlan {
  const settings = readSettings(folder);
  const remote = options.remote ?? settings.remote;
  if (remote === undefined) {
    refuse(
      'where do clients reach the server?',
      'Add --remote HOST[:PORT]; the folder remembers it for the next client.',
    );
  }
  const path = resolve(io.directory, options.out ?? `${name}.ovpn`);
  if (!existsSync(dirname(path)))
    refuse(`there is no folder ${clean(dirname(path))}`, 'Make it, or choose another --out.');
  if (existsSync(path) && !options.force) {
    refuse(`${clean(path)} is there already`, 'Use --force to overwrite it, or --out FILE for another place.');
  }
  const serverName = options.serverName ?? theOnlyServer(folder);
  if (serverName === undefined) {
    io.complain(
      'note: there is not exactly one server certificate, so the profile names none (verify-x509-name); --server NAME does\n',
    );
  }
  const protocol = options.protocol ?? settings.protocol ?? 'udp';
  const port = remote.port ?? settings.port ?? DEFAULT_PORT;
  return { name, remote, port, protocol, serverName, path, tlsCryptV2: options.tlsCryptV2 };
}

/** Writes the profile, mode 0600. */
export function writeProfile(folder: PkiFolder, plan: ProfilePlan, io: PkiIo): void {
  const { name } = plan;
  const need = (...parts: readonly string[]): string =>
    folder.read(...parts) ??
    refuse(`${folder.path(...parts)} is not there`, 'Restore it from a backup, or renew the name.');
  if (plan.tlsCryptV2 && tunnelServerKey(folder)) {
    io.complain(
      `note: ${folder.path(TUNNEL_KEY)} is new: the server needs \`tls-crypt-v2 ${quoted(folder.path(TUNNEL_KEY))}\`\n` +
        '      (a server without it: make the profile again with --no-tls-crypt-v2)\n',
    );
  }
  const text = profileText({
    ...plan,
    ca: need('ca.crt'),
    certificate: need('issued', `${name}.crt`),
    key: need('private', `${name}.key`),
    tlsCryptV2: plan.tlsCryptV2
      ? makeTunnelClientKey(createNodeCrypto(), need(TUNNEL_KEY), folder.path(TUNNEL_KEY), io.nowUnix())
      : undefined,
  });
  writeAtomically(plan.path, text, SECRET);
  const settings = readSettings(folder);
  if (settings.remote === undefined) changeSettings(folder, { remote: plan.remote, protocol: plan.protocol });
  io.write(
    `${name}: profile ${clean(plan.path)}\n  It has the private key in it: hand it over by a way that nobody else can read.\n`,
  );
}

/** Makes the servers' tls-crypt-v2 key if the folder has none; true if it did. */
export function tunnelServerKey(folder: PkiFolder): boolean {
  if (folder.has(TUNNEL_KEY)) return false;
  folder.write(SECRET, makeTunnelServerKey(createNodeCrypto()), TUNNEL_KEY);
  return true;
}

function theOnlyServer(folder: PkiFolder): string | undefined {
  const names = new Set<string>();
  for (const entry of readIndex(folder))
    if (entry.state === 'valid' && roleOf(folder, entry).includes('server')) names.add(nameOf(entry));
  const [only] = names;
  return names.size === 1 ? only : undefined;
}

/** What the certificate of an index entry is for, from its file; nothing where no file is left. */
export function roleOf(folder: PkiFolder, entry: IndexEntry): readonly Role[] {
  const name = nameOf(entry);
  const { serial } = entry;
  const places = [
    ['certs_by_serial', `${serial}.pem`],
    ...(name === '' || /[/\0]/.test(name) ? [] : [['issued', `${name}.crt`]]),
    ['revoked', 'certs_by_serial', `${serial}.crt`],
    ['renewed', 'certs_by_serial', `${serial}.crt`],
  ];
  for (const parts of places) {
    const facts = readCertificate(folder.read(...parts) ?? '');
    if (facts?.serial !== serial) continue;
    return [...(facts.isServer ? (['server'] as const) : []), ...(facts.isClient ? (['client'] as const) : [])];
  }
  return [];
}

// A server's name that is a host name or an address is an alternative name, too, for whoever checks it as TLS does.
function hostNames(name: string): readonly AlternativeName[] {
  if (parseAddress(name) !== undefined) return [{ type: 'ip', value: name }];
  const isHost = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(name);
  return isHost ? [{ type: 'dns', value: name }] : [];
}

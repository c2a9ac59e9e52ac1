// The authority of a folder: made, unlocked, and what it signs: certificates and revocation lists. Callers hold the lock.
//
// A certificate is issued in an order that a crash can't spoil: key, certificate by serial, index, then the name it is used
// by. What is not in the index has never been handed out, and what is in it can be revoked.

import type { KeyObject } from 'node:crypto';
import { resolve } from 'node:path';
import { readBoundedFile } from '../../src/pki.ts';
import {
  type AlternativeName,
  certificatePem,
  makeAuthority,
  makeCertificate,
  makeRevocationList,
  type Role,
  randomSerial,
  readCertificate,
  readRevocationList,
} from './certificates.ts';
import { makeFolders, type PkiFolder, PUBLIC, readIndex, replaceIndex, SECRET } from './folder.ts';
import { type IndexEntry, nameOf } from './index-file.ts';
import type { PkiIo } from './io.ts';
import {
  isEncryptedKey,
  type KeyKind,
  makeKey,
  publicDer,
  readKey,
  type SigningKey,
  toSigningKey,
  writeKey,
} from './keys.ts';
import { clean, refuse } from './refuse.ts';
import { publishRevocationList } from './settings.ts';

const DAY_SECONDS = 86_400;
export const DEFAULT_CA_DAYS = 3650;
/** What browsers once allowed and easy-rsa still issues; the list lasts as long, so that nothing else ends first. */
export const DEFAULT_DAYS = 825;
const MAX_PASSPHRASE_BYTES = 4096;

export interface Authority {
  readonly folder: PkiFolder;
  readonly pem: string;
  readonly notAfterUnix: number;
  readonly key: KeyObject;
  readonly signing: SigningKey;
}

export interface NewAuthority {
  readonly name: string;
  readonly kind: KeyKind;
  readonly days: number;
  readonly crlDays: number;
  readonly askPass: boolean;
  readonly passFile: string | undefined;
}

/** Makes an authority in a folder that has none. Its certificate is written last: without it there is no authority yet. */
export async function createAuthority(folder: PkiFolder, made: NewAuthority, io: PkiIo): Promise<Authority> {
  makeFolders(folder);
  const leftOver = folder.read('private', 'ca.key');
  let key: KeyObject;
  if (leftOver === undefined) {
    const passphrase = await newPassphrase(made, io);
    key = await makeKey(made.kind);
    folder.write(SECRET, writeKey(key, passphrase), 'private', 'ca.key');
  } else {
    io.complain(`private/ca.key is there from an init that did not end: it is used\n`);
    key = await openKey(folder, made.passFile, io);
  }
  const signing = await toSigningKey(key, folder.path('private', 'ca.key'));
  const nowUnix = io.nowUnix();
  const notAfterUnix = nowUnix + made.days * DAY_SECONDS;
  const pem = await makeAuthority(made.name, publicDer(key), signing, { nowUnix, notAfterUnix });
  if (!folder.has('index.txt')) folder.write(SECRET, '', 'index.txt');
  folder.write(SECRET, 'unique_subject = no\n', 'index.txt.attr');
  folder.write(SECRET, `${randomSerial()}\n`, 'serial');
  const authority = { folder, pem, notAfterUnix, key, signing };
  await renewRevocationList(authority, made.crlDays, io);
  folder.write(PUBLIC, pem, 'ca.crt');
  return authority;
}

/** Opens the authority's key, with the passphrase from `passFile` or the terminal where it has one. */
export async function unlockAuthority(folder: PkiFolder, passFile: string | undefined, io: PkiIo): Promise<Authority> {
  const pem = certificatePem(folder.read('ca.crt') ?? '');
  const facts = pem === undefined ? undefined : readCertificate(pem);
  if (pem === undefined || facts === undefined)
    return refuse(`${folder.path('ca.crt')} is not a certificate in PEM form`);
  if (!folder.has('private', 'ca.key')) {
    refuse(
      `${folder.path('private', 'ca.key')} is not there: without the authority's key nothing can be signed`,
      'Bring the key, or work in the folder that has it.',
    );
  }
  makeFolders(folder);
  if (facts.notAfterUnix <= io.nowUnix()) {
    refuse('the authority itself has expired', 'Make a new one with `sallyport pki init` in another folder.');
  }
  const key = await openKey(folder, passFile, io);
  if (!publicDer(key).equals(facts.publicKey)) {
    refuse(`private/ca.key is not the key of ca.crt in ${folder.shown}`, 'Restore both from the same backup.');
  }
  const signing = await toSigningKey(key, folder.path('private', 'ca.key'));
  return { folder, pem, notAfterUnix: facts.notAfterUnix, key, signing };
}

async function openKey(folder: PkiFolder, passFile: string | undefined, io: PkiIo): Promise<KeyObject> {
  const file = folder.path('private', 'ca.key');
  const text = folder.read('private', 'ca.key') ?? '';
  if (!isEncryptedKey(text)) return readKey(text, file);
  const passphrase =
    passFile === undefined ? await asked(io, 'Passphrase of the CA key') : readPassphrase(passFile, io);
  return readKey(text, file, passphrase);
}

async function newPassphrase({ askPass, passFile }: NewAuthority, io: PkiIo): Promise<string | undefined> {
  if (passFile !== undefined) return readPassphrase(passFile, io);
  if (!askPass) return undefined;
  const passphrase = await asked(io, 'New passphrase of the CA key');
  if (passphrase.length < 4) refuse('a passphrase has at least 4 characters', 'Nothing has been made.');
  if ((await asked(io, 'The same again')) !== passphrase)
    refuse('the two passphrases differ', 'Nothing has been made.');
  return passphrase;
}

async function asked(io: PkiIo, prompt: string): Promise<string> {
  try {
    return await io.ask(prompt);
  } catch (error) {
    return refuse(
      `the passphrase could not be asked for: ${error instanceof Error ? error.message : String(error)}`,
      'Where there is no terminal, --pass-file FILE names a file with it.',
    );
  }
}

function readPassphrase(file: string, io: PkiIo): string {
  try {
    const text = readBoundedFile(resolve(io.directory, file), MAX_PASSPHRASE_BYTES).toString('utf8');
    const passphrase = text.split(/\r?\n/)[0] ?? '';
    if (passphrase.length < 4) refuse(`${clean(file)}: a passphrase has at least 4 characters`);
    return passphrase;
  } catch (error) {
    if (error instanceof Error && error.name === 'SallyportError') throw error;
    return refuse(`${clean(file)} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export interface Issue {
  readonly name: string;
  readonly role: Role;
  readonly days: number;
  readonly key: KeyObject;
  /** Alternative names of a new certificate; a renewed one has those of the certificate it replaces. */
  readonly from:
    | { readonly alternativeNames: readonly AlternativeName[] }
    | { readonly like: string; readonly entry: IndexEntry };
}

export interface Issued {
  readonly serial: string;
  readonly notAfterUnix: number;
  readonly pem: string;
}

/** Signs a certificate and lists it in the index. `issued/` is the caller's step, after the key is in its place. */
export async function signCertificate(authority: Authority, issue: Issue, io: PkiIo): Promise<Issued> {
  const { folder } = authority;
  const { from } = issue;
  const nowUnix = io.nowUnix();
  const wanted = nowUnix + issue.days * DAY_SECONDS;
  const notAfterUnix = Math.min(wanted, authority.notAfterUnix);
  if (notAfterUnix < wanted) io.complain('note: the certificate ends with the authority that signs it\n');
  const serial = randomSerial();
  const request = {
    role: issue.role,
    serial,
    nowUnix,
    notAfterUnix,
    subject: 'like' in from ? from : { name: issue.name, alternativeNames: from.alternativeNames },
    publicKey: publicDer(issue.key),
    isRsa: issue.key.asymmetricKeyType === 'rsa',
  };
  const pem = await makeCertificate(request, authority.pem, authority.signing);
  folder.write(PUBLIC, pem, 'certs_by_serial', `${serial}.pem`);
  const subject = 'like' in from ? from.entry.subject : `/CN=${issue.name}`;
  const entry: IndexEntry = { state: 'valid', notAfterUnix, serial, file: 'unknown', subject };
  replaceIndex(folder, [...readIndex(folder), entry]);
  folder.write(SECRET, `${randomSerial()}\n`, 'serial');
  return { serial, notAfterUnix, pem };
}

/**
 * Makes crl.pem anew from the index; returns where it was written and until when it is good. Without `days` it lasts as
 * long as the one before.
 */
export async function renewRevocationList(
  authority: Authority,
  days: number | undefined,
  io: PkiIo,
): Promise<{ readonly paths: readonly string[]; readonly nextUpdateUnix: number }> {
  const { folder, pem, signing } = authority;
  const nowUnix = io.nowUnix();
  const lengthSeconds = days === undefined ? listLength(folder) : days * DAY_SECONDS;
  const notAfterUnix = Math.min(nowUnix + lengthSeconds, authority.notAfterUnix);
  const revoked = readIndex(folder).flatMap(({ state, serial, revokedUnix, reason }) =>
    state === 'revoked' && revokedUnix !== undefined ? [{ serial, revokedUnix, reason }] : [],
  );
  const number = nextNumber(folder);
  const text = await makeRevocationList(revoked, number, pem, signing, { nowUnix, notAfterUnix });
  const following = (number + 1n).toString(16).toUpperCase();
  folder.write(SECRET, `${following.length % 2 === 0 ? following : `0${following}`}\n`, 'crlnumber');
  return { paths: publishRevocationList(folder, text), nextUpdateUnix: notAfterUnix };
}

/** Makes the list anew when half of its time is over: whoever issues has the key at hand. */
export async function keepRevocationListFresh(authority: Authority, io: PkiIo): Promise<void> {
  const { folder } = authority;
  const end = readRevocationList(folder.read('crl.pem') ?? '')?.nextUpdateUnix ?? 0;
  const most = Math.min(listLength(folder), authority.notAfterUnix - io.nowUnix());
  if (end - io.nowUnix() >= most / 2) return;
  try {
    await renewRevocationList(authority, undefined, io);
  } catch (error) {
    // The certificate is what was asked for; the list has time.
    io.complain(`note: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

// How long the present list lasts from its beginning to its end, in seconds: whole days, because ours begin an hour early.
function listLength(folder: PkiFolder): number {
  const list = readRevocationList(folder.read('crl.pem') ?? '');
  if (list?.nextUpdateUnix === undefined) return DEFAULT_DAYS * DAY_SECONDS;
  return Math.max(1, Math.round((list.nextUpdateUnix - list.thisUpdateUnix) / DAY_SECONDS)) * DAY_SECONDS;
}

function nextNumber(folder: PkiFolder): bigint {
  const text = (folder.read('crlnumber') ?? '').trim();
  return /^[0-9A-Fa-f]{1,40}$/.test(text) ? BigInt(`0x${text}`) : 1n;
}

/** Entries of a name that are not revoked, the current one last. */
export const liveEntries = (entries: readonly IndexEntry[], name: string): readonly IndexEntry[] =>
  entries.filter((entry) => entry.state !== 'revoked' && nameOf(entry) === name);

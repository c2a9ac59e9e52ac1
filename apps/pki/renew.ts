// `pki renew NAME`: a successor with the same subject, role and alternative names, by default with a new key. The old
// certificate stays good until it expires, so that nobody is locked out before the new one has arrived; --revoke-old ends it.

import type { KeyObject } from 'node:crypto';
import {
  keepRevocationListFresh,
  liveEntries,
  renewRevocationList,
  signCertificate,
  unlockAuthority,
} from './authority.ts';
import { certificatePem, type Role, readCertificate } from './certificates.ts';
import {
  archive,
  openAuthority,
  type PkiFolder,
  PUBLIC,
  readIndex,
  replaceIndex,
  SECRET,
  whileLocked,
} from './folder.ts';
import { type IndexEntry, markRevoked, nameOf } from './index-file.ts';
import type { PkiIo } from './io.ts';
import { finishInterrupted, nextKeyFile, type ProfileOptions, planProfile, writeProfile } from './issue.ts';
import { isEncryptedKey, type KeyKind, likeAuthority, makeKey, readKey, writeKey } from './keys.ts';
import { checkName } from './names.ts';
import { clean, refuse } from './refuse.ts';
import { dayOf } from './words.ts';

export interface RenewOptions {
  readonly directory: string;
  readonly name: string;
  readonly days: number;
  readonly sameKey: boolean;
  readonly revokeOld: boolean;
  /** Undefined: as the authority's key. */
  readonly kind: KeyKind | undefined;
  readonly passFile: string | undefined;
  readonly profile: ProfileOptions;
}

/** Renews a server's or a client's certificate; a client gets its profile, too. */
export async function renew(options: RenewOptions, io: PkiIo): Promise<void> {
  const folder = openAuthority(options.directory);
  const name = checkName(options.name);
  await whileLocked(folder, async () => {
    const authority = await unlockAuthority(folder, options.passFile, io);
    finishInterrupted(folder, name);
    const { pem, role, entry } = currentOf(folder, name);
    const plan = role === 'client' ? planProfile(folder, name, options.profile, io) : undefined;
    archive(folder, name, entry.serial, 'renewed');
    const key = options.sameKey
      ? presentKey(folder, name)
      : await nextKey(folder, name, options.kind ?? likeAuthority(authority.key));
    const issue = { name, role, days: options.days, key, from: { like: pem, entry } };
    const issued = await signCertificate(authority, issue, io);
    if (!options.sameKey) folder.move(nextKeyFile(name), ['private', `${name}.key`]);
    folder.write(PUBLIC, issued.pem, 'issued', `${name}.crt`);
    io.write(
      `${name}: ${role} certificate ${issued.serial} with ${options.sameKey ? 'the same' : 'a new'} key, good until ${dayOf(issued.notAfterUnix)}\n`,
    );
    if (options.revokeOld) {
      const old = new Set(liveEntries(readIndex(folder), name).map(({ serial }) => serial));
      old.delete(issued.serial);
      replaceIndex(folder, markRevoked(readIndex(folder), old, io.nowUnix(), 'superseded'));
      await renewRevocationList(authority, undefined, io);
      for (const serial of old) io.write(`${name}: certificate ${serial} is revoked\n`);
    } else {
      await keepRevocationListFresh(authority, io);
      if (entry.notAfterUnix > io.nowUnix()) {
        io.write(
          `  The old one (${entry.serial}) stays good until ${dayOf(entry.notAfterUnix)}; --revoke-old ends it at once.\n`,
        );
      }
    }
    if (plan !== undefined) writeProfile(folder, plan, io);
    else
      io.write(
        '  The server takes it with a restart, or with SIGHUP where it may still read the files (not after user nobody).\n',
      );
  });
}

function currentOf(folder: PkiFolder, name: string): { pem: string; role: Role; entry: IndexEntry } {
  const pem = certificatePem(folder.read('issued', `${name}.crt`) ?? '');
  const facts = pem === undefined ? undefined : readCertificate(pem);
  const entries = readIndex(folder);
  const entry = entries.find(({ serial }) => serial === facts?.serial);
  if (pem === undefined || facts === undefined || entry === undefined) {
    refuseRevoked(folder, name, entries.filter((one) => nameOf(one) === name).at(-1));
    return refuse(
      `there is no certificate ${clean(name)} to renew`,
      'Make one with `sallyport pki server` or `client`.',
    );
  }
  refuseRevoked(folder, name, entry);
  if (facts.isServer === facts.isClient) {
    return refuse(
      `the certificate of ${name} is ${facts.isServer ? 'for servers and clients at once' : 'neither for servers nor for clients'}`,
      'Make a new one with `sallyport pki server` or `client`.',
    );
  }
  return { pem, role: facts.isServer ? 'server' : 'client', entry };
}

/** `latest`: what the name had last. The files of a revoked one lie in the archive. */
function refuseRevoked(folder: PkiFolder, name: string, latest: IndexEntry | undefined): void {
  if (latest?.state !== 'revoked') return;
  const old = readCertificate(folder.read('revoked', 'certs_by_serial', `${latest.serial}.crt`) ?? '');
  const role = old?.isServer === true && !old.isClient ? 'server' : 'client';
  refuse(
    `the certificate of ${clean(name)} is revoked`,
    `A revoked one has no successor; a new one under this name: sallyport pki ${role} ${clean(name)}${role === 'client' ? ' --force' : ''}`,
  );
}

async function nextKey(folder: PkiFolder, name: string, kind: KeyKind): Promise<KeyObject> {
  const key = await makeKey(kind);
  folder.write(SECRET, writeKey(key), ...nextKeyFile(name));
  return key;
}

function presentKey(folder: PkiFolder, name: string): KeyObject {
  const file = folder.path('private', `${name}.key`);
  const text = folder.read('private', `${name}.key`) ?? refuse(`${file} is not there`, 'Renew without --same-key.');
  if (isEncryptedKey(text)) return refuse(`${file} is encrypted`, 'Renew without --same-key, or decrypt it first.');
  return readKey(text, file);
}

// `pki list`: what the authority has issued, and warnings about what ends soon. Reads only; needs no lock and no passphrase.

import { statSync } from 'node:fs';
import { expiryWarning } from '../../src/pki.ts';
import { type RevocationListFacts, readCertificate, readRevocationList, subjectName } from './certificates.ts';
import { openAuthority, type PkiFolder, readIndex } from './folder.ts';
import { nameOf } from './index-file.ts';
import type { PkiIo } from './io.ts';
import { roleOf } from './issue.ts';
import { clean, refuse } from './refuse.ts';
import { dayOf, timeOf } from './words.ts';

type ListState = 'valid' | 'superseded' | 'expired' | 'revoked';

interface Row {
  readonly name: string;
  /** `server`, `client`, both with a plus sign, or `-` where no file tells. */
  readonly role: string;
  readonly serial: string;
  readonly notAfterUnix: number;
  readonly state: ListState;
  readonly revokedUnix: number | undefined;
  readonly reason: string | undefined;
}

/** Prints the list; `json` for programs. */
export function list(directory: string, json: boolean, io: PkiIo): void {
  const folder = openAuthority(directory);
  const text = folder.read('ca.crt') ?? '';
  const authority = readCertificate(text);
  if (authority === undefined) refuse(`${folder.path('ca.crt')} is not a certificate in PEM form`);
  const rows = rowsOf(folder, io.nowUnix());
  const crl = readRevocationList(folder.read('crl.pem') ?? '');
  const name = subjectName(text);
  const warnings = warningsOf(folder, rows, crl, authority.notAfterUnix, io.nowUnix());
  if (json) {
    const value = {
      ca: { name, serial: authority.serial, notAfter: timeOf(authority.notAfterUnix) },
      crl:
        crl === undefined ? null : { nextUpdate: crl.nextUpdateUnix === undefined ? null : timeOf(crl.nextUpdateUnix) },
      certificates: rows.map(({ notAfterUnix, revokedUnix, reason, ...row }) => ({
        ...row,
        notAfter: timeOf(notAfterUnix),
        revoked: revokedUnix === undefined ? null : timeOf(revokedUnix),
        reason: reason ?? null,
      })),
      warnings,
    };
    io.write(`${JSON.stringify(value, undefined, 2)}\n`);
    return;
  }
  const end = crl?.nextUpdateUnix;
  io.write(`${clean(name)}, good until ${dayOf(authority.notAfterUnix)}`);
  io.write(end === undefined ? '\n' : `; revocation list good until ${dayOf(end)}\n`);
  if (rows.length === 0) io.write('nothing issued yet\n');
  else io.write(table(rows));
  for (const warning of warnings) io.write(`warning: ${clean(warning)}\n`);
}

function rowsOf(folder: PkiFolder, nowUnix: number): readonly Row[] {
  const entries = readIndex(folder);
  const newest = new Map(
    entries.flatMap((entry) => (entry.state === 'revoked' ? [] : [[nameOf(entry), entry.serial]])),
  );
  return entries.map((entry) => {
    const name = nameOf(entry);
    const { serial, notAfterUnix, revokedUnix, reason } = entry;
    const isPast = entry.state === 'expired' || notAfterUnix <= nowUnix;
    const live = isPast ? 'expired' : newest.get(name) === serial ? 'valid' : 'superseded';
    const state: ListState = entry.state === 'revoked' ? 'revoked' : live;
    return { name, role: roleOf(folder, entry).join('+') || '-', serial, notAfterUnix, state, revokedUnix, reason };
  });
}

function warningsOf(
  folder: PkiFolder,
  rows: readonly Row[],
  crl: RevocationListFacts | undefined,
  authorityEndUnix: number,
  nowUnix: number,
): readonly string[] {
  const found: (string | undefined)[] = [expiryWarning('the authority', authorityEndUnix, nowUnix)];
  if (crl === undefined) found.push('there is no readable crl.pem: `sallyport pki crl` makes one');
  else if (crl.nextUpdateUnix !== undefined) {
    const warning = expiryWarning('the revocation list', crl.nextUpdateUnix, nowUnix);
    const then = 'a server with an expired list refuses everybody; `sallyport pki crl` makes a new one';
    if (warning !== undefined) found.push(`${warning}: ${then}`);
  }
  // Who has been renewed in time needs no warning about the old one.
  const current = new Map(rows.filter(({ state }) => state !== 'revoked').map((row) => [row.name, row]));
  for (const row of current.values()) {
    const warning = expiryWarning(row.name, row.notAfterUnix, nowUnix);
    if (warning !== undefined) found.push(`${warning}: \`sallyport pki renew ${row.name}\``);
  }
  const unlisted = rows.filter(
    ({ state, serial }) => state === 'revoked' && crl !== undefined && !crl.serials.has(serial),
  );
  for (const { name } of unlisted) {
    found.push(`${name} is revoked, but crl.pem does not say so: \`sallyport pki crl\` makes it anew`);
  }
  const key = folder.path('private', 'ca.key');
  if (
    folder.has('private', 'ca.key') &&
    (statSync(key).mode & 0o077) !== 0 &&
    (statSync(folder.path()).mode & 0o077) !== 0
  ) {
    found.push(`others than its owner may reach ${key}: chmod 600 it`);
  }
  return found.filter((warning) => warning !== undefined);
}

function table(rows: readonly Row[]): string {
  const lines = [
    ['name', 'role', 'serial', 'expires', 'state'],
    ...rows.map((row) => [
      clean(row.name) || '-',
      row.role,
      row.serial,
      dayOf(row.notAfterUnix),
      row.revokedUnix === undefined
        ? row.state
        : `${row.state} ${dayOf(row.revokedUnix)}${row.reason === undefined ? '' : ` (${clean(row.reason)})`}`,
    ]),
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

// `pki revoke NAME`: every certificate of the name that is still good is revoked, the superseded ones too, and the
// revocation list is made anew. Index first: a crash after it leaves a list that the same command brings up to date.

import { liveEntries, renewRevocationList, unlockAuthority } from './authority.ts';
import { REASONS, readCertificate } from './certificates.ts';
import { archive, openAuthority, readIndex, removeCurrent, replaceIndex, whileLocked } from './folder.ts';
import { markRevoked, nameOf } from './index-file.ts';
import type { PkiIo } from './io.ts';
import { finishInterrupted } from './issue.ts';
import { clean, refuse } from './refuse.ts';
import { dayOf } from './words.ts';

/** `--reason`, in any case, as the index has it. */
export function checkReason(text: string): string {
  const found = Object.keys(REASONS).find((reason) => reason.toLowerCase() === text.toLowerCase());
  return found ?? refuse(`--reason: '${clean(text)}' is none`, `One of ${Object.keys(REASONS).join(', ')}.`);
}

export interface RevokeOptions {
  readonly directory: string;
  readonly name: string;
  readonly reason: string | undefined;
  readonly crlDays: number | undefined;
  readonly passFile: string | undefined;
}

/** Revokes; also where everything is revoked already, so that an interrupted command can be given again. */
export async function revoke(options: RevokeOptions, io: PkiIo): Promise<void> {
  const folder = openAuthority(options.directory);
  const { name } = options;
  // Names of other tools may be of any form; what is looked for here has to be in the index, and is a file name only then.
  if (name === '' || name.startsWith('.') || /[/\0]/.test(name))
    refuse(`'${clean(name)}' is not the name of a certificate`);
  await whileLocked(folder, async () => {
    const authority = await unlockAuthority(folder, options.passFile, io);
    finishInterrupted(folder, name);
    const entries = readIndex(folder);
    const issued = readCertificate(folder.read('issued', `${name}.crt`) ?? '')?.serial;
    const serials = new Set(liveEntries(entries, name).map(({ serial }) => serial));
    if (entries.some(({ serial, state }) => serial === issued && state !== 'revoked')) serials.add(issued!);
    if (serials.size === 0 && !entries.some((entry) => nameOf(entry) === name)) {
      refuse(`there is no certificate ${clean(name)}`, '`sallyport pki list` shows what there is.');
    }
    const reason = options.reason === 'unspecified' ? undefined : options.reason;
    const revoked = markRevoked(entries, serials, io.nowUnix(), reason);
    if (serials.size > 0) replaceIndex(folder, revoked);
    const list = await renewRevocationList(authority, options.crlDays, io);
    // Only what is in the index was revoked; a file that is not listed there stays.
    if (issued !== undefined && revoked.some(({ serial, state }) => serial === issued && state === 'revoked')) {
      archive(folder, name, issued, 'revoked');
      removeCurrent(folder, name);
    }
    for (const serial of serials) io.write(`${clean(name)}: certificate ${serial} is revoked\n`);
    if (serials.size === 0) io.write(`${clean(name)}: was revoked before\n`);
    io.write(`revocation list, good until ${dayOf(list.nextUpdateUnix)}: ${list.paths.map(clean).join(', ')}\n`);
    io.write('  A server that uses one of these files refuses it from now on; one with a copy needs the new list.\n');
  });
}

/** `pki crl`: the list made anew, from the index. */
export async function renewList(
  directory: string,
  days: number | undefined,
  passFile: string | undefined,
  io: PkiIo,
): Promise<void> {
  const folder = openAuthority(directory);
  await whileLocked(folder, async () => {
    const authority = await unlockAuthority(folder, passFile, io);
    const list = await renewRevocationList(authority, days, io);
    io.write(`revocation list, good until ${dayOf(list.nextUpdateUnix)}: ${list.paths.map(clean).join(', ')}\n`);
  });
}

// index.txt, the list of everything that an authority has issued, as `openssl ca` and easy-rsa keep it. One line each,
// six fields between tabs:
//
//   V|R|E   expiry   [revocation[,reason]]   serial, hexadecimal   file or "unknown"   subject, /CN=name
//
// Times are YYMMDDHHMMSSZ (years 1950 to 2049) or YYYYMMDDHHMMSSZ.

export type IndexState = 'valid' | 'revoked' | 'expired';

export interface IndexEntry {
  readonly state: IndexState;
  readonly notAfterUnix: number;
  readonly revokedUnix?: number;
  /** As openssl writes it: `keyCompromise` … */
  readonly reason?: string;
  /** Upper case, an even number of digits. */
  readonly serial: string;
  readonly file: string;
  /** `/C=DE/CN=name`. */
  readonly subject: string;
}

export type ParsedIndex = { readonly entries: readonly IndexEntry[] } | { readonly problem: string };

const STATES: Readonly<Record<string, IndexState>> = { V: 'valid', R: 'revoked', E: 'expired' };
const LETTERS: Readonly<Record<IndexState, string>> = { valid: 'V', revoked: 'R', expired: 'E' };

/** Reads index.txt; a line that makes no sense is a problem, because a revocation could be in it. */
export function parseIndex(text: string): ParsedIndex {
  const entries: IndexEntry[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === '') continue;
    const entry = parseLine(line);
    if (entry === undefined) return { problem: `line ${index + 1} is not a line of an openssl index` };
    entries.push(entry);
  }
  return { entries };
}

function parseLine(line: string): IndexEntry | undefined {
  const fields = line.split('\t');
  const [letter = '', expiry = '', revocation = '', serial = '', file = '', subject = ''] = fields;
  const state = STATES[letter];
  const notAfterUnix = parseAsn1Time(expiry);
  if (fields.length !== 6 || state === undefined || notAfterUnix === undefined) return undefined;
  if (!/^(?:[0-9A-Fa-f]{2}){1,32}$/.test(serial)) return undefined;
  const common = { state, notAfterUnix, serial: serial.toUpperCase(), file, subject };
  if (revocation === '') return state === 'revoked' ? undefined : common;
  const comma = revocation.indexOf(',');
  const revokedUnix = parseAsn1Time(comma < 0 ? revocation : revocation.slice(0, comma));
  if (revokedUnix === undefined) return undefined;
  return { ...common, revokedUnix, ...(comma < 0 ? {} : { reason: revocation.slice(comma + 1) }) };
}

/** The text of an index. */
export function writeIndex(entries: readonly IndexEntry[]): string {
  return entries
    .map((entry) => {
      const { revokedUnix, reason } = entry;
      const when = revokedUnix === undefined ? '' : writeAsn1Time(revokedUnix);
      const revocation = reason === undefined ? when : `${when},${reason}`;
      const expiry = writeAsn1Time(entry.notAfterUnix);
      return `${[LETTERS[entry.state], expiry, revocation, entry.serial, entry.file, entry.subject].join('\t')}\n`;
    })
    .join('');
}

/** The common name in `/C=DE/CN=name/emailAddress=…`, or an empty string. */
export function nameOf({ subject }: IndexEntry): string {
  const at = subject.lastIndexOf('/CN=');
  if (at < 0) return '';
  const rest = subject.slice(at + '/CN='.length);
  return rest.split(/\/(?=[A-Za-z]+=)/)[0] ?? '';
}

/** The entries with those of these serials revoked. A reason that stands there stays where none is given. */
export function markRevoked(
  entries: readonly IndexEntry[],
  serials: ReadonlySet<string>,
  revokedUnix: number,
  reason: string | undefined,
): readonly IndexEntry[] {
  const revoked = { state: 'revoked', revokedUnix, ...(reason === undefined ? {} : { reason }) } as const;
  return entries.map((entry) => (serials.has(entry.serial) ? { ...entry, ...revoked } : entry));
}

/** Unix seconds of a UTCTime or GeneralizedTime in UTC; undefined for anything else. */
export function parseAsn1Time(text: string): number | undefined {
  const match = /^(\d\d)?(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [, century, year, month, day, hour, minute, second] = match;
  const fullYear = century === undefined ? Number(year) + (Number(year) < 50 ? 2000 : 1900) : Number(century + year!);
  const date = new Date(0);
  date.setUTCFullYear(fullYear, Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second));
  // A 13th month would be silently moved into the next year.
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  return date.getTime() / 1000;
}

/** UTCTime for the years it can say, else GeneralizedTime. */
export function writeAsn1Time(unix: number): string {
  const digits = new Date(unix * 1000)
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replace(/\D/g, '');
  const year = Number(digits.slice(0, 4));
  return `${year >= 1950 && year < 2050 ? digits.slice(2) : digits}Z`;
}

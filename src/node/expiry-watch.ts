// A server's own certificate, its authorities and its revocation lists: when they run out, and the warnings before that.

import { Level, type Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';
import { expiryWarning } from './expiry.ts';
import { cleanLogText } from './logger.ts';
import { parseRevocationList } from './revocation-list.ts';
import type { TlsMaterial } from './tls-material.ts';

type Material = Pick<TlsMaterial, 'certificate' | 'authorities' | 'revocationLists'>;

/** In Unix seconds; of several, the first. undefined: there is none, or it has no end. */
export interface MaterialExpiry {
  readonly certificateExpiryUnixSeconds: number | undefined;
  readonly caExpiryUnixSeconds: number | undefined;
  readonly crlExpiryUnixSeconds: number | undefined;
}

const DAY_MS = 86_400_000;

export function materialExpiry({ certificate, authorities, revocationLists }: Material): MaterialExpiry {
  return {
    certificateExpiryUnixSeconds: certificate && endOf(certificate),
    caExpiryUnixSeconds: first(authorities.map(endOf)),
    crlExpiryUnixSeconds: first(revocationLists.map((der) => parseRevocationList(der)?.nextUpdate)),
  };
}

/** Warns now and once a day about whatever ends within 30 days; returns what ends that. */
export function watchExpiry(material: () => Material, clock: ClockPort, log: Log): () => void {
  let cancel = (): void => {};
  const look = (): void => {
    const { monoMs, unixSeconds } = clock.now();
    for (const text of expiryWarnings(material(), unixSeconds)) log(Level.warning, `WARNING: ${text}`);
    cancel = clock.at(monoMs + DAY_MS, look);
  };
  look();
  return () => cancel();
}

function expiryWarnings({ certificate, authorities, revocationLists }: Material, nowUnix: number): string[] {
  const ends: (readonly [name: string, notAfter: number | undefined])[] = [
    ['the certificate of this server', certificate && endOf(certificate)],
    ...authorities.map((authority) => [`the CA certificate '${nameOf(authority)}'`, endOf(authority)] as const),
    ...revocationLists.map(
      (der) => ['the revocation list (crl-verify)', parseRevocationList(der)?.nextUpdate] as const,
    ),
  ];
  return ends.flatMap(([name, notAfter]) => {
    const warning = notAfter === undefined ? undefined : expiryWarning(name, notAfter, nowUnix);
    return warning === undefined ? [] : [warning];
  });
}

type Certificate = TlsMaterial['authorities'][number];

const endOf = ({ validTo }: Certificate): number => Date.parse(validTo) / 1000;

const nameOf = ({ subject }: Certificate): string => cleanLogText(subject.replaceAll('\n', ', '));

function first(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

import type { X509Certificate } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { Level } from '../../src/log.ts';
import { materialExpiry, watchExpiry } from '../../src/node/expiry-watch.ts';
import { VirtualClock } from '../lab/virtual-clock.ts';

const DAY = 86_400;
const clock = new VirtualClock();
const start = clock.now().unixSeconds;

/** As much of a certificate as is looked at. */
const certificate = (subject: string, notAfter: number): X509Certificate =>
  ({ subject, validTo: new Date(notAfter * 1000).toUTCString() }) as X509Certificate;

/** A revocation list that says nothing but when it ends. */
function revocationList(notAfter: number | undefined): Uint8Array {
  const der = (tag: number, ...parts: (readonly number[])[]): number[] => [tag, parts.flat().length, ...parts.flat()];
  const time = (unix: number): number[] => {
    const text = new Date(unix * 1000)
      .toISOString()
      .replace(/[-:T]|\.\d+/g, '')
      .slice(2);
    return der(0x17, [...new TextEncoder().encode(text)]);
  };
  const end = notAfter === undefined ? [] : time(notAfter);
  return Uint8Array.from(der(0x30, der(0x30, der(0x30), der(0x30), time(start), end), der(0x30), der(0x03, [0])));
}

describe('what runs out', () => {
  it('is found for the own certificate, and of authorities and lists for the first', () => {
    expect(
      materialExpiry({
        certificate: certificate('CN=server', 2_000_000_000),
        authorities: [certificate('CN=one', 2_200_000_000), certificate('CN=two', 2_100_000_000)],
        revocationLists: [revocationList(undefined), revocationList(1_900_000_000), revocationList(1_950_000_000)],
      }),
    ).toEqual({
      certificateExpiryUnixSeconds: 2_000_000_000,
      caExpiryUnixSeconds: 2_100_000_000,
      crlExpiryUnixSeconds: 1_900_000_000,
    });
  });

  it('is nothing where there is nothing', () => {
    const none = { certificate: undefined, authorities: [], revocationLists: [] };
    expect(Object.values(materialExpiry(none))).toEqual([undefined, undefined, undefined]);
  });
});

describe('the watch over what runs out', () => {
  let lines: string[];
  beforeEach(() => {
    lines = [];
  });
  const watch = (material: () => Parameters<typeof materialExpiry>[0]): (() => void) =>
    watchExpiry(material, clock, (flags, text) => {
      expect(flags).toBe(Level.warning);
      lines.push(text);
    });
  const days = (count: number): number => clock.now().unixSeconds + count * DAY + 60;

  it('is silent while everything lasts for more than 30 days', () => {
    const end = days(31);
    const stop = watch(() => ({
      certificate: certificate('CN=server', end),
      authorities: [certificate('CN=CA', end)],
      revocationLists: [revocationList(end)],
    }));
    expect(lines).toEqual([]);
    stop();
  });

  it('names each thing that ends within 30 days', () => {
    const stop = watch(() => ({
      certificate: certificate('CN=server', days(29)),
      authorities: [certificate('O=Example\nCN=CA', days(3))],
      revocationLists: [revocationList(days(-1))],
    }));
    expect(lines).toEqual([
      expect.stringMatching(/^WARNING: the certificate of this server expires in 29 days, on \d{4}-\d\d-\d\d$/),
      expect.stringMatching(/^WARNING: the CA certificate 'O=Example, CN=CA' expires in 3 days, on /),
      expect.stringMatching(/^WARNING: the revocation list \(crl-verify\) has expired on /),
    ]);
    stop();
  });

  it('looks again once a day, at what is in force then', () => {
    let revocationLists = [revocationList(days(31))];
    const stop = watch(() => ({ certificate: undefined, authorities: [], revocationLists }));
    const counts = [1, 2, 3].map(() => {
      clock.step(clock.nowMs + DAY * 1000);
      return lines.length;
    });
    expect(counts).toEqual([0, 1, 2]);
    revocationLists = [revocationList(days(90))];
    clock.step(clock.nowMs + DAY * 1000);
    expect(lines).toHaveLength(2);
    stop();
    expect(clock.waiting).toBe(0);
  });
});

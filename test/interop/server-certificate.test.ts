// The client refuses a server whose certificate is wrong, says why in its own words, and passes no traffic. Each case
// has its twin that is right in that one point, so that a check turned round fails one of the two.
// A server that shows no certificate at all is not among them: TLS with certificates cannot be spoken without one.

import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { device } from '../lab/net.ts';
import type { Credential, Pki } from '../lab/pki.ts';
import { labSuite, type PeerVersion } from '../lab/requirements.ts';
import { isSilent, pings } from '../lab/traffic.ts';

interface CertificateCase {
  readonly title: string;
  /** What the server shows. */
  readonly server: (pki: Pki) => Credential | Promise<Credential>;
  readonly lines?: (pki: Pki) => readonly string[];
  readonly without?: readonly string[];
  /** Words of the client's log; without them the certificate is right. */
  readonly refusal?: RegExp;
}

const wrongUsage = /VERIFY ERROR: depth=0, error=(unsuitable|unsupported) certificate purpose: .*CN=|VERIFY EKU ERROR/;

const cases: readonly CertificateCase[] = [
  { title: 'of the known authority is accepted', server: (pki) => pki.server },
  {
    title: 'of a foreign authority is refused',
    server: (pki) => pki.foreign,
    refusal: /VERIFY ERROR: depth=[01], error=unable to get (local )?issuer certificate.*CN=foreign/,
  },
  {
    title: 'signed by itself is refused',
    server: (pki) => pki.selfSigned,
    without: ['remote-cert-tls'],
    refusal: /VERIFY ERROR: depth=0, error=self.signed certificate: CN=selfSigned/,
  },
  {
    title: 'that has expired is refused',
    server: (pki) => pki.expired,
    refusal: /VERIFY ERROR: depth=0, error=certificate has expired: CN=expired/,
  },
  {
    title: 'that is not valid yet is refused',
    server: (pki) => pki.notYetValid,
    refusal: /VERIFY ERROR: depth=0, error=certificate is not yet valid: CN=notYetValid/,
  },
  {
    title: 'that is revoked is refused',
    server: (pki) => pki.revoked,
    lines: (pki) => [`crl-verify ${pki.crl}`],
    refusal: /VERIFY ERROR: depth=0, error=certificate revoked: CN=revoked/,
  },
  {
    title: 'that another revocation list does not name is accepted',
    server: (pki) => pki.revoked,
    lines: (pki) => [`crl-verify ${pki.emptyCrl}`],
  },
  {
    title: 'for another usage is refused',
    server: (pki) => pki.wrongEku,
    refusal: wrongUsage,
  },
  {
    title: 'of a client is refused as a server',
    server: (pki) => pki.client,
    refusal: wrongUsage,
  },
  {
    title: 'for no particular usage is refused',
    server: (pki) => pki.issue({ name: 'anyUsage', eku: '' }),
    refusal: /VERIFY EKU ERROR/,
  },
  {
    title: 'for no particular usage is accepted without remote-cert-tls',
    server: (pki) => pki.issue({ name: 'anyUsage', eku: '' }),
    without: ['remote-cert-tls'],
  },
  {
    title: 'with another key usage is refused',
    server: (pki) => pki.server,
    lines: () => ['remote-cert-ku 04'],
    refusal: /VERIFY KU ERROR/,
  },
  {
    title: 'of an intermediate authority is accepted',
    server: (pki) => pki.chained,
  },
  ...nameCases('C=DE, O=Example, CN=server', 'subject', 'C=DE, O=Example, CN=other'),
  ...nameCases('server', 'name', 'other'),
  ...nameCases('serv', 'name-prefix', 'other'),
  {
    title: 'with another fingerprint is refused',
    server: (pki) => pki.server,
    lines: () => [`peer-fingerprint ${Array.from({ length: 32 }, () => '00').join(':')}`],
    without: ['ca'],
    refusal:
      /TLS Error: --tls-verify\/--peer-fingerprint certificate hash verification failed|certificate hash verification failed/,
  },
];

function nameCases(right: string, type: string, wrong: string): CertificateCase[] {
  return [
    {
      title: `of the right ${type} is accepted`,
      server: (pki) => pki.server,
      lines: () => [`verify-x509-name '${right}' ${type}`],
    },
    {
      title: `of another ${type} is refused`,
      server: (pki) => pki.server,
      lines: () => [`verify-x509-name '${wrong}' ${type}`],
      refusal:
        /VERIFY X509NAME ERROR: (C=DE, O=Example, CN=)?server, must (be|start with) (C=DE, O=Example, CN=)?other/,
    },
  ];
}

labSuite('a certificate of a server', () => {
  const lab = useLab();
  const everyVersion = ['1.2', '1.3'].flatMap((tls) => cases.map((each) => [tls, each.title, each] as const));

  it.each(everyVersion)('in TLS %s %s', async (tls, _title, each) => {
    const { pki } = lab();
    const shown = await each.server(pki);
    const server = await lab().server({
      without: ['cert', 'key'],
      lines: [`cert ${shown.cert}`, `key ${shown.key}`, `tls-version-min ${tls}`, `tls-version-max ${tls}`],
    });
    const client = await lab().client({
      lines: [...(each.lines?.(pki) ?? []), 'connect-retry-max 1', 'hand-window 10'],
      ...(each.without ? { without: each.without } : {}),
    });
    if (each.refusal === undefined) {
      await client.line(up);
      await client.line(new RegExp(`Control Channel: TLSv${tls.replace('.', '\\.')}`));
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      return;
    }
    await client.line(each.refusal);
    await client.line(/TLS Error: TLS handshake failed/);
    expect(client.count(up)).toBe(0);
    expect(await device(lab().net.client, 'tun0')).toBeUndefined();
    expect(await isSilent(lab().net.client, tunnel.server4)).toBe(true);
    expect(server.count(/Peer Connection Initiated|PUSH_REPLY/)).toBe(0);
  });
});

interface AlertCase {
  readonly what: string;
  readonly server: (pki: Pki) => Credential;
  readonly lines?: (pki: Pki) => readonly string[];
  readonly alert: RegExp;
}

const alerts: readonly AlertCase[] = [
  { what: 'of a foreign authority', server: (pki) => pki.foreign, alert: /fatal SSL alert: unknown CA/ },
  { what: 'that has expired', server: (pki) => pki.expired, alert: /fatal SSL alert: certificate expired/ },
  {
    what: 'that is revoked',
    server: (pki) => pki.revoked,
    lines: (pki) => [`crl-verify ${pki.crl}`],
    alert: /fatal SSL alert: certificate revoked/,
  },
  {
    what: 'with another name',
    server: (pki) => pki.server,
    lines: () => ['verify-x509-name other name'],
    alert: /fatal SSL alert: certificate unknown/,
  },
];

labSuite('a server whose certificate is refused', () => {
  const lab = useLab();

  it.each(
    alerts.flatMap((each) =>
      (['2.6', '2.7'] as const satisfies readonly PeerVersion[]).flatMap((version) =>
        (['1.2', '1.3'] as const).map((tls) => [each.what, version, tls, each] as const),
      ),
    ),
  )('hears of it by a TLS alert: one %s, OpenVPN %s, TLS %s', async (_what, version, tls, each) => {
    const { cert, key } = each.server(lab().pki);
    const server = await lab().server({ version, without: ['cert', 'key'], lines: [`cert ${cert}`, `key ${key}`] });
    const client = await lab().client({
      lines: ['connect-retry-max 1', `tls-version-max ${tls}`, ...(each.lines?.(lab().pki) ?? [])],
    });
    await server.line(each.alert);
    await client.line(/TLS Error: TLS handshake failed/);
    await client.stop();
  });
});

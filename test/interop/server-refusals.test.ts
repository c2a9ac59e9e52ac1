// What a server must not let in: every kind of bad certificate, scripts that say no, wrong keys of the control channel,
// no common cipher or TLS version. Sallyport's server tells a client why; the C program's does so only for some.

import { copyFile, rename } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { type ClientOptions, type Lab, type Transport, tunnel, up, useLab } from '../lab/lab.ts';
import type { WatchedProcess } from '../lab/process.ts';
import { isOurServer, labSuite, serverUnderTest } from '../lab/requirements.ts';
import { writeAgedClientKey } from '../lab/static-keys.ts';
import { pings, serveTraffic } from '../lab/traffic.ts';

type Name = 'expired' | 'notYetValid' | 'revoked' | 'foreign' | 'selfSigned' | 'wrongEku' | 'client' | 'none';

interface Refusal {
  readonly title: string;
  readonly certificate: Name;
  readonly server?: (lab: Lab) => readonly string[];
  readonly client?: readonly string[];
  /** What the log says after the client's address. */
  readonly says: RegExp;
}

const refusals: readonly Refusal[] = [
  {
    title: 'an expired certificate',
    certificate: 'expired',
    says: /VERIFY ERROR: depth=0, error=certificate has expired: CN=expired, serial=\d+$/,
  },
  {
    title: 'a certificate of the future',
    certificate: 'notYetValid',
    says: /VERIFY ERROR: depth=0, error=certificate is not yet valid( or the system clock is incorrect)?: CN=notYetValid, serial=\d+$/,
  },
  {
    title: 'a revoked certificate',
    certificate: 'revoked',
    server: (lab) => [`crl-verify ${lab.pki.crl}`],
    says: /VERIFY ERROR: depth=0, error=certificate revoked: CN=revoked, serial=\d+$/,
  },
  {
    title: 'a certificate of another authority',
    certificate: 'foreign',
    says: /VERIFY ERROR: depth=0, error=unable to get local issuer certificate: CN=foreign, serial=\d+$/,
  },
  {
    title: 'a self-signed certificate',
    certificate: 'selfSigned',
    says: /VERIFY ERROR: depth=0, error=self-signed certificate: CN=selfSigned, serial=\d+$/,
  },
  {
    title: 'a certificate for another purpose',
    certificate: 'wrongEku',
    says: /VERIFY ERROR: depth=0, error=(unsuitable|unsupported) certificate purpose: CN=wrongEku, serial=\d+$/,
  },
  {
    title: 'a certificate whose purpose remote-cert-tls does not allow',
    certificate: 'wrongEku',
    server: () => ['remote-cert-tls client'],
    says: /VERIFY (ERROR: depth=0, error=(unsuitable|unsupported) certificate purpose|EKU ERROR)/,
  },
  {
    title: 'a name that verify-x509-name does not allow',
    certificate: 'client',
    server: () => ['verify-x509-name nobody name'],
    says: /VERIFY X509NAME ERROR: (C=DE, O=Example, CN=)?client, must be nobody$/,
  },
  {
    title: 'a certificate that the tls-verify script refuses',
    certificate: 'client',
    server: () => ['script-security 2', 'tls-verify /bin/false'],
    says: /VERIFY SCRIPT ERROR: depth=1, C=DE, O=Example, CN=Example CA$/,
  },
  {
    title: 'no certificate at all',
    certificate: 'none',
    client: ['<auth-user-pass>', 'max', 'x', '</auth-user-pass>'],
    says: isOurServer ? /peer did not return a certificate|TLS Error/ : /peer did not return a certificate:$/,
  },
];

const quickly = ['hand-window 4', 'connect-retry-max 1', 'connect-retry 1'];

function clientOf(lab: Lab, { certificate, client = [] }: Refusal): ClientOptions {
  return {
    certificate: certificate === 'none' ? null : lab.pki[certificate],
    lines: [...quickly, ...client],
  };
}

labSuite('a server does not let in', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  const cases = refusals.flatMap((refusal) =>
    (['1.2', '1.3'] as const).flatMap((tls) =>
      // Both transports and versions, each in one combination.
      [[refusal.title, tls, tls === '1.2' ? 'tcp4' : 'udp4', tls === '1.2' ? 'openvpn' : 'openvpn-2.7', refusal]],
    ),
  ) as [string, string, Transport, 'openvpn' | 'openvpn-2.7', Refusal][];

  it.each(cases)('%s: TLS %s, %s, %s', async (_title, tls, transport, kind, refusal) => {
    const server = await lab().serve({
      transport,
      lines: [`tls-version-min ${tls}`, `tls-version-max ${tls}`, ...(refusal.server?.(lab()) ?? [])],
    });
    const client = await lab().client({ ...clientOf(lab(), refusal), transport, kind });
    await server.line(refusal.says);
    // With the client's address in front, for those who count failures by address.
    const said = server.lines.find((line) => refusal.says.test(line)) ?? '';
    expect(said).toMatch(/ (\w[\w-]*:)?192\.0\.2\.2:\d+ /);
    expect(server.count(/SENT CONTROL \[[^\]]*\]: 'PUSH_REPLY/)).toBe(0);
    if (isOurServer) {
      // The one thing that it is told, on a finished channel: it knows why, and does not try again for ever.
      await client.line(/AUTH: Received control message: AUTH_FAILED/);
      expect(await client.exit()).toEqual({ code: 0, signal: null });
    } else {
      await server.line(/192\.0\.2\.2:\d+ TLS Error: TLS handshake failed$/);
    }
    expect(client.count(up)).toBe(0);
  });

  it('somebody who was revoked while it runs', async () => {
    const crl = `${lab().dir}/live.crl`;
    await copyFile(lab().pki.emptyCrl, crl);
    const server = await lab().serve({ lines: [`crl-verify ${crl}`] });
    const before = await lab().connect({ kind: 'openvpn', certificate: lab().pki.revoked });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await before.stop();
    await copyFile(lab().pki.crl, `${crl}.new`);
    await rename(`${crl}.new`, crl);
    const after = await lab().client({ kind: 'openvpn', certificate: lab().pki.revoked, lines: quickly });
    await server.line(/VERIFY ERROR: depth=0, error=certificate revoked: CN=revoked/);
    expect(after.count(up)).toBe(0);
    await after.kill();
    // And everybody else.
    await lab().connect({ kind: 'openvpn' });
  });

  it('anybody who has no common cipher, and says which there are', async () => {
    const server = await lab().serve({ lines: ['data-ciphers AES-256-GCM'] });
    for (const kind of ['openvpn', 'openvpn-2.7'] as const) {
      const client = await lab().client({ kind, lines: ['data-ciphers AES-128-GCM'] });
      expect(await client.exit()).toEqual({ code: 0, signal: null });
      expect(client.text).toContain('AUTH_FAILED,Data channel cipher negotiation failed (no shared cipher)');
      expect(client.count(up)).toBe(0);
    }
    await server.line(
      /client\/\S+ PUSH: No common cipher between server and client\. Server data-ciphers: 'AES-256-GCM', client supported ciphers 'AES-128-GCM'$/,
    );
  });

  it('anybody who has no common TLS version', async () => {
    const server = await lab().serve({ lines: ['tls-version-min 1.3'] });
    const client = await lab().client({ kind: 'openvpn', lines: ['tls-version-max 1.2', ...quickly] });
    await server.line(/192\.0\.2\.2:\d+ TLS Error: TLS handshake failed$/);
    expect(client.count(up)).toBe(0);
  });
});

labSuite('a server hears nothing of who', () => {
  const lab = useLab();

  /** Who is refused before TLS, and the line that says so. */
  const cases: readonly (readonly [string, (lab: Lab) => string, (lab: Lab) => readonly string[], RegExp])[] = [
    [
      'has another tls-auth key',
      ({ keys }) => `tls-auth ${keys.shared} 0`,
      ({ keys }) => [`tls-auth ${keys.foreign} 1`],
      /TLS Error: incoming packet authentication failed from \[AF_INET\]192\.0\.2\.2:\d+$/,
    ],
    [
      'has no tls-auth key',
      ({ keys }) => `tls-auth ${keys.shared} 0`,
      () => [],
      /TLS Error: cannot locate HMAC in incoming packet from \[AF_INET\]192\.0\.2\.2:\d+$/,
    ],
    [
      'has another tls-crypt key',
      ({ keys }) => `tls-crypt ${keys.shared}`,
      ({ keys }) => [`tls-crypt ${keys.foreign}`],
      /TLS Error: tls-crypt unwrapping failed from \[AF_INET\]192\.0\.2\.2:\d+$/,
    ],
    [
      'has no tls-crypt key',
      ({ keys }) => `tls-crypt ${keys.shared}`,
      () => [],
      /TLS Error: tls-crypt unwrapping failed from \[AF_INET\]192\.0\.2\.2:\d+$/,
    ],
    [
      'has a tls-crypt-v2 key of another server',
      ({ keys }) => `tls-crypt-v2 ${keys.v2Server}`,
      ({ keys }) => [`tls-crypt-v2 ${keys.v2ForeignClient}`],
      /TLS Error: can not extract tls-crypt-v2 client key from \[AF_INET\]192\.0\.2\.2:\d+$/,
    ],
    [
      'has no tls-crypt-v2 key',
      ({ keys }) => `tls-crypt-v2 ${keys.v2Server}`,
      () => [],
      /TLS Error: could not determine wrapping from \[AF_INET\]192\.0\.2\.2:\d+$/,
    ],
  ];

  it.each(cases)('%s', async (_title, serverLine, clientLines, says) => {
    const server = await lab().serve({ lines: [serverLine(lab())] });
    const client = await lab().client({ kind: 'openvpn', lines: [...clientLines(lab()), ...quickly] });
    await server.line(says);
    await client.kill();
    expect(client.count(/TLS: Initial packet from/)).toBe(0);
    expect(server.count(/VERIFY OK|Peer Connection Initiated/)).toBe(0);
  });

  const v2 = (extra: readonly string[]) => [`tls-crypt-v2 ${lab().keys.v2Server}`, ...extra];
  const v2Client = (): Promise<WatchedProcess> =>
    lab().client({ kind: 'openvpn', lines: [`tls-crypt-v2 ${lab().keys.v2Client}`, ...quickly] });

  it('has a tls-crypt-v2 key that the script refuses', async () => {
    const server = await lab().serve({ lines: v2(['script-security 2', 'tls-crypt-v2-verify /bin/false']) });
    const client = await v2Client();
    await server.line(/TLS CRYPT V2 VERIFY SCRIPT ERROR/);
    await server.line(/TLS Error: can not extract tls-crypt-v2 client key from \[AF_INET\]192\.0\.2\.2:\d+$/);
    await client.kill();
    expect(server.count(/VERIFY OK|Peer Connection Initiated/)).toBe(0);
  });

  it('has a tls-crypt-v2 key that is good, until the script says otherwise', async () => {
    const verdict = await lab().file('verdict', '', 0o644);
    const script = await lab().file(
      'verify.sh',
      `#!/bin/sh\n[ "$metadata_type" = 1 ] && [ "$(stat -c %s "$metadata_file")" = 8 ] && [ ! -e ${verdict}.no ]\n`,
      0o755,
    );
    const server = await lab().serve({ lines: v2(['script-security 2', `tls-crypt-v2-verify ${script}`]) });
    const client = await v2Client();
    await client.line(up);
    await server.line(/TLS CRYPT V2 VERIFY SCRIPT OK/);
    await client.stop();
    await lab().net.server.run(['touch', `${verdict}.no`]);
    const again = await v2Client();
    await server.line(/TLS CRYPT V2 VERIFY SCRIPT ERROR/);
    expect(again.count(up)).toBe(0);
  });

  it.skipIf(serverUnderTest === 'openvpn')('has a tls-crypt-v2 key that is too old', async () => {
    const server = await lab().serve({ lines: v2(['tls-crypt-v2-max-age 30']) });
    const client = await v2Client();
    await client.line(up);
    await client.stop();
    const old = `${lab().dir}/old-v2-client.key`;
    await writeAgedClientKey(old, lab().keys.v2Server, Math.trunc(Date.now() / 1000) - 40 * 86_400);
    const late = await lab().client({ kind: 'openvpn', lines: [`tls-crypt-v2 ${old}`, ...quickly] });
    await server.line(/ERROR: Client key is too old\./);
    await server.line(/TLS Error: can not extract tls-crypt-v2 client key from \[AF_INET\]192\.0\.2\.2:\d+$/);
    await late.kill();
    expect(late.count(up)).toBe(0);
    expect(server.count(/Peer Connection Initiated/)).toBe(1);
  });
});

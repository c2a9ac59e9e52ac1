// How a client shows who it is: certificates in every form, user names, tokens.

import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { type Lab, tunnel, up, useLab } from '../lab/lab.ts';
import { run } from '../lab/process.ts';
import { labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const inline = async (tag: string, path: string) => [`<${tag}>`, (await readFile(path, 'utf8')).trim(), `</${tag}>`];

async function expectTunnel(lab: Lab, lines: readonly string[], without: readonly string[] = []): Promise<void> {
  const client = await lab.connect({ lines, without });
  expect(await pings(lab.net.client, tunnel.server4)).toBe(true);
  expect(await client.stop()).toEqual({ code: 0, signal: null });
}

labSuite('a client shows its certificate', () => {
  const lab = useLab();
  const own = ['ca', 'cert', 'key'];

  it('from inline blocks', async () => {
    const { ca, client } = lab().pki;
    await lab().server();
    await expectTunnel(
      lab(),
      [...(await inline('ca', ca.cert)), ...(await inline('cert', client.cert)), ...(await inline('key', client.key))],
      own,
    );
  });

  it.each(['pkcs12', 'pkcs12TripleDes'] as const)('from a %s file with its password in a file', async (name) => {
    await lab().server();
    const password = await lab().file('askpass', `${lab().pki.password}\n`, 0o600);
    await expectTunnel(lab(), [`pkcs12 ${lab().pki[name]}`, `askpass ${password}`], own);
  });

  it('from an old PKCS#12 file, with RC2, under providers legacy default', async ({ skip }) => {
    const { pkcs12Rc2, password } = lab().pki;
    if (pkcs12Rc2 === undefined) return skip('this openssl makes no such files');
    await lab().server();
    const askpass = await lab().file('askpass', `${password}\n`, 0o600);
    await expectTunnel(lab(), ['providers legacy default', `pkcs12 ${pkcs12Rc2}`, `askpass ${askpass}`], own);
    const client = await lab().client({ without: own, lines: [`pkcs12 ${pkcs12Rc2}`, `askpass ${askpass}`] });
    expect((await client.exit()).code).toBe(1);
    expect(client.text).toMatch(/PKCS12|PKCS#12/);
  });

  it('from a PKCS#12 bundle inline', async () => {
    await lab().server();
    const password = await lab().file('askpass', `${lab().pki.password}\n`, 0o600);
    const bundle = (await readFile(lab().pki.pkcs12)).toString('base64').replace(/.{64}/g, '$&\n');
    await expectTunnel(lab(), ['<pkcs12>', bundle, '</pkcs12>', `askpass ${password}`], own);
  });

  it.each(['encryptedKey', 'traditionalEncryptedKey'] as const)('with an %s and askpass', async (name) => {
    await lab().server();
    const password = await lab().file('askpass', `${lab().pki.password}\n`, 0o600);
    await expectTunnel(lab(), [`key ${lab().pki[name]}`, `askpass ${password}`], ['key']);
  });

  it('with a wrong key password ends with exit code 1', async () => {
    const password = await lab().file('askpass', 'wrong\n', 0o600);
    const client = await lab().client({
      lines: [`key ${lab().pki.encryptedKey}`, `askpass ${password}`],
      without: ['key'],
    });
    expect(await client.exit()).toEqual({ code: 1, signal: null });
    expect(client.text).toMatch(/private key password verification failed|Cannot load private key file/i);
  });

  it('with an intermediate certificate in the file', async () => {
    const { chained } = lab().pki;
    await lab().server();
    await expectTunnel(lab(), [`cert ${chained.cert}`, `key ${chained.key}`], ['cert', 'key']);
  });

  it('of RSA, in TLS 1.2 and 1.3', async () => {
    const { rsa } = lab().pki;
    const server = await lab().server();
    const lines = [`cert ${rsa.cert}`, `key ${rsa.key}`];
    await expectTunnel(lab(), [...lines, 'tls-version-max 1.2'], ['cert', 'key']);
    await server.line(/Control Channel: TLSv1\.2/);
    await expectTunnel(lab(), [...lines, 'tls-version-min 1.3'], ['cert', 'key']);
    await server.line(/Control Channel: TLSv1\.3/);
  });

  it('with the cipher suites and groups it is told to use', async () => {
    const server = await lab().server();
    await expectTunnel(lab(), ['tls-version-max 1.2', 'tls-cipher TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256']);
    await server.line(/Control Channel: TLSv1\.2, cipher TLSv1\.2 ECDHE-ECDSA-CHACHA20-POLY1305/);
    await expectTunnel(lab(), ['tls-ciphersuites TLS_AES_128_GCM_SHA256', 'tls-groups secp384r1']);
    await server.line(/Control Channel: TLSv1\.3, cipher TLSv1\.3 TLS_AES_128_GCM_SHA256/);
  });

  it('to a server known by its fingerprint alone', async () => {
    const server = await lab().server();
    const { stdout } = await run([
      'openssl',
      'x509',
      '-in',
      lab().pki.server.cert,
      '-noout',
      '-fingerprint',
      '-sha256',
    ]);
    const fingerprint = stdout.trim().split('=')[1];
    await expectTunnel(lab(), [`peer-fingerprint ${fingerprint}`], ['ca', 'remote-cert-tls']);
    await expectTunnel(
      lab(),
      ['<peer-fingerprint>', `${fingerprint}`, '</peer-fingerprint>'],
      ['ca', 'remote-cert-tls'],
    );
    expect(server.count(/Peer Connection Initiated/)).toBe(2);
  });
});

labSuite('a client shows a user name and a password', () => {
  const lab = useLab();

  /** A server that lets in user `max` with the password `s3cret #1`, and logs what it was told. */
  async function passwordServer(lines: readonly string[] = []) {
    const log = await lab().file('verified', '');
    const script = await lab().file(
      'verify.sh',
      `#!/bin/sh\nread_all() { cat "$1"; }\nread_all "$1" | tr '\\n' '|' >>${log}\n[ "$(read_all "$1" | tr '\\n' '|')" = 'max|s3cret #1|' ]\n`,
      0o755,
    );
    const server = await lab().server({
      lines: ['script-security 2', `auth-user-pass-verify ${script} via-file`, ...lines],
    });
    return { server, log };
  }

  const credentials = (text = 'max\ns3cret #1\n') => lab().file('credentials', text, 0o600);

  it('from a file', async () => {
    await passwordServer();
    await expectTunnel(lab(), [`auth-user-pass ${await credentials()}`]);
  });

  it('from an inline block', async () => {
    await passwordServer();
    await expectTunnel(lab(), ['<auth-user-pass>', 'max', 's3cret #1', '</auth-user-pass>']);
  });

  it('without a certificate where the server asks for none', async () => {
    await passwordServer(['verify-client-cert none', 'username-as-common-name']);
    await expectTunnel(lab(), [`auth-user-pass ${await credentials()}`], ['cert', 'key']);
  });

  it('again at a renegotiation, with auth-nocache too', async () => {
    const { server, log } = await passwordServer();
    const client = await lab().connect({
      lines: [`auth-user-pass ${await credentials()}`, 'auth-nocache', 'reneg-sec 2 2'],
    });
    await server.line(/TLS: Username\/Password authentication succeeded/);
    const mark = server.mark();
    await server.line(/TLS: Username\/Password authentication succeeded/, { from: mark });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await readFile(log, 'utf8')).toMatch(/^(max\|s3cret #1\|){2,}$/);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  it('and ends with exit code 0 when they are refused', async () => {
    await passwordServer();
    const client = await lab().client({ lines: [`auth-user-pass ${await credentials('max\nwrong\n')}`] });
    expect(await client.exit()).toEqual({ code: 0, signal: null });
    expect(client.text).toMatch(/AUTH: Received control message: AUTH_FAILED/);
    expect(client.text).toMatch(/SIGTERM\[soft,auth-failure\] received, process exiting/);
    expect(client.count(up)).toBe(0);
  });

  it('and tries again and again with auth-retry nointeract', async () => {
    const { server } = await passwordServer();
    const client = await lab().client({
      lines: [`auth-user-pass ${await credentials('max\nwrong\n')}`, 'auth-retry nointeract', 'connect-retry 1 1'],
    });
    await client.line(/SIGUSR1\[soft,auth-failure\] received, process restarting/);
    const mark = server.mark();
    await server.line(/TLS Auth Error: Auth Username\/Password verification failed/, { from: mark });
    expect(client.exited).toBeUndefined();
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  it('then a token of the server in their place', async () => {
    const { server, log } = await passwordServer(['auth-gen-token 3600', 'reneg-sec 4 4', 'hand-window 2']);
    await lab().connect({ lines: [`auth-user-pass ${await credentials()}`, 'auth-nocache', 'reneg-sec 0'] });
    const mark = server.mark();
    await server.line(/TLS: Username\/auth-token authentication succeeded/, { from: mark });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    // The password was shown once; later the token stood in for it.
    expect(await readFile(log, 'utf8')).toBe('max|s3cret #1|');
  });

  it('and the password again when the token has expired', async () => {
    const { log } = await passwordServer(['auth-gen-token 2', 'reneg-sec 4 4', 'hand-window 2']);
    const client = await lab().connect({
      lines: [`auth-user-pass ${await credentials()}`, 'reneg-sec 0', 'connect-retry 1 1'],
    });
    await client.line(/SIGUSR1\[soft,auth-failure \(auth-token\)\] received, process restarting/);
    const mark = client.mark();
    await client.line(up, { from: mark });
    expect(await readFile(log, 'utf8')).toBe('max|s3cret #1|max|s3cret #1|');
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  it('and once more after the time for which a server sends it away', async () => {
    const script = await lab().file(
      'verify.sh',
      `#!/bin/sh\n[ -e ${lab().dir}/away ] && exit 0\ntouch ${lab().dir}/away\nprintf '%s' 'TEMP[backoff 3,advance no,dance]: not now' >"$auth_failed_reason_file"\nexit 1\n`,
      0o755,
    );
    await lab().server({ lines: ['script-security 2', `auth-user-pass-verify ${script} via-file`] });
    const client = await lab().client({ lines: [`auth-user-pass ${await credentials()}`] });
    await client.line(/WARNING: unknown AUTH_FAIL,TEMP flag: dance/);
    await client.line(/SIGUSR1\[soft,auth-temp-failure \(server temporary reject\)\] received, process restarting/);
    await client.line(/Restart pause, 3 second\(s\)/);
    await client.line(up);
  });

  it('and is told at once when there is neither that nor a certificate', async () => {
    const client = await lab().client({ without: ['cert', 'key'] });
    expect(await client.exit()).toEqual({ code: 1, signal: null });
    expect(client.text).toMatch(/Options error: No client-side authentication method is specified/);
  });

  it.each(['1.2', '1.3'])('but no certificate where the server wants one: TLS %s fails', async (tls) => {
    const server = await lab().server({ lines: [`tls-version-min ${tls}`, `tls-version-max ${tls}`] });
    const client = await lab().client({
      without: ['cert', 'key'],
      lines: [`auth-user-pass ${await credentials()}`, 'connect-retry-max 1', 'hand-window 3'],
    });
    await server.line(/peer did not return a certificate/);
    await client.line(/TLS Error: TLS handshake failed|TLS key negotiation failed to occur within/);
    expect(client.count(up)).toBe(0);
  });

  it('and nothing of them reaches the log', async () => {
    await passwordServer();
    const client = await lab().connect({
      lines: [`auth-user-pass ${await credentials()}`, 'verb 5'],
      without: ['verb'],
    });
    expect(client.text).not.toContain('s3cret');
  });
});

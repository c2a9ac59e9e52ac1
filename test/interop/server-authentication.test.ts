// Who may come in: passwords, deferred answers, reasons, logins elsewhere, tokens, and clients without certificates.

import { readFile } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { type ClientOptions, tunnel, up, useLab } from '../lab/lab.ts';
import { eventually, isAlive, run, type WatchedProcess } from '../lab/process.ts';
import { labSuite, peerProgram } from '../lab/requirements.ts';
import { pings, serveTraffic } from '../lab/traffic.ts';

const kinds = ['openvpn', 'openvpn-2.7'] as const;

const login = (name: string, password: string) => ['<auth-user-pass>', name, password, '</auth-user-pass>'];

async function expectRefused(client: WatchedProcess, message: string): Promise<void> {
  await client.line(/AUTH: Received control message: AUTH_FAILED/);
  expect(await client.exit()).toEqual({ code: 0, signal: null });
  expect(client.text).toContain(`AUTH: Received control message: ${message}`);
  expect(client.text).toMatch(/SIGTERM\[soft,auth-failure\] received, process exiting/);
  expect(client.count(up)).toBe(0);
}

labSuite('auth-user-pass-verify', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  /** A server whose script is this shell text. */
  async function serve(script: string, options: { by?: 'via-env' | 'via-file'; lines?: readonly string[] } = {}) {
    const path = await lab().file('verify.sh', `#!/bin/sh\n${script}\n`, 0o755);
    return lab().serve({
      lines: [
        'script-security 3',
        `auth-user-pass-verify ${path} ${options.by ?? 'via-file'}`,
        'keepalive 10 60',
        ...(options.lines ?? []),
      ],
    });
  }

  const connect = (options: ClientOptions = {}) =>
    lab().connect({ kind: 'openvpn', ...options, lines: options.lines ?? login('max', 'p#w "1') });
  const start = (options: ClientOptions = {}) =>
    lab().client({ kind: 'openvpn', ...options, lines: options.lines ?? login('max', 'p#w "1') });

  it.each(kinds)('by file reads name and password as %s sends them', async (kind) => {
    const server = await serve('[ "$(tr "\\n" "|" <"$1")" = \'max|p#w "1|\' ] && [ "$(stat -c %a "$1")" = 600 ]');
    await connect({ kind });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await server.line(/TLS: Username\/Password authentication succeeded for username 'max'/);
  });

  it('by environment has them there, and refuses what the script refuses', async () => {
    const server = await serve('[ "$username" = max ] && [ "$password" = \'p#w "1\' ] && [ "$common_name" = client ]', {
      by: 'via-env',
    });
    for (const kind of kinds) await expectRefused(await start({ kind, lines: login('max', 'wrong') }), 'AUTH_FAILED');
    await server.line(/ (\w+:)?192\.0\.2\.2:\d+ TLS Auth Error: Auth Username\/Password verification failed for peer/);
    await connect();
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('refuses a client that has neither name nor password', async () => {
    const server = await serve('exit 0');
    const client = await start({ lines: ['hand-window 3', 'connect-retry-max 1'] });
    await server.line(/TLS Error: Auth Username\/Password was not provided by peer/);
    expect(client.count(up)).toBe(0);
  });

  it('lets one without come in where auth-user-pass-optional stands', async () => {
    await serve('[ "$(cat "$1" | head -c 1 | wc -c)" -le 1 ]', { lines: ['auth-user-pass-optional'] });
    await connect({ lines: [] });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it.each(kinds)('may answer later: %s waits, and only it', async (kind) => {
    const gate = `${lab().dir}/gate-${kind}`;
    const server = await serve(
      `head -n 1 "$1" | grep -q slow || exit 0\n(while [ ! -e ${gate} ]; do sleep 0.1; done; printf 1 >"$auth_control_file") >/dev/null 2>&1 &\nexit 2`,
    );
    const slow = await start({ kind, lines: [...login('slow', 'x'), 'hand-window 20'] });
    await server.line(/TLS: Username\/Password authentication deferred for username 'slow'/);
    const quick = await lab().connect({
      kind: 'openvpn',
      namespace: lab().net.router,
      certificate: lab().pki.rsa,
      lines: login('quick', 'x'),
    });
    expect(await pings(lab().net.router, tunnel.server4)).toBe(true);
    expect(slow.count(up)).toBe(0);
    await run(['touch', gate]);
    await slow.line(up);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await quick.stop();
  });

  it('may refuse later, and say why', async () => {
    await serve(
      `(sleep 0.5; printf 'Sorry: go away' >"$auth_failed_reason_file"; printf 0 >"$auth_control_file") >/dev/null 2>&1 &\nexit 2`,
    );
    for (const kind of kinds) await expectRefused(await start({ kind }), 'AUTH_FAILED,Sorry: go away');
  });

  it.each([
    ['a reason', 'Sorry: go away'],
    ['a dynamic challenge', 'CRV1:R,E:bWF4:bWF4:What is 2+2?'],
  ])('refuses at once with %s', async (_title, reason) => {
    await serve(`printf '%s' '${reason}' >"$auth_failed_reason_file"\nexit 1`);
    await expectRefused(await start(), `AUTH_FAILED,${reason}`);
  });

  it('sends a client away for a while', async () => {
    await serve(`printf '%s' 'TEMP[backoff 42]: not now' >"$auth_failed_reason_file"\nexit 1`);
    const client = await start();
    await client.line(/SIGUSR1\[soft,auth-temp-failure \(server temporary reject\)\] received, process restarting/);
    await client.line(/Restart pause, 42 second\(s\)/);
  });

  it.each(kinds)('asks %s for a login elsewhere and waits for it', async (kind) => {
    await serve(
      `printf '20\\nwebauth\\nWEB_AUTH::https://example.com/x\\n' >"$auth_pending_file"\n(sleep 1; printf 1 >"$auth_control_file") >/dev/null 2>&1 &\nexit 2`,
      { lines: ['hand-window 30'] },
    );
    const client = await start({
      kind,
      lines: [...login('max', 'x'), 'push-peer-info', 'setenv IV_SSO webauth', 'hand-window 10'],
    });
    await client.line(/AUTH_PENDING received, extending handshake timeout from 10s to 20s/);
    await client.line(/Info command was pushed by server \('WEB_AUTH::https:\/\/example\.com\/x'\)/);
    await client.line(up);
  });

  it.each([
    ['itself', 'echo $$ >"FILE"; exec sleep 77'],
    ['with its child', 'trap "" TERM; sleep 77 & echo $! >"FILE"; wait'],
  ])('that hangs ends with the server, %s', async (_title, script) => {
    const directory = await lab().directory('hanging', 0o777);
    const server = await serve(script.replace('FILE', `${directory}/pid`));
    await start();
    const pid = await eventually(
      'the script runs',
      async () => Number(await readFile(`${directory}/pid`, 'utf8').catch(() => '')) || undefined,
    );
    expect(await isAlive(pid)).toBe(true);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    await eventually('the script is gone', async () => !(await isAlive(pid)), 2000);
  });

  it('that takes longer than the client has is stopped, and the log says so', async () => {
    const server = await serve('sleep 77', { lines: ['hand-window 2'] });
    await start();
    await server.line(
      /WARNING: Failed running command \(--auth-user-pass-verify\): external program did not end within [\d.]+ seconds and was stopped/,
    );
  });

  it.each([
    ['a FIFO', 'rm "$auth_control_file"; mkfifo "$auth_control_file"', 'it is not a regular file'],
    ['too long', 'head -c 70000 /dev/zero >"$auth_control_file"', 'it is longer than 65536 bytes'],
  ])('whose answer is %s refuses the client at once, and the log says why', async (_title, script, reason) => {
    const server = await serve(`${script}; exit 2`);
    await expectRefused(await start(), 'AUTH_FAILED');
    await server.line(new RegExp(`the client is refused, because .*: cannot read \\S+openvpn_acf_\\S+: ${reason}`));
  });

  it('does not ask a client for what it cannot do', async () => {
    await serve(
      `printf '20\\nwebauth\\nWEB_AUTH::https://example.com/x\\n' >"$auth_pending_file"\n(sleep 5; printf 1 >"$auth_control_file") >/dev/null 2>&1 &\nexit 2`,
    );
    await expectRefused(
      await start(),
      "AUTH_FAILED,Authentication failed, required pending auth method 'webauth' not supported",
    );
  });

  it('names a client after its user with username-as-common-name', async () => {
    const server = await serve('exit 0', { lines: ['username-as-common-name'] });
    await connect();
    await server.line(/ max\/\S+ (MULTI_sva|MULTI: Learn|SENT CONTROL \[max\])/);
    await connect({ namespace: lab().net.router, certificate: lab().pki.rsa });
    await server.line(/MULTI: new connection by client 'max' will cause previous active sessions/);
  });

  it.each([
    ['none', null],
    ['optional', null],
    ['optional', 'client'],
  ] as const)('alone decides with verify-client-cert %s: certificate %s', async (mode, certificate) => {
    const server = await serve('grep -q max "$1"', {
      lines: [`verify-client-cert ${mode}`, 'username-as-common-name'],
    });
    await connect({ certificate: certificate === null ? null : lab().pki.client });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await server.line(/ \[max\] Peer Connection Initiated| max\/\S+ SENT CONTROL \[max\]/);
    await expectRefused(
      await start({
        namespace: lab().net.router,
        certificate: certificate === null ? null : lab().pki.client,
        lines: login('eve', 'x'),
      }),
      'AUTH_FAILED',
    );
  });

  it('takes no bad certificate under verify-client-cert optional', async () => {
    const server = await serve('exit 0', { lines: ['verify-client-cert optional'] });
    const client = await start({ certificate: lab().pki.foreign, lines: [...login('max', 'x'), 'hand-window 3'] });
    await server.line(/VERIFY ERROR: depth=0, error=unable to get local issuer certificate: CN=foreign/);
    expect(client.count(up)).toBe(0);
  });
});

labSuite('auth-gen-token', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  async function script() {
    const log = await lab().file('asked', '', 0o666);
    const path = await lab().file(
      'verify.sh',
      `#!/bin/sh\necho "$password|$session_state" >>${log}\ncase $password in right) exit 0;; SESS_ID_AT_*) [ "$session_state" = Authenticated ];; *) exit 1;; esac\n`,
      0o755,
    );
    return { log, lines: ['script-security 3', `auth-user-pass-verify ${path} via-env`] };
  }

  it.each(kinds)('stands in for the password of %s at a renegotiation', async (kind) => {
    const { log, lines } = await script();
    const server = await lab().serve({ lines: [...lines, 'auth-gen-token 3600', 'reneg-sec 4 4', 'hand-window 2'] });
    await lab().connect({ kind, lines: [...login('max', 'right'), 'auth-nocache', 'reneg-sec 0'] });
    const mark = server.mark();
    await server.line(/TLS: Username\/auth-token authentication succeeded for username 'max'/, { from: mark });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await readFile(log, 'utf8')).toBe('right|Initial\n');
  });

  it('is shown to the script with external-auth', async () => {
    const { log, lines } = await script();
    const server = await lab().serve({
      lines: [...lines, 'auth-gen-token 3600 external-auth', 'reneg-sec 4 4', 'hand-window 2'],
    });
    await lab().connect({ kind: 'openvpn', lines: [...login('max', 'right'), 'auth-nocache', 'reneg-sec 0'] });
    const mark = server.mark();
    await server.line(/authentication succeeded for username 'max'/, { from: mark });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await readFile(log, 'utf8')).toMatch(/^right\|Initial\nSESS_ID_AT_[^|]+\|Authenticated\n/);
  });

  it('expires, and the client comes back with its password', async () => {
    const { lines } = await script();
    const server = await lab().serve({ lines: [...lines, 'auth-gen-token 2', 'reneg-sec 4 4', 'hand-window 2'] });
    const client = await lab().connect({
      kind: 'openvpn',
      lines: [...login('max', 'right'), 'reneg-sec 0', 'connect-retry 1'],
    });
    const mark = client.mark();
    await server.line(/--auth-gen-token: auth-token from client expired/);
    await server.line(/TLS: Username\/auth-token authentication failed for username 'max'/);
    await client.line(/SIGUSR1\[soft,auth-failure \(auth-token\)\] received, process restarting/);
    await client.line(up, { from: mark });
  });

  it('is good over a restart of the server that has its secret in a file', async () => {
    const { log, lines } = await script();
    const secret = `${lab().dir}/token-${Math.trunc(performance.now())}.key`;
    await run([peerProgram('2.6'), '--genkey', 'auth-token', secret]);
    const all = [...lines, 'auth-gen-token 3600', `auth-gen-token-secret ${secret}`, 'explicit-exit-notify 1'];
    const server = await lab().serve({ lines: all });
    const client = await lab().connect({
      kind: 'openvpn',
      lines: [...login('max', 'right'), 'auth-nocache', 'connect-retry 1 1'],
    });
    const mark = client.mark();
    await server.stop();
    const again = await lab().serve({ lines: all });
    await client.line(up, { from: mark });
    await again.line(/TLS: Username\/auth-token authentication succeeded for username 'max'/);
    expect(await readFile(log, 'utf8')).toBe('right|Initial\n');
  });
});

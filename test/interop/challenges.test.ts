// What a login may take beside name and password: a code asked before, after a refusal, or while the server waits, and a
// login in a browser. A program behind the server's management socket decides.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { type ClientOptions, tunnel, up, useLab } from '../lab/lab.ts';
import { type ClientEvent, Management } from '../lab/management.ts';
import { eventually, type WatchedProcess } from '../lab/process.ts';
import { clientUnderTest, isOurs, itOurs, labSuite, type PeerVersion } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

labSuite('a login on a terminal', () => {
  const lab = useLab();
  const open: Management[] = [];
  afterEach(() => {
    for (const management of open.splice(0)) management.close();
  });

  /** A server whose logins this test decides, and a client on a terminal with max's password in a file. */
  async function start(options: { version?: PeerVersion; lines?: readonly string[]; terminal?: boolean } = {}) {
    const path = join(lab().dir, `management-${open.length}-${process.hrtime.bigint()}.sock`);
    const server = await lab().server({
      version: options.version ?? '2.6',
      lines: [`management ${path} unix`, 'management-client-auth', 'disable-dco'],
    });
    const management = await Management.open(path);
    open.push(management);
    const credentials = await lab().file('credentials', 'max\ns3cret\n', 0o600);
    const client = await lab().client({
      terminal: options.terminal ?? true,
      lines: [`auth-user-pass ${credentials}`, 'connect-retry 1 1', ...(options.lines ?? [])],
    } satisfies ClientOptions);
    return { server, management, client };
  }

  const admit = async (management: Management, { cid, kid }: ClientEvent): Promise<void> => {
    expect(await management.command(`client-auth-nt ${cid} ${kid}`)).toMatch(/^SUCCESS/);
  };
  const ask = (management: Management, { cid, kid }: ClientEvent, extra: string, seconds: number) =>
    management.command(`client-pending-auth ${cid} ${kid} ${extra} ${seconds}`);

  async function expectTunnel(client: WatchedProcess): Promise<void> {
    await client.line(up);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  }

  it.each([
    ['2.6', '1', 'SCRV1:czNjcmV0:MTIzNDU2'],
    ['2.7', '0', 'SCRV1:czNjcmV0:MTIzNDU2'],
    ['2.7', '0 concat', 's3cret123456'],
  ] as const)('%s: static-challenge %s sends the code along', async (version, words, password) => {
    if (clientUnderTest === 'openvpn' && words.endsWith('concat')) return;
    const { management, client } = await start({ version, lines: [`static-challenge "Your code" ${words}`] });
    await client.prompt(/CHALLENGE: Your code/);
    client.write('123456\r');
    const login = await management.event('CONNECT');
    expect(login.env).toMatchObject({ username: 'max', password });
    await admit(management, login);
    await expectTunnel(client);
    expect(client.text.includes('123456')).toBe(words === '1');
  });

  it('static-challenge is asked before the program goes to the background', async () => {
    const log = await lab().file('daemon.log', '');
    const { management, client } = await start({ lines: [`log ${log}`, 'daemon', 'static-challenge Code? 0'] });
    await client.prompt(/CHALLENGE: Code\?/);
    client.write('123456\r');
    const login = await management.event('CONNECT');
    expect(login.env.password).toBe('SCRV1:czNjcmV0:MTIzNDU2');
    if (isOurs) expect(login.env).not.toHaveProperty('IV_SSO');
    await admit(management, login);
    await eventually('the tunnel is up', async () => up.test(await readFile(log, 'utf8')));
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await client.exit()).toEqual({ code: 0, signal: null });
  });

  it.each(['2.6', '2.7'] as const)('%s: a dynamic challenge is answered by the next login', async (version) => {
    const { management, client } = await start({ version, lines: ['auth-retry interact'] });
    const first = await management.event('CONNECT');
    await management.command(`client-deny ${first.cid} ${first.kid} "asks" "CRV1:R,E:st4te:Ym9i:Which PIN?"`);
    await client.prompt(/CHALLENGE: Which PIN\?/);
    client.write('8675\r');
    const second = await management.event('CONNECT');
    expect(second.env).toMatchObject({ username: 'bob', password: 'CRV1::st4te::8675' });
    await admit(management, second);
    await expectTunnel(client);
  });

  it('a dynamic challenge without auth-retry interact ends with exit code 0', async () => {
    const { management, client } = await start();
    const first = await management.event('CONNECT');
    await management.command(`client-deny ${first.cid} ${first.kid} "asks" "CRV1:R,E:st4te:Ym9i:Which PIN?"`);
    expect(await client.exit()).toEqual({ code: 0, signal: null });
    expect(client.text).toMatch(/SIGTERM\[soft,auth-failure\] received, process exiting/);
    if (isOurs) expect(client.text).toMatch(/The server asks a question \(Which PIN\?\).*auth-retry interact/);
  });

  it.each(['2.6', '2.7'] as const)('%s: a login in a browser is waited for', async (version) => {
    const { management, client } = await start({ version, lines: ['setenv IV_SSO webauth'] });
    const login = await management.event('CONNECT');
    expect(login.env.IV_SSO).toBe('webauth');
    expect(await ask(management, login, 'WEB_AUTH:external:https://id.example/login?x=1', 120)).toMatch(/^SUCCESS/);
    await client.line(/AUTH_PENDING received, extending handshake timeout from 60s to 120s/);
    await client.line(/Info command was pushed by server \('WEB_AUTH:external:https:\/\/id\.example\/login\?x=1'\)/);
    if (isOurs) {
      await client.line(/^Log in at this address to go on: https:\/\/id\.example\/login\?x=1\r?$/);
      await client.line(/^The server waits for it until \d\d:\d\d:\d\d \(1(20|19) s from now\)\.\r?$/);
    }
    await admit(management, login);
    await expectTunnel(client);
  });

  it('is refused by the server when its time is over, which the client waits to hear', async () => {
    const { management, client } = await start({ lines: ['hand-window 6', 'setenv IV_SSO webauth'] });
    const login = await management.event('CONNECT');
    await ask(management, login, 'WEB_AUTH::https://id.example/', 8);
    // The C program gives up a moment before or after the server says so.
    await client.line(
      isOurs
        ? /AUTH: Received control message: AUTH_FAILED/
        : /AUTH: Received control message: AUTH_FAILED|No reply from server/,
    );
    if (isOurs) expect(await client.exit()).toEqual({ code: 0, signal: null });
  });

  for (const version of ['2.6', '2.7'] as const) {
    itOurs(`${version}: a code is asked for while the login is pending`, async () => {
      const { management, client } = await start({ version });
      const login = await management.event('CONNECT');
      expect(login.env.IV_SSO).toBe('openurl,webauth,crtext');
      await ask(management, login, 'CR_TEXT:R:Code_of_the_day?', 120);
      await client.line(/^The server waits for an answer until/);
      await client.prompt(/CHALLENGE: Code_of_the_day\? /);
      client.write('zoë\r');
      const answer = await management.event('CR_RESPONSE');
      expect(answer).toMatchObject({ cid: login.cid, rest: 'em/Dqw==' });
      await admit(management, login);
      await expectTunnel(client);
      expect(client.text).not.toContain('zoë');
    });
  }

  itOurs('without a terminal no way to log in is announced, and a needed answer ends the program', async () => {
    const { management, client } = await start({ terminal: false });
    const login = await management.event('CONNECT');
    expect(login.env).not.toHaveProperty('IV_SSO');
    await ask(management, login, 'CR_TEXT:R:Code?', 60);
    expect(await client.exit()).toEqual({ code: 1, signal: null });
    expect(client.text).toMatch(/The server asks "Code\?", and there is nobody to answer/);
  });
});

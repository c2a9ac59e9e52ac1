// Logging in on a desktop: nmcli asks, the plugin carries the secrets over the management interface of the program under test.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type ClientOptions, tunnel, up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { desktopSuite, desktopUnderTest, type NetworkManagerHost, useDesktop } from '../lab/network-manager.ts';
import { eventually, type WatchedProcess } from '../lab/process.ts';
import { httpProxy } from '../lab/proxies.ts';
import { pings } from '../lab/traffic.ts';

// Everything that has to be escaped in a management command, and words.
const PASSWORD = 'se cret"\\1';

desktopSuite('NetworkManager logs in', () => {
  const lab = useLab();
  const desktop = useDesktop(lab);

  /** A server that knows one user. */
  const server = async (transport: 'udp4' | 'tcp4' = 'udp4'): Promise<WatchedProcess> => {
    const password = await lab().file('password', PASSWORD);
    const verify = await lab().file(
      'verify',
      `#!/bin/sh\n[ "$username" = alice ] && [ "$password" = "$(cat ${password})" ]\n`,
      0o755,
    );
    const lines = [`auth-user-pass-verify ${verify} via-env`, 'script-security 3'];
    return lab().server({ transport, lines });
  };

  /** A host with a connection `office` that alice logs in to; further words of its `vpn.data`. */
  const withOffice = async (client: ClientOptions = {}, ...data: readonly string[]): Promise<NetworkManagerHost> => {
    const host = await desktop(await desktopUnderTest(lab()));
    await host.import('office', [...lab().clientLines(client), 'auth-user-pass']);
    await host.nmcli('connection', 'modify', 'office', 'vpn.timeout', '20');
    for (const word of ['username=alice', ...data]) {
      await host.nmcli('connection', 'modify', 'office', '+vpn.data', word);
    }
    return host;
  };

  /** A file for nmcli, which takes a backslash in it as the start of an escape. */
  const secrets = async (host: NetworkManagerHost, values: Readonly<Record<string, string>>): Promise<string> => {
    const file = join(host.folder, 'secrets');
    const lines = Object.entries(values).map(
      ([name, value]) => `vpn.secrets.${name}:${value.replaceAll('\\', '\\\\')}\n`,
    );
    await writeFile(file, lines.join(''), { mode: 0o600 });
    return file;
  };

  const expectTunnel = async (host: NetworkManagerHost) => {
    await eventually('the tunnel', () => host.messages().some((line) => up.test(line)));
    expect(await host.active()).toContain('office:activated');
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect([...host.messages(), ...host.log.lines].join('\n')).not.toContain('cret"');
    for (const pid of await host.clients())
      expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toContain('cret');
    await host.nmcli('connection', 'down', 'office');
    await eventually('the client has ended', async () => (await host.clients()).length === 0);
  };

  it('with a password from a file', async () => {
    await server();
    const host = await withOffice();
    await host.nmcli('connection', 'up', 'office', 'passwd-file', await secrets(host, { password: PASSWORD }));
    await expectTunnel(host);
  });

  it('with a password typed on a terminal, and again after a wrong one, in the same process', async () => {
    await server();
    const host = await withOffice();
    const nmcli = host.nmcliOnTerminal('--ask', 'connection', 'up', 'office');
    await nmcli.prompt(/password.*: $/i);
    nmcli.write('wrong\n');
    await nmcli.line(/^.*A password is required\.$/m);
    const [first] = await host.clients();
    await nmcli.prompt(/password.*: $/i);
    nmcli.write(`${PASSWORD}\n`);
    expect(await nmcli.exit()).toEqual({ code: 0, signal: null });
    expect(nmcli.text).toContain('successfully activated');
    expect(await host.clients()).toEqual([first]);
    await expectTunnel(host);
  });

  it('with an answer to a question of the server', async () => {
    const question = 'CRV1:R,E:c3RhdGU=:YWxpY2U=:Which number is on your token?';
    const verify = await lab().file(
      'verify',
      `#!/bin/sh
[ "$password" = 'CRV1::c3RhdGU=::4711' ] && exit 0
[ "$password" = first ] && echo '${question}' >"$auth_failed_reason_file"
exit 1
`,
      0o755,
    );
    await lab().server({ lines: [`auth-user-pass-verify ${verify} via-env`, 'script-security 3'] });
    const host = await withOffice();
    const nmcli = host.nmcliOnTerminal('--ask', 'connection', 'up', 'office');
    await nmcli.prompt(/password.*: $/i);
    nmcli.write('first\n');
    await nmcli.line(/Which number is on your token\?/);
    await nmcli.prompt(/password.*: $/i);
    nmcli.write('4711\n');
    expect(await nmcli.exit()).toEqual({ code: 0, signal: null });
    await expectTunnel(host);
  });

  it('and shows a wrong stored password as a failed login', async () => {
    const far = await server();
    const host = await withOffice({}, 'password-flags=0');
    await host.nmcli('connection', 'modify', 'office', 'vpn.secrets', 'password=wrong');
    const before = await host.state();
    const { code, stderr } = await host.try('connection', 'up', 'office');
    expect(code).toBe(4);
    expect(stderr).toContain('No valid secrets');
    await far.line(/AUTH_FAILED/);
    expect(host.messages().some((line) => line.includes('AUTH: Received control message: AUTH_FAILED'))).toBe(true);
    await eventually('the client has ended', async () => (await host.clients()).length === 0);
    await host.comesBackTo(before);
  });

  it('and gives up a server that does not answer when NetworkManager does', async () => {
    const host = await withOffice({}, 'password-flags=0');
    await host.nmcli('connection', 'modify', 'office', 'vpn.secrets', 'password=wrong', 'vpn.timeout', '3');
    const before = await host.state();
    const { code, stderr } = await host.try('connection', 'up', 'office');
    expect(code).toBe(4);
    expect(stderr).toContain('timed out');
    await eventually('the client has ended', async () => (await host.clients()).length === 0);
    await host.comesBackTo(before);
  });

  it('with the passphrase of a key', async () => {
    await lab().server();
    const { client, encryptedKey, password } = lab().pki;
    const host = await desktop(await desktopUnderTest(lab()));
    await host.import('office', lab().clientLines({ certificate: { ...client, key: encryptedKey } }));
    await host.nmcli('connection', 'up', 'office', 'passwd-file', await secrets(host, { 'cert-pass': password }));
    await expectTunnel(host);
  });

  it('at an HTTP proxy, too', async () => {
    await server('tcp4');
    await using proxy = await stoppable(httpProxy(lab(), { offers: ['Basic realm="p"'] }));
    const host = await withOffice(
      { transport: 'tcp4' },
      'proxy-type=http',
      `proxy-server=${address.gateway4}`,
      'proxy-port=3128',
      'http-proxy-username=paul',
      'http-proxy-password-flags=0',
    );
    await host.nmcli('connection', 'modify', 'office', '+vpn.secrets', 'http-proxy-password=fish cake');
    await host.nmcli('connection', 'up', 'office', 'passwd-file', await secrets(host, { password: PASSWORD }));
    await proxy.process.line(/CONNECT/);
    await expectTunnel(host);
  });
});

async function stoppable(starting: Promise<WatchedProcess>) {
  const process = await starting;
  return { process, [Symbol.asyncDispose]: () => process.kill() };
}

// The two plug-ins that are built in, against the real ones: with SALLYPORT_SERVER=openvpn the C program loads its own.

import { readdirSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { eventually } from '../lab/process.ts';
import { clientUnderTest, labSuite, serverUnderTest } from '../lab/requirements.ts';
import { pings, serveTraffic } from '../lab/traffic.ts';

const login = (name: string, password: string) => ['<auth-user-pass>', name, password, '</auth-user-pass>'];

/** Where Debian has the C program's plug-ins; for ours the name of the file is enough. */
const folder = readdirSync('/usr/lib')
  .map((name) => `/usr/lib/${name}/openvpn/plugins`)
  .find((path) => {
    try {
      return readdirSync(path).includes('openvpn-plugin-auth-pam.so');
    } catch {
      return false;
    }
  });
const pluginOf = (program: string, name: string): string =>
  program === 'sallyport' ? `openvpn-plugin-${name}.so` : `${folder}/openvpn-plugin-${name}.so`;

labSuite('plugin auth-pam', () => {
  const lab = useLab();
  const services: string[] = [];
  beforeAll(() => serveTraffic(lab()));
  afterAll(async () => {
    for (const path of services) await rm(path, { force: true });
  });

  /** A PAM service whose only module is a shell script: it has the password on its standard input. */
  async function service(script: string): Promise<string> {
    const path = await lab().file('check.sh', `#!/bin/sh\n${script}\n`, 0o755);
    const name = `sallyport-lab-${process.pid}-${services.length}`;
    services.push(`/etc/pam.d/${name}`);
    await writeFile(
      `/etc/pam.d/${name}`,
      `auth required pam_exec.so expose_authtok ${path}\naccount required pam_permit.so\n`,
    );
    return name;
  }

  const serve = (args: string, lines: readonly string[] = []) =>
    lab().serve({ lines: [`plugin ${pluginOf(serverUnderTest, 'auth-pam')} ${args}`, 'keepalive 10 60', ...lines] });
  const connect = (kind: 'openvpn' | 'openvpn-2.7', lines: readonly string[]) => lab().connect({ kind, lines });

  it.each(['openvpn', 'openvpn-2.7'] as const)('lets %s in with the right password, and no other', async (kind) => {
    const seen = `${lab().dir}/seen-${kind}`;
    const name = await service(
      `word=$(tr -d '\\0')\necho "$PAM_USER $PAM_RHOST $(id -u)" >>${seen}\n[ "$word" = right ]`,
    );
    const server = await serve(`"${name}"`);
    const refused = await lab().client({ kind, lines: login('max', 'wrong') });
    await refused.line(/AUTH: Received control message: AUTH_FAILED/);
    await server.line(
      /PLUGIN_CALL: plugin function PLUGIN_AUTH_USER_PASS_VERIFY failed with status 1: .*auth-pam\.so$/,
    );
    await server.line(
      /PLUGIN AUTH-PAM: BACKGROUND: user 'max' failed to authenticate: (System error|Authentication failure)/,
    );
    await server.line(/TLS Auth Error: Auth Username\/Password verification failed for peer/);
    expect(await refused.exit()).toEqual({ code: 0, signal: null });
    await connect(kind, login('max', 'right'));
    await server.line(/TLS: Username\/Password authentication succeeded for username 'max'/);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await readFile(seen, 'utf8')).toBe('max 192.0.2.2 0\nmax 192.0.2.2 0\n');
  });

  it('asks as root when the server has given that up', async () => {
    const seen = `${lab().dir}/seen-nobody`;
    const name = await service(`id -u >${seen}`);
    await serve(`"${name}"`, ['user nobody', 'group nogroup']);
    await connect('openvpn', login('max', 'any'));
    expect(await readFile(seen, 'utf8')).toBe('0\n');
  });

  it('answers questions by the pairs, with the answer of a static challenge', async () => {
    const name = await service(`[ "$(tr -d '\\0')" = 123456 ]`);
    await serve(`${name} login USERNAME password OTP`);
    const scrv1 = `SCRV1:${btoa('secret')}:${btoa('123456')}`;
    await connect('openvpn', login('max', scrv1));
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('refuses where a question has no answer', async () => {
    const name = await service('exit 0');
    const server = await serve(`${name} frobnicate USERNAME`);
    const client = await lab().client({ kind: 'openvpn', lines: login('max', 'right') });
    await client.line(/AUTH: Received control message: AUTH_FAILED/);
    await server.line(/AUTH-PAM: BACKGROUND: user 'max' failed to authenticate: /);
  });

  it('and auth-user-pass-verify must both agree', async () => {
    const name = await service('exit 0');
    const script = await lab().file('verify.sh', '#!/bin/sh\n[ "$username" = max ]\n', 0o755);
    await serve(`"${name}"`, ['script-security 3', `auth-user-pass-verify ${script} via-env`]);
    const refused = await lab().client({ kind: 'openvpn', lines: login('moritz', 'right') });
    await refused.line(/AUTH: Received control message: AUTH_FAILED/);
    await connect('openvpn', login('max', 'right'));
  });
});

labSuite('plugin down-root', () => {
  const lab = useLab();

  const command = async (): Promise<{ path: string; seen: string }> => {
    const seen = `${lab().dir}/down-${Math.random().toString(36).slice(2)}`;
    return {
      seen,
      path: await lab().file('down.sh', `#!/bin/sh\necho "$(id -u) $1 $dev $script_context" >>${seen}\n`, 0o755),
    };
  };
  const dropped = ['user nobody', 'group nogroup', 'persist-tun', 'persist-key'];
  const soon = (path: string) =>
    eventually('the command ran', () => readFile(path, 'utf8').catch(() => undefined), 5000);

  it('runs its command as root when a server ends', async () => {
    const { path, seen } = await command();
    const plugin = pluginOf(serverUnderTest, 'down-root');
    const server = await lab().serve({ lines: [...dropped, `plugin ${plugin} "${path} word"`] });
    await server.stop();
    expect(await soon(seen)).toBe('0 word tun0 init\n');
  });

  it('runs its command as root when a client ends', async () => {
    await lab().server();
    const { path, seen } = await command();
    const plugin = pluginOf(clientUnderTest, 'down-root');
    const client = await lab().client({ lines: [...dropped, `plugin ${plugin} ${path} word`] });
    await client.line(up);
    await client.stop();
    expect(await soon(seen)).toBe('0 word tun0 init\n');
  });
});

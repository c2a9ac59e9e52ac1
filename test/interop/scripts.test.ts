// Scripts see what OpenVPN's see: the same calls, arguments and environment, held against the C program's own.

import { expect, it } from 'vitest';
import { type Lab, up, useLab } from '../lab/lab.ts';
import { device, hostState } from '../lab/net.ts';
import { eventually } from '../lab/process.ts';
import { type ClientKind, isOurs, labSuite, peerVersions } from '../lab/requirements.ts';
import { type ScriptCall, scriptDump } from '../lab/script-dump.ts';

const hooks = ['up', 'down', 'route-up', 'route-pre-down', 'ipchange', 'tls-verify'] as const;

/** Values that differ from run to run; that they are there, and numbers or dates, is still compared. */
const unstable: Readonly<Record<string, RegExp>> = {
  daemon_pid: /^\d+$/,
  daemon_start_time: /^\d+$/,
  time_ascii: /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/,
  time_unix: /^\d+$/,
  time_duration: /^\d+$/,
  bytes_received: /^\d+$/,
  bytes_sent: /^\d+$/,
};

/** Set by the shell that runs the script, not by its caller. */
const ofTheShell = ['_', 'SHLVL', 'OLDPWD'];

function stable(calls: Readonly<Record<string, ScriptCall>>): Record<string, ScriptCall> {
  return Object.fromEntries(
    Object.entries(calls).map(([name, { args, env }]) => [
      name,
      {
        args,
        env: Object.fromEntries(
          Object.entries(env)
            .filter(([key]) => !ofTheShell.includes(key))
            .map(([key, value]) => [key, unstable[key]?.test(value) ? String(unstable[key]) : value]),
        ),
      },
    ]),
  );
}

async function callsOf(lab: Lab, kind: ClientKind | undefined, lines: readonly string[]) {
  const dump = await scriptDump(lab);
  // Both runs name the same configuration file, so that it stands alike in the environment.
  const client = await lab.connect({
    ...(kind ? { kind } : {}),
    argv: ['--config', await configOnce(lab, lines), ...hooks.flatMap((hook) => [`--${hook}`, dump.script])],
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C' },
  });
  await client.stop();
  const calls = await dump.calls();
  return JSON.parse(JSON.stringify(stable(calls)).replaceAll(dump.script, 'SCRIPT')) as Record<string, ScriptCall>;
}

const configs = new Map<string, Promise<string>>();

function configOnce(lab: Lab, lines: readonly string[]): Promise<string> {
  const key = lab.dir + lines.join('\n');
  const config = configs.get(key) ?? lab.clientConfig({ lines });
  configs.set(key, config);
  return config;
}

const pushed = [
  'push "route 10.77.0.0 255.255.255.0"',
  'push "route 10.66.0.0 255.255.0.0 vpn_gateway 20"',
  'push "route-ipv6 fd00:77::/64"',
  'push "dhcp-option DNS 10.77.0.53"',
  'push "dhcp-option DOMAIN office.example"',
  'push "redirect-gateway def1"',
  'keepalive 10 60',
];

const environments: readonly (readonly [string, { server?: string[]; without?: string[]; client?: string[] }])[] = [
  ['routes, DNS and a full tunnel', { server: pushed }],
  ['topology net30', { without: ['topology'], server: ['topology net30', ...pushed] }],
  ['topology p2p', { without: ['topology'], server: ['topology p2p'] }],
  ['no IPv6', { without: ['server-ipv6'] }],
  ['route-noexec and ifconfig-noexec', { server: pushed, client: ['route-noexec', 'ifconfig-noexec'] }],
  ['setenv, setenv-safe and up-restart', { client: ['setenv FOO bar', 'setenv-safe bar baz', 'up-restart'] }],
  [
    'several remotes',
    { client: ['remote 198.51.100.1 1195 udp', '<connection>', 'remote 198.51.100.1 1194 udp4', '</connection>'] },
  ],
  [
    'a user name',
    {
      server: ['script-security 2', 'auth-user-pass-verify /bin/true via-file'],
      client: ['<auth-user-pass>', 'max', 'pw', '</auth-user-pass>'],
    },
  ],
];

labSuite('scripts', () => {
  const lab = useLab();

  it.each(environments)('get the arguments and the environment of the C program: %s', async (_title, each) => {
    await lab().server({
      lines: each.server ?? [],
      ...(each.without ? { without: each.without } : {}),
    });
    const lines = ['script-security 2', ...(each.client ?? [])];
    const references = [await callsOf(lab(), 'openvpn', lines), await callsOf(lab(), 'openvpn-2.7', lines)];
    const actual = await callsOf(lab(), undefined, lines);
    const names = [...hooks.filter((hook) => hook !== 'tls-verify'), 'tls-verify-0', 'tls-verify-1'].sort();
    for (const calls of [...references, actual]) expect(Object.keys(calls)).toEqual(names);
    for (const name of names) {
      const [older, newer] = references.map((calls) => calls[name]);
      const mine = actual[name];
      if (!older || !newer || !mine) continue;
      expect([older.args, newer.args], `arguments of ${name}`).toContainEqual(mine.args);
      // 2.6 and 2.7 differ in a few names: what both set must be set, and nothing that neither sets.
      for (const variable of new Set([older, newer, mine].flatMap(({ env }) => Object.keys(env)))) {
        const allowed = [older.env[variable], newer.env[variable]];
        expect(allowed, `${variable} of ${name}`).toContain(mine.env[variable]);
      }
    }
  });

  it.each(peerVersions)('get the values that a %s server pushed', async (version) => {
    await lab().server({ version, lines: pushed });
    const dump = await scriptDump(lab());
    const client = await lab().connect({ lines: ['script-security 2', `route-up ${dump.script}`] });
    const env = await eventually('route-up', async () => (await dump.calls())['route-up']?.env);
    expect(env).toMatchObject({
      script_type: 'route-up',
      dev: 'tun0',
      ifconfig_local: '10.8.0.2',
      ifconfig_netmask: '255.255.255.0',
      route_vpn_gateway: '10.8.0.1',
      route_net_gateway: '192.0.2.1',
      route_network_1: '10.77.0.0',
      route_netmask_1: '255.255.255.0',
      route_gateway_1: '10.8.0.1',
      route_metric_2: '20',
      route_ipv6_network_1: 'fd00:77::/64',
      foreign_option_1: 'dhcp-option DNS 10.77.0.53',
      foreign_option_2: 'dhcp-option DOMAIN office.example',
      redirect_gateway: '1',
      trusted_ip: '198.51.100.1',
      trusted_port: '1194',
    });
    await client.stop();
  });

  it('are not run without script-security 2, and the connection does not come up', async () => {
    await lab().server();
    const dump = await scriptDump(lab());
    const before = await hostState(lab().net.client);
    const client = await lab().client({ lines: [`up ${dump.script}`] });
    expect(await client.exit()).toEqual({ code: 1, signal: null });
    expect(client.text).toMatch(
      /WARNING: External program may not be called unless '--script-security 2' or higher is enabled/,
    );
    expect(await dump.calls()).toEqual({});
    expect(await hostState(lab().net.client)).toEqual(before);
  });

  it('that are not there are an error of the configuration', async () => {
    const client = await lab().client({ lines: ['script-security 2', 'up /nowhere/up.sh'] });
    expect(await client.exit()).toEqual({ code: 1, signal: null });
    expect(client.text).toMatch(/up script fails with '\/nowhere\/up\.sh': No such file or directory/);
    expect(client.text).toMatch(/Options error: Please correct (this error|these errors)/);
  });

  it('that fail at up end the client with exit code 1, the host as before', async () => {
    await lab().server();
    const dump = await scriptDump(lab(), 3);
    const before = await hostState(lab().net.client);
    const client = await lab().client({ lines: ['script-security 2', `up ${dump.script}`] });
    expect(await client.exit()).toEqual({ code: 1, signal: null });
    expect(client.text).toMatch(
      /WARNING: Failed running command \(--up\/--down\): external program exited with error status: 3/,
    );
    expect(Object.keys(await dump.calls())).toEqual(['up']);
    expect(await hostState(lab().net.client)).toEqual(before);
  });

  it('that refuse a certificate in tls-verify end the handshake', async () => {
    await lab().server();
    const dump = await scriptDump(lab(), 1);
    const client = await lab().client({
      lines: ['script-security 2', `tls-verify ${dump.script}`, 'connect-retry-max 1'],
    });
    await client.line(/VERIFY SCRIPT ERROR: depth=1/);
    await client.line(/TLS Error: TLS handshake failed/);
    expect(client.count(up)).toBe(0);
  });

  it('get passwords in the environment only with script-security 3', async () => {
    await lab().server({ lines: ['script-security 2', 'auth-user-pass-verify /bin/true via-file'] });
    const dump = await scriptDump(lab());
    const client = await lab().connect({
      lines: ['script-security 2', `up ${dump.script}`, '<auth-user-pass>', 'max', 'pw-of-max', '</auth-user-pass>'],
    });
    expect(JSON.stringify(await dump.calls())).not.toContain('pw-of-max');
    await client.stop();
  });

  it('run again after SIGUSR1 with up-restart, and up and down say why', async () => {
    await lab().server();
    const dump = await scriptDump(lab());
    const client = await lab().connect({
      lines: [
        'script-security 2',
        `up ${dump.script}`,
        `down ${dump.script}`,
        'persist-tun',
        'up-restart',
        'connect-retry 1',
      ],
    });
    const mark = client.mark();
    client.signal('SIGUSR1');
    await client.line(up, { from: mark });
    const calls = await dump.calls();
    expect(calls.up?.env.script_context).toBe('restart');
    expect(calls.down?.env).toMatchObject({ script_context: 'restart', signal: 'sigusr1' });
    await client.stop();
    expect((await dump.calls()).down?.env).toMatchObject({ script_context: 'init', signal: 'sigterm' });
  });

  it('of down run before the device closes with down-pre, after it without', async () => {
    await lab().server();
    for (const order of ['down-pre', '']) {
      const seen = await lab().file('seen', '', 0o666);
      const script = await lab().file('down.sh', `#!/bin/sh\nip link show dev tun0 >${seen} 2>&1\n`, 0o755);
      const client = await lab().connect({
        lines: ['script-security 2', `down ${script}`, ...(order === '' ? [] : [order])],
      });
      await client.stop();
      const { stdout } = await lab().net.client.run(['cat', seen]);
      expect(stdout.includes('state'), order).toBe(order === 'down-pre');
      expect(await device(lab().net.client, 'tun0')).toBeUndefined();
    }
  });

  it('get no control characters from a server', async () => {
    await lab().server({ lines: ['push "setenv-safe word a;$(id)`b`"'] });
    const dump = await scriptDump(lab());
    const client = await lab().connect({ lines: ['script-security 2', `up ${dump.script}`] });
    const env: Readonly<Record<string, string>> = (await dump.calls()).up?.env ?? {};
    // Shell words reach the script as data, as the C program passes them; nothing is run.
    expect(env.OPENVPN_word).toBe('a;$(id)`b`');
    for (const [name, value] of Object.entries(env)) {
      expect(`${name}=${value}`, name).not.toMatch(isOurs ? /[\x00-\x1f\x7f]/ : /[\x00-\x08]/);
    }
    await client.stop();
  });
});

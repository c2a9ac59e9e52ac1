// Scripts of a server: when each is run, with which arguments and environment, compared with the C program's calls one by
// one; and what their answers do.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { type ClientOptions, type Lab, tunnel, up, useLab } from '../lab/lab.ts';
import { device } from '../lab/net.ts';
import { eventually, run, type WatchedProcess } from '../lab/process.ts';
import { pushedOptions } from '../lab/push-reply.ts';
import { itOurServer, labSuite, type Program, serverUnderTest } from '../lab/requirements.ts';
import { type LoggedCall, type ScriptLog, scriptLog } from '../lab/script-dump.ts';
import { pings, serveTraffic } from '../lab/traffic.ts';

const login = (name: string, password: string) => ['<auth-user-pass>', name, password, '</auth-user-pass>'];

/** Values that differ between two runs: that they are there is compared, and their form. */
function normalise(key: string, value: string): string {
  switch (key) {
    case 'daemon_pid':
    case 'daemon_start_time':
    case 'time_unix':
    case 'time_duration':
    case 'bytes_received':
    case 'bytes_sent':
    case 'trusted_port':
    case 'untrusted_port':
      return value.replace(/^\d+$/, 'N');
    case 'time_ascii':
      return value.replace(/\d/g, 'N');
    case 'session_id':
      return value.replace(/^[\w+/=]{16}$/, 'ID');
    case 'config':
      return value.replace(/\d+-server/, 'N-server');
    case 'proto_1':
      return value.replace(/^(udp|tcp)4/, '$1');
    default:
      return value
        .replace(/openvpn_(\w+?)_+[0-9a-f]{20,32}\.tmp/, 'openvpn_$1_HEX.tmp')
        .replace(/SESS_ID_AT_[\w+/=]+/, 'TOKEN');
  }
}

function comparable(call: LoggedCall): unknown {
  const env = Object.entries(call.env)
    // The shell's own.
    .filter(([key]) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(key))
    .map(([key, value]) => [key, normalise(key, value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    type: call.type,
    args: call.args.map((arg) => normalise('', arg)),
    files: call.files,
    env: Object.fromEntries(env),
  };
}

/** The calls without those that tell that addresses are gone, whose moment and order are left to the program; and those. */
function divide(calls: readonly LoggedCall[]): { calls: readonly unknown[]; deleted: readonly unknown[] } {
  const isDelete = (call: LoggedCall) => call.type === 'learn-address' && call.args[0] === 'delete';
  return {
    calls: calls.filter((call) => !isDelete(call)).map(comparable),
    deleted: calls
      .filter(isDelete)
      .map(comparable)
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  };
}

const hooks = ({ script }: ScriptLog, names: readonly string[]) => [
  'script-security 3',
  ...names.map((name) => `${name} ${script}`),
];

const most = ['client-connect', 'client-disconnect', 'learn-address', 'tls-verify', 'up', 'down', 'route-up'];

labSuite('scripts of a server are called as the C program calls them', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  /** Runs a scenario with the C program and with the server under test and compares every call. */
  async function compare(play: (program: Program, log: ScriptLog) => Promise<WatchedProcess>, body?: string) {
    const record = async (program: Program) => {
      const log = await scriptLog(lab(), body);
      const server = await play(program, log);
      expect(await server.stop()).toEqual({ code: 0, signal: null });
      return divide(await log.calls());
    };
    const theirs = await record('openvpn');
    const ours = await record(serverUnderTest);
    expect(ours.calls.map((call) => (call as LoggedCall).type)).toEqual(
      theirs.calls.map((call) => (call as LoggedCall).type),
    );
    for (const [index, call] of theirs.calls.entries()) {
      expect(ours.calls[index], `call ${index}: ${(call as LoggedCall).type}`).toEqual(call);
    }
    expect(ours.deleted).toEqual(theirs.deleted);
    return theirs.calls as readonly LoggedCall[];
  }

  it('over UDP, with everything that a client can be asked', async () => {
    const ccd = await lab().directory('ccd');
    await writeFile(join(ccd, 'client'), 'iroute 192.168.44.0 255.255.255.0\niroute-ipv6 fd00:44::/64\n');
    const calls = await compare(async (program, log) => {
      const server = await lab().serve({
        program,
        lines: [
          ...hooks(log, [...most, 'tls-crypt-v2-verify']),
          `auth-user-pass-verify ${log.script} via-env`,
          `tls-crypt-v2 ${lab().keys.v2Server}`,
          `client-config-dir ${ccd}`,
          'route 192.168.44.0 255.255.255.0',
          'setenv FOO bar',
          'auth-gen-token 3600',
          'keepalive 10 60',
        ],
      });
      const client = await lab().connect({
        kind: 'openvpn',
        lines: [
          ...login('max', 'p w'),
          `tls-crypt-v2 ${lab().keys.v2Client}`,
          'push-peer-info',
          'setenv UV_HELLO world',
          'setenv UV_BAD "a;b $(x)\\"c"',
        ],
      });
      await client.stop();
      return server;
    });
    expect(calls.map(({ type, args }) => [type, ...args].join(' '))).toEqual([
      'up tun0 1500 0 10.8.0.1 255.255.255.0 init',
      'route-up',
      'tls-crypt-v2-verify',
      'tls-verify 1 C=DE, O=Example, CN=Example CA',
      'tls-verify 0 C=DE, O=Example, CN=client',
      'user-pass-verify',
      'client-connect /tmp/openvpn_cc_HEX.tmp',
      'learn-address add 10.8.0.2 client',
      'learn-address add fd00:8::1000 client',
      'learn-address add 192.168.44.0/24 client',
      'learn-address add fd00:44::/64 client',
      'client-disconnect',
      'down tun0 1500 0 10.8.0.1 255.255.255.0 init',
    ]);
  });

  it('over TCP in topology net30, with a file for the password and a second session of one user', async () => {
    const calls = await compare(async (program, log) => {
      const server = await lab().serve({
        program,
        transport: 'tcp4',
        without: ['topology', 'server-ipv6'],
        lines: [
          'topology net30',
          ...hooks(log, most),
          `auth-user-pass-verify ${log.script} via-file`,
          'username-as-common-name',
        ],
      });
      const options: ClientOptions = { kind: 'openvpn', transport: 'tcp4', lines: login('max', 'p w') };
      await lab().connect({ ...options, lines: [...login('max', 'p w'), 'connect-retry 300'] });
      await lab().connect({ ...options, namespace: lab().net.router });
      return server;
    });
    expect(calls.map(({ type }) => type).slice(-5)).toEqual([
      'client-disconnect',
      'client-connect',
      'learn-address',
      'client-disconnect',
      'down',
    ]);
    expect(calls.find(({ type }) => type === 'user-pass-verify')?.files).toBe('mode 600\nmax\np w\n');
  });

  it('for a client with an odd certificate and odd credentials', async () => {
    const odd = await lab().pki.issue({
      name: 'odd',
      subject: '/C=DE/O=Ex ample/OU=$(id)`x`/CN=..\\/..\\/etc ä;"\'$x',
    });
    await compare(async (program, log) => {
      const server = await lab().serve({
        program,
        lines: [...hooks(log, most), `auth-user-pass-verify ${log.script} via-env`],
      });
      const client = await lab().connect({
        kind: 'openvpn',
        certificate: odd,
        lines: login('we ird\\$x;"ä', 'p w"ö$`id`'),
      });
      await client.stop();
      return server;
    });
  });

  it('again at a renegotiation', async () => {
    await compare(async (program, log) => {
      const server = await lab().serve({ program, lines: [...hooks(log, ['tls-verify']), 'reneg-sec 2 2'] });
      const client = await lab().connect({ kind: 'openvpn', lines: ['reneg-sec 0'] });
      await eventually('two more calls', async () => (await log.calls()).length >= 4);
      await client.stop();
      return server;
    });
  });

  it('at a soft restart', async () => {
    await compare(async (program, log) => {
      const server = await lab().serve({ program, lines: hooks(log, most) });
      const client = await lab().connect({ kind: 'openvpn', lines: ['connect-retry 300'] });
      const mark = server.mark();
      server.signal('SIGUSR1');
      await server.line(up, { from: mark });
      await client.kill();
      return server;
    });
  });

  it('when client-connect refuses', async () => {
    const calls = await compare(async (program, log) => {
      const server = await lab().serve({ program, lines: hooks(log, most) });
      const client = await lab().client({ kind: 'openvpn' });
      expect(await client.exit()).toEqual({ code: 0, signal: null });
      expect(client.text).toMatch(/AUTH: Received control message: AUTH_FAILED$/m);
      await server.line(
        /client\/\S+ WARNING: Failed running command \(--client-connect\): external program exited with error status: 1/,
      );
      return server;
    }, '[ "$script_type" != client-connect ]');
    expect(calls.map(({ type }) => type)).not.toContain('learn-address');
  });
});

labSuite('the answer of a script', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  const serve = async (lines: (path: string) => readonly string[], text: string, program?: Program) => {
    const path = await lab().file('script.sh', `#!/bin/sh\n${text}\n`, 0o755);
    return lab().serve({ ...(program ? { program } : {}), lines: ['script-security 3', ...lines(path)] });
  };
  const clientConnect = (path: string) => [`client-connect ${path}`];

  it('of client-connect is laid over the client options, mistakes told and passed over', async () => {
    const play = async (program: Program) => {
      const server = await serve(
        (path) => [...clientConnect(path), `tmp-dir ${lab().dir}`],
        `printf '%s\\n' 'push "route 10.5.0.0 255.255.0.0"' '# a comment' 'ifconfig-push 10.8.0.200 255.255.255.0' 'iroute 192.168.9.0 255.255.255.0' nonsense >"$1"`,
        program,
      );
      const client = await lab().connect({ kind: 'openvpn' });
      await server.line(
        new RegExp(
          `client/\\S+ Options error: Unrecognized option or missing or extra parameter\\(s\\) in ${lab().dir}/openvpn_cc_[0-9a-f]+\\.tmp:5: nonsense`,
        ),
      );
      await server.line(/MULTI: internal route 192\.168\.9\.0\/24 -> client\//);
      expect((await device(lab().net.client, 'tun0'))?.addresses).toContain('10.8.0.200/24');
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      const pushed = pushedOptions(client);
      await client.stop();
      await server.stop();
      return pushed;
    };
    const theirs = await play('openvpn');
    expect(theirs).toContain('route 10.5.0.0 255.255.0.0');
    expect(await play(serverUnderTest)).toEqual(theirs);
    expect((await run(['sh', '-c', `ls ${lab().dir}/openvpn_cc* 2>/dev/null | wc -l`])).stdout.trim()).toBe('0');
  });

  it('of client-connect may come later, with options', async () => {
    await serve(
      clientConnect,
      `printf 2 >"$client_connect_deferred_file"
(sleep 1; echo 'push "route 10.5.0.0 255.255.0.0"' >"$client_connect_config_file"; printf 1 >"$client_connect_deferred_file") >/dev/null 2>&1 &
exit 0`,
    );
    const client = await lab().connect({ kind: 'openvpn' });
    expect(pushedOptions(client)).toContain('route 10.5.0.0 255.255.0.0');
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('of client-connect may refuse later', async () => {
    await serve(
      clientConnect,
      `printf 2 >"$client_connect_deferred_file"
(sleep 1; printf 0 >"$client_connect_deferred_file") >/dev/null 2>&1 &
exit 0`,
    );
    const client = await lab().client({ kind: 'openvpn-2.7' });
    expect(await client.exit()).toEqual({ code: 0, signal: null });
    expect(client.text).toMatch(/AUTH: Received control message: AUTH_FAILED$/m);
    expect(client.count(up)).toBe(0);
  });

  it('of client-connect may disable a client', async () => {
    const server = await serve(clientConnect, 'echo disable >"$1"');
    const client = await lab().client({ kind: 'openvpn' });
    expect(await client.exit()).toEqual({ code: 0, signal: null });
    await server.line(/MULTI: client has been rejected due to 'disable' directive/);
  });

  it('of learn-address keeps an address out of the table', async () => {
    const server = await serve((path) => [`learn-address ${path}`], '[ "$2" != 10.8.0.2 ]');
    await lab().connect({ kind: 'openvpn' });
    await server.line(
      /WARNING: Failed running command \(--learn-address\): external program exited with error status: 1/,
    );
    expect(await pings(lab().net.client, tunnel.server6)).toBe(true);
    const { stdout } = await lab().net.client.run(
      ['ping', '-n', '-q', '-c', '2', '-i', '0.2', '-W', '1', tunnel.server4],
      {
        anyCode: true,
      },
    );
    expect(stdout).toMatch(/ 0 received/);
  });

  it('of client-crresponse has what the user answered', async () => {
    const directory = await lab().directory('answers', 0o777);
    const response = await lab().file(
      'response.sh',
      `#!/bin/sh\ncat "$1" >${directory}/text\nprintf 1 >"$(cat ${directory}/control)"\n`,
      0o755,
    );
    await serve(
      (path) => [`auth-user-pass-verify ${path} via-file`, `client-crresponse ${response}`, 'hand-window 30'],
      `printf '20\\ncrtext\\nCR_TEXT:R,E:Your code?\\n' >"$auth_pending_file"\nprintf %s "$auth_control_file" >${directory}/control\nexit 2`,
    );
    const client = await lab().client({
      kind: 'openvpn',
      lines: [
        ...login('max', 'x'),
        'push-peer-info',
        'setenv IV_SSO crtext',
        'hand-window 20',
        'management 127.0.0.1 7505',
      ],
    });
    await client.line(/Info command was pushed by server \('CR_TEXT:R,E:Your code\?'\)/);
    const answer = Buffer.from('4711').toString('base64');
    await lab().net.client.run([
      'bash',
      '-c',
      `exec 3<>/dev/tcp/127.0.0.1/7505; echo 'cr-response ${answer}' >&3; read -t 2 -r _ <&3; exec 3>&-`,
    ]);
    await client.line(up);
    expect((await run(['cat', join(directory, 'text')])).stdout.trim()).toBe(answer);
  });

  itOurServer('is waited for by its own client alone, however slow it is', async () => {
    const gate = join(lab().dir, 'gate');
    await serve(clientConnect, `[ "$common_name" = rsa ] || while [ ! -e ${gate} ]; do sleep 0.1; done`);
    const slow = await lab().client({ kind: 'openvpn', lines: ['hand-window 60'] });
    const quick = await lab().connect(rsaOnRouter(lab()));
    expect(await pings(lab().net.router, tunnel.server4)).toBe(true);
    expect(slow.count(up)).toBe(0);
    await run(['touch', gate]);
    await slow.line(up);
    await quick.stop();
  });
});

const rsaOnRouter = (lab: Lab): ClientOptions => ({
  kind: 'openvpn',
  namespace: lab.net.router,
  certificate: lab.pki.rsa,
});

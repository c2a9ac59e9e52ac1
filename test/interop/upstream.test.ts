// OpenVPN 2.7's own test scripts that take a binary, as Debian's source package has them, with the program under test in
// the binary's place. Nothing of them is kept here: scripts/peers.sh fetches them, with a checksum.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ClientKind, clientCommand, clientUnderTest, missing, upstreamDirectory } from '../lab/requirements.ts';
import { Turns, UpstreamCopy, upstreamMissing, upstreamRelease } from '../lab/upstream.ts';

const mine = clientCommand();
const runnable = upstreamMissing === undefined && missing.length === 0;
if (upstreamMissing !== undefined) console.log(`skipping test/interop/upstream.test.ts: ${upstreamMissing}`);

const MINUTE_MS = 60_000;
const turns = new Turns();

describe.skipIf(!runnable).concurrent(`test scripts of OpenVPN ${runnable ? upstreamRelease() : '2.7'}`, () => {
  // A process for each of some eighty ciphers.
  it('t_lpback.sh: every cipher that show-ciphers lists is tested, and keys are made', {
    timeout: 8 * MINUTE_MS,
  }, async ({ task }) => {
    await using copy = await UpstreamCopy.make(mine);
    const { code, stdout } = await copy.run('t_lpback.sh', { V: '2' }, 8 * MINUTE_MS - 5_000);
    const ciphers = [...stdout.matchAll(/^Testing cipher (\S+)\.\.\. OK$/gm)].map(([, name]) => name);
    expect(ciphers).toEqual(
      expect.arrayContaining([
        'AES-256-GCM',
        'CHACHA20-POLY1305',
        'AES-128-CBC',
        'AES-256-CFB',
        'ARIA-128-OFB',
        'none',
      ]),
    );
    const [, passed, failed] = /tests passed: (\d+) +failed: (\d+)/.exec(stdout) ?? [];
    expect({ code, failed, stdout: code === 0 ? '' : stdout }).toEqual({ code: 0, failed: '0', stdout: '' });
    expect(Number(passed)).toBe(ciphers.length + 3);
    Object.assign(task.meta, { upstreamCases: Number(passed) });
  });

  it.skipIf(!isPeerToPeerThere())(
    't_cltsrv.sh: two ends over loopback, new keys every ten seconds, ended by inactivity',
    { timeout: 4 * MINUTE_MS },
    async ({ task }) => {
      await using copy = await UpstreamCopy.make(mine);
      const { code, stdout } = await copy.run('t_cltsrv.sh', {}, 4 * MINUTE_MS - 5_000);
      expect({ code, stdout: code === 0 ? '' : stdout }).toEqual({ code: 0, stdout: '' });
      Object.assign(task.meta, { upstreamCases: 1 });
    },
  );

  it.for(pairs())(
    't_server_null.sh: %s serves four times, %s comes with every client that is to come in or not',
    // One after the other: each starts thirteen programs at once.
    { timeout: 9 * MINUTE_MS },
    async ([server, client], { task }) => {
      using _turn = await turns.take();
      await using copy = await UpstreamCopy.make(mine);
      const serverExec = copy.program('server', clientCommand(server));
      // The script gives its clients one second to appear by their pid files, which nine Node processes on a busy
      // machine need not make: the file is there at once, and the program writes it again.
      const early = 'for word; do [ "$before" = --writepid ] && echo $$ >"$word"; before=$word; done\n';
      const clientExec = copy.program('client', clientCommand(client), early);
      writeFileSync(copy.path('tests/t_server_null.rc'), localSettings(serverExec, clientExec));
      // The archive lacks it: ends the client a while after its tunnel is up.
      copy.script('tests/null_client_up.sh', '(sleep 4; kill "$(cat "$pid")") >/dev/null 2>&1 &\n');
      const { code, stdout, stderr } = await copy.run('t_server_null.sh', {}, 3 * MINUTE_MS - 5_000);
      const passed = [...stdout.matchAll(/^PASS (\S+)/gm)].map(([, name = '']) => name.replace(/.*-openvpn_/, ''));
      const told = { code, failed: [...stdout.matchAll(/^FAIL.*/gm)].map(([line]) => line) };
      expect(told, `${stdout}${stderr}`).toEqual({ code: 0, failed: [] });
      expect(passed.sort()).toEqual([...CLIENTS].sort());
      expect(managed(copy.path('tests')), 'each server has its management interface').toHaveLength(4);
      const peers = server === client && server === 'sallyport' ? [] : ['2.7'];
      Object.assign(task.meta, { upstreamCases: passed.length, peers });
    },
  );
});

/** The clients of t_server_null.sh, but for those that need the program lwipovpn; `_fail` are not to come in. */
const CLIENTS = [
  'current_udp',
  'current_udp_fail',
  'current_udp_dc1',
  'current_tcp',
  'current_udp_dc3',
  'current_udp_dc3_fail',
  'current_multisocket_ipv4_tcp',
  'current_multisocket_ipv6_udp',
  'current_multisocket_ipv6_tcp_fail',
];

/** Ours at both ends, and at each end with the C program at the other; to prove the suite, the C program alone. */
function pairs(): readonly (readonly [server: ClientKind, client: ClientKind])[] {
  if (clientUnderTest !== 'sallyport') return [[clientUnderTest, clientUnderTest]];
  return [
    ['sallyport', 'sallyport'],
    ['sallyport', 'openvpn-2.7'],
    ['openvpn-2.7', 'sallyport'],
  ];
}

/** The logs of servers that listen for a management client, as each is told to. */
const managed = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.log'))
    .filter((name) =>
      readFileSync(join(folder, name), 'utf8').includes('MANAGEMENT: TCP Socket listening on [AF_INET]127.0.0.1:'),
    );

/** What the scripts read after their own defaults: which programs. */
function localSettings(serverExec: string, clientExec: string): string {
  return [
    'for suffix in $TEST_SERVER_LIST; do',
    `  eval "SERVER_EXEC_$suffix='${serverExec}'"`,
    'done',
    'for suffix in $TEST_RUN_LIST; do',
    `  eval "CLIENT_EXEC_$suffix='${clientExec}'"`,
    'done',
    '',
  ].join('\n');
}

/** Whether the program takes the scripts' own configuration: two equal ends, without a server. */
function isPeerToPeerThere(): boolean {
  if (!runnable || clientUnderTest !== 'sallyport') return runnable;
  const [node = '', bin = ''] = mine;
  const check = spawnSync(node, [bin, 'check', 'sample-config-files/loopback-server'], {
    cwd: join(upstreamDirectory, 'sample'),
    timeout: MINUTE_MS,
  });
  if (check.status !== 0) console.log('skipping t_cltsrv.sh: a tunnel between two equal ends is not there yet');
  return check.status === 0;
}

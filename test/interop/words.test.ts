// Log lines that people and tools match are the C program's words, and exit codes are its codes: the same scenario is
// run with it and with the client under test, and the lines of a list are compared, numbers masked.

import { expect, it } from 'vitest';
import { type ClientOptions, type Lab, type ServerOptions, up, useLab } from '../lab/lab.ts';
import type { Exit, WatchedProcess } from '../lab/process.ts';
import { type ClientKind, labSuite } from '../lab/requirements.ts';

/** The lines that are matched in the wild: by NetworkManager, watch scripts, monitoring, and people who search for them. */
const keyLines: readonly RegExp[] = [
  /^TCP\/UDP: Preserving recently used remote address/,
  /^(UDP|TCP)v[46](_CLIENT)? link (local|remote)/,
  /^Attempting to establish TCP connection/,
  /^TCP connection established/,
  /^TCP: connect to/,
  /^TLS: Initial packet from/,
  /^VERIFY (OK|ERROR|KU OK|EKU OK|EKU ERROR|X509NAME)/,
  /^Control Channel: TLSv1/,
  /Peer Connection Initiated with/,
  /^(PUSH|AUTH): Received control message/,
  /^TUN\/TAP device .* opened/,
  /^Initialization Sequence Completed/,
  /^Data Channel: cipher/,
  /^Timers: /,
  /^Inactivity timeout|Inactivity timeout \(/,
  /^SIG(TERM|INT|HUP|USR1)(\[| received)/,
  /^TLS Error: (TLS key negotiation|TLS handshake)/,
  /^Options error/,
  /^Use --help for more information/,
  /^RESOLVE: /,
  /^All connections have been/,
  /^Restart pause/,
  /^read UDPv[46] \[/,
  /^Connection reset, restarting/,
  /^Server poll timeout/,
  /^OpenVPN STATISTICS$/,
  /^(TUN\/TAP|TCP\/UDP|Auth) (read|write) bytes/,
  /^END$/,
  /^WARNING: (No server certificate verification|file '.*' is group or others accessible|this configuration may cache passwords)/,
];

function normalise(line: string): string {
  return (
    line
      .replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (us=\d+ )?/, '')
      .replace(/sid=[0-9a-f]{8} [0-9a-f]{8}/, 'sid=SID')
      .replace(/serial=\d+/, 'serial=N')
      .replace(/\/tmp\/[^ '")]*/g, 'PATH')
      .replace(/(bytes),\d+/, '$1,N')
      .replace(/(peer-id:?) \d+/, '$1 N')
      .replace(/fd=\d+/, 'fd=N')
      // What a server pushes depends on what a client announces; that it came is what is matched.
      .replace(/(PUSH_REPLY).*/, '$1')
      // The version, and where Sallyport adds file and line to the C program's sentence.
      .replace(/^(Options error: .*?) in PATH(?::\d+)?$/, '$1')
      .replace(/^(Options error: .*?)( \([^()]*\))+$/, '$1')
      .replace(/:(\d{5})\b/g, ':PORT')
      // How OpenSSL's certificate is described has more than one spelling; protocol and cipher are what is matched.
      .replace(/^(Control Channel: TLSv1\.\d, cipher \S+ [^,]+).*/, '$1')
  );
}

function key(process: WatchedProcess): readonly string[] {
  const lines = process.lines.map(normalise).filter((line) => keyLines.some((pattern) => pattern.test(line)));
  // How often something is repeated depends on the moment; that it is said, and what, does not.
  return [...new Set(lines)].sort();
}

interface Scenario {
  readonly title: string;
  readonly server?: ServerOptions;
  readonly client: ClientOptions;
  /** Drives a started client to its end. */
  readonly drive?: (lab: Lab, client: WatchedProcess) => Promise<unknown>;
  /** Lines that must be among those compared, so that two empty logs do not agree. */
  readonly says: readonly RegExp[];
}

const verb3 = { without: ['verb'] };
const connectAndStop = async (_lab: Lab, client: WatchedProcess) => {
  await client.line(up);
  await client.stop();
};
const script = ['script-security 2', 'auth-user-pass-verify /bin/false via-file'];
const credentials = ['<auth-user-pass>', 'max', 'wrong', '</auth-user-pass>'];
const once = ['connect-retry 1', 'connect-retry-max 1'];

const scenarios: readonly Scenario[] = [
  {
    title: 'success over UDP',
    client: { ...verb3, lines: ['verb 3'] },
    drive: connectAndStop,
    says: [/^Initialization Sequence Completed/, /^SIGTERM\[hard,\]/],
  },
  {
    title: 'success over UDP and IPv6',
    server: { transport: 'udp6' },
    client: { ...verb3, transport: 'udp6', lines: ['verb 3'] },
    drive: connectAndStop,
    says: [/^UDPv6 link remote: \[AF_INET6\]/],
  },
  {
    title: 'success over TCP',
    server: { transport: 'tcp4' },
    client: { ...verb3, transport: 'tcp4', lines: ['verb 3'] },
    drive: connectAndStop,
    says: [/^TCPv4_CLIENT link remote/],
  },
  {
    title: 'verbosity 1',
    client: { ...verb3, lines: ['verb 1'] },
    drive: connectAndStop,
    says: [/^Initialization Sequence Completed/],
  },
  {
    title: 'routes and keepalive at verbosity 4',
    server: { lines: ['keepalive 10 60', 'push "route 10.77.0.0 255.255.255.0"'] },
    client: {},
    drive: connectAndStop,
    says: [/^Timers: ping 10, ping-restart 60/],
  },
  {
    title: 'the exit notice',
    client: { lines: ['explicit-exit-notify 1'] },
    drive: connectAndStop,
    says: [/^SIGTERM received, sending exit notification to peer/, /^SIGTERM\[soft,exit-with-notification\]/],
  },
  {
    title: 'a wrong password',
    server: { lines: script },
    client: { lines: credentials },
    says: [/AUTH_FAILED/, /^SIGTERM\[soft,auth-failure\]/],
  },
  {
    title: 'an untrusted server',
    server: { without: ['cert', 'key'] },
    client: { lines: once },
    says: [/^VERIFY ERROR: depth=0/, /^All connections/],
  },
  {
    title: 'nobody at the port, UDP',
    client: { lines: [...once, 'hand-window 3'] },
    says: [/^read UDPv4 \[ECONNREFUSED\]/, /^TLS Error: TLS key negotiation/],
  },
  {
    title: 'nobody at the port, TCP',
    client: { transport: 'tcp4', lines: once },
    says: [/^TCP: connect to .* failed: Connection refused/],
  },
  {
    title: 'a name that does not resolve',
    client: { without: ['remote'], lines: [...once, 'remote nowhere.example 1194', 'resolv-retry 0'] },
    says: [/^RESOLVE: Cannot resolve host address/],
  },
  {
    title: 'SIGINT',
    client: {},
    drive: async (_lab, client) => {
      await client.line(up);
      await client.stop('SIGINT');
    },
    says: [/^SIGINT\[hard,\]/],
  },
  {
    title: 'a soft restart',
    client: { lines: ['connect-retry 1'] },
    drive: async (_lab, client) => {
      await client.line(up);
      const mark = client.mark();
      client.signal('SIGUSR1');
      await client.line(up, { from: mark });
      await client.stop();
    },
    says: [/^SIGUSR1\[hard,\] received, process restarting/, /^Restart pause, 1 second\(s\)/],
  },
  {
    title: 'statistics',
    client: {},
    drive: async (_lab, client) => {
      await client.line(up);
      client.signal('SIGUSR2');
      await client.line(/(us=\d+ |^)END$/);
      // The C program forgets a signal that comes while it still ends this one: it is asked until it goes.
      await client.stopForSure();
    },
    says: [/^OpenVPN STATISTICS/],
  },
  { title: 'ping-exit', client: { lines: ['ping-exit 2'] }, says: [/Inactivity timeout \(--ping-exit\), exiting/] },
  {
    title: 'no server certificate verification',
    client: { without: ['remote-cert-tls'] },
    drive: connectAndStop,
    says: [/^WARNING: No server certificate verification/],
  },
  {
    title: 'an unknown option',
    client: { lines: ['no-such-option 1'] },
    says: [/^Options error: Unrecognized option or missing or extra parameter\(s\)/],
  },
  {
    title: 'a missing file',
    client: { without: ['ca'], lines: ['ca /nowhere/ca.crt'] },
    says: [/^Options error: --ca fails with '\/nowhere\/ca\.crt': No such file or directory/],
  },
  { title: 'no remote', client: { without: ['remote'] }, says: [/^Options error/] },
  { title: 'no certificate authority', client: { without: ['ca'] }, says: [/^Options error: You must define CA file/] },
  {
    title: 'a bad cipher',
    client: { lines: ['data-ciphers NO-SUCH-CIPHER'] },
    says: [/^Options error: --data-ciphers list contains unsupported ciphers or is too long/],
  },
];

labSuite('the words of the C program', () => {
  const lab = useLab();

  it.each(scenarios.map((scenario) => [scenario.title, scenario] as const))(
    'are said: %s',
    async (_title, scenario) => {
      const untrusted = [`cert ${lab().pki.foreign.cert}`, `key ${lab().pki.foreign.key}`];
      if (scenario.server?.without) await lab().server({ ...scenario.server, lines: untrusted });
      else if (!/nobody|resolve|option|missing|no remote|authority|bad/.test(scenario.title))
        await lab().server(scenario.server ?? {});

      const argv = ['--config', await lab().clientConfig(scenario.client)];
      const play = async (kind?: ClientKind): Promise<{ exit: Exit; lines: readonly string[] }> => {
        const client = await lab().client({ ...(kind ? { kind } : {}), argv });
        await scenario.drive?.(lab(), client);
        const exit = await client.exit();
        return { exit, lines: key(client) };
      };
      const [older, newer] = [await play('openvpn'), await play('openvpn-2.7')];
      const actual = await play();
      for (const line of scenario.says)
        expect(
          older.lines.some((text) => line.test(text)),
          `${line} of the C program`,
        ).toBe(true);
      // 2.6 and 2.7 differ here and there: what both say must be said, and nothing that neither says.
      const both = older.lines.filter((line) => newer.lines.includes(line));
      const either = [...older.lines, ...newer.lines];
      expect(
        actual.lines.filter((line) => !either.includes(line)),
        'lines of neither 2.6 nor 2.7',
      ).toEqual([]);
      expect(
        both.filter((line) => !actual.lines.includes(line)),
        'lines of both that are missing',
      ).toEqual([]);
      expect([older.exit, newer.exit]).toContainEqual(actual.exit);
    },
  );

  it.each([
    ['--version', 0],
    ['--help', 1],
  ] as const)('%s has the exit code of the C program', async (option, code) => {
    const expected = await (await lab().client({ kind: 'openvpn', argv: [option] })).exit();
    const client = await lab().client({ argv: [option] });
    expect(await client.exit()).toEqual(expected);
    expect(expected.code).toBe(code);
    // NetworkManager reads the version from the first line.
    if (option === '--version') expect(client.lines[0]).toMatch(/^OpenVPN 2\.\d/);
  });
});

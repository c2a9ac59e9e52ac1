// What log parsers, fail2ban and people match in a server's log, and its exit codes: the same scenario is run with the C
// program (2.6 and 2.7) and with the server under test, and the lines of a list are compared, ports and numbers masked.

import { mkdir } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { type ClientOptions, type Lab, type ServerOptions, up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import type { Exit, WatchedProcess } from '../lab/process.ts';
import { isOurServer, labSuite, type Program, serverUnderTest } from '../lab/requirements.ts';

/** Lines that are matched in the wild, behind their prefix. */
const keyLines: readonly RegExp[] = [
  /^TUN\/TAP device .* opened/,
  /^(UDP|TCP)v[46](_SERVER)? link (local|remote)/,
  /^Listening for incoming TCP connection/,
  /^TCP connection established with/,
  /^IFCONFIG POOL IPv[46]: /,
  /^Initialization Sequence Completed/,
  /^TLS: Initial packet from/,
  /^VERIFY (OK|ERROR)/,
  /^peer info: IV_(VER|PLAT|CIPHERS)/,
  /^Control Channel: TLSv1/,
  /Peer Connection Initiated with/,
  /^MULTI_sva: pool returned/,
  /^MULTI: (Learn|primary|new connection|client has been rejected|bad source|internal route|no free|no dynamic)/,
  /^SENT CONTROL/,
  /^PUSH: No common cipher/,
  /^TLS Auth Error/,
  /^TLS: Username\/(Password|auth-token) authentication/,
  /^TLS Error: /,
  /^Delayed exit in/,
  /exit message received by peer/,
  /^Connection reset, restarting/,
  /^WARNING: Bad encapsulated packet length/,
  /^Non-OpenVPN client protocol/,
  /^SIG(TERM|INT|HUP|USR1)\[.*received/,
  /^Options error/,
  /^Exiting due to fatal error/,
];

const PREFIX = /^((?:[^\s/]+\/)?(?:\w[\w-]*:)?(?:\d+\.\d+\.\d+\.\d+:PORT|\[?fd00:[0-9a-f:]+\]?(?::PORT)?) )?(.*)$/;

function normalise(line: string): string {
  return (
    line
      .replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (us=\d+ )?/, '')
      .replace(/sid=[0-9a-f]{8} [0-9a-f]{8}/, 'sid=SID')
      .replace(/\/tmp\/[^ '")]*/g, 'PATH')
      .replace(/(\d+\.\d+\.\d+\.\d+:)\d{4,5}\b/g, (all, host: string) => (all.endsWith(':1194') ? all : `${host}PORT`))
      // 2.7 writes the socket's kind in front of an address.
      .replace(/\b(udp4|udp6|tcp4-server|tcp6-server):(?=[\d[])/g, '')
      .replace(/(protocol-flags)[^,']*/, '$1')
      .replace(/(peer-id) \d+/, '$1 N')
      .replace(/^(.*Control Channel: TLSv1\.\d, cipher \S+ [^,]+).*/, '$1')
      .replace(/serial=\d+/, 'serial=N')
      // A stream that still held something is reset by the kernel, -1, in place of its end, 0: the moment decides.
      .replace(/(Connection reset, restarting) \[(?:0|-1)\]/, '$1 [N]')
      // Sallyport adds the file and line to a finding, and the C program its version or an error number.
      .replace(/^(Options error: .*?)( \([^()]*\))+$/, '$1')
  );
}

function key(process: WatchedProcess): readonly string[] {
  const lines = process.lines
    .map(normalise)
    // The C program sends a refusal twice, once in nobody's name.
    .filter((line) => !line.includes('SENT CONTROL [UNDEF]'))
    .filter((line) => keyLines.some((pattern) => pattern.test(PREFIX.exec(line)?.[2] ?? '')));
  return [...new Set(lines)].sort();
}

interface Scenario {
  readonly title: string;
  readonly server?: ServerOptions;
  readonly drive: (lab: Lab) => Promise<void>;
  /** Lines that must be among those compared, so that two empty logs do not agree. */
  readonly says: readonly RegExp[];
  /** Lines that Sallyport alone has, or has in another form or at another time. */
  readonly ours?: readonly RegExp[];
  /** Lines of the C program that Sallyport does not have. */
  readonly theirs?: readonly RegExp[];
  /** Prefixes are not compared: the C program loses them here. */
  readonly withoutPrefix?: boolean;
}

const guest: ClientOptions = { kind: 'openvpn' };
const script = (path: string) => ['script-security 2', `auth-user-pass-verify ${path} via-file`];
const login = ['<auth-user-pass>', 'max', 'x', '</auth-user-pass>'];

const visit =
  (options: ClientOptions = {}) =>
  async (lab: Lab): Promise<void> => {
    const client = await lab.connect({ ...guest, ...options });
    await client.stop();
  };

const refusal =
  (options: ClientOptions = {}) =>
  async (lab: Lab): Promise<void> => {
    const client = await lab.client({ ...guest, ...options });
    await client.exit();
  };

const shell = (text: string) => async (lab: Lab) => {
  await lab.net.client.run(['bash', '-c', text], { anyCode: true });
};

/** The C program lets a refused client all the way in, tells it, and says after five seconds that it has ended. */
const refusedLater: Pick<Scenario, 'ours' | 'theirs'> = {
  ours: [/SIGTERM\[soft,delayed-exit\] received, client-instance exiting$/],
  theirs: [/\[client\] Peer Connection Initiated/, /MULTI(_sva)?: (pool|Learn|primary|new connection)/],
};

const scenarios: readonly Scenario[] = [
  {
    title: 'a client over UDP',
    drive: visit(),
    says: [/^client\/192\.0\.2\.2:PORT MULTI: primary virtual IP for client\/192\.0\.2\.2:PORT: 10\.8\.0\.2/],
  },
  {
    title: 'a client over TCP',
    server: { transport: 'tcp4' },
    drive: async (lab) => {
      const client = await lab.connect({ ...guest, transport: 'tcp4' });
      await client.stop();
      await untilSaid(lab, /client-instance restarting/);
    },
    says: [/^client\/192\.0\.2\.2:PORT Connection reset, restarting \[N\]/],
  },
  {
    title: 'a client that takes its leave',
    drive: async (lab) => {
      const client = await lab.connect({ ...guest, lines: ['explicit-exit-notify 1'] });
      await client.stop();
    },
    theirs: [/Delayed exit in 5 seconds$/],
    // A client that says that it goes is gone: its addresses wait for nobody.
    ours: [/SIGTERM\[soft,remote-exit\] received, client-instance exiting$/],
    says: [/^client\/192\.0\.2\.2:PORT CC-EEN exit message received by peer/],
  },
  {
    title: 'a wrong password',
    server: { lines: script('/bin/false') },
    drive: refusal({ lines: login }),
    ...refusedLater,
    says: [/^192\.0\.2\.2:PORT TLS Auth Error: Auth Username\/Password verification failed for peer/],
  },
  {
    title: 'a good password',
    server: { lines: script('/bin/true') },
    drive: visit({ lines: login }),
    says: [/^192\.0\.2\.2:PORT TLS: Username\/Password authentication succeeded for username 'max'/],
  },
  {
    title: 'no common cipher',
    server: { lines: ['data-ciphers AES-256-GCM'] },
    drive: refusal({ lines: ['data-ciphers AES-128-GCM'] }),
    ...refusedLater,
    says: [/PUSH: No common cipher/],
  },
  {
    title: 'the same name twice',
    drive: async (lab) => {
      await lab.connect({ ...guest, lines: ['connect-retry 300'] });
      await lab.connect({ ...guest, namespace: lab.net.router });
    },
    says: [/^MULTI: new connection by client 'client' will cause previous active sessions/],
    withoutPrefix: true,
  },
  {
    title: 'a port scan over TCP',
    server: { transport: 'tcp4' },
    drive: async (lab) => {
      await shell(`exec 3<>/dev/tcp/${address.server4}/1194; exec 3>&-`)(lab);
      await untilSaid(lab, /client-instance restarting/);
    },
    says: [/^192\.0\.2\.2:PORT Connection reset, restarting \[N\]/],
  },
  {
    title: 'a web browser over TCP',
    server: { transport: 'tcp4' },
    drive: async (lab) => {
      await shell(`exec 3<>/dev/tcp/${address.server4}/1194; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; sleep 0.3`)(lab);
      await untilSaid(lab, /client-instance restarting/);
    },
    // The bound is smaller: nobody's packet is longer before it is known. The C program adds advice.
    ours: [
      /^192\.0\.2\.2:PORT WARNING: Bad encapsulated packet length from peer \(18245\), which must be > 0 and <= 2048$/,
    ],
    theirs: [/WARNING: Bad encapsulated packet length/],
    says: [/^192\.0\.2\.2:PORT WARNING: Bad encapsulated packet length from peer \(18245\)/],
  },
  {
    title: 'a farewell to clients',
    server: { lines: ['explicit-exit-notify 1'] },
    drive: async (lab) => {
      await lab.connect({ ...guest, lines: ['connect-retry 300'] });
    },
    // The C program's line does not say whose session it is.
    ours: [/^client\/192\.0\.2\.2:PORT SENT CONTROL \[client\]: 'RESTART' \(status=1\)$/],
    theirs: [/^SENT CONTROL \[client\]: 'RESTART' \(status=1\)$/],
    says: [/^SENT CONTROL \[client\]: 'RESTART' \(status=1\)/],
  },
];

/** The server of the scenario that runs now: what drives it may wait for its words. */
let running: WatchedProcess | undefined;

async function untilSaid(_lab: Lab, line: RegExp): Promise<void> {
  await running?.line(line);
}

labSuite("a server's words are the C program's", () => {
  const lab = useLab();

  it.each(scenarios.map((scenario) => [scenario.title, scenario] as const))('for %s', async (_title, scenario) => {
    const play = async (program: Program): Promise<{ exit: Exit; lines: readonly string[] }> => {
      running = await lab().serve({
        ...scenario.server,
        program,
        without: ['verb'],
        lines: ['verb 3', 'keepalive 10 60', ...(scenario.server?.lines ?? [])],
      });
      const server = running;
      await scenario.drive(lab());
      const exit = await server.stop();
      await lab().endTest();
      const lines = key(server);
      return {
        exit,
        lines: scenario.withoutPrefix === true ? lines.map((line) => PREFIX.exec(line)?.[2] ?? '') : lines,
      };
    };
    const [older, newer] = [await play('openvpn'), await play('openvpn-2.7')];
    const actual = await play(serverUnderTest);
    for (const line of scenario.says) {
      expect(
        older.lines.some((text) => line.test(text)),
        `${line} of the C program: ${older.lines.join('\n')}`,
      ).toBe(true);
    }
    const allowed = (patterns: readonly RegExp[] | undefined, line: string) =>
      isOurServer && patterns?.some((pattern) => pattern.test(line)) === true;
    const both = older.lines.filter((line) => newer.lines.includes(line) && !allowed(scenario.theirs, line));
    const either = [...older.lines, ...newer.lines];
    expect(
      actual.lines.filter((line) => !either.includes(line) && !allowed(scenario.ours, line)),
      'lines of neither 2.6 nor 2.7',
    ).toEqual([]);
    expect(
      both.filter((line) => !actual.lines.includes(line)),
      'lines of both that are missing',
    ).toEqual([]);
    expect(actual.exit).toEqual(older.exit);
  });

  /** Patterns of fail2ban filters in wide use, after the timestamp; 2.6's form of an address. */
  const host = '(?<host>192\\.0\\.2\\.2)';
  const events: readonly (readonly [
    string,
    (lab: Lab) => ServerOptions,
    (lab: Lab) => Promise<void>,
    readonly string[],
  ])[] = [
    [
      'a wrong password',
      () => ({ lines: script('/bin/false') }),
      refusal({ lines: login }),
      [`^ ${host}:\\d+ TLS Auth Error`],
    ],
    [
      'a bad certificate',
      () => ({}),
      async (lab) => {
        await lab.client({ ...guest, certificate: lab.pki.foreign });
      },
      [`^ ${host}:\\d+ VERIFY ERROR`, ...(isOurServer ? [] : [`^ ${host}:\\d+ TLS Error: TLS handshake failed$`])],
    ],
    [
      'another tls-auth key',
      (lab) => ({ lines: [`tls-auth ${lab.keys.shared} 0`] }),
      async (lab) => {
        await lab.client({ ...guest, lines: [`tls-auth ${lab.keys.foreign} 1`] });
      },
      [`^ TLS Error: incoming packet authentication failed from \\[AF_INET\\]${host}:\\d+$`],
    ],
    [
      'no tls-auth key',
      (lab) => ({ lines: [`tls-auth ${lab.keys.shared} 0`] }),
      async (lab) => {
        await lab.client(guest);
      },
      [`TLS Error: cannot locate HMAC in incoming packet from \\[AF_INET\\]${host}:\\d+`],
    ],
    [
      'another tls-crypt key',
      (lab) => ({ lines: [`tls-crypt ${lab.keys.shared}`] }),
      async (lab) => {
        await lab.client({ ...guest, lines: [`tls-crypt ${lab.keys.foreign}`] });
      },
      [`^ TLS Error: tls-crypt unwrapping failed from \\[AF_INET\\]${host}:\\d+$`],
    ],
    [
      'a TCP connection that is closed',
      () => ({ transport: 'tcp4' }),
      shell(`exec 3<>/dev/tcp/${address.server4}/1194; exec 3>&-`),
      [`^ ${host}:\\d+ Connection reset, restarting`],
    ],
    [
      'a TCP connection that says nothing',
      () => ({ transport: 'tcp4', lines: ['hand-window 2'] }),
      shell(`exec 3<>/dev/tcp/${address.server4}/1194; sleep 4`),
      [`^ ${host}:\\d+ TLS Error: TLS key negotiation failed`, `^ ${host}:\\d+ TLS Error: TLS handshake failed$`],
    ],
  ];

  it.skipIf(serverUnderTest === 'openvpn-2.7').each(events)(
    'for fail2ban at verb 1: %s',
    async (_title, options, drive, patterns) => {
      const { lines = [], ...rest } = options(lab());
      const server = await lab().serve({ ...rest, without: ['verb'], lines: ['verb 1', ...lines] });
      await drive(lab());
      for (const pattern of patterns) {
        // What a filter sees of a line is what is left without the time.
        await server.line(new RegExp(pattern.replace(/^\^/, '^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d')));
      }
    },
  );
});

labSuite('a server refuses a configuration as the C program does', () => {
  const lab = useLab();

  interface Mistake {
    readonly lines?: readonly string[];
    readonly options?: ServerOptions;
  }
  const mistakes: Readonly<Record<string, Mistake>> = {
    'ccd-exclusive alone': { lines: ['ccd-exclusive'] },
    'client-config-dir that is not there': { lines: ['client-config-dir /nowhere'] },
    'a remote': { lines: ['remote 192.0.2.1'] },
    'username-as-common-name without a verifier': { lines: ['username-as-common-name'] },
    'verify-client-cert none without a verifier': { lines: ['verify-client-cert none'] },
    'a CRL that is not there': { lines: ['crl-verify /nowhere.crl'] },
    'no certificate': { options: { without: ['cert'] } },
    'a network too small': { options: { without: ['server'] }, lines: ['server 10.8.0.0 255.255.255.252'] },
    'a network too big': { options: { without: ['server'] }, lines: ['server 10.0.0.0 255.0.0.0'] },
    'a network with host bits': { options: { without: ['server'] }, lines: ['server 10.8.0.1 255.255.255.0'] },
    'a pool turned round': {
      options: { without: ['server', 'server-ipv6'] },
      lines: ['mode server', 'tls-server', 'ifconfig 10.8.0.1 255.255.255.0', 'ifconfig-pool 10.8.0.9 10.8.0.2'],
    },
    'port-share over UDP': { lines: ['port-share 127.0.0.1 80'] },
    'a script that is not there': { lines: ['script-security 2', 'client-connect /nowhere.sh'] },
    'a status file that cannot be': { lines: ['status /nowhere/status'] },
    'a tmp-dir that is not there': { lines: ['tmp-dir /nowhere'] },
    'a digest that is not there': { lines: ['auth NO-SUCH-DIGEST'] },
    'a cipher that is not there': { lines: ['data-ciphers NO-SUCH-CIPHER'] },
    'an unknown option': { lines: ['no-such-option 1'] },
    'an address that is not here': { lines: ['local 203.0.113.77'] },
    'an up script that fails': { lines: ['script-security 2', 'up /bin/false'] },
  };

  const said = (server: WatchedProcess) =>
    server.lines
      .map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (us=\d+ )?/, ''))
      .filter((line) =>
        /^(Options error|Message hash algorithm|TCP\/UDP: Socket bind failed|WARNING: Failed running command|Exiting due)/.test(
          line,
        ),
      )
      .map((line) =>
        line
          .replace(/ in \/tmp\/\S*:\d+$/, '') // where it stands, which the C program does not say
          .replace(/ \(errno=\d+\)$/, '')
          .replace(/( \([^()]*\))+$/, '')
          .replace(/\/tmp\/\S*:\d+/, 'FILE'),
      );

  it.each(Object.entries(mistakes))('%s', async (_title, { lines = [], options = {} }) => {
    await mkdir(lab().dir, { recursive: true });
    const play = async (program: Program) => {
      const server = await lab().startServer({ ...options, program, lines });
      const exit = await server.exit();
      return { exit, said: said(server) };
    };
    const theirs = await play('openvpn');
    expect(theirs.exit).toEqual({ code: 1, signal: null });
    const newer = await play('openvpn-2.7');
    expect([theirs, newer]).toContainEqual(await play(serverUnderTest));
  });

  it('but needs no dh, like 2.7', async () => {
    await lab().serve({ without: ['dh'] });
    await lab().connect(guest);
  });

  it('and a port in use, when the device is open already', async () => {
    const first = await lab().serve();
    const second = await lab().startServer({
      program: serverUnderTest,
      without: ['server', 'server-ipv6'],
      lines: ['server 10.9.0.0 255.255.255.0'],
    });
    expect(await second.exit()).toEqual({ code: 1, signal: null });
    expect(second.text).toMatch(
      /TCP\/UDP: Socket bind failed on local address \[AF_INET\]\[undef\]:1194: Address already in use/,
    );
    expect(second.text).toMatch(/Exiting due to fatal error/);
    expect(first.count(up)).toBe(1);
    await lab().connect(guest);
  });
});

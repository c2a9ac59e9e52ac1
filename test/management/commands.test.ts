// The management interface without a socket: lines in, answers out.

import { getEventListeners } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import { ManagedChallenges } from '../../apps/management/client-side.ts';
import { type CommandPorts, handleLine, handleTooLong } from '../../apps/management/commands.ts';
import { ManagementCore } from '../../apps/management/core.ts';
import { LineQueue } from '../../apps/management/line-queue.ts';
import { LineReader, type ReadLine } from '../../apps/management/line-reader.ts';
import { sameSecret } from '../../apps/management/management.ts';
import { ServerCommands } from '../../apps/management/server-commands.ts';
import { tellServing } from '../../apps/management/server-state.ts';
import type { ManagementSettings } from '../../apps/management/settings.ts';
import { type Config, parseConfig } from '../../src/command.ts';

const settings: ManagementSettings = {
  at: { path: '/run/m' },
  overTunnel: false,
  passwordFile: undefined,
  connects: false,
  clientUser: undefined,
  clientGroup: undefined,
  hold: true,
  queryPasswords: true,
  queryRemote: true,
  queryProxy: false,
  forgetOnDisconnect: false,
  signalOnDisconnect: false,
  upDown: false,
  clientAuth: true,
  externalKey: undefined,
  externalCert: undefined,
  logLines: 3,
  remapUsr1: undefined,
  isServer: false,
};

let sent: string;
let halted: boolean;
let signals: string[];

function coreWith(password?: string): ManagementCore {
  return new ManagementCore(settings, password, { unixSeconds: () => 1000, sameSecret, log: () => {} });
}

const output = { send: (text: string) => (sent += text), halt: () => (halted = true) };

function portsOf(more: Partial<CommandPorts> = {}): CommandPorts {
  let verb = 1;
  return {
    title: 'OpenVPN 2.7.8',
    pid: 77,
    verb: { get: () => verb, set: (value) => (verb = value) },
    mute: { get: () => 0, set: () => {} },
    authRetry: { get: () => 'none', set: () => {} },
    signal: (name) => signals.push(name),
    forgetPasswords: () => {},
    status: () => undefined,
    bytecount: () => {},
    loadStats: () => ({ clients: 2, bytesIn: 3, bytesOut: 4 }),
    crResponse: undefined,
    remotes: ['a,1194,udp,enabled', 'b,443,tcp-client,enabled'],
    server: undefined,
    ...more,
  };
}

function answerOf(line: string, core = coreWith(), ports = portsOf()): string {
  if (core.connection === undefined) core.connected(output);
  sent = '';
  handleLine(core, ports, line);
  return sent;
}

const never = new AbortController().signal;

beforeEach(() => {
  sent = '';
  halted = false;
  signals = [];
});

describe('a command is answered in the words of the C program', () => {
  it.each([
    ['pid', 'SUCCESS: pid=77'],
    ['hold', 'SUCCESS: hold=1'],
    ['hold off', 'SUCCESS: hold flag set to OFF'],
    ['hold bad', 'ERROR: bad hold command parameter'],
    ['verb', 'SUCCESS: verb=1'],
    ['verb 4', 'SUCCESS: verb level changed'],
    ['verb 99', 'ERROR: verb level is out of range'],
    ['mute 5', 'SUCCESS: mute level changed'],
    ['load-stats', 'SUCCESS: nclients=2,bytesin=3,bytesout=4'],
    ['signal SIGUSR1', 'SUCCESS: signal SIGUSR1 thrown'],
    ['signal SIGFOO', "ERROR: signal 'SIGFOO' is not a known signal type"],
    ['signal', "ERROR: the 'signal' command requires 1 parameter"],
    ['username Auth', "ERROR: the 'username' command requires 2 parameters"],
    ['log', "ERROR: the 'log' command requires at least 1 parameter"],
    ['kill x', "ERROR: The 'kill' command is not supported by the current daemon mode"],
    ['net', "ERROR: The 'net' command is not supported by the current daemon mode"],
    ['nonsense 1', "ERROR: unknown command [nonsense], enter 'help' for more options"],
    ['constructor', "ERROR: unknown command [constructor], enter 'help' for more options"],
    ['password "Auth" x', 'ERROR: no password is currently needed at this time'],
    ['username "a', 'ERROR: Options error: No closing quotation (") in TCP:0'],
    ['remote-entry-count', '2\r\nEND'],
    ['remote-entry-get 1', '1,b,443,tcp-client,enabled\r\nEND'],
    ['remote ACCEPT', 'ERROR: remote command failed'],
    ['version 3', undefined],
    ['version 4', 'SUCCESS: Management client version set to 4'],
    ['pk-sig', 'ERROR: The pk-sig command is not currently available'],
  ])('%s', (line, answer) => {
    expect(answerOf(line)).toBe(answer === undefined ? '' : `${answer}\r\n`);
  });
});

describe('lines', () => {
  const read = (reader: LineReader, text: string) => [...reader.push(new TextEncoder().encode(text))];

  it('that are half there wait for their end, and are forgotten when the client goes', () => {
    const reader = new LineReader();
    expect(read(reader, 'pi')).toEqual([]);
    expect(read(reader, 'd\r\nho')).toEqual([{ kind: 'line', text: 'pid' }]);
    reader.reset();
    expect(read(reader, 'ld\n')).toEqual([{ kind: 'line', text: 'ld' }]);
  });

  it('of a megabyte are left out with a word, and the next one counts', () => {
    const reader = new LineReader();
    expect(read(reader, 'x'.repeat(1024 * 1024))).toEqual([]);
    expect(read(reader, '\npid\n')).toEqual([{ kind: 'too-long' }, { kind: 'line', text: 'pid' }]);
    const core = coreWith();
    core.connected(output);
    sent = '';
    handleTooLong(core);
    expect(sent).toMatch(/^ERROR: /);
  });

  it('of rubbish lose what cannot be printed', () => {
    const reader = new LineReader();
    expect([...reader.push(Uint8Array.of(0, 1, 0x70, 7, 0x69, 0x1b, 0x64, 0x0a))]).toEqual([
      { kind: 'line', text: 'pid' },
    ]);
  });
});

describe('lines in a row', () => {
  const line = (text: string): ReadLine => ({ kind: 'line', text });

  it('wait for an answer that takes time, and are nobody’s when their client is gone', async () => {
    const taken: string[] = [];
    let finish = (): void => {};
    const queue = new LineQueue((each) => {
      taken.push(each.kind === 'line' ? each.text : '');
      return taken.at(-1) !== 'slow' ? undefined : new Promise<void>((resolve) => (finish = resolve));
    });
    for (const text of ['a', 'slow', 'b', 'slow', 'c']) queue.push(line(text));
    expect(taken).toEqual(['a', 'slow']);
    finish();
    await Promise.resolve();
    await Promise.resolve();
    expect(taken).toEqual(['a', 'slow', 'b', 'slow']);
    queue.clear();
    finish();
    await Promise.resolve();
    queue.push(line('next client'));
    expect(taken).toEqual(['a', 'slow', 'b', 'slow', 'next client']);
  });

  it('are bounded while one takes for ever', () => {
    const queue = new LineQueue(() => new Promise(() => {}));
    for (let i = 0; i < 4097; i++) expect(queue.push(line('x'))).toBe(true);
    expect(queue.push(line('x'))).toBe(false);
  });
});

describe('what is told', () => {
  it('stays on its line, whatever a peer has put into it', () => {
    const core = coreWith();
    core.connected(output);
    sent = '';
    core.say('>CLIENT:ENV,username=a\r\n>CLIENT:CONNECT,0,0\nx\0y', '>CLIENT:ENV,END');
    expect(sent).toBe('>CLIENT:ENV,username=a__>CLIENT:CONNECT,0,0_x_y\r\n>CLIENT:ENV,END\r\n');
  });
});

describe('a session that has ended', () => {
  it('obeys nothing that came in the same breath', () => {
    const core = coreWith();
    core.connected(output);
    for (const line of ['exit', 'signal SIGTERM']) handleLine(core, portsOf(), line);
    expect(halted).toBe(true);
    expect(signals).toEqual([]);
  });
});

describe('lines behind a command', () => {
  const spoilt: readonly [string, (core: ManagementCore) => void][] = [
    [
      'more lines than are kept',
      (core) => {
        for (let n = 0; n < 5000; n++) handleLine(core, portsOf(), 'YQ==');
      },
    ],
    ['a line that was too long', handleTooLong],
  ];
  it.each(spoilt)('are not taken in part: %s', async (_, spoil) => {
    const core = coreWith();
    core.connected(output);
    handleLine(core, portsOf(), 'version 5');
    const asked = core.ask('password', 'Private Key', '', never);
    handleLine(core, portsOf(), 'password "Private Key"');
    handleLine(core, portsOf(), 'Zm9v');
    spoil(core);
    expect(answerOf('END', core)).toMatch(/^ERROR: [^\n]*nothing of it was taken\r\n$/);
    handleLine(core, portsOf(), 'password "Private Key" right');
    expect((await asked).password).toBe('right');
  });
});

describe('the password of the interface', () => {
  it('is asked for, and nothing else is answered or told before', () => {
    const core = coreWith('secret');
    core.connected(output);
    expect(sent).toBe('ENTER PASSWORD:');
    core.say('>HOLD:x');
    core.logged(1, 'I', 'a line');
    expect(sent).toBe('ENTER PASSWORD:');
    expect(answerOf('pid', core)).toBe('ERROR: bad password\r\nENTER PASSWORD:');
    expect(answerOf('secret', core)).toMatch(/^SUCCESS: password is correct\r\n>INFO:/);
    expect(answerOf('pid', core)).toBe('SUCCESS: pid=77\r\n');
  });

  it('ends the session at the third wrong one', () => {
    const core = coreWith('secret');
    core.connected(output);
    for (const word of ['a', 'secre']) handleLine(core, portsOf(), word);
    expect(halted).toBe(false);
    handleLine(core, portsOf(), 'secretx');
    expect(halted).toBe(true);
    expect(core.passwordNeeded).toBe(true);
  });

  it('is not tried again, and nothing is obeyed, by lines behind the third wrong one', () => {
    const core = coreWith('secret');
    core.connected(output);
    for (const word of ['a', 'b', 'c', 'secret', 'signal SIGTERM']) handleLine(core, portsOf(), word);
    handleTooLong(core);
    expect(core.passwordNeeded).toBe(true);
    expect(signals).toEqual([]);
    expect(sent.match(/bad password/g)).toHaveLength(3);
  });

  it.each([
    ['secret', true],
    ['', false],
    ['secre', false],
    ['secret ', false],
    ['Secret', false],
  ])('is "%s": %s', (entered, right) => {
    expect(sameSecret(entered, 'secret')).toBe(right);
  });
});

describe('questions', () => {
  it('take user name and password of their own type only', async () => {
    const core = coreWith();
    core.connected(output);
    const asked = core.ask('user-pass', 'Auth', '', never);
    expect(sent).toContain(">PASSWORD:Need 'Auth' username/password\r\n");
    expect(answerOf('password "Private Key" x', core)).toBe(
      "ERROR: password of type 'Private Key' entered, but we need one of type 'Auth'\r\n",
    );
    expect(answerOf('username "Auth" "a \\"b\\""', core)).toBe(
      "SUCCESS: 'Auth' username entered, but not yet verified\r\n",
    );
    answerOf('password "Auth" ""', core);
    expect(await asked).toEqual({ username: 'a "b"', password: '' });
    expect(answerOf('password "Auth" x', core)).toMatch(/^ERROR: no password/);
  });

  it('take a long password in base64 from version 5 on', async () => {
    const core = coreWith();
    core.connected(output);
    const asked = core.ask('password', 'Private Key', '', never);
    expect(answerOf('password "Private Key"', core)).toMatch(/requires 2 parameters/);
    answerOf('version 5', core);
    answerOf('password "Private Key"', core);
    answerOf('Zm9v', core);
    answerOf('YmFy', core);
    expect(answerOf('END', core)).toMatch(/^SUCCESS/);
    expect((await asked).password).toBe('foobar');
  });

  it('are repeated to a client that comes later, and end with their signal', async () => {
    const core = coreWith();
    const aborter = new AbortController();
    const held = core.hold(5, aborter.signal);
    core.connected(output);
    expect(sent).toMatch(/>HOLD:Waiting for hold release:5\r\n$/);
    expect(answerOf('signal SIGUSR1', core)).toMatch(/^ERROR: signal 'SIGUSR1' is currently ignored\r\n>HOLD:/);
    expect(answerOf('signal SIGTERM', core)).toMatch(/^SUCCESS/);
    aborter.abort(new Error('over'));
    await expect(held).rejects.toThrow('over');
    expect(core.ignoresRestarts).toBe(false);
  });

  it('hold until they are released, and again in the next run', async () => {
    const core = coreWith();
    core.connected(output);
    const held = core.hold(0, never);
    answerOf('hold release', core);
    expect(await held).toBe(true);
    expect(core.wouldHold).toBe(false);
    core.forgetRelease();
    expect(core.wouldHold).toBe(true);
  });
});

describe('a wait that a long signal could end', () => {
  it.each([
    [
      'a question',
      (core: ManagementCore, signal: AbortSignal) => core.ask('password', 'Auth', '', signal),
      'password Auth x',
    ],
    ['a hold', (core: ManagementCore, signal: AbortSignal) => core.hold(0, signal), 'hold release'],
    [
      'a remote',
      (core: ManagementCore, signal: AbortSignal) => core.steer('>REMOTE:a', signal, () => 'taken'),
      'remote ACCEPT',
    ],
    [
      'a signature',
      (core: ManagementCore, signal: AbortSignal) => core.askLines('signature', '>PK_SIGN:', 'pk-sign', signal),
      'pk-sig\nEND',
    ],
  ] as const)('leaves nothing on it: %s', async (_, wait, lines) => {
    const core = coreWith();
    core.connected(output);
    const { signal } = new AbortController();
    const waited = wait(core, signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    for (const text of lines.split('\n')) answerOf(text, core);
    await waited;
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('leaves nothing on it: the answer to a pending login', async () => {
    const challenges = new ManagedChallenges();
    const { signal } = new AbortController();
    const challenge = { kind: 'pending', text: '?', echo: true, responseRequired: true, secondsLeft: 5 } as const;
    const answer = challenges.respond(challenge, signal);
    expect(challenges.handleResponse('!')).toBe(false);
    expect(challenges.handleResponse('eA==')).toBe(true);
    expect(await answer).toBe('x');
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(challenges.handleResponse('eA==')).toBe(false);
  });
});

describe('an answer of several lines', () => {
  it('is taken by the command that was asked for, and its success told', async () => {
    const core = coreWith();
    core.connected(output);
    const asked = core.askLines('certificate', '>NEED-CERTIFICATE:x', 'certificate', never);
    expect(sent).toMatch(/>NEED-CERTIFICATE:x\r\n$/);
    expect(answerOf('pk-sig', core)).toBe('ERROR: The pk-sig command is not currently available\r\n');
    expect(answerOf('certificate', core)).toBe('');
    answerOf('-----BEGIN', core);
    answerOf('END', core);
    expect(await asked).toEqual(['-----BEGIN']);
    expect(sent).toBe('SUCCESS: certificate command succeeded\r\n');
  });

  it('fails when nobody waits for it any more, and the next line is a command again', async () => {
    const core = coreWith();
    core.connected(output);
    const aborter = new AbortController();
    const asked = core.askLines('signature', '>PK_SIGN:x', 'pk-sign', aborter.signal);
    answerOf('pk-sig', core);
    answerOf('half', core);
    aborter.abort(new Error('over'));
    await expect(asked).rejects.toThrow('over');
    expect(sent).toBe('ERROR: pk-sign command failed\r\n');
    expect(answerOf('pid', core)).toBe('SUCCESS: pid=77\r\n');
  });

  it('can be begun anew by the next client', async () => {
    const core = coreWith();
    core.connected(output);
    const asked = core.askLines('signature', '>PK_SIGN:x', 'pk-sign', never);
    answerOf('pk-sig', core);
    core.disconnected();
    core.connected(output);
    expect(sent).toMatch(/>PK_SIGN:x\r\n$/);
    answerOf('pk-sig', core);
    answerOf('YQ==', core);
    answerOf('END', core);
    expect(await asked).toEqual(['YQ==']);
  });
});

describe('histories', () => {
  it('keep the newest, and end with END', () => {
    const core = coreWith();
    for (const text of ['a', 'b', 'c', 'd']) core.logged(7, 'I', text);
    expect(answerOf('log all', core)).toBe('7,I,b\r\n7,I,c\r\n7,I,d\r\nEND\r\n');
    expect(answerOf('log 1', core)).toBe('7,I,d\r\nEND\r\n');
    expect(answerOf('log on all', core)).toMatch(/^SUCCESS: real-time log notification set to ON\r\n7,I,b/);
    core.logged(8, 'W', 'e');
    expect(sent).toMatch(/>LOG:8,W,e\r\n$/);
  });

  it('a fatal line is the last that a client hears', () => {
    const core = coreWith();
    core.connected(output);
    core.logged(7, 'F', 'it broke');
    expect(sent).toMatch(/>FATAL:it broke\r\n$/);
    expect(halted).toBe(true);
  });

  it.each([
    ['server 10.8.0.0 255.255.255.0', ['ASSIGN_IP,,10.8.0.1,,,,', 'CONNECTED,SUCCESS,10.8.0.1,,,,']],
    [
      'server 10.8.0.0 255.255.255.0\nserver-ipv6 fd00:8::/64',
      ['ASSIGN_IP,,10.8.0.1,,,,,fd00:8::1', 'CONNECTED,SUCCESS,10.8.0.1,,,,,fd00:8::1'],
    ],
    ['mode server\ntls-server', ['CONNECTED,SUCCESS,,,,,']],
  ])('states of a server have its addresses in the tunnel: %s', (lines, states) => {
    const core = coreWith();
    const text = `dev tun\ntopology subnet\n${lines}\nca a\ncert b\nkey c\ndh none\n`;
    const { config } = parseConfig({ text, file: 'x' }, { readText: () => '' });
    tellServing(core, (config as Config).tunnel);
    expect(answerOf('state all', core)).toBe(`${states.map((state) => `1000,${state}\r\n`).join('')}END\r\n`);
  });
  it('states have all their fields', () => {
    const core = coreWith();
    core.state('CONNECTING');
    core.state('CONNECTED', 'SUCCESS', '10.8.0.2,192.0.2.1,1194,,');
    expect(answerOf('state all', core)).toBe(
      '1000,CONNECTING,,,,,,\r\n1000,CONNECTED,SUCCESS,10.8.0.2,192.0.2.1,1194,,\r\nEND\r\n',
    );
    expect(answerOf('state', core)).toMatch(/^1000,CONNECTED.*\r\nEND\r\n$/);
  });
});

describe('a server', () => {
  const client = {
    id: 4,
    name: 'alice',
    transport: 'udp',
    address: '192.0.2.7',
    port: 4000,
    bytesReceived: 10,
    bytesSent: 20,
  } as const;
  let kicked: [number, string | undefined][];
  let cid: number;

  function server() {
    const core = coreWith();
    core.connected(output);
    kicked = [];
    cid = 0;
    const commands = new ServerCommands(core, {
      clients: () => [client],
      clientIdOf: (id) => (id === client.id ? cid : undefined),
      kick: async (id, message) => {
        kicked.push([id, message]);
        return true;
      },
      pushUpdate: async () => [],
    });
    return { core, commands, say: (line: string) => answerOf(line, core, portsOf({ server: commands })) };
  }

  it('asks who may come in, and takes options with it', async () => {
    const { commands, say } = server();
    const judged = commands.judge(4, false, { username: 'alice' }, () => true, never);
    expect(sent).toMatch(
      />CLIENT:CONNECT,0,0\r\n>CLIENT:ENV,n_clients=1\r\n>CLIENT:ENV,username=alice\r\n>CLIENT:ENV,END\r\n$/,
    );
    expect(say('client-auth 0 1')).toBe('');
    expect(say('END')).toBe('ERROR: client-auth command failed\r\n');
    expect(say('client-pending-auth 0 0 CR_TEXT:R:PIN 20')).toMatch(/^SUCCESS/);
    say('client-auth 0 0');
    say('push "route 10.0.0.0"');
    expect(say('END')).toBe('SUCCESS: client-auth command succeeded\r\n');
    expect(await judged).toMatchObject({ accept: true, options: 'push "route 10.0.0.0"' });
    expect(say('client-deny 0 0 late')).toBe('ERROR: client-deny command failed\r\n');
    const again = commands.judge(4, true, {}, () => true, never);
    expect(sent).toContain('>CLIENT:REAUTH,0,1\r\n');
    expect(say('client-deny 0 1 "no more" "go away"')).toBe('SUCCESS: client-deny command succeeded\r\n');
    expect(await again).toMatchObject({ accept: false, reason: 'no more', clientReason: 'go away' });
  });

  it('names a client by the number that status has', async () => {
    const { commands } = server();
    void commands.judge(4, false, {}, () => true, never);
    commands.disconnected(4, {});
    expect(sent).toContain('>CLIENT:DISCONNECT,0\r\n>CLIENT:ENV,END\r\n');
    cid = 1;
    void commands.judge(4, false, {}, () => true, never);
    expect(sent).toContain('>CLIENT:CONNECT,1,0\r\n');
  });

  it.each([
    ['kill alice', "SUCCESS: common name 'alice' found, 1 client(s) killed"],
    ['kill bob', "ERROR: common name 'bob' not found"],
    ['kill udp:192.0.2.7:4000', 'SUCCESS: 1 client(s) at address udp:192.0.2.7:4000 killed'],
    ['kill tcp:192.0.2.7:4000', 'ERROR: client at address tcp-server:192.0.2.7:4000 not found'],
    ['kill udp:x:1', 'ERROR: error parsing IP address: x'],
    ['kill sctp:192.0.2.7:4000', 'ERROR: port number or protocol out of range: 4000 sctp'],
    ['client-kill x', 'ERROR: cannot parse CID'],
    ['client-kill 9', 'ERROR: client-kill command failed'],
  ])('%s', (line, answer) => {
    expect(server().say(line)).toBe(`${answer}\r\n`);
  });

  it('sends a client away with a message', () => {
    const { commands, say } = server();
    void commands.judge(4, false, {}, () => true, never);
    expect(say('client-kill 0 HALT')).toBe('SUCCESS: client-kill command succeeded\r\n');
    expect(kicked).toEqual([[4, 'HALT']]);
  });
});

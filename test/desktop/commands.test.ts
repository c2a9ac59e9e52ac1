// The pure parts of the commands, and the files of profiles in a folder of the test's own.

import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { asksForHelpOf, COMMAND_WORDS } from '../../apps/cli/main.ts';
import { argumentsFor } from '../../apps/desktop/background.ts';
import { bringFiles } from '../../apps/desktop/bring-files.ts';
import { COMMANDS } from '../../apps/desktop/command-table.ts';
import { completionFor, SHELLS } from '../../apps/desktop/completion.ts';
import { ask } from '../../apps/desktop/control-client.ts';
import { mayControl, openControl } from '../../apps/desktop/control-server.ts';
import { readPlan } from '../../apps/desktop/explain-host.ts';
import type { CommandIo } from '../../apps/desktop/io.ts';
import { lineVerdicts } from '../../apps/desktop/line-verdicts.ts';
import { runCommands } from '../../apps/desktop/main.ts';
import { readerAs } from '../../apps/desktop/owner-rights.ts';
import { hasRoom, makeRuntime, placesOf, runtimeProblem } from '../../apps/desktop/places.ts';
import { nameOfFile, nameProblem } from '../../apps/desktop/profile-name.ts';
import { trustProblem, writeWhole } from '../../apps/desktop/profiles.ts';
import { recover } from '../../apps/desktop/recover.ts';
import { forgetGone, lockStart } from '../../apps/desktop/start-lock.ts';
import { hasNetAdmin } from '../../src/command.ts';
import { checkProfile } from '../../src/config.ts';
import type { Recovered } from '../../src/tunnel/recover-steps.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-desktop-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function ioOf() {
  const said = { out: '', err: '' };
  const io: CommandIo = {
    write: (text) => {
      said.out += text;
    },
    complain: (text) => {
      said.err += text;
    },
    directory: folder,
    places: placesOf({ SALLYPORT_PROFILES: join(folder, 'p'), SALLYPORT_RUNTIME: join(folder, 'r') }, 0),
    uid: process.getuid?.() ?? 0,
    sudoUid: undefined,
    terminal: { output: false, error: false },
    nowUnix: () => 1000,
  };
  return { io, said };
}

describe('names', () => {
  it.each(['office', 'a.b', 'user@host', '0', 'x'.repeat(64), 'Büro', '東京', 'офис', 'مكتب', 'é'.repeat(32), 'हिन्दी'])(
    '%s is one',
    (name) => {
      expect(nameProblem(name)).toBeUndefined();
    },
  );
  it.each([
    ...['', '.', '..', 'a/b', '../a', 'a..b', '.hidden', '-x', 'a b', 'a\n', 'a\0', 'x'.repeat(65)],
    // Too many bytes, letters in parts, a mark without a letter, invisible, turning round what follows, a blank, a slash alike.
    ...[
      'é'.repeat(33),
      'Bu\u0308ro',
      '\u0308a',
      'a\u200bb',
      'a\u202eb',
      'a\u00a0b',
      'a\u2044b',
      'a\ud800',
      '🏢',
      'a\u0085b',
    ],
  ])('%j is none', (name) => {
    expect(nameProblem(name)).toBeDefined();
  });
  it.each([
    ['/tmp/My VPN.ovpn', 'My-VPN'],
    ['..ovpn', 'profile'],
    ['a....b.conf', 'a.b'],
    ['-rf.conf', 'rf'],
    ['/tmp/Büro Köln.ovpn', 'Büro-Köln'],
    ['Bu\u0308ro.ovpn', 'Büro'],
    [`${'é'.repeat(40)}.conf`, 'é'.repeat(32)],
    ['\u202eevil.ovpn', 'evil'],
  ])('%s gives a profile the name %s', (file, name) => {
    expect(nameOfFile(file)).toBe(name);
    expect(nameProblem(name)).toBeUndefined();
  });
});

describe('places', () => {
  it('of root are where only root writes, whatever XDG_CONFIG_HOME says', () => {
    expect(placesOf({ XDG_CONFIG_HOME: '/home/eve', HOME: '/home/eve' }, 0)).toEqual({
      profiles: ['/etc/openvpn/client'],
      imports: '/etc/openvpn/client',
      runtime: '/run/sallyport',
    });
    expect(placesOf({ HOME: '/home/max' }, 1000)).toEqual({
      profiles: ['/home/max/.config/sallyport', '/etc/openvpn/client'],
      imports: '/home/max/.config/sallyport',
      runtime: '/run/user/1000/sallyport',
    });
  });
  it.each([
    [0, 0o40711, undefined],
    [1000, 0o40711, 'belongs to another user'],
    [0, 0o40731, 'can be written by others'],
    [0, 0o40713, 'can be written by others'],
  ] as const)('a runtime folder of user %i with mode %o: %s', (uid, mode, problem) => {
    expect(runtimeProblem({ isDirectory: () => true, uid, mode }, 0)).toBe(problem);
  });
  it.each([
    [0o600, 0o755, undefined],
    [0o644, 0o755, undefined],
    [0o620, 0o755, 'others can write to it'],
    [0o602, 0o755, 'others can write to it'],
    [0o600, 0o777, 'others can write to its folder'],
    [0o600, 0o1777, undefined],
  ] as const)('a profile of mode %o in a folder of mode %o: %s', (mode, folderMode, problem) => {
    const path = join(folder, 'a.conf');
    writeFileSync(path, '');
    chmodSync(path, mode);
    chmodSync(folder, folderMode);
    const own = process.getuid?.() ?? 0;
    expect(trustProblem(path, own, undefined)).toBe(problem);
    if (problem === undefined && own !== 0) expect(trustProblem(path, own + 1, undefined)).toBeDefined();
    chmodSync(folder, 0o700);
  });
});

describe('the way to a profile that root is to use', () => {
  const other = 12_345;
  it.each<[string, () => string, RegExp | undefined]>([
    ['folders of its own', () => profileIn('a/b'), undefined],
    [
      "a folder of somebody else's further up",
      () => {
        const path = profileIn('theirs/roots');
        chownSync(join(folder, 'theirs'), other, other);
        return path;
      },
      /theirs belongs to another user$/,
    ],
    [
      'a folder further up that everybody can write',
      () => {
        const path = profileIn('open/roots');
        chmodSync(join(folder, 'open'), 0o777);
        return path;
      },
      /^others can write to .*open$/,
    ],
    [
      "a link into a folder of somebody else's",
      () => {
        const path = profileIn('theirs');
        chownSync(join(folder, 'theirs'), other, other);
        symlinkSync(path, join(folder, 'link.conf'));
        return join(folder, 'link.conf');
      },
      /theirs belongs to another user$/,
    ],
    [
      "somebody else's link",
      () => {
        symlinkSync(profileIn('a'), join(folder, 'link.conf'));
        lchownSync(join(folder, 'link.conf'), other, other);
        return join(folder, 'link.conf');
      },
      /link\.conf belongs to another user$/,
    ],
  ])('%s', (_, make, problem) => {
    if (process.getuid?.() !== 0) return;
    const found = trustProblem(make(), 0, undefined);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(problem);
  });

  function profileIn(where: string): string {
    mkdirSync(join(folder, where), { recursive: true });
    const path = join(folder, where, 'x.conf');
    writeFileSync(path, 'client\n', { mode: 0o600 });
    return path;
  }
});

describe('import', () => {
  it('keeps bytes that it need not change, and puts files in the place of their names', () => {
    const text =
      '\xef\xbb\xbf# caf\xe9\r\nclient\r\nca "my ca.crt" # here\r\ntls-auth ta.key 1\n<key>\nca x\n</key>\nca last';
    const { text: made, files } = bringFiles(text, 'x.ovpn', (path) => `<${path}>\r\nline`);
    expect(files).toEqual(['my ca.crt', 'ta.key', 'last']);
    expect(made).toBe(
      '\xef\xbb\xbf# caf\xe9\r\nclient\r\n<ca>\n<my ca.crt>\nline\n</ca>\nkey-direction 1\n<tls-auth>\n<ta.key>\nline\n</tls-auth>\n<key>\nca x\n</key>\n<ca>\n<last>\nline\n</ca>\n',
    );
  });
  it('takes binary PKCS#12 as base64, and refuses text that would end its block', () => {
    expect(bringFiles('pkcs12 a.p12', 'x', () => '\0\xff').text).toBe('<pkcs12>\nAP8=\n</pkcs12>\n');
    expect(() => bringFiles('ca a', 'x.ovpn', () => 'a\n </ca>\nup /tmp/evil\n')).toThrow(/x\.ovpn:1: a can't stand/);
  });
  it('reads lines as the parser does: names in UTF-8, and none of a line that is no line', () => {
    const text = Buffer.from("ca 'übung.crt'\nkey a\\x\ncert \"no end\n", 'utf8').toString('latin1');
    expect(bringFiles(text, 'x.ovpn', () => 'line').files).toEqual(['übung.crt']);
  });
  it('names line and file of what can not be read', () => {
    const read = (): string => {
      throw new Error('ENOENT');
    };
    expect(() => bringFiles('client\ncert me.crt', 'x.ovpn', read)).toThrow(
      "x.ovpn:2: cert names me.crt, which can't be read: ENOENT",
    );
  });
  it('names every file that can not be read, not only the first', async () => {
    const { io, said } = ioOf();
    writeFileSync(join(folder, 'a.ovpn'), 'client\nca none.pem\ncert me.crt\nkey me.key\n');
    expect(await runCommands(['import', 'a.ovpn'], io)).toBe(1);
    for (const [line, option, name] of [
      [2, 'ca', 'none.pem'],
      [3, 'cert', 'me.crt'],
      [4, 'key', 'me.key'],
    ]) {
      expect(said.err).toMatch(
        new RegExp(
          `^sallyport import: .*a\\.ovpn:${line}: ${option} names ${name}, which can't be read: No such file.*$`,
          'm',
        ),
      );
    }
    expect(said.err).toContain('without them: whoever gave it to you has the files. Put them where the lines say.');
    expect(existsSync(join(folder, 'p'))).toBe(false);
  });
  it('says who has a file that is missing, and what to do about one that may not be read', async () => {
    const { io, said } = ioOf();
    writeFileSync(join(folder, 'a.ovpn'), 'client\nca none.pem\n');
    expect(await runCommands(['import', 'a.ovpn'], io)).toBe(1);
    expect(said.err).toMatch(
      /a\.ovpn:2: ca names none\.pem, .*No such file.*\n {2}The profile is not whole without it/,
    );
    const hint = 'Put a copy beside the profile that its owner may read, or make the profile yours.';
    const read = (): string => {
      throw new Error('user 1234, whose profile it is, may not read it');
    };
    expect(() => bringFiles('ca a.pem', 'x.ovpn', read)).toThrow(expect.objectContaining({ hint }));
  });
  it('says of each line what becomes of it, and which programs would run', () => {
    const lines = [
      'client',
      'remote a',
      'auth-token x',
      'win-sys env',
      'frob',
      'proto bad',
      'up "/bin/x y"',
      '<ca>',
      'secret',
      '</ca>',
    ];
    const text = lines.join('\n');
    const { findings } = checkProfile({ text, file: 'x' }, { readText: () => undefined });
    const verdicts = lineVerdicts(text, 'x', findings);
    expect(verdicts.map(({ option, verdict }) => `${option}: ${verdict}`)).toEqual([
      'client: works',
      'remote: works',
      expect.stringMatching(/^auth-token: /),
      'win-sys: without effect',
      'frob: unknown',
      'proto: wrong',
      'up: works',
      'ca: works',
    ]);
    expect(verdicts.find(({ option }) => option === 'up')?.runs).toBe('/bin/x y');
    expect(verdicts.map((each) => each.text).join()).not.toContain('secret');
  });
  it('writes nothing over what is there, but with --force; mode 0600; nothing is left beside it', () => {
    const path = join(folder, 'a.conf');
    writeWhole(path, Buffer.from('one'), false);
    expect(() => writeWhole(path, Buffer.from('two'), false)).toThrow(/already/);
    expect(readFileSync(path, 'utf8')).toBe('one');
    writeWhole(path, Buffer.from('two'), true);
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['two', 0o600]);
  });
  it.skipIf(process.getuid?.() !== 0)('reads as root only what the owner of the profile could read', async () => {
    const { io, said } = ioOf();
    chmodSync(folder, 0o755);
    const make = (path: string, text: string, uid: number, mode: number) => {
      writeFileSync(join(folder, path), text);
      chmodSync(join(folder, path), mode);
      chownSync(join(folder, path), uid, uid);
    };
    make('root-only', 'max\ns3cret\n', 0, 0o600);
    make('open', 'max\ns3cret\n', 0, 0o644);
    make('own', 'max\ns3cret\n', 1234, 0o600);
    const profile = (names: string) => `client\nremote a\nauth-user-pass ${names}\n<ca>\nx\n</ca>\n`;
    for (const [name, file, uid, mode, code] of [
      ['a', 'root-only', 1234, 0o644, 1],
      ['b', 'open', 1234, 0o644, 0],
      ['c', 'own', 1234, 0o600, 0],
      ['d', 'root-only', 0, 0o600, 0],
      // Whoever can write to it has no rights of root by that.
      ['e', 'root-only', 0, 0o666, 1],
    ] as const) {
      make(`${name}.ovpn`, profile(join(folder, file)), uid, mode);
      expect(await runCommands(['import', `${name}.ovpn`], io), name).toBe(code);
      expect(said.err.includes('may not read it'), name).toBe(code !== 0);
      said.err = '';
    }
    make('f.ovpn', `${profile('open')}config ${join(folder, 'root-only')}\n`, 1234, 0o644);
    expect(await runCommands(['import', 'f.ovpn'], io)).toBe(1);
    expect(said.out + said.err).not.toContain('s3cret');
  });
  it.skipIf(process.getuid?.() !== 0)('reads as somebody else within bounds', () => {
    const read = readerAs(65_534, 0);
    expect(read('/dev/null').toString()).toBe('');
    expect(() => read('/dev/zero')).toThrow(/longer than/);
    expect(() => read(join(folder, 'none'))).toThrow(/^No such file or directory|may not read/);
    expect(() => read('/etc/shadow')).toThrow('user 65534, whose profile it is, may not read it');
  });
  it('is undone by export, byte for byte, and refuses a profile with errors', async () => {
    const { io, said } = ioOf();
    const text = '# \u00e9\r\nclient\r\nremote vpn.example.org\r\nauth-user-pass\r\n<ca>\nx\n</ca>\n';
    writeFileSync(join(folder, 'My office.ovpn'), text);
    expect(await runCommands(['import', 'My office.ovpn'], io)).toBe(0);
    expect(await runCommands(['import', 'My office.ovpn'], io)).toBe(1);
    said.out = said.err = '';
    expect(await runCommands(['export', 'My-office'], io)).toBe(0);
    expect(said.out).toBe(text);
    for (const path of ['none/x', 'My office.ovpn/x']) {
      expect(await runCommands(['export', 'My-office', path], io), path).toBe(1);
      expect(said.err).toMatch(/x can't be written: .*\n {2}Its folder has to be there\.\n$/);
      said.err = '';
    }
    expect(existsSync(join(folder, 'none'))).toBe(false);
    writeFileSync(join(folder, 'bad.ovpn'), 'client\nfrob 1\n');
    expect(await runCommands(['import', 'bad.ovpn'], io)).toBe(1);
    expect(said.err).toMatch(/not imported: .*bad\.ovpn:2: Unrecognized option/);
    expect(await runCommands(['show', 'bad'], io)).toBe(10);
  });
});

describe('the command line', () => {
  it('knows the same words in the launcher, the command, the table and the completion', () => {
    const names = COMMANDS.map(({ name }) => name);
    expect([...COMMAND_WORDS]).toEqual(names);
    const launcher = readFileSync(new URL('../../bin/sallyport.js', import.meta.url), 'utf8');
    for (const name of names) expect(launcher).toMatch(new RegExp(`[' ]${name}[' ]`));
    for (const shell of SHELLS) for (const name of names) expect(completionFor(shell)).toContain(name);
  });
  it.each([
    [['show'], 2],
    [['show', '../x'], 2],
    [['show', 'x'], 10],
    [['show', 'x', 'y'], 2],
    [['down'], 8],
    [['status', '--frob'], 2],
    [['up', 'x', '--wait', 'long'], 2],
    [['completion', 'csh'], 2],
    [['delete', 'x'], 10],
    [['help', 'up'], 0],
    [['help', 'pu'], 2],
  ] as const)('%j ends with %i', async (argv, code) => {
    const { io, said } = ioOf();
    expect(await runCommands(argv, io)).toBe(code);
    if (code !== 0) expect(said.err).toMatch(/^sallyport [a-z]+: /);
  });
  it('is asked for help of one word, whatever it is', () => {
    expect(asksForHelpOf(['help', 'up'])).toBe(true);
    expect(asksForHelpOf(['help', 'pu'])).toBe(true);
    for (const argv of [[], ['help'], ['help', 'help'], ['help', '--help'], ['up', 'pu']]) {
      expect(asksForHelpOf(argv), argv.join(' ')).toBe(false);
    }
  });
  it('of the process in the background has what was asked of up', () => {
    const options = { ask: true, onlyItsNetworks: false, allowIpv6Leak: false, waitSeconds: 1, json: false };
    const args = argumentsFor('a.conf', options);
    expect(args.slice(-3)).toEqual(['--config', 'a.conf', '--auth-user-pass']);
    expect(args.includes('--block-ipv6-leak')).toBe(true);
    expect(argumentsFor('a.conf', { ...options, onlyItsNetworks: true })).toContain('--only-its-networks');
  });
});

describe('the folder of sockets and logs', () => {
  it.each([
    ['has room', { bavail: 4, ffree: 4 }, true],
    ['has no room where blocks are gone', { bavail: 3, ffree: 400 }, false],
    ['has no room where files are gone', { bavail: 400, ffree: 3 }, false],
    ['has room where no blocks are counted', { blocks: 0, bavail: 0, ffree: 4 }, true],
    ['has room where no files are counted', { bavail: 4, files: 0, ffree: 0 }, true],
  ])('%s', (_title, facts, expected) => {
    expect(hasRoom({ type: 0, bsize: 4096, blocks: 500, bfree: 0, files: 500, ...facts })).toBe(expected);
  });
});

describe('the lock on a start', () => {
  it('is had by one at a time, keeps the log until a new one begins, and is let go of', async () => {
    const { places } = ioOf().io;
    makeRuntime(places, process.getuid?.() ?? 0);
    const path = join(places.runtime, 'office.log');
    writeFileSync(path, 'the last run\n');
    const first = await lockStart('office', places);
    await expect(lockStart('office', places)).rejects.toThrow('another sallyport up office is at work');
    expect(readFileSync(path, 'utf8')).toBe('the last run\n');
    first.newLog();
    expect(readFileSync(path, 'utf8')).toBe('');
    (await lockStart('home', places)).release();
    writeFileSync(join(places.runtime, 'office.json'), '{}');
    await forgetGone(places, 'office');
    expect(existsSync(join(places.runtime, 'office.json'))).toBe(true);
    first.release();
    await forgetGone(places, 'office');
    expect(existsSync(join(places.runtime, 'office.json'))).toBe(false);
  });
});

describe('recover', () => {
  const process = (changes: readonly Recovered[]) => ({ pid: 7, profile: 'office.conf', changes });
  const restored = { result: 'restored', text: 'removed the route 10.0.0.0/8' } as const;
  const left = { result: 'left', text: 'left /etc/resolv.conf', reason: 'it was changed since' } as const;
  const failed = { result: 'failed', text: 'put back the route 0.0.0.0/0', reason: 'no such device' } as const;
  it.skipIf(!hasNetAdmin()).each([
    [{ processes: [], elsewhere: 0, problems: [] }, 0, 'There is nothing to put right.\n', ''],
    [
      { processes: [process([restored, left])], elsewhere: 2, problems: [] },
      0,
      'Process 7 (office.conf) was killed.\n  removed the route 10.0.0.0/8\n  left /etc/resolv.conf: it was changed since\n2 of another network namespace: recover there.\n',
      '',
    ],
    [
      { processes: [process([failed])], elsewhere: 0, problems: [] },
      1,
      'Process 7 (office.conf) was killed.\n  could not do this: put back the route 0.0.0.0/0 (no such device)\n',
      '',
    ],
    [{ processes: [], elsewhere: 0, problems: ['x is not read'] }, 1, '', 'sallyport recover: x is not read\n'],
  ] as const)('tells what was restored, left and why: %j ends with %i', async (recovery, code, out, err) => {
    const { io, said } = ioOf();
    expect(await recover({ dryRun: false, json: false }, io, async () => recovery)).toBe(code);
    expect(said).toEqual({ out, err });
    said.out = '';
    expect(await recover({ dryRun: true, json: true }, io, async () => recovery)).toBe(code);
    expect(JSON.parse(said.out)).toEqual({ dryRun: true, ...recovery });
  });
});

describe('the control socket', () => {
  const order = () => ({
    name: 'office',
    profile: '/p',
    socket: join(folder, 'office.sock'),
    record: join(folder, 'office.json'),
  });
  const asked = (path: string, method = 'GET') =>
    new Promise<number | undefined>((resolve, reject) => {
      const sent = request({ socketPath: order().socket, path, method, agent: false }, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode));
      });
      sent.on('error', reject);
      sent.end();
    });
  const end = { exitCode: 0, message: null, hint: null };

  it.each([
    [0, 1000, true],
    [1000, 1000, true],
    [1001, 1000, false],
    [undefined, 1000, false],
    [1000, 0, false],
  ])('user %s may control a tunnel of user %i: %s', (uid, owner, allowed) => {
    expect(mayControl(uid, owner)).toBe(allowed);
  });
  it('answers its owner, whom the kernel names, and has mode 0600', async () => {
    const control = await openControl(order());
    expect(await asked('/status')).toBe(200);
    expect(await asked('/nothing')).toBe(404);
    expect(statSync(order().socket).mode & 0o777).toBe(0o600);
    await control.close(end);
    await expect(asked('/status')).rejects.toThrow(/ENOENT/);
  });
  it.each(['/status', '/log', '/events', '/plan'])('refuses %s to another user', async (path) => {
    const control = await openControl(order(), () => (process.getuid?.() ?? 0) + 4242);
    expect(await asked(path)).toBe(403);
    expect(await asked('/down', 'POST')).toBe(403);
    await control.close(end);
  });
  it('answers GET /plan with what explain reads of it', async () => {
    const control = await openControl(order());
    const routes = [{ prefix: '10.0.0.0/8', origin: 'server' }];
    const plan = { device: 'tun0', routes, dns: { servers: [], searchDomains: [] } };
    const remote = { family: 4, address: Uint8Array.of(192, 0, 2, 1), port: 1194, scopeId: 0 };
    const places = { ...ioOf().io.places, runtime: folder };
    expect(await ask(places, 'office', 'GET', '/plan')).toBeNull();
    control.observer.state({ phase: 'connected', plan, remote, cipher: undefined } as never);
    expect(readPlan('office', await ask(places, 'office', 'GET', '/plan'))).toMatchObject({
      name: 'office',
      device: 'tun0',
      routes,
    });
    await control.close(end);
  });
  it('is refused to a second tunnel of the name, and taken over from one that is dead', async () => {
    writeFileSync(order().socket, '');
    const first = await openControl(order());
    await expect(openControl(order())).rejects.toThrow('office is up already');
    expect(await asked('/status')).toBe(200);
    await first.close(end);
  });
  it('does not wait for a reader that reads nothing', async () => {
    const control = await openControl(order());
    let sink: (line: never) => void = () => {};
    const logger = control.tap({
      log() {},
      setVerb() {},
      setMute() {},
      setTap() {},
      verb: 1,
      mute: 0,
      setSink: (next) => {
        sink = next as never;
      },
    });
    logger.setSink(() => {});
    const reader = connect(order().socket);
    reader.write('GET /log?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n');
    await new Promise((resolve) => reader.once('readable', resolve));
    const dropped = new Promise((resolve) => reader.on('close', resolve).on('error', () => {}));
    const line = { flags: 0, text: 'x'.repeat(10_000), unixSeconds: 0, microseconds: 0, showMicroseconds: false };
    for (let i = 0; i < 500; i++) sink(line as never);
    reader.resume();
    await dropped;
    await control.close(end);
  });
  it('fails a question at once where nobody listens', async () => {
    const control = await openControl(order());
    await expect(control.terminal.ask({ prompt: 'Code', echo: false }, new AbortController().signal)).rejects.toThrow(
      '"Code" is asked, and nobody is there to answer',
    );
    await control.close(end);
  });
});

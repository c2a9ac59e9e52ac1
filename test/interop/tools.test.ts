// The lists of `--show-…` and `--test-crypto`: the same command lines before the real program and before ours.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunResult, run } from '../lab/process.ts';
import { clientCommand, labSuite, peerProgram } from '../lab/requirements.ts';

const ours = clientCommand();
const real = [peerProgram('2.7')];
const folder = mkdtempSync(join(tmpdir(), 'sallyport-tools-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ask = (program: readonly string[], line: string, wrap: readonly string[] = []): Promise<RunResult> =>
  run([...wrap, ...program, ...line.split(' ')], { cwd: folder, anyCode: true });

/** What both must say alike: no time, no title, none of ours that begins with two blanks. */
const said = ({ code, stdout }: RunResult): object => ({
  code,
  // 2.7 warns of a small block for each key that it makes.
  lines: [
    ...new Set(
      stdout
        .split('\n')
        .map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /, ''))
        .filter(
          (line) =>
            !/^( {2}|OpenVPN 2|library versions|DCO version|No tls-client|Note: |OpenSSL: )/.test(line) && line !== '',
        ),
    ),
  ],
});

/** Lines of a list, without its sentences. */
const entries = ({ stdout }: RunResult, form: RegExp): string[] => stdout.split('\n').filter((line) => form.test(line));

labSuite('what prints and ends', () => {
  it.each([
    '--test-crypto --cipher AES-256-GCM',
    '--test-crypto --cipher AES-128-CBC --auth SHA512',
    '--test-crypto --cipher CHACHA20-POLY1305 --tun-mtu 2000',
    '--test-crypto --cipher none --verb 3',
    '--test-crypto --cipher DES-EDE3-CBC',
    '--test-crypto --cipher BF-CBC --providers legacy default',
    '--test-crypto --cipher AES-256-GCM --providers foo',
    '--test-crypto --cipher AES-256-GCM --verb 0',
    '--test-crypto',
    '--test-crypto --cipher FOO',
    '--test-crypto --cipher AES-256-CBC --auth FOO',
    '--test-crypto --secret static.key --cipher AES-256-CBC',
    '--show-tls --tls-cert-profile foo',
    '--show-ciphers --no-such-option',
    '--show-gateway a b',
  ])('%s ends and says the same as OpenVPN 2.7', async (line) => {
    await run([...real, '--genkey', 'secret', join(folder, 'static.key')]);
    const strip = (text: string): string => text.replace(/ \(\[CMD-LINE\]:1\)/g, '').replace(/\n\n[^\n]+\n\n$/, '\n');
    const [theirs, mine] = [await ask(real, line), await ask(ours, line)];
    if (line.includes('tls-cert-profile')) {
      // 2.7 has printed half of its list before it looks.
      expect(theirs.stdout.endsWith('Exiting due to fatal error\n')).toBe(true);
      expect(mine.stdout).toContain('ERROR: Invalid cert profile: foo');
      expect(mine.code).toBe(theirs.code);
      return;
    }
    expect(said({ ...mine, stdout: strip(mine.stdout) })).toEqual(said({ ...theirs, stdout: strip(theirs.stdout) }));
  });

  it('every cipher listed is one that OpenVPN 2.7 lists, with the same figures', async () => {
    const form = /^\S+ {2}\(\d+ bit key/;
    const [theirs, mine] = [await ask(real, '--show-ciphers'), await ask(ours, '--show-ciphers')];
    const list = entries(mine, form);
    expect(list.length).toBeGreaterThan(10);
    expect(list.filter((line) => !entries(theirs, form).includes(line))).toEqual([]);
  });

  it('every digest listed is one that OpenVPN 2.7 lists, with the same length', async () => {
    const form = /^\S+ \d+ bit digest size$/;
    const theirs = entries(await ask(real, '--show-digests'), form).map((line) => line.toUpperCase());
    const list = entries(await ask(ours, '--show-digests'), form);
    expect(list.length).toBeGreaterThan(10);
    expect(list.filter((line) => !theirs.includes(line.toUpperCase()))).toEqual([]);
  });

  it.each([
    '--show-tls',
    '--show-tls --tls-cert-profile suiteb',
    '--show-tls --tls-cert-profile preferred',
    '--show-tls --tls-cipher TLS-DHE-RSA-WITH-AES-128-CBC-SHA:TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384',
    '--show-tls --tls-cipher DEFAULT:!AESGCM',
    '--show-tls --tls-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384',
  ])('%s lists what OpenVPN 2.7 lists, in its order', async (line) => {
    const form = /^TLS[-_]/;
    const [theirs, mine] = [await ask(real, line), await ask(ours, line)];
    expect(entries(mine, form).length).toBeGreaterThan(2);
    expect(entries(mine, form)).toEqual(entries(theirs, form));
  });

  it('an old name in tls-cipher is said to be old, with the new one', async () => {
    const line = '--show-tls --tls-cipher ECDHE-RSA-AES256-GCM-SHA384';
    const words =
      "Deprecated TLS cipher name 'ECDHE-RSA-AES256-GCM-SHA384', please use IANA name 'TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384'";
    expect((await ask(real, line)).stdout).toContain(words);
    expect((await ask(ours, line)).stdout).toContain(words);
  });

  it('a list of TLS ciphers of which nothing is known ends both with exit code 1', async () => {
    const line = '--show-tls --tls-cipher FOO';
    expect([(await ask(real, line)).code, (await ask(ours, line)).code]).toEqual([1, 1]);
  });

  it('groups that are listed are groups that OpenVPN 2.7 takes for tls-groups', async () => {
    const names = entries(await ask(ours, '--show-groups'), /^[\w-]+$/);
    expect(names).toEqual(expect.arrayContaining(['X25519', 'prime256v1', 'secp384r1']));
    expect((await ask(ours, '--show-curves')).stdout).toBe((await ask(ours, '--show-groups')).stdout);
  });

  it.each(['--show-ciphers', '--show-digests', '--show-engines', '--show-groups', '--version', '--verb 3 --version'])(
    '%s ends both with exit code 0',
    async (line) => {
      expect([(await ask(real, line)).code, (await ask(ours, line)).code]).toEqual([0, 0]);
    },
  );

  it('--help ends both with exit code 1, whatever else is asked', async () => {
    expect([(await ask(real, '--verb 3 --help')).code, (await ask(ours, '--verb 3 --help')).code]).toEqual([1, 1]);
  });

  it('--show-pkcs11-ids is refused by name', async () => {
    const { code, stdout } = await ask(ours, '--show-pkcs11-ids');
    expect(code).toBe(1);
    expect(stdout).toContain('show-pkcs11-ids');
  });

  describe('--show-gateway', () => {
    const name = `sp-gw-${process.pid}`;
    const inside = ['ip', 'netns', 'exec', name];
    const setUp = [
      'link set lo up',
      'link add out type veth peer name far',
      'link set far up',
      'link set out address 02:00:5e:00:00:01 up',
      'address add 10.77.0.2/25 dev out',
      'address add fd77::2/64 dev out nodad',
    ];
    beforeAll(async () => {
      await run(['ip', 'netns', 'add', name]);
      for (const line of setUp) await run(['ip', '-n', name, ...line.split(' ')]);
    });
    afterAll(() => run(['ip', 'netns', 'del', name]));

    it.each([
      '--show-gateway',
      '--show-gateway 198.51.100.7',
      '--show-gateway 10.77.0.9',
      '--show-gateway 127.0.0.1',
      '--show-gateway 2001:db8::7',
      '--show-gateway fd77::9',
      '--suppress-timestamps --show-gateway',
    ])('%s prints what OpenVPN 2.7 prints', async (line) => {
      await run(['ip', '-n', name, 'route', 'replace', 'default', 'via', '10.77.0.1']);
      await run(['ip', '-n', name, '-6', 'route', 'replace', 'default', 'via', 'fd77::1']);
      const [theirs, mine] = [await ask(real, line, inside), await ask(ours, line, inside)];
      expect(theirs.stdout).toContain('ROUTE6_GATEWAY');
      expect(said(mine)).toEqual(said(theirs));
    });

    it('says so where there is no way', async () => {
      await run(['ip', '-n', name, 'route', 'flush', 'default']);
      await run(['ip', '-n', name, '-6', 'route', 'flush', 'default']);
      const { code, stdout } = await ask(ours, '--show-gateway 198.51.100.7', inside);
      expect(code).toBe(0);
      expect(stdout).toContain('There is no way out by IPv4.');
      expect(stdout).toContain('There is no way out by IPv6.');
    });
  });

  it('--help names every option that the real one names, with arguments where it names some', async () => {
    const [theirs, mine] = [await ask(real, '--help'), await ask(ours, '--help')];
    expect(mine.code).toBe(theirs.code);
    const named = options(theirs, /^--([a-z0-9-]+) *([^:]*?) *(?::|$)/gm);
    const ownNames = options(mine, /^ {2}--([a-z0-9-]+)(?: (\S.*?))?(?: {2}|$)/gm);
    expect(named.size).toBeGreaterThan(200);
    expect([...named.keys()].filter((name) => !ownNames.has(name))).toEqual([]);
    expect([...named].filter(([name, takes]) => takes && !ownNames.get(name)).map(([name]) => name)).toEqual([]);
  });
});

/** Options in a `--help`, by name: whether an argument is named. */
function options({ stdout }: RunResult, line: RegExp): ReadonlyMap<string, boolean> {
  const found = new Map<string, boolean>();
  for (const [, name = '', args = ''] of stdout.matchAll(line))
    found.set(name, found.get(name) === true || args !== '');
  return found;
}

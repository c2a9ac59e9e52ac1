import { describe, expect, it } from 'vitest';
import { cipherVerdict } from '../../src/config/ciphers.ts';
import { nearestOption, OPTION_GROUPS, OPTIONS } from '../../src/config/option-table.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { parsePush } from '../../src/config/push.ts';
import { usageText } from '../../src/config/usage.ts';
import { cipherFacts } from '../../src/crypto/cipher-table.ts';
import { OPENVPN_VERSION } from '../../src/version.ts';

const rows = [...OPTIONS.values()];
const host = { readText: () => undefined };
const CLIENT = 'client\nremote vpn.example.com\nca ca.crt\nauth-user-pass\n';

describe('the option table', () => {
  it('has every option once', () => {
    const all = OPTION_GROUPS.flatMap((group) => group.rows.map((row) => row.name));
    expect(new Set(all).size).toBe(all.length);
    expect(all.length).toBe(330);
  });

  it('says something about every option, as a sentence', () => {
    expect(rows.filter((row) => !/^[A-Z].*\.$/.test(row.help)).map((row) => row.name)).toEqual([]);
  });

  it('gives a reason for everything that does not work, and says what to do about what is refused', () => {
    for (const { name, status } of rows) {
      if (status.kind !== 'works') expect(status.reason.length, name).toBeGreaterThan(10);
      if (status.kind === 'refused') expect(status.advice, name).toMatch(/^[A-Z].*\.$/);
    }
  });

  it('tells what to do instead of a deprecated option, as a sentence', () => {
    const instead = rows.flatMap((row) => (row.deprecated === undefined ? [] : [row.deprecated.instead]));
    expect(instead.filter((each) => !/^[A-Z].*\.$/.test(each))).toEqual([]);
  });

  it('has sensible numbers of words', () => {
    expect(rows.filter((row) => row.minWords > row.maxWords || row.maxWords > 15).map((row) => row.name)).toEqual([]);
  });

  it('has the option of which another is an alias', () => {
    expect(rows.filter((row) => row.aliasOf !== undefined && !OPTIONS.has(row.aliasOf)).map((row) => row.name)).toEqual(
      [],
    );
  });

  it('never lets a server push a program, a file or a plug-in', () => {
    const pushable = rows.filter((row) => row.pushable).map((row) => row.name);
    for (const name of [
      'up',
      'down',
      'route-up',
      'ipchange',
      'tls-verify',
      'plugin',
      'script-security',
      'ca',
      'key',
      'config',
      'log',
      'setenv',
      'management',
      'writepid',
      'user',
      'chroot',
      'cd',
      'remote',
      'dns-updown',
      'iproute',
      'route-noexec',
    ]) {
      expect(pushable).not.toContain(name);
    }
    expect(pushable).toEqual(expect.arrayContaining(['route', 'ifconfig', 'ping', 'dhcp-option', 'cipher', 'peer-id']));
  });

  it.each(rows.map((row) => [row.name, row] as const))('lets the parser know %s', (name, row) => {
    const words = Array.from({ length: row.minWords }, () => '1').join(' ');
    const { findings } = parseConfig({ text: `${CLIENT}${name} ${words}\n`, file: 'x' }, host);
    const unrecognized = `Unrecognized option or missing or extra parameter(s) in x:5: ${name} (${OPENVPN_VERSION})`;
    expect(findings.map((each) => each.message)).not.toContain(unrecognized);
    const said = findings.filter((each) => each.option === (row.aliasOf ?? name) || each.option === name);
    if (row.contexts.includes('ccd-only')) {
      expect(said.map((each) => each.message)).toEqual([`option '${name}' cannot be used in this context (x)`]);
      return;
    }
    if (row.status.kind === 'refused') expect(said.some((each) => each.severity === 'error')).toBe(true);
    if (row.status.kind === 'not-yet') expect(said.some((each) => each.kind === 'not-yet')).toBe(true);
    if (row.status.kind === 'no-effect') expect(said.some((each) => each.kind === 'ignored')).toBe(true);
  });

  it.each(rows.map((row) => [row.name, row] as const))('decides by its class whether %s may be pushed', (name, row) => {
    const { config } = parseConfig({ text: CLIENT, file: 'x' }, host);
    if (config === undefined) throw new Error('the profile is wrong');
    const option = [name, ...Array.from({ length: row.minWords }, () => '1')].join(' ');
    const { verdicts } = parsePush([option], config, 'push-reply');
    const words = `Options error: option '${name}' cannot be used in this context ([PUSH-OPTIONS])`;
    expect(verdicts.some((each) => each.text === words)).toBe(!row.pushable);
  });

  it.each([
    ['remtoe', 'remote'],
    ['data_ciphers', 'data-ciphers'],
    ['chiper', 'cipher'],
    ['authuserpass', 'auth-user-pass'],
    ['NOBIND', 'nobind'],
    ['remote-cert-tsl', 'remote-cert-tls'],
    ['xyzzy-plugh-frotz', undefined],
  ])('thinks that %s means %s', (written, meant) => {
    expect(nearestOption(written)).toBe(meant);
  });

  it('knows the ciphers that the data channel knows', () => {
    for (const name of [
      'AES-128-GCM',
      'AES-256-CBC',
      'CHACHA20-POLY1305',
      'CAMELLIA-256-CBC',
      'BF-CBC',
      'DES-EDE3-CBC',
      'AES-256-CFB',
      'RC2-CBC',
      'none',
    ]) {
      const facts = cipherFacts(name);
      const verdict = cipherVerdict(name, []);
      expect(verdict, name).toBe(facts === undefined ? 'unknown' : facts.smallBlock ? 'short-block' : 'known');
    }
  });
});

describe('the help text', () => {
  it('shows every option with what it does', () => {
    const text = usageText();
    for (const row of rows) expect(text).toContain(`--${row.name}`);
    expect(text).toContain('The connection:');
    // How the program is called is for the program to say, once.
    expect(text).not.toContain('Usage');
  });

  it('is not wider than 100 columns, but where an argument text is', () => {
    const wide = usageText()
      .split('\n')
      .filter((line) => line.length > 100);
    expect(wide).toEqual([]);
  });
});

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCheck } from '../../apps/cli/check.ts';
import { missingFileLines } from '../../apps/cli/named-files.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { makePki, type Pki } from '../lab/pki.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-check-'));
let pki: Pki;
beforeAll(async () => {
  pki = await makePki(join(dir, 'pki'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const PROFILE = 'client\nremote a\nca ca.crt\nremote-cert-tls server\nauth-user-pass\nauth-nocache\n';

let out = '';
let err = '';
const io = {
  write: (text: string) => {
    out += text;
  },
  complain: (text: string) => {
    err += text;
  },
  directory: dir,
};

function write(name: string, text: string | Uint8Array, mode = 0o600): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return name;
}

beforeEach(() => {
  out = '';
  err = '';
  write('ca.crt', readFileSync(pki.ca.cert), 0o644);
});

describe('sallyport check', () => {
  it('ends with 0 for a profile in order', async () => {
    expect(await runCheck([write('good.ovpn', PROFILE)], io)).toBe(0);
    expect(out).toBe('good.ovpn: nothing to complain about\n');
  });

  it('ends with 0 for warnings, which it shows with line, meaning and advice', async () => {
    expect(await runCheck([write('old.ovpn', `${PROFILE}comp-lzo\n`)], io)).toBe(0);
    expect(out).toContain('old.ovpn:7: warning (deprecated): DEPRECATED OPTION: --comp-lzo (since OpenVPN 2.4)');
    expect(out).toContain('    Remove it on both sides.\n');
    expect(out).toContain('old.ovpn: can be used; 0 errors, 2 warnings, 0 notes\n');
  });

  it.each(['--help', '-h'])('shows its usage for %s and ends with 0', async (word) => {
    expect(await runCheck([word], io)).toBe(0);
    expect([out, err]).toEqual(['Usage: sallyport check FILE… [--json]\n', '']);
  });

  it('ends with 1 if one of several files cannot be used', async () => {
    const files = [write('good.ovpn', PROFILE), write('bad.ovpn', `${PROFILE}nobindd\n`)];
    expect(await runCheck(files, io)).toBe(1);
    expect(out).toContain('good.ovpn: nothing to complain about');
    expect(out).toContain('bad.ovpn:7: error (unknown): ');
    expect(out).toContain('    Did you mean nobind?\n');
    expect(out).toContain('bad.ovpn: cannot be used; 1 error, 0 warnings, 0 notes\n');
  });

  it('refuses a device without an end, as a profile and as a file that one includes', async () => {
    expect(await runCheck(['/dev/zero', write('endless.ovpn', `${PROFILE}config /dev/zero\n`)], io)).toBe(1);
    expect(out).toContain('Error opening configuration file: /dev/zero: it is a device, not a file\n');
    expect(out).toContain('endless.ovpn:7: error (invalid): ');
  });

  it('names the file that has nothing in it', async () => {
    expect(await runCheck([write('empty.ovpn', '')], io)).toBe(1);
    expect(out).toContain('empty.ovpn:1: error (invalid): ');
    expect(out).not.toContain('CMD-LINE');
  });

  it('writes JSON that programs can read', async () => {
    expect(await runCheck(['--json', write('bad.ovpn', `${PROFILE}nobindd\n`), write('good.ovpn', PROFILE)], io)).toBe(
      1,
    );
    expect(JSON.parse(out)).toMatchObject([
      {
        file: 'bad.ovpn',
        usable: false,
        findings: [
          {
            file: 'bad.ovpn',
            line: 7,
            severity: 'error',
            kind: 'unknown',
            option: 'nobindd',
            advice: 'Did you mean nobind?',
          },
        ],
      },
      { file: 'good.ovpn', usable: true, findings: [] },
    ]);
  });

  it('says why it cannot read a file', async () => {
    expect(await runCheck(['nothing.ovpn', '.'], io)).toBe(1);
    expect(out).toContain(
      'nothing.ovpn: error (invalid): config: Error opening configuration file: nothing.ovpn: No such file or directory',
    );
    expect(out).toContain('Error opening configuration file: .: Is a directory');
  });

  it('reads included files, and names them', async () => {
    write('more.conf', 'verb 3\nfrobnicate\n');
    expect(await runCheck([write('outer.ovpn', `${PROFILE}config more.conf\n`)], io)).toBe(1);
    expect(out).toContain('more.conf:2: error (unknown)');
  });

  it('misses files that the profile names', async () => {
    expect(await runCheck([write('key.ovpn', `${PROFILE}cert own.crt\nkey own.key\n`)], io)).toBe(1);
    expect(out).toContain("key.ovpn:7: error (invalid): --cert fails with 'own.crt': No such file or directory");
    expect(out).toContain("key.ovpn:8: error (invalid): --key fails with 'own.key': No such file or directory");
  });

  it('a start is refused with the place where a missing file is named', () => {
    const { config } = parseConfig(
      { file: 'key.ovpn', text: `${PROFILE}cert own.crt\nkey own.key\ncapath none\ncrl-verify gone dir\n` },
      { readText: () => undefined },
    );
    expect(missingFileLines(config!, dir)).toEqual([
      "Options error: --capath fails with 'none': No such file or directory (errno=2) in key.ovpn:9",
      "Options error: --cert fails with 'own.crt': No such file or directory (errno=2) in key.ovpn:7",
      "Options error: --key fails with 'own.key': No such file or directory (errno=2) in key.ovpn:8",
      "Options error: --crl-verify directory fails with 'gone': No such file or directory (errno=2) in key.ovpn:10",
      'Options error: Please correct these errors.',
    ]);
  });

  it.each([
    [['tls-crypt gone.key'], 'where there is none yet, sallyport --genkey tls-crypt gone.key makes one for both ends.'],
    [['tls-auth gone.key 1'], 'where there is none yet, sallyport --genkey tls-auth gone.key makes one for both ends.'],
    [['tls-crypt-v2 gone.key'], 'made for this client (--genkey tls-crypt-v2-client).'],
  ])('says of a key that is not there how it is made: %j', async (lines, advice) => {
    const text = `${PROFILE}${lines.join('\n')}\n`;
    expect(await runCheck([write('key.ovpn', text)], io)).toBe(1);
    expect(out).toContain(advice);
    const { config } = parseConfig({ file: 'key.ovpn', text }, { readText: () => undefined });
    expect(missingFileLines(config!, dir)[1]).toContain(advice);
  });

  it('says of the keys of a server which command makes them', async () => {
    const text = `dev tun\nserver 10.8.0.0 255.255.255.0\ndh none\nca ca.crt\ncert own.crt\nkey own.key\ntls-crypt-v2 v2.key\nauth-gen-token\nauth-gen-token-secret t.key\n`;
    expect(await runCheck([write('server.conf', text)], io)).toBe(1);
    expect(out).toContain('make one: sallyport --genkey tls-crypt-v2-server v2.key');
    expect(out).toContain('make one: sallyport --genkey auth-token t.key');
  });

  it('warns of a key that others can read', async () => {
    write('own.crt', readFileSync(pki.client.cert), 0o644);
    write('own.key', readFileSync(pki.client.key), 0o640);
    expect(await runCheck([write('key.ovpn', `${PROFILE}cert own.crt\nkey own.key\n`)], io)).toBe(0);
    expect(out).toContain(
      "key.ovpn:8: warning (unsafe): key: file 'own.key' is group or others accessible\n    chmod 600 own.key\n",
    );
    out = '';
    write('own.key', readFileSync(pki.client.key), 0o600);
    expect(await runCheck(['key.ovpn'], io)).toBe(0);
    expect(out).toBe('key.ovpn: nothing to complain about\n');
  });

  it('misses files and folders that a server names', async () => {
    const lines = [
      'dev tun',
      'server 10.8.0.0 255.255.255.0',
      'keepalive 10 60',
      'ca ca.crt',
      'cert own.crt',
      'key own.key',
    ];
    write('own.crt', readFileSync(pki.client.cert), 0o644);
    write('own.key', readFileSync(pki.client.key), 0o600);
    expect(await runCheck([write('server.conf', `${lines.join('\n')}\n`)], io)).toBe(0);
    expect(out).toBe('server.conf: nothing to complain about\n');
    const more = [
      'dh dh.pem',
      'tls-crypt-v2 v2.key',
      'tls-auth ta.key 0',
      'auth-gen-token',
      'auth-gen-token-secret t.key',
    ];
    more.push('client-config-dir ccd', 'tmp-dir tmp', 'client-connect ./connect', 'learn-address "./learn a"');
    expect(await runCheck([write('server.conf', `${[...lines, ...more].join('\n')}\n`)], io)).toBe(1);
    for (const [option, path] of [
      ['dh', 'dh.pem'],
      ['tls-crypt-v2', 'v2.key'],
      ['tls-auth', 'ta.key'],
      ['auth-gen-token-secret', 't.key'],
      ['client-config-dir', 'ccd'],
      ['tmp-dir', 'tmp'],
      ['client-connect', './connect'],
      ['learn-address', './learn'],
    ]) {
      expect(out).toContain(`--${option} fails with '${path}': No such file or directory`);
    }
  });

  it('notes a file that is only beside the profile', async () => {
    expect(await runCheck([join(dir, write('good.ovpn', PROFILE))], { ...io, directory: '/' })).toBe(0);
    expect(out).toContain('note (invalid): ca: ca.crt is not in / but beside the profile');
  });

  it('lets nothing in a profile steer the terminal', async () => {
    await runCheck([write('evil.ovpn', `${PROFILE}x\x1b[2J\x07\nca "\x1b]0;t\x07"\nverb \x9b1\n`)], io);
    expect(out.replaceAll('\n', '')).not.toMatch(/[\0-\x1f\x7f-\x9f]/);
  });

  it('survives a file of arbitrary bytes', async () => {
    const bytes = Uint8Array.from({ length: 4096 }, (_, i) => (i * 197 + 13) & 255);
    expect(await runCheck([write('bytes.ovpn', bytes)], io)).toBe(1);
  });

  it.each([[[]], [['--jsonn', 'x']]])('shows how it is used for %j', async (argv) => {
    expect(await runCheck(argv, io)).toBe(1);
    expect(err).toContain('Usage: sallyport check FILE… [--json]');
  });
});

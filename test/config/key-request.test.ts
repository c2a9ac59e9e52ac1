import { describe, expect, it } from 'vitest';
import { asksForKey, parseKeyRequest } from '../../src/config/key-request.ts';
import { parseConfig } from '../../src/config.ts';

const files: Record<string, string> = {
  'server.conf': 'dev tun\nserver 10.8.0.0 255.255.255.0\ntls-crypt-v2 from-file.key\nca nowhere.pem\nverb 4\n',
  'inline.conf': '<tls-crypt-v2>\nthe key\n</tls-crypt-v2>\n',
};
const host = { readText: (path: string) => files[path] };
const parse = (...argv: readonly string[]) => parseKeyRequest(argv, host);
const problem = (...argv: readonly string[]) => {
  const request = parse(...argv);
  return 'problems' in request ? request.problems[0] : request;
};

describe('a command line that asks for a key', () => {
  it('is one that has genkey as an option', () => {
    expect(asksForKey(['--genkey'])).toBe(true);
    expect(asksForKey(['--config', 'a.ovpn'])).toBe(false);
    expect(asksForKey(['--setenv', 'genkey', '1'])).toBe(false);
  });

  it.each([
    ['--genkey', 'static', undefined],
    ['--genkey secret a.key', 'static', 'a.key'],
    ['--genkey tls-auth a.key', 'static', 'a.key'],
    ['--genkey tls-crypt a.key', 'static', 'a.key'],
    ['--genkey secret a.key ignored', 'static', 'a.key'],
    ['--genkey auth-token', 'auth-token', undefined],
    ['--genkey auth-token a.key', 'auth-token', 'a.key'],
    ['--genkey tls-crypt-v2-server a.key', 'tls-crypt-v2-server', 'a.key'],
    ['--verb 3 --genkey tls-crypt-v2-server', 'tls-crypt-v2-server', undefined],
    ['--genkey secret --genkey auth-token b.key', 'auth-token', 'b.key'],
  ])('%s is %s to %s', (line, kind, path) => {
    expect(parse(...line.split(' '))).toMatchObject({ kind, path });
  });

  it('takes an empty name as none', () => {
    expect(parse('--genkey', 'secret', '')).toMatchObject({ kind: 'static', path: undefined });
  });

  it('still takes --secret FILE, the old form, and knows that it is', () => {
    expect(parse('--genkey', '--secret', 'old.key')).toMatchObject({ path: 'old.key', deprecatedForm: true });
    expect(parse('--genkey', 'secret', 'new.key')).toMatchObject({ path: 'new.key', deprecatedForm: false });
  });

  it.each([
    [
      'before',
      ['--tls-crypt-v2', 's.key', '--genkey', 'tls-crypt-v2-client', 'c.key', 'aGk='],
      { path: 'c.key', metadata: 'aGk=', serverKey: { kind: 'file', path: 's.key' } },
    ],
    [
      'after',
      ['--genkey', 'tls-crypt-v2-client', '--tls-crypt-v2', 's.key'],
      { path: undefined, metadata: undefined, serverKey: { kind: 'file', path: 's.key' } },
    ],
    [
      'in a server’s file, which need not be complete',
      ['--config', 'server.conf', '--genkey', 'tls-crypt-v2-client'],
      { verb: 4, serverKey: { kind: 'file', path: 'from-file.key' } },
    ],
    [
      'inline',
      ['--config', 'inline.conf', '--genkey', 'tls-crypt-v2-client'],
      { serverKey: { kind: 'inline', text: 'the key\n' } },
    ],
  ])('finds the server key of a client key %s it', (_, argv, expected) => {
    expect(parse(...argv)).toMatchObject({ kind: 'tls-crypt-v2-client', ...expected });
  });

  it.each([
    [['--genkey', 'f.key'], 'Options error: unknown --genkey type: f.key'],
    [
      ['--genkey', 'secret', 'a', 'b', 'c'],
      'Options error: Unrecognized option or missing or extra parameter(s) in [CMD-LINE]:1: genkey (2.7.8)',
    ],
    [
      ['--genkey', 'secret', 'a', '--nosuch'],
      'Options error: Unrecognized option or missing or extra parameter(s) in [CMD-LINE]:1: nosuch (2.7.8)',
    ],
    [
      ['--genkey', 'secret', 'a', '--secret', 'b'],
      'Options error: You must provide a filename to either --genkey or --secret, not both',
    ],
    [
      ['--genkey', 'auth-token', 'a', '--secret', 'b'],
      'Options error: Using --genkey type with --secret filename is not supported.  Use --genkey type filename instead.',
    ],
    [
      ['--genkey', 'tls-crypt-v2-client', 'c'],
      'Options error: --genkey tls-crypt-v2-client requires a server key to be set via --tls-crypt-v2 to create a client key',
    ],
  ])('is refused in the C program’s words: %j', (argv, words) => {
    expect(problem(...argv)).toBe(words);
  });
});

describe('genkey in a configuration', () => {
  it('is an error: it would not connect', () => {
    const text = 'client\ndev tun\nremote a\nca ca.crt\nauth-user-pass\ngenkey secret a.key\n';
    const { config, findings } = parseConfig({ text, file: 'a.ovpn' }, host);
    expect(config).toBeUndefined();
    expect(findings.filter(({ severity }) => severity === 'error')).toMatchObject([{ option: 'genkey' }]);
  });
});

import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/parse.ts';
import { asksForTool, parseToolRequest } from '../../src/config/tool-request.ts';

const files: Record<string, string> = { 'office.ovpn': 'client\ntls-cipher A:B\ncipher aes-128-cbc\n' };
const host = { readText: (path: string) => files[path] };
const parse = (line: string) => parseToolRequest(line.split(' '), host);

describe('a command line that asks for a list or a test', () => {
  it.each([
    ['--show-ciphers', true],
    ['--config office.ovpn --show-curves', true],
    ['--config office.ovpn', false],
    ['--setenv show-ciphers 1', false],
    ['--genkey', false],
  ])('%s: %s', (line, asked) => {
    expect(asksForTool(line.split(' '))).toBe(asked);
  });

  it('is answered once for each tool, in the order of the C program', () => {
    expect(parse('--show-curves --show-digests --show-groups --show-ciphers')).toMatchObject({
      tools: ['show-ciphers', 'show-digests', 'show-groups'],
    });
  });

  it.each([
    ['--test-crypto', { cipher: undefined, auth: undefined, maxPacketBytes: 1768, secret: undefined, verb: 1 }],
    ['--test-crypto --cipher aes-256-gcm --auth sha256', { cipher: 'AES-256-GCM', auth: 'SHA256' }],
    ['--test-crypto --cipher none --auth none', { cipher: 'none', auth: 'none' }],
    ['--test-crypto --tun-mtu 1000', { maxPacketBytes: 1768 }],
    ['--test-crypto --tun-mtu 9000 --tun-mtu-extra 32', { maxPacketBytes: 9200 }],
    ['--test-crypto --tun-mtu 4000000000', { maxPacketBytes: 65_000 }],
    ['--test-crypto --secret a.key --verb 4', { secret: 'a.key', verb: 4 }],
    ['--show-tls --config office.ovpn', { tlsCipher: 'A:B', cipher: 'AES-128-CBC' }],
    ['--show-tls --tls-cert-profile suiteb --tls-ciphersuites X', { tlsCertProfile: 'suiteb', tlsCiphersuites: 'X' }],
    ['--show-gateway', { address: undefined }],
    ['--show-gateway 192.0.2.1', { address: '192.0.2.1' }],
    ['--show-ciphers --providers legacy default', { providers: ['legacy', 'default'] }],
  ])('%s is read as %j', (line, read) => {
    expect(parse(line)).toMatchObject(read);
  });

  it('is refused where it cannot be read, with what to do', () => {
    expect(parse('--show-ciphers --show-cipers')).toEqual({
      problems: [
        'Options error: Unrecognized option or missing or extra parameter(s) in [CMD-LINE]:1: show-cipers (2.7.8)',
        '  Did you mean show-ciphers?',
      ],
    });
    expect(parse('--show-gateway a b')).toHaveProperty('problems');
  });

  it('does not have to be a whole configuration', () => {
    expect(parse('--show-digests --ca nowhere.pem')).toMatchObject({ tools: ['show-digests'] });
  });
});

it.each(['show-tls', 'show-curves', 'test-crypto'])('%s in a file is an error that says where it belongs', (option) => {
  const { config, findings } = parseConfig({ text: `client\nremote a\n${option}\n`, file: 'x.ovpn' }, host);
  const name = option === 'show-curves' ? 'show-groups' : option;
  expect(config).toBeUndefined();
  expect(findings).toContainEqual(
    expect.objectContaining({
      severity: 'error',
      origin: { file: 'x.ovpn', line: 3 },
      message: `${name} prints something and ends, so it makes no tunnel`,
      advice: `Give it on the command line: --${name}.`,
    }),
  );
});

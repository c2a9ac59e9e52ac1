// What crosses between the service and its client, the command line, and small readers.

import { describe, expect, it } from 'vitest';
import { readArguments, usage } from '../../apps/networkmanager/arguments.ts';
import { bannerOf } from '../../apps/networkmanager/banner.ts';
import { isEncryptedKey, looksLikePkcs12 } from '../../apps/networkmanager/key-files.ts';
import { JsonLines, readFromClient } from '../../apps/networkmanager/messages.ts';
import { verbFor } from '../../apps/networkmanager/service-log.ts';

const encode = (text: string) => new TextEncoder().encode(text);

describe('lines of JSON', () => {
  it('come in pieces of any size', () => {
    const text = encode('{"type":"stop"}\n[1,"ü"]\n\n7'.replace('\n\n', '\n'));
    for (let size = 1; size <= text.length; size += 1) {
      const lines = new JsonLines(1000);
      const values: unknown[] = [];
      for (let at = 0; at < text.length; at += size) values.push(...lines.push(text.subarray(at, at + size)));
      expect(values).toEqual([{ type: 'stop' }, [1, 'ü']]);
    }
  });

  it('are bounded, and what is no JSON is told', () => {
    const lines = new JsonLines(10);
    lines.push(encode('"12345'));
    expect(() => lines.push(encode('67890'))).toThrow(/more than 10 bytes/);
    expect(() => new JsonLines(10).push(encode('nonsense\n'))).toThrow();
  });
});

describe('what the client says', () => {
  const problem = { code: 'SALLYPORT_TLS', message: 'It failed', retry: true };

  it.each([
    [{ type: 'log', flags: 1, text: 'x' }],
    [{ type: 'question', id: 1, question: { kind: 'login', of: 'Auth' } }],
    [{ type: 'question', id: 1, question: { kind: 'passphrase' } }],
    [{ type: 'question', id: 1, question: { kind: 'challenge', text: '?', echo: true } }],
    [{ type: 'withdrawn', id: 1 }],
    [{ type: 'refused', question: { kind: 'login', of: 'HTTP Proxy' } }],
    [{ type: 'attempt-failed', problem: { ...problem, hint: 'Do it' } }],
    [{ type: 'banner', text: 'x' }],
    [{ type: 'ended', problem: { ...problem, hint: undefined } }],
    [{ type: 'ended', problem: undefined }],
  ])('is taken: %j', (message) => expect(readFromClient(message)).toEqual(message));

  it.each([
    [undefined],
    ['log'],
    [[]],
    [{ type: 'exec', text: 'x' }],
    [{ type: 'log', flags: '1', text: 'x' }],
    [{ type: 'log', flags: 1, text: 'x'.repeat(100_000) }],
    [{ type: 'question', id: 1.5, question: { kind: 'passphrase' } }],
    [{ type: 'question', id: 1, question: { kind: 'login', of: 'root' } }],
    [{ type: 'question', id: 1, question: { kind: 'challenge', text: '?' } }],
    [{ type: 'refused', question: { kind: 'challenge', text: '?', echo: true } }],
    [{ type: 'attempt-failed', problem: 'x' }],
    [{ type: 'up', facts: {} }],
    [{ type: 'banner' }],
  ])('is not taken: %j', (message) => expect(readFromClient(message)).toBeUndefined());

  it('names only codes of the form that there is', () => {
    expect(readFromClient({ type: 'ended', problem: { ...problem, code: 'x\n' } })).toMatchObject({
      problem: { code: undefined, message: 'It failed' },
    });
  });
});

describe('the command line', () => {
  const name = 'org.freedesktop.NetworkManager.openvpn';

  it.each([
    [[], { kind: 'run', busName: name, debug: false, persist: false }],
    [
      ['--bus-name', `${name}.Connection_7`],
      { kind: 'run', busName: `${name}.Connection_7`, debug: false, persist: false },
    ],
    [
      [`--bus-name=${name}.Connection_7`],
      { kind: 'run', busName: `${name}.Connection_7`, debug: false, persist: false },
    ],
    [['--debug', '--persist'], { kind: 'run', busName: name, debug: true, persist: true }],
    [['--help'], { kind: 'help' }],
    [['--version'], { kind: 'version' }],
  ])('%j is %j', (args, options) => expect(readArguments(args, {})).toEqual(options));

  it.each([
    [['--bus-name'], /wants a name/],
    [['--bus-name', 'x'], /"x" can't be a name on the bus/],
    [['--bus-name', ':1.7'], /can't be a name/],
    [['--bus-name', 'a..b'], /can't be a name/],
    [['--config', 'x'], /--config is no option/],
    [['x'], /x is no option/],
  ])('%j is wrong', (args, words) => {
    const read = readArguments(args, {});
    expect(read).toMatchObject({ kind: 'wrong', message: expect.stringMatching(words) });
  });

  it('is told by --help, option for option', () => {
    for (const option of ['--bus-name NAME', '--debug', '--persist', '--help', '--version']) {
      expect(usage()).toContain(option);
    }
  });

  it('is debugging where OPENVPN_DEBUG says so, as with the existing service', () => {
    expect(readArguments([], { OPENVPN_DEBUG: '1' })).toMatchObject({ debug: true });
  });

  it.each([
    [undefined, false, 1],
    ['0', false, 1],
    ['4', false, 2],
    ['5', false, 2],
    ['6', false, 5],
    ['7', false, 6],
    ['8', false, 1],
    ['nonsense', false, 1],
    ['0', true, 6],
  ])('NM_VPN_LOG_LEVEL %s, debug %s is verb %i', (level, debug, verb) => expect(verbFor(level, debug)).toBe(verb));
});

describe('a banner', () => {
  it.each([
    ['msg Welcome', 'Welcome'],
    ['msg-window Hello', 'Hello'],
    ['msg-notify Hi\x1b[31m there', 'Hi [31m there'],
    ['msg-n part', 'part'],
    ['msg', undefined],
    ['msg-window', undefined],
    ['message Welcome', undefined],
    ['forget-passwords', undefined],
  ])('of "%s" is %s', (echo, text) => expect(bannerOf(echo)).toBe(text));

  it('is of bounded length', () => expect(bannerOf(`msg ${'x'.repeat(9000)}`)?.length).toBe(2048));
});

describe('a key file', () => {
  it.each([
    ['-----BEGIN ENCRYPTED PRIVATE KEY-----\n', true],
    ['-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n', true],
    ['-----BEGIN PRIVATE KEY-----\n', false],
    ['# not Proc-Type: 4,ENCRYPTED\n', false],
    ['', false],
  ])('"%s" has a passphrase: %s', (text, encrypted) => expect(isEncryptedKey(encode(text))).toBe(encrypted));

  it.each([
    [[0x30, 0x05, 0x02, 0x01, 0x03], true],
    [[0x30, 0x82, 0x10, 0x00, 0x02, 0x01, 0x03], true],
    [[0x30, 0x80, 0x02, 0x01, 0x03], true],
    [[0x30, 0x82, 0x10, 0x00, 0x30, 0x82], false],
    [[0x30], false],
    [[], false],
  ])('%j is PKCS#12: %s', (bytes, is) => expect(looksLikePkcs12(Uint8Array.from(bytes))).toBe(is));
});

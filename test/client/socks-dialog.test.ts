import { describe, expect, it } from 'vitest';
import { SocksDialog, type SocksDialogOptions } from '../../src/client/socks-dialog.ts';

const STREAM = { type: 'stream', host: 'vpn.example', port: 443 } as const;
const DATAGRAMS = { type: 'datagrams' } as const;
const REQUEST = `050100030b${Buffer.from('vpn.example').toString('hex')}01bb`;
const PAUL = { username: 'paul', password: 'fish cake' };

function start(purpose: SocksDialogOptions['purpose'], login = false) {
  const log: string[] = [];
  const proxy = { host: 'proxy.example', port: '1080', login: login ? { source: undefined } : undefined };
  const dialog = new SocksDialog({ proxy, purpose, log: (_, text) => void log.push(text) });
  return {
    dialog,
    log,
    sent: (): string => Buffer.from(dialog.pollSend() ?? []).toString('hex'),
    hears: (hex: string): void => dialog.handleBytes(Buffer.from(hex.replaceAll(' ', ''), 'hex')),
    get failure() {
      const { step } = dialog;
      if (step.type !== 'failed') throw new Error(`it is at ${step.type}`);
      return step;
    },
  };
}

describe('the conversation with a SOCKS proxy', () => {
  it('asks for a stream to a name', () => {
    const talk = start(STREAM);
    expect(talk.dialog.step.type).toBe('connect');
    talk.dialog.handleOpen();
    expect(talk.sent()).toBe('050100');
    talk.hears('05 00');
    expect(talk.sent()).toBe(REQUEST);
    talk.hears('05 00 00 01 00000000 0000 0bad');
    expect(talk.dialog.step).toEqual({ type: 'open', readAhead: new Uint8Array([0x0b, 0xad]), relay: undefined });
  });

  it('logs in where the profile says so', () => {
    const talk = start(STREAM, true);
    expect(talk.dialog.step.type).toBe('login');
    talk.dialog.handleLogin(PAUL);
    talk.dialog.handleOpen();
    expect(talk.sent()).toBe('050102');
    talk.hears('05 02');
    expect(talk.sent()).toBe(`0104${Buffer.from('paul').toString('hex')}09${Buffer.from('fish cake').toString('hex')}`);
    talk.hears('01 00');
    expect(talk.sent()).toBe(REQUEST);
    expect(talk.log.join()).not.toContain('fish');
  });

  it('asks for a relay and is told where it is', () => {
    const talk = start(DATAGRAMS);
    talk.dialog.handleOpen();
    talk.hears('05 00');
    expect(talk.sent()).toBe('05010005030001000000000000');
    talk.hears('05 00 00 01 c0000201 04aa');
    expect(talk.dialog.step).toMatchObject({
      type: 'open',
      relay: { family: 4, address: new Uint8Array([192, 0, 2, 1]), port: 1194 },
    });
    expect(talk.log).toEqual(['SOCKS proxy wants us to send UDP to [AF_INET]192.0.2.1:1194']);
  });

  it('may come a byte at a time, or all at once', () => {
    for (const size of [1, 3, 100]) {
      const talk = start(STREAM);
      talk.dialog.handleOpen();
      const words = Buffer.from('05000500000100000000000077', 'hex');
      for (let at = 0; at < words.length; at += size) talk.dialog.handleBytes(words.subarray(at, at + size));
      // Past the end nobody listens: the way is open, and what follows stays in the socket.
      expect(talk.dialog.step.type).toBe('open');
      expect(talk.sent()).toBe(`050100${REQUEST}`);
    }
  });

  it.each<[string, boolean, readonly string[], RegExp, RegExp, boolean]>([
    ['another version', false, ['04 00'], /socks_handshake: Socks proxy returned bad status/, /SOCKS 5/, false],
    ['an HTTP answer', false, ['48 54 54 50'], /socks_handshake: Socks proxy returned bad status/, /SOCKS 5/, false],
    ['a login that the profile does not have', false, ['05 ff'], /unexpected auth/, /way to log in/, false],
    ['no login where we have one', true, ['05 00'], /unexpected auth/, /way to log in/, false],
    ['a refused login', true, ['05 02', '01 01'], /server refused the authentication/, /does not accept/, true],
    [
      'a refused request',
      false,
      ['05 00', '05 05'],
      /recv_socks_reply: Socks proxy returned bad reply/,
      /connection refused \(5\)/,
      false,
    ],
    ['a reply of another version', false, ['05 00', '04 00'], /returned bad reply/, /SOCKS 5/, false],
    ['an unknown address', false, ['05 00', '05 00 00 07'], /returned bad address type/, /SOCKS 5/, false],
  ])('ends at %s', (_, login, hears, words, what, loginRefused) => {
    const talk = start(STREAM, login);
    if (login) talk.dialog.handleLogin(PAUL);
    talk.dialog.handleOpen();
    for (const each of hears) talk.hears(each);
    expect(talk.log.join('\n')).toMatch(words);
    expect(talk.failure.error.message).toMatch(what);
    expect(talk.failure.loginRefused).toBe(loginRefused);
  });

  it.each([
    ['by a name', '05 00 00 03 01 61 04aa'],
    ['without a port', '05 00 00 01 c0000201 0000'],
  ])('ends at a relay %s', (_, reply) => {
    const talk = start(DATAGRAMS);
    talk.dialog.handleOpen();
    talk.hears('05 00');
    talk.hears(reply);
    expect(talk.log.join()).toContain('Socks proxy did not answer with IPv4 address');
    expect(talk.failure.error.hint).toMatch(/tcp-client/);
  });

  it('says what to do where the proxy has no relay', () => {
    const talk = start(DATAGRAMS);
    talk.dialog.handleOpen();
    talk.hears('05 00');
    talk.hears('05 07');
    expect(talk.failure.error.hint).toMatch(/tcp-client/);
  });

  it('ends before it begins with a login that cannot be sent', () => {
    const talk = start(STREAM, true);
    talk.dialog.handleLogin({ username: 'u'.repeat(256), password: 'p' });
    expect(talk.failure.loginRefused).toBe(true);
    expect(talk.log.join()).toMatch(/exceeds 255 characters/);
  });

  it.each([
    [[], 'closed', 'socks_handshake: TCP port read failed on recv()', false],
    [['05 02'], 'closed', 'socks_username_password_auth: TCP port read failed on recv()', true],
    [['05 02', '01 00'], 'timeout', 'recv_socks_reply: TCP port read timeout expired', false],
  ] as const)('ends when the proxy says nothing after %j (%s)', (hears, reason, words, loginRefused) => {
    const talk = start(STREAM, true);
    talk.dialog.handleLogin(PAUL);
    talk.dialog.handleOpen();
    for (const each of hears) talk.hears(each);
    talk.dialog.handleSilence(reason);
    expect(talk.log).toContain(words);
    expect(talk.failure.loginRefused).toBe(loginRefused);
  });
});

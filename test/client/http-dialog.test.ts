import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { HttpDialog } from '../../src/client/http-dialog.ts';
import type { HttpProxyOptions } from '../../src/config/proxy-options.ts';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';

const AUTO: HttpProxyOptions = {
  host: 'proxy.example',
  port: '3128',
  login: { source: undefined },
  methods: ['digest', 'basic'],
  basicAtOnce: false,
  version: '1.0',
  agent: undefined,
  headers: [],
};
const PAUL = { username: 'paul', password: 'fish cake' };
const BASIC = 'Proxy-Authenticate: Basic realm="x"';
const DIGEST = 'Proxy-Authenticate: Digest realm="x", nonce="abc", qop="auth"';

function start(change: Partial<HttpProxyOptions> = {}, host = 'vpn.example') {
  const log: string[] = [];
  const crypto = createNodeCrypto();
  const dialog = new HttpDialog({
    proxy: { ...AUTO, ...change },
    host,
    port: '443',
    crypto,
    log: (_, text) => void log.push(text),
  });
  return {
    dialog,
    log,
    /** What the proxy hears on a new connection. */
    open(): string {
      expect(dialog.step.type).toBe('connect');
      dialog.handleOpen();
      expect(dialog.step.type).toBe('receive');
      const sent = Buffer.from(dialog.pollSend() ?? []).toString();
      expect(dialog.pollSend()).toBeUndefined();
      return sent;
    },
    answer(...lines: readonly string[]): void {
      dialog.handleBytes(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`));
    },
    get failure() {
      const { step } = dialog;
      if (step.type !== 'failed') throw new Error(`it is at ${step.type}`);
      return step;
    },
  };
}

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
const value = (name: string, text: string): string => new RegExp(`\\b${name}="?([^",]*)`).exec(text)?.[1] ?? '';

describe('the conversation with an HTTP proxy', () => {
  it('is a request and an answer where nobody has to log in', () => {
    const talk = start();
    expect(talk.open()).toBe('CONNECT vpn.example:443 HTTP/1.0\r\nHost: vpn.example\r\n\r\n');
    talk.dialog.handleBytes(Buffer.from('HTTP/1.0 200 OK\r\n\r\n\x00\x0e'));
    expect(talk.dialog.step).toEqual({ type: 'open', readAhead: new Uint8Array([0, 14]), relay: undefined });
  });

  it('gives bytes that come with the answer on, and only those', () => {
    const talk = start();
    talk.open();
    for (const byte of Buffer.from('HTTP/1.0 200 OK\r\nA: b\r\n\r')) talk.dialog.handleBytes(Uint8Array.of(byte));
    expect(talk.dialog.step.type).toBe('receive');
    talk.dialog.handleBytes(Buffer.from('\n\x01\x02'));
    expect(talk.dialog.step).toMatchObject({ type: 'open', readAhead: new Uint8Array([1, 2]) });
  });

  it('has the login asked for once it is wanted, and shows it on another connection', () => {
    const talk = start();
    expect(talk.open()).not.toContain('Authorization');
    talk.answer('HTTP/1.1 407 Login', BASIC);
    expect(talk.dialog.step.type).toBe('login');
    talk.dialog.handleLogin(PAUL);
    expect(talk.open()).toContain(`Proxy-Authorization: Basic ${Buffer.from('paul:fish cake').toString('base64')}\r\n`);
    talk.answer('HTTP/1.1 200 OK');
    expect(talk.dialog.step.type).toBe('open');
  });

  it('needs the login before anything else where the profile names Basic', () => {
    const talk = start({ basicAtOnce: true, methods: ['basic'] });
    expect(talk.dialog.step.type).toBe('login');
    talk.dialog.handleLogin(PAUL);
    expect(talk.open()).toContain('Proxy-Authorization: Basic ');
    expect(talk.log).toContain('Attempting Basic Proxy-Authorization');
  });

  it('shows that it knows the password by Digest, and not the password', () => {
    const talk = start();
    talk.open();
    talk.answer('HTTP/1.1 407 Login', BASIC, DIGEST);
    talk.dialog.handleLogin(PAUL);
    const sent = talk.open();
    const [a1, a2] = [md5('paul:x:fish cake'), md5('CONNECT:vpn.example:443')];
    expect(value('response', sent)).toBe(md5(`${a1}:abc:00000001:${value('cnonce', sent)}:auth:${a2}`));
    expect(sent).not.toContain('Basic');
    expect(talk.log).toContain('Attempting Digest Proxy-Authorization');
  });

  it('names an IPv6 server in brackets, in the digest too', () => {
    const talk = start({}, '2001:db8::1');
    talk.open();
    talk.answer('HTTP/1.1 407 Login', DIGEST);
    talk.dialog.handleLogin(PAUL);
    expect(value('uri', talk.open())).toBe('[2001:db8::1]:443');
  });

  it('takes a new nonce once, where the proxy says that the old one is stale', () => {
    const talk = start();
    talk.open();
    talk.answer('HTTP/1.1 407 Login', DIGEST);
    talk.dialog.handleLogin(PAUL);
    talk.open();
    const stale = 'Proxy-Authenticate: Digest realm="x", nonce="def", qop="auth", stale=TRUE';
    talk.answer('HTTP/1.1 407 Login', stale);
    expect(value('nonce', talk.open())).toBe('def');
    talk.answer('HTTP/1.1 407 Login', stale);
    expect(talk.failure.loginRefused).toBe(true);
  });

  it.each([
    ['Basic', BASIC],
    ['Digest', DIGEST],
  ])('ends where the login by %s is refused, and says whose password is wrong', (_, offer) => {
    const talk = start();
    talk.open();
    talk.answer('HTTP/1.1 407 Login', offer);
    talk.dialog.handleLogin(PAUL);
    talk.open();
    talk.answer('HTTP/1.1 407 Login', offer);
    expect(talk.failure.loginRefused).toBe(true);
    expect(talk.failure.error.code).toBe('SALLYPORT_CREDENTIALS');
    expect(talk.failure.error.message).toBe(
      "The HTTP proxy proxy.example:3128 does not accept the user name and the password (it answers 'HTTP/1.1 407 Login')",
    );
  });

  it.each<[string, Partial<HttpProxyOptions>, readonly string[], RegExp, RegExp]>([
    ['no login in the profile', { methods: [] }, [BASIC], /no support for proxy authentication method/, /auto/],
    [
      'nothing but Basic, and cleartext forbidden',
      { methods: ['digest'] },
      [BASIC],
      /cleartext proxy auth methods is disabled/,
      /auto-nct/,
    ],
    ['NTLM', {}, ['Proxy-Authenticate: NTLM', 'Proxy-Authenticate: Negotiate'], /do not recognize/, /cntlm/],
    [
      'a Digest without nonce',
      {},
      ['Proxy-Authenticate: Digest realm="x"'],
      /malformed response from server/,
      /digest and basic/,
    ],
    [
      'a Digest of an unknown hash',
      {},
      ['Proxy-Authenticate: Digest realm="x", nonce="y", algorithm=X'],
      /do not recognize/,
      /digest/,
    ],
    [
      'a Digest with auth-int alone',
      {},
      ['Proxy-Authenticate: Digest realm="x", nonce="y", qop="auth-int"'],
      /do not recognize/,
      /digest/,
    ],
    [
      'a session without qop',
      {},
      ['Proxy-Authenticate: Digest realm="x", nonce="y", algorithm=MD5-sess'],
      /do not recognize/,
      /digest/,
    ],
    ['a login without saying how', {}, [], /do not recognize/, /digest/],
  ])('ends at %s', (_, change, offers, words, hint) => {
    const talk = start(change);
    talk.open();
    talk.answer('HTTP/1.1 407 Login', ...offers);
    expect(talk.log.join('\n')).toMatch(words);
    expect(talk.failure.error.hint).toMatch(hint);
    expect(talk.failure.loginRefused).toBe(false);
  });

  it.each([
    ['HTTP/1.1 401 Unauthorized', /address and the port of http-proxy/],
    ['HTTP/1.1 403 No', /other|443/],
    ['HTTP/1.1 502 Bad gateway', /remote/],
    ['HTTP/1.1 405 Not allowed', /CONNECT/],
    ['HTTP/1.1 302 Found', /Ask/],
    ['HTTP/1.1 199 Odd', /Ask/],
    ['SSH-2.0-x', /listens/],
  ])('ends at "%s" as soon as the line is there', (line, hint) => {
    const talk = start();
    talk.open();
    talk.dialog.handleBytes(Buffer.from(`${line}\r\n`));
    expect(talk.failure.error.message).toContain(`answers '${line}'`);
    expect(talk.failure.error.hint).toMatch(hint);
    expect(talk.log).toContain('HTTP proxy returned bad status');
  });

  it('logs what is sent and answered, but no login and no secret header', () => {
    const talk = start({
      headers: [
        { name: 'X-Api-Key', content: 'hidden' },
        { name: 'Proxy-Authorization: Basic hidden', content: undefined },
        { name: 'X-Open', content: 'shown' },
      ],
    });
    talk.open();
    talk.answer('HTTP/1.1 407 \x1b[31mLogin', BASIC);
    talk.dialog.handleLogin(PAUL);
    talk.open();
    talk.answer('HTTP/1.1 200 OK');
    const text = talk.log.join('\n');
    expect(text).toContain("Send to HTTP proxy: 'CONNECT vpn.example:443 HTTP/1.0'");
    expect(text).toContain("Send to HTTP proxy: 'X-Open: shown'");
    expect(text).toContain("HTTP proxy returned: 'HTTP/1.1 407 _[31mLogin'");
    expect(text).not.toMatch(/hidden|fish|\x1b/);
    expect(text).not.toContain(Buffer.from('paul:fish cake').toString('base64'));
  });

  it.each([
    ['closed', 'recv_line: TCP port read failed on recv()'],
    ['timeout', 'recv_line: TCP port read timeout expired'],
  ] as const)('ends when the proxy says nothing (%s)', (reason, words) => {
    const talk = start();
    talk.open();
    talk.dialog.handleSilence(reason);
    expect(talk.log).toContain(words);
    expect(talk.failure.error.retry).toBe(true);
  });

  it('ends at a header without end', () => {
    const talk = start();
    talk.open();
    talk.dialog.handleBytes(Buffer.from('HTTP/1.0 200 OK\r\n'));
    talk.dialog.handleBytes(Buffer.alloc(65_536, 'x'));
    expect(talk.failure.error.message).toMatch(/header that does not end/);
  });
});

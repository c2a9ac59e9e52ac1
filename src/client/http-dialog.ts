// Asking an HTTP proxy for a way to the server: CONNECT, and once more with a login where the proxy wants one. As in the
// C program each request has a connection of its own.

import type { HttpProxyMethod, HttpProxyOptions } from '../config/proxy-options.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import type { Credentials } from '../session/options.ts';
import { type HttpChallenge, parseChallenges, writeBasic } from '../wire/http-authentication.ts';
import { authorityOf, connectLines, type HttpConnect, writeConnect } from '../wire/http-connect.ts';
import { HttpHeadReader, printable } from '../wire/http-response.ts';
import { answerDigest, type DigestChallenge, digestOf } from './http-digest.ts';
import type { ProxyDialog, ProxyStep } from './proxy-dialog.ts';

export interface HttpDialogOptions {
  readonly proxy: HttpProxyOptions;
  /** The server, as the profile names it: the proxy looks it up. */
  readonly host: string;
  readonly port: string;
  readonly crypto: CryptoProvider;
  readonly log: Log;
}

const PROXY_AUTHENTICATION_REQUIRED = 407;
/** What of a proxy's challenge goes to the log. */
const LOGGED_CHARACTERS = 255;
/** Lines of a header with such a name are nobody's business. */
const SECRET_HEADER = /auth|cookie|token|secret|key|pass/i;

type Answerable =
  | { readonly method: 'basic' }
  | { readonly method: 'digest'; readonly challenge: DigestChallenge; readonly stale: boolean };

export class HttpDialog implements ProxyDialog {
  readonly signalText = 'HTTP proxy error';
  readonly #options: HttpDialogOptions;
  readonly #name: string;
  #step: ProxyStep;
  #login: Credentials | undefined;
  /** How the next request shows its login. */
  #answer: Answerable | undefined;
  /** A nonce has been replaced once: a second time is a refusal. */
  #renewed = false;
  #reader = new HttpHeadReader();
  #hasToldStatus = false;
  #toSend: Uint8Array | undefined;

  constructor(options: HttpDialogOptions) {
    this.#options = options;
    const { host, port, basicAtOnce } = options.proxy;
    this.#name = authorityOf(host, port);
    if (basicAtOnce) this.#answer = { method: 'basic' };
    this.#step = { type: basicAtOnce ? 'login' : 'connect' };
  }

  get step(): ProxyStep {
    return this.#step;
  }

  handleLogin(credentials: Credentials): void {
    this.#login = credentials;
    this.#step = { type: 'connect' };
  }

  handleOpen(): void {
    const { log } = this.#options;
    this.#reader = new HttpHeadReader();
    this.#hasToldStatus = false;
    const request = this.#request();
    for (const line of connectLines(request)) log(Level.proxy, `Send to HTTP proxy: '${loggable(line)}'`);
    if (this.#answer !== undefined) {
      log(Level.proxy, `Attempting ${this.#answer.method === 'basic' ? 'Basic' : 'Digest'} Proxy-Authorization`);
    }
    this.#toSend = writeConnect(request);
    this.#step = { type: 'receive' };
  }

  handleBytes(bytes: Uint8Array): void {
    if (this.#step.type !== 'receive') return;
    const read = this.#reader.handleBytes(bytes);
    if (read === 'too-long') {
      this.#fail('HTTP proxy returned bad status', 'sends a header that does not end', HINT_NO_PROXY);
      return;
    }
    this.#tellStatus();
    const { head } = this.#reader;
    if (this.#reader.statusLine === undefined) return;
    const granted = head.status !== undefined && head.status >= 200 && head.status < 300;
    if (!granted && head.status !== PROXY_AUTHENTICATION_REQUIRED) {
      const hint = STATUS_HINTS.get(head.status ?? 0) ?? (head.status === undefined ? HINT_NO_PROXY : HINT_STATUS);
      this.#fail('HTTP proxy returned bad status', `answers '${head.statusLine}'`, hint);
    } else if (!read.whole) return;
    else if (granted)
      this.#step = { type: 'open', readAhead: Uint8Array.from(bytes.subarray(read.taken)), relay: undefined };
    else this.#handleChallenges(head.fields.filter(({ name }) => name === 'proxy-authenticate'));
  }

  handleSilence(reason: 'closed' | 'timeout'): void {
    const words = reason === 'closed' ? 'TCP port read failed on recv()' : 'TCP port read timeout expired';
    const what = reason === 'closed' ? 'closed the connection without a full answer' : 'does not answer';
    this.#fail(`recv_line: ${words}`, what, HINT_NO_PROXY);
  }

  pollSend(): Uint8Array | undefined {
    const bytes = this.#toSend;
    this.#toSend = undefined;
    return bytes;
  }

  #request(): HttpConnect {
    const { host, port, proxy } = this.#options;
    const { version, agent, headers } = proxy;
    return { host, port, version, agent, headers, authorization: this.#authorization() };
  }

  #authorization(): string | undefined {
    const answer = this.#answer;
    if (answer === undefined || this.#login === undefined) return undefined;
    if (answer.method === 'basic') return writeBasic(this.#login.username, this.#login.password);
    const { host, port, crypto } = this.#options;
    return answerDigest(answer.challenge, this.#login, authorityOf(host, port), crypto);
  }

  #tellStatus(): void {
    const { statusLine } = this.#reader;
    if (statusLine === undefined || this.#hasToldStatus) return;
    this.#hasToldStatus = true;
    this.#options.log(Level.proxy, `HTTP proxy returned: '${statusLine}'`);
  }

  #handleChallenges(fields: readonly { readonly value: string }[]): void {
    const { log, proxy } = this.#options;
    log(Level.proxy, 'Proxy requires authentication');
    if (proxy.methods.length === 0) {
      log(Level.proxy, 'HTTP proxy: no support for proxy authentication method');
      const hint = `Write http-proxy ${proxy.host} ${proxy.port} auto, and http-proxy-user-pass FILE where nobody can be asked.`;
      this.#fail(undefined, `wants a user name and a password (it answers '${this.#reader.head.statusLine}')`, hint);
      return;
    }
    const shown = this.#answer;
    const offers = fields.flatMap(({ value }) => parseChallenges(value));
    const answer = this.#choose(offers);
    const renews = shown?.method === 'digest' && answer?.method === 'digest' && answer.stale && !this.#renewed;
    if (shown !== undefined && !renews) {
      this.#refused();
      return;
    }
    if (answer === undefined) {
      this.#unanswerable(offers);
      return;
    }
    if (renews) this.#renewed = true;
    this.#tellChallenge(answer.method, fields);
    this.#answer = answer;
    this.#step = { type: this.#login === undefined ? 'login' : 'connect' };
  }

  #tellChallenge(method: HttpProxyMethod, fields: readonly { readonly value: string }[]): void {
    const { log } = this.#options;
    const field = fields.find(({ value }) => parseChallenges(value).some(({ scheme }) => scheme === method));
    const text = printable(field?.value ?? '').slice(0, LOGGED_CHARACTERS);
    log(Level.proxy, `PROXY AUTH ${method.toUpperCase()}: 'Proxy-Authenticate: ${text}'`);
    log(Level.proxy, `HTTP proxy authenticate '${text.replace(/^\S+\s+/, '')}'`);
  }

  /** The first method of ours that the proxy offers in a form that can be answered. */
  #choose(offers: readonly HttpChallenge[]): Answerable | undefined {
    const { proxy, crypto } = this.#options;
    for (const method of proxy.methods) {
      for (const offer of offers) {
        if (offer.scheme !== method) continue;
        if (method === 'basic') return { method };
        const challenge = digestOf(offer, crypto);
        if (challenge === undefined || challenge === 'malformed') continue;
        return { method, challenge, stale: offer.parameters.get('stale')?.toLowerCase() === 'true' };
      }
    }
    return undefined;
  }

  #refused(): void {
    const hint = 'Correct the user name and the password for the proxy; they are others than those for the server.';
    const { statusLine } = this.#reader.head;
    this.#fail(undefined, `does not accept the user name and the password (it answers '${statusLine}')`, hint, true);
  }

  #unanswerable(offers: readonly HttpChallenge[]): void {
    const { crypto, proxy } = this.#options;
    const schemes = [...new Set(offers.map(({ scheme }) => printable(scheme).slice(0, 32)))];
    const malformed = offers.some((offer) => offer.scheme === 'digest' && digestOf(offer, crypto) === 'malformed');
    const basicOnly = schemes.includes('basic') && !proxy.methods.includes('basic');
    let words = 'HTTP proxy: do not recognize the authentication method required by proxy';
    if (malformed) {
      words = 'HTTP proxy: digest auth failed, malformed response from server: realm= or nonce= missing';
    } else if (basicOnly) {
      words = 'HTTP proxy: support for basic auth and other cleartext proxy auth methods is disabled';
    }
    this.#options.log(malformed ? Level.linkErrors : Level.proxy, words);
    const what = schemes.length === 0 ? 'asks for a login and does not say how' : `asks for ${schemes.join(', ')}`;
    this.#fail(undefined, `${what}, which this profile cannot answer`, hintFor(schemes, basicOnly, proxy.methods));
  }

  #fail(words: string | undefined, what: string, hint: string, loginRefused = false): void {
    if (words !== undefined) this.#options.log(Level.linkErrors, words);
    const error = new SallyportError(`The HTTP proxy ${this.#name} ${what}`, {
      code: loginRefused ? 'SALLYPORT_CREDENTIALS' : 'SALLYPORT_REFUSED',
      blame: loginRefused ? 'config' : 'network',
      retry: true,
      hint,
    });
    this.#step = { type: 'failed', error, loginRefused };
  }
}

const HINT_NO_PROXY = 'Check that an HTTP proxy listens there, and not a SOCKS proxy or a web server.';
const HINT_STATUS = 'Ask whoever runs the proxy whether it may reach this server.';
const STATUS_HINTS: ReadonlyMap<number, string> = new Map([
  [400, 'Check that this is an HTTP proxy; some want http-proxy-option VERSION 1.1.'],
  [401, 'A web server asks for a login there, and not a proxy (407): check the address and the port of http-proxy.'],
  [403, 'The proxy does not let this server or this port through; many let 443 through alone.'],
  [404, HINT_NO_PROXY],
  [405, 'The proxy does not do CONNECT; only one that does can carry a VPN.'],
  [500, 'The proxy could not reach the server: check the name and the port of remote.'],
  [501, 'The proxy does not do CONNECT; only one that does can carry a VPN.'],
  [502, 'The proxy could not reach the server: check the name and the port of remote.'],
  [503, 'The proxy could not reach the server: check the name and the port of remote.'],
  [504, 'The proxy got no answer from the server: check the name and the port of remote.'],
]);

function hintFor(schemes: readonly string[], basicOnly: boolean, methods: readonly HttpProxyMethod[]): string {
  if (basicOnly) return 'Write auto instead of auto-nct if the password may go to the proxy readable.';
  if (schemes.includes('ntlm') || schemes.includes('negotiate')) {
    return 'Let a program on this machine that speaks NTLM or Kerberos (cntlm, px) stand before the proxy, and name that as http-proxy.';
  }
  return `This profile can answer ${methods.join(' and ')}.`;
}

/** A line of a request as it may be logged. */
function loggable(line: string): string {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0));
  return printable(name !== '' && !name.includes(' ') && SECRET_HEADER.test(name) ? `${name}: ...` : line);
}

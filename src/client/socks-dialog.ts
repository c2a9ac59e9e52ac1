// Asking a SOCKS 5 proxy for a way to the server: a stream (CONNECT), or a relay of datagrams (UDP ASSOCIATE). Exactly one
// method is offered, as by the C program: the login where the profile has one, else none.

import type { SocksProxyOptions } from '../config/proxy-options.ts';
import { SallyportError } from '../error.ts';
import { formatLogAddress, socketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import type { Credentials } from '../session/options.ts';
import { authorityOf } from '../wire/http-connect.ts';
import {
  isLoginGranted,
  isSocks5,
  parseSocksAnswer,
  parseSocksReply,
  SocksMethod,
  writeSocksAssociate,
  writeSocksConnect,
  writeSocksGreeting,
  writeSocksLogin,
} from '../wire/socks5.ts';
import { concatBytes } from '../wire/writer.ts';
import type { ProxyDialog, ProxyStep } from './proxy-dialog.ts';

export interface SocksDialogOptions {
  readonly proxy: SocksProxyOptions;
  /** `datagrams`: the proxy is not told whom they are for, each says so itself. */
  readonly purpose:
    | { readonly type: 'stream'; readonly host: string; readonly port: number }
    | { readonly type: 'datagrams' };
  readonly log: Log;
}

/** Which answer is awaited; the words are the C program's functions, which stand in its log lines. */
const Stage = {
  greeting: 'socks_handshake',
  login: 'socks_username_password_auth',
  request: 'recv_socks_reply',
} as const;
type Stage = (typeof Stage)[keyof typeof Stage];

const NOTHING = new Uint8Array(0);
const HINT_NO_PROXY = 'Check that a SOCKS 5 proxy listens there, and not an HTTP proxy.';
const HINT_LOGIN = 'Correct the user name and the password for the proxy; they are others than those for the server.';

export class SocksDialog implements ProxyDialog {
  readonly signalText = 'socks-error';
  readonly #options: SocksDialogOptions;
  readonly #name: string;
  #step: ProxyStep;
  #stage: Stage = Stage.greeting;
  #login: Uint8Array | undefined;
  #received: Uint8Array = NOTHING;
  #toSend: Uint8Array | undefined;

  constructor(options: SocksDialogOptions) {
    this.#options = options;
    const { host, port, login } = options.proxy;
    this.#name = authorityOf(host, port);
    this.#step = { type: login === undefined ? 'connect' : 'login' };
  }

  get step(): ProxyStep {
    return this.#step;
  }

  handleLogin({ username, password }: Credentials): void {
    this.#login = writeSocksLogin(username, password);
    this.#step = { type: 'connect' };
    if (this.#login !== undefined) return;
    const words = 'SOCKS username and/or password exceeds 255 characters.  Authentication not possible.';
    this.#options.log(Level.error, words);
    this.#fail(undefined, 'takes user names and passwords of 255 bytes at most', HINT_LOGIN, true);
  }

  handleOpen(): void {
    this.#stage = Stage.greeting;
    this.#received = NOTHING;
    this.#toSend = writeSocksGreeting(this.#method);
    this.#step = { type: 'receive' };
  }

  handleBytes(bytes: Uint8Array): void {
    if (this.#step.type !== 'receive') return;
    this.#received = concatBytes(this.#received, bytes);
    // An answer that came early is taken as soon as its turn comes.
    for (let stage: Stage | undefined; stage !== this.#stage && this.#isTalking(); ) {
      stage = this.#stage;
      if (stage === Stage.greeting) this.#handleGreeting();
      else if (stage === Stage.login) this.#handleLoginAnswer();
      else this.#handleReply();
    }
  }

  handleSilence(reason: 'closed' | 'timeout'): void {
    const words = reason === 'closed' ? 'TCP port read failed on recv()' : 'TCP port read timeout expired';
    const what = reason === 'closed' ? 'closed the connection without a full answer' : 'does not answer';
    const isLogin = this.#stage === Stage.login && reason === 'closed';
    this.#fail(`${this.#stage}: ${words}`, what, isLogin ? HINT_LOGIN : HINT_NO_PROXY, isLogin);
  }

  pollSend(): Uint8Array | undefined {
    const bytes = this.#toSend;
    this.#toSend = undefined;
    return bytes;
  }

  #isTalking(): boolean {
    return this.#step.type === 'receive';
  }

  get #method(): SocksMethod {
    return this.#login === undefined ? SocksMethod.none : SocksMethod.login;
  }

  #handleGreeting(): void {
    const answer = parseSocksAnswer(this.#received);
    if (answer === undefined) return;
    if (!isSocks5(answer.version)) {
      this.#fail('socks_handshake: Socks proxy returned bad status', 'does not speak SOCKS 5', HINT_NO_PROXY);
      return;
    }
    if (answer.value !== this.#method) {
      const hint =
        this.#login === undefined
          ? 'Write a file with user name and password, or stdin, behind the port of socks-proxy.'
          : 'Remove the file behind the port of socks-proxy: the proxy takes no login by user name and password.';
      this.#fail('socks_handshake: Socks proxy returned unexpected auth', 'does not take our way to log in', hint);
      return;
    }
    this.#take(2);
    if (this.#login === undefined) this.#request();
    else {
      this.#stage = Stage.login;
      this.#queue(this.#login);
    }
  }

  #handleLoginAnswer(): void {
    const answer = parseSocksAnswer(this.#received);
    if (answer === undefined) return;
    if (!isLoginGranted(answer)) {
      const words = 'socks_username_password_auth: server refused the authentication';
      this.#fail(words, 'does not accept the user name and the password', HINT_LOGIN, true);
      return;
    }
    this.#take(2);
    this.#request();
  }

  #request(): void {
    const { purpose } = this.#options;
    this.#stage = Stage.request;
    this.#queue(purpose.type === 'stream' ? writeSocksConnect(purpose.host, purpose.port) : writeSocksAssociate());
  }

  #handleReply(): void {
    const reply = parseSocksReply(this.#received);
    if (reply === undefined) return;
    if (reply.type === 'bad') {
      const what = reply.problem === 'version' ? 'bad reply' : 'bad address type';
      this.#fail(`recv_socks_reply: Socks proxy returned ${what}`, 'does not speak SOCKS 5', HINT_NO_PROXY);
    } else if (reply.type === 'refused') {
      const isRelay = this.#options.purpose.type === 'datagrams';
      const hint =
        isRelay && reply.reply === 7
          ? 'The proxy does not relay datagrams: write proto tcp-client, if the server takes it.'
          : 'Check the name and the port of remote, and ask whoever runs the proxy whether it may reach this server.';
      this.#fail('recv_socks_reply: Socks proxy returned bad reply', `answers: ${reply.text} (${reply.reply})`, hint);
    } else this.#granted(reply);
  }

  #granted({ address, port, length }: { address: Uint8Array | undefined; port: number; length: number }): void {
    const readAhead = this.#received.slice(length);
    if (this.#options.purpose.type === 'stream') {
      this.#step = { type: 'open', readAhead, relay: undefined };
      return;
    }
    if (address === undefined || port === 0) {
      this.#fail(
        'establish_socks_proxy_udpassoc: Socks proxy did not answer with IPv4 address',
        'does not say where datagrams are to go',
        'Write proto tcp-client, if the server takes it.',
      );
      return;
    }
    const relay = socketAddress(address.slice(), port);
    this.#options.log(Level.info, `SOCKS proxy wants us to send UDP to ${formatLogAddress(relay)}`);
    this.#step = { type: 'open', readAhead: NOTHING, relay };
  }

  #queue(bytes: Uint8Array): void {
    this.#toSend = this.#toSend === undefined ? bytes : concatBytes(this.#toSend, bytes);
  }

  #take(length: number): void {
    this.#received = this.#received.slice(length);
  }

  #fail(words: string | undefined, what: string, hint: string, loginRefused = false): void {
    if (words !== undefined) this.#options.log(Level.linkErrors, words);
    const error = new SallyportError(`The SOCKS proxy ${this.#name} ${what}`, {
      code: loginRefused ? 'SALLYPORT_CREDENTIALS' : 'SALLYPORT_REFUSED',
      blame: loginRefused ? 'config' : 'network',
      retry: true,
      hint,
    });
    this.#step = { type: 'failed', error, loginRefused };
  }
}

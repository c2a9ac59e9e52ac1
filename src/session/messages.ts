// Text messages of the peer once a key is ready: what they mean for the session.

import { SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import { type PendingRequest, parsePendingRequest } from '../wire/auth-challenge.ts';
import { parseBase64 } from '../wire/base64.ts';
import { parseControlMessages, type ReceivedMessage, redactControlText } from '../wire/control-message.ts';
import { PushReplyJoiner } from '../wire/push-reply.ts';
import type { Counters } from './counters.ts';
import type { CredentialStore } from './credentials.ts';
import type { SessionEnd, SessionEvent } from './event.ts';
import type { PushWait } from './push-wait.ts';

/** What the messages act on. */
export interface MessageHost {
  readonly pull: boolean;
  readonly log: Log;
  readonly credentials: CredentialStore;
  readonly pushWait: PushWait;
  readonly counters: Counters;
  emit(event: SessionEvent): void;
  end(end: SessionEnd): void;
  readonly ended: boolean;
}

export class Messages {
  readonly #host: MessageHost;
  readonly #joiner = new PushReplyJoiner();
  readonly #updateJoiner = new PushReplyJoiner();

  constructor(host: MessageHost) {
    this.#host = host;
  }

  handlePlaintext(plaintext: Uint8Array): void {
    const { messages, dropped } = parseControlMessages(plaintext);
    if (dropped > 0) {
      this.#host.log(Level.pushErrors, 'WARNING: Received control with invalid characters');
      this.#host.counters.drops['bad-text'] += dropped;
    }
    for (const received of messages) {
      if (this.#host.ended) return;
      this.#handleMessage(received);
    }
  }

  #handleMessage({ text, message }: ReceivedMessage): void {
    const host = this.#host;
    switch (message.type) {
      case 'auth-failed':
        host.log(ALWAYS, `AUTH: Received control message: ${redactControlText(text)}`);
        if (!host.pull) return;
        for (const flag of message.temporary?.unknown ?? []) {
          host.log(Level.pushErrors, `WARNING: unknown AUTH_FAIL,TEMP flag: ${flag}`);
        }
        host.end({
          reason: 'auth-failed',
          text: message.reason,
          temporary: message.temporary,
          dynamicChallenge: message.dynamicChallenge,
          tokenDead: message.sessionDead || (message.temporary === undefined && host.credentials.hasToken),
        });
        return;
      case 'push-request':
        host.log(Level.push, `PUSH: Received control message: '${text}'`);
        host.emit({ type: 'push-request' });
        return;
      case 'push-reply':
        host.log(Level.push, `PUSH: Received control message: '${redactControlText(text)}'`);
        if (host.pull) this.#handlePushReply(message.body);
        return;
      case 'push-update':
        host.log(Level.push, `PUSH: Received control message: '${redactControlText(text)}'`);
        if (host.pull) this.#handlePushUpdate(message.body);
        else host.log(Level.pushErrors, 'WARNING: Received bad push/pull message: PUSH_UPDATE without --pull');
        return;
      case 'restart':
        if (!host.pull) return;
        host.log(Level.streamErrors, `Connection reset command was pushed by server ('${message.text}')`);
        host.end({
          reason: 'server-restart',
          text: message.text,
          keepCredentials: message.keepCredentials,
          advance: message.advance,
        });
        return;
      case 'halt':
        if (!host.pull) return;
        host.log(Level.streamErrors, `Halt command was pushed by server ('${message.text}')`);
        host.end({ reason: 'server-halt', text: message.text });
        return;
      case 'info':
      case 'info-pre':
        host.log(Level.push, `Info command was pushed by server ('${message.text}')`);
        host.emit({ type: 'info', kind: message.type, text: message.text });
        if (message.type === 'info-pre') this.#handlePendingRequest(message.text);
        return;
      case 'cr-response':
        host.log(Level.push, 'CR response was sent by client');
        host.emit({ type: 'info', kind: 'cr-response', text: message.text });
        return;
      case 'auth-pending':
        if (!host.pull) return;
        host.pushWait.handleAuthPending(message.timeoutSeconds);
        host.emit({ type: 'info', kind: 'auth-pending', text: message.text });
        this.#tellPending(undefined);
        return;
      case 'exit':
        host.log(Level.streamErrors, 'CC-EEN exit message received by peer');
        host.end({ reason: 'peer-exit', notice: 'EXIT' });
        return;
      case 'other':
        host.log(Level.pushErrors, `WARNING: Received unknown control message: ${redactControlText(text)}`);
        host.emit({ type: 'info', kind: 'other', text: message.text });
        return;
      default:
        message satisfies never;
    }
  }

  #handlePushReply(body: string): void {
    const host = this.#host;
    const verdict = this.#joiner.handleFragment(body);
    if ('problem' in verdict) {
      host.end({ reason: 'failed', error: tooManyOptions() });
      return;
    }
    host.pushWait.handleFragment();
    if (!verdict.complete) return;
    if (!host.pushWait.active) {
      this.#handleLateOptions(verdict.options);
      return;
    }
    host.pushWait.finish();
    host.emit({ type: 'push-reply', options: verdict.options });
  }

  /** Nothing counts before the last fragment, as with the reply. */
  #handlePushUpdate(body: string): void {
    const verdict = this.#updateJoiner.handleFragment(body);
    if ('problem' in verdict) this.#host.end({ reason: 'failed', error: tooManyOptions() });
    else if (verdict.complete) this.#host.emit({ type: 'push-update', options: verdict.options });
  }

  /** What INFO_PRE asks counts only while the login is waited for. */
  #handlePendingRequest(text: string): void {
    const request = this.#host.pull ? parsePendingRequest(text) : undefined;
    if (request !== undefined) this.#tellPending(request);
  }

  #tellPending(request: PendingRequest | undefined): void {
    const deadlineMs = this.#host.pushWait.limitMs;
    if (deadlineMs !== undefined) this.#host.emit({ type: 'login-pending', request, deadlineMs });
  }

  /** After the first reply only a new auth-token counts (it comes with renegotiations); the rest is a repetition. */
  #handleLateOptions(options: readonly string[]): void {
    const find = (name: string) => options.find((option) => option.startsWith(`${name} `))?.slice(name.length + 1);
    const token = find('auth-token');
    if (token === undefined) return;
    const user = parseTokenUser(find('auth-token-user'));
    this.#host.credentials.setToken(token, user);
    this.#host.emit({ type: 'auth-token', token, user });
  }
}

const tooManyOptions = (): SallyportError =>
  new SallyportError('The server pushed more options than Sallyport takes', {
    code: 'SALLYPORT_PUSH',
    blame: 'peer',
    hint: 'The limit is 65536 options or 4 MiB.',
  });

/** Lines that show at any verb. */
const ALWAYS = 0;

/** auth-token-user carries the name in base64. */
function parseTokenUser(base64: string | undefined): string | undefined {
  const bytes = base64 === undefined ? undefined : parseBase64(base64);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes).replace(/[\x00-\x1f\x7f]/g, '');
}

// Talking to the person at a client that is not in yet: a question and its answer, a web page, more time. One dialog
// belongs to one judgement; it ends with it.

import { SallyportError } from '../error.ts';
import { parseBase64 } from '../wire/base64.ts';
import { IvProto, ivProtoOf } from '../wire/peer-info.ts';
import { replaceControls } from './clean-text.ts';
import type { AuthenticateContext } from './hooks.ts';

/** What a dialog needs of its client. */
export interface DialogHost {
  readonly peerInfo: ReadonlyMap<string, string>;
  /** The longest that a client may be kept waiting. */
  readonly waitLimitSeconds: number;
  sendText(text: string): void;
  /** The judgement may take this much longer. */
  extend(seconds: number): void;
}

export class Dialog implements Omit<AuthenticateContext, 'environment'> {
  readonly signal: AbortSignal;
  readonly #host: DialogHost;
  readonly #aborter = new AbortController();
  #answer: ((text: string) => void) | undefined;
  /** A question is out; one answer to it counts. */
  #asked = false;

  constructor(host: DialogHost) {
    this.#host = host;
    this.signal = this.#aborter.signal;
  }

  /** As a hook has it: its functions stand alone. */
  get context(): Omit<AuthenticateContext, 'environment'> {
    return {
      signal: this.signal,
      ask: (text, options) => this.ask(text, options),
      webLogin: (url, options) => this.webLogin(url, options),
      pending: (extra, seconds) => this.pending(replaceControls(extra, ' '), seconds),
      wait: (seconds) => this.wait(seconds),
    };
  }

  /** Whether the client says (IV_SSO) that it can do this: `webauth`, `crtext`, `openurl` … */
  supports(method: string): boolean {
    return (this.#host.peerInfo.get('IV_SSO') ?? '').split(',').includes(method);
  }

  /** Throws once the judgement is made: what comes then would move limits that are not its own any more. */
  wait(timeoutSeconds: number): void {
    this.signal.throwIfAborted();
    const seconds = Math.max(1, Math.min(Math.floor(timeoutSeconds), this.#host.waitLimitSeconds));
    const keywords = (ivProtoOf(this.#host.peerInfo) & IvProto.authPendingKeywords) !== 0;
    this.#host.extend(seconds);
    this.#host.sendText(keywords ? `AUTH_PENDING,timeout ${seconds}` : 'AUTH_PENDING');
  }

  webLogin(url: string, { timeoutSeconds, flags = '' }: { timeoutSeconds?: number; flags?: string } = {}): void {
    if (!/^https?:\/\/[^\s\x00-\x1f\x7f]+$/.test(url)) throw misuse(`"${url}" is no web address`);
    if (!this.supports('webauth')) throw misuse('the client announces no web login (IV_SSO without webauth)');
    this.wait(timeoutSeconds ?? this.#host.waitLimitSeconds);
    this.#host.sendText(`INFO_PRE,WEB_AUTH:${flags}:${url}`);
  }

  ask(text: string, { echo = false, timeoutSeconds }: { echo?: boolean; timeoutSeconds?: number } = {}) {
    const answer = new Promise<string>((resolve, reject) => {
      if (!this.supports('crtext')) throw misuse('the client announces no questions (IV_SSO without crtext)');
      this.wait(timeoutSeconds ?? this.#host.waitLimitSeconds);
      this.#asked = true;
      this.#answer = resolve;
      this.signal.addEventListener('abort', () => reject(this.signal.reason), { once: true });
      this.#host.sendText(`INFO_PRE,CR_TEXT:${echo ? 'E,' : ''}R:${text.replace(/[\x00-\x1f\x7f]+/g, ' ')}`);
    });
    // Who asked may be busy elsewhere when the client goes; that must not end the program around the server.
    answer.catch(() => {});
    return answer;
  }

  /** What a script wrote for the client to be told while it waits. */
  pending(extra: string, timeoutSeconds: number): void {
    this.wait(timeoutSeconds);
    this.#asked = true;
    this.#host.sendText(`INFO_PRE,${extra}`);
  }

  /** CR_RESPONSE came; its text is base64. Returns the answer, or undefined when it was none or nobody has asked. */
  handleResponse(base64: string): string | undefined {
    const bytes = this.#asked ? parseBase64(base64) : undefined;
    if (bytes === undefined) return undefined;
    this.#asked = false;
    const text = replaceControls(new TextDecoder().decode(bytes), '');
    this.#answer?.(text);
    this.#answer = undefined;
    return text;
  }

  /** The judgement is made, or nobody waits for it any more. */
  end(reason: string): void {
    this.#aborter.abort(new SallyportError(reason, { code: 'SALLYPORT_ABORTED', blame: 'peer' }));
  }
}

function misuse(what: string): SallyportError {
  return new SallyportError(what, { code: 'SALLYPORT_CREDENTIALS', blame: 'peer' });
}

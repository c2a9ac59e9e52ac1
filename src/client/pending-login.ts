// A login that the server holds back until somebody confirms it: elsewhere, by an answer given here, or at an address
// opened in a browser. Questions go to whoever can answer (`ChallengePort`), one at a time; the newest counts.

import { SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import { type PendingRequest, writeChallengeResponse } from '../wire/auth-challenge.ts';
import type { ChallengePort } from './ports.ts';
import type { LoginPending } from './state.ts';

/** Requests of one attempt; a server that asks more often is not answered any more. */
const REQUEST_LIMIT = 16;

export interface PendingLoginHost {
  readonly challenges: ChallengePort | undefined;
  readonly log: Log;
  /** The attempt is over. */
  readonly signal: AbortSignal;
  tell(state: LoginPending): void;
  /** A text for the control channel. */
  send(text: string): void;
}

export class PendingLogin {
  readonly #host: PendingLoginHost;
  #asking: AbortController | undefined;
  #requests = 0;

  constructor(host: PendingLoginHost) {
    this.#host = host;
  }

  /**
   * Takes what the server asks, or with undefined that it waits for somebody else. Resolves when nothing is to be done
   * here any more; rejects with a SallyportError when a needed answer can't be had.
   */
  async handle(request: PendingRequest | undefined, secondsLeft: number): Promise<void> {
    const { challenges, log } = this.#host;
    if (request === undefined) {
      log(Level.info, `The server waits for the login to be confirmed; time left: ${words(secondsLeft)}`);
      if (this.#asking === undefined) this.#tell('nothing', { secondsLeft });
      return;
    }
    if (++this.#requests > REQUEST_LIMIT) {
      log(Level.pushErrors, `WARNING: the server asked more than ${REQUEST_LIMIT} times, this request is left out`);
      return;
    }
    switch (request.type) {
      case 'unusable':
        log(Level.pushErrors, PROBLEMS[request.problem]);
        return;
      case 'web-login':
        if (challenges?.webLogin === undefined) {
          log(Level.info, `Log in at ${request.url} to go on; time left: ${words(secondsLeft)}`);
        }
        this.#tell('web-login', { url: request.url, secondsLeft });
        await this.#ask((signal) =>
          challenges?.webLogin?.({ url: request.url, flags: request.flags, secondsLeft }, signal),
        );
        return;
      case 'cr-text': {
        const { text, echo, responseRequired } = request;
        this.#tell('response', { text, secondsLeft });
        if (challenges?.respond === undefined) {
          if (responseRequired) throw nobodyToAsk(text);
          log(Level.info, `The server says: ${text}`);
          return;
        }
        const challenge = { kind: 'pending', text, echo, responseRequired, secondsLeft } as const;
        const response = await this.#ask((signal) => challenges.respond?.(challenge, signal));
        if (response !== undefined && responseRequired) this.#host.send(writeChallengeResponse(response));
        return;
      }
      default:
        request satisfies never;
    }
  }

  /** The login is decided: whoever is still asked need not answer. */
  stop(): void {
    this.#asking?.abort();
    this.#asking = undefined;
  }

  #tell(needs: LoginPending['needs'], more: { text?: string; url?: string; secondsLeft: number }): void {
    this.#host.tell({
      phase: 'login-pending',
      needs,
      text: more.text,
      url: more.url,
      secondsLeft: more.secondsLeft,
    });
  }

  /** The answer; undefined once nobody wants it any more, also from one that does not hear the signal. */
  async #ask<T>(ask: (signal: AbortSignal) => Promise<T> | undefined): Promise<T | undefined> {
    this.stop();
    const asking = new AbortController();
    this.#asking = asking;
    const signal = AbortSignal.any([asking.signal, this.#host.signal]);
    try {
      return await Promise.race([ask(signal), aborted(signal)]);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    } finally {
      if (this.#asking === asking) this.#asking = undefined;
    }
  }
}

const PROBLEMS = {
  url: 'WARNING: the server wants a login at an address that is not a plain http or https one; it is not shown',
  challenge: 'WARNING: the server sent a malformed challenge, it is left out',
} as const;

const words = (seconds: number): string => `${Math.max(0, Math.round(seconds))} s`;

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });

/** The error of a question that has nobody to answer it. */
export function nobodyToAsk(text: string): SallyportError {
  return new SallyportError(`The server asks "${text}", and there is nobody to answer`, {
    code: 'SALLYPORT_CREDENTIALS',
    blame: 'config',
    hint: 'Start the program on a terminal, or pass `onChallenge` to connect().',
  });
}

// Username and password over a connection's life: read or asked for once, completed by the answer to a challenge,
// replaced by the server's token, forgotten when the profile or the server says so.

import type { Config } from '../config/config.ts';
import type { Credentials } from '../session/options.ts';
import { type DynamicChallenge, writeDynamicResponse, writeStaticResponse } from '../wire/auth-challenge.ts';
import { nobodyToAsk } from './pending-login.ts';
import type { Challenge, ChallengePort, CredentialsPort } from './ports.ts';

export interface CredentialStore {
  /** What the key exchange sends: the token if the server gave one, else what was read or asked for. */
  obtain(signal: AbortSignal): Promise<Credentials | undefined>;
  /** Known without asking anybody, for the start of a session. */
  readonly known: Credentials | undefined;
  setToken(token: string, user: string | undefined): void;
  /** Drops the token; true when there was one. */
  forgetToken(): boolean;
  /** The answer to this is what is sent instead of a password, once nothing else is known. */
  setChallenge(challenge: DynamicChallenge): void;
  /** The key exchange has been sent: under auth-nocache the password is forgotten. */
  used(): void;
  /** Forgets everything cached: the server refused it, or just wants it given anew. A challenge outlives its refusal. */
  purge(because: 'refused' | 'told'): void;
}

/** The store for one configuration; without `auth-user-pass` it never has anything but a token. */
export function createCredentialStore(
  config: Config,
  port: CredentialsPort,
  challenges?: Pick<ChallengePort, 'respond'> | undefined,
): CredentialStore {
  const wanted = config.authUserPass;
  let cached: Credentials | undefined;
  let token: Credentials | undefined;
  let dynamic: DynamicChallenge | undefined;
  let refused = false;
  let lastUsername = '';
  /** What is cached has an answer in it that the server takes once. */
  let spent = false;

  const current = (): Credentials | undefined => token ?? cached;

  const respond = async (challenge: Omit<Challenge, 'secondsLeft'>, signal: AbortSignal): Promise<string> => {
    if (challenges?.respond === undefined) throw nobodyToAsk(challenge.text);
    const response = await unlessAborted(challenges.respond({ ...challenge, secondsLeft: undefined }, signal), signal);
    return challenge.responseRequired ? response : '';
  };

  const readOrAsked = async (
    { source, usernameOnly }: typeof wanted & {},
    signal: AbortSignal,
  ): Promise<Credentials> => {
    const read = source === undefined ? { username: undefined, password: undefined } : port.read(source, 'Auth');
    // After a refusal with `auth-retry interact` a stored password is not tried again: a person is asked.
    const usable = refused ? { username: read.username, password: undefined } : read;
    const { username, password } = usable;
    if (username !== undefined && (password !== undefined || usernameOnly))
      return { username, password: password ?? '' };
    return unlessAborted(port.ask(usable, signal, 'Auth'), signal);
  };

  const withStaticResponse = async (given: Credentials, signal: AbortSignal): Promise<Credentials> => {
    if (config.staticChallenge === undefined) return given;
    const { text, echo, format } = config.staticChallenge;
    const response = await respond({ kind: 'static', text, echo, responseRequired: true }, signal);
    return { ...given, password: writeStaticResponse(given.password, response, format) };
  };

  const dynamicResponse = async (challenge: DynamicChallenge, signal: AbortSignal): Promise<Credentials> => {
    const { text, echo, responseRequired, stateId, username } = challenge;
    const response = await respond({ kind: 'dynamic', text, echo, responseRequired }, signal);
    return { username, password: writeDynamicResponse(stateId, response) };
  };

  return {
    get known() {
      return current();
    },
    async obtain(signal) {
      const have = current();
      if (have !== undefined || wanted === undefined) return have;
      if (port.answersChallenges === true) cached = await readOrAsked(wanted, signal);
      else if (dynamic === undefined) cached = await withStaticResponse(await readOrAsked(wanted, signal), signal);
      else cached = await dynamicResponse(dynamic, signal);
      spent = dynamic !== undefined || config.staticChallenge !== undefined;
      dynamic = undefined;
      refused = false;
      lastUsername = cached.username;
      return cached;
    },
    setToken(text, user) {
      token = { username: user ?? token?.username ?? lastUsername, password: text };
    },
    forgetToken() {
      const had = token !== undefined;
      token = undefined;
      // The token stood for an answer that is stale by now: whoever gave it is asked again.
      if (had && spent) cached = undefined;
      return had;
    },
    setChallenge(challenge) {
      dynamic = challenge;
    },
    used() {
      if (config.authNocache) cached = undefined;
    },
    purge(because) {
      refused = because === 'refused' && config.authRetry === 'interact';
      cached = undefined;
      token = undefined;
      if (because === 'told') dynamic = undefined;
    },
  };
}

/** Whoever is asked may not hear the signal; an answer that comes after it is dropped. */
export function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

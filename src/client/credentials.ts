// Username and password over a connection's life: read or asked for once, replaced by the server's token, forgotten when
// the profile or the server says so.

import type { Config } from '../config/config.ts';
import type { Credentials } from '../session/options.ts';
import type { CredentialsPort } from './ports.ts';

export interface CredentialStore {
  /** What the key exchange sends: the token if the server gave one, else what was read or asked for. */
  obtain(signal: AbortSignal): Promise<Credentials | undefined>;
  /** Known without asking anybody, for the start of a session. */
  readonly known: Credentials | undefined;
  setToken(token: string, user: string | undefined): void;
  /** Drops the token; true when there was one. */
  forgetToken(): boolean;
  /** The key exchange has been sent: under auth-nocache the password is forgotten. */
  used(): void;
  /** Forgets everything cached: the server refused it, or just wants it given anew. */
  purge(because: 'refused' | 'told'): void;
}

/** The store for one configuration; without `auth-user-pass` it never has anything but a token. */
export function createCredentialStore(config: Config, port: CredentialsPort): CredentialStore {
  const wanted = config.authUserPass;
  let cached: Credentials | undefined;
  let token: Credentials | undefined;
  let refused = false;
  let lastUsername = '';

  const current = (): Credentials | undefined => token ?? cached;

  return {
    get known() {
      return current();
    },
    async obtain(signal) {
      const have = current();
      if (have !== undefined || wanted === undefined) return have;
      const read =
        wanted.source === undefined ? { username: undefined, password: undefined } : port.read(wanted.source);
      // After a refusal with `auth-retry interact` a stored password is not tried again: a person is asked.
      const usable = refused ? { username: read.username, password: undefined } : read;
      const { username, password } = usable;
      if (username !== undefined && (password !== undefined || wanted.usernameOnly)) {
        cached = { username, password: password ?? '' };
      } else {
        cached = await unlessAborted(port.ask(usable, signal), signal);
      }
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
      return had;
    },
    used() {
      if (config.authNocache) cached = undefined;
    },
    purge(because) {
      refused = because === 'refused' && config.authRetry === 'interact';
      cached = undefined;
      token = undefined;
    },
  };
}

/** Whoever is asked may not hear the signal; an answer that comes after it is dropped. */
function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

// What goes into the username and password fields of a key exchange.

import type { Credentials } from './options.ts';

export interface CredentialRules {
  /** A key exchange waits for credentials. */
  readonly needed: boolean;
  /** They are forgotten once sent. */
  readonly forget: boolean;
}

/** Holds the user's credentials and the server's auth-token, which stands in for the password from then on. */
export class CredentialStore {
  readonly #rules: CredentialRules;
  #credentials: Credentials | undefined;
  #token: Credentials | undefined;
  /** The name last sent, for a token that comes without one. */
  #username = '';

  constructor(rules: CredentialRules) {
    this.#rules = rules;
  }

  get hasToken(): boolean {
    return this.#token !== undefined;
  }

  setCredentials(credentials: Credentials): void {
    this.#credentials = credentials;
  }

  setToken(token: string, user: string | undefined): void {
    this.#token = { username: user ?? this.#token?.username ?? this.#username, password: token };
  }

  /** What to send now; `missing` when the user must be asked first; undefined for no fields at all. */
  take(): Credentials | undefined | 'missing' {
    if (this.#token !== undefined) return this.#token;
    if (this.#credentials === undefined) return this.#rules.needed ? 'missing' : undefined;
    const taken = this.#credentials;
    this.#username = taken.username;
    if (this.#rules.forget) this.#credentials = undefined;
    return taken;
  }

  /** Forgets everything. */
  close(): void {
    this.#credentials = undefined;
    this.#token = undefined;
    this.#username = '';
  }
}

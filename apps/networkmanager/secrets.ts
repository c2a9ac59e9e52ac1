// Passwords of one connection: what is known, what is missing, and how NetworkManager is asked for it. A question reaches
// the user's dialog as SecretsRequired(message, hints); the hints are names of secrets, and for an answer that is not
// stored the name has a prefix that agents understand.

import type { NmConnection } from './connection.ts';
import type { NmSettings } from './settings.ts';

/** What the client asks. Texts are the server's or the profile's, without control characters. */
export type Question =
  | { readonly kind: 'login'; readonly of: 'Auth' | 'HTTP Proxy' | 'SOCKS Proxy' }
  | { readonly kind: 'passphrase' }
  | { readonly kind: 'challenge'; readonly text: string; readonly echo: boolean };

export type Answer =
  | { readonly username: string; readonly password: string }
  | { readonly passphrase: string }
  | { readonly response: string };

/** What SecretsRequired says. */
export interface SecretsRequest {
  readonly message: string;
  readonly hints: readonly string[];
}

const MESSAGE_LIMIT = 1024;

/** Whom a login is for: the server or the proxy before it. */
interface Login {
  /** The user name that the connection has, or who was entered where it has none. */
  username: string | undefined;
  readonly isStated: boolean;
}

/** The secrets of one connection attempt. */
export class SecretStore {
  readonly #hints: ChallengeHints;
  readonly #server: Login;
  readonly #proxy: Login;
  readonly #secrets = new Map<string, string>();
  /** Answers that were refused, by the name of their secret. */
  readonly #refused = new Map<string, string>();
  /** What the proxy was told last. */
  #toldProxy: string | undefined;
  /** The answer to a challenge that went along with the login, or came after it. */
  #response: string | undefined;
  /** A login and an answer that were refused together: either of them may have been right. */
  #refusedTogether: { readonly login: string | undefined; readonly response: string } | undefined;

  constructor(
    { username, proxyUsername }: Pick<NmSettings, 'username' | 'proxyUsername'>,
    secrets: ReadonlyMap<string, string>,
    hints: ChallengeHints = 'prefixed',
  ) {
    this.#hints = hints;
    this.#server = { username, isStated: username !== undefined };
    this.#proxy = { username: proxyUsername, isStated: proxyUsername !== undefined };
    this.take(secrets, undefined, undefined);
  }

  /**
   * Takes what NetworkManager brings, as an answer to a question where there was one; a secret that is not among it is not
   * known any more. `username`: who logs in to the server, as NetworkManager says it now.
   */
  take(secrets: ReadonlyMap<string, string>, username: string | undefined, question: Question | undefined): void {
    const before = this.#secrets.get('password');
    this.#secrets.clear();
    for (const [name, value] of secrets) this.#secrets.set(name, value);
    if (question?.kind === 'challenge' && this.#hints === 'password') {
      // What was entered is the answer, and the password stays what it was.
      const entered = this.#secrets.get('password');
      this.#secrets.delete('password');
      if (before !== undefined) this.#secrets.set('password', before);
      if (entered !== undefined) this.#secrets.set('challenge-response', entered);
    }
    // An agent that answers by the hint gives the answer under the hint's own name.
    for (const name of CHALLENGE_HINTS) {
      const value = this.#secrets.get(name);
      if (value !== undefined) this.#secrets.set('challenge-response', value);
    }
    // Whoever enters a password that may have been right is taken at his word.
    const another = question?.kind === 'login' && question.of === 'Auth' && this.#refusedTogether !== undefined;
    if (another) this.#refused.delete('password');
    this.#server.username = secrets.get('username') ?? username ?? this.#server.username;
    if (!this.#proxy.isStated) this.#proxy.username = secrets.get('http-proxy-username') ?? this.#proxy.username;
  }

  /** The answer, if all of it is known and it was not refused. An answer to a challenge is used once. */
  answer(question: Question): Answer | undefined {
    switch (question.kind) {
      case 'login': {
        const name = secretOf(question);
        const proxy = question.of !== 'Auth';
        // A proxy that wants to know again has refused what it was told.
        if (proxy && this.#toldProxy !== undefined) this.#refused.set(name, this.#toldProxy);
        const [{ username }, password] = [this.#loginOf(question), this.#secrets.get(name)];
        if (username === undefined || password === undefined || this.isRefusedAgain(question)) return undefined;
        if (proxy) this.#toldProxy = this.#told(question);
        else this.#response = undefined;
        return { username, password };
      }
      case 'passphrase': {
        const passphrase = this.#secrets.get('cert-pass');
        return passphrase === undefined || this.isRefusedAgain(question) ? undefined : { passphrase };
      }
      case 'challenge': {
        const response = this.isRefusedAgain(question) ? undefined : this.#secrets.get('challenge-response');
        this.#secrets.delete('challenge-response');
        for (const name of CHALLENGE_HINTS) this.#secrets.delete(name);
        if (response === undefined) return undefined;
        this.#response = response;
        return { response };
      }
      default:
        return question satisfies never;
    }
  }

  /** What was answered to this question last was refused. */
  refuse(question: Exclude<Question, { kind: 'challenge' }>): void {
    const told = this.#told(question);
    if (told !== undefined) this.#refused.set(secretOf(question), told);
    if (question.kind !== 'login' || question.of !== 'Auth') return;
    const response = this.#response;
    this.#refusedTogether = response === undefined ? undefined : { login: told, response };
  }

  /** What was answered is right, as it has turned out. */
  accept(): void {
    this.#refused.clear();
    this.#refusedTogether = undefined;
    this.#toldProxy = undefined;
  }

  /** Whether the very answer that was refused has been brought again: nobody who was asked has another one. */
  isRefusedAgain(question: Question): boolean {
    if (question.kind === 'challenge') {
      const { login, response } = this.#refusedTogether ?? {};
      if (response === undefined || response !== this.#secrets.get('challenge-response')) return false;
      return login === this.#told({ kind: 'login', of: 'Auth' });
    }
    const told = this.#told(question);
    return told !== undefined && told === this.#refused.get(secretOf(question));
  }

  /** How NetworkManager is asked for what is missing. */
  request(question: Question): SecretsRequest {
    switch (question.kind) {
      case 'login': {
        const proxy = question.of !== 'Auth';
        const name = secretOf(question);
        const again = this.#refused.has(name);
        const { username, isStated } = this.#loginOf(question);
        const needsName = username === undefined || (again && !isStated);
        const what = needsName ? 'user name and password' : 'password';
        const together = !proxy && this.#refusedTogether !== undefined;
        const message = again
          ? `The ${proxy ? 'proxy' : 'server'} refused the ${what}${together ? ' or the answer. Enter both' : '. Enter it'} again.`
          : `The ${proxy ? 'proxy' : 'VPN server'} wants a ${what}.`;
        return { message, hints: [...(needsName ? [proxy ? 'http-proxy-username' : 'username'] : []), name] };
      }
      case 'passphrase':
        return {
          message: this.#refused.has('cert-pass')
            ? 'The passphrase does not open the private key. Enter it again.'
            : 'The private key has a passphrase.',
          hints: ['cert-pass'],
        };
      case 'challenge':
        return {
          message: question.text.slice(0, MESSAGE_LIMIT),
          hints: [this.#hints === 'password' ? 'password' : CHALLENGE_HINTS[question.echo ? 1 : 0]],
        };
      default:
        return question satisfies never;
    }
  }

  #loginOf({ of }: Extract<Question, { kind: 'login' }>): Login {
    return of === 'Auth' ? this.#server : this.#proxy;
  }

  /** The answer as far as it is known, to be compared: another user with the same password is another answer. */
  #told(question: Exclude<Question, { kind: 'challenge' }>): string | undefined {
    const secret = this.#secrets.get(secretOf(question));
    if (secret === undefined || question.kind === 'passphrase') return secret;
    return `${this.#loginOf(question).username ?? ''}\n${secret}`;
  }
}

/**
 * How dialogs are asked for an answer: those of network-manager-openvpn 1.12 and later by names of its own, those before by
 * the name of the password.
 */
export type ChallengeHints = 'prefixed' | 'password';

/** Hidden and shown. */
const CHALLENGE_HINTS = [
  'x-dynamic-challenge:challenge-response',
  'x-dynamic-challenge-echo:challenge-response',
] as const;

const secretOf = (question: Exclude<Question, { kind: 'challenge' }>): string => {
  if (question.kind === 'passphrase') return 'cert-pass';
  return question.of === 'Auth' ? 'password' : 'http-proxy-password';
};

/** libnm: NM_SETTING_SECRET_FLAG_NOT_REQUIRED. */
const NOT_REQUIRED = 0x4;

/**
 * Whether NetworkManager should ask for secrets before it connects. `keyIsEncrypted`: the private key can be read and has a
 * passphrase.
 */
export function needsSecrets(
  { data, secrets }: Pick<NmConnection, 'data' | 'secrets'>,
  keyIsEncrypted: boolean,
): boolean {
  const type = data.get('connection-type');
  const missing = (name: string): boolean => {
    const flags = Number(data.get(`${name}-flags`) ?? '0');
    return !secrets.has(name) && (flags & NOT_REQUIRED) === 0;
  };
  if (keyIsEncrypted && type !== 'password' && missing('cert-pass')) return true;
  if ((type === 'password' || type === 'password-tls') && missing('password')) return true;
  const proxyUser = data.get('http-proxy-username');
  return proxyUser !== undefined && proxyUser !== '' && missing('http-proxy-password');
}

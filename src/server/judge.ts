// Who a client is: its certificate has passed by now; here come the rules that bind a renegotiation to what was proven
// first, auth-tokens, the program that checks passwords, and the hook. All who are asked must agree.

import type { ServerOptions } from '../config/server-options.ts';
import { Level, type Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';
import { writeDynamicChallenge } from '../wire/auth-challenge.ts';
import { formatHex } from '../wire/hex.ts';
import type { AuthTokens, ClientTokens } from './auth-token.ts';
import type { Dialog } from './dialog.ts';
import type { AuthenticateDecision, ClientIdentity, ServerHooks } from './hooks.ts';
import { clientIdentity } from './identity.ts';
import type { Authenticate, Instance } from './instance.ts';
import type { ServerScripts, TokenSession } from './scripts.ts';
import { cleanCredential } from './server-environment.ts';
import { type Refusal, refusal, type Verdict } from './verdict.ts';

type JudgeOptions = Pick<ServerOptions, 'usernameAsCommonName' | 'authUserPassOptional' | 'authGenToken'>;

export interface JudgePorts {
  readonly clock: ClockPort;
  readonly scripts: ServerScripts;
  readonly hooks: ServerHooks;
  readonly tokens: AuthTokens | undefined;
}

interface Passed {
  readonly name: string | undefined;
  readonly username: string | undefined;
}

export class Judge {
  #options: JudgeOptions;
  readonly #ports: JudgePorts;
  readonly #tokens = new WeakMap<Instance, ClientTokens>();
  /** The user name that each client was let in with first: a renegotiation may not have another. */
  readonly #names = new WeakMap<Instance, { readonly proven: string | undefined }>();

  constructor(options: JudgeOptions, ports: JudgePorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** Judges by other options from now on. */
  reload(options: JudgeOptions): void {
    this.#options = { ...options, authGenToken: this.#options.authGenToken };
  }

  async authenticate(instance: Instance, event: Authenticate, dialog: Dialog): Promise<Verdict> {
    const { log } = instance;
    for (const [name, value] of event.peerInfo) log(Level.info, `peer info: ${name}=${value}`);
    const changed = event.first ? undefined : changedIdentity(instance, event);
    if (changed !== undefined) {
      log(Level.tlsErrors, changed);
      return refusal(undefined);
    }
    const credentials = {
      username: cleanCredential(event.username ?? ''),
      password: event.password ?? '',
      stated: event.username !== undefined && event.username !== '' && event.password !== undefined,
    };
    const locked = this.#names.get(instance);
    const claimed = credentials.stated ? credentials.username : undefined;
    if (locked !== undefined && claimed !== locked.proven && claimed !== instance.facts.username) {
      log(
        Level.tlsErrors,
        `TLS Auth Error: username attempted to change from '${locked.proven ?? ''}' to '${claimed ?? ''}' -- tunnel disabled`,
      );
      return refusal(undefined);
    }
    if (event.first) instance.facts.username = claimed;
    const passed = await this.#ask(instance, event, credentials, dialog);
    if ('accept' in passed) return passed;
    const { name, username } = passed;
    if (event.first) {
      this.#names.set(instance, { proven: claimed });
      instance.facts.username = username;
    }
    const token = this.#issueToken(instance, username);
    return { accept: true, name: event.first ? name : instance.facts.name, username, token };
  }

  /** The token that was made last for a client; undefined without auth-gen-token. */
  token(instance: Instance): string | undefined {
    return this.#tokens.get(instance)?.current;
  }

  /** A new token in place of the one that a client has. */
  renewToken(instance: Instance): string | undefined {
    const { username } = instance.facts;
    return this.token(instance) === undefined ? undefined : this.#issueToken(instance, username);
  }

  async #ask(
    instance: Instance,
    event: Authenticate,
    credentials: { username: string; password: string; stated: boolean },
    dialog: Dialog,
  ): Promise<Passed | Refusal> {
    const { log } = instance;
    const { scripts, hooks } = this.#ports;
    let { username } = credentials;
    const token = credentials.stated ? this.#judgeToken(instance, username, credentials.password, log) : undefined;
    if (token?.refusal !== undefined) return token.refusal;
    if (token !== undefined) username = token.username;
    if (token?.accepted !== true && scripts.checksPasswords) {
      if (!credentials.stated && !this.#options.authUserPassOptional) {
        log(Level.tlsErrors, 'TLS Error: Auth Username/Password was not provided by peer');
        return refusal('username and password are needed');
      }
      const session = this.#tokenSession(instance, username);
      const verdict = await scripts.verifyPassword(
        instance.facts,
        { username, password: credentials.password },
        session,
        dialog,
      );
      // Nobody waits for an answer that comes when the client is gone or refused.
      dialog.signal.throwIfAborted();
      if (verdict.accept === false) {
        log(Level.tlsErrors, 'TLS Auth Error: Auth Username/Password verification failed for peer');
        this.#tokens.get(instance)?.wipe();
        return refusal(verdict.reason);
      }
    }
    let name = this.#options.usernameAsCommonName ? username : event.established.chain[0]?.commonName;
    if (token?.accepted !== true && hooks.onAuthenticate !== undefined) {
      const identity = clientIdentity(instance, event);
      const decision = await hooks.onAuthenticate(identity, {
        ...dialog.context,
        environment: () => scripts.environment(instance.facts, { password: event.password }),
      });
      dialog.signal.throwIfAborted();
      const refused = refusalOf(decision, identity, log);
      if (refused !== undefined) return refused;
      if (typeof decision === 'object' && decision.accept && decision.name !== undefined) {
        name = cleanCredential(decision.name);
      }
    }
    if (credentials.stated && (scripts.checksPasswords || hooks.onAuthenticate !== undefined)) {
      const kind = token?.accepted === true ? 'auth-token' : 'Password';
      const mark = this.#options.usernameAsCommonName ? '[CN SET]' : '';
      log(Level.handshake, `TLS: Username/${kind} authentication succeeded for username '${username}' ${mark}`);
    }
    return { name: name === '' ? undefined : name, username: credentials.stated ? username : undefined };
  }

  #judgeToken(
    instance: Instance,
    username: string,
    password: string,
    log: Log,
  ): { accepted: boolean; username: string; refusal: Refusal | undefined } | undefined {
    const tokens = this.#clientTokens(instance);
    const now = this.#ports.clock.now().unixSeconds;
    const verdict = tokens?.handlePassword(username, password, now);
    if (tokens === undefined || verdict === undefined) return undefined;
    for (const line of verdict.lines) log(Level.info, line);
    const external = this.#options.authGenToken?.externalAuth === true;
    if (external) return { accepted: false, username: verdict.username, refusal: undefined };
    if (verdict.accepted) return { accepted: true, username: verdict.username, refusal: undefined };
    log(Level.warning, `TLS: Username/auth-token authentication failed for username '${username}'`);
    tokens.wipe();
    return { accepted: false, username: verdict.username, refusal: refusal(verdict.clientReason) };
  }

  #clientTokens(instance: Instance): ClientTokens | undefined {
    const { tokens } = this.#ports;
    if (tokens === undefined) return undefined;
    let own = this.#tokens.get(instance);
    if (own === undefined) {
      own = tokens.forClient();
      this.#tokens.set(instance, own);
    }
    return own;
  }

  #tokenSession(instance: Instance, username: string): TokenSession | undefined {
    return this.#clientTokens(instance)?.environment(username, this.#ports.clock.now().unixSeconds);
  }

  #issueToken(instance: Instance, username: string | undefined): string | undefined {
    if (username === undefined) return undefined;
    return this.#clientTokens(instance)?.issue(username, this.#ports.clock.now().unixSeconds);
  }
}

/** What a renegotiation may not change, as a line for the log; undefined when it changes nothing. */
function changedIdentity({ facts }: Instance, { established }: Authenticate): string | undefined {
  const { chain } = established;
  const name = chain[0]?.commonName;
  if (name !== facts.commonName) {
    return `TLS Auth Error: TLS object CN attempted to change from '${facts.commonName ?? ''}' to '${name ?? ''}' -- tunnel disabled`;
  }
  const hashes = (certificates: Instance['facts']['chain']) =>
    certificates.map(({ sha256 }) => formatHex(sha256)).join();
  if (hashes(chain) === hashes(facts.chain)) return undefined;
  return `TLS Auth Error: TLS object CN=${name ?? ''} client-provided SSL certs unexpectedly changed during mid-session reauth`;
}

function refusalOf(decision: AuthenticateDecision, identity: ClientIdentity, log: Log): Refusal | undefined {
  if (decision === true) return undefined;
  if (decision !== false && decision.accept) return undefined;
  log(Level.tlsErrors, 'TLS Auth Error: Auth Username/Password verification failed for peer');
  if (decision === false) return refusal(undefined);
  if ('challenge' in decision) return refusal(writeDynamicChallenge(decision.challenge, identity.username ?? ''));
  if ('retry' in decision) {
    const { backoffSeconds, advance, text = '' } = decision.retry;
    const flags = [
      backoffSeconds === undefined ? '' : `backoff ${Math.floor(backoffSeconds)}`,
      advance === undefined ? '' : `advance ${advance === 'address' ? 'addr' : advance}`,
    ].filter((flag) => flag !== '');
    return refusal(`TEMP[${flags.join(',')}]: ${text}`);
  }
  return refusal(decision.reason);
}

// Where the command gets username, password and passphrase from: files and inline blocks, what a daemon's parent handed
// over, or a person at the terminal.

import {
  type ChallengePort,
  type Config,
  type CredentialsPort,
  createTerminal,
  type LoginKind,
  type PartialCredentials,
  parseInlineCredentials,
  prompts,
  readCredentialsFile,
  readPasswordFile,
  type Source,
} from '../../src/command.ts';
import { managedCredentials } from '../management/client-side.ts';
import type { Management } from '../management/management.ts';
import { managementSettings } from '../management/settings.ts';
import { terminalChallenges } from './challenges.ts';

export interface CommandCredentials extends Pick<CredentialsPort, 'ask' | 'answersChallenges'> {
  passphrase(): Promise<string>;
  /** Looks for the person; undefined where there is none. */
  challenges(): ChallengePort | undefined;
}

/** Names under which a daemon's parent hands over what it asked for. */
const handedNames = (kind: LoginKind): { readonly user: string; readonly secret: string } =>
  kind === 'Auth' ? { user: 'username', secret: 'password' } : { user: `${kind} username`, secret: `${kind} password` };
const PASSPHRASE = 'passphrase';
const STATIC_RESPONSE = 'static-response';

/** `secrets`: what a parent asked before this process became a daemon. They are used once. */
export function commandCredentials(
  config: Config,
  warn: (text: string) => void,
  secrets: Readonly<Record<string, string>>,
  management?: Management | undefined,
): CommandCredentials {
  const terminal = createTerminal();
  const handed = new Map(Object.entries(secrets));
  const take = (name: string): string | undefined => {
    const value = handed.get(name);
    handed.delete(name);
    return value;
  };
  const asked = management?.settings.queryPasswords === true ? management : undefined;
  const managed =
    asked && managedCredentials(asked.core, config.staticChallenge, config.authUserPass?.usernameOnly === true);
  return {
    answersChallenges: managed?.answersChallenges,
    async ask(known, signal, kind) {
      if (managed !== undefined) return managed.ask(known, signal, kind);
      const { user, secret } = handedNames(kind);
      const username = take(user) ?? known.username ?? (await terminal.ask(prompts.username(kind), signal));
      const password = take(secret) ?? known.password ?? (await terminal.ask(prompts.password(kind), signal));
      return { username, password };
    },
    challenges: () => terminalChallenges(handed.has(STATIC_RESPONSE) ? () => take(STATIC_RESPONSE) : undefined),
    async passphrase() {
      const file = config.tls.askpass?.file;
      if (file !== undefined) return readPasswordFile(file, 'Private Key', warn);
      if (asked !== undefined) return (await asked.core.ask('password', 'Private Key', '', asked.early)).password;
      return take(PASSPHRASE) ?? (await terminal.ask(prompts.password('Private Key'), new AbortController().signal));
    },
  };
}

/** Asks in the foreground for everything that the daemon will need. */
export async function secretsForDaemon(config: Config, warn: (text: string) => void): Promise<Record<string, string>> {
  const secrets: Record<string, string> = {};
  if (managementSettings(config)?.queryPasswords === true) return secrets;
  const terminal = createTerminal();
  const signal = new AbortController().signal;
  const { authUserPass } = config;
  for (const [kind, { source, usernameOnly }] of loginsAtStart(config)) {
    const { user, secret } = handedNames(kind);
    const known = source === undefined ? { username: undefined, password: undefined } : readSource(source, kind, warn);
    if (known.username === undefined) secrets[user] = await terminal.ask(prompts.username(kind), signal);
    if (known.password === undefined && !usernameOnly) {
      secrets[secret] = await terminal.ask(prompts.password(kind), signal);
    }
  }
  if (authUserPass !== undefined && config.staticChallenge !== undefined) {
    const { text, echo } = config.staticChallenge;
    secrets[STATIC_RESPONSE] = await terminal.ask(prompts.challenge(text, echo), signal);
  }
  if (config.tls.askpass !== undefined && config.tls.askpass.file === undefined) {
    secrets[PASSPHRASE] = await terminal.ask(prompts.password('Private Key'), signal);
  }
  return secrets;
}

/** The logins that are needed whatever the other side says: the server's, and that of the first proxy of each kind. */
function loginsAtStart(
  config: Config,
): readonly (readonly [LoginKind, { source: Source | undefined; usernameOnly: boolean }])[] {
  const http = config.connections.find(({ httpProxy }) => httpProxy?.basicAtOnce === true)?.httpProxy?.login;
  const socks = config.connections.find(({ socksProxy }) => socksProxy?.login !== undefined)?.socksProxy?.login;
  return [
    ...(config.authUserPass === undefined ? [] : ([['Auth', config.authUserPass]] as const)),
    ...(http === undefined ? [] : ([['HTTP Proxy', { source: http.source, usernameOnly: false }]] as const)),
    ...(socks === undefined ? [] : ([['SOCKS Proxy', { source: socks.source, usernameOnly: false }]] as const)),
  ];
}

function readSource(source: Source, kind: LoginKind, warn: (text: string) => void): PartialCredentials {
  return source.kind === 'inline'
    ? parseInlineCredentials(source.text, kind)
    : readCredentialsFile(source.path, kind, warn);
}

// Entry point `sallyport`: a client to embed. Nothing happens at import, nothing is printed, no process-wide handler is
// installed; the platform is loaded when `connect` is called.

import { resolve } from 'node:path';
import type { Challenge, ChallengePort, CredentialsPort, PartialCredentials, WebLogin } from './client/ports.ts';
import type { Config, Finding } from './config/config.ts';
import { parseConfig } from './config/parse.ts';
import { Connection, guarded } from './connection.ts';
import { SallyportError } from './error.ts';
import { Level, type Log } from './log.ts';
import { MAX_PROFILE_BYTES, readBoundedFile } from './node/read-file.ts';
import type { Credentials } from './session/options.ts';

export type { ClientStatistics } from './client/client.ts';
export type { Challenge, WebLogin } from './client/ports.ts';
export type { ClientState, LoginPending } from './client/state.ts';
export type { Config, Finding } from './config/config.ts';
export { Connection, type ConnectionEvent, type ConnectionEventType } from './connection.ts';
export type { PeerStatistics, PlaneStatistics } from './data/plane.ts';
export { type Blame, type ErrorCode, SallyportError } from './error.ts';
export { Level, type Log, type LogFlags, verbOf } from './log.ts';
export type { Credentials } from './session/options.ts';
export type { DnsPlan, PlannedRoute, TunnelPlan } from './tunnel/plan.ts';

export interface ConnectOptions {
  /** Ends the connection, before or after it is up; `connect` then rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Asked for what `auth-user-pass` does not give; what is known already is handed in. */
  readonly credentials?: (known: PartialCredentials, signal: AbortSignal) => Promise<Credentials>;
  /**
   * Answers questions beside username and password: of `static-challenge`, of a login refused with a dynamic challenge
   * (whatever `auth-retry` says), and of one that is pending. The signal aborts when the answer is not wanted any more.
   */
  readonly onChallenge?: (challenge: Challenge, signal: AbortSignal) => Promise<string> | string;
  /**
   * Shows an address to log in at, in a browser for example; the connection goes on by itself once that is done there.
   * The signal aborts when the login is over, one way or the other.
   */
  readonly onWebLogin?: (login: WebLogin, signal: AbortSignal) => Promise<void> | void;
  /** Asked for the passphrase of an encrypted private key. */
  readonly passphrase?: () => Promise<string>;
  /** How often a `statistics` event is told while the tunnel is up, in milliseconds; without it, never. */
  readonly statisticsMs?: number;
  /** Gets the log lines of the C program's wording; nothing is written anywhere without it. */
  readonly log?: Log;
  /** Folder that relative file names of the profile start from; default: the process's. */
  readonly directory?: string;
}

/**
 * Connects with a profile's text (an .ovpn file's content) or a parsed configuration. Resolves when the tunnel is up;
 * from then on the connection restarts by itself as the profile says. Rejects with a SallyportError whose `code` says
 * what went wrong, with nothing left behind on the host.
 */
export async function connect(profile: string | Config, options: ConnectOptions = {}): Promise<Connection> {
  options.signal?.throwIfAborted();
  const stated = typeof profile === 'string' ? parseProfile(profile, options) : profile;
  const config = withoutProcessOptions(stated, guardedLog(options.log));
  const { composeClient } = await import('./compose.ts');
  const composed = await composeClient(config, {
    log: guardedLog(options.log),
    credentials: credentialsPort(options),
    challenges: challengePort(options),
    passphrase: async () => {
      const { passphrase } = options;
      if (passphrase === undefined) throw nobodyToAsk('passphrase');
      return untilAborted(
        asked('passphrase', () => passphrase()),
        options.signal,
      );
    },
    configFile: undefined,
    directory: options.directory ?? process.cwd(),
    scriptOutput: 'ignore',
    workerUrl: new URL('./linux/data-worker.js', import.meta.url),
  }).catch((error: unknown) => {
    options.signal?.throwIfAborted();
    throw error;
  });
  const connection = new Connection((observer) => composed.start(observer), { statisticsMs: options.statisticsMs });
  const onAbort = (): void => void connection.close();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  void connection.ended.then(() => options.signal?.removeEventListener('abort', onAbort));
  try {
    await connection.untilConnected(options.signal);
  } catch (error) {
    await connection.close();
    throw error;
  }
  return connection;
}

/** Reads a profile's text. Throws SallyportError with every error found, each with its line and what to do. */
export function parseProfile(text: string, options: Pick<ConnectOptions, 'directory'> = {}): Config {
  const directory = options.directory ?? process.cwd();
  const { config, findings } = parseConfig(
    { text, file: '[profile]' },
    { readText: (path) => readBoundedFile(resolve(directory, path), MAX_PROFILE_BYTES).toString('utf8') },
  );
  if (config !== undefined) return config;
  const errors = findings.filter(({ severity }) => severity === 'error');
  const advice = errors.find((finding) => finding.advice !== undefined)?.advice;
  throw new SallyportError(errors.map(placed).join('\n'), {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    ...(advice === undefined ? {} : { hint: advice }),
  });
}

/** Options that would change the embedding process itself; a library leaves them to the program around it. */
const PROCESS_OPTIONS = ['user', 'group', 'chroot', 'nice'] as const;

function withoutProcessOptions(config: Config, log: Log): Config {
  const stated = PROCESS_OPTIONS.filter((name) => config.process[name] !== undefined);
  if (stated.length === 0) return config;
  log(
    Level.warning,
    `NOTE: ${stated.join(', ')}: left out, because connect() changes nothing of the process it runs in`,
  );
  return {
    ...config,
    process: { ...config.process, user: undefined, group: undefined, chroot: undefined, nice: undefined },
  };
}

/** The message with its place, which not all of the C program's words have. */
function placed({ message, origin }: Finding): string {
  const place = `${origin.file}:${origin.line}`;
  return message.includes(place) ? message : `${place}: ${message}`;
}

/** What the program's own function throws is the program's business, not the connection's. */
function guardedLog(log: Log | undefined): Log {
  if (log === undefined) return () => {};
  return (flags, text) => guarded(() => log(flags, text));
}

/** Does not wait any longer than the signal lets it. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function credentialsPort(options: ConnectOptions): Pick<CredentialsPort, 'ask'> {
  return {
    ask: async (known, signal) => {
      const { credentials } = options;
      if (credentials === undefined) throw nobodyToAsk('username and password');
      return asked('credentials', () => credentials(known, signal));
    },
  };
}

/** What the program can't do is not announced to the server. */
function challengePort({ onChallenge, onWebLogin }: ConnectOptions): ChallengePort {
  return {
    respond: onChallenge && ((challenge, signal) => asked('onChallenge', async () => onChallenge(challenge, signal))),
    webLogin: onWebLogin && ((login, signal) => asked('onWebLogin', async () => onWebLogin(login, signal))),
    announced: [
      ...(onWebLogin === undefined ? [] : (['openurl', 'webauth'] as const)),
      ...(onChallenge === undefined ? [] : (['crtext'] as const)),
    ],
    ignoresAuthRetry: onChallenge !== undefined,
  };
}

/** Asks the program around; what its function throws is the cause of an error that says whose function it was. */
async function asked<T>(
  name: 'credentials' | 'passphrase' | 'onChallenge' | 'onWebLogin',
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SallyportError(`\`${name}\` of connect() threw: ${reason}`, {
      code: 'SALLYPORT_CREDENTIALS',
      blame: 'config',
      cause,
    });
  }
}

const nobodyToAsk = (what: string): SallyportError =>
  new SallyportError(`The profile needs a ${what}, and connect() was given nothing to ask`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: 'Pass `credentials` or `passphrase` to connect(), or name a file in the profile.',
  });

// Entry point `sallyport`: a client and a server to embed. Nothing happens at import, nothing is printed, no process-wide handler is
// installed; the platform is loaded when
// `connect` or `createServer` is called.

import type {
  Challenge,
  ChallengePort,
  CredentialsPort,
  LoginKind,
  PartialCredentials,
  WebLogin,
} from './client/ports.ts';
import type { Config } from './config/config.ts';
import { Connection } from './connection.ts';
import { asked, guardedLog, parsedConfig, parseEmbedded, untilAborted, withoutProcessOptions } from './embed.ts';
import { SallyportError } from './error.ts';
import { checkNames, type KnownNames } from './known-names.ts';
import type { Log } from './log.ts';
import { PacketDevice } from './packet-device.ts';
import type { Credentials } from './session/options.ts';

export type { ClientStatistics } from './client/client.ts';
export type { Challenge, LoginKind, WebLogin } from './client/ports.ts';
export type { ClientState, LoginPending } from './client/state.ts';
export type { Config, Finding } from './config/config.ts';
export { Connection, type ConnectionEvent, type ConnectionEventType } from './connection.ts';
export type { PeerStatistics, PlaneStatistics } from './data/plane.ts';
export { type Blame, type ErrorCode, SallyportError } from './error.ts';
export { Level, type Log, type LogFlags, verbOf } from './log.ts';
export { PacketDevice } from './packet-device.ts';
export {
  type AddressChange,
  type AuthenticateContext,
  type AuthenticateDecision,
  type ClientEndpoint,
  type ClientIdentity,
  type ClientInfo,
  type ConnectDecision,
  type CreateServerOptions,
  createServer,
  type DynamicChallenge,
  echoReply,
  type KickOptions,
  type ListenAddress,
  type ListenSetting,
  type ReloadResult,
  type RetryAdvice,
  type RunningServer,
  type ServerEvent,
  type ServerEventType,
  type ServerHooks,
  type ServerSettings,
} from './server.ts';
export type { Credentials } from './session/options.ts';
export type { DnsPlan, PlannedRoute, TunnelPlan } from './tunnel/plan.ts';

export interface ConnectOptions {
  /** Ends the connection, before or after it is up; `connect` then rejects with its reason. */
  readonly signal?: AbortSignal;
  /**
   * Asked for what `auth-user-pass` does not give; what is known already is handed in. `kind` is `Auth`, or `HTTP Proxy`
   * or `SOCKS Proxy` where it is a proxy that wants to know.
   */
  readonly credentials?: (known: PartialCredentials, signal: AbortSignal, kind: LoginKind) => Promise<Credentials>;
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
  /**
   * `memory`: the tunnel ends in this program instead of in an interface of the host, and nothing of the host is changed;
   * `connection.device` has the packets.
   */
  readonly device?: 'memory';
  /** How often a `statistics` event is told while the tunnel is up, in milliseconds; without it, never. */
  readonly statisticsMs?: number;
  /** Gets the log lines of the C program's wording; nothing is written anywhere without it. */
  readonly log?: Log;
  /** Folder that relative file names of the profile start from; default: the process's. */
  readonly directory?: string;
}

const OPTIONS = {
  signal: 'value',
  credentials: 'function',
  onChallenge: 'function',
  onWebLogin: 'function',
  passphrase: 'function',
  device: 'value',
  statisticsMs: 'value',
  log: 'function',
  directory: 'value',
} as const satisfies KnownNames<ConnectOptions>;

/**
 * Connects with a profile's text (an .ovpn file's content) or a parsed configuration. Resolves when the tunnel is up;
 * from then on the connection restarts by itself as the profile says. Rejects with a SallyportError whose `code` says
 * what went wrong, with nothing left behind on the host.
 */
export async function connect(profile: string | Config, options: ConnectOptions = {}): Promise<Connection> {
  checkNames(options, OPTIONS, 'option', 'connect()');
  options.signal?.throwIfAborted();
  const stated = typeof profile === 'string' ? parseProfile(profile, options) : parsedConfig(profile, 'connect()');
  const config = withoutProcessOptions(stated, guardedLog(options.log), 'connect()');
  const device = options.device === 'memory' ? new PacketDevice() : undefined;
  const { composeClient } = await import('./compose.ts');
  const composed = await composeClient(config, {
    log: guardedLog(options.log),
    credentials: credentialsPort(options),
    challenges: challengePort(options),
    passphrase: async () => {
      const { passphrase } = options;
      if (passphrase === undefined) throw nobodyToAsk('passphrase');
      return untilAborted(
        asked('`passphrase` of connect()', () => passphrase()),
        options.signal,
      );
    },
    configFile: undefined,
    directory: options.directory ?? process.cwd(),
    scriptOutput: 'ignore',
    workerUrl: new URL('./linux/data-worker.js', import.meta.url),
    device,
  }).catch((error: unknown) => {
    options.signal?.throwIfAborted();
    throw error;
  });
  const connection = new Connection((observer) => composed.start(observer), {
    statisticsMs: options.statisticsMs,
    device,
  });
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
  return parseEmbedded({ text, file: '[profile]' }, { directory: options.directory ?? process.cwd() });
}

function credentialsPort(options: ConnectOptions): Pick<CredentialsPort, 'ask'> {
  return {
    ask: async (known, signal, kind) => {
      const { credentials } = options;
      if (credentials === undefined) throw nobodyToAsk('username and password');
      return asked('`credentials` of connect()', () => credentials(known, signal, kind));
    },
  };
}

/** What the program can't do is not announced to the server. */
function challengePort({ onChallenge, onWebLogin }: ConnectOptions): ChallengePort {
  return {
    respond:
      onChallenge &&
      ((challenge, signal) => asked('`onChallenge` of connect()', async () => onChallenge(challenge, signal))),
    webLogin:
      onWebLogin && ((login, signal) => asked('`onWebLogin` of connect()', async () => onWebLogin(login, signal))),
    announced: [
      ...(onWebLogin === undefined ? [] : (['openurl', 'webauth'] as const)),
      ...(onChallenge === undefined ? [] : (['crtext'] as const)),
    ],
    ignoresAuthRetry: onChallenge !== undefined,
  };
}

const nobodyToAsk = (what: string): SallyportError =>
  new SallyportError(`The profile needs a ${what}, and connect() was given nothing to ask`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: 'Pass `credentials` or `passphrase` to connect(), or name a file in the profile.',
  });

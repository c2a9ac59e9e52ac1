// Entry point `sallyport/server`, part of `sallyport` too: a server to embed, whose decisions are functions of the program
// around it. Nothing happens at import, nothing is printed, no process-wide handler is installed; several servers may run
// in one process.

import type { Config } from './config/config.ts';
import { asked, guardedLog, parseEmbedded, refuseBytes, untilAborted, withoutProcessOptions } from './embed.ts';
import { SallyportError } from './error.ts';
import { checkNames, type KnownNames } from './known-names.ts';
import type { Log } from './log.ts';
import { PacketDevice } from './packet-device.ts';
import { CurrentHooks, HOOKS, RunningServer } from './running-server.ts';
import type { ServerHooks } from './server/hooks.ts';
import { type ServerSettings, settingsText } from './server-settings.ts';

export type { Config } from './config/config.ts';
export { type Blame, type ErrorCode, SallyportError } from './error.ts';
export { echoReply } from './ip/echo-reply.ts';
export { Level, type Log, type LogFlags, verbOf } from './log.ts';
export { PacketDevice } from './packet-device.ts';
export type {
  KickOptions,
  ListenAddress,
  ReloadResult,
  RunningServer,
  ServerEvent,
  ServerEventType,
} from './running-server.ts';
export type {
  AddressChange,
  AuthenticateContext,
  AuthenticateDecision,
  ClientEndpoint,
  ClientIdentity,
  ClientInfo,
  ConnectDecision,
  DynamicChallenge,
  RetryAdvice,
  ServerHooks,
} from './server/hooks.ts';
export type { ListenSetting, ServerSettings } from './server-settings.ts';

export interface CreateServerOptions extends ServerHooks {
  /** Ends the server, before or after clients can come; `createServer` then rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Asked for the passphrase of an encrypted private key. */
  readonly passphrase?: () => Promise<string>;
  /**
   * `memory`: the tunnel ends in this program instead of in an interface of the host, and nothing of the host is changed;
   * `server.device` has the packets.
   */
  readonly device?: 'memory';
  /** Gets the log lines of the C program's wording; nothing is written anywhere without it. */
  readonly log?: Log;
  /** Folder that relative file names of the configuration start from; default: the process's. */
  readonly directory?: string;
}

const OPTIONS = {
  ...HOOKS,
  signal: 'value',
  passphrase: 'function',
  device: 'value',
  log: 'function',
  directory: 'value',
} as const satisfies KnownNames<CreateServerOptions>;

/**
 * Serves a configuration: the text of a server's file, the same parsed, or the usual options as an object. Resolves when
 * clients can come. Rejects with a SallyportError whose `code` says what went wrong, with nothing left behind on the host.
 */
export async function createServer(
  config: string | Config | ServerSettings,
  options: CreateServerOptions = {},
): Promise<RunningServer> {
  checkNames(options, OPTIONS, 'option', 'createServer()');
  const { signal, directory = process.cwd() } = options;
  signal?.throwIfAborted();
  const log = guardedLog(options.log);
  const hooks = new CurrentHooks(options);
  const read = (given: string | Config | ServerSettings, checksLogins: boolean): Config =>
    withoutProcessOptions(readServer(given, { directory, checksLogins }), log, 'createServer()');
  const first = read(config, hooks.onAuthenticate !== undefined);
  const device = options.device === 'memory' ? new PacketDevice() : undefined;
  const { composeServer } = await import('./serve.ts');
  const composed = await composeServer(first, {
    log,
    hooks,
    passphrase: async () => {
      const { passphrase } = options;
      if (passphrase === undefined) throw nobodyToAsk();
      return untilAborted(
        asked('`passphrase` of createServer()', () => passphrase()),
        signal,
      );
    },
    configFile: undefined,
    directory,
    scriptOutput: 'ignore',
    workerUrl: new URL('./linux/data-worker.js', import.meta.url),
    device,
  }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
  const server = new RunningServer((observer) => composed.start(observer), { device, hooks, read });
  const onAbort = (): void => void server.close();
  signal?.addEventListener('abort', onAbort, { once: true });
  void server.ended.then(() => signal?.removeEventListener('abort', onAbort));
  try {
    await server.untilListening(signal);
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

function readServer(
  given: string | Config | ServerSettings,
  reading: { readonly directory: string; readonly checksLogins: boolean },
): Config {
  refuseBytes(given, 'createServer()');
  const config =
    typeof given === 'object' && given !== null && 'lines' in given
      ? given
      : parseEmbedded({ text: typeof given === 'string' ? given : settingsText(given), file: '[server]' }, reading);
  if (config.mode === 'server') return config;
  throw new SallyportError('The configuration is not that of a server', {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: 'Write server 10.8.0.0 255.255.255.0 (or mode server) into it; a client is made by connect().',
  });
}

const nobodyToAsk = (): SallyportError =>
  new SallyportError('The private key needs a passphrase, and createServer() was given nothing to ask', {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: 'Pass `passphrase` to createServer(), or name a file with askpass.',
  });

// The management interface of a process: opened once, before keys are read and passwords are asked for, and kept over
// restarts. A client or server is attached while it runs.

import { timingSafeEqual } from 'node:crypto';
import {
  type Config,
  createTerminal,
  Level,
  type Logger,
  lookupGroup,
  lookupUser,
  messageOf,
  prompts,
  readPasswordFile,
  SallyportError,
} from '../../src/command.ts';
import { type CommandPorts, handleLine, handleTooLong } from './commands.ts';
import { ManagementCore } from './core.ts';
import { LineQueue } from './line-queue.ts';
import { LineReader } from './line-reader.ts';
import { type ManagementSettings, managementSettings } from './settings.ts';
import { openSocket, type SocketEvents } from './socket.ts';

/** What runs under management now. */
export type Attached = Pick<
  CommandPorts,
  'signal' | 'forgetPasswords' | 'status' | 'loadStats' | 'crResponse' | 'remotes' | 'server' | 'authRetry'
> & {
  /** The lines of a bytecount report. */
  traffic(): readonly string[];
};

export interface Management {
  readonly core: ManagementCore;
  readonly settings: ManagementSettings;
  /** Fires when the program is to end while nothing runs that could take the signal. */
  readonly early: AbortSignal;
  /** Such a signal, from wherever it came. Others than those that end the program mean nothing yet. */
  signalEarly(name: string): void;
  attach(running: Attached | undefined): void;
  /** The tunnel has this address: `management tunnel` listens there from now on. Nothing otherwise. */
  tunnelUp(address: string | undefined): void;
  tunnelDown(): void;
  close(): Promise<void>;
}

/** Undefined where the configuration has no `management`. Rejects with SallyportError. */
export async function openManagement(config: Config, logger: Logger, title: string): Promise<Management | undefined> {
  const settings = managementSettings(config);
  if (settings === undefined) return undefined;
  const { log } = logger;
  const password = await passwordOf(settings, (text) => log(Level.warning, text));
  const core = new ManagementCore(settings, password, {
    unixSeconds: () => Math.floor(Date.now() / 1000),
    sameSecret,
    log: (text, kind) => log(kind === 'warning' ? Level.warning : Level.restart, text),
  });
  const early = new AbortController();
  let running: Attached | undefined;
  let timer: NodeJS.Timeout | undefined;
  const signalEarly = (name: string): void => {
    if (name === 'SIGTERM' || name === 'SIGINT') early.abort(new EndedEarly(name));
  };
  const nothing: Attached = {
    signal: signalEarly,
    forgetPasswords: () => {},
    status: () => undefined,
    loadStats: () => ({ clients: 0, bytesIn: 0, bytesOut: 0 }),
    crResponse: undefined,
    remotes: undefined,
    server: undefined,
    authRetry: { get: () => config.authRetry, set: () => {} },
    traffic: () => [],
  };
  const now = (): Attached => running ?? nothing;
  const bytecount = (seconds: number): void => {
    clearInterval(timer);
    if (seconds > 0) timer = setInterval(() => core.say(...now().traffic()), Math.min(seconds, 1e6) * 1000).unref();
  };
  const own = {
    title,
    pid: process.pid,
    verb: { get: () => logger.verb, set: (value: number) => logger.setVerb(value) },
    mute: { get: () => logger.mute, set: (value: number) => logger.setMute(value) },
    bytecount,
  };
  logger.setTap(({ flags, text, unixSeconds }) => core.logged(unixSeconds, letterOf(flags), text));
  const reader = new LineReader();
  const queue = new LineQueue((line) => {
    if (line.kind === 'too-long') handleTooLong(core);
    else {
      if (!core.passwordNeeded && line.text !== 'load-stats')
        log(COMMAND_LEVEL, `MANAGEMENT: CMD '${secretless(line.text)}'`);
      handleLine(core, { ...now(), ...own }, line.text);
    }
    const busy = core.connection?.busy;
    if (core.connection !== undefined) core.connection.busy = undefined;
    return busy;
  });
  const allowed = allowedBy(settings);
  const events: SocketEvents = {
    connected(output, description) {
      log(Level.restart, `MANAGEMENT: ${description}`);
      core.connected(output);
    },
    data(bytes) {
      for (const line of reader.push(bytes)) if (!queue.push(line)) core.connection?.output.halt();
    },
    disconnected() {
      reader.reset();
      queue.clear();
      clearInterval(timer);
      const proven = core.disconnected();
      log(Level.restart, 'MANAGEMENT: Client disconnected');
      if (proven && settings.forgetOnDisconnect) {
        log(Level.restart, 'MANAGEMENT: Reset authentication on disconnect');
        now().forgetPasswords();
      }
      if (settings.connects) now().signal('SIGTERM', 'management-exit');
      else if (proven && settings.signalOnDisconnect && !core.ignoresRestarts) {
        log(Level.restart, 'MANAGEMENT: Triggering management signal');
        now().signal(settings.remapUsr1 ?? 'SIGUSR1', 'management-disconnect');
      }
    },
    log: (text) => log(Level.restart, text),
  };
  let socket = settings.overTunnel ? undefined : await openSocket(settings, allowed, events);
  /** Opening and closing, one after the other. */
  let changing = Promise.resolve();
  const closeSocket = async (): Promise<void> => {
    await socket?.close();
    socket = undefined;
  };
  const change = (act: () => Promise<void>): void => {
    changing = changing.then(act).catch((error: unknown) => log(Level.error, messageOf(error)));
  };
  core.state('CONNECTING');
  return {
    core,
    settings,
    early: early.signal,
    signalEarly,
    attach(next) {
      running = next;
    },
    tunnelUp(address) {
      const { at } = settings;
      if (!settings.overTunnel || address === undefined || 'path' in at) return;
      change(async () => {
        socket ??= await openSocket({ ...settings, at: { ...at, host: address } }, allowed, events);
      });
    },
    tunnelDown() {
      if (settings.overTunnel) change(closeSocket);
    },
    async close() {
      clearInterval(timer);
      logger.setTap(undefined);
      await changing;
      await closeSocket();
    },
  };
}

/** Verb 3, never shown as information. */
const COMMAND_LEVEL = Level.restart | 0x80;

/** The program was told to end before anything ran. */
export class EndedEarly extends SallyportError {
  readonly signalName: string;

  constructor(signalName: string) {
    super(`${signalName} received before the start`, { code: 'SALLYPORT_ABORTED', blame: 'config' });
    this.signalName = signalName;
  }
}

/** In a time that depends on the length of what was entered alone. */
export function sameSecret(entered: string, secret: string): boolean {
  const [a, b] = [Buffer.from(entered), Buffer.from(secret)];
  const padded = Buffer.alloc(a.length);
  b.copy(padded);
  return timingSafeEqual(a, padded) && a.length === b.length;
}

async function passwordOf(
  { passwordFile }: ManagementSettings,
  warn: (text: string) => void,
): Promise<string | undefined> {
  if (passwordFile === undefined) return undefined;
  if (passwordFile !== 'stdin') return readPasswordFile(passwordFile, 'Management', warn);
  return createTerminal().ask(prompts.password('Management' as 'Private Key'), new AbortController().signal);
}

function allowedBy({ clientUser, clientGroup }: ManagementSettings) {
  const uid = clientUser === undefined ? undefined : lookupUser(clientUser)?.uid;
  const gid = clientGroup === undefined ? undefined : lookupGroup(clientGroup);
  if (clientUser !== undefined && uid === undefined) throw noSuch('user', clientUser);
  if (clientGroup !== undefined && gid === undefined) throw noSuch('group', clientGroup);
  return { uid, gid };
}

const noSuch = (what: string, name: string): SallyportError =>
  new SallyportError(`management-client-${what}: there is no ${what} ${name} on this system`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: `Write the name of a ${what} that exists.`,
  });

/** The one letter of a log line: information, fatal, error, warning, debug; lines of a higher verb have none. */
function letterOf(flags: number): string {
  if (flags === Level.info) return 'I';
  if ((flags & 0x10) !== 0) return 'F';
  if ((flags & 0x20) !== 0) return 'N';
  if ((flags & 0x40) !== 0) return 'W';
  return (flags & 0x80) !== 0 ? 'D' : '';
}

/** A command as it may stand in the log. */
const secretless = (line: string): string => (/^\s*["']?(password|cr-response)/.test(line) ? 'password [...]' : line);

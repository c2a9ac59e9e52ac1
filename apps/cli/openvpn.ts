// The life of a process that behaves as `openvpn`: read the configuration, go into the background, open the log, run the
// client, read the configuration again on SIGHUP, and end with the right exit code whatever happens.

import type { Worker } from 'node:worker_threads';
import {
  type Config,
  createLogger,
  type DaemonChild,
  FileRefusal,
  Level,
  type Logger,
  MAX_PROFILE_BYTES,
  parseConfig,
  readBoundedFile,
  receiveDaemon,
  SallyportError,
  stdoutSink,
} from '../../src/command.ts';
import { optionsErrorText, warningsOf } from '../../src/config.ts';
import type { Control, ControlOrder, EndReport } from '../desktop/control-server.ts';
import { CONTROL_ORDER } from '../desktop/order.ts';
import { EndedEarly, type Management, openManagement } from '../management/management.ts';
import { announce } from './announce.ts';
import { goToBackground } from './background.ts';
import { commandCredentials, secretsForDaemon } from './credentials.ts';
import { chooseSink } from './log-sink.ts';
import { missingFileLines } from './named-files.ts';
import { writePidFile } from './pid-file.ts';
import { type RunSetting, runClient } from './run-client.ts';
import { runServer } from './run-server.ts';
import { openService, type Service } from './service.ts';
import type { SignalInbox } from './signals.ts';
import { unknownCommandAdvice } from './unknown-command.ts';
import { versionLine } from './version.ts';

/** Exit code of every end that is an error. */
const FAILED = 1;
/** What is said before the configuration is read has no time in front, as with the C program. */
const OPTION_ERRORS = { suppressTimestamps: true, machineReadable: false };
/** How long the host may take to be put back after a fault of ours. */
const EMERGENCY_MS = 1500;

/** Runs until the process should end; returns its exit code. */
export async function runOpenVpn(
  argv: readonly string[],
  signals: SignalInbox,
  worker: Worker | undefined,
): Promise<number> {
  const service = openService(process.env);
  const child = receiveDaemon();
  const plain = createLogger({ verb: 1, mute: 0, sink: stdoutSink(OPTION_ERRORS) });
  let control: Control | undefined;
  try {
    control = await controlOf(child);
  } catch (error) {
    explain(error, plain);
    return FAILED;
  }
  const logger = control?.tap(plain) ?? plain;
  const emergency = catchFaults(logger);
  const home = process.cwd();
  const once: Once = { removePidFile: () => {}, scriptOutput: undefined, management: undefined };
  const leave = async (end: EndReport): Promise<number> => {
    once.removePidFile();
    await control?.close(end);
    await once.management?.close();
    return end.exitCode;
  };
  let first = true;
  for (;;) {
    if (!first) returnTo(home);
    const reading = readConfiguration(argv, logger);
    if (reading === undefined) {
      return leave(endReport(FAILED, new Error('the profile can not be used; the log says why')));
    }
    try {
      const end = await runOnce(reading, argv, {
        logger,
        service,
        control,
        signals,
        child,
        first,
        once,
        emergency,
        home,
        worker: first ? worker : undefined,
      });
      if (end === 'reload') {
        service.reloading();
        first = false;
        continue;
      }
      return await leave(end);
    } catch (error) {
      if (error instanceof EndedEarly) {
        logger.log(Level.info, `${error.signalName}[hard,init_instance] received, process exiting`);
        once.management?.core.state('EXITING', error.signalName);
        return leave(endReport(0, undefined));
      }
      explain(error, logger);
      return leave(endReport(FAILED, error));
    }
  }
}

/** What the first run opens and all that follow use. */
interface Once {
  removePidFile: () => void;
  scriptOutput: number | undefined;
  management: Management | undefined;
}

/** Relative names mean the same at every reading; after chroot there may be no such folder any more. */
function returnTo(directory: string): void {
  try {
    process.chdir(directory);
  } catch {
    // The configuration is then read from where we are, as the C program does.
  }
}

/** Does something in another folder, and comes back. */
function inDirectory<T>(directory: string, act: () => T): T {
  const here = process.cwd();
  returnTo(directory);
  try {
    return act();
  } finally {
    returnTo(here);
  }
}

interface RunContext {
  readonly logger: Logger;
  readonly service: Service;
  readonly control: Control | undefined;
  readonly signals: SignalInbox;
  readonly child: DaemonChild | undefined;
  readonly first: boolean;
  readonly once: Once;
  readonly emergency: Emergency;
  /** Where the process was started: relative names of the command line begin there. */
  readonly home: string;
  /** Started ahead by the launcher; for the first run only. */
  readonly worker: Worker | undefined;
}

async function runOnce(
  { config, warnings }: Reading,
  argv: readonly string[],
  context: RunContext,
): Promise<EndReport | 'reload'> {
  const { logger, service, control, signals, child, first, once, emergency, worker, home } = context;
  const { log } = logger;
  if (config.process.cd !== undefined) process.chdir(config.process.cd);
  const warn = (text: string): void => log(Level.warning, text);
  if (config.process.daemon !== undefined && child === undefined && !service.managed) {
    return endReport(await goToBackground(await secretsForDaemon(config, warn), logger), undefined);
  }
  if (first) once.scriptOutput = chooseSink(config, logger);
  logger.setVerb(config.process.verb);
  logger.setMute(config.process.mute);
  announce(config, warnings, log, first);
  if (first) once.removePidFile = writePidFile(config.process.writepid);
  if (first) once.management = await openManagement(config, logger, versionLine());
  const credentials = commandCredentials(config, warn, child?.secrets ?? {}, {
    management: once.management,
    person: control?.terminal,
  });
  const setting: RunSetting = {
    config,
    logger,
    service,
    credentials,
    management: once.management,
    configFile: configFileOf(argv),
    directory: process.cwd(),
    scriptOutput: once.scriptOutput,
    workerUrl: new URL('./data-worker.js', import.meta.url),
    worker,
    hasProcess: true,
    control,
    reread: (running) => inDirectory(home, () => readConfiguration(argv, logger, running)?.config),
    ready: () => {
      service.ready();
      if (first) child?.ready({ keepDirectory: config.process.cd !== undefined });
    },
  };
  const { management } = once;
  if (management !== undefined) signals.listen({ signal: management.signalEarly, statistics: () => {} });
  const running = config.mode === 'server' ? await runServer(setting) : await runClient(setting);
  signals.listen({
    ...running,
    signal: (name) => {
      if (name === 'SIGTERM' || name === 'SIGINT') service.stopping();
      running.signal(name);
    },
  });
  emergency.undo = async () => {
    running.signal('SIGTERM');
    await running.ended;
  };
  const end = await running.ended;
  signals.listen(undefined);
  emergency.undo = undefined;
  running.stop();
  if (end.kind === 'reload') return 'reload';
  if (end.error !== undefined && end.exitCode !== 0) {
    // A server's log has said that it ends, in its place before the device is closed.
    if (config.mode === 'server') sayHint(end.error, logger);
    else sayFatal(end.error, logger);
  }
  return endReport(end.exitCode, end.error);
}

/** The socket that `sallyport up` asked for; its order came with the secrets. */
async function controlOf(child: DaemonChild | undefined): Promise<Control | undefined> {
  const order = child?.secrets[CONTROL_ORDER];
  if (order === undefined) return undefined;
  const { openControl } = await import('../desktop/control-server.ts');
  return openControl(JSON.parse(order) as ControlOrder);
}

const endReport = (exitCode: number, error: unknown): EndReport => ({
  exitCode,
  message: error === undefined ? null : error instanceof Error ? error.message : String(error),
  hint: error instanceof SallyportError ? (error.hint ?? null) : null,
});

interface Reading {
  readonly config: Config;
  readonly warnings: readonly string[];
}

/** Reads and checks everything that is written; says what is wrong and answers nothing when it can't be used. */
function readConfiguration(argv: readonly string[], logger: Logger, running?: Config): Reading | undefined {
  const { config, findings } = parseConfig({ argv }, { readText });
  const say = (text: string): void => logger.log(Level.fatal, text);
  if (config === undefined) {
    for (const finding of findings.filter(({ severity }) => severity === 'error')) {
      say(optionsErrorText(finding));
      if (finding.advice !== undefined) say(`  ${finding.advice}`);
    }
    const advice = unknownCommandAdvice(argv);
    if (advice !== undefined) say(`  ${advice}`);
    say('Use --help for more information.');
    return undefined;
  }
  const missing = missingFileLines(config, config.process.cd ?? '.', running);
  if (missing.length > 0) {
    for (const line of missing) say(line);
    say('Use --help for more information.');
    return undefined;
  }
  return { config, warnings: warningsOf(findings) };
}

/** A file of options; the C program's name for standard input is `stdin`. Throws only what it has no words for. */
function readText(path: string): string | undefined {
  try {
    return readBoundedFile(path === 'stdin' ? 0 : path, MAX_PROFILE_BYTES).toString('utf8');
  } catch (error) {
    if (error instanceof FileRefusal) throw error;
    return undefined;
  }
}

/** The file that scripts see in `config`: the value of `--config`, or the lone file name. */
function configFileOf(argv: readonly string[]): string | undefined {
  const index = argv.indexOf('--config');
  if (index >= 0) return argv[index + 1];
  return argv.length === 1 && argv[0]?.startsWith('--') === false ? argv[0] : undefined;
}

function explain(error: unknown, logger: Logger): void {
  const text = error instanceof Error ? error.message : String(error);
  logger.log(Level.fatal, text);
  sayFatal(error, logger);
}

function sayHint(error: unknown, logger: Logger): void {
  if (error instanceof SallyportError && error.hint !== undefined) logger.log(Level.fatal, `  ${error.hint}`);
}

/** The end of a log after an error that was told. */
function sayFatal(error: unknown, logger: Logger): void {
  sayHint(error, logger);
  logger.log(Level.fatal, 'Exiting due to fatal error');
}

interface Emergency {
  /** Puts the host back, as far as there is something to put back. */
  undo: (() => Promise<void>) | undefined;
}

/** A fault of ours ends the process with exit code 1, after the host is put back or the time for it is over. */
function catchFaults(logger: Logger): Emergency {
  const emergency: Emergency = { undo: undefined };
  let failing = false;
  const fail = (error: unknown): void => {
    if (failing) process.exit(FAILED);
    failing = true;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    for (const line of text.split('\n')) logger.log(Level.fatal, `internal error: ${line.trim()}`);
    setTimeout(() => process.exit(FAILED), EMERGENCY_MS);
    void Promise.resolve(emergency.undo?.())
      .catch(() => {})
      .then(() => process.exit(FAILED));
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  return emergency;
}

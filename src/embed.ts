// What `connect` and `createServer` have in common: how a program around them is asked, told and left alone.

import { resolve } from 'node:path';
import type { Config, Finding } from './config/config.ts';
import { type ConfigInput, parseConfig } from './config/parse.ts';
import { messageOf, SallyportError } from './error.ts';
import { guarded } from './event-feed.ts';
import { kindOf } from './known-names.ts';
import { Level, type Log } from './log.ts';
import { MAX_PROFILE_BYTES, readBoundedFile } from './node/read-file.ts';

/** Reads a configuration. Throws SallyportError with every error found, each with its line and what to do. */
export function parseEmbedded(
  input: ConfigInput,
  { directory, checksLogins = false }: { readonly directory: string; readonly checksLogins?: boolean },
): Config {
  if ('text' in input) refuseFileName(input.text);
  const { config, findings } = parseConfig(input, {
    readText: (path) => readBoundedFile(resolve(directory, path), MAX_PROFILE_BYTES).toString('utf8'),
    checksLogins,
  });
  if (config !== undefined) return config;
  throw configurationError(findings);
}

/** A lone word that ends as files of profiles do is no configuration. */
function refuseFileName(text: string): void {
  const name = text.trim();
  if (!/^[^\s<#;]+\.(?:ovpn|conf)$/i.test(name)) return;
  throw new SallyportError(`The text of a configuration is wanted, and this is the name of a file: ${name}`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: `Read it first: await readFile(${JSON.stringify(name)}, 'utf8').`,
  });
}

/** What a program in JavaScript handed in for a parsed configuration. Throws SallyportError for what is none. */
export function parsedConfig(given: unknown, call: string): Config {
  if (typeof given === 'object' && given !== null && 'lines' in given) return given as Config;
  refuseBytes(given, call);
  throw new SallyportError(`${call} takes the text of a profile, or a parsed one; this is ${kindOf(given)}`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
  });
}

/** Throws SallyportError for a file's content that was not made text. */
export function refuseBytes(given: unknown, call: string): void {
  if (!(given instanceof Uint8Array)) return;
  throw new SallyportError(`${call} takes the text of a configuration; these are bytes`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: "Read the file as text: readFile(name, 'utf8').",
  });
}

/** All errors among the findings as one. */
function configurationError(findings: readonly Finding[]): SallyportError {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const advice = errors.find((finding) => finding.advice !== undefined)?.advice;
  return new SallyportError(errors.map(placed).join('\n'), {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    ...(advice === undefined ? {} : { hint: advice }),
  });
}

/** The message with its place, which not all of the C program's words have. */
function placed({ message, origin }: Finding): string {
  const place = `${origin.file}:${origin.line}`;
  return message.includes(place) ? message : `${place}: ${message}`;
}

/** Options that would change the embedding process itself; a library leaves them to the program around it. */
const PROCESS_OPTIONS = ['user', 'group', 'chroot', 'nice'] as const;

/** The configuration without them; they are told to the log. */
export function withoutProcessOptions(config: Config, log: Log, who: string): Config {
  const stated = PROCESS_OPTIONS.filter((name) => config.process[name] !== undefined);
  if (stated.length === 0) return config;
  log(Level.warning, `NOTE: ${stated.join(', ')}: left out, because ${who} changes nothing of the process it runs in`);
  return {
    ...config,
    process: { ...config.process, user: undefined, group: undefined, chroot: undefined, nice: undefined },
  };
}

/** What the program's own function throws is the program's business, not the connection's. */
export function guardedLog(log: Log | undefined): Log {
  if (log === undefined) return () => {};
  return (flags, text) => guarded(() => log(flags, text));
}

/** Does not wait any longer than the signal lets it. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Asks the program around; what its function throws is the cause of an error that says whose function it was. */
export async function asked<T>(whose: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SallyportError(`${whose} threw: ${reason}`, {
      code: 'SALLYPORT_CREDENTIALS',
      blame: 'config',
      cause,
    });
  }
}

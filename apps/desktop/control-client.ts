// The other end of the control socket: what the commands ask of a tunnel that runs.

import { readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { startTimeOf } from '../../src/command.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import { type Places, recordPath, socketPath } from './places.ts';
import { nameProblem } from './profile-name.ts';

const ANSWER_LIMIT_MS = 5000;
const MAX_ANSWER_BYTES = 4 << 20;

/** What is known of a tunnel by name. `killed`: its process went without a word. */
export type Presence =
  /** `profile`: the file that it was started from, as the tunnel says. */
  | { readonly kind: 'up'; readonly profile: string | undefined }
  | { readonly kind: 'killed'; readonly pid: number }
  | { readonly kind: 'none' };

/** Names with a socket or a record. */
export function knownTunnels({ runtime }: Places): readonly string[] {
  try {
    const names = readdirSync(runtime).flatMap((file) => /^(.+)\.(?:sock|json)$/.exec(file)?.[1] ?? []);
    return [...new Set(names)].filter((name) => nameProblem(name) === undefined).sort();
  } catch {
    return [];
  }
}

/** Whether it runs. Throws where its socket may not be used. */
export async function presenceOf(places: Places, name: string): Promise<Presence> {
  try {
    const status = await ask(places, name, 'GET', '/status');
    const { profile } = (status ?? {}) as { readonly profile?: unknown };
    return { kind: 'up', profile: typeof profile === 'string' ? profile : undefined };
  } catch (error) {
    if (error instanceof CommandFailure) {
      if (error.exitCode !== ExitCode.notRunning) throw error;
    } else throw error;
  }
  const record = recordOf(places, name);
  if (record === undefined) return { kind: 'none' };
  if (startTimeOf(record.pid) === record.startTime) return { kind: 'none' };
  return { kind: 'killed', pid: record.pid };
}

/** Whether the tunnel of a name was started from this file, and not from another one that has the same name elsewhere. */
export const isOf = ({ profile }: { readonly profile: string | undefined }, path: string): boolean =>
  profile === undefined || profile === path || realPath(profile) === realPath(path);

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Removes what a dead process left in the runtime folder. */
export function forget(places: Places, name: string): void {
  for (const path of [socketPath(places, name), recordPath(places, name)]) rmSync(path, { force: true });
}

function recordOf(places: Places, name: string): { readonly pid: number; readonly startTime: string } | undefined {
  try {
    const { pid, startTime } = JSON.parse(readFileSync(recordPath(places, name), 'utf8')) as Record<string, unknown>;
    return typeof pid === 'number' && typeof startTime === 'string' ? { pid, startTime } : undefined;
  } catch {
    return undefined;
  }
}

/** One question, one answer. */
export async function ask(
  places: Places,
  name: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<unknown> {
  const response = await open(places, name, method, path, body);
  let text = '';
  response.setEncoding('utf8');
  for await (const part of response) {
    text += part;
    if (text.length > MAX_ANSWER_BYTES) throw new CommandFailure(ExitCode.unknown, `${name} answers without end`);
  }
  const value: unknown = JSON.parse(text);
  if (response.statusCode !== undefined && response.statusCode >= 400) {
    throw new CommandFailure(ExitCode.unknown, `${name}: ${(value as { error?: string }).error ?? 'refused'}`);
  }
  return value;
}

/** The answer as it comes. */
export function open(
  places: Places,
  name: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: socketPath(places, name), method, path, agent: false }, (response) => {
      sent.setTimeout(0);
      resolve(response);
    });
    sent.setTimeout(ANSWER_LIMIT_MS, () =>
      sent.destroy(new CommandFailure(ExitCode.unknown, `${name} does not answer; its process hangs`)),
    );
    sent.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES' || error.code === 'EPERM') {
        reject(new CommandFailure(ExitCode.unknown, `${name} belongs to another user`, 'Try again with sudo.'));
      } else if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET') {
        reject(new CommandFailure(ExitCode.notRunning, `${name} is not up`));
      } else reject(error);
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The lines of an answer as they come. A line without end is the end of it. */
export async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  response.setEncoding('utf8');
  for await (const part of response) {
    const lines = `${rest}${part}`.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_ANSWER_BYTES) return;
    yield* lines;
  }
}

/** The values of a stream of JSON lines; ends with it. */
export async function* jsonLines(response: IncomingMessage): AsyncGenerator<Record<string, unknown>> {
  try {
    for await (const line of linesOf(response)) if (line !== '') yield JSON.parse(line) as Record<string, unknown>;
  } catch (error) {
    // The process at the other end was killed.
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
  }
}

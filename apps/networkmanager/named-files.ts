// Who reads the files that a connection names. What is everybody's was made by somebody who may change the system's
// connections, and root reads for it. What is private to users was made by one of them, who could name any file: it is
// read with the rights of each of them, so that nobody gets root's files, or another user's, through the service.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { lookupUser } from '../../src/command.ts';
import { badArguments, shown } from './plugin-error.ts';
import { type FileContent, readNamedFile } from './read-files.ts';
import type { NamedFile } from './settings.ts';

/** A file system that hangs is not waited for: NetworkManager waits for the answer. */
const LIMIT_MS = 5_000;
const OUTPUT_LIMIT_BYTES = 256 << 20;

export interface Reader {
  /** The built read-as-user. */
  readonly url: URL;
}

/** The contents by key. Rejects with PluginError that names key, file and reason. */
export async function readNamedFiles(
  files: readonly NamedFile[],
  users: readonly string[],
  reader: Reader,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  if (files.length === 0) return contents;
  const paths = files.map(({ path }) => path);
  const readings =
    users.length === 0
      ? [paths.map(readNamedFile)]
      : await Promise.all(users.map((user) => readAsUser(user, paths, reader)));
  for (const [index, { key, path }] of files.entries()) {
    for (const [of, reading] of readings.entries()) {
      const content: FileContent = reading[index] ?? { problem: 'it was not read' };
      if ('problem' in content) {
        const who = users[of] === undefined ? '' : ` (read with the rights of ${shown(users[of])})`;
        throw badArguments(`vpn.data ${key}: ${shown(Buffer.from(path).toString('utf8'))}: ${content.problem}${who}`);
      }
      if (!contents.has(key)) contents.set(key, content.bytes);
    }
  }
  return contents;
}

/** Rejects with PluginError where there is no such user, or nobody can become it. */
async function readAsUser(
  user: string,
  paths: readonly Uint8Array[],
  { url }: Reader,
): Promise<readonly FileContent[]> {
  const account = lookupUser(user);
  if (account === undefined) throw badArguments(`connection.permissions: there is no user ${shown(user)}`);
  const child = spawn(process.execPath, [fileURLToPath(url)], {
    cwd: '/',
    env: {},
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const encoded = paths.map((path) => Buffer.from(path).toString('base64'));
  const text = await new Promise<string | undefined>((resolve) => {
    const parts: Buffer[] = [];
    let lengthBytes = 0;
    child.once('error', () => resolve(undefined));
    child.stdin.on('error', () => {});
    child.stdout.on('data', (bytes: Buffer) => {
      lengthBytes += bytes.length;
      if (lengthBytes > OUTPUT_LIMIT_BYTES) child.kill('SIGKILL');
      else parts.push(bytes);
    });
    child.once('close', (code) => resolve(code === 0 ? Buffer.concat(parts).toString('utf8') : undefined));
    child.stdin.end(JSON.stringify({ ...account, paths: encoded }));
  });
  const contents = text === undefined ? undefined : readContents(text, paths.length);
  if (contents === undefined) throw badArguments(`The files of ${shown(user)} could not be read with its rights`);
  return contents;
}

/** The process that answers has the user's rights, so the user may be who speaks. */
function readContents(text: string, count: number): readonly FileContent[] | undefined {
  try {
    const values: unknown = JSON.parse(text);
    if (!Array.isArray(values) || values.length !== count) return undefined;
    return values.map((value: { bytes?: unknown; problem?: unknown } | null): FileContent => {
      if (typeof value?.bytes === 'string') return { bytes: Buffer.from(value.bytes, 'base64') };
      return { problem: typeof value?.problem === 'string' ? shown(value.problem) : 'it was not read' };
    });
  } catch {
    return undefined;
  }
}

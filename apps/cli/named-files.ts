// The files that a profile names: what each is needed for, and whether it can be had. `check` reports on them, and the
// command looks before it starts, as the C program does.

import { accessSync, constants } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config, Finding, Source } from '../../src/config.ts';

/**
 * What is done with it: read, run as a program, written in a folder that has to exist; or a folder, of which files are
 * read, or in which files are made.
 */
export type FileNeed = 'read' | 'run' | 'write' | 'look-into' | 'fill';

export interface NamedFile {
  readonly option: string;
  readonly path: string;
  readonly origin: Finding['origin'];
  readonly need: FileNeed;
  /** Nobody but the owner should read it. */
  readonly secret: boolean;
}

/** Every file that has to be there at start, in the order in which the C program looks. */
export function namedFiles(config: Config): readonly NamedFile[] {
  const { tls, scripts, server } = config;
  const found: NamedFile[] = [];
  const originOf = (named: string): Finding['origin'] =>
    config.lines.filter(({ option }) => option === named.split(' ')[0]).at(-1)?.origin ?? { file: '', line: 0 };
  const add = (option: string, source: Source | undefined, secret: boolean): void => {
    if (source?.kind === 'file' && !found.some((each) => each.path === source.path && each.option === option)) {
      found.push({ option, path: source.path, origin: source.origin, need: 'read', secret });
    }
  };
  const addPath = (option: string, path: string | undefined, need: FileNeed, secret = false): void => {
    if (path !== undefined) found.push({ option, path, origin: originOf(option), need, secret });
  };
  add('dh', server === undefined ? undefined : tls.dh, false);
  add('ca', tls.ca, false);
  addPath('capath', tls.caPath?.kind === 'file' ? tls.caPath.path : undefined, 'look-into');
  add('cert', tls.cert, false);
  add('extra-certs', tls.extraCerts, false);
  add('key', tls.key, true);
  add('pkcs12', tls.pkcs12, true);
  const { crlVerify } = tls;
  if (crlVerify?.directory === true && crlVerify.source.kind === 'file') {
    addPath('crl-verify directory', crlVerify.source.path, 'look-into');
  } else add('crl-verify', crlVerify?.source, false);
  for (const { wrap } of config.connections) add(wrap?.kind ?? '', wrap?.source, true);
  for (const { kind, source } of server?.wraps ?? []) add(kind, source, true);
  add('auth-gen-token-secret', server?.authGenTokenSecret, true);
  add('auth-user-pass', config.authUserPass?.source, true);
  for (const { httpProxy, socksProxy } of config.connections) {
    const own = config.lines.some((line) => line.option === 'http-proxy-user-pass');
    add(own ? 'http-proxy-user-pass' : 'http-proxy', httpProxy?.login?.source, true);
    add('socks-proxy', socksProxy?.login?.source, true);
  }
  addPath('askpass', tls.askpass?.file, 'read', true);
  addPath('up', scripts.up?.[0], 'run');
  addPath('down', scripts.down?.[0], 'run');
  addPath('route-up', scripts.routeUp?.[0], 'run');
  addPath('route-pre-down', scripts.routePreDown?.[0], 'run');
  addPath('ipchange', scripts.ipChange?.[0], 'run');
  addPath('tls-verify', scripts.tlsVerify?.[0], 'run');
  addPath('tls-export-cert', scripts.exportCertificates, 'fill');
  addPath('auth-user-pass-verify', server?.scripts.authUserPassVerify?.argv[0], 'run');
  addPath('client-connect', server?.scripts.clientConnect?.[0], 'run');
  addPath('client-disconnect', server?.scripts.clientDisconnect?.[0], 'run');
  addPath('client-crresponse', server?.scripts.clientCrResponse?.[0], 'run');
  addPath('learn-address', server?.scripts.learnAddress?.[0], 'run');
  addPath('tls-crypt-v2-verify', server?.scripts.tlsCryptV2Verify?.[0], 'run');
  addPath('writepid', config.process.writepid, 'write');
  addPath('status', config.process.status?.path, 'write');
  addPath('client-config-dir', server?.clientConfigDir, 'look-into');
  addPath('tmp-dir', server?.tmpDir, 'fill');
  return found;
}

/** What to do about a file that is not there: of a key of OpenVPN's own, which command makes it. */
export function adviceOnMissing({ option, path }: NamedFile, isServer: boolean): string {
  const make = MAKES_KEY[option];
  if (make === undefined) return 'Put the file there, or correct the path.';
  if (isServer) return `Put the key there, or make one: sallyport --genkey ${make} ${path}`;
  return option === 'tls-crypt-v2'
    ? 'Put the key there that the server’s administrator made for this client (--genkey tls-crypt-v2-client).'
    : `Put the key there that the server has; where there is none yet, sallyport --genkey ${make} ${path} makes one for both ends.`;
}

const MAKES_KEY: Readonly<Record<string, string>> = {
  'tls-auth': 'tls-auth',
  'tls-crypt': 'tls-crypt',
  'tls-crypt-v2': 'tls-crypt-v2-server',
  'auth-gen-token-secret': 'auth-token',
};

export interface AccessProblem {
  readonly sentence: string;
  readonly errno: number;
}

const MODES: Readonly<Record<FileNeed, number>> = {
  read: constants.R_OK,
  run: constants.X_OK,
  write: constants.W_OK | constants.X_OK,
  'look-into': constants.R_OK | constants.X_OK,
  fill: constants.R_OK | constants.W_OK | constants.X_OK,
};

/** Why a file can't be had for what it is needed for; undefined when it can. */
export function accessProblem(path: string, need: FileNeed): AccessProblem | undefined {
  try {
    accessSync(need === 'write' ? dirname(path) : path, MODES[need]);
    return undefined;
  } catch (error) {
    return { sentence: sentenceOf(error), errno: Math.abs((error as NodeJS.ErrnoException).errno ?? 0) };
  }
}

/**
 * The lines with which a start is refused, `--ca fails with 'x': No such file or directory (errno=2)`; none when all is there.
 * `running`: the configuration that a reload replaces.
 */
export function missingFileLines(config: Config, directory: string, running?: Config): readonly string[] {
  // What a running server has open or holds in memory needs no second look.
  const held = running === undefined ? [] : namedFiles(running);
  const missing = namedFiles(config).flatMap((file) => {
    const { option, path, need } = file;
    if (need !== 'run' && held.some((one) => one.option === option && one.path === path)) return [];
    const problem = accessProblem(resolve(directory, path), need);
    if (problem === undefined) return [];
    const what =
      need === 'run' ? `--${option} script` : need === 'fill' ? `Temporary directory (--${option})` : `--${option}`;
    return [
      {
        file,
        lines: [
          `Options error: ${what} fails with '${path}': ${problem.sentence} (errno=${problem.errno})${placeOf(file)}`,
          ...(option in MAKES_KEY && problem.sentence === SENTENCES.ENOENT
            ? [`  ${adviceOnMissing(file, config.tls.role === 'server')}`]
            : []),
        ],
      },
    ];
  });
  if (missing.length === 0) return [];
  // The C program looks for scripts one by one, and for all other files together.
  const alone = missing.length === 1 && missing[0]?.file.need === 'run';
  return [
    ...missing.flatMap(({ lines }) => lines),
    `Options error: Please correct ${alone ? 'this error' : 'these errors'}.`,
  ];
}

/** Where the file is named, behind the C program's words. */
const placeOf = ({ origin }: NamedFile): string =>
  origin.line > 0 ? ` in ${origin.file}:${origin.line}` : origin.file === '' ? '' : ` in ${origin.file}`;

const SENTENCES: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EROFS: 'Read-only file system',
  EISDIR: 'Is a directory',
  ENOTDIR: 'Not a directory',
  ELOOP: 'Too many levels of symbolic links',
};

/** The system's sentence for a failed call on a file. */
export function sentenceOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return SENTENCES[code] ?? (error instanceof Error ? error.message : String(error));
}

// `--genkey`: makes a key, writes it to a file or to standard output, and ends. Words and exit codes are the C program's.

import { closeSync, fstatSync, openSync, writeFileSync } from 'node:fs';
import { createLogger, Level, type Log, MAX_PROFILE_BYTES, readBoundedFile, stdoutSink } from '../../src/command.ts';
import {
  createNodeCrypto,
  generateAuthTokenKey,
  generateStaticKey,
  generateTlsCryptV2ClientKey,
  generateTlsCryptV2ServerKey,
  type KeyRequest,
  MetadataType,
  parseBase64,
  parseKeyRequest,
  parseTlsCryptV2ServerKey,
  timestampMetadata,
  WKC_METADATA_MAX_BYTES,
  type WrappedMetadata,
} from '../../src/keys.ts';
import { sentenceOf } from './named-files.ts';

type Request<K extends KeyRequest['kind']> = Extract<KeyRequest, { kind: K }>;

const SERVER_KEY = 'OpenVPN tls-crypt-v2 server key';
/** A key is its owner's alone. */
const KEY_MODE = 0o600;
const USER_METADATA_MAX_BYTES = WKC_METADATA_MAX_BYTES - 1;

/** The end of it all: lines, of which the last are why. */
class GenkeyError extends Error {
  readonly lines: readonly string[];

  constructor(...lines: readonly string[]) {
    super(lines.join('; '));
    this.lines = lines;
  }
}

/** Makes what the command line asks for; returns the exit code. */
export function runGenkey(argv: readonly string[]): number {
  const plain = logger(1, true);
  const request = parseKeyRequest(argv, { readText });
  if ('problems' in request) {
    if (request.deprecatedForm) logger(1)(Level.warning, DEPRECATED);
    for (const line of [...request.problems, 'Use --help for more information.']) plain(Level.fatal, line);
    return 1;
  }
  const log = logger(request.verb);
  try {
    if (request.cd !== undefined) process.chdir(request.cd);
    make(request, log);
    if (request.kind === 'static' && request.path !== undefined && request.verb >= VERB_OF_SUCCESS) {
      plain(Level.fatal, `Randomly generated 2048 bit key written to ${request.path}`);
    }
    return 0;
  } catch (error) {
    const lines = error instanceof GenkeyError ? error.lines : [sentenceOf(error)];
    for (const line of [...lines, 'Exiting due to fatal error']) log(Level.fatal, line);
    return 1;
  }
}

const VERB_OF_SUCCESS = 3;
const DEPRECATED = 'DEPRECATED OPTION: The option --secret is deprecated.';

/** A log on standard output, which is where the C program has it. */
const logger = (verb: number, suppressTimestamps = false): Log =>
  createLogger({ verb, mute: 0, sink: stdoutSink({ suppressTimestamps, machineReadable: false }) }).log;

function make(request: KeyRequest, log: Log): void {
  const crypto = createNodeCrypto();
  switch (request.kind) {
    case 'static':
      if (request.deprecatedForm) {
        log(Level.warning, DEPRECATED);
        log(
          Level.warning,
          'WARNING: Using --genkey --secret filename is DEPRECATED.  Use --genkey secret filename instead.',
        );
      }
      // The C program ends this kind with an empty line on standard output, and none in a file.
      put(request, generateStaticKey(crypto), '\n', () => 'Failed to write key file', log);
      return;
    case 'tls-crypt-v2-server':
    case 'auth-token': {
      const generate = request.kind === 'auth-token' ? generateAuthTokenKey : generateTlsCryptV2ServerKey;
      put(request, generate(crypto), '', (why) => `ERROR: could not write key file: ${why}`, log);
      return;
    }
    case 'tls-crypt-v2-client': {
      const metadata = metadataOf(request);
      const text = generateTlsCryptV2ClientKey(serverKeyOf(request), metadata, crypto);
      put(request, text, '', () => 'ERROR: could not write client key file', log);
      return;
    }
    default:
      request satisfies never;
  }
}

/** Writes a key over what stands there, whose mode stays as it is: who made the file may have had a reason. */
function put(
  { path }: KeyRequest,
  text: string,
  endOnOutput: string,
  failure: (why: string) => string,
  log: Log,
): void {
  if (path === undefined) {
    writeFileSync(1, text + endOnOutput);
    return;
  }
  try {
    const fd = openSync(path, 'w', KEY_MODE);
    try {
      writeFileSync(fd, text);
      if ((fstatSync(fd).mode & 0o077) !== 0)
        log(Level.warning, `WARNING: file '${path}' is group or others accessible`);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { syscall, errno = 0 } = error as NodeJS.ErrnoException;
    const why = `${sentenceOf(error)} (errno=${Math.abs(errno)})`;
    const first =
      syscall === 'open' ? `Cannot open file '${path}' for write: ${why}` : `Write error on file '${path}': ${why}`;
    throw new GenkeyError(first, failure(why));
  }
}

function metadataOf({ metadata }: Request<'tls-crypt-v2-client'>): WrappedMetadata {
  if (metadata === undefined) return timestampMetadata(Math.floor(Date.now() / 1000));
  const bytes = parseBase64(metadata);
  if (bytes === undefined) throw new GenkeyError('ERROR: failed to base64 decode provided metadata');
  if (bytes.length > USER_METADATA_MAX_BYTES) {
    throw new GenkeyError(`ERROR: metadata too long (${bytes.length} bytes, max ${USER_METADATA_MAX_BYTES} bytes)`);
  }
  return { type: MetadataType.user, bytes };
}

function serverKeyOf({ serverKey }: Request<'tls-crypt-v2-client'>): Uint8Array {
  const invalid = 'ERROR: invalid tls-crypt-v2 server key format';
  const text = serverKey.kind === 'inline' ? serverKey.text : readText(serverKey.path);
  if (text === undefined) {
    const path = serverKey.kind === 'file' ? serverKey.path : '';
    throw new GenkeyError(`ERROR: failed to read ${SERVER_KEY} file (${path})`, invalid);
  }
  const parsed = parseTlsCryptV2ServerKey(text);
  if ('serverKey' in parsed) return parsed.serverKey;
  const name = /^-----BEGIN ([ -~]{1,64})-----\r?$/m.exec(text)?.[1];
  const detail =
    name === undefined || name === SERVER_KEY
      ? `PEM decode failed: ${parsed.problem}`
      : `unexpected PEM name (got '${name}', expected '${SERVER_KEY}')`;
  throw new GenkeyError(`crypto_pem_decode: ${detail}`, `ERROR: ${SERVER_KEY} pem decode failed`, invalid);
}

function readText(path: string): string | undefined {
  try {
    return readBoundedFile(path === 'stdin' ? 0 : path, MAX_PROFILE_BYTES).toString('utf8');
  } catch {
    return undefined;
  }
}

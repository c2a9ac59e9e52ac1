// Where certificates, keys and lists come from, and how a problem with one of them is told: with the C program's words
// first, then the option, the file and the line that named it.

import { X509Certificate } from 'node:crypto';
import { SallyportError } from '../error.ts';
import { explainNoPem, type PemBlock, parsePem } from './pem.ts';
import { FileRefusal } from './read-file.ts';

/** Where an option stood. */
export interface MaterialOrigin {
  readonly file: string;
  readonly line: number;
}

export type MaterialSource =
  | { readonly kind: 'file'; readonly path: string; readonly origin: MaterialOrigin }
  | { readonly kind: 'inline'; readonly text: string; readonly origin: MaterialOrigin };

/** What loading needs from outside. `nodeMaterialFiles` (tls-material.ts) answers for this machine. */
export interface MaterialPorts {
  /** The bytes of a file; throws an error with an errno `code`. `regular`: FileRefusal for a FIFO, a device, a directory. */
  read(path: string, only?: 'regular'): Uint8Array;
  /** The same for a file that is looked at while the program runs; default: `read`. */
  readNow?(path: string, only?: 'regular'): Uint8Array;
  /** A text that changes when the file does; undefined when it can't be looked at. */
  stamp(path: string): string | undefined;
  /** The names in a directory; throws as `read` does. */
  list(path: string): readonly string[];
  /** Whether something of this name can be opened; throws when that can't be found out. */
  exists(path: string): boolean;
  /** Asks for the passphrase of the private key. */
  passphrase(): Promise<string>;
  warn(text: string): void;
}

/** The PEM blocks with a label, at least one. */
export function readBlocks(
  option: string,
  what: string,
  label: string,
  source: MaterialSource,
  ports: Pick<MaterialPorts, 'read'>,
): readonly PemBlock[] {
  const bytes = readSource(option, what, source, ports);
  const blocks = parsePem(bytes).filter((block) => block.label === label);
  if (blocks.length > 0) return blocks;
  const { text, hint } = explainNoPem(bytes, label === 'CERTIFICATE' ? 'certificate' : label);
  throw problem(option, source, `${what}: ${text}`, { hint });
}

/** All certificates of a source, at least one. */
export function readCertificates(
  option: string,
  kind: string,
  source: MaterialSource,
  ports: MaterialPorts,
): X509Certificate[] {
  const what =
    option === 'extra-certs'
      ? `Cannot load extra-certs file: ${sourceName(source)}`
      : `Cannot load ${kind} file ${sourceName(source)}`;
  const blocks = readBlocks(option, what, 'CERTIFICATE', source, ports);
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block.text);
    } catch (cause) {
      throw problem(option, source, `${what}: certificate ${index + 1} of ${blocks.length} is damaged`, {
        cause,
        hint: 'copy the file again; a line may be missing or changed',
      });
    }
  });
}

/** The bytes of a source. */
export function readSource(
  option: string,
  what: string,
  source: MaterialSource,
  ports: Pick<MaterialPorts, 'read'>,
): Uint8Array {
  if (source.kind === 'inline') return new TextEncoder().encode(source.text);
  const { path } = source;
  return attempt(option, what, source, () => ports.read(path));
}

/** What `read` gives, or the system's words about the source. */
export function attempt<T>(option: string, what: string, source: MaterialSource, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? '';
    if (cause instanceof FileRefusal) throw problem(option, source, `${what}: ${cause.message}`, { cause });
    const [text, hint] = READ_ERRORS.get(code) ?? [`it can't be read (${code || (cause as Error).message})`, undefined];
    throw problem(option, source, `${what}: ${text}`, { cause, ...(hint === undefined ? {} : { hint }) });
  }
}

const READ_ERRORS = new Map<string, readonly [text: string, hint: string]>([
  ['ENOENT', ['No such file or directory', 'a relative path counts from the directory of the start, or from cd']],
  ['EACCES', ['Permission denied', 'the file must be readable for the user that starts the program']],
  ['EPERM', ['Operation not permitted', 'the file must be readable for the user that starts the program']],
  ['EISDIR', ['the file is a directory', 'name a file in it']],
  ['ENOTDIR', ['Not a directory', 'name the directory itself']],
]);

/** The C program's name of a source in its messages. */
export const sourceName = (source: MaterialSource): string => (source.kind === 'file' ? source.path : '[[INLINE]]');

/** A problem that belongs to no single file. */
export const configError = (message: string, hint: string): SallyportError =>
  new SallyportError(message, { code: 'SALLYPORT_CONFIG', blame: 'config', hint });

/** A problem with the file or block of one option. */
export function problem(
  option: string,
  { origin }: MaterialSource,
  text: string,
  more: { hint?: string; cause?: unknown },
): SallyportError {
  return new SallyportError(`${text} (${option}, ${origin.file}:${origin.line})`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    ...more,
  });
}

// The control channel's key files, at either end: read once at start, and refused with file and line.

import type { KeyWrap, Source } from '../config/config.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import { messageOf, SallyportError } from '../error.ts';
import { parseStaticKey } from '../wire/static-key.ts';

/** Reads a file or an inline block as text; throws with the system's words when it can't. */
export type ReadText = (source: Source) => string;

/** A wrapping with one key for everybody. Throws SallyportError for a key that is none. */
export function sharedWrap(
  wrap: KeyWrap,
  text: string,
  digest: string,
): Extract<WrapOptions, { kind: 'tls-auth' | 'tls-crypt' }> {
  const parsed = parseStaticKey(text);
  if ('problem' in parsed) throw badKey(wrap, parsed.problem);
  if (wrap.kind === 'tls-crypt') return { kind: 'tls-crypt', staticKey: parsed.key };
  return { kind: 'tls-auth', staticKey: parsed.key, direction: wrap.direction, digest };
}

/** The text of a key. Throws SallyportError naming option, file and line. */
export function readKey(wrap: KeyWrap, read: ReadText, side: 'client' | 'server' = 'client'): string {
  try {
    return read(wrap.source);
  } catch (error) {
    throw badKey(wrap, messageOf(error), side);
  }
}

/** A key that can't be used: where it stands and what to do. */
export function badKey(wrap: KeyWrap, problem: string, side: 'client' | 'server' = 'client'): SallyportError {
  const { source, kind } = wrap;
  const where = `${source.origin.file}:${source.origin.line}`;
  const name = source.kind === 'file' ? `file '${source.path}'` : 'the inline key';
  return new SallyportError(`${where}: ${kind}: ${name} can't be used: ${problem}`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint:
      kind === 'tls-crypt-v2' && side === 'server'
        ? 'Give the server key file; --genkey tls-crypt-v2-server makes a new one, and every client then needs a new key too.'
        : kind === 'tls-crypt-v2'
          ? 'Give the client key file that the server’s administrator made with --genkey tls-crypt-v2-client.'
          : 'Give the static key file that the server uses; --genkey secret makes a new one for both ends.',
  });
}

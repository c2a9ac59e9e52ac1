// The control channel's key files, read and checked once at start, for every connection profile that names one.

import type { Config, ConnectionProfile, KeyWrap, Source } from '../config/config.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import { SallyportError } from '../error.ts';
import { parseStaticKey } from '../wire/static-key.ts';
import { parseTlsCryptV2ClientKey } from '../wire/tls-crypt-v2.ts';

/** Reads a file or an inline block as text; throws with the system's words when it can't. */
export type ReadText = (source: Source) => string;

/** Each profile's wrapping. Throws SallyportError naming option, file and line. */
export function loadWraps(config: Config, read: ReadText): (profile: ConnectionProfile) => WrapOptions {
  const loaded = new Map<ConnectionProfile, WrapOptions>();
  for (const profile of config.connections) loaded.set(profile, loadWrap(profile.wrap, config, read));
  return (profile) => loaded.get(profile) ?? { kind: 'none' };
}

function loadWrap(wrap: KeyWrap | undefined, config: Config, read: ReadText): WrapOptions {
  if (wrap === undefined) return { kind: 'none' };
  const text = readKey(wrap, read);
  if (wrap.kind === 'tls-crypt-v2') {
    const parsed = parseTlsCryptV2ClientKey(text);
    if ('problem' in parsed) throw badKey(wrap, parsed.problem);
    return { kind: 'tls-crypt-v2-client', ...parsed };
  }
  const parsed = parseStaticKey(text);
  if ('problem' in parsed) throw badKey(wrap, parsed.problem);
  const staticKey = parsed.key;
  if (wrap.kind === 'tls-crypt') return { kind: 'tls-crypt', staticKey };
  return { kind: 'tls-auth', staticKey, direction: wrap.direction, digest: config.auth };
}

function readKey(wrap: KeyWrap, read: ReadText): string {
  try {
    return read(wrap.source);
  } catch (error) {
    throw badKey(wrap, error instanceof Error ? error.message : String(error));
  }
}

function badKey(wrap: KeyWrap, problem: string): SallyportError {
  const { source, kind } = wrap;
  const where = `${source.origin.file}:${source.origin.line}`;
  const name = source.kind === 'file' ? `file '${source.path}'` : 'the inline key';
  return new SallyportError(`${where}: ${kind}: ${name} can't be used: ${problem}`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint:
      kind === 'tls-crypt-v2'
        ? 'Give the client key file that the server’s administrator made with --genkey tls-crypt-v2-client.'
        : 'Give the static key file that the server uses; --genkey secret makes a new one for both ends.',
  });
}

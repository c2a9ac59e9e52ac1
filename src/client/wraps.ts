// The control channel's key files, read and checked once at start, for every connection profile that names one.

import type { Config, ConnectionProfile, KeyWrap } from '../config/config.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import { badKey, type ReadText, readKey, sharedWrap } from '../peer/key-files.ts';
import { parseTlsCryptV2ClientKey } from '../wire/tls-crypt-v2.ts';

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
  return sharedWrap(wrap, text, config.auth);
}

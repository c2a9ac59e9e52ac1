// The control channel's key files, read and checked once at start, for every connection profile that names one.

import type { Config, ConnectionProfile, KeyWrap } from '../config/config.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import { badKey, type ReadText, readKey, sharedWrap } from '../peer/key-files.ts';
import { parseTlsCryptV2ClientKey, parseTlsCryptV2ServerKey, splitWrappedKey } from '../wire/tls-crypt-v2.ts';

/** What a wrapped key holds under a server's key: the client's, a copy; or what is wrong with it. */
export type UnwrapKey = (
  wrappedKey: Uint8Array,
  serverKey: Uint8Array,
) => { readonly clientKey: Uint8Array } | { readonly problem: string };

type Wrap = (first: Uint8Array | undefined) => WrapOptions | undefined;

/** Each profile's wrapping. Throws SallyportError naming option, file and line. */
export function loadWraps(
  config: Config,
  read: ReadText,
  unwrap: UnwrapKey,
): (profile: ConnectionProfile, first?: Uint8Array) => WrapOptions | undefined {
  const loaded = new Map<ConnectionProfile, Wrap>();
  for (const profile of config.connections) loaded.set(profile, loadWrap(profile.wrap, config, read, unwrap));
  return (profile, first) => {
    const wrap = loaded.get(profile);
    return wrap === undefined ? { kind: 'none' } : wrap(first);
  };
}

function loadWrap(wrap: KeyWrap | undefined, config: Config, read: ReadText, unwrap: UnwrapKey): Wrap {
  if (wrap === undefined) return () => ({ kind: 'none' });
  const side = config.tls.role ?? 'client';
  const text = readKey(wrap, read, side);
  if (wrap.kind !== 'tls-crypt-v2') {
    const options = sharedWrap(wrap, text, config.auth);
    return () => options;
  }
  if (side === 'server') {
    const parsed = parseTlsCryptV2ServerKey(text);
    if ('problem' in parsed) throw badKey(wrap, parsed.problem, side);
    return (first) => broughtWrap(first, parsed.serverKey, unwrap);
  }
  const parsed = parseTlsCryptV2ClientKey(text);
  if ('problem' in parsed) throw badKey(wrap, parsed.problem);
  return () => ({ kind: 'tls-crypt-v2-client', ...parsed });
}

/** The wrapping of a peer whose key is in its first packet. */
function broughtWrap(first: Uint8Array | undefined, serverKey: Uint8Array, unwrap: UnwrapKey): WrapOptions | undefined {
  const split = first === undefined ? undefined : splitWrappedKey(first);
  const key = split && unwrap(split.wrappedKey, serverKey);
  return key === undefined || 'problem' in key ? undefined : { kind: 'tls-crypt-v2-server', clientKey: key.clientKey };
}

// The control channel's key files, read and checked once at start, for every connection profile that names one.

import type { Config, ConnectionProfile, KeyWrap } from '../config/config.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import { badKey, type ReadText, readKey, sharedWrap } from '../peer/key-files.ts';
import type { BroughtKey } from '../session/brought-key.ts';
import {
  parseTlsCryptV2ClientKey,
  parseTlsCryptV2ServerKey,
  splitWrappedKey,
  type WrappedMetadata,
} from '../wire/tls-crypt-v2.ts';
import type { ClientMaterial } from './ports.ts';

/** What a wrapped key holds under a server's key: the client's, a copy, and what is said of it; or what is wrong with it. */
export type UnwrapKey = (
  wrappedKey: Uint8Array,
  serverKey: Uint8Array,
) => { readonly clientKey: Uint8Array; readonly metadata: WrappedMetadata | undefined } | { readonly problem: string };

/** What control packets come under; or how to open the key that a peer brings, whose packets come under that. */
type Wrap = WrapOptions | { readonly kind: 'brought'; open(first: Uint8Array): BroughtKey | undefined };

/** Each profile's wrapping. Throws SallyportError naming option, file and line. */
export function loadWraps(
  config: Config,
  read: ReadText,
  unwrap: UnwrapKey,
): Pick<ClientMaterial, 'wrapOf' | 'broughtKey'> {
  const loaded = new Map<ConnectionProfile, Wrap>();
  for (const profile of config.connections) loaded.set(profile, loadWrap(profile.wrap, config, read, unwrap));
  const of = (profile: ConnectionProfile): Wrap => loaded.get(profile) ?? { kind: 'none' };
  return {
    wrapOf(profile) {
      const wrap = of(profile);
      return wrap.kind === 'brought' ? undefined : wrap;
    },
    broughtKey(profile, first) {
      const wrap = of(profile);
      return wrap.kind === 'brought' ? wrap.open(first) : undefined;
    },
  };
}

function loadWrap(wrap: KeyWrap | undefined, config: Config, read: ReadText, unwrap: UnwrapKey): Wrap {
  if (wrap === undefined) return { kind: 'none' };
  const side = config.tls.role ?? 'client';
  const text = readKey(wrap, read, side);
  if (wrap.kind !== 'tls-crypt-v2') return sharedWrap(wrap, text, config.auth);
  if (side === 'server') {
    const parsed = parseTlsCryptV2ServerKey(text);
    if ('problem' in parsed) throw badKey(wrap, parsed.problem, side);
    return { kind: 'brought', open: (first) => openedKey(first, parsed.serverKey, unwrap) };
  }
  const parsed = parseTlsCryptV2ClientKey(text);
  if ('problem' in parsed) throw badKey(wrap, parsed.problem);
  return { kind: 'tls-crypt-v2-client', ...parsed };
}

function openedKey(first: Uint8Array, serverKey: Uint8Array, unwrap: UnwrapKey): BroughtKey | undefined {
  const split = splitWrappedKey(first);
  if (split === undefined) return undefined;
  const key = unwrap(split.wrappedKey, serverKey);
  if ('problem' in key) return key;
  return { wrap: { kind: 'tls-crypt-v2-server', clientKey: key.clientKey }, metadata: key.metadata };
}

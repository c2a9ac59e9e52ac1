// The keys that clients' control packets come under, read and checked once at start.

import type { Config, KeyWrap } from '../config/config.ts';
import type { ServerOptions } from '../config/server-options.ts';
import type { FirstContactOptions, SharedWrap } from '../control/first-contact.ts';
import { badKey, type ReadText, readKey, sharedWrap } from '../peer/key-files.ts';
import { parseTlsCryptV2ServerKey } from '../wire/tls-crypt-v2.ts';

/** Every wrap of the configuration. Throws SallyportError naming option, file and line. */
export function loadServerWraps(config: Config, server: ServerOptions, read: ReadText): FirstContactOptions {
  const sharedWraps: SharedWrap[] = [];
  let serverKey: Uint8Array | undefined;
  for (const wrap of server.wraps) {
    const text = readKey(wrap, read, 'server');
    if (wrap.kind === 'tls-crypt-v2') serverKey = parseServerKey(wrap, text);
    else sharedWraps.push(sharedWrap(wrap, text, config.auth));
  }
  if (server.wraps.length === 0) sharedWraps.push({ kind: 'none' });
  const { forceCookie, maxAgeDays } = server.tlsCryptV2;
  return {
    sharedWraps,
    tlsCryptV2: serverKey === undefined ? undefined : { serverKey, forceCookie, maxAgeDays },
  };
}

function parseServerKey(wrap: KeyWrap, text: string): Uint8Array {
  const parsed = parseTlsCryptV2ServerKey(text);
  if ('problem' in parsed) throw badKey(wrap, parsed.problem, 'server');
  return parsed.serverKey;
}

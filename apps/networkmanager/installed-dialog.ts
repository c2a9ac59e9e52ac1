// Which network-manager-openvpn is installed beside us: its dialogs ask the user what our service wants to know.

import { readNamedFile } from './read-files.ts';
import type { ChallengeHints } from './secrets.ts';

/** Where distributions have it; the program knows the same names as its dialogs. */
const PLACES = [
  '/usr/lib/NetworkManager/nm-openvpn-service',
  '/usr/libexec/nm-openvpn-service',
  '/usr/lib/nm-openvpn-service',
];
const HINT = 'x-dynamic-challenge:';

/** Without any of it, as the present one. */
export function installedHints(places: readonly string[] = PLACES): ChallengeHints {
  for (const place of places) {
    const content = readNamedFile(Buffer.from(place));
    if ('bytes' in content) return Buffer.from(content.bytes).includes(HINT) ? 'prefixed' : 'password';
  }
  return 'prefixed';
}

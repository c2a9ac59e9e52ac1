// Reads test/vectors/first-contact.txt.

import { readFileSync } from 'node:fs';
import { parseAddress } from '../../src/ip/address.ts';
import { type SocketAddress, socketAddress } from '../../src/ip/socket-address.ts';
import { parseHex } from '../../src/wire/hex.ts';
import type { CapturedPacket } from './captures.ts';

export interface CapturedContact {
  readonly version: string;
  readonly wrap: 'none' | 'tls-auth' | 'tls-crypt' | 'tls-crypt-v2';
  readonly source: SocketAddress;
  readonly packets: readonly CapturedPacket[];
}

export function readFirstContacts(): { secret: Uint8Array; contacts: readonly CapturedContact[] } {
  let secret = new Uint8Array(0);
  const contacts: { -readonly [K in keyof CapturedContact]: CapturedContact[K] }[] = [];
  for (const line of readFileSync(new URL('../vectors/first-contact.txt', import.meta.url), 'utf8').split('\n')) {
    const [first = '', second = '', third = ''] = line.split(' ');
    const last = contacts.at(-1);
    if (first === 'secret') secret = parseHex(second) as typeof secret;
    if (first === 'capture') {
      const source = socketAddress(new Uint8Array(4), 0);
      contacts.push({ version: second, wrap: third as CapturedContact['wrap'], source, packets: [] });
    }
    if (last === undefined) continue;
    if (first === 'source') last.source = socketAddress(parseAddress(second) as Uint8Array, Number(third));
    if (first === 'client' || first === 'server') {
      const bytes = parseHex(third) as Uint8Array;
      last.packets = [...last.packets, { from: first, unixSeconds: Number(second), bytes }];
    }
  }
  return { secret, contacts };
}

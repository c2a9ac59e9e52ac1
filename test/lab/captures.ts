// Reads test/vectors/control-packets.txt.

import { readFileSync } from 'node:fs';
import { parseHex } from '../../src/wire/hex.ts';

export interface CapturedPacket {
  readonly from: 'client' | 'server';
  readonly unixSeconds: number;
  readonly bytes: Uint8Array;
}

export function readCaptures(): { keys: Map<string, Uint8Array>; captures: Map<string, CapturedPacket[]> } {
  const keys = new Map<string, Uint8Array>();
  const captures = new Map<string, CapturedPacket[]>();
  let current: CapturedPacket[] = [];
  for (const line of readFileSync(new URL('../vectors/control-packets.txt', import.meta.url), 'utf8').split('\n')) {
    const [first = '', second = '', third = ''] = line.split(' ');
    if (first === 'key') keys.set(second, hex(third));
    if (first === 'capture') {
      current = [];
      captures.set(second, current);
    }
    if (first === 'client' || first === 'server') {
      current.push({ from: first, unixSeconds: Number(second), bytes: hex(third) });
    }
  }
  return { keys, captures };
}

function hex(text: string): Uint8Array {
  const bytes = parseHex(text);
  if (bytes === undefined) throw new Error(`not hexadecimal: ${text.slice(0, 20)}`);
  return bytes;
}

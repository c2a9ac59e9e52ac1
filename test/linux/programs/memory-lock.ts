// Locks its memory and goes on allocating; prints how much is locked, or the code of the refusal.

import { readFileSync } from 'node:fs';
import { createNativeArena } from '../../../src/linux/arena.ts';
import { lockMemory } from '../../../src/linux/privileges.ts';

let refused: string | undefined;
try {
  lockMemory();
} catch (error) {
  refused = (error as { code?: string }).code;
}
const held = [createNativeArena(1 << 20).bytes.fill(1), new Uint8Array(8 << 20).fill(1)];
const locked = /VmLck:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
console.log(JSON.stringify({ lockedKb: Number(locked), refused, held: held.length }));

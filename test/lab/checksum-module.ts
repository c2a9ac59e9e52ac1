// The checksum in WebAssembly, compiled from assembly/ once for each state of its source.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = ['assembly/checksum.ts', 'scripts/build-wasm.mjs', 'package-lock.json'];

/** Where the compiled module lies. */
export function checksumModulePath(): string {
  const hash = createHash('sha256');
  for (const source of sources) hash.update(readFileSync(join(root, source)));
  const folder = join(root, 'node_modules/.cache/sallyport-test');
  const path = join(folder, `checksum-${hash.digest('hex').slice(0, 16)}.wasm`);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    const made = `${path}.${process.pid}`;
    execFileSync(process.execPath, [join(root, 'scripts/build-wasm.mjs'), made]);
    renameSync(made, path); // another test process may have been faster, with the same bytes
  }
  return path;
}

// Compiles assembly/checksum.ts, the checksum over the packets' memory, to WebAssembly:
//
//   node scripts/build-wasm.mjs dist/bin/checksum.wasm
//
// The module imports its memory, keeps nothing in it, and has no runtime.

import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const outFile = resolve(process.argv[2] ?? 'dist/bin/checksum.wasm');
const memory = ['--runtime', 'stub', '--importMemory', '--noExportMemory'];
const code = ['-O3', '--noAssert', '--enable', 'simd', '--disable', 'bulk-memory'];
const compiler = 'node_modules/assemblyscript/bin/asc.js';
execFileSync(process.execPath, [compiler, 'assembly/checksum.ts', '--outFile', outFile, ...memory, ...code], {
  cwd: root,
  stdio: 'inherit',
});

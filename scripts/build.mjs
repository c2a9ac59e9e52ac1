// Builds everything that runs: the library with its declarations by tsc into dist/src, and the command, bundled, into
// dist/bin: one file for the command, one for the data-plane worker, chunks for what is loaded only when used.

import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
await build({
  entryPoints: {
    sallyport: 'apps/cli/main.ts',
    version: 'apps/cli/version.ts',
    'data-worker': 'src/linux/data-worker.ts',
  },
  outdir: 'dist/bin',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: ['koffi'],
  chunkNames: 'chunk-[name]-[hash]',
  legalComments: 'none',
  minify: true,
  logLevel: 'warning',
});

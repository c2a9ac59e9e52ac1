// Builds everything that runs: the library with its declarations by tsc into dist/src, and the command, bundled, into
// dist/bin: one file for the command with V8's code cache beside it, one for the data-plane worker, one for each kind of helper
// process, one for the thread of handshakes whose key is elsewhere, one for `pki` and `server init`, one for the
// commands of profiles, three for NetworkManager's service.

import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

// What the command loads when it is used, from a file of its own beside the command's.
const loadedWhenUsed = {
  name: 'loaded-when-used',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.\/(pki|desktop)\/main\.ts$/ }, ({ path }) => ({
      path: `./${path.split('/')[1]}.js`,
      external: true,
    }));
  },
};

rmSync('dist', { recursive: true, force: true });
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
await build({
  entryPoints: {
    sallyport: 'apps/cli/main.ts',
    version: 'apps/cli/version.ts',
    pki: 'apps/pki/main.ts',
    desktop: 'apps/desktop/main.ts',
    'data-worker': 'src/linux/data-worker.ts',
    'root-helper': 'src/linux/root-helper.ts',
    'nm-service': 'apps/networkmanager/main.ts',
    'nm-client': 'apps/networkmanager/client-main.ts',
    'nm-read-as-user': 'apps/networkmanager/read-as-user.ts',
    'dns-helper': 'src/dns-helper.ts',
    'signing-thread': 'src/signing-thread.ts',
  },
  outdir: 'dist/bin',
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  external: ['koffi'],
  plugins: [loadedWhenUsed],
  // A bundle of the old module form starts faster, and can be loaded with V8's code cache; it has no import.meta.
  define: { 'import.meta.url': 'bundleUrl' },
  // A script that is loaded with a code cache can't `import()`; built-in modules come by require.
  supported: { 'dynamic-import': false },
  banner: { js: 'const bundleUrl = require("node:url").pathToFileURL(__filename).href;' },
  legalComments: 'none',
  // Not its syntax: what V8 makes of the statements as they were written takes a little less time, code and all.
  minifyWhitespace: true,
  minifyIdentifiers: true,
  logLevel: 'warning',
});
writeFileSync('dist/bin/package.json', '{ "type": "commonjs" }\n');
// Beside each file that loads it: the bundled worker, and the library's.
execFileSync(process.execPath, ['scripts/build-wasm.mjs', 'dist/bin/checksum.wasm'], { stdio: 'inherit' });
copyFileSync('dist/bin/checksum.wasm', 'dist/src/linux/checksum.wasm');
// Its exit code is that of the refused connection it makes.
spawnSync(process.execPath, ['scripts/warm-up.cjs'], { stdio: 'ignore', timeout: 20_000, killSignal: 'SIGKILL' });

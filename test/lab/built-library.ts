// The library as a program would import it: bundled from source, with the data worker where `connect` and `createServer` look for it.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type { connect, createServer } from '../../src/index.ts';

export interface BuiltLibrary {
  readonly url: URL;
  readonly connect: typeof connect;
  readonly createServer: typeof createServer;
  remove(): void;
}

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Bundles `src/index.ts` into node_modules/.cache, where it finds its packages. */
export async function buildLibrary(): Promise<BuiltLibrary> {
  const directory = join(root, 'node_modules/.cache/sallyport-test', `library-${process.pid}`);
  await build({
    entryPoints: [join(root, 'src/index.ts'), join(root, 'src/linux/data-worker.ts')],
    outbase: join(root, 'src'),
    outdir: directory,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'silent',
  });
  const url = pathToFileURL(join(directory, 'index.js'));
  const loaded = (await import(url.href)) as Pick<BuiltLibrary, 'connect' | 'createServer'>;
  const { connect, createServer } = loaded;
  return { url, connect, createServer, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

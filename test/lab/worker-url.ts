// Programs of the tests and the data worker, bundled from source once for each process, beside the packages they load.

import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { checksumModulePath } from './checksum-module.ts';

export interface BuiltProgram {
  readonly url: URL;
  readonly path: string;
  remove(): void;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
let builds = 0;

/** Bundles one source file (path from the project's root) into node_modules/.cache, where it finds the packages that it loads. */
export async function buildProgram(source: string): Promise<BuiltProgram> {
  const directory = join(root, 'node_modules/.cache/sallyport-test', `${process.pid}-${builds++}`);
  mkdirSync(directory, { recursive: true });
  const path = join(directory, basename(source).replace(/\.ts$/, '.mjs'));
  await build({
    entryPoints: [join(root, source)],
    outfile: path,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['koffi', 'dbus-native'],
    logLevel: 'silent',
  });
  return { url: pathToFileURL(path), path, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** The data worker as `createWorkerPlane` takes it. */
export async function buildDataWorker(): Promise<BuiltProgram> {
  const program = await buildProgram('src/linux/data-worker.ts');
  copyFileSync(checksumModulePath(), join(dirname(program.path), 'checksum.wasm'));
  return program;
}

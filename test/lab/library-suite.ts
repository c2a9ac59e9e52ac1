// The set-up of a suite that tests the built library: the bundle, certificates, and a folder of its own.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { type BuiltLibrary, buildLibrary } from './built-library.ts';
import { makePki, type Pki } from './pki.ts';

export interface LibrarySuite {
  /** There from the start, removed with everything in it at the end. */
  readonly directory: string;
  /** In tests only. */
  library(): BuiltLibrary;
  pki(): Pki;
}

/** `name` begins the folder's name. */
export function useLibrary(name: string): LibrarySuite {
  const directory = mkdtempSync(join(tmpdir(), `${name}-`));
  let made: readonly [BuiltLibrary, Pki];
  beforeAll(async () => {
    made = await Promise.all([buildLibrary(), makePki(join(directory, 'pki'))]);
  }, 60_000);
  afterAll(() => {
    made[0].remove();
    rmSync(directory, { recursive: true, force: true });
  });
  return { directory, library: () => made[0], pki: () => made[1] };
}

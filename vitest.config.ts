import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

/** Suites that make or judge certificates with the openssl command; left out, and named, where there is none. */
function withoutOpenssl(): string[] {
  if (spawnSync('openssl', ['version']).status === 0) return [];
  if (process.env.CI === 'true') throw new Error('CI=true: the tests need the openssl command');
  const files = (readdirSync('test', { recursive: true }) as string[])
    .map((name) => `test/${name}`)
    .filter((name) => name.endsWith('.test.ts') && !name.startsWith('test/interop/'))
    .filter((name) => /lab\/pki\.ts|'openssl'|workbench/.test(readFileSync(name, 'utf8')));
  for (const file of files) console.log(`skipping ${file}: the openssl command is not there`);
  return files;
}

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles: ['test/lab/end-with-runner.ts'],
          include: ['test/**/*.test.ts'],
          exclude: ['test/interop/**', ...withoutOpenssl()],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'interop',
          setupFiles: ['test/lab/end-with-runner.ts', 'test/lab/count-peers.ts', 'test/lab/what-they-said.ts'],
          include: ['test/interop/**/*.test.ts'],
          // Real programs on a loaded machine: a case has a second try, which scripts/test-summary.mjs counts and bounds.
          retry: 1,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});

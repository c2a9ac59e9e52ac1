import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const module = fileURLToPath(new URL('../../src/linux/compile-early.ts', import.meta.url));

it('this Node takes the flag under which functions are compiled at their first call, and says nothing of it', () => {
  const script = `const { compileEarly } = await import(${JSON.stringify(module)}); compileEarly(); console.log((() => 'ran')());`;
  const argv = ['--import', 'tsx', '--input-type=module', '--eval', script];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8', timeout: 60_000 });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'ran\n', stderr: '' });
});

// The command's first words, before anything is read or connected.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { unknownCommandAdvice } from '../apps/cli/unknown-command.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'sallyport-command-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

it.each([[['--version']], [['--config', 'a.ovpn']], [['--help']], [['pki', 'list']], [[]]])(
  'says what to do in a checkout that is not built: %j',
  (argv) => {
    mkdirSync(join(directory, 'bin'), { recursive: true });
    for (const file of ['sallyport.js', 'load-command.js', 'package.json']) {
      copyFileSync(join(root, 'bin', file), join(directory, 'bin', file));
    }
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(directory, 'bin/sallyport.js'), ...argv]);
    expect(stderr.toString()).toBe('sallyport: this checkout is not built yet: run npm ci && npm run build\n');
    expect([status, stdout.toString()]).toEqual([1, '']);
  },
);

it.each([[['frob']], [['chekc', 'office.ovpn']]])('names the commands to who asks for one that is none: %j', (argv) => {
  expect(unknownCommandAdvice(argv)).toBe(
    `There is no file and no command of the name ${argv[0]}. --help lists the commands.`,
  );
});

it.each([[[]], [['office.ovpn']], [['/nowhere/office']], [['--frob']], [['a\u001b[1m']]])(
  'does not take for a command: %j',
  (argv) => {
    expect(unknownCommandAdvice(argv)).toBeUndefined();
  },
);

it('does not take what is there for a command', () => {
  // In the folder that the tests run in.
  expect(unknownCommandAdvice(['src'])).toBeUndefined();
});

// The completions, loaded and asked by the shells themselves; `sallyport` is one that knows two profiles.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { completionFor, SHELLS } from '../../apps/desktop/completion.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-completion-'));
  const list = JSON.stringify(
    [
      { name: 'office', up: false },
      { name: 'home', up: true },
    ],
    undefined,
    2,
  );
  writeFileSync(join(folder, 'sallyport'), `#!/bin/sh\n[ "$*" = 'list --json' ] && cat <<'END'\n${list}\nEND\n`);
  chmodSync(join(folder, 'sallyport'), 0o755);
  for (const shell of SHELLS) writeFileSync(join(folder, `script.${shell}`), completionFor(shell) ?? '');
});
afterAll(() => rmSync(folder, { recursive: true }));

const shell = (argv: readonly string[]) => {
  const [program = '', ...args] = argv;
  const env = { PATH: `${folder}:${process.env.PATH}`, HOME: folder, LC_ALL: 'C' };
  return spawnSync(program, args, { cwd: folder, env, encoding: 'utf8', timeout: 20_000 });
};
const hasShell = (name: string): boolean => spawnSync(name, ['-c', 'true']).status === 0;

/** The command that offers what may follow `sallyport WORDS`, of which the last is not complete. */
const ASK: Readonly<Record<string, (words: readonly string[]) => readonly string[]>> = {
  bash: (words) => [
    'bash',
    '--norc',
    '-c',
    `source ./script.bash; COMP_WORDS=(sallyport "$@"); COMP_CWORD=$#; _sallyport; printf '%s\\n' "\${COMPREPLY[@]}"`,
    'bash',
    ...words,
  ],
  // What a widget is needed for stands aside: the script's own part is to say which words there are.
  zsh: (words) => [
    'zsh',
    '-f',
    '-c',
    `compdef() { : }; _files() { print -l *(N) }; _describe() { print -l \${\${(@P)2}%%:*} }
compadd() { [[ $1 == -- ]] && shift; print -l -- "$@" }
source ./script.zsh; words=(sallyport "$@"); CURRENT=$(($# + 1)); _sallyport`,
    'zsh',
    ...words,
  ],
  fish: (words) => [
    'fish',
    '--no-config',
    '-c',
    `source script.fish; complete -C '${['sallyport', ...words].join(' ')}'`,
  ],
};

describe.each(SHELLS.filter(hasShell))('the completion of %s', (name) => {
  const offered = (...words: string[]): readonly string[] => {
    const { status, stdout, stderr } = shell(ASK[name]?.(words) ?? []);
    expect([status, stderr]).toEqual([0, '']);
    // fish says what each word is, behind a tab.
    return stdout.split('\n').map((line) => line.split('\t', 1)[0] ?? '');
  };

  it('is read without a complaint', () => {
    const check = name === 'fish' ? '--no-execute' : '-n';
    expect(shell([name, check, `script.${name}`])).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });
  it('offers commands, options of the profile and options of a command', () => {
    expect(offered('s')).toEqual(expect.arrayContaining(['status', 'show']));
    expect(offered('rec')).toEqual(expect.arrayContaining(['recover', 'reconnect']));
    expect(offered('--persist')).toEqual(expect.arrayContaining(['--persist-tun', '--persist-key']));
    expect(offered('recover', '--')).toEqual(expect.arrayContaining(['--dry-run', '--json']));
  });
  it('offers profiles where a profile is meant, files where a file is, and shells where a shell is', () => {
    expect(offered('down', '')).toEqual(expect.arrayContaining(['office', 'home']));
    expect(offered('up', '')).toEqual(expect.arrayContaining(['office', 'home', 'script.bash']));
    expect(offered('import', 'scr')).toContain('script.bash');
    expect(offered('down', '')).not.toContain('script.bash');
    expect(offered('completion', '')).toEqual(expect.arrayContaining([...SHELLS]));
  });
});

// A script for every hook that writes down with what arguments and environment it was called.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from './lab.ts';

export interface ScriptCall {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Where calls are collected, and the script that collects them. */
export interface ScriptDump {
  readonly script: string;
  /** Calls so far by name: the script type, and for tls-verify the depth. */
  calls(): Promise<Readonly<Record<string, ScriptCall>>>;
}

/** A dump of its own for one connection. */
export async function scriptDump(lab: Lab, exitCode = 0): Promise<ScriptDump> {
  const dir = await lab.directory('calls', 0o777);
  const script = await lab.file(
    'hook.sh',
    `#!/bin/sh
name=$script_type
[ "$script_type" = tls-verify ] && name="tls-verify-$1"
printf '%s\\0' "$@" >"${dir}/$name.args"
env -0 >"${dir}/$name.env.part" && mv "${dir}/$name.env.part" "${dir}/$name.env"
exit ${exitCode}
`,
    0o755,
  );
  return {
    script,
    async calls() {
      const names = (await readdir(dir)).filter((name) => name.endsWith('.env')).map((name) => name.slice(0, -4));
      const calls: Record<string, ScriptCall> = {};
      for (const name of names.sort()) {
        calls[name] = {
          args: split(await readFile(join(dir, `${name}.args`), 'utf8')),
          env: Object.fromEntries(
            split(await readFile(join(dir, `${name}.env`), 'utf8')).map((pair) => {
              const at = pair.indexOf('=');
              return [pair.slice(0, at), pair.slice(at + 1)];
            }),
          ),
        };
      }
      return calls;
    },
  };
}

function split(text: string): string[] {
  return text.split('\0').slice(0, -1);
}

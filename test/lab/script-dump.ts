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
          env: environment(await readFile(join(dir, `${name}.env`), 'utf8')),
        };
      }
      return calls;
    },
  };
}

/** A script for every hook that keeps all of its calls. */
export interface ScriptLog {
  readonly script: string;
  /** Every call so far by its script type, oldest first; `files` has what stood in files that arguments name. */
  calls(): Promise<readonly LoggedCall[]>;
}

export interface LoggedCall extends ScriptCall {
  readonly type: string;
  readonly files: string;
}

/** A log of its own. `body` is shell text that runs after a call is noted; the script's result is its result. */
export async function scriptLog(lab: Lab, body = 'exit 0'): Promise<ScriptLog> {
  const dir = await lab.directory('log', 0o777);
  const script = await lab.file(
    'log.sh',
    `#!/bin/sh
call=${dir}/$(date +%s%N)-$script_type
for each in "$@"; do [ -f "$each" ] && stat -c 'mode %a' "$each" && cat "$each"; done >"$call.files"
printf '%s\\0' "$@" >"$call.args"
env -0 >"$call.env.part" && mv "$call.env.part" "$call.env"
${body}
`,
    0o755,
  );
  return {
    script,
    async calls() {
      const names = (await readdir(dir)).filter((name) => name.endsWith('.env')).map((name) => name.slice(0, -4));
      const read = (name: string, part: string) => readFile(join(dir, `${name}.${part}`), 'utf8');
      return Promise.all(
        names.sort().map(async (name) => {
          const args = split(await read(name, 'args'));
          return {
            type: name.replace(/^\d+-/, ''),
            // Without arguments printf writes one empty one.
            args: args.length === 1 && args[0] === '' ? [] : args,
            files: await read(name, 'files'),
            env: environment(await read(name, 'env')),
          };
        }),
      );
    },
  };
}

function environment(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    split(text).map((pair) => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function split(text: string): string[] {
  return text.split('\0').slice(0, -1);
}

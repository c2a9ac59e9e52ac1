// The README's examples, as they stand there: types by the compiler's own judgement in the repository, behaviour here, in
// a process of their own with devices in memory.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunningServer } from '../src/server.ts';
import { type BuiltLibrary, buildLibrary } from './lab/built-library.ts';
import { connectInMemory, freePort, memorySettings, pingInMemory, serveInMemory } from './lab/memory-tunnel.ts';
import { makePki, type Pki } from './lab/pki.ts';

const directory = mkdtempSync(join(tmpdir(), 'sallyport-readme-'));
const examples = [
  ...readFileSync(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8').matchAll(/```ts\n(.*?)```/gs),
].map(([, text = '']) => text);
let library: BuiltLibrary;
let pki: Pki;

beforeAll(async () => {
  [library, pki] = await Promise.all([buildLibrary(), makePki(join(directory, 'made'))]);
  for (const [from, to] of [
    [pki.ca.cert, 'pki/ca.crt'],
    [pki.server.cert, 'pki/issued/server.crt'],
    [pki.server.key, 'pki/private/server.key'],
  ] as const) {
    mkdirSync(dirname(join(directory, to)), { recursive: true });
    writeFileSync(join(directory, to), readFileSync(from));
  }
}, 60_000);

afterAll(() => {
  library.remove();
  rmSync(directory, { recursive: true, force: true });
});

/** Runs an example in the directory; `changes` are what a test has to put in its place, each exactly once. */
async function run(example: string, changes: readonly (readonly [from: string, to: string])[]) {
  let text = example.replace("'sallyport'", `'${library.url.href}'`);
  for (const [from, to] of changes) {
    expect(text.split(from), from).toHaveLength(2);
    text = text.replace(from, to);
  }
  // As it stands: the oldest Node that is supported has to understand it.
  const program = join(directory, 'example.mjs');
  writeFileSync(program, text);
  const child = spawn(process.execPath, [program], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  let wake = (): void => {};
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output += part;
    wake();
  });
  return {
    child,
    async says(line: string): Promise<void> {
      while (!output.split('\n').includes(line)) {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${output}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
          child.once('exit', () => resolve());
        });
      }
    },
  };
}

it('the example of a client connects, tells its phases and ends with SIGINT', async () => {
  const [example = ''] = examples;
  await using server = await serveInMemory(library, await memorySettings(pki));
  const files = [`ca ${pki.ca.cert}`, `cert ${pki.client.cert}`, `key ${pki.client.key}`];
  const remote = `remote 127.0.0.1 ${server.addresses[0]?.port} udp4`;
  writeFileSync(join(directory, 'office.ovpn'), `client\ndev tun\nnobind\n${remote}\n${files.join('\n')}\n`);
  const { child, says } = await run(example, [
    ['{ signal: quit.signal }', "{ signal: quit.signal, device: 'memory' }"],
  ]);
  await says('connected 0');
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  await says('ended');
  expect(await exit).toBe(0);
});

it('the example of a server lets in by password and by certificate, and tells who comes and goes', async () => {
  const [, example = ''] = examples;
  const port = await freePort();
  const { child, says } = await run(example, [
    ["network: '10.8.0.0/24',", `network: '10.8.0.0/24', listen: { host: '127.0.0.1', port: ${port} },`],
    ['    onAuthenticate:', "    device: 'memory', onAuthenticate:"],
    [
      'for await (const event of server.events()) {',
      "console.log('serving');\nfor await (const event of server.events()) {",
    ],
  ]);
  await says('serving');
  const there = { addresses: [{ port }] } as unknown as RunningServer;
  const as = (password: string, username = 'anna') => ({
    lines: ['auth-user-pass'],
    credentials: async () => ({ username, password }),
  });
  await expect(connectInMemory(library, there, pki, undefined, as('wrong'))).rejects.toThrow(/wrong password/);
  await expect(connectInMemory(library, there, pki, undefined, as('', 'nobody'))).rejects.toThrow(/wrong password/);
  await using anna = await connectInMemory(library, there, pki, undefined, as('correct horse'));
  await says('anna 10.8.0.50');
  expect(anna.state).toMatchObject({
    plan: { address4: { local: '10.8.0.50' }, routes: [{ prefix: '10.77.0.0/24' }] },
  });
  await using other = await connectInMemory(library, there, pki, pki.client);
  await says('client 10.8.0.2');
  expect(await pingInMemory(other)).toBe(false);
  child.kill('SIGKILL');
});

// The client's process as the service has it, with programs in its place that misbehave: whatever they do, they end, and the
// device with them.

import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ClientProcess, startClient } from '../../apps/networkmanager/client-process.ts';
import type { ClientProblem } from '../../apps/networkmanager/failure.ts';
import { enterPrivateNetwork, privateNetworkRefusal } from '../lab/private-network.ts';
import { type BuiltProgram, buildProgram } from '../lab/worker-url.ts';

const refusal = privateNetworkRefusal();
if (refusal !== undefined) console.log(`skipping client processes: ${refusal}`);
let program: BuiltProgram;
let network: ReturnType<typeof enterPrivateNetwork>;
const started: ClientProcess[] = [];

beforeAll(async () => {
  program = await buildProgram('test/networkmanager/programs/odd-client.ts');
});
beforeEach(() => {
  if (refusal === undefined) network = enterPrivateNetwork();
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((client) => client.stop()));
  if (refusal === undefined) network.leave();
});
afterAll(() => program.remove());

/** The package's own is not on every machine that tests. */
const ACCOUNTS = ['nobody'];

const links = (): string => execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' });

function start(name: string) {
  const messages: string[] = [];
  let client: ClientProcess | undefined;
  const ended = new Promise<ClientProblem | undefined>((resolve) => {
    client = startClient(
      { name, settings: { device: { name: 'odd0', layer: 'tun' }, blocksIpv6Leak: true }, lines: [], verb: 1 },
      program.url,
      { message: (message) => messages.push(JSON.stringify(message)), ended: resolve },
      ACCOUNTS,
    );
  });
  if (client === undefined) throw new Error('it was not started');
  started.push(client);
  return { client, ended, messages };
}

describe.skipIf(refusal !== undefined)('a client process', () => {
  it.each([
    ['nonsense', /can't be meant/],
    ['unknown', /a message of no known form/],
    ['endless', /a line of more than 1048576 bytes/],
  ])('that says what is %s is killed, and its device is gone', async (name, words) => {
    const { ended } = start(name);
    expect(links()).toContain('odd0');
    expect((await ended)?.message).toMatch(words);
    expect(links()).not.toContain('odd0');
  });

  it('that hears nothing is killed in the end', async () => {
    const { client, ended } = start('deaf');
    await client.stop();
    expect(await ended).toBeUndefined();
    expect(links()).not.toContain('odd0');
  });

  it('has no rights, no arguments, and an environment without anything in it', async () => {
    const { messages } = start('who');
    await expect.poll(() => messages.length).toBe(1);
    const { uid, argv, env } = JSON.parse((JSON.parse(messages[0] ?? '') as { text: string }).text);
    expect(uid).toBeGreaterThan(0);
    expect(argv).toEqual([]);
    expect(Object.keys(env)).toEqual(['PATH']);
  });

  it('is not started as root, nor as a user that other services are, where it has no user of its own', () => {
    const order = {
      name: 'x',
      settings: { device: { name: 'odd0', layer: 'tun' }, blocksIpv6Leak: true },
      lines: [],
      verb: 1,
    } as const;
    const events = { message: () => {}, ended: () => {} };
    expect(() => startClient(order, program.url, events, ['no-such-user'])).toThrow(/useradd --system no-such-user/);
    expect(links()).not.toContain('odd0');
  });

  it('that can not be started is told', async () => {
    const ended = await new Promise<ClientProblem | undefined>((resolve) => {
      started.push(
        startClient(
          { name: 'x', settings: { device: { name: 'odd0', layer: 'tun' }, blocksIpv6Leak: true }, lines: [], verb: 1 },
          new URL('file:///nonexistent/client.js'),
          { message: () => {}, ended: resolve },
          ACCOUNTS,
        ),
      );
    });
    expect(ended?.message).toMatch(/has ended \(exit code 1\)/);
    expect(links()).not.toContain('odd0');
  });
});

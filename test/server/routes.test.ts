// Ethernet addresses on their way to clients while programs are asked.

import { expect, it } from 'vitest';
import type { DataPlane } from '../../src/data/plane.ts';
import type { Instance } from '../../src/server/instance.ts';
import { Routes } from '../../src/server/routes.ts';
import type { ServerScripts } from '../../src/server/scripts.ts';
import { VirtualClock } from '../lab/virtual-clock.ts';

type Ask = ServerScripts['learnAddress'];

const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);
const name = (last: number): string => `02:00:00:00:00:0${last}@0`;

async function tap(learnAddress: Ask, maxRoutes = 256) {
  const answers: string[] = [];
  const lines: string[] = [];
  const log = (_level: number, text: string): void => void lines.push(text);
  const plane: Partial<DataPlane> = {
    setPeer: () => {},
    answerAddress: (peer, address, accept) => void answers.push(`${peer} ${address.at(-1)} ${accept}`),
  };
  const routes = new Routes(
    { own: ['10.8.0.1', '02:00:00:00:00:0A'], layer: 'tap', stale: undefined },
    {
      plane: plane as DataPlane,
      clock: new VirtualClock(),
      scripts: { learnAddress } as ServerScripts,
      hooks: {},
      log,
    },
  );
  const client = async (peer: number): Promise<Instance> => {
    const instance = { peer, phase: 'up', label: `client ${peer}`, facts: { name: `${peer}` }, log };
    await routes.learn(instance as unknown as Instance, { addresses: {}, routes: [], maxRoutes } as never);
    return instance as unknown as Instance;
  };
  return { routes, client, answers, lines };
}

/** Programs that answer when they are told to. */
function slowly() {
  const asked: string[] = [];
  const waiting: ((accept: boolean) => void)[] = [];
  const ask: Ask = (type, prefix, client) => {
    asked.push(`${type} ${prefix} ${client?.name}`);
    return new Promise((resolve) => waiting.push(resolve));
  };
  return { asked, waiting, ask };
}

/** All that waits for no program has happened. */
const calm = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

it('a client gets no more addresses than its quota when many are asked about at once', async () => {
  const { asked, waiting, ask } = slowly();
  const { routes, client, answers, lines } = await tap(ask, 2);
  const ann = await client(1);
  for (let last = 1; last <= 5; last++) routes.learnMac(ann, mac(last));
  await calm();
  expect(asked).toEqual([`add ${name(1)} 1`, `add ${name(2)} 1`]);
  expect(lines.filter((line) => line.includes('route quota (2) exceeded for client 1'))).toHaveLength(3);
  waiting[0]?.(true);
  waiting[1]?.(false);
  await routes.settled();
  expect(answers.sort()).toEqual(['1 1 true', '1 2 false', '1 3 false', '1 4 false', '1 5 false']);
  // What a program refused takes no place.
  routes.learnMac(ann, mac(6));
  await calm();
  waiting[2]?.(true);
  await routes.settled();
  expect(routes.entries().map(({ address }) => address)).toEqual([name(1), name(6)]);
});

it('a program hears again of an address that another client got while it thought', async () => {
  const { asked, waiting, ask } = slowly();
  const { routes, client, answers } = await tap(ask);
  const [ann, bob] = [await client(1), await client(2)];
  routes.learnMac(ann, mac(1));
  routes.learnMac(bob, mac(1));
  await calm();
  waiting[0]?.(true);
  await calm();
  waiting[1]?.(true);
  await calm();
  expect(asked).toEqual([`add ${name(1)} 1`, `add ${name(1)} 2`, `update ${name(1)} 2`]);
  expect(answers).toEqual(['1 1 true']);
  waiting[2]?.(true);
  await routes.settled();
  expect(answers).toEqual(['1 1 true', '2 1 true']);
  expect(routes.entries().map(({ owner }) => owner)).toEqual([bob]);
});

it('an address is refused when asking about it fails', async () => {
  const { routes, client, answers, lines } = await tap(() => Promise.reject(new Error('no program')));
  const ann = await client(1);
  routes.learnMac(ann, mac(1));
  await routes.settled();
  expect(lines).toContain(`learning ${name(1)}: no program`);
  expect(answers).toEqual(['1 1 false']);
});

it("the server's own Ethernet address goes to no client, and no program is asked", async () => {
  const { asked, ask } = slowly();
  const { routes, client, answers, lines } = await tap(ask);
  routes.learnMac(await client(1), mac(0x0a));
  await routes.settled();
  expect([asked, answers]).toEqual([[], ['1 10 false']]);
  expect(lines).toContain("MULTI: 02:00:00:00:00:0a@0 is the server's own address and goes to no client");
});

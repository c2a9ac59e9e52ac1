import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BusyWatch } from '../../src/linux/busy-watch.ts';
import { allowedProcessors, idleMs, openSpareProcessors } from '../../src/linux/spare-processors.ts';
import { createWorkerPlane } from '../../src/linux/worker-plane.ts';
import { type BuiltProgram, buildProgram } from '../lab/worker-url.ts';
import { clientPeer, EventLog, loopback } from './plane-rig.ts';

describe('a worker', () => {
  /** Turns of 10 ms for a second, of which so many waited; how often it had no time left. */
  const told = (watch: BusyWatch, waitedMs: number): number => {
    let count = 0;
    for (let turn = 1; turn <= 100; turn++) if (watch.handleWait(turn * 10, waitedMs)) count++;
    return count;
  };

  it.each([
    ['has no time left when it hardly waits: once for each window', 0.4, 2],
    ['has time when it waits a twentieth of it', 0.5, 0],
    ['has time when it mostly waits', 9, 0],
  ])('%s', (_, waitedMs, count) => {
    expect(told(new BusyWatch(0), waitedMs)).toBe(count);
  });

  it('has time after a long wait, and looks at each window alone', () => {
    const watch = new BusyWatch(0);
    expect(watch.handleWait(3_600_000, 3_599_000)).toBe(false);
    expect(watch.handleWait(3_600_499, 0)).toBe(false);
    expect(watch.handleWait(3_600_500, 0)).toBe(true);
  });
});

describe("the machine's processors", () => {
  // user nice system idle iowait irq softirq steal guest guest_nice
  const stat = [
    'cpu  100 0 100 3300 33 0 0 0 0 0',
    'cpu0 50 0 50 1000 10 0 0 0 0 0',
    'cpu1 50 0 50 2000 20 0 0 0 0 0',
    'cpu11 0 0 0 300 3 0 0 0 0 0',
    'intr 5 cpu0 7',
  ].join('\n');

  it.each([
    ['all', undefined, 33_330],
    ['those that the process may run on', new Set([0, 11]), 13_130],
    ['none', new Set<number>(), 0],
  ])('are idle and waiting for a disk: %s', (_, allowed, expected) => {
    expect(idleMs(stat, allowed)).toBe(expected);
  });

  it.each([
    ['0-3,8', [0, 1, 2, 3, 8]],
    ['1', [1]],
    ['0-1', [0, 1]],
  ])('%s are allowed', (list, expected) => {
    expect([...allowedProcessors(`Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t${list}\n`)!]).toEqual(expected);
  });

  it('are unknown where nothing is said of them', () => {
    expect(allowedProcessors('Name:\tx\n')).toBeUndefined();
  });

  it.runIf(process.platform === 'linux')('are looked at between two looks', async () => {
    const spare = openSpareProcessors()!;
    expect(spare.look(1_000)).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const idle = spare.look(1_100)!;
    expect(idle).toBeGreaterThanOrEqual(0);
    expect(spare.look(3_200)).toBeUndefined();
    spare.close();
  });
});

describe('the plane', () => {
  let worker: BuiltProgram;
  beforeAll(async () => {
    worker = await buildProgram('test/linux/programs/busy-worker.ts');
  });
  afterAll(() => worker.remove());

  /** A client's plane whose first worker has no time left, twice; what its workers were asked from then on. */
  async function busy(spare: number | undefined, framing: 'udp' | 'tcp' = 'udp'): Promise<string[]> {
    const log = new EventLog();
    const plane = createWorkerPlane({
      workerUrl: worker.url,
      listener: log.listener,
      workers: 2,
      spareProcessors: { look: () => spare, close: () => {} },
    });
    await plane.ready;
    const device = plane.addDevice({
      endpoint: { kind: 'fd', fd: -1 },
      layer: 'tun',
      mtuBytes: 1500,
      blockIpv6: false,
    });
    const link = plane.addLink({
      endpoint: { kind: 'fd', fd: -1 },
      framing,
      connecting: false,
      remote: loopback(9),
      connected: true,
      readAhead: undefined,
    });
    const peer = plane.addPeer(clientPeer(device, link, loopback(9)));
    const seen = log.events.length;
    for (let count = 0; count < 2; count++) {
      plane.setPeer(peer, { mssBytes4: 1000 + count });
      await log.next('link-error', ({ code }) => code === '1 setPeer');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await plane.close();
    const asked = log.events.slice(seen).flatMap((event) => (event.type === 'link-error' ? [event.text] : []));
    return asked.filter((text) => text.endsWith('Opening'));
  }

  it('gives the opening of a busy worker to another one where processors have time, once', async () => {
    expect(await busy(0.5)).toEqual(['0 giveOpening', '1 takeOpening']);
  });

  it.each([
    ['where processors have none', 0.49, 'udp'],
    ['where nobody knows yet', undefined, 'udp'],
    ['of a stream', 2, 'tcp'],
  ] as const)('leaves it where it is %s', async (_, spare, framing) => {
    expect(await busy(spare, framing)).toEqual([]);
  });
});

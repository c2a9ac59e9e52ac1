import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countersByteLength } from '../../src/data/counters.ts';
import { createPlaneCore } from '../../src/data/plane-core.ts';
import { scratchByteLength } from '../../src/data/plane-state.ts';
import { BusyWatch } from '../../src/linux/busy-watch.ts';
import { bootMs } from '../../src/linux/clock.ts';
import { libc } from '../../src/linux/libc.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { Outbox } from '../../src/linux/outbox.ts';
import { createPacketCrypto } from '../../src/linux/packet-crypto.ts';
import { PacketLoop } from '../../src/linux/packet-loop.ts';
import { createPacketMemory } from '../../src/linux/packet-memory.ts';
import type { Rehearsal } from '../../src/linux/rehearsal.ts';
import { allowedProcessors, idleMs, looker, openSpareProcessors } from '../../src/linux/spare-processors.ts';
import {
  CONTROL_WORDS_BYTES,
  ControlWord,
  type LinkPart,
  type WorkerCall,
  type WorkerReport,
} from '../../src/linux/worker-messages.ts';
import { createWorkerPlane } from '../../src/linux/worker-plane.ts';
import { type BuiltProgram, buildProgram } from '../lab/worker-url.ts';
import { clientPeer, EventLog, linkRequest, loopback } from './plane-rig.ts';

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

  it('are looked at between two looks, neither too near nor too far from each other', () => {
    let idle: number | undefined = 5_000;
    const look = looker(() => idle);
    expect(look(1_000)).toBeUndefined();
    idle = 5_750;
    expect(look(1_199)).toBeUndefined();
    expect(look(1_500)).toBe(1.5);
    expect(look(1_500)).toBeUndefined();
    expect(look(3_501)).toBeUndefined();
    idle = 5_950;
    expect(look(3_901)).toBe(0.5);
    idle = undefined;
    expect(look(4_301)).toBeUndefined();
    idle = 9_000;
    expect(look(4_701)).toBeUndefined();
    expect(look(5_101)).toBe(0);
  });

  it('are those of this machine', () => {
    const spare = openSpareProcessors()!;
    expect(spare.look(1_000)).toBeUndefined();
    expect(spare.look(1_500)).toBeGreaterThanOrEqual(0);
    spare.close();
  });
});

describe('the loop of a worker', () => {
  const fds: number[] = [];
  afterAll(() => {
    for (const fd of fds) libc.close(fd);
  });

  /** A loop whose waits take no time, and how to ask it something; `run` lets a window and more pass, and tells what was reported. */
  function loop(rehearsal?: Partial<Rehearsal>) {
    const scratchBytes = scratchByteLength(2, 2);
    const memory = createPacketMemory(scratchBytes);
    const control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS_BYTES));
    const counters = new Float64Array(new SharedArrayBuffer(countersByteLength(1)));
    const calls: WorkerCall[] = [];
    const reports: WorkerReport[] = [];
    const wakeFd = libc.eventfd(0, 0o4000);
    fds.push(wakeFd);
    const packetCrypto = createPacketCrypto(memory.arena, 'openssl');
    const scratch = { start: memory.scratch.start, length: scratchBytes };
    const made = new PacketLoop({
      ...{ memory, control, counters, wakeFd, others: [] },
      outbox: new Outbox(memory),
      createCore: (io, nowMs) =>
        createPlaneCore({ packetCrypto, io, scratch, counters, laneCapacity: { known: 4, unknown: 4 }, nowMs }),
      nextCall: () => calls.shift(),
      report: (report) => reports.push(report),
      rehearsal: rehearsal as Rehearsal | undefined,
    });
    const ask = (...asked: WorkerCall[]) => {
      calls.push(...asked);
      Atomics.add(control, ControlWord.calls, 1);
    };
    const run = () => {
      reports.splice(0);
      for (const untilMs = bootMs() + 700; bootMs() < untilMs; ) made.turn(0);
      return [...new Set(reports.map(({ type }) => type))];
    };
    return { ask, run };
  }

  const addLink = (id: number, part: LinkPart): WorkerCall => {
    const { fd } = createLinkPort().open(linkRequest({ local: loopback(0) }));
    fds.push(fd);
    const options = { framing: 'udp', connecting: false, remote: loopback(9), connected: false } as const;
    return ['addLink', id, { ...options, endpoint: { kind: 'fd', fd }, readAhead: undefined }, part];
  };

  it('says that it has no time left, until its packets are shared', () => {
    const { ask, run } = loop();
    ask(addLink(5, 'both-for-now'));
    expect(run()).toEqual(['busy']);
    // Another link comes in the same turn in which the first is given away.
    ask(['giveOpening', 5, 1], addLink(6, 'both-for-now'));
    expect(run()).toEqual(['opening-given', 'busy']);
    ask(['giveOpening', 6, 1]);
    expect(run()).toEqual(['opening-given']);
  });

  it('says nothing where nobody could help, nor once the link is gone', () => {
    const { ask, run } = loop();
    ask(addLink(5, 'both'), addLink(6, 'both-for-now'), ['removeLink', 6, 1]);
    expect(run()).toEqual(['let-go']);
  });

  it('has time while it rehearses', () => {
    const { ask, run } = loop({ isDue: true, handleCall: () => {}, step: () => {} });
    ask(addLink(5, 'both-for-now'));
    expect(run()).toEqual([]);
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

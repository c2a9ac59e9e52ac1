import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import type { PlaneCore } from '../../src/data/plane-core.ts';
import { libc, nativeBytes } from '../../src/linux/libc.ts';
import { Outbox } from '../../src/linux/outbox.ts';
import { PacketLoop } from '../../src/linux/packet-loop.ts';
import { createPacketMemory } from '../../src/linux/packet-memory.ts';
import { CONTROL_WORDS_BYTES, ControlWord, type WorkerCall } from '../../src/linux/worker-messages.ts';
import { packetPair } from './plane-rig.ts';

const HOUR_MS = 3_600_000;

describe.skipIf(process.platform !== 'linux')('a loop of packets', () => {
  const cleanUps: (() => void)[] = [];
  afterEach(() => {
    for (const cleanUp of cleanUps.splice(0)) cleanUp();
  });

  /** From now on the clock is so much later. */
  function putClockOn(byMs: number): void {
    const time = nativeBytes(8);
    const inner = libc.clockGettime;
    const value = (clock: number, address: number): number => {
      const result = inner(clock, address);
      libc.memcpy(time.address, address, 8);
      time.view.setUint32(0, time.view.getUint32(0, true) + byMs / 1000, true);
      libc.memcpy(address, time.address, 8);
      return result;
    };
    Object.defineProperty(libc, 'clockGettime', { value, configurable: true });
    cleanUps.push(() => Object.defineProperty(libc, 'clockGettime', { value: inner, configurable: true }));
  }

  it('tells the engine of a sleep in the wait that a packet alone ended, before it waits for the answer', () => {
    const [near, far] = packetPair();
    cleanUps.push(
      () => libc.close(near),
      () => libc.close(far),
    );
    const packets: number[] = [];
    const sleeps: [number, number][] = [];
    const memory = createPacketMemory(4096);
    const calls: WorkerCall[] = [
      ['addDevice', 1, { endpoint: { kind: 'fd', fd: near }, layer: 'tun', mtuBytes: 1500, blockIpv6: false }, true],
    ];
    const control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS_BYTES));
    control[ControlWord.calls] = 1;
    const loop: PacketLoop = new PacketLoop({
      memory,
      outbox: new Outbox(memory),
      control,
      counters: new Float64Array(64),
      wakeFd: -1,
      others: [],
      nextCall: () => calls.shift(),
      report: () => {},
      createCore: () =>
        ({
          hasEvents: false,
          paces: false,
          nextDeadlineMs: () => Number.POSITIVE_INFINITY,
          setNow: () => {},
          addDevice: () => {},
          pollEvent: () => undefined,
          handleTick: () => {},
          handleDevicePacket: () => {
            packets.push(loop.nowMs());
            putClockOn(HOUR_MS);
          },
          handleSlept: (setMs: number, nowMs: number) => sleeps.push([setMs, nowMs]),
        }) as unknown as PlaneCore,
    });
    loop.turn(0); // takes its calls
    // Another thread writes, as this one is asleep meanwhile.
    const code = `setTimeout(() => require('node:fs').writeSync(${far}, 'packet'), 200)`;
    const writer = new Worker(code, { eval: true });
    cleanUps.push(() => void writer.terminate());
    while (packets.length === 0) loop.turn(3_000);
    expect(sleeps).toHaveLength(1);
    expect(sleeps[0]![0]).toBe(packets[0]);
    expect(sleeps[0]![1] - packets[0]!).toBeGreaterThan(HOUR_MS - 1000);
    expect(loop.nowMs()).toBeGreaterThanOrEqual(sleeps[0]![1]);
  });
});

// How many programs clients may cause at once, in which order the others come, and what is left when the server ends.

import { describe, expect, it } from 'vitest';
import { PROGRAMS_AT_ONCE, ProgramLane } from '../../src/server/program-lane.ts';
import type { ScriptPort } from '../../src/tunnel/ports.ts';
import { VirtualClock } from '../lab/virtual-clock.ts';

type Result = Awaited<ReturnType<ScriptPort['run']>>;

const ok: Result = { exitCode: 0, signal: undefined, error: undefined };
const settle = () => new Promise((resolve) => setImmediate(resolve));

function bench() {
  const clock = new VirtualClock();
  const lane = new ProgramLane();
  const started: { name: string; timeoutMs: number; signal: AbortSignal; end: () => void }[] = [];
  return {
    clock,
    lane,
    started,
    names: () => started.map(({ name }) => name),
    /** A client's program, which ends when the test says so. */
    ask: (name: string, gone?: AbortSignal) =>
      lane.run(
        (timeoutMs, signal) =>
          new Promise((resolve) => started.push({ name, timeoutMs, signal, end: () => resolve(ok) })),
        { timeoutMs: 60_000, clock, ...(gone && { gone }) },
      ),
  };
}

/** A lane in which every place is taken. */
function fullBench() {
  const each = bench();
  const running = Array.from({ length: PROGRAMS_AT_ONCE }, (_, index) => each.ask(`first ${index}`));
  return { ...each, running };
}

describe('the lane of programs that clients cause', () => {
  it('lets sixteen run, and the others in the order in which they came', async () => {
    const { started, names, ask } = fullBench();
    const ann = ask('ann');
    void ask('bob');
    await settle();
    expect(started).toHaveLength(16);
    started[3]?.end();
    await settle();
    expect(names().slice(16)).toEqual(['ann']);
    started[16]?.end();
    expect(await ann).toEqual(ok);
    await settle();
    expect(names().slice(16)).toEqual(['ann', 'bob']);
  });

  it('gives places back when programs fail to start', async () => {
    const { lane, clock, started, ask } = bench();
    for (let index = 0; index < 2 * PROGRAMS_AT_ONCE; index++) {
      const failing = lane.run(() => Promise.reject(new Error('no')), { timeoutMs: 1000, clock });
      await expect(failing).rejects.toThrow('no');
    }
    void ask('ann');
    expect(started).toHaveLength(1);
  });

  it('counts the wait as part of the time that a client has', async () => {
    const { clock, started, names, ask } = fullBench();
    void ask('ann');
    clock.nowMs += 45_000;
    started[0]?.end();
    await settle();
    expect(started.at(-1)).toMatchObject({ name: 'ann', timeoutMs: 15_000 });
    const bob = ask('bob');
    clock.step(clock.nextMs() ?? 0);
    expect(await bob).toBeUndefined();
    started[1]?.end();
    await settle();
    expect(names().slice(16)).toEqual(['ann']);
    expect(clock.waiting).toBe(0);
  });

  it('passes over a client that has gone', async () => {
    const { clock, started, names, ask } = fullBench();
    const going = new AbortController();
    const ann = ask('ann', going.signal);
    void ask('bob');
    going.abort();
    expect(await ann).toBeUndefined();
    started[0]?.end();
    await settle();
    expect(names().slice(16)).toEqual(['bob']);
    expect(await ask('ann', going.signal)).toBeUndefined();
    expect(clock.waiting).toBe(0);
  });

  it('stops those that run and those that wait, and serves those that come later', async () => {
    const { clock, lane, started, ask, running } = fullBench();
    const ann = ask('ann');
    lane.stop();
    expect(await ann).toBeUndefined();
    expect(started.every(({ signal }) => signal.aborted)).toBe(true);
    for (const { end } of started) end();
    await Promise.all(running);
    void ask('bob');
    expect(started.at(-1)).toMatchObject({ name: 'bob', signal: { aborted: false } });
    expect(clock.waiting).toBe(0);
  });
});

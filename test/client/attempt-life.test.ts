import { describe, expect, it } from 'vitest';
import { AttemptLife, type ExitNotice } from '../../src/client/attempt-life.ts';
import { hardSignal, softRestart } from '../../src/client/signal.ts';
import { VirtualClock } from '../lab/virtual-clock.ts';

function begun() {
  const clock = new VirtualClock();
  const log: string[] = [];
  const life = new AttemptLife(clock, (_flags, text) => log.push(text));
  const sentMs: number[] = [];
  const beganMs = clock.nowMs;
  const notice = (times: number, reliable = false): ExitNotice => ({
    ...{ times, reliable },
    send: () => sentMs.push(clock.nowMs - beganMs),
  });
  const runFor = (ms: number): void => {
    const untilMs = clock.nowMs + ms;
    while (clock.step(untilMs));
    clock.nowMs = untilMs;
  };
  return { clock, log, life, sentMs, notice, runFor };
}

describe('an exit notice', () => {
  it.each([
    ['in band goes each second', false, [0, 1000, 2000]],
    ['in the control channel goes once', true, [0]],
  ])('%s, and the end comes after the seconds that it was given', async (_title, reliable, expected) => {
    const { life, sentMs, notice, runFor, clock } = begun();
    life.stop(hardSignal('SIGTERM'), notice(3, reliable));
    runFor(2999);
    expect(life.isOver).toBe(false);
    runFor(1);
    expect(sentMs).toEqual(expected);
    expect(await life.ended).toMatchObject({ name: 'SIGTERM', text: 'exit-with-notification' });
    expect(clock.waiting).toBe(0);
  });

  it.each([
    ['that is to be said no time', 'SIGTERM', 0],
    ['is none of a restart’s business', 'SIGUSR1', 3],
    ['is none of a reload’s business', 'SIGHUP', 3],
  ] as const)('%s: the end comes at once', async (_title, name, times) => {
    const { life, sentMs, notice } = begun();
    life.stop(hardSignal(name), notice(times));
    expect(await life.ended).toMatchObject({ name, text: '' });
    expect(sentMs).toEqual([]);
  });

  it('that is being said makes an exit of a restart, and says so', async () => {
    const { life, notice, log } = begun();
    life.stop(hardSignal('SIGINT'), notice(3));
    life.end(softRestart('ping-restart'));
    expect(await life.ended).toMatchObject({ name: 'SIGTERM', text: 'exit-with-notification' });
    expect(log.at(-1)).toBe('Converting soft SIGUSR1 received during exit notification to SIGTERM');
  });
});

describe('the end of an attempt', () => {
  it('is the first that comes, and ends what waits', async () => {
    const { life, clock, runFor } = begun();
    life.endAfter(500, softRestart('first'));
    runFor(500);
    life.end(softRestart('second'));
    expect(await life.ended).toMatchObject({ text: 'first' });
    expect(life.signal.aborted).toBe(true);
    expect(clock.waiting).toBe(0);
  });

  it('comes when work on the host fails, and not when it fails after the end', async () => {
    const { life, log } = begun();
    life.onHost(Promise.reject(new Error('no device')));
    expect(await life.ended).toMatchObject({ text: 'fatal', exitCode: 1 });
    expect(log).toEqual(['no device']);
    life.background(Promise.reject(new Error('too late')));
    await life.hostSettled();
    expect(log).toEqual(['no device']);
  });

  it('waits for work on the host where it is asked to', async () => {
    const { life } = begun();
    let finish = (): void => {};
    life.onHost(new Promise((resolve) => (finish = resolve)));
    life.abandon();
    let settled = false;
    const waited = life.hostSettled().then(() => (settled = true));
    await Promise.resolve();
    expect(settled).toBe(false);
    finish();
    await waited;
  });
});

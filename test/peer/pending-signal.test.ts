import { describe, expect, it } from 'vitest';
import { type ClientSignal, hardSignal, softRestart } from '../../src/client/signal.ts';
import { PendingSignal, type SignalName } from '../../src/peer/pending-signal.ts';

const created = () =>
  new PendingSignal<ClientSignal>(
    ({ name }) => name,
    () => new AbortController(),
  );

describe('a signal that waits', () => {
  it('interrupts, until it is taken: then there is nothing to interrupt for', () => {
    const pending = created();
    const { interrupt } = pending;
    pending.offer(hardSignal('SIGUSR1'));
    expect([interrupt.aborted, pending.isSet]).toEqual([true, true]);
    expect(pending.take()?.name).toBe('SIGUSR1');
    expect([pending.interrupt.aborted, pending.isSet]).toEqual([false, false]);
    expect(pending.take()).toBeUndefined();
  });

  it.each([
    ['SIGUSR1', 'SIGTERM', 'SIGTERM'],
    ['SIGHUP', 'SIGUSR1', 'SIGHUP'],
    ['SIGTERM', 'SIGHUP', 'SIGTERM'],
    // Neither is stronger: the later one counts.
    ['SIGTERM', 'SIGINT', 'SIGINT'],
  ] as readonly (readonly [SignalName, SignalName, SignalName])[])(
    '%s and then %s are %s',
    (first, second, expected) => {
      const pending = created();
      pending.offer(hardSignal(first));
      expect(pending.offer(hardSignal(second))).toBe(expected === second);
      expect(pending.take()?.name).toBe(expected);
    },
  );

  it('counts over what has ended an attempt only where it asks for more', () => {
    const pending = created();
    const ended = hardSignal('SIGHUP');
    pending.offer(hardSignal('SIGUSR1'));
    expect(pending.takeOver(ended)).toBe(ended);
    expect(pending.isSet).toBe(false);
    pending.offer(hardSignal('SIGTERM'));
    expect(pending.takeOver(ended).name).toBe('SIGTERM');
    expect(pending.takeOver(ended)).toBe(ended);
  });

  it('is put aside at the end of a pause if it is a restart, and otherwise kept', () => {
    const pending = created();
    pending.put(softRestart('ping-restart'));
    pending.dropRestart();
    expect(pending.isSet).toBe(false);
    pending.put(hardSignal('SIGHUP'));
    pending.dropRestart();
    expect(pending.take()?.name).toBe('SIGHUP');
  });
});

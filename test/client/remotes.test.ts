import { describe, expect, it } from 'vitest';
import {
  createRemotes,
  type RemoteAddress,
  type Remotes,
  type RestartAdvice,
  shuffled,
} from '../../src/client/remotes.ts';
import { profile } from './profiles.ts';

const address = (last: number): RemoteAddress => ({ family: 4, address: Uint8Array.of(192, 0, 2, last) });
const onward: RestartAdvice = { advance: 'default', resolveAgain: false, pauseSeconds: 0 };

function remotesOf(names: readonly string[], change: Partial<Parameters<typeof createRemotes>[0]> = {}): Remotes {
  return createRemotes({
    profiles: names.map((name) => profile(name)),
    retryMax: undefined,
    persistRemoteIp: false,
    retryNoInteract: false,
    ...change,
  });
}

/** The remote tried next, as `name` or `name/last byte of its known address`. */
function tried(remotes: Remotes): string {
  const step = remotes.next();
  if (step.kind === 'exhausted') return step.text;
  const last = step.address?.address.at(-1);
  return last === undefined ? `${step.profile.remote}` : `${step.profile.remote}/${last}`;
}

describe('the walk over the remotes', () => {
  it('tries each profile in turn and begins again at the end', () => {
    const remotes = remotesOf(['a', 'b']);
    const walk = [];
    for (let i = 0; i < 5; i += 1) {
      walk.push(tried(remotes));
      remotes.ended(onward);
    }
    expect(walk).toEqual(['a', 'b', 'a', 'b', 'a']);
  });

  it('tries every address of a name before the next profile', () => {
    const remotes = remotesOf(['a', 'b']);
    expect(tried(remotes)).toBe('a');
    expect(remotes.resolved([address(1), address(2)])).toEqual(address(1));
    remotes.ended(onward);
    expect(tried(remotes)).toBe('a/2');
    remotes.ended(onward);
    expect(tried(remotes)).toBe('b');
  });

  it('stays at the remote that worked once, then goes on', () => {
    const remotes = remotesOf(['a', 'b']);
    tried(remotes);
    remotes.resolved([address(1)]);
    remotes.succeeded();
    remotes.ended(onward);
    expect(tried(remotes)).toBe('a/1');
    remotes.ended(onward);
    expect(tried(remotes)).toBe('b');
  });

  it('looks the name up again after a restart by the user', () => {
    const remotes = remotesOf(['a']);
    tried(remotes);
    remotes.resolved([address(1)]);
    remotes.succeeded();
    remotes.ended({ ...onward, resolveAgain: true });
    expect(tried(remotes)).toBe('a');
  });

  it('keeps the address under persist-remote-ip', () => {
    const remotes = remotesOf(['a'], { persistRemoteIp: true });
    tried(remotes);
    remotes.resolved([address(1)]);
    remotes.succeeded();
    remotes.ended({ ...onward, resolveAgain: true });
    expect(tried(remotes)).toBe('a/1');
  });

  it('goes to the next profile where the server says so, past other addresses', () => {
    const remotes = remotesOf(['a', 'b']);
    tried(remotes);
    remotes.resolved([address(1), address(2)]);
    remotes.succeeded();
    remotes.ended({ ...onward, advance: 'remote' });
    expect(tried(remotes)).toBe('b');
  });

  it('stays where it is told to stay', () => {
    const remotes = remotesOf(['a', 'b']);
    tried(remotes);
    remotes.resolved([address(1)]);
    remotes.ended({ ...onward, advance: 'stay' });
    expect(tried(remotes)).toBe('a/1');
  });

  it('gives up after connect-retry-max rounds, in the words of the C program', () => {
    const remotes = remotesOf(['a', 'b'], { retryMax: 2 });
    const walk = [];
    for (let i = 0; i < 5; i += 1) {
      walk.push(tried(remotes));
      remotes.ended(onward);
    }
    expect(walk).toEqual([
      'a',
      'b',
      'a',
      'b',
      'All connections have been connect-retry-max (2) times unsuccessful, exiting',
    ]);
  });

  it('begins to count tries anew after a success', () => {
    const remotes = remotesOf(['a'], { retryMax: 2 });
    tried(remotes);
    remotes.ended(onward);
    tried(remotes);
    remotes.succeeded();
    remotes.ended(onward);
    expect(tried(remotes)).toBe('a');
    remotes.ended(onward);
    expect(tried(remotes)).toBe('a');
  });
});

describe('the pause before the next attempt', () => {
  it('is one second for five tries, then doubles up to the limit', () => {
    const remotes = createRemotes({
      profiles: [profile('a', { connectRetryMaxSeconds: 20 })],
      retryMax: undefined,
      persistRemoteIp: false,
      retryNoInteract: false,
    });
    const pauses = [];
    for (let i = 0; i < 11; i += 1) {
      remotes.next();
      remotes.ended(onward);
      pauses.push(remotes.pauseSeconds());
    }
    expect(pauses).toEqual([1, 1, 1, 1, 2, 4, 8, 16, 20, 20, 20]);
  });

  it('is at least what the server asked for, once', () => {
    const remotes = remotesOf(['a']);
    remotes.next();
    remotes.ended({ ...onward, pauseSeconds: 7 });
    expect(remotes.pauseSeconds()).toBe(7);
    expect(remotes.pauseSeconds()).toBe(1);
  });

  it('is none after a server poll timeout', () => {
    const remotes = remotesOf(['a']);
    remotes.next();
    remotes.ended({ ...onward, pauseSeconds: -1 });
    expect(remotes.pauseSeconds()).toBe(0);
  });

  it('is ten seconds with auth-retry nointeract', () => {
    const remotes = remotesOf(['a'], { retryNoInteract: true });
    remotes.next();
    remotes.ended(onward);
    expect(remotes.pauseSeconds()).toBe(10);
  });
});

describe('remote-random', () => {
  it('keeps every remote and can reach every order', () => {
    const orders = new Set<string>();
    for (let seed = 0; seed < 6; seed += 1) {
      const draws = [seed % 3, Math.floor(seed / 3)];
      orders.add(shuffled(['a', 'b', 'c'], () => draws.shift() ?? 0).join(''));
    }
    expect(orders.size).toBe(6);
    for (const order of orders) expect([...order].sort().join('')).toBe('abc');
  });
});

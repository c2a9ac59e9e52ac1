import { describe, expect, it } from 'vitest';
import { NetworkWatch, type Watched } from '../../src/client/network-watch.ts';
import { VirtualClock } from '../lab/virtual-clock.ts';

const HOP = { family: 4, address: Uint8Array.of(198, 51, 100, 1), port: 1194, scopeId: 0 } as const;

/** A watch over a connection in memory, whose network a test changes. */
function bench(options: { stream?: boolean } = {}) {
  const clock = new VirtualClock();
  const log: string[] = [];
  const done: string[] = [];
  const state = { way: 'eth0' as string | undefined, slept: 0, lookups: 0, received: 0, refused: false };
  let changed = (): void => {};
  let watching = false;
  const watch = new NetworkWatch(
    {
      clock,
      log: (_flags, text) => log.push(text),
      host: {
        follow: () => {
          state.lookups++;
          return state.way;
        },
      },
      network: {
        watch: (callback) => {
          changed = callback;
          watching = true;
          return () => {
            watching = false;
          };
        },
        sleptMs: () => state.slept,
        rebind: () => {},
      },
    },
    () => done.push('reconnect'),
  );
  const watched: Watched = {
    hop: HOP,
    stream: options.stream ?? false,
    isUp: true,
    rebind: () => {
      if (state.refused) throw new Error('no route');
      done.push('rebind');
    },
    ask: () => done.push('ask'),
    lastReceivedMs: () => state.received,
  };
  watch.start();
  watch.attach(watched);
  state.lookups = 0;
  const runFor = (ms: number): void => {
    const endMs = clock.nowMs + ms;
    while (clock.step(endMs));
    clock.nowMs = endMs;
  };
  return { clock, log, done, state, watch, runFor, changed: () => changed(), isWatching: () => watching };
}

describe('the watch over the network', () => {
  it('looks once for a shower of changes, and does nothing where the way is as it was', () => {
    const { changed, done, state, runFor, log } = bench();
    for (let i = 0; i < 1000; i++) changed();
    runFor(10_000);
    expect([state.lookups, done, log]).toEqual([1, [], []]);
  });

  it('moves the socket, asks the server, and goes on where it answers', () => {
    const { changed, done, state, runFor, clock, log } = bench();
    state.way = 'wlan0';
    changed();
    runFor(300);
    expect(done).toEqual(['rebind', 'ask']);
    state.received = clock.nowMs;
    runFor(5000);
    expect(done).toEqual(['rebind', 'ask']);
    expect(log.at(-1)).toBe('NOTE: the server has answered, the tunnel goes on');
  });

  it('connects anew where the server does not answer within three seconds', () => {
    const { changed, done, state, runFor } = bench();
    state.way = 'wlan0';
    changed();
    runFor(3000);
    expect(done).toEqual(['rebind', 'ask', 'ask', 'ask', 'reconnect']);
  });

  it('connects a stream anew at once, and a socket that can’t move', () => {
    const stream = bench({ stream: true });
    stream.state.way = 'wlan0';
    stream.changed();
    stream.runFor(300);
    expect(stream.done).toEqual(['reconnect']);
    const refused = bench();
    refused.state.way = 'wlan0';
    refused.state.refused = true;
    refused.changed();
    refused.runFor(300);
    expect(refused.done).toEqual(['reconnect']);
  });

  it('stops asking when the network goes, and says so', () => {
    const { changed, done, state, runFor, log } = bench();
    state.way = 'wlan0';
    changed();
    runFor(300);
    state.way = undefined;
    changed();
    runFor(10_000);
    expect(done).toEqual(['rebind', 'ask']);
    expect(log.at(-1)).toContain('the network is gone, there is no way to 198.51.100.1');
  });

  it('ends a pause between attempts when there is another way', () => {
    const { changed, done, state, runFor, watch } = bench();
    watch.detach();
    changed();
    runFor(300);
    expect(done).toEqual([]);
    state.way = 'wlan0';
    changed();
    runFor(300);
    expect(done).toEqual(['reconnect']);
  });

  it('does nothing after its end', () => {
    const { changed, done, state, runFor, watch, isWatching } = bench();
    state.way = 'wlan0';
    changed();
    watch.close();
    runFor(10_000);
    expect([done, isWatching()]).toEqual([[], false]);
  });
});

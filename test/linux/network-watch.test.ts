import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { createNetworkWatch } from '../../src/linux/network-watch.ts';
import { enterPrivateNetwork, privateNetworkRefusal } from '../lab/private-network.ts';

const refusal = privateNetworkRefusal();

describe('the watch over the host’s network', () => {
  it('has not slept, and gives back everything at its end', () => {
    const watch = createNetworkWatch();
    const before = process.listenerCount('SIGURG');
    const end = watch.watch(() => {});
    expect(process.listenerCount('SIGURG')).toBe(before + 1);
    end();
    expect(process.listenerCount('SIGURG')).toBe(before);
    expect(watch.sleptMs()).toBe(0);
  });

  it.skipIf(refusal !== undefined)('tells of links, addresses and routes', async () => {
    const network = enterPrivateNetwork();
    let heard = (): void => {};
    const end = createNetworkWatch().watch(() => heard());
    try {
      for (const words of ['link set lo up', 'addr add 192.0.2.1/24 dev lo', 'route add 198.51.100.0/24 dev lo']) {
        const told = new Promise<void>((resolve) => {
          heard = resolve;
        });
        execFileSync('ip', words.split(' '));
        await told;
      }
    } finally {
      end();
      network.leave();
    }
  });
});

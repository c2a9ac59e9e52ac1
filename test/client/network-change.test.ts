import { describe, expect, it } from 'vitest';
import { NetworkChange, type NetworkSight } from '../../src/client/network-change.ts';

const WIRED = 'eth0 via 192.0.2.1 from 192.0.2.2';
const RADIO = 'wlan0 via 10.0.0.1 from 10.0.0.2';

type Look = Partial<NetworkSight>;

describe('a change of the network', () => {
  it.each<[string, string | undefined, readonly [Look, string][]]>([
    [
      'is nothing while the way stays',
      WIRED,
      [
        [{}, 'nothing'],
        [{ sleptMs: 1500 }, 'nothing'],
        [{}, 'nothing'],
      ],
    ],
    [
      'moves a session of datagrams',
      WIRED,
      [
        [{ way: RADIO }, 'probe rebind'],
        [{ way: RADIO }, 'nothing'],
      ],
    ],
    [
      'moves it back',
      WIRED,
      [
        [{ way: RADIO }, 'probe rebind'],
        [{}, 'probe rebind'],
      ],
    ],
    [
      'connects a stream anew',
      WIRED,
      [
        [{ way: RADIO, stream: true }, 'reconnect'],
        [{ way: RADIO, stream: true }, 'nothing'],
      ],
    ],
    ['begins a handshake anew', WIRED, [[{ way: RADIO, isUp: false }, 'reconnect']]],
    [
      'waits once where there is no way',
      WIRED,
      [
        [{ way: undefined }, 'wait'],
        [{ way: undefined }, 'nothing'],
      ],
    ],
    [
      'asks where the same way is back',
      WIRED,
      [
        [{ way: undefined }, 'wait'],
        [{}, 'probe rebind'],
        [{}, 'nothing'],
      ],
    ],
    [
      'asks over a stream where its way is back',
      WIRED,
      [
        [{ way: undefined }, 'wait'],
        [{ stream: true }, 'probe'],
      ],
    ],
    [
      'moves where another way has come',
      WIRED,
      [
        [{ way: undefined }, 'wait'],
        [{ way: RADIO }, 'probe rebind'],
      ],
    ],
    [
      'lets a handshake go on where its way is back',
      WIRED,
      [
        [{ way: undefined, isUp: false }, 'wait'],
        [{ isUp: false }, 'nothing'],
      ],
    ],
    [
      'lets a handshake go on that began without a way',
      undefined,
      [
        [{ isUp: false }, 'nothing'],
        [{ isUp: false }, 'nothing'],
      ],
    ],
    [
      'asks after a short sleep',
      WIRED,
      [
        [{ sleptMs: 20_000 }, 'probe'],
        [{}, 'nothing'],
      ],
    ],
    [
      'connects anew after a long sleep',
      WIRED,
      [
        [{ sleptMs: 3_600_000 }, 'reconnect'],
        [{}, 'nothing'],
      ],
    ],
    [
      'connects anew after a sleep that ended without a network',
      WIRED,
      [
        [{ sleptMs: 3_600_000, way: undefined }, 'reconnect'],
        [{ way: undefined }, 'nothing'],
      ],
    ],
  ])('%s', (_title, way, looks) => {
    const change = new NetworkChange(way);
    const seen = looks.map(([look]) => {
      const verdict = change.handleSight({ way: WIRED, sleptMs: 0, stream: false, isUp: true, ...look });
      return verdict.action === 'probe' && verdict.rebind ? 'probe rebind' : verdict.action;
    });
    expect(seen).toEqual(looks.map(([, expected]) => expected));
  });
});

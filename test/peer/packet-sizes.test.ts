import { describe, expect, it } from 'vitest';
import type { PeerSettings } from '../../src/data/plane.ts';
import { type PacketShape, PacketSizes } from '../../src/peer/packet-sizes.ts';
import { profile } from '../client/profiles.ts';
import { VirtualClock } from '../lab/virtual-clock.ts';

const KEY = {
  type: 'data-key',
  handle: 1,
  keyId: 0,
  cipher: 'AES-256-GCM',
  format: undefined,
  digest: 'none',
  material: {
    seal: { cipher: new Uint8Array(), hmac: new Uint8Array() },
    open: { cipher: new Uint8Array(), hmac: new Uint8Array() },
  },
  madeSeconds: 0,
  limitBytes: 0,
  limitPackets: 0,
  limitBlocks: undefined,
  first: true,
} as const;

const SHAPE: PacketShape = { outerFamily: 4, peerId: true, compression: 'none', tunMtuBytes: undefined };
/** IP, TCP, and what an AES-GCM packet has beside the inner one with a peer-id. */
const IPV4_HEADERS = 40;
const OUTER_AND_OVERHEAD = 28 + 24;

function sized(change: Parameters<typeof profile>[1] = {}, shape: Partial<PacketShape> = {}) {
  const told: Partial<PeerSettings>[] = [];
  const log: string[] = [];
  const current = { shape: { ...SHAPE, ...shape } };
  const sizes = new PacketSizes(
    7,
    profile('198.51.100.1', change),
    {
      plane: {
        setPeer: (peer, settings) => {
          expect(peer).toBe(7);
          told.push(settings);
        },
        peerStatistics: () => {
          throw new Error('nobody measures');
        },
        sendInBand: () => {},
      },
      clock: new VirtualClock(),
      log: (_flags, text) => log.push(text),
    },
    () => current.shape,
  );
  return { sizes, told, log, current };
}

describe('the packets of a peer', () => {
  it('have no size before there is a key', () => {
    const { sizes, told } = sized();
    sizes.clampMss();
    expect(told).toEqual([]);
    expect(sizes.cipher).toBeUndefined();
  });

  it('leave room for what the cipher adds', () => {
    const { sizes, told } = sized();
    sizes.keyed(KEY);
    expect(told).toEqual([{ mssBytes4: 1492 - OUTER_AND_OVERHEAD - IPV4_HEADERS, mssBytes6: expect.any(Number) }]);
    expect(sizes.cipher).toBe('AES-256-GCM');
  });

  it('fit a pushed tun-mtu that is smaller, from when it is in force', () => {
    const { sizes, told, current } = sized();
    sizes.keyed(KEY);
    current.shape = { ...SHAPE, tunMtuBytes: 1280 };
    sizes.clampMss();
    expect(told.at(-1)).toEqual({ mssBytes4: 1280 - 40, mssBytes6: 1280 - 60 });
  });

  it('fit a path, in parts and whole, and whatever came before stays when the path is wider again', () => {
    const { sizes, told, log } = sized({ fragment: { bytes: 1400, mtuMode: true } });
    sizes.keyed(KEY);
    told.length = 0;
    sizes.fitPath(1300);
    expect(told).toEqual([
      { fragmentBytes: 1300 - 28 },
      { mssBytes4: expect.any(Number), mssBytes6: expect.any(Number) },
    ]);
    expect(log).toHaveLength(2);
    sizes.fitPath(1350);
    expect(told).toHaveLength(2);
  });

  it('fit a path that was known before the key', () => {
    const { sizes, told } = sized();
    sizes.fitPath(1300);
    expect(told).toEqual([{ fragmentBytes: 0 }]);
    sizes.keyed(KEY);
    expect(told.at(-1)).toMatchObject({ mssBytes4: 1300 - OUTER_AND_OVERHEAD - IPV4_HEADERS });
  });
});

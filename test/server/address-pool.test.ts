import { describe, expect, it } from 'vitest';
import { type AddressPool, makeAddressPool, type PoolShape } from '../../src/server/address-pool.ts';

function poolOf(shape: Partial<PoolShape>): AddressPool {
  const made = makeAddressPool({ pool4: undefined, pool6: undefined, blocks: false, duplicateCn: false, ...shape });
  if ('problem' in made) throw new Error(made.problem);
  return made.pool;
}

const small = { pool4: { first: '10.8.0.2', last: '10.8.0.4' } };

describe('an address pool', () => {
  // The addresses that OpenVPN 2.7.8 gives its first and second client.
  it.each([
    ['subnet', { first: '10.8.0.2', last: '10.8.0.254' }, false, 253, ['10.8.0.2', undefined], ['10.8.0.3', undefined]],
    ['p2p', { first: '10.8.0.4', last: '10.8.0.251' }, false, 248, ['10.8.0.4', undefined], ['10.8.0.5', undefined]],
    ['net30', { first: '10.8.0.4', last: '10.8.0.251' }, true, 62, ['10.8.0.6', '10.8.0.5'], ['10.8.0.10', '10.8.0.9']],
  ] as const)('gives the addresses of %s', (_, pool4, blocks, size, one, two) => {
    const pool = poolOf({ pool4, blocks });
    expect(pool.size).toBe(size);
    for (const [name, expected] of [
      ['a', one],
      ['b', two],
    ] as const) {
      const lease = pool.acquire(name);
      expect([lease?.address4, lease?.serverAddress4]).toEqual(expected);
    }
  });

  it.each([
    ['fd00:8::1000', 64, 65_536, 'fd00:8::1000', 'fd00:8::1001'],
    ['fd00:8::', 64, 65_536, 'fd00:8::1', 'fd00:8::2'],
    ['fd00:8::ffff', 64, 65_536, 'fd00:8::ffff', 'fd00:8::1:0'],
    ['fd00:8::ffff:ffff', 64, 65_536, 'fd00:8::ffff:ffff', 'fd00:8::1:0:0'],
    ['fd00:8::2', 120, 254, 'fd00:8::2', 'fd00:8::3'],
    ['fd00:8::1:0', 112, 65_535, 'fd00:8::1:1', 'fd00:8::1:2'],
    ['fd00:8::7c', 124, 4, 'fd00:8::7c', 'fd00:8::7d'],
  ] as const)('of IPv6 alone from %s/%i has %i slots', (first, prefixLength, size, one, two) => {
    const pool = poolOf({ pool6: { first, prefixLength } });
    expect(pool.size).toBe(size);
    expect([pool.acquire('a')?.address6, pool.acquire('b')?.address6]).toEqual([one, two]);
    expect(pool.lease(0).address4).toBeUndefined();
  });

  it('ties the IPv6 address to the IPv4 slot, blocks of four as well', () => {
    const pool6 = { first: 'fd00:8::1000', prefixLength: 64 };
    const pool = poolOf({ pool4: { first: '10.8.0.4', last: '10.8.0.251' }, pool6, blocks: true });
    expect([pool.acquire('a'), pool.acquire('b')]).toEqual([
      { slot: 0, address4: '10.8.0.6', serverAddress4: '10.8.0.5', address6: 'fd00:8::1000' },
      { slot: 1, address4: '10.8.0.10', serverAddress4: '10.8.0.9', address6: 'fd00:8::1001' },
    ]);
  });

  it.each([
    ['a smaller IPv6 pool', '10.8.0.2', '10.8.0.254', 124, 14, /^WARNING: IPv4 pool size is 253, IPv6 pool size is 14/],
    ['a smaller IPv4 pool', '10.8.0.2', '10.8.0.9', 64, 8, /^NOTE: IPv4 pool size is 8, IPv6 pool size is 65536/],
  ] as const)('is as large as the smaller of both: %s', (_, first, last, prefixLength, size, note) => {
    const made = makeAddressPool({
      pool4: { first, last },
      pool6: { first: 'fd00:8::2', prefixLength },
      blocks: false,
      duplicateCn: false,
    });
    if ('problem' in made) throw new Error(made.problem);
    expect(made.pool.size).toBe(size);
    expect(made.notes).toEqual([expect.stringMatching(note)]);
    expect(made.sizes[0]).toMatch(/^IFCONFIG POOL IPv4: base=10\.8\.0\.2 size=\d+$/);
    expect(made.sizes[1]).toMatch(new RegExp(`^IFCONFIG POOL IPv6: base=fd00:8::2 size=\\d+ netbits=${prefixLength}$`));
  });

  it.each([
    [
      'one address',
      { pool4: { first: '10.8.0.2', last: '10.8.0.2' } },
      'IPv4 pool size is too small (1), must be at least 2',
    ],
    ['the wrong order', { pool4: { first: '10.8.0.9', last: '10.8.0.2' } }, /start IP \[10\.8\.0\.9\] is greater/],
    ['too many', { pool4: { first: '10.0.0.0', last: '10.1.0.0' } }, /address range is too large/],
    ['no address', { pool4: { first: 'x', last: '10.1.0.0' } }, /start IP \[x\]/],
    ['one IPv6 address', { pool6: { first: 'fd00::ff', prefixLength: 120 } }, /IPv6 pool size is too small \(1\)/],
    ['no IPv6 address', { pool6: { first: '10.8.0.1', prefixLength: 120 } }, /cannot start at 10\.8\.0\.1/],
    ['nothing', {}, /IPv4 or IPv6/],
  ])('cannot be made of %s', (_, shape, problem) => {
    const made = makeAddressPool({ pool4: undefined, pool6: undefined, blocks: false, duplicateCn: false, ...shape });
    expect('problem' in made ? made.problem : '').toMatch(problem);
  });

  it('gives a client the slot that it had before', () => {
    const pool = poolOf(small);
    pool.acquire('a');
    const b = pool.acquire('b');
    pool.release(1, 100);
    expect(pool.acquire('b')).toEqual(b);
  });

  it('does not give a name the slot that its other session has', () => {
    const pool = poolOf(small);
    expect([pool.acquire('a')?.slot, pool.acquire('a')?.slot]).toEqual([0, 1]);
  });

  it('gives a stranger a slot that nobody had, then the one that has been free for longest', () => {
    const pool = poolOf(small);
    pool.acquire('a');
    pool.acquire('b');
    pool.release(0, 200);
    pool.release(1, 100);
    expect([pool.acquire('c')?.slot, pool.acquire('d')?.slot, pool.acquire('e')?.slot]).toEqual([2, 1, 0]);
    expect(pool.acquire('f')).toBeUndefined();
  });

  it('forgets whose a slot was when the name gets another address', () => {
    const pool = poolOf(small);
    pool.acquire('a');
    pool.forget(0);
    expect(pool.records()).toEqual([]);
    expect(pool.acquire('b')?.slot).toBe(0);
  });

  it('under duplicate-cn gives the first free slot and remembers nobody', () => {
    const pool = poolOf({ ...small, duplicateCn: true });
    pool.acquire('a');
    pool.acquire('a');
    pool.release(0, 100);
    expect(pool.acquire('b')?.slot).toBe(0);
    expect(pool.records()).toEqual([]);
  });

  it('keeps a name’s slot from the file, and a fixed one from everybody else', () => {
    const pool = poolOf(small);
    pool.remember(0, 'fixed', true, 50);
    pool.remember(2, 'known', false, 50);
    expect([pool.acquire('x')?.slot, pool.acquire('y')?.slot, pool.acquire('z')]).toEqual([1, 2, undefined]);
    expect(pool.acquire('fixed')?.slot).toBe(0);
    pool.release(0, 60);
    expect(pool.acquire('x')).toBeUndefined();
    pool.remember(99, 'out', false, 50);
    pool.release(99, 50);
    expect(pool.records().map(({ name }) => name)).toEqual(['fixed', 'x', 'y']);
  });

  it.each([
    ['10.8.0.4', 0],
    ['10.8.0.7', 0],
    ['10.8.0.8', 1],
    ['10.8.0.3', undefined],
    ['10.8.0.252', undefined],
    ['fd00:8::1001', 1],
    ['fd00:8::fff', undefined],
    ['fd00:9::1001', undefined],
    ['name', undefined],
  ])('knows the slot of %s', (address, slot) => {
    const pool6 = { first: 'fd00:8::1000', prefixLength: 64 };
    const pool = poolOf({ pool4: { first: '10.8.0.4', last: '10.8.0.251' }, pool6, blocks: true });
    expect(pool.slotOf(address)).toBe(slot);
  });

  it('records a block by its first address', () => {
    const pool = poolOf({ pool4: { first: '10.8.0.4', last: '10.8.0.251' }, blocks: true });
    pool.acquire('a');
    expect(pool.records()).toEqual([{ name: 'a', slot: 0, address4: '10.8.0.4', address6: undefined }]);
  });
});

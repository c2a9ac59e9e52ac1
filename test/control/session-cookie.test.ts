import { describe, expect, it } from 'vitest';
import { SessionCookie } from '../../src/control/session-cookie.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { mapSocketAddress, type SocketAddress, socketAddress } from '../../src/ip/socket-address.ts';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';

const crypto = createNodeCrypto();
const secret = new Uint8Array(32).fill(7);
const address = (text: string, port = 1194, scope = 0): SocketAddress =>
  socketAddress(parseAddress(text) as Uint8Array, port, scope);

const cookie = new SessionCookie({ crypto, secret, handWindowSeconds: 60 });
const source = address('192.0.2.1');
const client = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
/** The first second of a slot of 30. */
const start = 1_800_000_000;

describe('the cookie in a session id', () => {
  const id = cookie.make(source, client, start);

  it('has eight bytes and is right for the address and client it was made for', () => {
    expect(id.length).toBe(8);
    expect(cookie.check(id, source, client, start)).toBe(true);
    expect(cookie.make(source, client, start + 29)).toEqual(id);
    expect(cookie.make(source, client, start + 30)).not.toEqual(id);
  });

  it.each([
    ['another address', address('192.0.2.2')],
    ['another port', address('192.0.2.1', 1195)],
    ['another family', mapSocketAddress(source)],
  ])('is wrong from %s', (_, other) => {
    expect(cookie.check(id, other, client, start)).toBe(false);
  });

  it('is wrong from another link of the same IPv6 address', () => {
    const here = cookie.make(address('fe80::1', 1194, 2), client, start);
    expect(cookie.check(here, address('fe80::1', 1194, 2), client, start)).toBe(true);
    expect(cookie.check(here, address('fe80::1', 1194, 3), client, start)).toBe(false);
  });

  it('is wrong for every other session id of the client', () => {
    for (let bit = 0; bit < 64; bit++) {
      const other = client.slice();
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(cookie.check(id, source, other, start)).toBe(false);
    }
  });

  it('is wrong with any bit flipped, and with any other length', () => {
    for (let bit = 0; bit < 64; bit++) {
      const flipped = id.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(cookie.check(flipped, source, client, start)).toBe(false);
    }
    for (let length = 0; length < 8; length++) {
      expect(cookie.check(id.subarray(0, length), source, client, start)).toBe(false);
    }
    expect(cookie.check(new Uint8Array(8), source, client, start)).toBe(false);
  });

  it('is wrong under another secret', () => {
    const restarted = new SessionCookie({ crypto, secret: new Uint8Array(32), handWindowSeconds: 60 });
    expect(restarted.check(id, source, client, start)).toBe(false);
  });

  it.each([
    [-1, false],
    [0, true],
    [30, true],
    [60, true],
    [89, true],
    [90, false],
    [10_000, false],
  ])('made at the start of a slot and checked %i s later is right: %s', (seconds, right) => {
    expect(cookie.check(id, source, client, start + seconds)).toBe(right);
  });

  it.each([
    [1, 1],
    [2, 1],
    [60, 30],
    [61, 31],
    [0, 1],
  ])('with a hand-window of %i s lives in slots of %i s', (handWindowSeconds, slotSeconds) => {
    const short = new SessionCookie({ crypto, secret, handWindowSeconds });
    const from = slotSeconds * 1_000_000;
    const made = short.make(source, client, from);
    expect(short.check(made, source, client, from + 3 * slotSeconds - 1)).toBe(true);
    expect(short.check(made, source, client, from + 3 * slotSeconds)).toBe(false);
  });

  it('compares in the library, all slots of every check, right or wrong', () => {
    let compared = 0;
    const equal = (a: Uint8Array, b: Uint8Array) => {
      compared++;
      return crypto.equal(a, b);
    };
    const counting = { ...crypto, equal };
    const watched = new SessionCookie({ crypto: counting, secret, handWindowSeconds: 60 });
    watched.check(id, source, client, start);
    watched.check(client, source, client, start);
    expect(compared).toBe(6);
  });

  it('copies its secret, and wipes the copy', () => {
    const mine = secret.slice();
    const copied = new SessionCookie({ crypto, secret: mine, handWindowSeconds: 60 });
    mine.fill(0);
    expect(copied.make(source, client, start)).toEqual(id);
    copied.close();
    expect(copied.make(source, client, start)).not.toEqual(id);
  });
});

import { describe, expect, it } from 'vitest';
import type { PacketCrypto } from '../../src/crypto/provider.ts';
import { createArena } from '../../src/data/arena.ts';
import { isAeadCipher } from '../../src/data/data-key.ts';
import { selfTestArenaBytes, testCipher } from '../../src/data/self-test.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import { FarKey } from '../conformance/far-peer.ts';

const MAX = 200;
const rig = () => createNodePacketCrypto(createArena(selfTestArenaBytes(MAX)));

function test(crypto: PacketCrypto, cipher = 'AES-256-GCM', digest = 'SHA256', lengths: number[] = []) {
  const { material } = new FarKey({ cipher, digest, peerId: 0 }).keyOptions;
  const both = { seal: material.seal, open: material.seal };
  const first = { cipher: Uint8Array.from({ length: 32 }, (_, at) => at), hmac: new Uint8Array(0) };
  const epoch = isAeadCipher(cipher) ? { seal: first, open: first } : undefined;
  const onLength = (at: number) => lengths.push(at);
  return testCipher(crypto, { cipher, digest, material: both, epoch, maxBytes: MAX, onLength });
}

describe('the test of a cipher', () => {
  it.each([
    ['AES-128-GCM', 'SHA256'],
    ['CHACHA20-POLY1305', 'SHA256'],
    ['AES-256-CBC', 'SHA512'],
    ['AES-256-CBC', 'none'],
    ['AES-256-CFB', 'SHA256'],
    ['CAMELLIA-192-OFB', 'none'],
    ['ARIA-256-GCM', 'none'],
    ['none', 'SHA1'],
    ['none', 'none'],
  ])('seals and opens packets of every length: %s %s', (cipher, digest) => {
    const lengths: number[] = [];
    expect(test(rig(), cipher, digest, lengths)).toBeUndefined();
    expect(lengths).toEqual(Array.from({ length: MAX }, (_, index) => index + 1));
  });

  it('sees that packets of the epoch format do not come back', () => {
    const crypto = rig();
    // The tag of an epoch packet is at its end.
    const broken: PacketCrypto = {
      ...crypto,
      aeadKey(cipher, direction, key) {
        const inner = crypto.aeadKey(cipher, direction, key);
        return { ...inner, open: (...at) => at[5] < at[3] && inner.open(...at) };
      },
    };
    expect(test(broken)).toBe('SELF TEST FAILED, not opened, src.len=1');
  });

  it('sees a packet that comes back changed', () => {
    const crypto = rig();
    const broken: PacketCrypto = {
      ...crypto,
      aeadKey(cipher, direction, key) {
        const inner = crypto.aeadKey(cipher, direction, key);
        return {
          ...inner,
          open(nonce, associated, associatedLength, text, length, tag) {
            const ok = inner.open(nonce, associated, associatedLength, text, length, tag);
            if (length === 33) crypto.arena.bytes[text + 4]! ^= 0x10;
            return ok;
          },
        };
      },
    };
    expect(test(broken)).toMatch(/^SELF TEST FAILED, pos=4 in=\d+ out=\d+$/);
  });

  it('sees a packet that comes back with another length', () => {
    const crypto = rig();
    const broken: PacketCrypto = {
      ...crypto,
      cbcKey(cipher, direction, key) {
        const inner = crypto.cbcKey(cipher, direction, key);
        return { ...inner, decrypt: (iv, text, length) => inner.decrypt(iv, text, length) - 1 };
      },
    };
    expect(test(broken, 'AES-256-CBC')).toBe('SELF TEST FAILED, src.len=1 buf.len=0');
  });

  it('sees a cipher that takes whatever it is given', () => {
    const crypto = rig();
    const broken: PacketCrypto = {
      ...crypto,
      aeadKey: (cipher, direction, key) => ({
        ...crypto.aeadKey(cipher, direction, key),
        seal: () => {},
        open: () => true,
      }),
    };
    expect(test(broken)).toBe('SELF TEST FAILED, a changed packet was taken, src.len=1');
  });

  it('sees a cipher that refuses its own packets', () => {
    const crypto = rig();
    const broken: PacketCrypto = {
      ...crypto,
      aeadKey: (cipher, direction, key) => ({ ...crypto.aeadKey(cipher, direction, key), open: () => false }),
    };
    expect(test(broken)).toBe('SELF TEST FAILED, not opened, src.len=1');
  });
});

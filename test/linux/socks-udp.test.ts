import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPackedAddress, writePackedAddress } from '../../src/ip/packed-address.ts';
import { socketAddress } from '../../src/ip/socket-address.ts';
import { parseSocksHeader, writeSocksHeader } from '../../src/linux/socks-udp.ts';

const ADDRESS = 32;
const FOUND = 64;
const PACKET = 128;

describe('the header of a SOCKS relay', () => {
  it('has the layout of RFC 1928', () => {
    const view = new DataView(new ArrayBuffer(256));
    writePackedAddress(view, ADDRESS, socketAddress(Uint8Array.of(192, 0, 2, 1), 0x04aa));
    expect(writeSocksHeader(view, ADDRESS, PACKET)).toBe(10);
    expect([...new Uint8Array(view.buffer, PACKET - 10, 10)]).toEqual([0, 0, 0, 1, 192, 0, 2, 1, 0x04, 0xaa]);
  });

  it('is read back as it was written, for both families', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })),
        fc.nat(65_535),
        fc.nat(60),
        (address, port, length) => {
          const view = new DataView(new ArrayBuffer(256));
          const socket = socketAddress(address, port);
          writePackedAddress(view, ADDRESS, socket);
          const header = writeSocksHeader(view, ADDRESS, PACKET);
          const span = { offset: PACKET - header, length: header + length };
          expect(parseSocksHeader(view, span, FOUND)).toBe(true);
          expect(span).toEqual({ offset: PACKET, length });
          expect(readPackedAddress(view, FOUND)).toEqual(socket);
        },
      ),
    );
  });

  it.each([
    ['shorter than any header', [0, 0, 0, 1, 192, 0, 2, 1, 4]],
    ['cut in an IPv6 address', [0, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8]],
    ['a fragment', [0, 0, 1, 1, 192, 0, 2, 1, 4, 5]],
    ['of a name', [0, 0, 0, 3, 4, 116, 101, 115, 116, 0, 80]],
  ])('is refused when it is %s', (_, bytes) => {
    const view = new DataView(new ArrayBuffer(256));
    new Uint8Array(view.buffer).set(bytes, PACKET);
    expect(parseSocksHeader(view, { offset: PACKET, length: bytes.length }, FOUND)).toBe(false);
  });
});

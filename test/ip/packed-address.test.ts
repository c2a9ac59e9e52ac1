import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/ip/address.ts';
import {
  copyPackedAddress,
  hashPackedAddress,
  PACKED_ADDRESS_BYTES,
  readPackedAddress,
  samePackedAddress,
  writePackedAddress,
} from '../../src/ip/packed-address.ts';
import { type SocketAddress, socketAddress } from '../../src/ip/socket-address.ts';

const at = (text: string, local?: string, interfaceIndex = 0): SocketAddress => ({
  ...socketAddress(parseAddress(text)!, 1194),
  ...(local === undefined ? {} : { local: { address: parseAddress(local)!, interfaceIndex } }),
});
const [A, B] = [64, 64 + PACKED_ADDRESS_BYTES];

describe('a packed address', () => {
  const view = new DataView(new ArrayBuffer(256));

  it.each([
    ['IPv4', at('192.0.2.1')],
    ['IPv6', at('fd00::1')],
    ['IPv4 with a local end', at('192.0.2.1', '198.51.100.1')],
    ['IPv6 with a local end and its interface', at('fe80::1', 'fe80::2', 7)],
  ])('of %s comes back as it was, whatever stood there', (_title, address) => {
    for (let index = 0; index < view.byteLength; index++) view.setUint8(index, 0xff);
    writePackedAddress(view, A, address);
    expect(readPackedAddress(view, A)).toStrictEqual(address);
    copyPackedAddress(view, A, B);
    expect(readPackedAddress(view, B)).toStrictEqual(address);
  });

  it('is the same whatever its local end, and another with another port', () => {
    writePackedAddress(view, A, at('192.0.2.1', '198.51.100.1'));
    writePackedAddress(view, B, at('192.0.2.1', '198.51.100.2', 3));
    expect(samePackedAddress(view, A, B)).toBe(true);
    expect(hashPackedAddress(view, A)).toBe(hashPackedAddress(view, B));
    view.setUint16(B + 2, 1195);
    expect(samePackedAddress(view, A, B)).toBe(false);
  });
});

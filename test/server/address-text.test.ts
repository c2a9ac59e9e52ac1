import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/ip/address.ts';
import { socketAddress } from '../../src/ip/socket-address.ts';
import { addressText, statusAddressText } from '../../src/server/address-text.ts';

const at = (text: string) => socketAddress(parseAddress(text) ?? new Uint8Array(4), 40_000);

describe('the address of a client', () => {
  it.each([
    ['udp', '192.0.2.2', 'udp4:192.0.2.2:40000'],
    ['tcp', '192.0.2.2', 'tcp4-server:192.0.2.2:40000'],
    ['udp', 'fd00::2', 'udp6:[fd00::2]:40000'],
    ['tcp', 'fd00::2', 'tcp6-server:[fd00::2]:40000'],
    ['udp', '::ffff:192.0.2.2', 'udp6:192.0.2.2:40000'],
    ['tcp', '::ffff:192.0.2.2', 'tcp6-server:192.0.2.2:40000'],
  ] as const)('over %s from %s is in the status as OpenVPN 2.7 writes it', (transport, address, text) => {
    expect(statusAddressText(transport, at(address))).toBe(text);
  });

  it.each([
    ['192.0.2.2', '192.0.2.2:40000'],
    ['::ffff:192.0.2.2', '192.0.2.2:40000'],
    ['fd00::2', 'fd00::2:40000'],
  ])('%s begins lines of the log as %s', (address, text) => {
    expect(addressText(at(address))).toBe(text);
  });
});

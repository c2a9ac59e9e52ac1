import { describe, expect, it } from 'vitest';
import { NO_CLIENT_OPTIONS } from '../../src/config/server-options.ts';
import { chooseAddresses, needsLease, type ServerEnd, satisfiesConstraint } from '../../src/server/client-addresses.ts';

const server: ServerEnd = {
  topology: 'subnet',
  local4: '10.8.0.1',
  netmask: '255.255.255.0',
  local6: 'fd00:8::1',
  prefixLength6: 64,
};
const lease = { slot: 0, address4: '10.8.0.6', serverAddress4: '10.8.0.5', address6: 'fd00:8::1000' };
const none = NO_CLIENT_OPTIONS;
const fixed4 = { local: '10.8.0.77', remoteOrNetmask: '255.255.255.0', alias: undefined };
const v6 = { local: 'fd00:8::1000', prefixLength: 64, remote: 'fd00:8::1' };

describe('a client’s addresses', () => {
  it.each([
    ['subnet', '255.255.255.0'],
    ['p2p', '10.8.0.1'],
    ['net30', '10.8.0.5'],
  ] as const)('under %s go with %s', (topology, remoteOrNetmask) => {
    const { addresses, notes } = chooseAddresses(none, lease, { ...server, topology }, 'c');
    expect(addresses).toEqual({ v4: { local: '10.8.0.6', pushed: '10.8.0.6', remoteOrNetmask }, v6 });
    expect(notes).toEqual([]);
  });

  it('are static where a file says so, with an IPv6 one of the pool, whose slot the client keeps', () => {
    const client = { ...none, ifconfig: fixed4 };
    expect(needsLease(none, lease)).toBe(true);
    expect(needsLease(client, lease)).toBe(true);
    const { addresses } = chooseAddresses(client, lease, server, 'c');
    expect(addresses.v4).toEqual({ local: '10.8.0.77', pushed: '10.8.0.77', remoteOrNetmask: '255.255.255.0' });
    expect(addresses.v6).toMatchObject({ local: 'fd00:8::1000' });
  });

  it('need no slot of the pool where both are static, or where the pool has IPv4 addresses only', () => {
    const client = { ...none, ifconfig: fixed4 };
    expect(needsLease(client, { ...lease, address6: undefined })).toBe(false);
    expect(needsLease({ ...client, ifconfigIpv6: v6 }, lease)).toBe(false);
  });

  it('can be told to the client under an alias', () => {
    const client = { ...none, ifconfig: { ...fixed4, alias: '203.0.113.7' } };
    expect(chooseAddresses(client, undefined, server, 'c').addresses.v4).toMatchObject({
      local: '10.8.0.77',
      pushed: '203.0.113.7',
    });
  });

  it.each([
    ['its own remote', 'fd00:8::2', 'fd00:8::2'],
    ['the server’s address', undefined, 'fd00:8::1'],
  ])('of IPv6 can be static beside a pool’s IPv4, with %s', (_, remote, expected) => {
    const client = { ...none, ifconfigIpv6: { local: 'fd00:8::77', prefixLength: 112, remote } };
    expect(chooseAddresses(client, lease, server, 'c').addresses).toEqual({
      v4: { local: '10.8.0.6', pushed: '10.8.0.6', remoteOrNetmask: '255.255.255.0' },
      v6: { local: 'fd00:8::77', prefixLength: 112, remote: expected },
    });
  });

  it('are none without a netmask, and the log says so', () => {
    const { addresses, notes } = chooseAddresses(none, lease, { ...server, netmask: undefined }, 'c/1.2.3.4:5');
    expect(addresses.v4).toBeUndefined();
    expect(notes).toEqual(['MULTI: no --ifconfig-pool netmask parameter is available to push to c/1.2.3.4:5']);
  });

  it('are none when the pool is empty', () => {
    expect(chooseAddresses(none, undefined, server, 'c').addresses).toEqual({ v4: undefined, v6: undefined });
  });

  it.each([
    ['10.8.0.77', true],
    ['10.55.0.7', false],
    ['fd00::1', false],
    ['x', false],
  ])('%s keeps to a constraint: %s', (address, expected) => {
    expect(satisfiesConstraint(address, { network: '10.8.0.0', netmask: '255.255.255.0' })).toBe(expected);
    expect(satisfiesConstraint(address, undefined)).toBe(true);
  });
});

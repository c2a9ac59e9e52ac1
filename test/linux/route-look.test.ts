// Questions about routes and rules to the kernel, in a network of the test's own.

import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRouteLook, type RouteLook } from '../../src/linux/route-look.ts';
import { parseRule } from '../../src/linux/rule-messages.ts';
import { enterPrivateNetwork, privateNetworkRefusal } from '../lab/private-network.ts';

const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' });
const lines = (text: string) => text.trim().split('\n');

describe.skipIf(privateNetworkRefusal() !== undefined)('a look at the kernel’s routes', () => {
  let network: { leave(): void };
  let look: RouteLook;

  beforeAll(() => {
    network = enterPrivateNetwork();
    ip('link', 'set', 'lo', 'up');
    for (const line of [
      'link add veth0 type veth peer name veth1',
      'addr add 192.0.2.2/24 dev veth0',
      '-6 addr add 2001:db8:1::2/64 dev veth0 nodad',
      'link set veth0 up',
      'link set veth1 up',
      'route add default via 192.0.2.1 metric 50',
      'route add 10.20.0.0/16 via 192.0.2.9 table 1000',
      'route add unreachable 10.30.0.0/16',
      'route add prohibit 10.31.0.0/16',
      'route add blackhole 10.32.0.0/16',
      '-6 route add unreachable 2000::/4',
      'rule add not fwmark 0xca6c table 1000 priority 100',
      'rule add table main suppress_prefixlength 0 priority 90',
      'rule add from 10.9.0.0/16 to 10.8.0.1 iif veth0 table 77 priority 80',
      'rule add uidrange 1000-2000 fwmark 0x10/0xf0 oif veth1 table 78 priority 70',
      'rule add to 10.40.0.0/16 prohibit priority 60',
    ]) {
      ip(...line.split(' '));
    }
    look = openRouteLook();
  });
  afterAll(() => {
    look.close();
    network.leave();
  });

  it.each([
    [
      '203.0.113.9',
      { kind: 'unicast', device: 'veth0', gateway: '192.0.2.1', source: '192.0.2.2', prefix: '0.0.0.0/0' },
    ],
    ['203.0.113.9', { table: 254, metric: 50 }],
    ['192.0.2.77', { kind: 'unicast', device: 'veth0', gateway: undefined, prefix: '192.0.2.0/24' }],
    ['10.20.0.7', { kind: 'unicast', device: 'veth0', gateway: '192.0.2.9', table: 1000, prefix: '10.20.0.0/16' }],
    ['192.0.2.2', { kind: 'local', device: 'lo', prefix: '192.0.2.2/32' }],
    ['2001:db8:1::5', { kind: 'unicast', device: 'veth0', prefix: '2001:db8:1::/64', table: 254 }],
    ['2001:db8:2::5', { kind: 'unreachable', prefix: '2000::/4', table: 254 }],
    ['10.30.0.1', { kind: 'unreachable', device: undefined, prefix: '10.30.0.0/16', table: 254 }],
    ['10.31.0.1', { kind: 'prohibit' }],
    ['10.32.0.1', { kind: 'blackhole' }],
    ['10.40.0.1', { kind: 'prohibit', prefix: undefined, table: undefined }],
    ['4000::1', { kind: 'none', device: undefined }],
  ])('finds what becomes of %s: %j', (address, expected) => {
    expect(look.route(address)).toMatchObject(expected);
  });

  it('refuses what is no address', () => {
    expect(() => look.route('10.0.0')).toThrow(/Cannot look up the route to 10\.0\.0/);
  });

  it('tells the policy rules in their order, as ip does', () => {
    const rules = look.rules(4);
    expect(rules.map(({ priority }) => priority)).toEqual([0, 60, 70, 80, 90, 100, 32766, 32767]);
    expect(lines(ip('rule')).length).toBe(rules.length);
    const of = (priority: number) => rules.find((each) => each.priority === priority);
    expect(of(60)).toMatchObject({ action: 'prohibit', to: '10.40.0.0/16', inverted: false });
    expect(of(70)).toMatchObject({ users: [1000, 2000], mark: { value: 0x10, mask: 0xf0 }, outputDevice: 'veth1' });
    expect(of(80)).toMatchObject({ from: '10.9.0.0/16', to: '10.8.0.1', inputDevice: 'veth0', table: 77 });
    expect(of(90)).toMatchObject({ action: 'table', table: 254, suppressLength: 0, mark: undefined });
    expect(of(100)).toMatchObject({ mark: { value: 0xca6c, mask: 0xffffffff }, inverted: true, table: 1000 });
    expect(of(32766)).toMatchObject({ table: 254, suppressLength: undefined, from: undefined, more: false });
  });
});

describe('the message of a policy rule', () => {
  it('is read without harm, whatever its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        const rule = parseRule(bytes);
        expect(rule === undefined).toBe(bytes.length < 12);
      }),
      { numRuns: 2000 },
    );
  });

  it('shows no control characters of a device name', () => {
    const bytes = Uint8Array.of(2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0, 9, 0, 3, 0, 0x65, 0x1b, 0x5b, 0x32, 0, 0, 0, 0);
    expect(parseRule(bytes)?.inputDevice).toBe('e?[2');
  });
});

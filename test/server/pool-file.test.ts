import { describe, expect, it } from 'vitest';
import { type AddressPool, makeAddressPool } from '../../src/server/address-pool.ts';
import { readPoolFile, writePoolFile } from '../../src/server/pool-file.ts';

function net30Pool(): AddressPool {
  const made = makeAddressPool({
    pool4: { first: '10.8.0.4', last: '10.8.0.251' },
    pool6: { first: 'fd00:8::1000', prefixLength: 64 },
    blocks: true,
    duplicateCn: false,
  });
  if ('problem' in made) throw new Error(made.problem);
  return made.pool;
}

const slots = (pool: AddressPool): [string, number][] => pool.records().map(({ name, slot }) => [name, slot]);

describe('the file of a pool', () => {
  // The file and the lines of the log are those of OpenVPN 2.7.8 with `topology net30`.
  it('is read as by the C program, with its words', () => {
    const pool = net30Pool();
    const text = 'client,10.8.0.33\nrsa,10.9.9.9\nnobody\n,10.8.0.5\nx,10.8.0.40,fd00:8::1234\n';
    const notes = readPoolFile(text, pool, true, 0);
    expect(notes.map(({ severity, text: said }) => `${severity === 'warning' ? 'W ' : ''}${said}`)).toEqual([
      "ifconfig_pool_read(), in='client,10.8.0.33'",
      'succeeded -> ifconfig_pool_set(hand=7)',
      "ifconfig_pool_read(), in='rsa,10.9.9.9'",
      'W pool: IPv4 (10.9.9.9) out of pool range for CN=rsa',
      "ifconfig_pool_read(), in='nobody'",
      "ifconfig_pool_read(), in=',10.8.0.5'",
      'succeeded -> ifconfig_pool_set(hand=0)',
      "ifconfig_pool_read(), in='x,10.8.0.40,fd00:8::1234'",
      'W pool: IPv6 (fd00:8::1234) out of pool range for CN=x',
      'succeeded -> ifconfig_pool_set(hand=9)',
    ]);
    expect(writePoolFile(pool.records())).toBe(
      ',10.8.0.4,fd00:8::1000\nclient,10.8.0.32,fd00:8::1007\nx,10.8.0.40,fd00:8::1009\n',
    );
    expect(pool.acquire('client')?.address4).toBe('10.8.0.34');
  });

  it('that was written gives every client its address again', () => {
    const before = net30Pool();
    const leases = ['client', 'rsa'].map((name) => before.acquire(name));
    const text = writePoolFile(before.records());
    expect(text).toBe('client,10.8.0.4,fd00:8::1000\nrsa,10.8.0.8,fd00:8::1001\n');
    const after = net30Pool();
    readPoolFile(text, after, false, 0);
    expect(['rsa', 'client'].map((name) => after.acquire(name))).toEqual(leases.reverse());
  });

  it.each([
    ['a comment', '#a,10.8.0.4\n;a,10.8.0.4\n', [], []],
    ['an empty line and carriage returns', '\r\na,10.8.0.4\r\n', [['a', 0]], []],
    ['a last line without its end', 'a,10.8.0.4', [['a', 0]], []],
    ['IPv6 alone', 'a,,fd00:8::1002\n', [['a', 2]], []],
    ['IPv6 in place of a bad IPv4', 'a,10.8.0,fd00:8::1002\n', [['a', 2]], ['pool: invalid IPv4 (10.8.0) for CN=a']],
    [
      'two different slots',
      'a,10.8.0.4,fd00:8::1002\n',
      [['a', 0]],
      ['pool: IPv4 (10.8.0.4) and IPv6 (fd00:8::1002) have different offsets! Relying on IPv4'],
    ],
    ['families at the wrong place', 'a,fd00:8::1002\n', [], ['pool: invalid IPv4 (fd00:8::1002) for CN=a']],
    ['a bad IPv6', 'a,,10.8.0.4\n', [], ['pool: invalid IPv6 (10.8.0.4) for CN=a']],
    ['the same slot twice', 'a,10.8.0.4\nb,10.8.0.5\n', [['b', 0]], []],
    ['a name longer than any', `${'n'.repeat(128)},10.8.0.4\n`, [], []],
    ['bytes that belong in no log', 'a\u0007,10.8.0.\u001b4\n', [], ['pool: invalid IPv4 (10.8.0.?4) for CN=a?']],
  ] as const)('with %s', (_, text, expected, warnings) => {
    const pool = net30Pool();
    const notes = readPoolFile(text, pool, false, 0);
    expect(slots(pool)).toEqual(expected);
    expect(notes.filter(({ severity }) => severity === 'warning').map((note) => note.text)).toEqual(warnings);
    for (const note of notes) expect(note.text).not.toMatch(/[\0-\x1f]/);
  });

  it('keeps a slot for its name alone when it is only read', () => {
    const pool = net30Pool();
    readPoolFile('a,10.8.0.4\n', pool, true, 0);
    expect(pool.acquire('b')?.slot).toBe(1);
  });

  it.each(['a,b', 'a\nb', '#a', ';a'])('has no line for a name that would be read as another: %j', (name) => {
    expect(writePoolFile([{ name, slot: 0, address4: '10.8.0.4', address6: undefined }])).toBe('');
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/ip/address.ts';
import { networkOf, type Prefix, parsePrefix, prefixContains } from '../../src/ip/prefix.ts';
import { PrefixTable } from '../../src/ip/prefix-table.ts';

const prefixes = (...texts: string[]) => texts.map((text) => parsePrefix(text)!);
const lookup = (table: PrefixTable, address: Uint8Array) =>
  table.lookup(new DataView(address.buffer, address.byteOffset), 0, address.length === 4 ? 4 : 6);
const find = (table: PrefixTable, text: string) => lookup(table, parseAddress(text)!);

describe('prefix table', () => {
  it('finds the owner of the longest prefix', () => {
    const table = new PrefixTable();
    table.replace(1, prefixes('0.0.0.0/0', '::/0'));
    table.replace(2, prefixes('10.8.0.0/24', 'fd00::/64'));
    table.replace(3, prefixes('10.8.0.7', 'fd00::7'));
    expect(find(table, '10.8.0.7')).toBe(3);
    expect(find(table, '10.8.0.8')).toBe(2);
    expect(find(table, '10.9.0.8')).toBe(1);
    expect(find(table, 'fd00::7')).toBe(3);
    expect(find(table, 'fd00::8')).toBe(2);
    expect(find(table, '2001:db8::1')).toBe(1);
  });

  it('forgets what an owner had when it gets other prefixes', () => {
    const table = new PrefixTable();
    table.replace(5, prefixes('10.8.0.7', '10.20.0.0/16'));
    table.replace(5, prefixes('10.8.0.9'));
    expect(find(table, '10.8.0.7')).toBe(0);
    expect(find(table, '10.20.1.1')).toBe(0);
    expect(find(table, '10.8.0.9')).toBe(5);
    table.replace(5, []);
    expect(find(table, '10.8.0.9')).toBe(0);
  });

  it('gives a prefix back to its earlier owner when the later one goes', () => {
    const table = new PrefixTable();
    table.replace(1, prefixes('10.8.0.0/24'));
    table.replace(2, prefixes('10.8.0.0/24'));
    expect(find(table, '10.8.0.1')).toBe(2);
    table.replace(2, []);
    expect(find(table, '10.8.0.1')).toBe(1);
  });

  it('keeps every other prefix where owners share some and come and go', () => {
    const table = new PrefixTable();
    const names = (owner: number) => [`10.0.${owner % 7}.0/24`, `10.1.0.${owner}/32`, `fd00::${owner}/128`];
    const live: number[] = [];
    for (let step = 1; step <= 600; step++) {
      const owner = 1 + ((step * 37) % 53);
      const place = live.indexOf(owner);
      if (place >= 0) live.splice(place, 1);
      if (place < 0 || step % 3 === 0) live.push(owner);
      table.replace(owner, live.includes(owner) ? prefixes(...names(owner), names(owner)[0]!) : []);
      for (let one = 1; one <= 53; one++) {
        const there = live.includes(one) ? one : 0;
        expect(find(table, `fd00::${one}`)).toBe(there);
        expect(find(table, `10.1.0.${one}`)).toBe(there);
      }
      for (let net = 0; net < 7; net++) {
        expect(find(table, `10.0.${net}.9`)).toBe(live.filter((one) => one % 7 === net).at(-1) ?? 0);
      }
    }
  });

  it('agrees with a plain search over random prefixes', () => {
    const address = fc.oneof(
      fc
        .tuple(fc.constantFrom(10, 11), fc.constantFrom(0, 128), fc.integer({ min: 0, max: 3 }), fc.nat(255))
        .map((bytes) => Uint8Array.from(bytes)),
      fc.array(fc.constantFrom(0, 0x80, 0xff), { minLength: 16, maxLength: 16 }).map((bytes) => Uint8Array.from(bytes)),
    );
    const prefix = fc.tuple(address, fc.nat(128)).map(
      ([bytes, length]): Prefix => ({
        length: Math.min(length, bytes.length * 8),
        address: networkOf(bytes, Math.min(length, bytes.length * 8)),
      }),
    );
    fc.assert(
      fc.property(fc.array(prefix, { maxLength: 30 }), fc.array(address, { maxLength: 20 }), (all, wanted) => {
        const table = new PrefixTable();
        all.forEach((one, index) => {
          table.replace(index + 1, [one]);
        });
        for (const bytes of wanted) {
          let best = 0;
          all.forEach((one, index) => {
            if (prefixContains(one, bytes) && one.length >= (all[best - 1]?.length ?? 0)) best = index + 1;
          });
          expect(lookup(table, bytes)).toBe(best);
        }
      }),
    );
  });
});

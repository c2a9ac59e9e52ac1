import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBase64, parseBase64 } from '../../src/wire/base64.ts';
import { formatHex, formatSessionId, parseHex } from '../../src/wire/hex.ts';
import { Reader } from '../../src/wire/reader.ts';
import { concatBytes, Writer } from '../../src/wire/writer.ts';

describe('the bounded reader', () => {
  it('reads back what the writer wrote and fails on one byte less', () => {
    fc.assert(
      fc.property(
        fc.nat(0xff),
        fc.nat(0xffff),
        fc.nat(0xffffffff),
        fc.uint8Array({ maxLength: 40 }),
        (a, b, c, rest) => {
          const bytes = new Writer(7 + rest.length).u8(a).u16(b).u32(c).bytes(rest).finish();
          const reader = new Reader(bytes);
          expect([reader.u8(), reader.u16(), reader.u32()]).toEqual([a, b, c]);
          expect(reader.rest()).toEqual(rest);
          expect([reader.failed, reader.remaining]).toEqual([false, 0]);
          const short = new Reader(bytes.subarray(0, -1));
          short.u8();
          short.u16();
          short.u32();
          short.bytes(rest.length);
          expect(short.failed).toBe(true);
        },
      ),
    );
  });

  it('stays failed and gives nothing after a short read', () => {
    const reader = new Reader(Uint8Array.of(1, 2));
    expect(reader.u32()).toBe(0);
    expect([reader.failed, reader.u8(), reader.remaining, reader.rest().length]).toEqual([true, 0, 0, 0]);
    expect(new Reader(Uint8Array.of(1)).bytes(-1)).toEqual(new Uint8Array(0));
  });

  it('throws when our own writing runs over its bound', () => {
    expect(() => new Writer(3).u32(1)).toThrow(RangeError);
  });
});

describe('text forms of bytes', () => {
  it('go there and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(parseHex(formatHex(bytes))).toEqual(bytes);
        expect(parseBase64(formatBase64(bytes))).toEqual(bytes);
        expect(formatBase64(bytes)).toBe(btoa(String.fromCharCode(...bytes)));
      }),
    );
  });

  it('refuse what is none', () => {
    for (const text of ['0', 'zz', '0g', ' 00']) expect(parseHex(text)).toBeUndefined();
    for (const text of ['A', 'AA=', 'AB==', '====', 'A===', 'AA==AA==', 'A-B_'])
      expect(parseBase64(text), text).toBeUndefined();
    expect(parseBase64(' Zm9v\nYmFy ')).toEqual(concatBytes(new TextEncoder().encode('foobar')));
    expect(formatSessionId(Uint8Array.of(1, 2, 3, 4, 0xfa, 0xfb, 0xfc, 0xfd))).toBe('01020304 fafbfcfd');
  });
});

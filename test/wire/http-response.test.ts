import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HttpHeadReader, printable } from '../../src/wire/http-response.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'utf8');

/** Reads a text in pieces of the given size; tells what of it is not the head's. */
function read(text: string, size = 4096) {
  const reader = new HttpHeadReader();
  const bytes = bytesOf(text);
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    const result = reader.handleBytes(piece);
    if (result === 'too-long') return { reader, whole: false, rest: undefined, tooLong: true };
    if (result.whole) {
      const rest = Buffer.from(bytes.subarray(at + result.taken)).toString('utf8');
      return { reader, whole: true, rest, tooLong: false };
    }
    expect(result.taken).toBe(piece.length);
  }
  return { reader, whole: false, rest: undefined, tooLong: false };
}

describe('the head of a response', () => {
  const head = 'HTTP/1.1 407 Who are you\r\nProxy-Authenticate:  Basic realm="x" \r\nVia: a\r\n\r\n';

  it.each([1, 2, 7, 4096])('is the same in pieces of %i bytes, and what follows it is left', (size) => {
    const { reader, whole, rest } = read(`${head}\x00\x0eHELLO`, size);
    expect(whole).toBe(true);
    expect(rest).toBe('\x00\x0eHELLO');
    expect(reader.head).toEqual({
      statusLine: 'HTTP/1.1 407 Who are you',
      status: 407,
      fields: [
        { name: 'proxy-authenticate', value: 'Basic realm="x"' },
        { name: 'via', value: 'a' },
      ],
    });
  });

  it('is not whole before its last byte', () => {
    for (let length = 0; length < head.length; length++) expect(read(head.slice(0, length)).whole).toBe(false);
  });

  it.each([
    ['HTTP/1.0 200', 200],
    ['ICY 200 OK', 200],
    ['HTTP/1.1  403  No', 403],
    ['HTTP/1.1 OK', undefined],
    ['200', undefined],
    ['', undefined],
    ['HTTP/1.1 99999999999999999999 x', 999999999],
  ])('with the line "%s" has the status %s', (line, status) => {
    expect(read(`${line}\n\n`).reader.head.status).toBe(status);
  });

  it('may have lines that end without CR', () => {
    expect(read('HTTP/1.0 200 OK\nA: b\n\nrest').rest).toBe('rest');
  });

  it('keeps control characters out of what is logged and sent on', () => {
    const { reader } = read('HTTP/1.1 200 \x1b[2J\u202e\r\nA: b\x1b\rc\u009b\r\n\r\n');
    expect(reader.head.statusLine).toBe('HTTP/1.1 200 _[2J_');
    expect(reader.head.fields).toEqual([{ name: 'a', value: 'b__c_' }]);
  });

  it('keeps 511 characters of the first line and 4095 of another', () => {
    const { reader } = read(`${'s'.repeat(600)}\r\nA: ${'v'.repeat(5000)}\r\n\r\n`);
    expect(reader.head.statusLine.length).toBe(511);
    expect(reader.head.fields[0]?.value.length).toBe(4095 - 'A: '.length);
  });

  it('is given up after 64 KiB', () => {
    const lines = 'X: 1234567890\r\n'.repeat(4369);
    expect(read(`HTTP/1.0 200 OK\r\n${lines}`).tooLong).toBe(true);
    expect(read('y'.repeat(65_537)).tooLong).toBe(true);
    expect(read('y'.repeat(65_536)).tooLong).toBe(false);
  });

  it('of any bytes is read without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const reader = new HttpHeadReader();
        reader.handleBytes(bytes);
        expect(printable(reader.head.statusLine)).toBe(reader.head.statusLine);
      }),
    );
  });
});

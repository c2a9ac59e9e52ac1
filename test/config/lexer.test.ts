import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lexLine, lexText, quoteWord, utf8Length, WORD_LIMIT } from '../../src/config/lexer.ts';

const words = (line: string): readonly string[] | string => {
  const lexed = lexLine(line, 'f:1');
  return lexed.ok ? lexed.words : lexed.problem;
};

describe('a line', () => {
  it.each([
    ['remote vpn.example.com 1194', ['remote', 'vpn.example.com', '1194']],
    ['  \t remote\tx \v y \f', ['remote', 'x', 'y']],
    ['', []],
    ['   ', []],
    ['# all of it', []],
    ['; all of it', []],
    ['verb 3 # the rest', ['verb', '3']],
    ['verb 3 ; the rest', ['verb', '3']],
    ['verb \\# 3', ['verb']],
    ['verb 3#4 5;6', ['verb', '3#4', '5;6']],
    ['echo "a b" c', ['echo', 'a b', 'c']],
    ['echo "a # b; c"', ['echo', 'a # b; c']],
    ['echo \'a "b" \\ c\'', ['echo', 'a "b" \\ c']],
    ['echo "a \\"b\\" \\\\ c"', ['echo', 'a "b" \\ c']],
    ['echo a\\ b', ['echo', 'a b']],
    ['echo \\"a\\"', ['echo', '"a"']],
    ['echo c:\\\\dir', ['echo', 'c:\\dir']],
    ['echo ""', ['echo', '']],
    ["echo '' x", ['echo', '', 'x']],
    ['echo a"b c"', ['echo', 'a"b', 'c"']],
    ["echo it's", ['echo', "it's"]],
    ['echo "a"b', ['echo', 'a', 'b']],
    ['verb 3\r', ['verb', '3']],
    ['echo ä 日本 🔑', ['echo', 'ä', '日本', '🔑']],
  ])('%j has the words %j', (line, expected) => {
    expect(words(line)).toEqual(expected);
  });

  it.each([
    ['echo "a', 'No closing quotation (") in f:1'],
    ["echo 'a", "No closing single quotation (') in f:1"],
    ['echo a\\', 'Residual parse state (2) in f:1'],
  ])('%j is refused: %s', (line, problem) => {
    expect(words(line)).toBe(problem);
  });

  it.each(['echo a\\b', 'echo "a\\n"', "echo \\'"])('%j has a bad backslash', (line) => {
    expect(words(line)).toContain("Bad backslash ('\\') usage in f:1");
  });

  it('keeps the first sixteen words and says that there were more', () => {
    const line = Array.from({ length: 20 }, (_, i) => `w${i}`).join(' ');
    const lexed = lexLine(line, 'f:1');
    expect(lexed).toMatchObject({ ok: true, truncated: true });
    expect(lexed.ok && lexed.words.length).toBe(WORD_LIMIT);
  });

  it('does not count a comment as a seventeenth word', () => {
    const line = `${Array.from({ length: 16 }, (_, i) => `w${i}`).join(' ')} # comment`;
    expect(lexLine(line, 'f:1')).toMatchObject({ ok: true, truncated: false });
  });

  it('refuses a word longer than 256 bytes', () => {
    expect(words(`echo ${'x'.repeat(256)}`)).toHaveLength(2);
    expect(words(`echo ${'x'.repeat(257)}`)).toContain('too long (256 chars max)');
    expect(words(`echo ${'ä'.repeat(129)}`)).toContain('too long (256 chars max)');
  });

  it('never throws, whatever stands in it', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('"', "'", '\\', ' ', '#', ';', 'a', '\t') })),
        (line) => {
          const lexed = lexLine(line, 'f:1');
          return !lexed.ok || lexed.words.length <= WORD_LIMIT;
        },
      ),
    );
  });

  it('gives back what quoteWord wrote', () => {
    const unit = fc.oneof(
      fc.constantFrom('"', "'", '\\', ' ', '#', ';', '\t', '<', '-'),
      fc.string({ minLength: 1, maxLength: 1 }),
    );
    const word = fc.string({ unit, maxLength: 40 }).filter((each) => !/[\0\n]/.test(each));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 10 }), (list) => {
        expect(words(list.map(quoteWord).join(' '))).toEqual(list);
      }),
    );
  });
});

describe('a file', () => {
  it('gives each line its number, comments and empty lines counted', () => {
    const { lines } = lexText('# one\n\nverb 3\n  nobind\n', 'x.conf');
    expect(lines.map((line) => [line.words[0], line.origin])).toEqual([
      ['verb', { file: 'x.conf', line: 3 }],
      ['nobind', { file: 'x.conf', line: 4 }],
    ]);
  });

  it('passes over a byte order mark and the carriage returns of Windows', () => {
    const { lines, errors } = lexText('\ufeffclient\r\n<ca>\r\nA\r\n</ca>\r\n', 'x');
    expect(errors).toEqual([]);
    expect(lines.map((line) => [line.words, line.inline])).toEqual([
      [['client'], undefined],
      [['ca'], 'A\n'],
    ]);
  });

  it('takes a block up to its end tag, which may be indented, and goes on with the right number', () => {
    const { lines } = lexText('<ca>\n a\n<b>\n# c\n \t</ca> rest\nverb 3\n', 'x');
    expect(lines).toMatchObject([
      { words: ['ca'], inline: ' a\n<b>\n# c\n', origin: { line: 1 } },
      { words: ['verb', '3'], inline: undefined, origin: { line: 6 } },
    ]);
  });

  it('tells an empty block from no block', () => {
    expect(lexText('<ca>\n</ca>\n', 'x').lines).toMatchObject([{ words: ['ca'], inline: '' }]);
    expect(lexText('<ca> x\n', 'x').lines).toMatchObject([{ words: ['<ca>', 'x'], inline: undefined }]);
  });

  it('names the line in which a block without an end begins', () => {
    expect(lexText('client\n<ca>\nA\n', 'x').errors).toMatchObject([
      { message: 'Endtag </ca> missing', origin: { file: 'x', line: 2 } },
    ]);
  });

  it('allows 254 bytes and a newline, or 255 at the very end', () => {
    const long = (length: number) => `echo ${'x'.repeat(length - 5)}`;
    expect(lexText(`${long(254)}\n`, 'x').errors).toEqual([]);
    expect(lexText(`${long(255)}`, 'x').errors).toEqual([]);
    expect(lexText(`${long(255)}\n`, 'x').errors).toMatchObject([
      { message: expect.stringContaining('Maximum option line length (256) exceeded') },
    ]);
    expect(lexText(`echo ${'ä'.repeat(125)}\n`, 'x').errors).toHaveLength(1);
  });

  it('does not limit the lines of a block', () => {
    expect(lexText(`<ca>\n${'x'.repeat(5000)}\n</ca>\n`, 'x').errors).toEqual([]);
  });

  it('never shows more than the beginning of a line that is too long', () => {
    const [error] = lexText(`askpass-secret-${'s'.repeat(300)}\n`, 'x').errors;
    expect(error?.message.length).toBeLessThan(120);
  });

  it('refuses NUL in lines and in blocks, and goes on behind it', () => {
    const { errors, lines } = lexText('a\0b\n<ca>\nx\0\n</ca>\nverb 3\n', 'x');
    expect(errors.map((each) => each.origin.line)).toEqual([1, 2]);
    expect(lines.map((each) => each.words[0])).toEqual(['verb']);
  });

  it('reports every bad line, not only the first', () => {
    const { errors } = lexText('echo "a\nverb 3\necho \'b\n', 'x');
    expect(errors.map((each) => each.origin.line)).toEqual([1, 3]);
  });

  it('never throws, whatever stands in it', () => {
    const piece = fc.constantFrom(
      '<ca>\n',
      '</ca>\n',
      '"',
      "'",
      '\\',
      '\n',
      '\r\n',
      ' ',
      '#',
      '\0',
      '\ufeff',
      'verb 3\n',
      'x',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((list) => list.join('')),
        ),
        (text) => {
          const { lines } = lexText(text, 'x');
          return lines.every((line) => line.words.length > 0 && line.origin.line >= 1);
        },
      ),
    );
  });
});

describe('the length in UTF-8', () => {
  it('is that of the encoded text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => utf8Length(text) === new TextEncoder().encode(text).length),
    );
    expect(utf8Length('\ud800')).toBe(3);
  });
});

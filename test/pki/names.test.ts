import { describe, expect, it } from 'vitest';
import { checkCase, checkName } from '../../apps/pki/names.ts';

describe('a name', () => {
  const good = ['alice', 'a', 'Alice-2', 'vpn.example.org', 'a_b@example.org', '0day', 'x'.repeat(64), 'a..b'];
  it.each(good)('%s is taken as it is', (name) => {
    expect(checkName(name)).toBe(name);
  });

  const bad = [
    ['', 'is empty'],
    ['.', "can't be"],
    ['..', "can't be"],
    ['.hidden', "can't be"],
    ['../alice', "can't be"],
    ['a/b', "can't be"],
    ['a\\b', "can't be"],
    ['-rf', "can't be"],
    ['alice ', "can't be"],
    ['al ice', "can't be"],
    ['alice\n', "can't be"],
    ['al\0ice', "can't be"],
    ['al\x1b[2Jice', "can't be"],
    ['älice', "can't be"],
    ['alice.', 'ends with a dot'],
    ['x'.repeat(65), 'has 65 characters'],
    ['ca', "authority's own name"],
    ['CA', "authority's own name"],
  ];
  it.each(bad)('%j is refused', (name, words) => {
    expect(() => checkName(name)).toThrow(words);
  });

  it('is refused without passing its control characters on', () => {
    expect(() => checkName('a\x1b[2Jb')).toThrow("'a_[2Jb'");
  });

  it('that differs from one in use only by case is refused', () => {
    expect(() => checkCase('Alice', ['bob', 'alice'])).toThrow('only by upper and lower case');
    expect(() => checkCase('alice', ['bob', 'alice'])).not.toThrow();
  });
});

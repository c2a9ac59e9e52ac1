// Lines of a connection as the configuration's parser has them after reading: what is wrong in one is told by its key.

import type { ConfigLine } from '../../src/config.ts';
import type { ReadLine } from './settings.ts';

export const configLines = (lines: readonly ReadLine[]): readonly ConfigLine[] =>
  lines.map(({ option, words, inline, key }, index) => ({
    option,
    words: inline === undefined ? words : [],
    inline,
    origin: { file: `vpn.data ${key}`, line: index + 1 },
    connection: undefined,
  }));

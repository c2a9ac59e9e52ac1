// `config FILE` inside a file: how deep and how often, and what is said of one that can't be read.

import type { Origin } from './config.ts';
import { placeOf, type Say } from './findings.ts';
import { shown } from './values.ts';

/** Files inside files, the first one counted. */
const NESTING_LIMIT = 10;

/** Reads the files that one configuration includes. */
export class IncludedFiles {
  readonly #limit: number;
  readonly #read: (path: string) => string | undefined;
  #count = 0;

  /** `limit`: how many files at most. `read`: the text; undefined, or throws the reason, when there is none. */
  constructor(limit: number, read: (path: string) => string | undefined) {
    this.#limit = limit;
    this.#read = read;
  }

  /** The text of one more file, `level` files deep; undefined after it has been said why there is none. */
  read(path: string, origin: Origin, level: number, say: Say): string | undefined {
    if (level >= NESTING_LIMIT || this.#count >= this.#limit) {
      say.error(
        `In ${placeOf(origin)}: Maximum recursive include levels exceeded in include attempt of file ${shown(path)} -- probably you have a configuration file that tries to include itself.`,
        'Remove the line.',
      );
      return undefined;
    }
    this.#count++;
    let text: string | undefined;
    let why = '';
    try {
      text = this.#read(path);
    } catch (error) {
      why = error instanceof Error ? `: ${error.message}` : '';
    }
    if (text === undefined) {
      say.error(
        `In ${placeOf(origin)}: Error opening configuration file: ${shown(path)}${shown(why)}`,
        'Check that the file exists and that it may be read.',
      );
    }
    return text;
  }
}

// Key material as it was read, for a reload after the process has lost the right to read it: `user nobody` with keys that
// only root may read, or a chroot. The server goes on with what it holds, and says so.

import { readMaterialFile } from './read-file.ts';

/** Reads files and holds what stood in them. */
export class HeldFiles {
  readonly #held = new Map<string, Uint8Array>();
  readonly #heldNames = new Map<string, readonly string[]>();
  readonly #withheld = new Set<string>();
  readonly #readFile: (path: string, only?: 'regular') => Uint8Array;

  constructor(readFile: (path: string, only?: 'regular') => Uint8Array = readMaterialFile) {
    this.#readFile = readFile;
  }

  /** The bytes of a file now or, where this process may not read it any more, as they were before. Throws as the read does. */
  read(path: string, only?: 'regular'): Uint8Array {
    return this.#now(path, this.#held, () => this.#readFile(path, only)).slice();
  }

  /** The names in a directory, in the same way. */
  list(path: string, listNow: (path: string) => readonly string[]): readonly string[] {
    return this.#now(path, this.#heldNames, listNow);
  }

  #now<T>(path: string, held: Map<string, T>, read: (path: string) => T): T {
    try {
      const found = read(path);
      held.set(path, found);
      this.#withheld.delete(path);
      return found;
    } catch (error) {
      const before = held.get(path);
      const code = error instanceof Error && 'code' in error ? error.code : '';
      if (before === undefined || (code !== 'EACCES' && code !== 'EPERM')) throw error;
      this.#withheld.add(path);
      return before;
    }
  }

  /** Files that could not be read the last time they were asked for. */
  get withheld(): readonly string[] {
    return [...this.#withheld];
  }
}

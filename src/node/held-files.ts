// Key material as it was read, for a reload after the process has lost the right to read it: `user nobody` with keys that
// only root may read, or a chroot. The server goes on with what it holds, and says so.

import { MAX_MATERIAL_BYTES, readBoundedFile } from './read-file.ts';

/** Reads files and holds what stood in them. */
export class HeldFiles {
  readonly #held = new Map<string, Uint8Array>();
  readonly #withheld = new Set<string>();
  readonly #readFile: (path: string) => Uint8Array;

  constructor(readFile = (path: string): Uint8Array => readBoundedFile(path, MAX_MATERIAL_BYTES)) {
    this.#readFile = readFile;
  }

  /** The bytes of a file now or, where this process may not read it any more, as they were before. Throws as the read does. */
  read(path: string): Uint8Array {
    try {
      const bytes = this.#readFile(path);
      this.#held.set(path, bytes.slice());
      this.#withheld.delete(path);
      return bytes;
    } catch (error) {
      const held = this.#held.get(path);
      const code = error instanceof Error && 'code' in error ? error.code : '';
      if (held === undefined || (code !== 'EACCES' && code !== 'EPERM')) throw error;
      this.#withheld.add(path);
      return held.slice();
    }
  }

  /** Files that could not be read the last time they were asked for. */
  get withheld(): readonly string[] {
    return [...this.#withheld];
  }
}

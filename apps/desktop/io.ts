// What the commands ask of the world around them; tests hand in their own.

import type { Places } from './places.ts';

export interface CommandIo {
  /** Standard output. */
  write(text: string): void;
  /** Standard error. */
  complain(text: string): void;
  /** Folder that relative paths start from. */
  readonly directory: string;
  readonly places: Places;
  readonly uid: number;
  /** Whose `sudo` this is. */
  readonly sudoUid: number | undefined;
  readonly terminal: { readonly output: boolean; readonly error: boolean };
  nowUnix(): number;
}

// What the commands ask of the world around them; tests hand in their own.

export interface PkiIo {
  /** Standard output. */
  write(text: string): void;
  /** Standard error. */
  complain(text: string): void;
  /** Folder that relative paths start from. */
  readonly directory: string;
  nowUnix(): number;
  /** Asks the person at the terminal for a secret; `prompt` without the colon. */
  ask(prompt: string): Promise<string>;
}

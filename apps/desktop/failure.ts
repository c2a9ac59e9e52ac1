// How a command ends that can't do what it was asked: the exit code is nmcli's.

export const ExitCode = {
  ok: 0,
  unknown: 1,
  usage: 2,
  timeout: 3,
  activation: 4,
  deactivation: 5,
  disconnect: 6,
  deletion: 7,
  notRunning: 8,
  notFound: 10,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Told to the person as `sallyport: message`, and the hint below it. */
export class CommandFailure extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;
  /** What is wrong beside the first, in its form: a line each. */
  readonly others: readonly string[];

  constructor(exitCode: ExitCode, message: string, hint?: string, others: readonly string[] = []) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
    this.others = others;
  }
}

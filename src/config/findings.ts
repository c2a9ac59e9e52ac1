// Where everything that is to be said about a configuration is collected, so that one run shows all of it.

import type { Finding, Origin, Severity } from './config.ts';

/** Beyond this many nobody reads on: the text is no configuration. */
const FINDINGS_LIMIT = 2000;

/** Collects findings in the order in which they are made. */
export class Findings {
  readonly #all: Finding[] = [];
  #hasErrors = false;

  add(
    severity: Severity,
    kind: Finding['kind'],
    origin: Origin,
    option: string,
    message: string,
    advice?: string | undefined,
  ): void {
    const first = severity === 'error' && !this.#hasErrors;
    if (severity === 'error') this.#hasErrors = true;
    if (this.#all.length < FINDINGS_LIMIT || first) this.#all.push({ severity, kind, origin, option, message, advice });
  }

  get all(): readonly Finding[] {
    return this.#all;
  }

  get hasErrors(): boolean {
    return this.#hasErrors;
  }
}

/** How a value's reader complains. A profile makes errors of it, a push reply log lines. */
export interface Say {
  /** The value cannot be taken; the words are the C program's, without "Options error: ". */
  error(message: string, advice?: string): void;
  /** It is taken, but there is something to say. */
  warn(message: string, advice?: string, kind?: Finding['kind']): void;
}

/** Complaints about one line of a profile. */
export const sayFor = (findings: Findings, origin: Origin, option: string): Say => ({
  error: (message, advice) =>
    findings.add('error', 'invalid', origin, option, message, advice ?? `Correct ${option} in ${placeOf(origin)}.`),
  warn: (message, advice, kind = 'invalid') => findings.add('warning', kind, origin, option, message, advice),
});

/** `file:line` as the C program writes it: everything on the command line is line 1. */
export const placeOf = (origin: Origin): string => `${origin.file}:${origin.file === COMMAND_LINE ? 1 : origin.line}`;

/** How what is said about a deprecated option begins, as in the C program's log. */
export const DEPRECATED_OPTION = 'DEPRECATED OPTION';

/** What a log has to say about a configuration, each once; of what is deprecated, what to write instead. */
export const warningsOf = (findings: readonly Finding[]): readonly string[] => [
  ...new Set(
    findings.flatMap(({ severity, kind, message, advice }) => {
      const deprecated = kind === 'deprecated' || message.startsWith(DEPRECATED_OPTION);
      if (severity === 'error' || (severity === 'notice' && !deprecated)) return [];
      if (!deprecated || advice === undefined) return [message];
      const told = message.trimEnd();
      return [`${told}${/[.!?]$/.test(told) ? '' : '.'} ${advice}`];
    }),
  ),
];

/** The file name of options on the command line. */
export const COMMAND_LINE = '[CMD-LINE]';

/** An error as the client logs it; with its place, unless the words have it already. */
export const optionsErrorText = (finding: Finding): string => {
  const place = placeOf(finding.origin);
  return `Options error: ${finding.message}${finding.message.includes(place) ? '' : ` (${place})`}`;
};

// How a client fares: let in, or refused with what it is told.

/** `text` goes behind `AUTH_FAILED,`; undefined says no reason. */
export interface Refusal {
  readonly accept: false;
  readonly text: string | undefined;
}

/** Somebody proved who it is. */
export interface Admission {
  readonly accept: true;
  /** What logs, files and scripts know it by. */
  readonly name: string | undefined;
  readonly username: string | undefined;
  /** A token to be pushed in place of the password. */
  readonly token: string | undefined;
}

export type Verdict = Admission | Refusal;

/** Longest reason that is sent; a control message has room for more, a person has not. */
const REASON_LIMIT = 512;

/** A reason fit for the wire: one line of printable text. */
export function refusal(reason: string | undefined): Refusal {
  const text = reason?.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ').slice(0, REASON_LIMIT);
  return { accept: false, text };
}

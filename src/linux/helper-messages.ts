// What crosses between this program and its helper processes (root-helper.ts), as JSON over a socket pair.

import type { PamRequest, PamResult } from './pam.ts';

/** What a helper process is for: its first argument. */
export type HelperRole = 'pam' | 'pam-worker' | 'down-root';

/**
 * To `pam`, once, before anything else, from a program that is still root. Answers may be secrets, and every user can read
 * the arguments of a process.
 */
export type PamSetup = Pick<PamRequest, 'service' | 'answers'>;

/** To `pam` from then on; service and answers are its own. */
export interface PamCall {
  readonly id: number;
  readonly request: Omit<PamRequest, 'service' | 'answers'>;
  /** At most this long, its wait for a place included. */
  readonly timeoutMs: number;
}

/** From `pam` to its workers. */
export interface PamWorkerCall {
  readonly id: number;
  readonly request: PamRequest;
}

export type HelperReport =
  /** At start: it works, or why not. */
  | { readonly type: 'ready'; readonly problem?: string | undefined }
  | { readonly type: 'pam'; readonly id: number; readonly result: PamResult }
  /** The command of down-root has run. */
  | { readonly type: 'ran'; readonly exitCode: number | undefined };

/** To `down-root`. The environment is taken once, while it comes from a program that is still root. */
export type DownRootCall =
  | { readonly type: 'arm'; readonly environment: Readonly<Record<string, string>> }
  | { readonly type: 'run' };

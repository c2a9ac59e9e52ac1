// What crosses between this program and its helper processes (root-helper.ts), as JSON over a socket pair.

import type { DnsPort } from '../tunnel/dns-port.ts';
import type { PamRequest, PamResult } from './pam.ts';

/** What a helper process is for: its first argument. */
export type HelperRole = 'pam' | 'pam-worker' | 'down-root' | 'dns';

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
  /** The answer to a DnsCall. */
  | { readonly type: 'dns'; readonly id: number; readonly result: unknown }
  /** The command of down-root has run. */
  | { readonly type: 'ran'; readonly exitCode: number | undefined };

/** To `down-root`. The environment is taken once, while it comes from a program that is still root. */
export type DownRootCall =
  | { readonly type: 'arm'; readonly environment: Readonly<Record<string, string>> }
  | { readonly type: 'run' };

/** To the helper of name servers (dns-helper.ts), once, from a program that is still root. */
export interface DnsSetup {
  readonly backend: 'auto' | 'resolved' | 'resolvconf' | 'file' | 'dnsmasq' | 'none';
  /** The program of dns-updown. */
  readonly command: readonly string[] | undefined;
}

/** To it from then on. */
export type DnsCall = { readonly id: number } & DnsAsked;

export type DnsAsked =
  | { readonly type: 'apply'; readonly request: Parameters<DnsPort['apply']>[0] }
  /** `applied`: the id of what was applied. */
  | { readonly type: 'undo' | 'stands'; readonly applied: string }
  | { readonly type: 'script'; readonly environment: Readonly<Record<string, string>> };

// The one error type of the project. Any room may import this file: it knows no platform and no other room.

/** Who has to act for the error to go away. */
export type Blame = 'peer' | 'config' | 'network' | 'internal';

/** Stable names of what went wrong; part of the public API. */
export type ErrorCode =
  | 'SALLYPORT_ABORTED'
  | 'SALLYPORT_CONFIG'
  | 'SALLYPORT_CREDENTIALS'
  | 'SALLYPORT_NETWORK'
  | 'SALLYPORT_NO_ANSWER'
  | 'SALLYPORT_REFUSED'
  | 'SALLYPORT_WRAP'
  | 'SALLYPORT_TLS'
  | 'SALLYPORT_CERTIFICATE'
  | 'SALLYPORT_AUTH_FAILED'
  | 'SALLYPORT_NEGOTIATION'
  | 'SALLYPORT_PUSH'
  | 'SALLYPORT_PEER_ENDED'
  | 'SALLYPORT_TIMEOUT'
  | 'SALLYPORT_PERMISSION'
  | 'SALLYPORT_HOST'
  | 'SALLYPORT_SCRIPT'
  | 'SALLYPORT_INTERNAL';

export interface SallyportErrorOptions {
  code: ErrorCode;
  blame: Blame;
  /** Whether the same attempt may succeed later without anybody changing anything. */
  retry?: boolean;
  /** What the reader can do about it, one sentence. */
  hint?: string;
  cause?: unknown;
}

/** The end of a session, a refused configuration or a failed change of the host, told so that a person can act on it. */
export class SallyportError extends Error {
  readonly code: ErrorCode;
  readonly blame: Blame;
  readonly retry: boolean;
  readonly hint: string | undefined;

  constructor(message: string, options: SallyportErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SallyportError';
    this.code = options.code;
    this.blame = options.blame;
    this.retry = options.retry ?? false;
    this.hint = options.hint;
  }
}

/** The words of whatever was thrown. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

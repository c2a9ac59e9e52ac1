// How the pki commands say no: what is wrong, and what to do.

import { SallyportError } from '../../src/pki.ts';

/** Ends the command with exit code 1, this sentence and this advice. */
export function refuse(message: string, hint?: string): never {
  throw new SallyportError(message, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Text from a file or a command line, with nothing in it that steers a terminal. */
export const clean = (text: string): string =>
  text.replace(/[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '_');

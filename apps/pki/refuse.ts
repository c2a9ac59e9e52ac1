// How the pki commands say no: what is wrong, and what to do.

import { cleanTerminalText, SallyportError } from '../../src/pki.ts';

/** Ends the command with exit code 1, this sentence and this advice. */
export function refuse(message: string, hint?: string): never {
  throw new SallyportError(message, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Text from a file or a command line, for messages. */
export const clean = cleanTerminalText;

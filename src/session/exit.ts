// Leaving, and being told that the peer leaves.

import { parseInBand, writeInBand } from '../wire/in-band.ts';

/** The old exit notice, for the data channel. */
export function exitNotice(): Uint8Array {
  return writeInBand({ type: 'exit' });
}

export type InBandAnswer =
  | { readonly type: 'nothing' }
  /** Bytes to send back in band. */
  | { readonly type: 'reply'; readonly bytes: Uint8Array }
  | { readonly type: 'peer-exit' };

/** What an authenticated in-band message asks for. Answers to requests that TLS mode never makes are ignored. */
export function answerInBand(bytes: Uint8Array, optionsString: string): InBandAnswer {
  const message = parseInBand(bytes);
  switch (message?.type) {
    case 'exit':
      return { type: 'peer-exit' };
    case 'occ-request':
      return { type: 'reply', bytes: writeInBand({ type: 'occ-reply', optionsString }) };
    default:
      return { type: 'nothing' };
  }
}

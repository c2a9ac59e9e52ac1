// Which cipher the data channel has. Rules of a client: docs/WIRE.md 7.5.

import { type CipherFacts, cipherFacts } from '../crypto/cipher-table.ts';
import { SallyportError } from '../error.ts';
import { parseOptionsStringCipher } from '../wire/options-string.ts';
import type { SessionOptions } from './options.ts';

export interface PeerOffer {
  /** `cipher` of the push reply (or what the driver of a server chose). */
  readonly pushedCipher: string | undefined;
  readonly optionsString: string;
}

/** The C program's line for the log, and the error that says what to add. */
export interface NegotiationFailure {
  readonly line: string;
  readonly error: SallyportError;
}

/** The data-channel cipher, or why there is none. */
export function negotiateCipher(
  options: Pick<SessionOptions, 'dataCiphers' | 'dataCiphersFallback'>,
  offer: PeerOffer,
): CipherFacts | NegotiationFailure {
  const own = options.dataCiphers;
  const mine = own.join(':');
  if (offer.pushedCipher !== undefined) {
    const facts = cipherFacts(offer.pushedCipher);
    if (facts !== undefined && isAllowed(options, facts.name)) return facts;
    const line = `Error: negotiated cipher not allowed - ${offer.pushedCipher} not in ${mine}`;
    return fail(line, offer.pushedCipher, mine);
  }
  const theirs = parseOptionsStringCipher(offer.optionsString);
  if (theirs !== undefined) {
    const facts = cipherFacts(theirs);
    if (facts !== undefined && includesCipher(own, facts.name)) return facts;
    const line = `OPTIONS ERROR: failed to negotiate cipher with server.  Add the server's cipher ('${theirs}') to --data-ciphers (currently '${mine}'), e.g.--data-ciphers ${mine}:${theirs} if you want to connect to this server.`;
    return fail(line, theirs, mine);
  }
  const fallback = options.dataCiphersFallback;
  const facts = fallback === undefined ? undefined : cipherFacts(fallback);
  if (facts !== undefined) return facts;
  return {
    line: 'OPTIONS ERROR: failed to negotiate cipher with server. Configure --data-ciphers-fallback if you want to connect to this server.',
    error: new SallyportError(
      `The server did not say which data cipher it uses (it is old or does not negotiate); ours are ${mine}`,
      {
        code: 'SALLYPORT_NEGOTIATION',
        blame: 'config',
        hint: 'Add the line: data-ciphers-fallback AES-256-CBC (or the cipher that stands in the server’s configuration).',
      },
    ),
  };
}

function isAllowed(options: Pick<SessionOptions, 'dataCiphers' | 'dataCiphersFallback'>, cipher: string): boolean {
  return includesCipher(options.dataCiphers, cipher) || options.dataCiphersFallback?.toUpperCase() === cipher;
}

function includesCipher(list: readonly string[], cipher: string): boolean {
  return list.some((name) => name.toUpperCase() === cipher.toUpperCase());
}

function fail(line: string, theirs: string, mine: string): NegotiationFailure {
  const known = cipherFacts(theirs) !== undefined;
  return {
    line,
    error: new SallyportError(`No shared data cipher: the server has ${theirs}, this side allows ${mine}`, {
      code: 'SALLYPORT_NEGOTIATION',
      blame: 'config',
      hint: known
        ? `Add the line: data-ciphers ${mine}:${theirs}`
        : `Sallyport does not have ${theirs}; the server must offer one of ${mine}.`,
    }),
  };
}

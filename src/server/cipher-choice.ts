// The server's part of the negotiation of the data cipher: the first of its own that the client has. Facts: docs/WIRE.md
// 7.5 and OpenVPN 2.7.8.

import { cipherFacts } from '../crypto/cipher-table.ts';
import { parseOptionsStringCipher } from '../wire/options-string.ts';
import { offeredCiphers } from '../wire/peer-info.ts';
import { replaceControls } from './clean-text.ts';

export interface CipherWishes {
  /** `data-ciphers`, DEFAULT and `?` resolved; those of the client where a file states them. */
  readonly dataCiphers: readonly string[];
  /** `data-ciphers` as it is written; undefined when it is not, or the same. For the log. */
  readonly dataCiphersWritten: string | undefined;
  /** `data-ciphers-fallback`. */
  readonly fallback: string | undefined;
}

export interface CipherOffer {
  readonly peerInfo: ReadonlyMap<string, string>;
  /** The client's, from key method 2. */
  readonly optionsString: string;
}

/** A cipher, or what AUTH_FAILED says. `lines` are for the log. */
export type CipherChoice = CipherFound | { readonly reason: string; readonly lines: readonly string[] };

export interface CipherFound {
  readonly cipher: string;
  /** Whether both sides have it in their lists, an AEAD one at that: the epoch format needs this. */
  readonly aeadNegotiated: boolean;
  readonly lines: readonly string[];
}

/** Chooses for a client that is not in a session yet; later key exchanges keep the cipher. */
export function chooseCipher(own: CipherWishes, offer: CipherOffer): CipherChoice {
  const offered = offeredCiphers(offer.peerInfo);
  const stated = parseOptionsStringCipher(offer.optionsString);
  // A client with a list of its own is not believed to take what its options string names.
  const only = offer.peerInfo.has('IV_CIPHERS') ? undefined : stated;
  const cipher = own.dataCiphers.find((name) => offered.includes(name) || name === only);
  if (cipher !== undefined) {
    return { cipher, aeadNegotiated: cipherFacts(cipher)?.kind === 'aead', lines: [] };
  }
  const mine = ownList(own);
  if (offered.length > 0) {
    const theirs = replaceControls(offered.join(':'), '?');
    return refuse(
      `PUSH: No common cipher between server and client. Server data-ciphers: ${mine}, client supported ciphers '${theirs}'`,
    );
  }
  if (stated !== undefined) {
    return refuse(
      `PUSH: No common cipher between server and client. Server data-ciphers: ${mine}, client supports cipher '${replaceControls(stated, '?')}'`,
    );
  }
  const nothing = 'PUSH: No NCP or OCC cipher data received from peer.';
  if (own.fallback !== undefined) {
    const line = `Using data channel cipher '${own.fallback}' since --data-ciphers-fallback is set.`;
    return { cipher: own.fallback, aeadNegotiated: false, lines: [nothing, line] };
  }
  return refuse(
    nothing,
    'Use --data-ciphers-fallback with the cipher the client is using if you want to allow the client to connect',
  );
}

function refuse(...lines: string[]): CipherChoice {
  return { reason: 'Data channel cipher negotiation failed (no shared cipher)', lines };
}

function ownList({ dataCiphers, dataCiphersWritten }: CipherWishes): string {
  const list = dataCiphers.join(':');
  if (dataCiphersWritten === undefined || dataCiphersWritten === list) return `'${list}'`;
  return `'${dataCiphersWritten}' (${list})`;
}

// Key method 2 on one TLS session: both messages, and from them (or from the exporter) the data keys.

import type { CipherFacts } from '../crypto/cipher-table.ts';
import type { DataKeyMaterial } from '../crypto/data-keys.ts';
import { cutDataKeys, DATA_KEYS_LABEL, deriveKey2, KEY2_BYTES } from '../crypto/derive-data-keys.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import {
  type KeyMethod2,
  type KeyMethod2Failure,
  PRE_MASTER_BYTES,
  parseKeyMethod2,
  RANDOM_BYTES,
  writeKeyMethod2,
} from '../wire/key-method-2.ts';

/** What this side says about itself. */
export interface OwnWords {
  readonly optionsString: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly peerInfo: string | undefined;
}

export interface DerivationFacts {
  readonly useExporter: boolean;
  readonly exportKeyingMaterial: (lengthBytes: number, label: string) => Uint8Array;
  readonly ownSessionId: Uint8Array;
  readonly peerSessionId: Uint8Array;
  readonly cipher: CipherFacts;
  readonly digestLengthBytes: number;
  readonly format: 'epoch' | undefined;
}

/** One exchange. Its secrets live until `close`. */
export class KeyExchange {
  readonly #crypto: CryptoProvider;
  readonly #role: 'client' | 'server';
  readonly #preMaster: Uint8Array | undefined;
  readonly #random1: Uint8Array;
  readonly #random2: Uint8Array;
  #peer: KeyMethod2 | undefined;

  constructor(crypto: CryptoProvider, role: 'client' | 'server') {
    this.#crypto = crypto;
    this.#role = role;
    this.#preMaster = role === 'client' ? crypto.randomBytes(PRE_MASTER_BYTES) : undefined;
    this.#random1 = crypto.randomBytes(RANDOM_BYTES);
    this.#random2 = crypto.randomBytes(RANDOM_BYTES);
  }

  /** What the peer said about itself, once `handleMessage` was successful. */
  get peer(): KeyMethod2 | undefined {
    return this.#peer;
  }

  /** Our message. The caller wipes it after sending. */
  writeMessage(words: OwnWords): Uint8Array {
    return writeKeyMethod2({ preMaster: this.#preMaster, random1: this.#random1, random2: this.#random2, ...words });
  }

  /** The peer's message; `rest` is what followed it in the same bytes. */
  handleMessage(bytes: Uint8Array): { readonly rest: Uint8Array } | { readonly failure: KeyMethod2Failure } {
    const parsed = parseKeyMethod2(bytes, this.#role === 'client' ? 'server' : 'client');
    if ('failure' in parsed) return parsed;
    this.#peer = parsed.value;
    return { rest: bytes.subarray(parsed.consumed) };
  }

  /** Data keys for this side. Only after both messages; the receiver of the keys wipes them. */
  deriveDataKeys(facts: DerivationFacts): DataKeyMaterial {
    const key2 = facts.useExporter
      ? facts.exportKeyingMaterial(KEY2_BYTES, DATA_KEYS_LABEL)
      : this.#deriveByPrf(facts.ownSessionId, facts.peerSessionId);
    const material = cutDataKeys(key2, this.#role, facts.cipher, facts.digestLengthBytes, facts.format);
    key2.fill(0);
    return material;
  }

  /** Wipes the sources of the keys. */
  close(): void {
    for (const secret of [this.#preMaster, this.#random1, this.#random2]) secret?.fill(0);
    for (const secret of [this.#peer?.preMaster, this.#peer?.random1, this.#peer?.random2]) secret?.fill(0);
  }

  #deriveByPrf(ownSessionId: Uint8Array, peerSessionId: Uint8Array): Uint8Array {
    const peer = this.#peer;
    const preMaster = this.#role === 'client' ? this.#preMaster : peer?.preMaster;
    if (peer === undefined || preMaster === undefined) throw new Error('the key exchange is not complete');
    const own = { random1: this.#random1, random2: this.#random2, sessionId: ownSessionId };
    const other = { random1: peer.random1, random2: peer.random2, sessionId: peerSessionId };
    const [client, server] = this.#role === 'client' ? [own, other] : [other, own];
    return deriveKey2(this.#crypto, {
      preMaster,
      clientRandom1: client.random1,
      clientRandom2: client.random2,
      serverRandom1: server.random1,
      serverRandom2: server.random2,
      clientSessionId: client.sessionId,
      serverSessionId: server.sessionId,
    });
  }
}

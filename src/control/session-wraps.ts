// The wrappings of one session: the one that it began with, and, where both sides have agreed on dynamic tls-crypt, one
// with a key of the session's own for every key after the first. It comes out of the first TLS session, so that what is
// renegotiated is hidden from whoever has the shared key file, and from everybody where there is none.
//
//   key = TLS exporter, label below, 256 bytes, laid out as a static key file
//       XOR the key file of tls-auth or tls-crypt, or the client's own of tls-crypt-v2, where there is one
//
// Which wrap a packet has follows from its key-id, which stands in clear before it: 0 is the first key and no other.
// Source: docs/WIRE.md 3.5; seen with OpenVPN 2.6.14 and 2.7.8.

import { STATIC_KEY_BYTES } from '../wire/static-key.ts';
import { type ControlWrap, createWrap, type WrapContext } from './wrap.ts';
import type { WrapOptions } from './wrap-options.ts';

const DYNAMIC_TLS_CRYPT_LABEL = 'EXPORTER-OpenVPN-dynamic-tls-crypt';

export class SessionWraps {
  /** The wrap of the first key, and of all where nothing else is agreed. */
  readonly first: ControlWrap;
  readonly #options: WrapOptions;
  readonly #context: WrapContext;
  #later: ControlWrap | undefined;

  constructor(options: WrapOptions, context: WrapContext) {
    this.#options = options;
    this.#context = context;
    this.first = createWrap(options, context);
  }

  /** The wrap of packets with this key-id. */
  of(keyId: number): ControlWrap {
    return keyId > 0 && this.#later !== undefined ? this.#later : this.first;
  }

  /** Later keys are wrapped with a key of the session's own. The exporter is that of the first TLS session. */
  beginDynamic(exportKeyingMaterial: (lengthBytes: number, label: string) => Uint8Array): void {
    const key = exportKeyingMaterial(STATIC_KEY_BYTES, DYNAMIC_TLS_CRYPT_LABEL);
    const shared = keyOf(this.#options);
    if (shared !== undefined) for (let at = 0; at < key.length; at++) key[at] = (key[at] ?? 0) ^ (shared[at] ?? 0);
    this.#later?.close();
    this.#later = createWrap({ kind: 'tls-crypt', staticKey: key }, { ...this.#context, firstSendId: undefined });
    key.fill(0);
  }

  /** Wipes the keys. */
  close(): void {
    this.first.close();
    this.#later?.close();
  }
}

function keyOf(options: WrapOptions): Uint8Array | undefined {
  switch (options.kind) {
    case 'none':
      return undefined;
    case 'tls-auth':
    case 'tls-crypt':
      return options.staticKey;
    case 'tls-crypt-v2-client':
    case 'tls-crypt-v2-server':
      return options.clientKey;
    default:
      return options satisfies never;
  }
}

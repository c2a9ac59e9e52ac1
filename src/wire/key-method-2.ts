// Key method 2: the first application data of each TLS session, in both directions.
//
//   len   field
//    4    zero
//    1    key method in the low 4 bits: 2
//   48    pre-master secret, client to server only
//   32    random1
//   32    random2
//   2+L   options string; each string ends in NUL and L counts it
//   2+L   username
//   2+L   password
//   2+L   peer info, lines `NAME=value\n`
//
// An absent string has L = 0 and no bytes (the published draft says one zero byte; the C program's ssl.c does not). Very
// old peers end after the options string.

import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

const KEY_METHOD = 2;
export const PRE_MASTER_BYTES = 48;
export const RANDOM_BYTES = 32;
/** Longest options string with its NUL [TLS_OPTIONS_LEN]. */
const OPTIONS_LIMIT = 512;
/** Longest user name or password with its NUL; builds with PKCS#11 allow 4096 [USER_PASS_LEN]. */
const CREDENTIAL_LIMIT = 4096;
/** Longest peer info that is read, as much as one TLS record of the C program's buffer can bring. */
const PEER_INFO_LIMIT = 16384;

export interface KeyMethod2 {
  /** 48 bytes from a TLS client, undefined from a server. */
  readonly preMaster: Uint8Array | undefined;
  readonly random1: Uint8Array;
  readonly random2: Uint8Array;
  readonly optionsString: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly peerInfo: string | undefined;
}

export type KeyMethod2Failure = 'short' | 'key-method' | 'options' | 'credentials' | 'peer-info';

/**
 * Parses a peer's message. `consumed` tells where text messages may follow in the same bytes. Secrets are copies: wipe
 * them after use.
 */
export function parseKeyMethod2(
  bytes: Uint8Array,
  sender: 'client' | 'server',
): { readonly value: KeyMethod2; readonly consumed: number } | { readonly failure: KeyMethod2Failure } {
  const reader = new Reader(bytes);
  reader.u32();
  const method = reader.u8() & 0x0f;
  if (reader.failed) return { failure: 'short' };
  if (method !== KEY_METHOD) return { failure: 'key-method' };
  const preMaster = sender === 'client' ? reader.bytes(PRE_MASTER_BYTES).slice() : undefined;
  const random1 = reader.bytes(RANDOM_BYTES).slice();
  const random2 = reader.bytes(RANDOM_BYTES).slice();
  if (reader.failed) return { failure: 'short' };

  const optionsString = readString(reader, OPTIONS_LIMIT);
  if (optionsString === 'bad' || optionsString === undefined) return { failure: 'options' };
  const username = reader.remaining > 0 ? readString(reader, CREDENTIAL_LIMIT) : undefined;
  const password = reader.remaining > 0 && username !== 'bad' ? readString(reader, CREDENTIAL_LIMIT) : undefined;
  if (username === 'bad' || password === 'bad') return { failure: 'credentials' };
  const peerInfo = reader.remaining > 0 ? readString(reader, PEER_INFO_LIMIT) : undefined;
  if (peerInfo === 'bad') return { failure: 'peer-info' };
  const text = { optionsString: optionsString.text, username: username?.text, password: password?.text };
  return {
    value: { preMaster, random1, random2, ...text, peerInfo: peerInfo?.text },
    consumed: reader.offset,
  };
}

/** Writes our message; a string that is too long for the format is misuse and throws. */
export function writeKeyMethod2(message: KeyMethod2): Uint8Array {
  const encoder = new TextEncoder();
  const strings: readonly (readonly [string | undefined, number])[] = [
    [message.optionsString, OPTIONS_LIMIT],
    [message.username, CREDENTIAL_LIMIT],
    [message.password, CREDENTIAL_LIMIT],
    [message.peerInfo, PEER_INFO_LIMIT],
  ];
  const encoded = strings.map(([text, limit]) => {
    if (text === undefined) return undefined;
    const bytes = encoder.encode(text);
    if (bytes.length + 1 > limit)
      throw new RangeError(`a string of ${bytes.length} bytes is too long for key method 2`);
    if (bytes.includes(0)) throw new TypeError('a string with NUL does not fit into key method 2');
    return bytes;
  });
  const writer = new Writer(encoded.reduce((sum, bytes) => sum + 3 + (bytes?.length ?? 0), 5 + PRE_MASTER_BYTES + 64));
  writer.u32(0).u8(KEY_METHOD);
  if (message.preMaster !== undefined) writer.bytes(message.preMaster);
  writer.bytes(message.random1).bytes(message.random2);
  for (const bytes of encoded) {
    if (bytes === undefined) writer.u16(0);
    else
      writer
        .u16(bytes.length + 1)
        .bytes(bytes)
        .u8(0);
  }
  const out = writer.finish();
  writer.wipe();
  return out;
}

function readString(reader: Reader, limit: number): { readonly text: string } | undefined | 'bad' {
  const length = reader.u16();
  if (reader.failed || length > limit) return 'bad';
  if (length === 0) return undefined;
  const bytes = reader.bytes(length);
  if (reader.failed || bytes[length - 1] !== 0) return 'bad';
  const end = bytes.indexOf(0);
  return { text: new TextDecoder().decode(bytes.subarray(0, end)) };
}

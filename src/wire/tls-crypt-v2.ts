// tls-crypt-v2 keys and the wrapped client key.
//
//   server key file   cipher[64] | hmac[64]
//   client key file   Kc[256] | WKc
//   WKc               tag[32] | AES-256-CTR(Kc | metadata) | length u16, which counts all of WKc
//   metadata          type u8 | bytes; may be absent
//
// The wrapped key is opaque to a client: it carries it and appends it. Only who has the server key makes and opens one
// (crypto/wrapped-key.ts).

import { formatBase64, parseBase64 } from './base64.ts';
import { parsePemLines, writePem } from './pem.ts';
import { Reader } from './reader.ts';
import { STATIC_KEY_BYTES } from './static-key.ts';
import { concatBytes, Writer } from './writer.ts';

const CLIENT_LABEL = 'OpenVPN tls-crypt-v2 client key';
const SERVER_LABEL = 'OpenVPN tls-crypt-v2 server key';
export const TLS_CRYPT_V2_SERVER_KEY_BYTES = 128;
const TAG_BYTES = 32;
const LENGTH_BYTES = 2;
const TIMESTAMP_BYTES = 8;
/** Smallest and largest wrapped key: no metadata, and the C program's buffer. */
const WKC_MIN_BYTES = TAG_BYTES + STATIC_KEY_BYTES + LENGTH_BYTES;
const WKC_MAX_BYTES = 1024;
/** What a wrapped key can carry beside the client key, its type byte counted. */
export const WKC_METADATA_MAX_BYTES = WKC_MAX_BYTES - WKC_MIN_BYTES;

/** What metadata is: bytes of the administrator's, or the Unix time at which the key was made, eight bytes. */
export const MetadataType = { user: 0x00, timestamp: 0x01 } as const;

export interface WrappedMetadata {
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface TlsCryptV2ClientKey {
  readonly clientKey: Uint8Array;
  readonly wrappedKey: Uint8Array;
}

export type KeyFile<T> = T | { readonly problem: string };

/** A client key file: Kc and the wrapped key to append. */
export function parseTlsCryptV2ClientKey(text: string): KeyFile<TlsCryptV2ClientKey> {
  const bytes = parseEnvelope(text, CLIENT_LABEL);
  if (!(bytes instanceof Uint8Array)) return bytes;
  const wrappedKey = bytes.slice(STATIC_KEY_BYTES);
  if (!isWrappedKey(wrappedKey)) return { problem: 'its wrapped key has a length that cannot be right' };
  return { clientKey: bytes.slice(0, STATIC_KEY_BYTES), wrappedKey };
}

/** A server key file: 128 bytes. */
export function parseTlsCryptV2ServerKey(text: string): KeyFile<{ readonly serverKey: Uint8Array }> {
  const bytes = parseEnvelope(text, SERVER_LABEL);
  if (!(bytes instanceof Uint8Array)) return bytes;
  if (bytes.length !== TLS_CRYPT_V2_SERVER_KEY_BYTES) {
    return { problem: `it has ${bytes.length} bytes where ${TLS_CRYPT_V2_SERVER_KEY_BYTES} belong` };
  }
  return { serverKey: bytes };
}

export function writeTlsCryptV2ClientKey(key: TlsCryptV2ClientKey): string {
  return writePem(CLIENT_LABEL, formatBase64(concatBytes(key.clientKey, key.wrappedKey)));
}

export function writeTlsCryptV2ServerKey(serverKey: Uint8Array): string {
  return writePem(SERVER_LABEL, formatBase64(serverKey));
}

/** Whether the bytes have a wrapped key's shape: bounds, and a last u16 that counts them all. */
export function isWrappedKey(bytes: Uint8Array): boolean {
  if (bytes.length < WKC_MIN_BYTES || bytes.length > WKC_MAX_BYTES) return false;
  return (((bytes[bytes.length - 2] ?? 0) << 8) | (bytes[bytes.length - 1] ?? 0)) === bytes.length;
}

/** Splits a wrapped key off the end of a packet (opcodes 10 and 11); undefined when its length lies. Views. */
export function splitWrappedKey(
  packet: Uint8Array,
): { readonly packet: Uint8Array; readonly wrappedKey: Uint8Array } | undefined {
  if (packet.length < WKC_MIN_BYTES) return undefined;
  const length = ((packet[packet.length - 2] ?? 0) << 8) | (packet[packet.length - 1] ?? 0);
  if (length < WKC_MIN_BYTES || length > WKC_MAX_BYTES || length > packet.length) return undefined;
  const at = packet.length - length;
  return { packet: packet.subarray(0, at), wrappedKey: packet.subarray(at) };
}

/** Metadata that says when the key was made. */
export function timestampMetadata(unixSeconds: number): WrappedMetadata {
  const writer = new Writer(TIMESTAMP_BYTES).u32(Math.floor(unixSeconds / 2 ** 32)).u32(unixSeconds);
  return { type: MetadataType.timestamp, bytes: writer.finish() };
}

/** Unix seconds at which the key was made; undefined where the metadata does not say. */
export function parseTimestamp(metadata: WrappedMetadata | undefined): number | undefined {
  if (metadata?.type !== MetadataType.timestamp || metadata.bytes.length < TIMESTAMP_BYTES) return undefined;
  const reader = new Reader(metadata.bytes);
  // Signed, as the C program reads it.
  return (reader.u32() | 0) * 2 ** 32 + reader.u32();
}

function parseEnvelope(text: string, label: string): Uint8Array | { readonly problem: string } {
  const lines = parsePemLines(text, label);
  if (lines === undefined) return { problem: `there is no -----BEGIN ${label}----- … -----END ${label}----- in it` };
  return parseBase64(lines.join('')) ?? { problem: 'it is not base64' };
}

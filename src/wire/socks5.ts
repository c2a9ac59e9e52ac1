// SOCKS 5 (RFC 1928) and its login by user name and password (RFC 1929), from the client's side. In order:
//   greeting   05 | number of methods | methods           answer  05 | method
//   login      01 | length | user name | length | password         answer  01 | 0 for granted
//   request    05 | command | 00 | address type | address | port   answer  05 | reply | 00 | address type | address | port
// Address types: 1 IPv4, 3 a name behind its length, 4 IPv6. All integers big-endian.

import { Reader } from './reader.ts';

const VERSION = 0x05;
const LOGIN_VERSION = 0x01;
const RESERVED = 0x00;

export const SocksMethod = { none: 0x00, login: 0x02 } as const;
export type SocksMethod = (typeof SocksMethod)[keyof typeof SocksMethod];

const SocksCommand = { connect: 0x01, udpAssociate: 0x03 } as const;

const AddressType = { ipv4: 0x01, name: 0x03, ipv6: 0x04 } as const;

/** The longest that a byte can tell. */
const SOCKS_TEXT_BYTES_MAX = 255;

/** Why a request was not granted, by the proxy's number. */
const REPLIES: readonly string[] = [
  'succeeded',
  'general failure',
  'not allowed by the rules of the proxy',
  'network unreachable',
  'host unreachable',
  'connection refused',
  'time to live expired',
  'command not supported',
  'address type not supported',
];

/** Asks for exactly one method. */
export const writeSocksGreeting = (method: SocksMethod): Uint8Array => Uint8Array.of(VERSION, 1, method);

/** The login; undefined where either text is longer than a byte can tell. */
export function writeSocksLogin(username: string, password: string): Uint8Array | undefined {
  const [user, secret] = [username, password].map((text) => new TextEncoder().encode(text)) as [Uint8Array, Uint8Array];
  if (user.length > SOCKS_TEXT_BYTES_MAX || secret.length > SOCKS_TEXT_BYTES_MAX) return undefined;
  return Uint8Array.of(LOGIN_VERSION, user.length, ...user, secret.length, ...secret);
}

/** Asks for a stream to a host that the proxy looks up, an address written as text among them, as the C program does. */
export function writeSocksConnect(host: string, port: number): Uint8Array {
  const name = new TextEncoder().encode(host).subarray(0, SOCKS_TEXT_BYTES_MAX);
  const address = [AddressType.name, name.length, ...name, port >> 8, port & 0xff];
  return Uint8Array.of(VERSION, SocksCommand.connect, RESERVED, ...address);
}

/** Asks for a relay of datagrams from wherever they will come. */
export const writeSocksAssociate = (): Uint8Array =>
  Uint8Array.of(VERSION, SocksCommand.udpAssociate, RESERVED, AddressType.ipv4, 0, 0, 0, 0, 0, 0);

/** A two-byte answer, to the greeting or to a login; undefined while it is not all there. */
export function parseSocksAnswer(bytes: Uint8Array): { readonly version: number; readonly value: number } | undefined {
  const [version, value] = bytes;
  return version === undefined || value === undefined ? undefined : { version, value };
}

/** Whether the greeting was answered with SOCKS 5. */
export const isSocks5 = (version: number): boolean => version === VERSION;

/** Whether a login was granted. The answer's version is 1; the C program expects 5, and there are proxies that send it. */
export const isLoginGranted = ({ version, value }: { readonly version: number; readonly value: number }): boolean =>
  (version === LOGIN_VERSION || version === VERSION) && value === 0;

/** The answer to a request. */
export type SocksReply =
  | {
      readonly type: 'granted';
      /** Where the proxy listens or connects from: 4 or 16 bytes; undefined where it says so by a name. */
      readonly address: Uint8Array | undefined;
      readonly port: number;
      /** Length of the answer in bytes. */
      readonly length: number;
    }
  | { readonly type: 'refused'; readonly reply: number; readonly text: string }
  | { readonly type: 'bad'; readonly problem: 'version' | 'address-type' };

/** undefined while it is not all there. A refusal is known by its second byte: some proxies say no more. */
export function parseSocksReply(bytes: Uint8Array): SocksReply | undefined {
  const reader = new Reader(bytes);
  const version = reader.u8();
  if (bytes.length > 0 && version !== VERSION) return { type: 'bad', problem: 'version' };
  const reply = reader.u8();
  if (!reader.failed && reply !== 0) return { type: 'refused', reply, text: REPLIES[reply] ?? 'unknown reason' };
  reader.u8();
  const type = reader.u8();
  if (reader.failed) return undefined;
  const lengthBytes = type === AddressType.ipv4 ? 4 : type === AddressType.ipv6 ? 16 : undefined;
  if (lengthBytes === undefined && type !== AddressType.name) return { type: 'bad', problem: 'address-type' };
  const address = reader.bytes(lengthBytes ?? reader.u8());
  const port = reader.u16();
  if (reader.failed) return undefined;
  return {
    type: 'granted',
    address: lengthBytes === undefined ? undefined : address,
    port,
    length: bytes.length - reader.remaining,
  };
}

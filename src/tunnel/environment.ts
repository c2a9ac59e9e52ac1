// What the environments of a client's and of a server's scripts have in common: cleaned names and values, certificates,
// the peer's address. Observed with OpenVPN 2.6.14 and 2.7.8.

import { type AddressBytes, formatAddress } from '../ip/address.ts';
import { type SocketAddress, unmapSocketAddress } from '../ip/socket-address.ts';

export type ScriptEnvironment = Readonly<Record<string, string>>;

/** One certificate as scripts see it; a `PeerCertificate` of the TLS engine is one. */
export interface CertificateFacts {
  readonly depth: number;
  readonly subject: string;
  readonly subjectFields: readonly (readonly [name: string, value: string])[];
  readonly commonName: string | undefined;
  /** Upper-case hexadecimal without separators. */
  readonly serialHex: string;
  readonly sha1: Uint8Array;
  readonly sha256: Uint8Array;
  readonly pem: string;
  /** An extension in OpenSSL's words, by its short name. */
  extensionText?(name: string): string | undefined;
}

/** Drops what the C program drops from names and values, so that a peer's text can't smuggle a line or another variable in. */
export class Environment {
  readonly #values = new Map<string, string>();

  set(name: string, value: string): void {
    this.#values.set(cleanName(name), value.replace(/[\0-\x1f\x7f]/g, ''));
  }

  /** Sets `name`, or `name_1` … when that exists: several fields of one name in a certificate's subject. */
  add(name: string, value: string): void {
    let free = name;
    for (let n = 1; this.#values.has(cleanName(free)); n++) {
      if (n === 1000) return;
      free = `${name}_${n}`;
    }
    this.set(free, value);
  }

  values(security: number): ScriptEnvironment {
    const passwords = security >= 3;
    return Object.fromEntries([...this.#values].filter(([name]) => passwords || !name.startsWith('password')));
  }
}

/** What scripts are told of one certificate. */
export function addCertificate(environment: Environment, certificate: CertificateFacts): void {
  const { depth } = certificate;
  for (const [name, value] of certificate.subjectFields)
    environment.add(`X509_${depth}_${name}`, value.replace(/[\0-\x1f\x7f]/g, '_'));
  addCertificateIdentity(environment, certificate);
}

/** What they are told all the same while a renegotiation has not come to this certificate. */
export function addCertificateIdentity(environment: Environment, certificate: CertificateFacts): void {
  const { depth, serialHex } = certificate;
  environment.set(`tls_id_${depth}`, certificate.subject);
  environment.set(`tls_digest_${depth}`, colonHex(certificate.sha1));
  environment.set(`tls_digest_sha256_${depth}`, colonHex(certificate.sha256));
  environment.set(`tls_serial_${depth}`, decimalOfHex(serialHex));
  environment.set(`tls_serial_hex_${depth}`, serialPairs(serialHex));
  if (depth === 0 && certificate.commonName !== undefined) environment.set('common_name', certificate.commonName);
}

/** What scripts are told of the peer's outer address. */
export function addPeer(
  environment: Environment,
  word: 'trusted' | 'untrusted',
  socket: SocketAddress | undefined,
): void {
  if (socket === undefined) return;
  const { family, address, port } = unmapSocketAddress(socket);
  environment.set(family === 4 ? `${word}_ip` : `${word}_ip6`, formatAddress(address));
  environment.set(`${word}_port`, String(port));
}

function cleanName(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '');
}

function colonHex(bytes: AddressBytes): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function serialPairs(hex: string): string {
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  return (even.toLowerCase().match(/../g) ?? []).join(':');
}

function decimalOfHex(hex: string): string {
  return /^[0-9A-Fa-f]+$/.test(hex) ? BigInt(`0x${hex}`).toString() : '0';
}

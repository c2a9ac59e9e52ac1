// Pre-shared keys of the control channel, made for one test run.

import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './process.ts';

export interface StaticKeys {
  /** A 2048 bit static key for tls-auth and tls-crypt, and another one that no peer knows. */
  readonly shared: string;
  readonly foreign: string;
  /** A tls-crypt-v2 server key, a client key wrapped by it, and a client key of another server. */
  readonly v2Server: string;
  readonly v2Client: string;
  readonly v2ForeignClient: string;
}

/** Writes the keys into `dir`. */
export async function makeStaticKeys(dir: string): Promise<StaticKeys> {
  const path = (name: string) => join(dir, name);
  const keys: StaticKeys = {
    shared: path('shared.key'),
    foreign: path('foreign.static.key'),
    v2Server: path('v2-server.key'),
    v2Client: path('v2-client.key'),
    v2ForeignClient: path('v2-foreign-client.key'),
  };
  await writeFile(keys.shared, staticKeyText());
  await writeFile(keys.foreign, staticKeyText());
  await run(['openvpn', '--genkey', 'tls-crypt-v2-server', keys.v2Server]);
  await run(['openvpn', '--tls-crypt-v2', keys.v2Server, '--genkey', 'tls-crypt-v2-client', keys.v2Client]);
  await run(['openvpn', '--genkey', 'tls-crypt-v2-server', path('v2-other-server.key')]);
  await run([
    'openvpn',
    '--tls-crypt-v2',
    path('v2-other-server.key'),
    '--genkey',
    'tls-crypt-v2-client',
    keys.v2ForeignClient,
  ]);
  return keys;
}

/** A tls-crypt-v2 client key of a chosen age: the programs can only make new ones. */
export async function writeAgedClientKey(path: string, serverKey: string, unixSeconds: number): Promise<void> {
  const server = Buffer.from((await readFile(serverKey, 'utf8')).replace(/-----.*-----/g, ''), 'base64');
  const metadata = Buffer.alloc(9);
  // Type 1: a timestamp.
  metadata[0] = 1;
  metadata.writeBigInt64BE(BigInt(unixSeconds), 1);
  const clientKey = randomBytes(256);
  const plain = Buffer.concat([clientKey, metadata]);
  // Wrapped: tag (32) | AES-256-CTR of key and metadata | length of all (2). The tag is over length, key and metadata.
  const length = Buffer.alloc(2);
  length.writeUInt16BE(32 + plain.length + 2);
  const tag = createHmac('sha256', server.subarray(64, 96)).update(length).update(plain).digest();
  const cipher = createCipheriv('aes-256-ctr', server.subarray(0, 32), tag.subarray(0, 16));
  const wrapped = Buffer.concat([tag, cipher.update(plain), cipher.final(), length]);
  const text = Buffer.concat([clientKey, wrapped]).toString('base64').replace(/.{64}/g, '$&\n');
  const name = 'OpenVPN tls-crypt-v2 client key';
  await writeFile(path, `-----BEGIN ${name}-----\n${text}\n-----END ${name}-----\n`);
}

function staticKeyText(): string {
  const lines = randomBytes(256).toString('hex').match(/.{32}/g) ?? [];
  return ['-----BEGIN OpenVPN Static key V1-----', ...lines, '-----END OpenVPN Static key V1-----', ''].join('\n');
}

// Pre-shared keys of the control channel, made for one test run.

import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
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

function staticKeyText(): string {
  const lines = randomBytes(256).toString('hex').match(/.{32}/g) ?? [];
  return ['-----BEGIN OpenVPN Static key V1-----', ...lines, '-----END OpenVPN Static key V1-----', ''].join('\n');
}

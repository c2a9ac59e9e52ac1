// What a tunnel is measured against beside OpenVPN: a WireGuard tunnel of wireguard-go between the same namespaces, and the
// way between them without any tunnel.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Lab, tunnel } from '../test/lab/lab.ts';
import { address } from '../test/lab/net.ts';
import { eventually, type WatchedProcess } from '../test/lab/process.ts';

/** `wireguard-go`: the program of that name, or the one that WIREGUARD_GO names; `wg` sets it up. */
export type Contender = 'wireguard-go' | 'veth';

export const isContender = (name: string): name is Contender => name === 'wireguard-go' || name === 'veth';

export interface Contest {
  /** What the client connects to. */
  readonly target: string;
  /** The processes at both ends whose time counts. */
  readonly ends: readonly WatchedProcess[];
  close(): Promise<void>;
}

const PORT = 51_820;
/** Its usual one: an outer packet then fits into 1500 bytes. */
const MTU_BYTES = 1420;

export async function openContest(lab: Lab, contender: Contender): Promise<Contest> {
  const { client, server } = lab.net;
  if (contender === 'veth') return { target: address.server4, ends: [], close: async () => {} };
  // Their control sockets lie in one folder, so the names differ.
  const device = `wgb${randomBytes(2).toString('hex')}`;
  const [mine, theirs] = [keyPair(), keyPair()];
  const sides = [
    { namespace: client, name: `${device}c`, inner: tunnel.client4, own: mine, other: theirs, endpoint: true },
    { namespace: server, name: `${device}s`, inner: tunnel.server4, own: theirs, other: mine, endpoint: false },
  ];
  const program = process.env.WIREGUARD_GO ?? 'wireguard-go';
  const ends = sides.map(({ namespace, name }) => namespace.watch([program, '--foreground', name], { name }));
  try {
    for (const { namespace, name, inner, own, other, endpoint } of sides) {
      const file = join(lab.dir, `${name}.key`);
      await writeFile(file, own.secret, { mode: 0o600 });
      const set = ['wg', 'set', name, 'listen-port', `${PORT}`, 'private-key', file];
      const peer = ['peer', other.shared, 'allowed-ips', '0.0.0.0/0'];
      const to = endpoint ? ['endpoint', `${address.server4}:${PORT}`] : [];
      await eventually('the control socket of wireguard-go', async () => {
        return (await namespace.run([...set, ...peer, ...to], { anyCode: true })).code === 0;
      });
      await namespace.ip(`address add ${inner}/24 dev ${name}`);
      await namespace.ip(`link set ${name} mtu ${MTU_BYTES} up`);
    }
  } catch (error) {
    await Promise.all(ends.map((end) => end.kill()));
    throw error;
  }
  return {
    target: tunnel.server4,
    ends,
    async close() {
      await Promise.all(ends.map((end) => end.stop()));
    },
  };
}

interface Keys {
  readonly secret: string;
  readonly shared: string;
}

/** As `wg` takes them: 32 bytes each, base64. */
function keyPair(): Keys {
  const { d = '', x = '' } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const encoded = (text: string): string => Buffer.from(text, 'base64url').toString('base64');
  return { secret: encoded(d), shared: encoded(x) };
}

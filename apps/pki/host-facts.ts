// What `server init` wants to know of the host: its addresses and routes, the way out, and groups that exist.

import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { parseAddress, parsePrefix, prefixContains } from '../../src/pki.ts';
import type { Protocol } from './settings.ts';

export interface HostFacts {
  /** IPv4 networks that addresses and routes of the host name, as `10.0.0.0/24`; the default route is not one. */
  readonly networks: readonly string[];
  /** Addresses that a server could listen on, both families, no loopback or link-local ones. */
  readonly addresses: readonly { readonly device: string; readonly address: string }[];
  /** Device of the IPv4 default route. */
  readonly wayOut: string | undefined;
  readonly isForwarding: boolean;
  /** A group with no rights: `nogroup` on Debian, `nobody` elsewhere. */
  readonly group: string;
}

/** Reads the facts; what can't be read is left out. */
export function readHostFacts(): HostFacts {
  const addresses: { device: string; address: string }[] = [];
  const networks = new Set<string>();
  for (const [device, list = []] of Object.entries(networkInterfaces())) {
    for (const { address, cidr, internal, family } of list) {
      if (family === 'IPv4' && cidr !== null) networks.add(cidr);
      if (!internal && !/^(?:fe80:|169\.254\.)/i.test(address)) addresses.push({ device, address });
    }
  }
  const routes = parseRoutes(readOr('/proc/net/route', ''));
  for (const { network } of routes) if (network !== '0.0.0.0/0') networks.add(network);
  const groups = readOr('/etc/group', '')
    .split('\n')
    .map((line) => line.split(':')[0]);
  return {
    networks: [...networks],
    addresses,
    wayOut: routes.find(({ network }) => network === '0.0.0.0/0')?.device,
    isForwarding: readOr('/proc/sys/net/ipv4/ip_forward', '0').trim() === '1',
    group: groups.includes('nogroup') ? 'nogroup' : 'nobody',
  };
}

/** Lines of /proc/net/route: device, network and mask as 32 bits in the host's byte order (little-endian here). */
export function parseRoutes(text: string): readonly { readonly device: string; readonly network: string }[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [device = '', destination = '', , , , , , mask = ''] = line.trim().split(/\s+/);
      if (!/^[0-9A-F]{8}$/i.test(destination) || !/^[0-9A-F]{8}$/i.test(mask)) return [];
      const bytes = Buffer.from(destination, 'hex').reverse();
      const bits = Buffer.from(mask, 'hex').reduce(
        (count, byte) => count + byte.toString(2).replace(/0/g, '').length,
        0,
      );
      return [{ device, network: `${[...bytes].join('.')}/${bits}` }];
    });
}

/** Private networks in the order they are tried: the one of every OpenVPN example first. */
function* candidates(): Generator<string> {
  for (let second = 8; second < 256; second++) yield `10.${second}.0.0/24`;
  for (let second = 16; second < 32; second++) yield `172.${second}.200.0/24`;
  for (let third = 255; third > 1; third--) yield `192.168.${third}.0/24`;
}

/** A network for the tunnel that none of the host's touches; undefined when there is none left. */
export function chooseNetwork(used: readonly string[]): string | undefined {
  for (const candidate of candidates()) if (clashing(candidate, used) === undefined) return candidate;
  return undefined;
}

/** The first of the networks that shares addresses with this one. */
export function clashing(network: string, used: readonly string[]): string | undefined {
  return used.find((other) => overlap(network, other));
}

function overlap(a: string, b: string): boolean {
  const [first, second] = [parsePrefix(a), parsePrefix(b)];
  if (first === undefined || second === undefined) return false;
  return prefixContains(first, second.address) || prefixContains(second, first.address);
}

/** Whether an address can be reached from anywhere, as far as its number tells. */
export function isPublic(address: string): boolean {
  const bytes = parseAddress(address);
  if (bytes?.length !== 4) return false;
  const own = [
    '10.0.0.0/8',
    '172.16.0.0/12',
    '192.168.0.0/16',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '0.0.0.0/8',
  ];
  const documentation = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '198.18.0.0/15', '224.0.0.0/3'];
  return clashing(`${address}/32`, [...own, ...documentation]) === undefined;
}

/** Whether somebody listens on this port of all addresses now. */
export async function isPortTaken(port: number, protocol: Protocol): Promise<boolean> {
  return new Promise((resolve) => {
    if (protocol === 'tcp') {
      const server = createServer();
      server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'));
      server.listen({ port, host: '0.0.0.0' }, () => server.close(() => resolve(false)));
      return;
    }
    const socket = createSocket('udp4');
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code === 'EADDRINUSE');
    });
    socket.bind({ port, address: '0.0.0.0', exclusive: true }, () => socket.close(() => resolve(false)));
  });
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}

// Both ends of a tunnel in this process, over loopback, with devices in memory: no privilege and no namespace is needed.

import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { type Connection, type ConnectOptions, type CreateServerOptions, echoReply } from '../../src/index.ts';
import type { RunningServer, ServerSettings } from '../../src/server.ts';
import { ipPacket } from '../ip/packets.ts';
import type { BuiltLibrary } from './built-library.ts';
import type { Credential, Pki } from './pki.ts';

/** A UDP port of 127.0.0.1 that nobody has at the moment. */
export async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** The settings of a server on a free port of loopback. */
export async function memorySettings(pki: Pki, settings: Partial<ServerSettings> = {}): Promise<ServerSettings> {
  return {
    network: '10.8.0.0/24',
    listen: { host: '127.0.0.1', port: await freePort() },
    ca: pki.ca.cert,
    cert: pki.server.cert,
    key: pki.server.key,
    ...settings,
  };
}

/** A server in memory that answers pings to any address. */
export async function serveInMemory(
  library: BuiltLibrary,
  settings: ServerSettings | string,
  options: CreateServerOptions = {},
): Promise<RunningServer> {
  const server = await library.createServer(settings, { device: 'memory', ...options });
  server.device?.onPacket((packet) => {
    const reply = echoReply(packet);
    if (reply !== undefined) server.device?.write(reply);
  });
  return server;
}

/** A client of `server`; its files are inline, so that they may go. */
export function connectInMemory(
  library: BuiltLibrary,
  server: RunningServer,
  { ca }: Pick<Pki, 'ca'>,
  credential: Credential | undefined,
  { lines = [], ...options }: ConnectOptions & { readonly lines?: readonly string[] } = {},
): Promise<Connection> {
  const block = (name: string, path: string): string => `<${name}>\n${readFileSync(path, 'utf8')}</${name}>`;
  const profile = [
    'client',
    'dev tun',
    'nobind',
    `remote 127.0.0.1 ${server.addresses[0]?.port} udp4`,
    'remote-cert-tls server',
    'explicit-exit-notify 1',
    block('ca', ca.cert),
    ...(credential === undefined ? [] : [block('cert', credential.cert), block('key', credential.key)]),
    ...lines,
  ];
  return library.connect(`${profile.join('\n')}\n`, { device: 'memory', ...options });
}

/** Pings an address through the tunnel; resolves false when no answer came within a second. */
export async function pingInMemory(connection: Connection, to = '10.8.0.1', from?: string): Promise<boolean> {
  const { state, device } = connection;
  const own = from ?? (state.phase === 'connected' ? state.plan.address4?.local : undefined);
  if (device === undefined || own === undefined) throw new Error('the tunnel is not up');
  const payload = new Uint8Array([8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 1000);
    device.onPacket((packet) => {
      if (packet[20] !== 0) return;
      clearTimeout(timer);
      resolve(true);
    });
    device.write(ipPacket({ source: own, destination: to, protocol: 1, payload }));
  });
}

// The sockets that a server listens on: one for each `local` line, UDP and TCP side by side.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { ListenOption, ServerOptions } from '../config/server-options.ts';
import type { DataPlane, LinkId } from '../data/plane.ts';
import { formatLogAddress, type SocketAddress, socketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import { protocolName } from '../peer/protocol-name.ts';
import type { LinkPort, LinkRequest, ResolverPort } from '../ports.ts';
import { HostError } from '../tunnel/ports.ts';

export interface Listener {
  readonly id: LinkId;
  readonly fd: number;
  readonly profile: ConnectionProfile;
  readonly local: SocketAddress;
  readonly transport: 'udp' | 'tcp';
}

export interface ListenerPorts {
  readonly links: LinkPort;
  readonly resolver: ResolverPort;
  readonly plane: DataPlane;
  readonly log: Log;
}

/** Opens every socket, or none: throws HostError for one that can't be had. */
export async function openListeners(
  config: Config,
  server: ServerOptions,
  ports: ListenerPorts,
  signal: AbortSignal,
): Promise<readonly Listener[]> {
  const opened: Listener[] = [];
  try {
    for (const listen of server.listens) {
      const local = await localAddress(listen, config, ports, signal);
      opened.push(openListener(config, profileOf(config, listen), local, ports));
    }
    return opened;
  } catch (error) {
    await closeListeners(opened, ports);
    throw error;
  }
}

export async function closeListeners(
  listeners: readonly Listener[],
  { plane, links, log }: Pick<ListenerPorts, 'plane' | 'links' | 'log'>,
): Promise<void> {
  for (const { id, fd } of listeners) {
    log(Level.low, 'TCP/UDP: Closing socket');
    await plane.removeLink(id);
    links.close(fd);
  }
}

/** What holds for the clients of one socket. */
function profileOf({ connections }: Config, { proto, host, port }: ListenOption): ConnectionProfile {
  const [base] = connections;
  if (base === undefined) throw new Error('a configuration has at least one connection profile');
  return { ...base, proto, localHost: host, localPort: port };
}

async function localAddress(
  { host, port, proto }: ListenOption,
  config: Config,
  { resolver, log }: ListenerPorts,
  signal: AbortSignal,
): Promise<SocketAddress> {
  if (host !== undefined) {
    const [found] = await resolver.resolve(host, proto.family, signal);
    if (found !== undefined) return { ...found, port: Number(port), scopeId: 0 };
  }
  const family = proto.family ?? 4;
  if (proto.family === undefined) log(Level.info, 'Could not determine IPv4/IPv6 protocol. Using AF_INET');
  if (family === 6) log(Level.info, `setsockopt(IPV6_V6ONLY=${config.connections[0]?.bindIpv6Only ? 1 : 0})`);
  return socketAddress(new Uint8Array(family === 4 ? 4 : 16), Number(port));
}

const BIND_FAILED = 'Socket bind failed on local address';

/** A socket; where its address can't be had, the failure names it. */
function open(links: LinkPort, request: LinkRequest & { readonly local: SocketAddress }): ReturnType<LinkPort['open']> {
  try {
    return links.open(request);
  } catch (error) {
    if (!(error instanceof HostError) || !error.message.startsWith(BIND_FAILED)) throw error;
    const why = error.message.slice(BIND_FAILED.length);
    throw new HostError(error.code, `TCP/UDP: ${BIND_FAILED} ${formatLogAddress(request.local)}${why}`);
  }
}

function openListener(
  config: Config,
  profile: ConnectionProfile,
  local: SocketAddress,
  { links, plane, log }: ListenerPorts,
): Listener {
  const stream = profile.proto.transport !== 'udp';
  const { sndbuf, rcvbuf, socketFlags } = config.tunnel;
  const { fd, siblings, buffers } = open(links, {
    transport: stream ? 'tcp-server' : 'udp',
    remote: undefined,
    local,
    ipv6Only: profile.bindIpv6Only,
    sndbufBytes: sndbuf,
    rcvbufBytes: rcvbuf,
    mark: config.mark,
    bindDevice: config.bindDevice,
    mtuDiscovery: profile.mtuDiscovery,
    tcpNoDelay: socketFlags.includes('TCP_NODELAY'),
  });
  const { receive, send } = buffers;
  log(Level.osiBuffers, `Socket Buffers: R=[${receive[0]}->${receive[1]}] S=[${send[0]}->${send[1]}]`);
  const name = protocolName(profile.proto, local.family);
  const text = formatLogAddress(local);
  if (stream) log(Level.info, `Listening for incoming TCP connection on ${text}`);
  log(Level.info, `${name} link local (bound): ${text}`);
  log(Level.info, `${name} link remote: [AF_UNSPEC]`);
  const endpoint = { kind: 'fd', fd, siblings } as const;
  const id = stream
    ? plane.addListener({ endpoint })
    : plane.addLink({
        endpoint,
        framing: 'udp',
        connecting: false,
        remote: undefined,
        connected: false,
        readAhead: undefined,
      });
  return { id, fd, profile, local, transport: stream ? 'tcp' : 'udp' };
}

// One transport link of an attempt: the socket opened, handed to the plane, and told about in the log.

import type { ConnectionProfile } from '../config/config.ts';
import type { DataPlane, LinkId } from '../data/plane.ts';
import { formatAddress } from '../ip/address.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import { protocolName } from '../peer/protocol-name.ts';
import type { LinkPort, LinkRequest, OpenLink } from '../ports.ts';

export interface LinkContext {
  readonly links: LinkPort;
  readonly plane: DataPlane;
  readonly log: Log;
  readonly mark: number | undefined;
  readonly bindDevice: string | undefined;
  readonly sndbufBytes: number | undefined;
  readonly rcvbufBytes: number | undefined;
  readonly tcpNoDelay: boolean;
}

export interface AttemptLink {
  readonly id: LinkId;
  readonly fd: number;
  /** Whom packets are for, as the data plane tells it: the server, or a proxy that a stream goes through. */
  readonly remote: SocketAddress;
  /** Where they leave this host for: the same, or a relay of datagrams. No route into the tunnel may lead there. */
  readonly hop: SocketAddress;
  readonly connecting: boolean;
  readonly connected: boolean;
  local(): SocketAddress;
  /** Lines `UDPv4 link local` and `link remote`, once the link is usable. */
  announce(): void;
  /** Pushed `sndbuf` and `rcvbuf`. */
  setBuffers(sndbufBytes: number | undefined, rcvbufBytes: number | undefined): void;
  close(): Promise<void>;
}

/** Opens the socket for one remote address and gives it to the plane. Throws HostError. */
export function openAttemptLink(
  profile: ConnectionProfile,
  remote: SocketAddress,
  local: SocketAddress | undefined,
  context: LinkContext,
): AttemptLink {
  const { log, links, plane } = context;
  log(Level.info, `TCP/UDP: Preserving recently used remote address: ${formatLogAddress(remote)}`);
  const request = linkRequest(profile, remote, local, context);
  const anywhere = profile.proto.transport === 'udp' && profile.float;
  // A socket that is not connected has its family by the address it is bound to.
  const opened = links.open(
    anywhere ? { ...request, remote: undefined, local: request.local ?? anyOf(remote) } : request,
  );
  logOpened(log, opened);
  if (opened.connecting) log(Level.info, `Attempting to establish TCP connection with ${formatLogAddress(remote)}`);
  const id = plane.addLink({
    endpoint: { kind: 'fd', fd: opened.fd },
    framing: profile.proto.transport === 'udp' ? 'udp' : 'tcp',
    connecting: opened.connecting,
    remote,
    connected: opened.connected,
    readAhead: undefined,
  });
  const { fd, connecting, connected } = opened;
  return attemptLink({ id, fd, remote, hop: remote, connecting, connected }, profile, local, context);
}

/** A link that the plane has. */
export function attemptLink(
  facts: Pick<AttemptLink, 'id' | 'fd' | 'remote' | 'hop' | 'connecting' | 'connected'>,
  profile: ConnectionProfile,
  local: SocketAddress | undefined,
  { links, plane, log }: LinkContext,
): AttemptLink {
  const { id, fd, remote } = facts;
  return {
    ...facts,
    local: () => links.localAddress(fd),
    announce() {
      const name = protocolName(profile.proto, remote.family);
      log(Level.info, `${name} link local${localText(profile, local)}`);
      log(Level.info, `${name} link remote: ${formatLogAddress(remote)}`);
    },
    setBuffers(sndbufBytes, rcvbufBytes) {
      logBuffers(log, links.setBuffers(fd, sndbufBytes, rcvbufBytes));
    },
    async close() {
      await plane.removeLink(id);
      links.close(fd);
    },
  };
}

/** The socket that a profile asks for. */
export function linkRequest<Remote extends SocketAddress | undefined>(
  profile: ConnectionProfile,
  remote: Remote,
  local: SocketAddress | undefined,
  context: LinkContext,
): LinkRequest & { readonly remote: Remote } {
  return {
    transport: profile.proto.transport,
    remote,
    local: local ?? (remote && unboundLocal(profile, remote)),
    ipv6Only: profile.bindIpv6Only,
    sndbufBytes: context.sndbufBytes,
    rcvbufBytes: context.rcvbufBytes,
    mark: context.mark,
    bindDevice: context.bindDevice,
    mtuDiscovery: profile.mtuDiscovery,
    tcpNoDelay: context.tcpNoDelay,
  };
}

/** Bound to any address and the profile's port, unless `nobind` leaves both to the system. */
function unboundLocal(profile: ConnectionProfile, remote: SocketAddress): SocketAddress | undefined {
  if (!profile.bindLocal) return undefined;
  return anyOf(remote, Number(profile.localPort));
}

function anyOf({ family }: SocketAddress, port = 0): SocketAddress {
  return { family, address: new Uint8Array(family === 4 ? 4 : 16), port, scopeId: 0 };
}

function localText(profile: ConnectionProfile, local: SocketAddress | undefined): string {
  if (!profile.bindLocal) return ': (not bound)';
  const family = local?.family ?? profile.proto.family ?? 4;
  const host =
    local === undefined || local.address.every((byte) => byte === 0) ? '[undef]' : formatAddress(local.address);
  return ` (bound): [AF_INET${family === 6 ? '6' : ''}]${host}:${profile.localPort}`;
}

/** What there is to say of a socket that was opened. */
export function logOpened(log: Log, { notes = [], buffers }: OpenLink): void {
  for (const note of notes) log(Level.warning, note);
  logBuffers(log, buffers);
}

export function logBuffers(log: Log, { receive, send }: OpenLink['buffers']): void {
  log(Level.osiBuffers, `Socket Buffers: R=[${receive[0]}->${receive[1]}] S=[${send[0]}->${send[1]}]`);
}

// The transport link between two equal ends: either may begin, and where the peer is need not be known before it has come.

import type { ConnectionProfile } from '../config/config.ts';
import type { LinkId } from '../data/plane.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import { Level } from '../log.ts';
import { protocolName } from '../peer/protocol-name.ts';
import type { OpenLink } from '../ports.ts';
import { sameBytes } from '../wire/reader.ts';
import { type AttemptLink, type LinkContext, linkRequest, logOpened, openAttemptLink } from './link.ts';

export interface PeerLink {
  /** Of the socket that packets travel over; undefined while a stream is waited for. */
  readonly id: LinkId | undefined;
  readonly fd: number;
  /** Where the peer is, as far as that is said or a stream has come. */
  readonly remote: SocketAddress | undefined;
  /** What packets are sent to first, where that is not the peer itself. */
  readonly hop: SocketAddress | undefined;
  readonly connecting: boolean;
  /** Packets come from anywhere. */
  readonly shared: boolean;
  /** The socket knows where to: packets need not name it. A relay's (SOCKS) and a shared one's have to. */
  readonly connected: boolean;
  announce(): void;
  /** A stream of the listener, if this link is one and still waits: whether it is the peer's. It is closed otherwise. */
  accept(listener: LinkId, fd: number, address: SocketAddress): boolean;
  close(): Promise<void>;
}

/** A link between equal ends, beside those that a client opens. */
export interface PeerOpened {
  readonly type: 'meeting';
  readonly link: PeerLink;
}

/** Opens the socket and gives it to the plane. `remote`: as the profile has it. Throws HostError. */
export function openPeerLink(
  profile: ConnectionProfile,
  remote: SocketAddress | undefined,
  local: SocketAddress | undefined,
  context: LinkContext,
): PeerLink {
  const { transport } = profile.proto;
  if (transport === 'tcp-server') return listen(profile, remote, local, context);
  if (remote !== undefined && !(transport === 'udp' && profile.float)) return connect(profile, remote, local, context);
  return serveAnywhere(profile, remote, local, context);
}

function connect(
  profile: ConnectionProfile,
  remote: SocketAddress,
  local: SocketAddress | undefined,
  context: LinkContext,
): PeerLink {
  return callingLink(openAttemptLink(profile, remote, local, context));
}

/** A link over which this side has called its peer. */
export function callingLink(link: AttemptLink): PeerLink {
  const { id, fd, connecting, connected, remote, hop } = link;
  return {
    ...{ id, fd, remote, hop, connecting, connected },
    shared: false,
    announce: () => link.announce(),
    accept: () => false,
    close: () => link.close(),
  };
}

function serveAnywhere(
  profile: ConnectionProfile,
  remote: SocketAddress | undefined,
  local: SocketAddress | undefined,
  context: LinkContext,
): PeerLink {
  const { plane, links } = context;
  const bound = local ?? anyAddress(profile, remote);
  const { fd } = openSocket(profile, bound, context);
  const id = plane.addLink({
    endpoint: { kind: 'fd', fd },
    framing: 'udp',
    connecting: false,
    remote: undefined,
    connected: false,
    readAhead: undefined,
  });
  return {
    ...{ id, fd, remote },
    hop: undefined,
    connecting: false,
    shared: true,
    connected: false,
    announce: () => announce(profile, bound, remote, context),
    accept: () => false,
    async close() {
      await plane.removeLink(id);
      links.close(fd);
    },
  };
}

function listen(
  profile: ConnectionProfile,
  expected: SocketAddress | undefined,
  local: SocketAddress | undefined,
  context: LinkContext,
): PeerLink {
  const { plane, links, log } = context;
  const bound = local ?? anyAddress(profile, expected);
  const socket = openSocket(profile, bound, context);
  log(Level.info, `Listening for incoming TCP connection on ${formatLogAddress(bound)}`);
  const listener = plane.addListener({ endpoint: { kind: 'fd', fd: socket.fd } });
  let stream: { readonly id: LinkId; readonly fd: number; readonly remote: SocketAddress } | undefined;
  return {
    get id() {
      return stream?.id;
    },
    get fd() {
      return stream?.fd ?? socket.fd;
    },
    get remote() {
      return stream?.remote;
    },
    hop: undefined,
    connecting: false,
    shared: false,
    connected: true,
    announce: () => announce(profile, bound, stream?.remote, context),
    accept(of, fd, address) {
      const known = expected === undefined || profile.float || sameBytes(expected.address, address.address);
      if (of !== listener || stream !== undefined || !known) {
        if (!known)
          log(
            Level.linkErrors,
            `TCP NOTE: Rejected connection attempt from ${formatLogAddress(address)} due to --remote setting`,
          );
        links.close(fd);
        return false;
      }
      const id = plane.addLink({
        endpoint: { kind: 'fd', fd },
        framing: 'tcp',
        connecting: false,
        remote: address,
        connected: true,
        readAhead: undefined,
      });
      stream = { id, fd, remote: address };
      return true;
    },
    async close() {
      await plane.removeLink(listener);
      links.close(socket.fd);
      if (stream === undefined) return;
      await plane.removeLink(stream.id);
      links.close(stream.fd);
    },
  };
}

function openSocket(profile: ConnectionProfile, local: SocketAddress, context: LinkContext): OpenLink {
  const opened = context.links.open(linkRequest(profile, undefined, local, context));
  logOpened(context.log, opened);
  return opened;
}

function anyAddress(profile: ConnectionProfile, remote: SocketAddress | undefined): SocketAddress {
  const family = remote?.family ?? profile.proto.family ?? 4;
  const port = profile.bindLocal ? Number(profile.localPort) : 0;
  return { family, address: new Uint8Array(family === 4 ? 4 : 16), port, scopeId: 0 };
}

function announce(
  profile: ConnectionProfile,
  local: SocketAddress,
  remote: SocketAddress | undefined,
  { log }: LinkContext,
): void {
  const name = protocolName(profile.proto, local.family);
  log(Level.info, `${name} link local${profile.bindLocal ? ` (bound): ${formatLogAddress(local)}` : ': (not bound)'}`);
  log(Level.info, `${name} link remote: ${remote === undefined ? '[AF_UNSPEC]' : formatLogAddress(remote)}`);
}

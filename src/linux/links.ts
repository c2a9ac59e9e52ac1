// Sockets for links: made here, moved by the data plane. All are non-blocking and close-on-exec.

import type { SocketAddress } from '../ip/socket-address.ts';
import type { LinkPort, LinkRequest, OpenLink } from '../ports.ts';
import { HostError } from '../tunnel/ports.ts';
import { checked, Errno, hostError } from './errno.ts';
import { errno, libc, nativeBytes } from './libc.ts';
import { spreadByPeerId } from './peer-id-filter.ts';
import { AF_INET, AF_INET6, parseSockaddr, SOCKADDR_BYTES, writeSockaddr } from './sockaddr.ts';
import { IPPROTO_TCP, SO_RCVBUF, SOL_SOCKET, setSocketOption, socketOption, TCP_NODELAY } from './socket-options.ts';

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SO_REUSEADDR = 2;
const SO_SNDBUF = 7;
const SO_REUSEPORT = 15;
const SO_BINDTODEVICE = 25;
const SO_MARK = 36;
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IP_MTU_DISCOVER = 10;
const IP_RECVERR = 11;
const IPV6_MTU_DISCOVER = 23;
const IPV6_RECVERR = 25;
const IPV6_V6ONLY = 26;
const PMTU_DISCOVERY = { no: 0, maybe: 1, yes: 2 } as const;
/** Streams that wait in the kernel while the plane is busy; it takes no more than its own limit (somaxconn). */
const LISTEN_BACKLOG = 1024;
const IFNAME_BYTES = 16;
const F_DUPFD_CLOEXEC = 1030;

/**
 * Opens UDP and TCP sockets as the C program sets them up. A stream that listens is returned as its listening fd. A UDP socket
 * that serves many is one of `sockets`, one for each worker of the data plane; where that can't be had it is alone.
 */
export function createLinkPort(sockets = 1): LinkPort {
  const siblingsOf = new Map<number, readonly number[]>();
  const argument = nativeBytes(64);
  const address = nativeBytes(64);

  function bufferBytes(fd: number, name: number): number {
    return socketOption(fd, SOL_SOCKET, name) ?? 0;
  }

  function setBuffers(
    fd: number,
    sndbufBytes: number | undefined,
    rcvbufBytes: number | undefined,
  ): OpenLink['buffers'] {
    const before = [bufferBytes(fd, SO_RCVBUF), bufferBytes(fd, SO_SNDBUF)] as const;
    // 0 stands for the system's own size, also where it comes of a pushed number that is none; the kernel would take it for
    // its smallest.
    if (sndbufBytes) setSocketOption(fd, SOL_SOCKET, SO_SNDBUF, sndbufBytes);
    if (rcvbufBytes) setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, rcvbufBytes);
    return { receive: [before[0], bufferBytes(fd, SO_RCVBUF)], send: [before[1], bufferBytes(fd, SO_SNDBUF)] };
  }

  function readAddress(fd: number, end: 'local' | 'remote'): SocketAddress {
    argument.view.setUint32(0, SOCKADDR_BYTES, true);
    const read = end === 'local' ? libc.getsockname : libc.getpeername;
    checked(read(fd, address.address, argument.address), `Cannot read the ${end} address of the socket`);
    const found = parseSockaddr(address.view, 0);
    if (found === undefined) throw hostError('The socket has no internet address', Errno.EINVAL);
    return found;
  }

  function setUp(fd: number, request: LinkRequest, family: 4 | 6): void {
    const stream = request.transport !== 'udp';
    if (stream && !setSocketOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)) {
      throw hostError('TCP: Cannot setsockopt SO_REUSEADDR on TCP socket', errno());
    }
    // Refused marks, buffer sizes and MTU discovery leave a socket that works; the C program goes on with a note.
    if (request.mark !== undefined) setSocketOption(fd, SOL_SOCKET, SO_MARK, request.mark);
    if (stream && request.tcpNoDelay) setSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (request.mtuDiscovery !== undefined) {
      const value = PMTU_DISCOVERY[request.mtuDiscovery];
      if (family === 4) setSocketOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, value);
      else setSocketOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, value);
    }
    if (!stream) {
      // Without these an unconnected socket hears no ICMP; a dual-stack one needs both.
      setSocketOption(fd, IPPROTO_IP, IP_RECVERR, 1);
      if (family === 6) setSocketOption(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    }
    if (request.bindDevice !== undefined) bindToDevice(fd, request.bindDevice);
    if (family === 6) setSocketOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, request.ipv6Only ? 1 : 0);
  }

  function bindToDevice(fd: number, device: string): void {
    const what = `setsockopt SO_BINDTODEVICE=${device} failed`;
    if (device.length >= IFNAME_BYTES) throw hostError(what, Errno.EINVAL);
    argument.bytes.fill(0);
    for (let i = 0; i < device.length; i++) argument.bytes[i] = device.charCodeAt(i);
    checked(libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, argument.address, device.length + 1), what);
  }

  function openOne(request: LinkRequest, family: 4 | 6): { fd: number; buffers: OpenLink['buffers'] } {
    const kind = request.transport === 'udp' ? SOCK_DGRAM : SOCK_STREAM;
    const domain = family === 4 ? AF_INET : AF_INET6;
    const fd = checked(
      libc.socket(domain, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      `${request.transport === 'udp' ? 'UDP' : 'TCP'}: Cannot create UDP/TCP socket`,
    );
    try {
      setUp(fd, request, family);
      return { fd, buffers: setBuffers(fd, request.sndbufBytes, request.rcvbufBytes) };
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }

  function bind(fd: number, local: SocketAddress): void {
    const length = writeSockaddr(address.view, 0, local);
    checked(libc.bind(fd, address.address, length), 'Socket bind failed on local address');
  }

  /**
   * More sockets on the address of a bound one. It was bound without SO_REUSEPORT, so that an address that is in use is
   * refused as ever; from then on it shares its own. Nothing where anything of that is refused.
   */
  function openSiblings(fd: number, request: LinkRequest, family: 4 | 6): readonly number[] {
    const siblings: number[] = [];
    try {
      const local = readAddress(fd, 'local');
      if (!setSocketOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return [];
      while (siblings.length < sockets - 1) {
        const sibling = openOne(request, family).fd;
        siblings.push(sibling);
        checked(setSocketOption(sibling, SOL_SOCKET, SO_REUSEPORT, 1) ? 0 : -1, 'Cannot share the address');
        bind(sibling, local);
      }
      if (spreadByPeerId(fd, sockets)) return siblings;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
    for (const sibling of siblings) libc.close(sibling);
    setSocketOption(fd, SOL_SOCKET, SO_REUSEPORT, 0);
    return [];
  }

  /** True while a stream is still connecting. */
  function connect(fd: number, remote: SocketAddress): boolean {
    const length = writeSockaddr(address.view, 0, remote);
    if (libc.connect(fd, address.address, length) === 0) return false;
    const code = errno();
    if (code === Errno.EINPROGRESS) return true;
    throw hostError('Cannot connect', code);
  }

  return {
    open(request) {
      const family = (request.remote ?? request.local)?.family ?? 6;
      const { fd, buffers } = openOne(request, family);
      try {
        if (request.local !== undefined) bind(fd, request.local);
        let connecting = false;
        if (request.transport === 'tcp-server') checked(libc.listen(fd, LISTEN_BACKLOG), 'TCP: listen() failed');
        else if (request.remote !== undefined) connecting = connect(fd, request.remote);
        const connected = request.remote !== undefined && request.transport !== 'tcp-server' && !connecting;
        const local = readAddress(fd, 'local');
        const servesMany = request.transport === 'udp' && request.remote === undefined && request.local !== undefined;
        const siblings = servesMany && sockets > 1 ? openSiblings(fd, request, family) : [];
        if (siblings.length > 0) siblingsOf.set(fd, siblings);
        return { fd, siblings, connecting, connected, local, buffers };
      } catch (error) {
        libc.close(fd);
        throw error;
      }
    },
    localAddress: (fd) => readAddress(fd, 'local'),
    remoteAddress: (fd) => readAddress(fd, 'remote'),
    duplicate: (fd) => checked(libc.fcntl(fd, F_DUPFD_CLOEXEC, 0), 'Cannot duplicate the socket'),
    setBuffers(fd, sndbufBytes, rcvbufBytes) {
      for (const sibling of siblingsOf.get(fd) ?? []) setBuffers(sibling, sndbufBytes, rcvbufBytes);
      return setBuffers(fd, sndbufBytes, rcvbufBytes);
    },
    close(fd) {
      for (const sibling of siblingsOf.get(fd) ?? []) checked(libc.close(sibling), 'Cannot close the socket');
      siblingsOf.delete(fd);
      checked(libc.close(fd), 'Cannot close the socket');
    },
  };
}

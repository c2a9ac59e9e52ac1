// Links, addresses and routes over one rtnetlink socket: request, acknowledgement, synchronous. No program is run, so
// that it works after chroot and after the user drop, from a thread that kept CAP_NET_ADMIN.

import { formatAddress, parseAddress as parseAddressText } from '../ip/address.ts';
import { parseMac } from '../ip/mac-address.ts';
import { parsePrefix } from '../ip/prefix.ts';
import { HostError, type HostRoute, type NetworkPort, type RouteLookup } from '../tunnel/ports.ts';
import { checked, Errno, hostError } from './errno.ts';
import { errno, libc, nativeBytes } from './libc.ts';
import {
  type AddressChange,
  FLAG_DUMP_INTERRUPTED,
  type LinkReply,
  MessageType,
  type NetlinkMessage,
  parseAddress,
  parseError,
  parseLink,
  parseMessages,
  parseRoute,
  type RouteChange,
  type RouteReply,
  RTN_BLACKHOLE,
  RTN_PROHIBIT,
  RTN_UNICAST,
  RTN_UNREACHABLE,
  writeAddressAdd,
  writeAddressDump,
  writeAddressRemove,
  writeLinkChange,
  writeLinkQuery,
  writeRouteAdd,
  writeRouteDump,
  writeRouteExact,
  writeRouteLookup,
  writeRouteMatch,
  writeRouteRemove,
} from './rtnetlink-messages.ts';

/** A NetworkPort that holds a socket until it is closed. */
export interface NetlinkPort extends NetworkPort {
  close(): void;
}

/** Opens the socket now (before privileges go) and answers with the kernel's own words: HostError EEXIST, ENODEV … */
export function createNetlinkPort(): NetlinkPort {
  const socket = new NetlinkSocket();

  function link(device: string | number): LinkReply {
    const what = `Cannot find device ${device}`;
    const [message] = socket.request(writeLinkQuery(device), what);
    const found = message === undefined ? undefined : parseLink(message.body);
    if (found === undefined) throw hostError(what, Errno.ENODEV);
    return found;
  }

  function changeAddress(
    write: (change: AddressChange) => Uint8Array,
    verb: string,
    device: string,
    address: string,
    prefixLength: number,
    options: { remote?: string; broadcast?: string },
  ): void {
    const change: AddressChange = {
      index: link(device).index,
      address: toBytes(address),
      prefixLength,
      remote: options.remote === undefined ? undefined : toBytes(options.remote),
      broadcast: options.broadcast === undefined ? undefined : toBytes(options.broadcast),
    };
    socket.request(write(change), `Cannot ${verb} address ${address}/${prefixLength} on ${device}`);
  }

  function routeChange(route: HostRoute): RouteChange {
    const prefix = parsePrefix(route.prefix);
    if (prefix === undefined) throw hostError(`${route.prefix} is no network`, Errno.EINVAL);
    return {
      prefix: prefix.address,
      prefixLength: prefix.length,
      gateway: route.gateway === undefined ? undefined : toBytes(route.gateway),
      index: route.device === undefined ? undefined : link(route.device).index,
      metric: route.metric,
      table: route.table,
      routeType: route.type === undefined ? undefined : REFUSALS[route.type],
    };
  }

  /** Whether one question settles that no route of a network so narrow exists, without a walk over all routes. */
  function hasNothingSoNarrow(address: Uint8Array, prefixLength: number): boolean {
    try {
      const [message] = socket.request(writeRouteMatch(address), 'Cannot look up a route');
      const reply = message === undefined ? undefined : parseRoute(message.body);
      return reply?.table === MAIN_TABLE && reply.routeType === RTN_UNICAST && reply.prefixLength < prefixLength;
    } catch {
      return false;
    }
  }

  function nameOf(index: number | undefined): string | undefined {
    return index === undefined || index === 0 ? undefined : link(index).name;
  }

  return {
    setLinkUp(device, up) {
      socket.request(writeLinkChange(link(device).index, { up }), `Cannot set ${device} ${up ? 'up' : 'down'}`);
    },
    setMtu(device, mtuBytes) {
      socket.request(
        writeLinkChange(link(device).index, { mtuBytes }),
        `Cannot set the MTU of ${device} to ${mtuBytes}`,
      );
    },
    setLinkAddress(device, address) {
      const linkAddress = parseMac(address);
      if (linkAddress === undefined) throw hostError(`${address} is no Ethernet address`, Errno.EINVAL);
      socket.request(
        writeLinkChange(link(device).index, { linkAddress }),
        `Cannot set the link layer address of ${device} to ${address}`,
      );
    },
    addAddress(device, address, prefixLength, options) {
      changeAddress(writeAddressAdd, 'add', device, address, prefixLength, options);
    },
    removeAddress(device, address, prefixLength, options) {
      changeAddress(writeAddressRemove, 'remove', device, address, prefixLength, options);
    },
    addRoute(route) {
      const message =
        route.exact === undefined ? writeRouteAdd(routeChange(route)) : writeRouteExact('add', fromHex(route.exact));
      socket.request(message, `Cannot add route ${describeRoute(route)}`);
    },
    removeRoute(route) {
      const message =
        route.exact === undefined
          ? writeRouteRemove(routeChange(route))
          : writeRouteExact('remove', fromHex(route.exact));
      socket.request(message, `Cannot remove route ${describeRoute(route)}`);
    },
    lookup(address): RouteLookup | undefined {
      let reply: RouteReply | undefined;
      try {
        const [message] = socket.request(writeRouteLookup(toBytes(address)), `Cannot look up the route to ${address}`);
        reply = message === undefined ? undefined : parseRoute(message.body);
      } catch (error) {
        if (error instanceof HostError && ['ENETUNREACH', 'EHOSTUNREACH', 'ESRCH', 'EACCES'].includes(error.code))
          return;
        throw error;
      }
      if (reply?.index === undefined || isRefusal(reply)) return undefined;
      const device = link(reply.index);
      return {
        gateway: reply.gateway === undefined ? undefined : formatAddress(reply.gateway),
        device: device.name,
        deviceIndex: device.index,
        source: reply.source === undefined ? undefined : formatAddress(reply.source),
        linkAddress: device.linkAddress === undefined ? undefined : colonHex(device.linkAddress),
      };
    },
    defaultRoutes(family): readonly HostRoute[] {
      const found: { route: HostRoute; metric: number }[] = [];
      for (const { body } of socket.request(writeRouteDump(family), 'Cannot list the routes')) {
        const reply = parseRoute(body);
        if (reply === undefined || reply.family !== family || reply.prefixLength !== 0) continue;
        if (reply.table !== MAIN_TABLE || reply.routeType !== RTN_UNICAST || reply.cloned) continue;
        const route: HostRoute = {
          prefix: family === 4 ? '0.0.0.0/0' : '::/0',
          gateway: reply.gateway === undefined ? undefined : formatAddress(reply.gateway),
          device: nameOf(reply.index),
          metric: reply.metric,
          table: undefined,
          exact: toHex(body),
        };
        found.push({ route, metric: reply.metric });
      }
      return found.sort((a, b) => a.metric - b.metric).map(({ route }) => route);
    },
    routesTo(text): readonly HostRoute[] {
      const prefix = parsePrefix(text);
      if (prefix === undefined || hasNothingSoNarrow(prefix.address, prefix.length)) return [];
      const family = prefix.address.length === 4 ? 4 : 6;
      const found: HostRoute[] = [];
      for (const { body } of socket.request(writeRouteDump(family), 'Cannot list the routes')) {
        const reply = parseRoute(body);
        if (reply?.family !== family || reply.prefixLength !== prefix.length || reply.cloned) continue;
        const destination = reply.destination ?? new Uint8Array(prefix.address.length);
        if (reply.table === LOCAL_TABLE || !sameBytes(destination, prefix.address)) continue;
        found.push({
          prefix: text,
          gateway: reply.gateway === undefined ? undefined : formatAddress(reply.gateway),
          device: nameOf(reply.index),
          metric: reply.metric,
          table: reply.table === MAIN_TABLE ? undefined : reply.table,
          ...refusalOf(reply),
        });
      }
      return found;
    },
    linkIndex(device) {
      try {
        return link(device).index;
      } catch (error) {
        if (error instanceof HostError && error.code === 'ENODEV') return undefined;
        throw error;
      }
    },
    linkAddressOf(device) {
      const { linkAddress } = link(device);
      return linkAddress === undefined ? undefined : colonHex(linkAddress);
    },
    addressesOf(device) {
      const { index } = link(device);
      const found: { address: string; prefixLength: number }[] = [];
      for (const { body } of socket.request(writeAddressDump(), `Cannot list the addresses of ${device}`)) {
        const reply = parseAddress(body);
        if (reply?.index === index)
          found.push({ address: formatAddress(reply.address), prefixLength: reply.prefixLength });
      }
      return found;
    },
    addresses() {
      const names = new Map<number, string | undefined>();
      const found: { device: string; address: string; prefixLength: number }[] = [];
      for (const { body } of socket.request(writeAddressDump(), 'Cannot list the addresses')) {
        const reply = parseAddress(body);
        if (reply === undefined) continue;
        if (!names.has(reply.index)) names.set(reply.index, nameOf(reply.index));
        const device = names.get(reply.index);
        if (device === undefined) continue;
        found.push({ device, address: formatAddress(reply.address), prefixLength: reply.prefixLength });
      }
      return found;
    },
    close: () => socket.close(),
  };
}

const MAIN_TABLE = 254;
const LOCAL_TABLE = 255;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
const POLLIN = 1;
const MSG_DONTWAIT = 0x40;
/** The kernel answers within the call; this is for a kernel that does not. */
const ANSWER_TIMEOUT_MS = 5_000;
/** The kernel cuts dumps to what the reader offers, at most 32 KiB. */
const RECEIVE_BYTES = 32_768;
const SEND_BYTES = 8_192;
const DUMP_ATTEMPTS = 3;

/** One request at a time, each with its own sequence number; answers to older ones are passed over. */
export class NetlinkSocket {
  #fd: number;
  #sequence = 0;
  readonly #sent = nativeBytes(SEND_BYTES);
  readonly #received = nativeBytes(RECEIVE_BYTES);
  readonly #poll = nativeBytes(8);

  constructor() {
    const what = 'Cannot open an rtnetlink socket';
    this.#fd = checked(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), what);
  }

  /** The messages of the answer (none for a plain acknowledgement). Throws HostError for the kernel's refusal. */
  request(message: Uint8Array, what: string): NetlinkMessage[] {
    for (let attempt = 1; ; attempt++) {
      const { messages, interrupted } = this.#exchange(message, what);
      if (!interrupted || attempt === DUMP_ATTEMPTS) return messages;
    }
  }

  #exchange(message: Uint8Array, what: string): { messages: NetlinkMessage[]; interrupted: boolean } {
    const sequence = this.#send(message, what);
    const flags = new DataView(message.buffer, message.byteOffset).getUint16(6, true);
    const answersMany = (flags & 0x300) !== 0;
    const acknowledged = (flags & 0x04) !== 0;
    const messages: NetlinkMessage[] = [];
    let interrupted = false;
    for (;;) {
      for (const reply of parseMessages(this.#receive(what))) {
        if (reply.sequence !== sequence) continue;
        if (reply.type === MessageType.error) {
          const number = parseError(reply.body);
          if (number !== 0) throw hostError(what, number);
          return { messages, interrupted };
        }
        if (reply.type === MessageType.done) return { messages, interrupted };
        if ((reply.flags & FLAG_DUMP_INTERRUPTED) !== 0) interrupted = true;
        messages.push({ ...reply, body: reply.body.slice() });
        if (!answersMany && !acknowledged) return { messages, interrupted };
      }
    }
  }

  #send(message: Uint8Array, what: string): number {
    if (this.#fd < 0) throw new Error('the rtnetlink socket is closed');
    this.#sequence = (this.#sequence % 0x7fffffff) + 1;
    if (message.length > SEND_BYTES) throw hostError(what, Errno.EMSGSIZE);
    this.#sent.bytes.set(message);
    this.#sent.view.setUint32(8, this.#sequence, true);
    checked(libc.send(this.#fd, this.#sent.address, message.length, 0), what);
    return this.#sequence;
  }

  #receive(what: string): Uint8Array {
    const deadlineMs = performance.now() + ANSWER_TIMEOUT_MS;
    for (;;) {
      const length = libc.recv(this.#fd, this.#received.address, RECEIVE_BYTES, MSG_DONTWAIT);
      if (length >= 0) return this.#received.bytes.subarray(0, length);
      const number = errno();
      if (number !== Errno.EAGAIN && number !== Errno.EINTR) throw hostError(what, number);
      const leftMs = Math.ceil(deadlineMs - performance.now());
      if (leftMs <= 0) throw hostError(what, Errno.ETIMEDOUT);
      this.#poll.view.setInt32(0, this.#fd, true);
      this.#poll.view.setInt32(4, POLLIN, true);
      libc.poll(this.#poll.address, 1, leftMs);
    }
  }

  close(): void {
    if (this.#fd >= 0) libc.close(this.#fd);
    this.#fd = -1;
  }
}

const REFUSALS = { unreachable: RTN_UNREACHABLE, blackhole: RTN_BLACKHOLE, prohibit: RTN_PROHIBIT } as const;

function refusalOf({ routeType }: RouteReply): Pick<HostRoute, 'type'> {
  for (const type of ['unreachable', 'blackhole', 'prohibit'] as const)
    if (REFUSALS[type] === routeType) return { type };
  return {};
}

/** IPv4 refuses a look-up with an errno, IPv6 answers with the refusing route. */
function isRefusal(reply: RouteReply): boolean {
  return reply.routeType >= RTN_BLACKHOLE && reply.routeType <= RTN_PROHIBIT;
}

function describeRoute(route: HostRoute): string {
  const via = route.gateway === undefined ? '' : ` via ${route.gateway}`;
  return `${route.prefix}${via}${route.device === undefined ? '' : ` dev ${route.device}`}`;
}

function toBytes(text: string): Uint8Array {
  const address = parseAddressText(text);
  if (address === undefined) throw hostError(`${text} is no address`, Errno.EINVAL);
  return address;
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

function colonHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function fromHex(text: string): Uint8Array {
  return Buffer.from(text, 'hex');
}

// rtnetlink messages as bytes, nothing of sockets. Source: the kernel's include/uapi/linux/{netlink,rtnetlink,if_addr,if_link}.h.
//
//   nlmsghdr:  length u32 | type u16 | flags u16 | sequence u32 | port u32             (16 bytes)
//   ifinfomsg: family u8 | pad u8 | type u16 | index i32 | flags u32 | change u32      (16 bytes)
//   ifaddrmsg: family u8 | prefix length u8 | flags u8 | scope u8 | index u32          (8 bytes)
//   rtmsg:     family, dst length, src length, tos, table, protocol, scope, type: u8 each | flags u32   (12 bytes)
//   attribute: length u16 (with these 4 bytes) | type u16 | value, padded to 4
//
// All numbers are in the machine's order, which is little-endian on x64 and arm64.

export const MessageType = {
  error: 2,
  done: 3,
  newLink: 16,
  getLink: 18,
  newAddress: 20,
  removeAddress: 21,
  getAddress: 22,
  newRoute: 24,
  removeRoute: 25,
  getRoute: 26,
} as const;

const REQUEST = 0x01;
const ACK = 0x04;
const DUMP = 0x300;
const REPLACE = 0x100;
const CREATE = 0x400;
export const FLAG_DUMP_INTERRUPTED = 0x10;

const HEADER_BYTES = 16;
const IFINFO_BYTES = 16;
const IFADDR_BYTES = 8;
const RTMSG_BYTES = 12;

const IFF_UP = 0x1;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_MULTIPATH = 9;
const RTA_CACHEINFO = 12;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTA_EXPIRES = 23;
const RTA_NH_ID = 30;
const RT_TABLE_MAIN = 254;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
const RTPROT_BOOT = 3;
/** Kinds of routes: ordinary, and those that refuse. */
export const RTN_UNICAST = 1;
export const RTN_BLACKHOLE = 6;
export const RTN_UNREACHABLE = 7;
export const RTN_PROHIBIT = 8;
const RTNH_F_ONLINK = 0x4;
const RTM_F_CLONED = 0x200;
/** IPv4 names the main table, whichever it was, where this is not asked for. */
const RTM_F_LOOKUP_TABLE = 0x1000;
const RTM_F_FIB_MATCH = 0x2000;
const USER_HZ = 100;

/** A message that came in; `body` is a view behind the header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** Addresses are 4 or 16 bytes. */
export interface AddressChange {
  readonly index: number;
  readonly address: Uint8Array;
  readonly prefixLength: number;
  /** The far end of a point-to-point address. */
  readonly remote?: Uint8Array | undefined;
  readonly broadcast?: Uint8Array | undefined;
}

export interface RouteChange {
  readonly prefix: Uint8Array;
  readonly prefixLength: number;
  readonly gateway: Uint8Array | undefined;
  readonly index: number | undefined;
  readonly metric: number | undefined;
  readonly table: number | undefined;
  /** RTN_*; undefined for an ordinary route. */
  readonly routeType?: number | undefined;
}

/** A route as the kernel tells it. */
export interface RouteReply {
  readonly family: 4 | 6;
  /** Undefined for a default route. */
  readonly destination: Uint8Array | undefined;
  readonly prefixLength: number;
  readonly table: number;
  /** RTN_*: 1 unicast, 2 local, 6 to 8 the refusals. */
  readonly routeType: number;
  /** An entry of the route cache, no configured route. */
  readonly cloned: boolean;
  readonly gateway: Uint8Array | undefined;
  readonly index: number | undefined;
  readonly source: Uint8Array | undefined;
  readonly metric: number;
}

export interface LinkReply {
  readonly index: number;
  readonly name: string;
  /** Link-layer address; undefined when the device has none. */
  readonly linkAddress: Uint8Array | undefined;
}

export interface AddressReply {
  readonly index: number;
  /** The device's own address (not the far end). */
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

/** Sets a link up or down, or its MTU. */
export function writeLinkChange(
  index: number,
  change: { up?: boolean; mtuBytes?: number; linkAddress?: Uint8Array },
): Uint8Array {
  const message = new MessageWriter(MessageType.newLink, REQUEST | ACK, IFINFO_BYTES);
  message.view.setInt32(HEADER_BYTES + 4, index, true);
  if (change.up !== undefined) {
    message.view.setUint32(HEADER_BYTES + 8, change.up ? IFF_UP : 0, true);
    message.view.setUint32(HEADER_BYTES + 12, IFF_UP, true);
  }
  if (change.mtuBytes !== undefined) message.number(IFLA_MTU, change.mtuBytes);
  if (change.linkAddress !== undefined) message.attribute(IFLA_ADDRESS, change.linkAddress);
  return message.finish();
}

/** Asks for one link, by its index or its name. */
export function writeLinkQuery(link: number | string): Uint8Array {
  const message = new MessageWriter(MessageType.getLink, REQUEST, IFINFO_BYTES);
  if (typeof link === 'number') message.view.setInt32(HEADER_BYTES + 4, link, true);
  else message.attribute(IFLA_IFNAME, zeroTerminated(link));
  return message.finish();
}

/** Adds an address; one that is there already is set to the same again. */
export function writeAddressAdd(change: AddressChange): Uint8Array {
  return writeAddress(MessageType.newAddress, REQUEST | ACK | CREATE | REPLACE, change);
}

/** Removes an address. */
export function writeAddressRemove(change: AddressChange): Uint8Array {
  return writeAddress(MessageType.removeAddress, REQUEST | ACK, change);
}

function writeAddress(type: number, flags: number, change: AddressChange): Uint8Array {
  const message = new MessageWriter(type, flags, IFADDR_BYTES);
  message.view.setUint8(HEADER_BYTES, familyOf(change.address));
  message.view.setUint8(HEADER_BYTES + 1, change.prefixLength);
  message.view.setUint32(HEADER_BYTES + 4, change.index, true);
  message.attribute(IFA_LOCAL, change.address);
  message.attribute(IFA_ADDRESS, change.remote ?? change.address);
  if (change.broadcast !== undefined) message.attribute(IFA_BROADCAST, change.broadcast);
  return message.finish();
}

/** Asks for all addresses of a family (all families: 0). The answer is for all links. */
export function writeAddressDump(): Uint8Array {
  return new MessageWriter(MessageType.getAddress, REQUEST | DUMP, IFADDR_BYTES).finish();
}

/** Adds a route beside others of its prefix; an identical one is refused with EEXIST. */
export function writeRouteAdd(route: RouteChange): Uint8Array {
  const scope = route.gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  return writeRoute(
    MessageType.newRoute,
    REQUEST | ACK | CREATE,
    scope,
    RTPROT_BOOT,
    route.routeType ?? RTN_UNICAST,
    route,
  );
}

/** Removes a route, whoever made it. */
export function writeRouteRemove(route: RouteChange): Uint8Array {
  return writeRoute(MessageType.removeRoute, REQUEST | ACK, RT_SCOPE_NOWHERE, 0, 0, route);
}

function writeRoute(
  type: number,
  flags: number,
  scope: number,
  protocol: number,
  routeType: number,
  route: RouteChange,
): Uint8Array {
  const message = new MessageWriter(type, flags, RTMSG_BYTES);
  const table = route.table ?? RT_TABLE_MAIN;
  const { bytes } = message;
  bytes[HEADER_BYTES] = familyOf(route.prefix);
  bytes[HEADER_BYTES + 1] = route.prefixLength;
  bytes[HEADER_BYTES + 4] = table < 256 ? table : 0;
  bytes[HEADER_BYTES + 5] = protocol;
  bytes[HEADER_BYTES + 6] = scope;
  bytes[HEADER_BYTES + 7] = routeType;
  message.attribute(RTA_DST, route.prefix);
  if (table >= 256) message.number(RTA_TABLE, table);
  if (route.gateway !== undefined) message.attribute(RTA_GATEWAY, route.gateway);
  if (route.index !== undefined) message.number(RTA_OIF, route.index);
  // 0 is the kernel's own choice in both families.
  if (route.metric !== undefined && route.metric > 0) message.number(RTA_PRIORITY, route.metric);
  return message.finish();
}

/** Asks which route a packet to the address would take. */
export function writeRouteLookup(address: Uint8Array): Uint8Array {
  const message = new MessageWriter(MessageType.getRoute, REQUEST, RTMSG_BYTES);
  message.bytes[HEADER_BYTES] = familyOf(address);
  message.bytes[HEADER_BYTES + 1] = address.length * 8;
  message.attribute(RTA_DST, address);
  return message.finish();
}

/** Asks which configured route answers for the address, rather than what comes of it. */
export function writeRouteMatch(address: Uint8Array): Uint8Array {
  const message = writeRouteLookup(address);
  viewOf(message).setUint32(HEADER_BYTES + 8, RTM_F_FIB_MATCH | RTM_F_LOOKUP_TABLE, true);
  return message;
}

/** Asks for all routes of a family. */
export function writeRouteDump(family: 4 | 6): Uint8Array {
  return writeDump(MessageType.getRoute, RTMSG_BYTES, family);
}

/** Asks for all there is of a kind, of one family. */
export function writeDump(type: number, fixedBytes: number, family: 4 | 6): Uint8Array {
  const message = new MessageWriter(type, REQUEST | DUMP, fixedBytes);
  message.bytes[HEADER_BYTES] = family === 4 ? 2 : 10;
  return message.finish();
}

/** Adds or removes exactly the route that a reply's body told, without what the kernel only reports. */
export function writeRouteExact(operation: 'add' | 'remove', body: Uint8Array): Uint8Array {
  const type = operation === 'add' ? MessageType.newRoute : MessageType.removeRoute;
  const message = new MessageWriter(type, REQUEST | ACK | (operation === 'add' ? CREATE : 0), RTMSG_BYTES);
  message.bytes.set(body.subarray(0, 8), HEADER_BYTES);
  message.bytes[HEADER_BYTES + 8] = body[8]! & RTNH_F_ONLINK;
  const attributes = [...parseAttributes(body, RTMSG_BYTES)];
  const byNextHop = attributes.some(({ type: attribute }) => attribute === RTA_NH_ID);
  for (const { type: attribute, value } of attributes) {
    if (attribute === RTA_CACHEINFO) {
      // A route learned from a router advertisement goes on ageing: expires i32 at 8, in ticks; asked for in seconds.
      const ticks = value.length >= 12 ? viewOf(value).getInt32(8, true) : 0;
      if (operation === 'add' && ticks > 0) message.number(RTA_EXPIRES, Math.ceil(ticks / USER_HZ));
      continue;
    }
    // With a next-hop object the kernel tells its content too, and takes only one of both.
    if (byNextHop && [RTA_OIF, RTA_GATEWAY, RTA_MULTIPATH, RTA_VIA].includes(attribute)) continue;
    message.attribute(attribute, attribute === RTA_MULTIPATH ? withoutHopState(value) : value);
  }
  return message.finish();
}

/** The hops of a route over several gateways without what the kernel only reports (dead, link down, offloaded). */
function withoutHopState(hops: Uint8Array): Uint8Array {
  const result = hops.slice();
  const view = viewOf(result);
  for (let at = 0; at + 8 <= result.length; ) {
    result[at + 2]! &= RTNH_F_ONLINK;
    const length = view.getUint16(at, true);
    if (length < 8) break;
    at += align(length);
  }
  return result;
}

/** Splits what one read gave; stops at the first length that does not fit. */
export function* parseMessages(bytes: Uint8Array): Generator<NetlinkMessage> {
  const view = viewOf(bytes);
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER_BYTES || at + length > bytes.length) return;
    yield {
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: bytes.subarray(at + HEADER_BYTES, at + length),
    };
    at += align(length);
  }
}

/** The errno of an error message, 0 for an acknowledgement. */
export function parseError(body: Uint8Array): number {
  return body.length < 4 ? 0 : 0 - viewOf(body).getInt32(0, true);
}

/** A route, or undefined when the body is too short or of another family. */
export function parseRoute(body: Uint8Array): RouteReply | undefined {
  const family = body[0] === 2 ? 4 : body[0] === 10 ? 6 : undefined;
  if (body.length < RTMSG_BYTES || family === undefined) return undefined;
  let table = body[4]!;
  let metric = 0;
  let index: number | undefined;
  let gateway: Uint8Array | undefined;
  let source: Uint8Array | undefined;
  let destination: Uint8Array | undefined;
  for (const { type, value } of parseAttributes(body, RTMSG_BYTES)) {
    if (type === RTA_DST) destination = value;
    else if (type === RTA_TABLE) table = numberOf(value);
    else if (type === RTA_PRIORITY) metric = numberOf(value);
    else if (type === RTA_OIF) index = numberOf(value);
    else if (type === RTA_GATEWAY) gateway = value;
    else if (type === RTA_VIA) gateway = value.subarray(2);
    else if (type === RTA_PREFSRC) source = value;
    else if (type === RTA_MULTIPATH && value.length >= 8) {
      // struct rtnexthop: length u16 | flags u8 | hops u8 | index i32 | attributes. The first hop stands for all.
      index = viewOf(value).getInt32(4, true);
      const end = Math.min(viewOf(value).getUint16(0, true), value.length);
      for (const hop of parseAttributes(value.subarray(0, end), 8)) if (hop.type === RTA_GATEWAY) gateway = hop.value;
    }
  }
  const cloned = (viewOf(body).getUint32(8, true) & RTM_F_CLONED) !== 0;
  const [prefixLength, routeType] = [body[1]!, body[7]!];
  return { family, destination, prefixLength, table, routeType, cloned, gateway, index, source, metric };
}

/** A link, or undefined when the body is too short. */
export function parseLink(body: Uint8Array): LinkReply | undefined {
  if (body.length < IFINFO_BYTES) return undefined;
  let name = '';
  let linkAddress: Uint8Array | undefined;
  for (const { type, value } of parseAttributes(body, IFINFO_BYTES)) {
    if (type === IFLA_IFNAME) name = String.fromCharCode(...value.subarray(0, Math.max(0, value.indexOf(0))));
    else if (type === IFLA_ADDRESS && value.length > 0) linkAddress = value;
  }
  return { index: viewOf(body).getInt32(4, true), name, linkAddress };
}

/** An address of a link, or undefined when the body has none. */
export function parseAddress(body: Uint8Array): AddressReply | undefined {
  if (body.length < IFADDR_BYTES) return undefined;
  let address: Uint8Array | undefined;
  let local: Uint8Array | undefined;
  for (const { type, value } of parseAttributes(body, IFADDR_BYTES)) {
    if (type === IFA_ADDRESS) address = value;
    else if (type === IFA_LOCAL) local = value;
  }
  const own = local ?? address;
  if (own === undefined) return undefined;
  return { index: viewOf(body).getUint32(4, true), address: own, prefixLength: body[1]! };
}

/** The attributes behind a fixed part of `start` bytes; stops at the first length that does not fit. */
export function* parseAttributes(body: Uint8Array, start: number): Generator<{ type: number; value: Uint8Array }> {
  const view = viewOf(body);
  for (let at = start; at + 4 <= body.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > body.length) return;
    yield { type: view.getUint16(at + 2, true) & 0x3fff, value: body.subarray(at + 4, at + length) };
    at += align(length);
  }
}

function numberOf(value: Uint8Array): number {
  return value.length < 4 ? 0 : viewOf(value).getUint32(0, true);
}

function familyOf(address: Uint8Array): number {
  return address.length === 4 ? 2 : 10;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function align(length: number): number {
  return (length + 3) & ~3;
}

function zeroTerminated(text: string): Uint8Array {
  return Uint8Array.from([...text].map((character) => character.charCodeAt(0)).concat(0));
}

/** Grows a message: header and fixed part first, attributes behind it. The sequence number is written by the socket. */
class MessageWriter {
  bytes: Uint8Array;
  view: DataView;
  #length: number;

  constructor(type: number, flags: number, fixedBytes: number) {
    this.bytes = new Uint8Array(256);
    this.view = viewOf(this.bytes);
    this.#length = HEADER_BYTES + fixedBytes;
    this.view.setUint16(4, type, true);
    this.view.setUint16(6, flags, true);
  }

  attribute(type: number, value: Uint8Array): void {
    const at = this.#reserve(4 + value.length);
    this.view.setUint16(at, 4 + value.length, true);
    this.view.setUint16(at + 2, type, true);
    this.bytes.set(value, at + 4);
  }

  number(type: number, value: number): void {
    const at = this.#reserve(8);
    this.view.setUint16(at, 8, true);
    this.view.setUint16(at + 2, type, true);
    this.view.setUint32(at + 4, value, true);
  }

  finish(): Uint8Array {
    this.view.setUint32(0, this.#length, true);
    return this.bytes.subarray(0, this.#length);
  }

  #reserve(length: number): number {
    const at = this.#length;
    this.#length = at + align(length);
    if (this.#length > this.bytes.length) {
      const grown = new Uint8Array(2 * this.#length);
      grown.set(this.bytes);
      this.bytes = grown;
      this.view = viewOf(grown);
    }
    return at;
  }
}

// Policy rules as rtnetlink tells them. Source: the kernel's include/uapi/linux/fib_rules.h.
//
//   fib_rule_hdr: family, dst length, src length, tos, table, 2 reserved, action: u8 each | flags u32   (12 bytes)

import { formatAddress } from '../ip/address.ts';
import { formatPrefix } from '../ip/prefix.ts';
import { parseAttributes, writeDump } from './rtnetlink-messages.ts';

const GET_RULE = 34;
const HEADER_BYTES = 12;
const INVERT = 0x2;
const Attribute = {
  destination: 1,
  source: 2,
  inputDevice: 3,
  goto: 4,
  priority: 6,
  mark: 10,
  suppressGroup: 13,
  suppressLength: 14,
  table: 15,
  mask: 16,
  outputDevice: 17,
  l3Master: 19,
  users: 20,
  ipProtocol: 22,
  sourcePorts: 23,
  destinationPorts: 24,
} as const;
const ACTIONS = new Map<number, PolicyRule['action']>([
  [1, 'table'],
  [2, 'goto'],
  [6, 'blackhole'],
  [7, 'unreachable'],
  [8, 'prohibit'],
]);

/** One policy rule: the first that fits a packet, and whose table has a route, decides. */
export interface PolicyRule {
  readonly priority: number;
  readonly action: 'table' | 'goto' | 'blackhole' | 'unreachable' | 'prohibit' | 'other';
  readonly table: number;
  readonly goto: number | undefined;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly mark: { readonly value: number; readonly mask: number } | undefined;
  readonly inputDevice: string | undefined;
  readonly outputDevice: string | undefined;
  /** First and last user id. */
  readonly users: readonly [number, number] | undefined;
  /** Routes of its table that are not longer than this do not count. */
  readonly suppressLength: number | undefined;
  /** Fits what its selectors do not. */
  readonly inverted: boolean;
  /** It looks at more than is told here: type of service, ports, protocol, VRF. */
  readonly more: boolean;
}

/** Asks for all rules of a family. */
export function writeRuleDump(family: 4 | 6): Uint8Array {
  return writeDump(GET_RULE, HEADER_BYTES, family);
}

/** A rule, or undefined when the body is too short. */
export function parseRule(body: Uint8Array): PolicyRule | undefined {
  if (body.length < HEADER_BYTES) return undefined;
  const found = new Map<number, Uint8Array>();
  for (const { type, value } of parseAttributes(body, HEADER_BYTES)) found.set(type, value);
  const number = (type: number): number | undefined => {
    const value = found.get(type);
    return value === undefined || value.length < 4 ? undefined : numberAt(value, 0);
  };
  const prefix = (type: number, length: number): string | undefined => {
    const address = found.get(type);
    const whole = address !== undefined && (address.length === 4 || address.length === 16);
    if (!whole || length > address.length * 8) return undefined;
    return length === address.length * 8 ? formatAddress(address) : formatPrefix({ address, length });
  };
  const users = found.get(Attribute.users);
  const suppress = number(Attribute.suppressLength);
  const { mark, mask, l3Master, ipProtocol, sourcePorts, destinationPorts, suppressGroup } = Attribute;
  const value = number(mark);
  const others = [l3Master, ipProtocol, sourcePorts, destinationPorts].some((type) => found.has(type));
  const group = number(suppressGroup);
  return {
    priority: number(Attribute.priority) ?? 0,
    action: ACTIONS.get(body[7]!) ?? 'other',
    table: number(Attribute.table) ?? body[4]!,
    goto: number(Attribute.goto),
    to: prefix(Attribute.destination, body[1]!),
    from: prefix(Attribute.source, body[2]!),
    mark: value === undefined ? undefined : { value, mask: number(mask) ?? 0xffff_ffff },
    inputDevice: textOf(found.get(Attribute.inputDevice)),
    outputDevice: textOf(found.get(Attribute.outputDevice)),
    users: users === undefined || users.length < 8 ? undefined : [numberAt(users, 0), numberAt(users, 4)],
    // -1 is the kernel's way to say that there is none.
    suppressLength: suppress === undefined || suppress > 128 ? undefined : suppress,
    inverted: (numberAt(body, 8) & INVERT) !== 0,
    more: others || body[3] !== 0 || (group !== undefined && group !== 0xffff_ffff),
  };
}

const numberAt = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at, true);

function textOf(value: Uint8Array | undefined): string | undefined {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return String.fromCharCode(...value.subarray(0, end < 0 ? value.length : end)).replace(/[^\x21-\x7e]/g, '?');
}

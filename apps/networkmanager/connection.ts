// A connection as NetworkManager hands it over: a{sa{sv}}, settings by name and properties by name in each. Read once, with
// every type checked; what is missing or wrong is told by its setting and property.
//
//   connection  id s, uuid s, permissions as ("user:NAME:"; none: everybody's)
//   vpn         data a{ss}, secrets a{ss}, user-name s, timeout u
//   ipv4, ipv6  never-default b

import { badArguments, PluginError, shown } from './plugin-error.ts';

export interface NmConnection {
  readonly id: string;
  readonly uuid: string;
  /** Whose it is alone; none: of every user, and made by somebody who may change the system's connections. */
  readonly users: readonly string[];
  readonly data: ReadonlyMap<string, string>;
  readonly secrets: ReadonlyMap<string, string>;
  /** Who activates it, where NetworkManager says so. */
  readonly userName: string | undefined;
  /** How long NetworkManager waits for the tunnel. */
  readonly timeoutSeconds: number | undefined;
  readonly neverDefault4: boolean;
  readonly neverDefault6: boolean;
}

/** Of one connection, and of one value of it: more is no connection of anybody's. */
const ENTRIES_LIMIT = 512;
const VALUE_LIMIT = 65_536;
const USERS_LIMIT = 64;

/** Throws PluginError. */
export function readConnection(value: unknown): NmConnection {
  const settings = dictionary(value, 'the connection');
  const vpn = dictionary(own(settings, 'vpn') ?? invalid('it has no vpn setting'), 'vpn');
  const connection = dictionary(own(settings, 'connection') ?? {}, 'connection');
  return {
    id: text(own(connection, 'id'), 'connection.id') ?? '',
    uuid: text(own(connection, 'uuid'), 'connection.uuid') ?? '',
    users: readUsers(own(connection, 'permissions')),
    data: texts(own(vpn, 'data'), 'vpn.data'),
    secrets: texts(own(vpn, 'secrets'), 'vpn.secrets'),
    userName: text(own(vpn, 'user-name'), 'vpn.user-name'),
    timeoutSeconds: seconds(own(vpn, 'timeout')),
    neverDefault4: neverDefault(own(settings, 'ipv4'), 'ipv4'),
    neverDefault6: neverDefault(own(settings, 'ipv6'), 'ipv6'),
  };
}

/** `user:alice:` names alice. What says anything else makes the connection nobody's, and not everybody's. */
function readUsers(value: unknown): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > USERS_LIMIT) throw wrong('connection.permissions', 'a list of texts');
  return value.map((entry: unknown) => {
    const name = typeof entry === 'string' ? /^user:([^:\0\n/]{1,256}):?$/.exec(entry)?.[1] : undefined;
    if (name === undefined) throw wrong('connection.permissions', 'made of entries like user:NAME:');
    return name;
  });
}

function neverDefault(value: unknown, name: string): boolean {
  const flag = value === undefined ? undefined : own(dictionary(value, name), 'never-default');
  if (flag !== undefined && typeof flag !== 'boolean') throw wrong(`${name}.never-default`, 'yes or no');
  return flag === true;
}

function texts(value: unknown, name: string): ReadonlyMap<string, string> {
  if (value === undefined) return new Map();
  const entries = Object.entries(dictionary(value, name));
  if (entries.length > ENTRIES_LIMIT) throw badArguments(`${name} has more than ${ENTRIES_LIMIT} entries`);
  return new Map(entries.map(([key, entry]) => [key, text(entry, `${name}.${shown(key)}`) ?? '']));
}

function text(value: unknown, name: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw wrong(name, 'a text');
  if (value.length > VALUE_LIMIT) throw badArguments(`${name} is longer than ${VALUE_LIMIT} characters`);
  return value;
}

function seconds(value: unknown): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw wrong('vpn.timeout', 'a number');
  return value;
}

function dictionary(value: unknown, name: string): Readonly<Record<string, unknown>> {
  const plain = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  if (!plain) throw wrong(name, 'a dictionary');
  return value as Readonly<Record<string, unknown>>;
}

const own = (from: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(from, name) ? from[name] : undefined;

const wrong = (name: string, what: string): PluginError => badArguments(`${name} is not ${what}`);

const invalid = (why: string): never => {
  throw new PluginError('InvalidConnection', `The connection can't be used: ${why}`);
};

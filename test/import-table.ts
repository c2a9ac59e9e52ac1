// The import table: test/structure.test.ts holds every import of src to it, test/docs.test.ts holds docs/ARCHITECTURE.md
// to it.

/** Ports: files of types that adapters implement and loops are handed. */
export const PORT_FILES: readonly string[] = [
  'crypto/provider.ts',
  'crypto/data-keys.ts',
  'control/tls-engine.ts',
  'control/wrap-options.ts',
  'data/plane.ts',
  'tunnel/ports.ts',
  'tunnel/dns-port.ts',
  'tunnel/bus-port.ts',
  'client/ports.ts',
  'server/ports.ts',
  'ip/socket-address.ts',
];

/** What each room may import besides itself, `error.ts` and `log.ts`. A file name opens that one file of a room. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  ip: [],
  wire: [],
  config: ['ip'],
  crypto: ['wire'],
  // Whose packet it is: a cookie is made over the address.
  control: ['wire', 'crypto', 'ip/socket-address.ts'],
  data: ['wire', 'crypto', 'ip'],
  session: ['wire', 'crypto', 'control', 'data'],
  // The plane's port: what kind of thing a device is.
  tunnel: ['config', 'ip', 'data/plane.ts'],
  // The host's name servers, over ports of its own.
  dns: ['tunnel', 'ip'],
  // The cipher table is plain facts: the options string states a key size.
  peer: ['session', 'tunnel', 'config', 'ip', 'wire', 'crypto/cipher-table.ts', ...PORT_FILES],
  client: ['peer', 'session', 'tunnel', 'config', 'ip', 'wire', ...PORT_FILES],
  server: ['peer', 'session', 'control', 'crypto', 'tunnel', 'config', 'ip', 'wire', ...PORT_FILES],
  linux: ['ip', 'data', 'wire', ...PORT_FILES],
  node: ['wire', ...PORT_FILES],
};

/** Rooms that know no platform: no `node:*`, no clock, no chance. */
export const PURE_ROOMS: readonly string[] = [
  'ip',
  'wire',
  'config',
  'crypto',
  'control',
  'data',
  'session',
  'tunnel',
  'dns',
  'peer',
];

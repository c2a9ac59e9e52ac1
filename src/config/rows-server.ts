// Option rows: the server.

import {
  MANY,
  type OptionClass,
  type OptionRow,
  type OptionStatus,
  refused,
  row,
  silently,
  WORKS,
} from './option-row.ts';

// All server rows have the side in common.
const server = (
  name: string,
  args: string,
  words: number | readonly [number, number],
  help: string,
  classes: OptionClass | readonly OptionClass[] = 'general',
  more: Parameters<typeof row>[6] & { readonly status?: OptionStatus } = {},
): OptionRow => row(name, args, words, classes, more.status ?? WORKS, help, { side: 'server', ...more });

const VLAN = refused(
  'the VLAN options (vlan-tagging, vlan-accept, vlan-pvid) are not taken: every client of a TAP server is in one network, and tags pass as they are',
  'Remove the line; run a server of its own for each VLAN and put their devices into bridges.',
);
const CCD = { contexts: ['ccd', 'ccd-only'] } as const;

export const SERVER_ROWS: readonly OptionRow[] = [
  row('mode', 'p2p|server', 1, 'general', WORKS, 'One peer, or a server for many.', { default: 'p2p' }),
  server(
    'server',
    'network netmask [nopool]',
    [2, 3],
    'A server for many with this network: mode, tls-server, ifconfig, a pool and what is pushed; nopool: without the pool.',
  ),
  server('server-ipv6', 'network/bits', 1, 'The same for IPv6.'),
  server(
    'server-bridge',
    '[nogw|gateway netmask start end]',
    [0, 4],
    'A server on an Ethernet bridge that gives addresses from start to end; nogw or nothing: a DHCP server there gives them.',
  ),
  server('push', '"option"', 1, 'Push this option to clients.', 'push', { contexts: ['ccd'] }),
  server('push-reset', '', 0, 'Push none of the global options to this client.', 'instance', CCD),
  server('push-remove', 'prefix', 1, 'Do not push options that begin with this to this client.', 'instance', CCD),
  server('ifconfig-pool', 'start end [netmask]', [2, 3], 'First and last address for clients.'),
  server(
    'ifconfig-pool-persist',
    'file [seconds]',
    [1, 2],
    'Remember in this file which client had which address, written every so many seconds; 0: only read.',
    'general',
    {
      default: '600 seconds',
    },
  ),
  server('ifconfig-ipv6-pool', 'address/bits', 1, 'IPv6 addresses for clients.'),
  server(
    'ifconfig-push',
    'local remote|netmask [alias]',
    [2, 3],
    'Address of this client, whatever the pool says; alias: the address by which the server knows it.',
    'instance',
    CCD,
  ),
  server('ifconfig-push-constraint', 'network netmask', 2, 'Where ifconfig-push addresses must be.'),
  server('ifconfig-ipv6-push', 'address/bits [remote]', [1, 2], 'IPv6 address of this client.', 'instance', CCD),
  server(
    'iroute',
    'network [netmask]',
    [1, 2],
    'A network behind this client; the device of the server needs a route too.',
    'instance',
    CCD,
  ),
  server('iroute-ipv6', 'network/bits', 1, 'An IPv6 network behind this client.', 'instance', CCD),
  server('disable', '', 0, 'Refuse this client.', 'instance', CCD),
  server('override-username', 'name', 1, 'Treat this client as if it had logged in under this name.', 'instance', CCD),
  server('client-config-dir', 'dir', 1, 'Directory with a file of options for each client, by name, or DEFAULT.'),
  server('ccd-exclusive', '', 0, 'Refuse clients without a file in client-config-dir.'),
  server('client-to-client', '', 0, 'Let clients reach each other inside the server.'),
  server('duplicate-cn', '', 0, 'Let one certificate be used by several clients at once.'),
  server('max-clients', 'n', 1, 'How many clients at once.', 'general', { default: '1024' }),
  server('max-routes-per-client', 'n', 1, 'How many networks behind one client.', 'inherit', {
    contexts: ['ccd'],
    default: '256',
  }),
  server('connect-freq', 'n seconds', 2, 'At most n new clients in this time.'),
  server('connect-freq-initial', 'n seconds', 2, 'At most n answers to first packets in this time (UDP).', 'general', {
    default: '100 10',
  }),
  server('hash-size', 'real virtual', 2, 'Sizes of hash tables.', 'general', {
    status: silently('tables grow as they are filled'),
  }),
  server('bcast-buffers', 'n', 1, 'Buffers for broadcasts.', 'general', {
    status: silently('a packet for several clients is not put into a queue of its own'),
    default: '256',
  }),
  server('tcp-queue-limit', 'n', 1, 'Packets waiting for one TCP client.', 'general', { default: '64' }),
  server('tcp-nodelay', '', 0, 'Push socket-flags TCP_NODELAY.', 'general', {
    deprecated: { since: '2.7', instead: 'Leave it out: it is always set.' },
  }),
  server(
    'port-share',
    'host port [dir]',
    [2, 3],
    'Pass TCP connections that are not OpenVPN to this server; files in dir tell where they came from.',
  ),
  server(
    'multihome',
    '[same-interface]',
    [0, 1],
    'Answer from the address that was asked (UDP), with same-interface by the interface it was asked at.',
  ),
  server(
    'stale-routes-check',
    'age [interval]',
    [1, 2],
    'Forget learned addresses that were not used for age seconds; looks every interval seconds, or every age.',
  ),
  server('verify-client-cert', '[none|optional|require]', [0, 1], 'Whether clients need a certificate.', 'general', {
    default: 'require',
  }),
  server('username-as-common-name', '', 0, 'Know clients by user name instead of certificate name.'),
  server('auth-user-pass-optional', '', 0, 'Let clients come without user name and password.'),
  server(
    'auth-user-pass-verify',
    'cmd via-env|via-file',
    [1, 2],
    'Program that checks user name and password, which it has from its environment or from a file.',
    'script',
  ),
  server(
    'auth-gen-token',
    '[lifetime] [renewal] [external-auth]',
    [0, MANY],
    'Give clients a token in the place of the password: valid for lifetime seconds, replaced every renewal seconds; external-auth: the program that checks passwords checks tokens as well.',
  ),
  server('auth-gen-token-secret', 'file', 1, 'Key of the tokens, so that they outlive a restart.', 'general', {
    contexts: ['inline'],
  }),
  server(
    'client-connect',
    'cmd',
    1,
    'Run when a client has logged in; may refuse it, and give it options by a file.',
    'script',
  ),
  server('client-crresponse', 'cmd', 1, "Run with a client's answer to a challenge.", 'script'),
  server('client-disconnect', 'cmd', 1, 'Run when a client is gone.', 'script'),
  server(
    'learn-address',
    'cmd',
    1,
    "Run when a client's address is learned or forgotten; exit code 0 takes it.",
    'script',
  ),
  server('force-tls-key-material-export', '', [0, MANY], 'Refuse clients that cannot derive keys from TLS.'),
  server('tls-crypt-v2-verify', 'cmd', 1, 'Run to check the metadata of a client key; exit code 0 takes it.'),
  server(
    'tls-crypt-v2-max-age',
    'days',
    [1, MANY],
    'Refuse client keys that are older, or that do not say when they were made.',
  ),
  server(
    'x509-username-field',
    '[ext:]field…',
    [1, MANY],
    'Fields of the certificate that name the client; ext: for an extension.',
    'general',
    {
      default: 'CN',
    },
  ),
  server('metrics', '[host:]port', 1, 'Serve counters as Prometheus text over HTTP; on this machine alone if no host.'),
  server('vlan-tagging', '', 0, 'Switch tagged Ethernet frames.', 'general', { status: VLAN }),
  server('vlan-accept', 'all|tagged|untagged', 1, 'Which frames are taken.', 'general', {
    status: VLAN,
    default: 'all',
  }),
  server('vlan-pvid', 'id', 1, 'VLAN of untagged frames.', ['general', 'instance'], {
    status: VLAN,
    contexts: ['ccd'],
    default: '1',
  }),
];

// Options of a server, read line by line. Macros stay as they were written; finish-server.ts expands them.

import { parseAddress } from '../ip/address.ts';
import { ipv4FromNumber, ipv4ToNumber } from '../ip/address-arithmetic.ts';
import { sourceOf } from './build-connection.ts';
import { argvOf } from './build-process.ts';
import type { Draft, Reader, Readers } from './draft.ts';
import type { Say } from './findings.ts';
import type { ServerOptions, ServerScripts } from './server-options.ts';
import { constrained, INT_MAX, integerOf, ipv6Prefix, isIpv4, isPort, nonNegative, shown } from './values.ts';

/** Ids of clients have 24 bits, one of which says "none". */
const CLIENTS_MAX = 0xfffffe;
/** Addresses that a pool may have. */
const POOL_MAX = 65536;
const BROADCAST_BUFFERS_MAX = 0xffffff;
/** Options to push that one configuration may state. */
const PUSH_LIMIT = 4096;

type FinishedElsewhere = 'listens' | 'wraps' | 'exitNotify' | 'scripts' | 'compressMigrate' | 'pool6';

/** The server's options while they are read. */
export interface ServerDraft extends Draft<Omit<ServerOptions, FinishedElsewhere>> {
  /** `server NETWORK NETMASK [nopool]`. */
  network: { readonly network: number; readonly netmask: number; readonly pool: boolean } | undefined;
  /** `server-ipv6 NETWORK/BITS`. */
  network6: { readonly address: string; readonly prefixLength: number } | undefined;
  /** `server-bridge`: the gateway and the pool of the bridged network, or `dhcp` where another DHCP server gives addresses. */
  bridge: BridgeDraft | undefined;
  pool6: ServerOptions['pool6'];
  /** The third word of `ifconfig-pool`, or what the macro says. */
  poolNetmask: string | undefined;
  tcpNodelay: boolean;
  scripts: { -readonly [K in keyof ServerScripts]: ServerScripts[K] };
}

export type BridgeDraft =
  | {
      readonly kind: 'pool';
      readonly gateway: number;
      readonly netmask: number;
      readonly first: number;
      readonly last: number;
    }
  /** `pushGateway`: clients are told to route by what DHCP says (without `nogw`). */
  | { readonly kind: 'dhcp'; readonly pushGateway: boolean };

/** A server before any line was read. */
export const emptyServer = (): ServerDraft => ({
  network: undefined,
  network6: undefined,
  bridge: undefined,
  pool4: undefined,
  pool6: undefined,
  poolNetmask: undefined,
  poolPersist: undefined,
  push: [],
  clientConfigDir: undefined,
  ccdExclusive: false,
  clientToClient: false,
  duplicateCn: false,
  maxClients: 1024,
  maxRoutesPerClient: 256,
  staleRoutes: undefined,
  connectFreq: undefined,
  connectFreqInitial: { count: 100, seconds: 10 },
  ifconfigPushConstraint: undefined,
  verifyClientCert: 'require',
  usernameAsCommonName: false,
  usernameFields: ['CN'],
  authUserPassOptional: false,
  authGenToken: undefined,
  authGenTokenSecret: undefined,
  requireExporter: false,
  tlsCryptV2: { forceCookie: false, maxAgeDays: undefined },
  portShare: undefined,
  tcpQueueLimit: 64,
  multihome: undefined,
  tmpDir: undefined,
  metrics: undefined,
  tcpNodelay: false,
  scripts: {
    authUserPassVerify: undefined,
    clientConnect: undefined,
    clientDisconnect: undefined,
    clientCrResponse: undefined,
    learnAddress: undefined,
    tlsCryptV2Verify: undefined,
  },
});

type Flag =
  | 'ccdExclusive'
  | 'clientToClient'
  | 'duplicateCn'
  | 'usernameAsCommonName'
  | 'authUserPassOptional'
  | 'requireExporter'
  | 'tcpNodelay';

const on =
  (name: Flag): Reader<ServerDraft> =>
  (draft) => {
    draft[name] = true;
  };

const number =
  (name: 'maxClients' | 'maxRoutesPerClient' | 'tcpQueueLimit', option: string, max: number): Reader<ServerDraft> =>
  (draft, [text = ''], say) => {
    draft[name] = constrained(text, option, 1, max, say) ?? draft[name];
  };

// `n seconds`, both at least 1.
const rate = (option: string, [count = '', seconds = '']: readonly string[], say: Say) => {
  const n = constrained(count, `${option} n`, 1, INT_MAX, say);
  const time = constrained(seconds, `${option} seconds`, 1, INT_MAX, say);
  return n === undefined || time === undefined ? undefined : { count: n, seconds: time };
};

const command =
  (
    name: 'clientConnect' | 'clientDisconnect' | 'clientCrResponse' | 'learnAddress' | 'tlsCryptV2Verify',
    option: string,
  ): Reader<ServerDraft> =>
  (draft, [line = ''], say) => {
    if (draft.scripts[name] !== undefined && name !== 'tlsCryptV2Verify') {
      say.warn(`Multiple --${option} scripts defined.  The previously configured script is overridden.`);
    }
    draft.scripts[name] = argvOf(line, option, say);
  };

/** Readers for server lines. */
export const SERVER_READERS: Readers<ServerDraft> = {
  server: (draft, [net = '', mask = '', flag], say) => {
    const network = ipv4ToNumber(net);
    const netmask = ipv4ToNumber(mask);
    if (network === undefined || netmask === undefined || network === 0 || netmask === 0) {
      say.error('error parsing --server parameters', 'Write a network and its netmask: server 10.8.0.0 255.255.255.0.');
    } else if (flag !== undefined && flag !== 'nopool') {
      say.error(`error parsing --server: ${shown(flag)} is not a recognized flag`, 'Write nopool, or nothing.');
    } else draft.network = { network, netmask, pool: flag === undefined && draft.network?.pool !== false };
  },
  'server-ipv6': (draft, [text = ''], say) => {
    draft.network6 = network6Of(text, 'server-ipv6', 'parameter', say) ?? draft.network6;
  },
  'server-bridge': (draft, args, say) => {
    draft.bridge = bridgeOf(args, draft.bridge, say) ?? draft.bridge;
  },
  push: (draft, [option = ''], say) => {
    if (!pushableOption(option, say)) return;
    if (draft.push.length < PUSH_LIMIT) draft.push.push(option);
    else say.error(`more than ${PUSH_LIMIT} options to push`, 'Push fewer options, or to single clients only.');
  },
  'ifconfig-pool': (draft, [first = '', last = '', netmask], say) => {
    const start = ipv4ToNumber(first);
    const end = ipv4ToNumber(last);
    if (start === undefined || end === undefined || (netmask !== undefined && !isIpv4(netmask))) {
      say.error('error parsing --ifconfig-pool parameters', 'Write the first and the last address for clients.');
    } else if (poolRangeFits(start, end, say)) {
      draft.pool4 = { first, last, netmask };
      if (netmask !== undefined) draft.poolNetmask = netmask;
    }
  },
  'ifconfig-pool-persist': (draft, [path = '', seconds], say) => {
    const before = draft.poolPersist?.seconds ?? 600;
    draft.poolPersist = { path, seconds: seconds === undefined ? before : nonNegative(seconds, say) };
  },
  'ifconfig-ipv6-pool': (draft, [text = ''], say) => {
    const prefix = network6Of(text, 'ifconfig-ipv6-pool', 'parameters', say);
    if (prefix !== undefined) draft.pool6 = { first: prefix.address, prefixLength: prefix.prefixLength };
  },
  'ifconfig-push-constraint': (draft, [network = '', netmask = ''], say) => {
    if (isIpv4(network) && isIpv4(netmask)) draft.ifconfigPushConstraint = { network, netmask };
    else say.error('cannot parse --ifconfig-push-constraint addresses', 'Write a network and its netmask.');
  },
  'client-config-dir': (draft, [directory = '']) => {
    draft.clientConfigDir = directory;
  },
  'ccd-exclusive': on('ccdExclusive'),
  'client-to-client': on('clientToClient'),
  'duplicate-cn': on('duplicateCn'),
  'max-clients': number('maxClients', 'max-clients', CLIENTS_MAX),
  'max-routes-per-client': number('maxRoutesPerClient', 'max-routes-per-client', INT_MAX),
  'tcp-queue-limit': number('tcpQueueLimit', 'tcp-queue-limit', INT_MAX),
  'connect-freq': (draft, args, say) => {
    draft.connectFreq = rate('connect-freq', args, say) ?? draft.connectFreq;
  },
  'connect-freq-initial': (draft, args, say) => {
    draft.connectFreqInitial = rate('connect-freq-initial', args, say) ?? draft.connectFreqInitial;
  },
  'hash-size': (_draft, [real = '', virtual = ''], say) => {
    constrained(real, 'hash-size real', 1, INT_MAX, say);
    constrained(virtual, 'hash-size virtual', 1, INT_MAX, say);
  },
  'bcast-buffers': (_draft, [count = ''], say) => {
    constrained(count, 'bcast-buffers', 1, BROADCAST_BUFFERS_MAX, say);
  },
  'tcp-nodelay': on('tcpNodelay'),
  'port-share': (draft, [host = '', port = '', directory], say) => {
    if (!isPort(port)) say.error(`Bad port '${shown(port)}' in port-share`, 'Write a number from 1 to 65535.');
    else draft.portShare = { host, port, directory };
  },
  multihome: (draft, [how], say) => {
    if (how === undefined) draft.multihome ??= 'address';
    else if (how === 'same-interface') draft.multihome = 'interface';
    else say.error(`Unknown parameter to --multihome: ${shown(how)}`, 'Write same-interface, or nothing.');
  },
  'stale-routes-check': (draft, [age = '', interval = age], say) => {
    const ageSeconds = constrained(age, 'stale-routes-check age', 1, INT_MAX, say);
    if (ageSeconds === undefined) return;
    const intervalSeconds = constrained(interval, 'stale-routes-check interval', 1, INT_MAX, say);
    if (intervalSeconds !== undefined) draft.staleRoutes = { ageSeconds, intervalSeconds };
  },
  'verify-client-cert': (draft, [how = 'require'], say) => {
    if (how === 'none' || how === 'optional' || how === 'require') draft.verifyClientCert = how;
    else {
      say.error(
        "parameter to --verify-client-cert must be 'none', 'optional' or 'require'",
        'Write verify-client-cert require, or remove the line.',
      );
    }
  },
  'username-as-common-name': on('usernameAsCommonName'),
  'auth-user-pass-optional': on('authUserPassOptional'),
  'force-tls-key-material-export': on('requireExporter'),
  'auth-user-pass-verify': (draft, [line = '', how], say) => {
    if (how !== 'via-env' && how !== 'via-file') {
      say.error(
        how === undefined
          ? "--auth-user-pass-verify requires a second parameter ('via-env' or 'via-file')"
          : "second parm to --auth-user-pass-verify must be 'via-env' or 'via-file'",
        'Write auth-user-pass-verify "PROGRAM ARGUMENTS" via-file.',
      );
      return;
    }
    if (draft.scripts.authUserPassVerify !== undefined) {
      say.warn('Multiple --auth-user-pass-verify scripts defined.  The previously configured script is overridden.');
    }
    const argv = argvOf(line, 'auth-user-pass-verify', say);
    if (argv !== undefined) draft.scripts.authUserPassVerify = { argv, by: how === 'via-env' ? 'env' : 'file' };
  },
  'client-connect': command('clientConnect', 'client-connect'),
  'client-disconnect': command('clientDisconnect', 'client-disconnect'),
  'client-crresponse': command('clientCrResponse', 'client-crresponse'),
  'learn-address': command('learnAddress', 'learn-address'),
  'tls-crypt-v2-verify': command('tlsCryptV2Verify', 'tls-crypt-v2-verify'),
  'tls-crypt-v2-max-age': (draft, [days = ''], say) => {
    const maxAgeDays = constrained(days, 'tls-crypt-v2-max-age', 1, INT_MAX, say);
    if (maxAgeDays !== undefined) draft.tlsCryptV2 = { ...draft.tlsCryptV2, maxAgeDays };
  },
  'tls-crypt-v2': (draft, args, _say, line) => {
    const flag = line.inline === undefined ? args[1] : undefined;
    if (flag !== undefined) draft.tlsCryptV2 = { ...draft.tlsCryptV2, forceCookie: flag === 'force-cookie' };
  },
  'auth-gen-token': (draft, [lifetime, ...rest], say) => {
    let renewal = draft.authGenToken?.renewalSeconds ?? 0;
    let externalAuth = draft.authGenToken?.externalAuth ?? false;
    const lifetimeSeconds = lifetime === undefined ? 0 : nonNegative(lifetime, say);
    rest.forEach((word, index) => {
      const value = index === 0 ? integerOf(word) : undefined;
      if (value !== undefined && value >= 0) renewal = value;
      else if (word === 'external-auth') externalAuth = true;
      else {
        say.error(
          `Invalid argument to auth-gen-token: ${shown(word)} (${index + 2})`,
          'Write auth-gen-token LIFETIME RENEWAL external-auth; the last two may be left out.',
        );
      }
    });
    draft.authGenToken = { lifetimeSeconds, renewalSeconds: renewal, externalAuth };
  },
  'auth-gen-token-secret': (draft, _args, _say, line) => {
    draft.authGenTokenSecret = sourceOf(line);
  },
  'x509-username-field': (draft, fields, say) => {
    const bad = fields.find((each) => each.startsWith('ext:') && !EXTENSION_FIELDS.includes(each.slice(4)));
    if (bad !== undefined) {
      say.error(
        `Unsupported x509-username-field extension: ${shown(bad)}`,
        'Write ext:subjectAltName, ext:issuerAltName or a field of the subject.',
      );
    } else draft.usernameFields = [...fields];
  },
  'tmp-dir': (draft, [directory = '']) => {
    draft.tmpDir = directory;
  },
  metrics: (draft, [text = ''], say) => {
    draft.metrics = listenAddressOf(text, say) ?? draft.metrics;
  },
};

/** Extensions that may name a client: alternative names of the subject and of the issuer. */
const EXTENSION_FIELDS: readonly string[] = ['subjectAltName', 'issuerAltName'];

/** Whether an option can travel in a push reply; complains if not. */
export function pushableOption(option: string, say: Say): boolean {
  if (option.includes(',')) {
    say.error(
      `PUSH OPTION FAILED (illegal comma (',') in string): '${shown(option)}'`,
      'Write an option without a comma: commas separate the options of a push reply.',
    );
  } else if (/[\0-\x1f\x7f]/.test(option)) {
    say.error(`PUSH OPTION FAILED (control character in string): '${shown(option)}'`, 'Remove the character.');
  } else return true;
  return false;
}

/** Whether a pool of addresses is one; complains if not. */
export function poolRangeFits(start: number, end: number, say: Say): boolean {
  const range = [ipv4FromNumber(start), ipv4FromNumber(end)] as const;
  if (start > end) {
    say.error(
      `--ifconfig-pool start IP [${range[0]}] is greater than end IP [${range[1]}]`,
      'Write the lower address first.',
    );
    return false;
  }
  if (end - start < POOL_MAX) return true;
  say.error(
    `--ifconfig-pool address range is too large [${range[0]} -> ${range[1]}].  Current maximum is ${POOL_MAX} addresses, as defined by IFCONFIG_POOL_MAX variable.`,
    `Write a range of at most ${POOL_MAX} addresses.`,
  );
  return false;
}

const bridgeOf = (args: readonly string[], before: BridgeDraft | undefined, say: Say): BridgeDraft | undefined => {
  const [flag] = args;
  if (flag === undefined || (flag === 'nogw' && args.length === 1)) {
    const pushes = before?.kind !== 'dhcp' || before.pushGateway;
    return { kind: 'dhcp', pushGateway: pushes && flag === undefined };
  }
  const [gateway = 0, netmask = 0, first = 0, last = 0] = args.map((text) => ipv4ToNumber(text) ?? 0);
  if (args.length === 4 && gateway !== 0 && netmask !== 0 && first !== 0 && last !== 0) {
    return { kind: 'pool', gateway, netmask, first, last };
  }
  say.error(
    'error parsing --server-bridge parameters',
    'Write server-bridge GATEWAY NETMASK FIRST LAST, with the addresses that clients get, or server-bridge alone where a DHCP server gives them.',
  );
  return undefined;
};

const network6Of = (text: string, option: string, noun: string, say: Say) => {
  const prefix = ipv6Prefix(text);
  if (prefix === undefined) {
    say.error(`error parsing --${option} ${noun}`, `Write an address and a prefix length: ${option} fd00:8::/64.`);
    return undefined;
  }
  if (prefix.prefixLength >= 64 && prefix.prefixLength <= 124) return prefix;
  say.error(
    `--${option} settings: network must be between /64 and /124 (not /${prefix.prefixLength})`,
    'Write a length from 64 to 124.',
  );
  return undefined;
};

// `9100`, `127.0.0.1:9100`, `[::1]:9100`, `localhost:9100`.
const listenAddressOf = (text: string, say: Say): { host: string; port: number } | undefined => {
  const match = /^(?:(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2] ?? '127.0.0.1';
  if (match === null || port < 1 || port > 65535 || (match[1] !== undefined && parseAddress(host)?.length !== 16)) {
    say.error(
      `metrics: '${shown(text)}' is not an address to listen on`,
      'Write a port from 1 to 65535, or HOST:PORT; an IPv6 address stands in brackets: [::1]:9100.',
    );
    return undefined;
  }
  return { host, port };
};

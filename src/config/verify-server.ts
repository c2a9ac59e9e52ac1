// Combinations of a server's options that make no sense, and options that belong to the other side. Order and words are
// those of OpenVPN 2.7.

import type { Config } from './config.ts';
import type { Lines } from './finish.ts';
import type { Drafts } from './parse.ts';
import type { ServerOptions } from './server-options.ts';

export interface ServerCheck {
  readonly config: Config;
  readonly drafts: Drafts;
  readonly at: Lines;
  /** See ConfigHost. */
  readonly checksLogins: boolean;
}

/** Says everything that is wrong with serving, or with serving where nothing is served. */
export function verifyServer(check: ServerCheck): void {
  const { config, at } = check;
  if (config.server === undefined) {
    verifyNoServer(config, check.drafts, at);
    return;
  }
  verifyRole(check, config.server);
  verifyClientOptions(config, at);
  verifyPools(check, config.server);
  verifyLogins(check, config.server);
  warnOfCombinations(check, config.server);
}

// Options of a client or of a point-to-point tunnel, as the C program names them in its refusal.
const NOT_ON_A_SERVER: readonly (readonly [option: string, advice: string])[] = [
  ['pull', 'Remove it: a server pushes options, it does not take them.'],
  ['remote', 'Remove it: a server waits for its clients. To listen on one address only write local ADDRESS.'],
  ['nobind', 'Remove it: clients must know the port.'],
  ['http-proxy', 'Remove it: it is for clients.'],
  ['socks-proxy', 'Remove it: it is for clients.'],
  ['shaper', 'Remove it, and limit traffic with tc(8).'],
  ['route-delay', 'Remove it.'],
  ['up-delay', 'Remove it: the device of a server is opened at start.'],
  ['allow-recursive-routing', 'Remove it: it is for clients.'],
];

function verifyRole({ config, drafts, at }: ServerCheck, server: ServerOptions): void {
  const { connections } = config;
  const open = ['tcp', 'tcp4', 'tcp6'].includes(drafts.base.protoName);
  if (open && drafts.server.network === undefined && drafts.server.bridge === undefined) {
    at.say('proto').error(
      '--proto tcp is ambiguous in this context. Please specify --proto tcp-server or --proto tcp-client',
      'Write proto tcp-server.',
    );
  }
  if (connections.some((each) => each.proto.transport === 'tcp-client')) {
    at.say('proto').error(
      '--mode server currently only supports --proto values of udp, tcp-server, tcp4-server, or tcp6-server',
      'Write proto tcp-server.',
    );
  }
  const tcp = server.listens.some((each) => each.proto.transport !== 'udp');
  if (server.portShare !== undefined && !tcp) {
    at.say('port-share').error(
      '--port-share only works in TCP server mode (--proto values of tcp-server, tcp4-server, or tcp6-server)',
      'Write proto tcp-server, or remove port-share.',
    );
  }
  if (config.tls.role !== 'server') {
    at.say('mode').error('--mode server requires --tls-server', 'Write tls-server as well.');
  }
  if (server.connectFreq !== undefined && connections.some((each) => each.proto.transport !== 'udp')) {
    at.say('connect-freq').error(
      '--connect-freq only works with --mode server --proto udp.  Try --max-clients instead.',
      'Remove connect-freq.',
    );
  }
}

function verifyClientOptions(config: Config, at: Lines): void {
  for (const [option, advice] of NOT_ON_A_SERVER) {
    if (at.has(option)) at.say(option).error(`--${option} cannot be used with --mode server.`, advice);
  }
  if (at.has('connection')) {
    at.say('connection').error('<connection> cannot be used with --mode server', 'Write local lines instead.');
  }
  if (config.scripts.ipChange !== undefined) {
    at.say('ipchange').error(
      '--ipchange cannot be used with --mode server (use --client-connect instead)',
      'Write client-connect.',
    );
  }
  for (const option of ['redirect-gateway', 'redirect-private']) {
    if (!at.has(option)) continue;
    at.say(option).error(
      '--redirect-gateway cannot be used with --mode server (however --push "redirect-gateway" is fine)',
      `Write push "${option} def1".`,
    );
  }
  if (config.authUserPass !== undefined) {
    at.say('auth-user-pass').error(
      '--auth-user-pass cannot be used with --mode server (it should be used on the client side only)',
      'Remove it; auth-user-pass-verify is what checks the logins of clients.',
    );
  }
  if (config.pullFilters.length > 0) {
    at.say('pull-filter').warn('--pull-filter ignored for --mode server', 'Remove the line.', 'ignored');
  }
}

function verifyPools({ config, drafts, at }: ServerCheck, server: ServerOptions): void {
  const { tunnel, device } = config;
  if (device.type !== 'tap' && tunnel.topology !== 'subnet' && drafts.server.poolNetmask !== undefined) {
    at.say('ifconfig-pool').error(
      'The third parameter to --ifconfig-pool (netmask) is only valid in --dev tap mode',
      'Remove the netmask, or write topology subnet.',
    );
  }
  if (server.pool4 === undefined && server.pool6 === undefined && server.poolPersist !== undefined) {
    at.say('ifconfig-pool-persist').error(
      '--ifconfig-pool-persist must be used with --ifconfig-pool or --ifconfig-ipv6-pool',
      'Write server NETWORK NETMASK, or remove the line.',
    );
  }
  if (server.pool6 !== undefined && tunnel.ifconfigIpv6 === undefined) {
    at.say('ifconfig-ipv6-pool').error(
      '--ifconfig-ipv6-pool needs --ifconfig-ipv6',
      'Write server-ipv6 NETWORK/BITS instead of both.',
    );
  }
  if (server.ccdExclusive && server.clientConfigDir === undefined) {
    at.say('ccd-exclusive').error(
      '--ccd-exclusive must be used with --client-config-dir',
      'Write client-config-dir DIRECTORY.',
    );
  }
}

function verifyLogins({ config, at, checksLogins }: ServerCheck, server: ServerOptions): void {
  const { renegSeconds, handWindowSeconds } = config.tls;
  if (server.authGenToken !== undefined) {
    const renewal = server.authGenToken.renewalSeconds;
    if (renegSeconds === 0) {
      at.say('auth-gen-token').error(
        '--auth-gen-token needs a non-infinite --renegotiate_seconds setting',
        'Remove reneg-sec 0.',
      );
    } else if (renewal < 2 * handWindowSeconds) {
      at.say('auth-gen-token').error(
        `--auth-gen-token renewal time needs to be at least  two times --hand-window (${handWindowSeconds}).`,
        `Write a renewal time of ${2 * handWindowSeconds} seconds or more.`,
      );
    }
  }
  const pam = config.scripts.plugins.some(({ kind }) => kind === 'auth-pam');
  if (server.scripts.authUserPassVerify !== undefined || pam || checksLogins || at.has('management-client-auth'))
    return;
  const need = (option: string, words: string): void =>
    at
      .say(option)
      .error(
        `--${words} must be used with --management-client-auth, an --auth-user-pass-verify script, or plugin`,
        'Write auth-user-pass-verify PROGRAM via-file with script-security 2, or remove the line.',
      );
  if (server.verifyClientCert !== 'require') need('verify-client-cert', 'verify-client-cert none|optional');
  if (server.usernameAsCommonName) need('username-as-common-name', 'username-as-common-name');
  if (server.authUserPassOptional) need('auth-user-pass-optional', 'auth-user-pass-optional');
}

function warnOfCombinations({ config, drafts, at }: ServerCheck, server: ServerOptions): void {
  if (server.verifyClientCert !== 'require') {
    at.say('verify-client-cert').warn(
      'WARNING: POTENTIALLY DANGEROUS OPTION --verify-client-cert none|optional may accept clients which do not present a certificate',
      'Write verify-client-cert require, or remove the line, unless a password is enough for you.',
      'unsafe',
    );
  }
  warnOfScripts(config, server, at);
  const notices = drafts.base.explicitExitNotify;
  if (notices > 2) {
    at.say('explicit-exit-notify').warn(
      `explicit-exit-notify ${notices} counts as 1 on a server`,
      'Write 1 to let clients come back, 2 to send them to their next server.',
    );
  }
  if (server.duplicateCn && server.clientConfigDir !== undefined) {
    at.say('duplicate-cn').warn(
      'WARNING: using --duplicate-cn and --client-config-dir together is probably not what you want',
      'Give each client a certificate of its own and remove duplicate-cn.',
    );
  }
  if (server.duplicateCn && server.poolPersist !== undefined) {
    at.say('ifconfig-pool-persist').warn(
      'WARNING: --ifconfig-pool-persist will not work with --duplicate-cn',
      'Remove one of them.',
      'ignored',
    );
  }
  if (drafts.general.keepalive === undefined) {
    at.say('server', 'mode').warn(
      'WARNING: --keepalive option is missing from server config',
      'Write keepalive 10 60: without it a client that has gone away is never noticed.',
    );
  }
}

// A login that cannot be checked is a login that fails: better said at start than to every client.
function warnOfScripts(config: Config, server: ServerOptions, at: Lines): void {
  const { security } = config.scripts;
  const check = server.scripts.authUserPassVerify;
  if (check !== undefined && security < 2) {
    at.say('auth-user-pass-verify').warn(
      `auth-user-pass-verify with script-security ${security} refuses every client: the program may not be run`,
      'Write script-security 2.',
    );
  } else if (check?.by === 'env' && security < 3) {
    at.say('auth-user-pass-verify').warn(
      `auth-user-pass-verify via-env with script-security ${security} gives the program no password`,
      'Write via-file, or script-security 3.',
    );
  }
  for (const [option, argv] of [
    ['client-connect', server.scripts.clientConnect],
    ['tls-crypt-v2-verify', server.scripts.tlsCryptV2Verify],
    ['tls-verify', config.scripts.tlsVerify],
    ['learn-address', server.scripts.learnAddress],
  ] as const) {
    if (argv === undefined || security >= 2) continue;
    at.say(option).warn(
      `${option} with script-security ${security} refuses every client: the program may not be run`,
      'Write script-security 2.',
    );
  }
}

// Options that only a server has, in the order in which the C program looks for them.
const SERVER_ONLY: readonly (readonly [option: string, words?: string])[] = [
  ['ifconfig-pool'],
  ['ifconfig-pool-persist'],
  ['ifconfig-ipv6-pool'],
  ['hash-size'],
  ['learn-address'],
  ['client-connect'],
  ['client-crresponse'],
  ['client-disconnect'],
  ['client-config-dir'],
  ['ccd-exclusive'],
  ['client-to-client'],
  ['duplicate-cn'],
  ['connect-freq'],
  ['username-as-common-name'],
  ['auth-user-pass-optional'],
  ['auth-user-pass-verify'],
  ['auth-gen-token'],
  ['stale-routes-check'],
  ['force-tls-key-material-export', 'force-key-material-export'],
  ['metrics'],
];

const WITHOUT_SERVER = 'Remove the line, or write server NETWORK NETMASK to make this a server.';

function verifyNoServer(config: Config, drafts: Drafts, at: Lines): void {
  if (drafts.base.locals.length > 1) {
    at.say('local').error('multiple --local statements only allowed in --server mode', 'Keep one local line.');
  }
  for (const [option, words = option] of SERVER_ONLY) {
    if (at.has(option)) at.say(option).error(`--${words} requires --mode server`, WITHOUT_SERVER);
  }
  if (drafts.server.verifyClientCert !== 'require') {
    at.say('verify-client-cert').error('--verify-client-cert requires --mode server', WITHOUT_SERVER);
  }
  if (at.has('port-share')) {
    at.say('port-share').error(
      '--port-share requires TCP server mode (--mode server --proto tcp-server)',
      WITHOUT_SERVER,
    );
  }
  if (at.has('push')) {
    at.say('push').warn(
      'Note: Using --push without --mode server is an unsupported configuration. Negotiation of OpenVPN features is expected to fail.',
      WITHOUT_SERVER,
      'ignored',
    );
  }
  if (config.tls.role === 'server') verifyEqualServer(config, at);
  else if (
    config.tls.role === 'client' &&
    !config.pull &&
    config.connections.some((each) => each.remote === undefined)
  ) {
    at.say('tls-client').error(
      'a tls-client has to know its peer: it is the one that begins',
      'Write remote HOST PORT, or tls-server in place of tls-client.',
    );
  }
}

/** The TLS server of two equal ends. */
function verifyEqualServer(config: Config, at: Lines): void {
  if (config.pull) {
    at.say('pull').error(
      'a tls-server without mode server takes no options from its peer',
      'Remove pull, and write ifconfig and the routes that this side needs.',
    );
  }
}

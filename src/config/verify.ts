// Combinations that make no sense. The order and the words are those of OpenVPN 2.7.

import type { Config, ConnectionProfile } from './config.ts';
import type { Lines } from './finish.ts';
import type { Drafts } from './parse.ts';

/** Says everything that is wrong between options. */
export function verifyConfig(config: Config, drafts: Drafts, at: Lines): void {
  verifyMtu(drafts, at);
  const nameless = config.tunnel.dns.find((server) => server.addresses.length === 0);
  if (nameless !== undefined) {
    at.say('dns').error(
      `ERROR: dns server ${nameless.priority} does not have an address assigned`,
      'Write dns server N address ADDRESS.',
    );
  }
  const list = drafts.blocks.length > 0 ? drafts.blocks : [drafts.base];
  for (const draft of list) {
    if (draft.bindStated && !draft.bindLocal && draft.localHost === undefined && at.has('bind')) {
      at.say('bind', 'nobind').error("--bind and --nobind can't be used together", 'Remove one of them.');
    }
    if (draft.localPortStated && !draft.bindLocal) {
      at.say('lport', 'nobind').error(
        "--lport and --nobind don't make sense when used together",
        'Remove one of them.',
      );
    }
    if (draft.localHost !== undefined && !draft.bindLocal) {
      at.say('local', 'nobind').error(
        "--local and --nobind don't make sense when used together",
        'Remove one of them.',
      );
    }
  }
  for (const connection of config.connections) verifyConnection(config, connection, at);
  verifyIfconfig(config, at);
  verifyLinkAddress(config, at);
  if (config.tls.role !== undefined) verifyTls(config, at);
  else if (config.server === undefined) verifyNoTls(config, at);
  if (config.tls.role === 'client' && config.tls.dh !== undefined) {
    at.say('dh').warn(
      "WARNING: Ignoring option 'dh' in tls-client mode, please only include this in your server configuration",
      'Remove the line.',
      'ignored',
    );
  }
  if (config.authUserPass !== undefined && !config.pull && config.server === undefined) {
    at.say('auth-user-pass').error('--auth-user-pass requires --pull', 'Write client, which includes pull.');
  }
  if (config.authUserPass?.usernameOnly === true && config.staticChallenge !== undefined) {
    at.say('static-challenge').error("'auth-user-pass username-only' cannot be used with static challenge");
  }
  const { compress } = config.tunnel;
  if (
    compress !== undefined &&
    compress.algorithm !== 'none' &&
    config.allowCompressionStated &&
    config.allowCompression === 'no'
  ) {
    at.say('allow-compression').error(
      "'--allow-compression no' conflicts with  enabling compression",
      `Remove ${compress.text}, or write allow-compression asym.`,
    );
  }
}

function verifyLinkAddress({ device, tunnel }: Config, at: Lines): void {
  if (tunnel.linkAddress === undefined || device.type === 'tap') return;
  at.say('lladdr').error('--lladdr can only be used in --dev tap mode', 'Remove it: only a TAP device has an address.');
}

function verifyMtu(drafts: Drafts, at: Lines): void {
  if (drafts.base.tunMtuStated && drafts.base.linkMtuBytes !== undefined) {
    at.say('link-mtu').error('only one of --tun-mtu or --link-mtu may be defined', 'Keep tun-mtu.');
  }
}

function verifyConnection(config: Config, connection: ConnectionProfile, at: Lines): void {
  const { transport } = connection.proto;
  if (transport !== 'udp') {
    if (connection.fragment !== undefined) {
      at.say('fragment').error(
        '--fragment can only be used with --proto udp',
        'Remove fragment; TCP cuts packets itself.',
      );
    }
    if (at.has('mtu-test'))
      at.say('mtu-test').error('--mtu-test only makes sense with --proto udp', 'Remove mtu-test.');
  }
  if (connection.remote === undefined) {
    if (transport === 'tcp-client') {
      at.say('proto').error('--remote MUST be used in TCP Client mode', 'Write remote HOST PORT.');
    } else if (!connection.bindLocal && at.has('nobind')) {
      at.say('nobind').error("--nobind doesn't make sense unless used with --remote", 'Write remote HOST PORT.');
    } else if (config.pull) {
      at.say('client', 'pull').error('No remote server is given', 'Write remote HOST PORT.');
    }
  }
  if (transport === 'tcp-server' && config.connections.length > 1) {
    at.say('proto').error('TCP server mode allows at most one --remote address', 'Keep one remote.');
  }
  if (config.pull && transport === 'tcp-server') {
    at.say('proto').error('a client that pulls cannot wait for TCP connections', 'Write proto tcp-client.');
  }
  if (connection.httpProxy !== undefined && transport !== 'tcp-client') {
    at.say('http-proxy').error(
      '--http-proxy MUST be used in TCP Client mode (i.e. --proto tcp-client)',
      'Write proto tcp-client.',
    );
  }
  if (connection.httpProxy !== undefined && connection.socksProxy !== undefined) {
    at.say('socks-proxy', 'http-proxy').error(
      '--http-proxy can not be used together with --socks-proxy',
      'Remove one of them.',
    );
  }
  if (connection.socksProxy !== undefined && transport === 'tcp-server') {
    at.say('socks-proxy').error('--socks-proxy can not be used in TCP Server mode', 'Write proto tcp-client.');
  }
  if (
    connection.remote !== undefined &&
    connection.localHost === connection.remote &&
    connection.localPort === connection.remotePort &&
    connection.bindLocal
  ) {
    at.say('local').error('--remote and one of the --local addresses are the same', 'Correct one of them.');
  }
}

function verifyIfconfig(config: Config, at: Lines): void {
  const { ifconfig } = config.tunnel;
  if (ifconfig === undefined) return;
  if (ifconfig.local === ifconfig.remoteOrNetmask) {
    at.say('ifconfig').error('local and remote/netmask --ifconfig addresses must be different');
  }
  const taken = [ifconfig.local, ifconfig.remoteOrNetmask];
  if (config.connections.some((each) => each.remote !== undefined && taken.includes(each.remote))) {
    at.say('ifconfig').error('--local and --remote addresses must be distinct from --ifconfig addresses');
  }
  if (config.connections.some((each) => each.localHost !== undefined && taken.includes(each.localHost))) {
    at.say('local').error('--local addresses must be distinct from --ifconfig addresses');
  }
}

function verifyTls(config: Config, at: Lines): void {
  const { tls } = config;
  if (tls.versionMin !== undefined && tls.versionMax !== undefined && tls.versionMax < tls.versionMin) {
    at.say('tls-version-min', 'tls-version-max').error(
      '--tls-version-min bigger than --tls-version-max',
      'Correct one of them.',
    );
  }
  if (
    tls.ca === undefined &&
    tls.caPath === undefined &&
    tls.pkcs12 === undefined &&
    tls.peerFingerprints.length === 0
  ) {
    at.say('ca', 'client', 'tls-client').error(
      'You must define CA file (--ca) or CA path (--capath) and/or peer fingerprint verification (--peer-fingerprint)',
      'Write ca FILE with the certificate that the server was given by its administrator, or <ca> inline.',
    );
  }
  const managed = config.lines.find(({ option }) => option.startsWith('management-'));
  if (managed !== undefined && !at.has('management')) {
    at.say(managed.option).error(
      '--management is not specified, however one or more options which modify the behavior of --management were specified',
      `Write management ADDRESS PORT or management PATH unix, or remove ${managed.option}.`,
    );
  }
  const outside = { key: at.has('management-external-key'), cert: at.has('management-external-cert') };
  verifyExternalKey(config, outside, at);
  if (tls.pkcs12 !== undefined) {
    for (const [option, value] of [
      ['capath', tls.caPath],
      ['cert', tls.cert],
      ['key', tls.key],
      ['management-external-key', outside.key || undefined],
      ['management-external-cert', outside.cert || undefined],
    ] as const) {
      if (value !== undefined) {
        at.say(option).error(
          `Parameter --${option} cannot be used when --pkcs12 is also specified.`,
          `Remove ${option}: the PKCS#12 file has it.`,
        );
      }
    }
    return;
  }
  if (at.has('pkcs11-providers')) return;
  const [hasCert, hasKey] = [tls.cert !== undefined || outside.cert, tls.key !== undefined || outside.key];
  if (config.pull) {
    if (!hasCert && !hasKey) {
      if (config.authUserPass === undefined) {
        at.say('client', 'pull').error(
          'No client-side authentication method is specified.  You must use either --cert/--key, --pkcs12, or --auth-user-pass',
          'Ask the administrator of the server which one is yours.',
        );
      }
    } else if (!hasCert || !hasKey) {
      at.say('cert', 'key').error(
        'If you use one of --cert or --key, you must use them both',
        `Write ${hasCert ? 'key' : 'cert'} FILE as well.`,
      );
    }
    return;
  }
  if (!hasCert) {
    at.say('tls-client', 'tls-server').error(
      'You must define certificate file (--cert) or PKCS#12 file (--pkcs12)',
      'Write cert FILE.',
    );
  }
  if (!hasKey) {
    at.say('tls-client', 'tls-server').error(
      'You must define private key file (--key) or PKCS#12 file (--pkcs12)',
      'Write key FILE.',
    );
  }
}

const SIGNER_FLAGS: readonly string[] = ['nopadding', 'pkcs1', 'pss', 'digest'];

/** A key that the management client has, and perhaps its certificate. */
function verifyExternalKey({ tls, lines }: Config, outside: { key: boolean; cert: boolean }, at: Lines): void {
  const words = lines.filter(({ option }) => option === 'management-external-key').flatMap((line) => line.words);
  const unknown = words.find((word) => !SIGNER_FLAGS.includes(word));
  if (unknown !== undefined) {
    at.say('management-external-key').error(
      `Unknown management-external-key flag: ${unknown}`,
      `Write what the management client can do: ${SIGNER_FLAGS.join(', ')}.`,
    );
  }
  if (tls.pkcs12 !== undefined) return;
  if (outside.key && tls.key !== undefined) {
    at.say('key').error(
      '--key and --management-external-key are mutually exclusive',
      'Remove key, or management-external-key.',
    );
  }
  if (!outside.cert) return;
  if (tls.cert !== undefined) {
    at.say('cert').error(
      '--cert and --management-external-cert are mutually exclusive',
      'Remove cert, or management-external-cert.',
    );
  } else if (!outside.key) {
    at.say('management-external-cert').error(
      '--management-external-cert must be used with --management-external-key',
      'Write management-external-key as well.',
    );
  }
}

// Options that ask for TLS when nothing says which side of it this is.
const TLS_ONLY: readonly string[] = [
  'ca',
  'capath',
  'dh',
  'cert',
  'key',
  'pkcs12',
  'tls-cipher',
  'tls-ciphersuites',
  'tls-cert-profile',
  'tls-verify',
  'verify-x509-name',
  'tls-auth',
  'tls-crypt',
  'tls-crypt-v2',
  'crl-verify',
  'ns-cert-type',
  'remote-cert-ku',
  'remote-cert-eku',
  'remote-cert-tls',
  'tls-exit',
  'push-peer-info',
  'reneg-sec',
  'reneg-bytes',
  'reneg-pkts',
];

function verifyNoTls(config: Config, at: Lines): void {
  at.say('client', 'pull', 'remote', 'dev').error(
    'No tls-client or tls-server option in configuration detected. A VPN without TLS is not supported',
    config.pull ? 'Write client instead of pull.' : 'Write client (or tls-client) for this side.',
  );
  for (const option of TLS_ONLY) {
    if (at.has(option)) {
      at.say(option).error(
        `Parameter ${option} can only be specified in TLS-mode, i.e. where --tls-server or --tls-client is also specified.`,
        'Write client or tls-client as well.',
      );
    }
  }
  if (config.pull) {
    at.say('pull').error(
      'Parameter --pull can only be specified in TLS-mode, i.e. where --tls-server or --tls-client is also specified.',
      'Write client instead of pull.',
    );
  }
}

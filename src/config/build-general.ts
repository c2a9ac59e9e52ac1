// Options of the configuration as a whole: mode, device, pulling, ciphers, credentials.

import { directionOf, protoOf, sourceOf } from './build-connection.ts';
import { GENERAL_PROXY_READERS } from './build-proxy.ts';
import { PING_TIMEOUT_MAX_SECONDS } from './build-tunnel.ts';
import { DEFAULT_DATA_CIPHERS } from './ciphers.ts';
import type { GeneralDraft, Reader, Readers } from './draft.ts';
import { constrained, integer, integerOf, nonNegative, shown } from './values.ts';

/** Widest replay window, in ids and in seconds. */
const REPLAY_WINDOW_MAX = 65536;
const REPLAY_SECONDS_MAX = 600;

export const emptyGeneral = (): GeneralDraft => ({
  mode: 'p2p',
  pull: false,
  clientMacro: false,
  remoteRandom: false,
  remoteRandomHostname: false,
  resolvRetrySeconds: 'infinite',
  connectRetryMax: undefined,
  device: { name: 'tun', type: 'tun', node: undefined },
  deviceName: 'tun',
  deviceType: undefined,
  deviceNode: undefined,
  ifconfigNoexec: false,
  ifconfigNowarn: false,
  routeNoexec: false,
  routeNopull: false,
  onlyItsNetworks: false,
  blockIpv6Leak: undefined,
  pullFilters: [],
  allowPullFqdn: false,
  allowRecursiveRouting: false,
  auth: 'SHA1',
  cipher: undefined,
  dataCiphers: [...DEFAULT_DATA_CIPHERS],
  dataCiphersText: undefined,
  dataCiphersFallback: undefined,
  providers: [],
  allowCompression: 'no',
  allowCompressionStated: false,
  replayWindow: { packets: 64, seconds: 15 },
  authUserPass: undefined,
  authNocache: false,
  authRetry: 'none',
  staticChallenge: undefined,
  pushPeerInfo: false,
  setenv: [],
  mark: undefined,
  bindDevice: undefined,
  passTos: false,
  mtuTest: false,
  disableDco: false,
  disableOcc: false,
  compatMode: undefined,
  keepalive: undefined,
  keyDirection: undefined,
  protoForce: undefined,
  httpProxyLogin: undefined,
  httpProxyOverride: undefined,
});

type Flag =
  | 'pull'
  | 'remoteRandom'
  | 'remoteRandomHostname'
  | 'ifconfigNoexec'
  | 'ifconfigNowarn'
  | 'routeNoexec'
  | 'routeNopull'
  | 'onlyItsNetworks'
  | 'allowPullFqdn'
  | 'allowRecursiveRouting'
  | 'authNocache'
  | 'pushPeerInfo'
  | 'passTos'
  | 'mtuTest'
  | 'disableDco'
  | 'disableOcc'
  | 'clientMacro';

const on =
  (name: Flag): Reader<GeneralDraft> =>
  (draft) => {
    draft[name] = true;
  };

export const GENERAL_READERS: Readers<GeneralDraft> = {
  ...GENERAL_PROXY_READERS,
  mode: (draft, [mode = ''], say) => {
    if (mode === 'server' || mode === 'p2p') draft.mode = mode;
    else say.error(`Bad --mode parameter: ${shown(mode)}`, 'Write p2p or server.');
  },
  client: on('clientMacro'),
  pull: on('pull'),
  'remote-random': on('remoteRandom'),
  'remote-random-hostname': on('remoteRandomHostname'),
  'ifconfig-noexec': on('ifconfigNoexec'),
  'ifconfig-nowarn': on('ifconfigNowarn'),
  'route-noexec': on('routeNoexec'),
  'route-nopull': on('routeNopull'),
  'only-its-networks': on('onlyItsNetworks'),
  'block-ipv6-leak': (draft, [word = ''], say) => {
    if (word === 'yes' || word === 'no') draft.blockIpv6Leak = word === 'yes';
    else say.error(`Bad --block-ipv6-leak parameter: ${shown(word)}`, 'Write yes or no.');
  },
  'allow-pull-fqdn': on('allowPullFqdn'),
  'allow-recursive-routing': on('allowRecursiveRouting'),
  'auth-nocache': on('authNocache'),
  'push-peer-info': on('pushPeerInfo'),
  passtos: on('passTos'),
  'mtu-test': on('mtuTest'),
  'disable-dco': on('disableDco'),
  'disable-occ': on('disableOcc'),
  dev: (draft, [name = '']) => {
    draft.deviceName = name;
  },
  'dev-type': (draft, [type = '']) => {
    draft.deviceType = type;
  },
  'dev-node': (draft, [node = '']) => {
    draft.deviceNode = node;
  },
  'resolv-retry': (draft, [value = ''], say) => {
    draft.resolvRetrySeconds = value === 'infinite' ? 'infinite' : nonNegative(value, say);
  },
  'connect-retry-max': (draft, [value = ''], say) => {
    const max = nonNegative(value, say);
    draft.connectRetryMax = max === 0 ? undefined : max;
  },
  'proto-force': (draft, [name = ''], say) => {
    if (protoOf(name) === undefined) say.error(`Bad --proto-force protocol: '${shown(name)}'`, 'Write udp or tcp.');
    else draft.protoForce = name;
  },
  keepalive: (draft, [interval = '', timeout = ''], say) => {
    const ping = constrained(interval, 'keepalive ping', 1, PING_TIMEOUT_MAX_SECONDS, say);
    const restart = constrained(timeout, 'keepalive timeout', 1, PING_TIMEOUT_MAX_SECONDS, say);
    if (ping === undefined || restart === undefined) return;
    if (ping * 2 > restart) {
      say.error(
        `the second parameter to --keepalive (restart timeout=${restart}) must be at least twice the value of the first parameter (ping interval=${ping}).  A ratio of 1:5 or 1:6 would be even better.  Recommended setting is --keepalive 10 60.`,
        'Write keepalive 10 60.',
      );
    } else draft.keepalive = { interval: ping, timeout: restart };
  },
  'pull-filter': (draft, [action = '', text = ''], say) => {
    if (action === 'accept' || action === 'ignore' || action === 'reject') draft.pullFilters.push({ action, text });
    else say.error(`Unknown --pull-filter type: ${shown(action)}`, 'Write accept, ignore or reject.');
  },
  auth: (draft, [digest = '']) => {
    draft.auth = digest === 'none' ? digest : digest.toUpperCase();
  },
  cipher: (draft, [cipher = '']) => {
    draft.cipher = cipher === 'none' ? cipher : cipher.toUpperCase();
  },
  'data-ciphers': (draft, [list = '']) => {
    draft.dataCiphersText = list;
  },
  'data-ciphers-fallback': (draft, [cipher = '']) => {
    draft.dataCiphersFallback = cipher === 'none' ? cipher : cipher.toUpperCase();
  },
  providers: (draft, names) => {
    draft.providers = [...names];
  },
  'allow-compression': (draft, [value = ''], say) => {
    if (value !== 'no' && value !== 'asym' && value !== 'yes') {
      say.error(`bad allow-compression option: ${shown(value)} -- must be 'yes', 'no', or 'asym'`);
    } else if (value !== 'no' && draft.allowCompressionStated && draft.allowCompression === 'no') {
      say.error(`Cannot set allow-compression to '${value}' after set to 'no'`, 'Keep one of the two lines.');
    } else {
      if (value === 'yes') {
        say.warn(
          'DEPRECATED OPTION: "--allow-compression yes" has been removed. We will use "asym" mode instead. See the manual page for more information.',
          'Write allow-compression asym, or better remove it.',
          'deprecated',
        );
      }
      draft.allowCompression = value;
      draft.allowCompressionStated = true;
    }
  },
  'replay-window': (draft, [packets, seconds], say) => {
    if (packets === undefined) {
      say.error('replay-window option is missing window size parameter', 'Write replay-window 64 15.');
      return;
    }
    const ids = constrained(packets, 'replay-window windows size', 0, REPLAY_WINDOW_MAX, say);
    const time =
      seconds === undefined
        ? draft.replayWindow.seconds
        : constrained(seconds, 'replay-window time window', 0, REPLAY_SECONDS_MAX, say);
    if (ids !== undefined && time !== undefined) draft.replayWindow = { packets: ids, seconds: time };
  },
  'auth-user-pass': (draft, [file], _say, line) => {
    const usernameOnly = line.inline === undefined && file === 'username-only';
    const prompt = line.inline === undefined && (file === undefined || file === 'stdin' || usernameOnly);
    draft.authUserPass = { source: prompt ? undefined : sourceOf(line), usernameOnly };
  },
  'auth-retry': (draft, [how = ''], say) => {
    if (how === 'none' || how === 'nointeract' || how === 'interact') draft.authRetry = how;
    else say.error(`--auth-retry method must be 'interact', 'nointeract', or 'none'`);
  },
  'static-challenge': (draft, [text = '', echo = '', format = 'scrv1'], say) => {
    if (format !== 'scrv1' && format !== 'concat') {
      say.error(`--static-challenge: unknown format indicator '${shown(format)}'`, 'Write scrv1 or concat.');
    } else draft.staticChallenge = { text, echo: integer(echo, say) !== 0, format };
  },
  setenv: (draft, [name = '', value], say) => {
    if (name === 'REMOTE_RANDOM_HOSTNAME' && value === undefined) draft.remoteRandomHostname = true;
    else if (name === 'PUSH_PEER_INFO' && value === undefined) draft.pushPeerInfo = true;
    else if (name === 'GENERIC_CONFIG') {
      say.error(
        'this is a generic configuration and cannot directly be used',
        'Ask the provider for the profile of one server, or fill in the remote and remove the line.',
      );
    } else if (!/^[^=\0-\x1f]+$/.test(name)) say.error(`setenv: bad variable name '${shown(name)}'`);
    // SERVER_POLL_TIMEOUT is a connection's and is read where connections are.
    else if (name !== 'SERVER_POLL_TIMEOUT') draft.setenv.push([name, value ?? '']);
  },
  mark: (draft, [value = ''], say) => {
    draft.mark = integer(value, say);
  },
  'bind-dev': (draft, [device = '']) => {
    draft.bindDevice = device;
  },
  'compat-mode': (draft, [version = ''], say) => {
    if (/^\d+\.\d+\.\d+/.test(version)) draft.compatMode = version;
    else say.error(`cannot parse version number for --compat-mode: ${shown(version)}`, 'Write three numbers: 2.4.12.');
  },
  'key-direction': (draft, [direction = ''], say) => {
    draft.keyDirection = directionOf(direction, say);
  },
};

/** `2.4.12` as 20412, for comparison. */
export const compatNumber = (version: string | undefined): number => {
  if (version === undefined) return 0;
  const [major = '0', minor = '0', patch = '0'] = version.split('.');
  return (integerOf(major) ?? 0) * 10000 + (integerOf(minor) ?? 0) * 100 + (Number.parseInt(patch, 10) || 0);
};

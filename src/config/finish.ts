// What can only be decided when every line has been read: macros, defaults that depend on other options, the list of
// connections.

import { readRemote } from './build-connection.ts';
import { compatNumber } from './build-general.ts';
import { httpProxyOf, overridden } from './build-proxy.ts';
import { cipherList, cipherVerdict, DEFAULT_DATA_CIPHERS, hasShortBlocks, SHORT_BLOCK_ADVICE } from './ciphers.ts';
import type { Config, ConfigLine, ConnectionProfile, DeviceChoice, KeyWrap, Origin, TunnelOptions } from './config.ts';
import { chooseDevice } from './device-choice.ts';
import type { ConnectionDraft, GeneralDraft } from './draft.ts';
import { type Findings, sayFor } from './findings.ts';
import { expandServer, serverOf } from './finish-server.ts';
import { tunMtuOfLink } from './link-mtu.ts';
import type { Drafts } from './parse.ts';
import { shown } from './values.ts';
import { verifyConfig } from './verify.ts';
import { verifyServer } from './verify-server.ts';

const TUN_MTU_MIN_BYTES = 100;

export interface ReadConfig {
  readonly drafts: Drafts;
  readonly lines: readonly ConfigLine[];
  readonly findings: Findings;
  /** No line is missing: only then do checks between options mean anything. */
  readonly complete: boolean;
  /** What is blamed where there is no line to blame. */
  readonly source: string;
  /** See ConfigHost. */
  readonly checksLogins: boolean;
}

/** Builds the configuration; it may be used only if no error was found. */
export function finishConfig(read: ReadConfig): Config {
  const { drafts, lines, findings, source } = read;
  const { general, tls } = drafts;
  const at = new Lines(lines, findings, lines[0]?.origin.file ?? source);
  if (general.clientMacro) {
    general.pull = true;
    if (tls.role === 'server') {
      at.say('client').error('specify only one of --tls-server, --tls-client, or --secret', 'Remove one of them.');
    }
    tls.role = 'client';
  }
  const device = deviceOf(general, at);
  expandServer(drafts, device, at);
  if (device.type === 'tap') {
    drafts.base.tunMtuExtraBytes ||= 32;
    for (const block of drafts.blocks) block.tunMtuExtraBytes ||= 32;
  }
  settleCiphers(general, at);
  settleCompatibility(drafts);
  const connections = connectionsOf(drafts, at);
  if (general.mode !== 'server') {
    tls.keyMaxAgeDays = drafts.server.tlsCryptV2.maxAgeDays;
    drafts.scripts.tlsCryptV2Verify = drafts.server.scripts.tlsCryptV2Verify;
    drafts.scripts.tmpDir = drafts.server.tmpDir;
  }
  const config: Config = {
    mode: general.mode,
    server: general.mode === 'server' ? serverOf(drafts, connections, device, at) : undefined,
    pull: general.pull,
    connections,
    remoteRandom: general.remoteRandom,
    remoteRandomHostname: general.remoteRandomHostname,
    resolvRetrySeconds: general.resolvRetrySeconds,
    connectRetryMax: general.connectRetryMax,
    device,
    tunnel: tunnelOf(drafts, at),
    ifconfigNoexec: general.ifconfigNoexec,
    ifconfigNowarn: general.ifconfigNowarn,
    routeNoexec: general.routeNoexec,
    routeNopull: general.routeNopull,
    onlyItsNetworks: general.onlyItsNetworks,
    blockIpv6Leak: general.blockIpv6Leak,
    pullFilters: general.pullFilters,
    allowPullFqdn: general.allowPullFqdn,
    allowRecursiveRouting: general.allowRecursiveRouting,
    tls,
    auth: general.auth,
    cipher: general.cipher,
    dataCiphers: general.dataCiphers,
    dataCiphersFallback: general.dataCiphersFallback,
    providers: general.providers,
    allowCompression: general.allowCompression,
    allowCompressionStated: general.allowCompressionStated,
    replayWindow: general.replayWindow,
    authUserPass: general.authUserPass,
    authNocache: general.authNocache,
    authRetry: general.authRetry,
    staticChallenge: general.staticChallenge,
    pushPeerInfo: general.pushPeerInfo,
    setenv: general.setenv,
    scripts: drafts.scripts,
    process: drafts.process,
    mark: general.mark,
    bindDevice: general.bindDevice,
    passTos: general.passTos,
    mtuTest: general.mtuTest,
    disableDco: general.disableDco,
    disableOcc: general.disableOcc,
    compatMode: general.compatMode,
    lines,
  };
  if (read.complete) {
    verifyConfig(config, drafts, at);
    verifyServer({ config, drafts, at, checksLogins: read.checksLogins });
  }
  return config;
}

/** Finds the line that is to blame for something that concerns the whole. */
export class Lines {
  readonly #lines: readonly ConfigLine[];
  readonly #findings: Findings;
  readonly #source: string;

  constructor(lines: readonly ConfigLine[], findings: Findings, source: string) {
    this.#lines = lines;
    this.#findings = findings;
    this.#source = source;
  }

  has(option: string): boolean {
    return this.#lines.some((line) => line.option === option);
  }

  /** Complains about the last line with one of these options, or about the configuration as a whole. */
  say(...options: readonly string[]) {
    const { origin, option } = this.#blame(options);
    return sayFor(this.#findings, origin, option);
  }

  /** Refuses something that a later version is to have. */
  notYet(options: readonly string[], message: string, advice: string): void {
    const { origin, option } = this.#blame(options);
    this.#findings.add('error', 'not-yet', origin, option, message, advice);
  }

  /** Where the last line with one of these options stands, or the configuration as a whole. */
  origin(...options: readonly string[]): Origin {
    return this.#blame(options).origin;
  }

  #blame(options: readonly string[]): { readonly origin: Origin; readonly option: string } {
    const line = this.#lines.filter((each) => options.includes(each.option)).at(-1);
    return { origin: line?.origin ?? { file: this.#source, line: 1 }, option: line?.option ?? options[0] ?? '' };
  }
}

function deviceOf({ deviceName, deviceType, deviceNode }: GeneralDraft, at: Lines): DeviceChoice {
  const { device, problems } = chooseDevice(deviceName, deviceType, deviceNode);
  for (const { options, text, advice } of problems) at.say(...options).error(text, advice);
  return device;
}

// Defaults of the versions that compat-mode names.
function settleCompatibility({ general, tls }: Drafts): void {
  const compat = compatNumber(general.compatMode);
  const before = (version: number): boolean => compat !== 0 && compat < version;
  // 2.3.6 and earlier know TLS 1.0 only.
  if (before(20307)) tls.versionMin ??= '1.0';
  // Until 2.6 whatever a peer compresses was opened.
  if (before(20600) && !general.allowCompressionStated) {
    general.allowCompression = 'asym';
    general.allowCompressionStated = true;
  }
}

function settleCiphers(general: GeneralDraft, at: Lines): void {
  const compat = compatNumber(general.compatMode);
  const before = (version: number): boolean => compat !== 0 && compat < version;
  const list = general.dataCiphersText;
  if (list !== undefined) {
    general.dataCiphers = cipherList(list, general.providers, at.say('data-ciphers')) ?? [];
  } else general.dataCiphers = [...DEFAULT_DATA_CIPHERS];
  if (before(20400)) {
    general.cipher ??= 'BF-CBC';
    general.dataCiphersFallback ??= general.cipher;
  }
  const { cipher } = general;
  if (cipher !== undefined && before(20500) && !general.dataCiphers.includes(cipher)) general.dataCiphers.push(cipher);
  const negotiates = general.pull || general.mode === 'server';
  if (!negotiates && cipher !== undefined) general.dataCiphersFallback ??= cipher;
  for (const [option, name] of [
    ['data-ciphers-fallback', general.dataCiphersFallback],
    ['cipher', before(20500) || !negotiates ? cipher : undefined],
  ] as const) {
    if (name === undefined) continue;
    const verdict = cipherVerdict(name, general.providers);
    if (verdict === 'known') continue;
    at.say(option, 'compat-mode', 'cipher').error(
      verdict === 'short-block'
        ? `--${option} ${shown(name)}: 64-bit block ciphers give plaintext away after some gigabytes (SWEET32)`
        : `Unsupported cipher in --${option}: ${shown(name)}`,
      verdict === 'short-block' ? SHORT_BLOCK_ADVICE : 'Write AES-256-CBC or a cipher with GCM.',
    );
  }
  if (
    cipher !== undefined &&
    negotiates &&
    general.dataCiphersFallback === undefined &&
    !general.dataCiphers.includes(cipher)
  ) {
    at.say('cipher').warn(
      `DEPRECATED OPTION: --cipher set to '${shown(cipher)}' but missing in --data-ciphers (${general.dataCiphers.join(':')}). OpenVPN ignores --cipher for cipher negotiations. `,
      cipherVerdict(cipher, general.providers) === 'short-block'
        ? 'Remove the line: the cipher is negotiated, and this one is not safe.'
        : `Remove the line: the cipher is negotiated. For a server older than OpenVPN 2.4 write data-ciphers-fallback ${shown(cipher)}.`,
      'deprecated',
    );
  }
  const used = new Set([...general.dataCiphers, general.dataCiphersFallback ?? '']);
  for (const name of used) {
    if (!hasShortBlocks(name)) continue;
    at.say(name === general.dataCiphersFallback ? 'data-ciphers-fallback' : 'data-ciphers', 'cipher').warn(
      `WARNING: INSECURE cipher (${name}) with block size less than 128 bit (64 bit).  This allows attacks like SWEET32.  Mitigate by using a --cipher with a larger block size (e.g. AES-256-CBC). Support for these insecure ciphers will be removed in OpenVPN 2.8.`,
      'Have the other end use AES-256-GCM.',
      'deprecated',
    );
  }
}

function connectionsOf(drafts: Drafts, at: Lines): readonly ConnectionProfile[] {
  const { general, blocks, base, remotes } = drafts;
  const silent = { error: () => {}, warn: () => {} };
  let list: ConnectionDraft[];
  if (blocks.length > 0) list = blocks;
  else if (remotes.length > 0) {
    list = remotes.map((line) => {
      const draft = { ...base };
      readRemote(draft, line, silent);
      return draft;
    });
  } else list = [base];
  const wrap = globalWrap(drafts, at);
  const finished = overridden(
    list.map((draft) => finishConnection(draft, drafts, wrap, at)),
    general,
    at,
  );
  const forced = general.protoForce;
  if (forced === undefined) return finished;
  const kept = finished.filter((each) => (each.proto.transport === 'udp') === forced.startsWith('udp'));
  if (kept.length === 0) {
    at.say('proto-force').error(
      `--proto-force ${forced} leaves no remote`,
      'Remove it, or write a remote with this protocol.',
    );
  }
  return kept;
}

// The last of each kind counts; several kinds at once exclude each other (verify.ts says so).
function globalWrap(drafts: Drafts, at: Lines): KeyWrap | undefined {
  const kinds = new Set(drafts.wraps.map((each) => each.wrap.kind));
  if (kinds.has('tls-auth') && kinds.has('tls-crypt')) {
    at.say('tls-auth', 'tls-crypt').error(
      '--tls-auth and --tls-crypt are mutually exclusive',
      'Keep the one that the server has.',
    );
  } else if (kinds.has('tls-crypt-v2') && kinds.size > 1 && drafts.tls.role !== 'server') {
    at.say('tls-crypt-v2').error(
      '--tls-crypt-v2, --tls-auth and --tls-crypt are mutually exclusive in client mode',
      'Keep the one that the server has.',
    );
  }
  return drafts.wraps.at(-1)?.wrap;
}

function finishConnection(
  draft: ConnectionDraft,
  drafts: Drafts,
  globalKey: KeyWrap | undefined,
  at: Lines,
): ConnectionProfile {
  const { general } = drafts;
  const open = draft.protoName === 'tcp' || draft.protoName === 'tcp4' || draft.protoName === 'tcp6';
  const transport = open && general.mode === 'server' ? 'tcp-server' : draft.proto.transport;
  const udp = transport === 'udp';
  const needBind = draft.localPortStated || draft.bindStated;
  const quietSource = transport === 'tcp-client' || (udp && draft.socksProxy !== undefined) || general.pull;
  const bindLocal = draft.bindLocal && (needBind || !quietSource);
  const key = draft.wrap ?? globalKey;
  const direction = draft.wrap === undefined ? general.keyDirection : (draft.wrap.direction ?? draft.keyDirection);
  if (!udp && draft.explicitExitNotify > 0) {
    at.say('explicit-exit-notify').warn(
      'NOTICE: --explicit-exit-notify ignored for --proto tcp',
      'Remove the line, or leave it for remotes that use UDP.',
      'ignored',
    );
  }
  const {
    localPortStated: _a,
    bindStated: _b,
    tunMtuStated,
    protoName: _c,
    keyDirection: _d,
    locals,
    ...profile
  } = draft;
  const tunMtuBytes = tunMtuOf(draft, { tunMtuStated, cipher: general.cipher, digest: general.auth, udp }, at);
  return {
    ...profile,
    tunMtuBytes,
    // What is larger here may be pushed, too.
    tunMtuMaxBytes: Math.max(draft.tunMtuMaxBytes, tunMtuBytes),
    localPort: locals.at(-1)?.port ?? draft.localPort,
    proto: { transport, family: familyOf(draft, at) },
    httpProxy: httpProxyOf(draft, general, at),
    bindLocal,
    explicitExitNotify: udp ? draft.explicitExitNotify : 0,
    mssFix: mssFixOf(draft, tunMtuStated),
    wrap: key === undefined || key.kind !== 'tls-auth' ? key : { ...key, direction },
  };
}

/** A SOCKS relay of datagrams is asked for IPv4 unless the profile says IPv6. */
function familyOf({ proto, socksProxy }: ConnectionDraft, at: Lines): 4 | 6 | undefined {
  if (proto.transport !== 'udp' || socksProxy === undefined || proto.family !== undefined) return proto.family;
  at.say('socks-proxy').warn(
    "NOTICE: dual-stack mode for '--proto udp' does not work correctly with '--socks-proxy' today.  Forcing IPv4.",
    'Write proto udp4, or udp6 where both proxy and server have IPv6.',
    'ignored',
  );
  return 4;
}

function tunMtuOf(
  draft: ConnectionDraft,
  facts: { tunMtuStated: boolean; cipher: string | undefined; digest: string; udp: boolean },
  at: Lines,
): number {
  if (draft.linkMtuBytes === undefined || facts.tunMtuStated) return draft.tunMtuBytes;
  const bytes = tunMtuOfLink(draft.linkMtuBytes, { ...facts, stream: !facts.udp });
  if (bytes >= TUN_MTU_MIN_BYTES) return bytes;
  at.say('link-mtu').error(
    `TUN MTU value (${bytes}) must be at least ${TUN_MTU_MIN_BYTES}`,
    'Write tun-mtu 1500 instead.',
  );
  return TUN_MTU_MIN_BYTES;
}

// Unstated: the fragment size if there is one, else 1492 in mtu mode (undefined here), else what fits another tun-mtu.
function mssFixOf(draft: ConnectionDraft, tunMtuStated: boolean): ConnectionProfile['mssFix'] {
  if (draft.mssFix !== undefined) return draft.mssFix;
  if (draft.fragment !== undefined) return { bytes: draft.fragment.bytes, mode: 'mtu' };
  // Under link-mtu the C program has no default.
  if (draft.linkMtuBytes !== undefined && !tunMtuStated) return { bytes: 0, mode: 'payload' };
  if (tunMtuStated && draft.tunMtuBytes !== 1500) return { bytes: draft.tunMtuBytes, mode: 'fixed' };
  return undefined;
}

function tunnelOf(drafts: Drafts, at: Lines): TunnelOptions {
  const { general, tunnel } = drafts;
  if (general.keepalive !== undefined) {
    if (tunnel.ping !== undefined || tunnel.pingExit !== undefined || tunnel.pingRestart !== undefined) {
      at.say('keepalive').error(
        "--keepalive conflicts with --ping, --ping-exit, or --ping-restart.  If you use --keepalive, you don't need any of the other --ping directives.",
        'Remove the ping lines.',
      );
    }
    const { interval, timeout } = general.keepalive;
    const serves = general.mode === 'server';
    tunnel.ping = interval;
    // A server waits longer, so that it is the client that begins anew.
    tunnel.pingRestart = serves ? timeout * 2 : timeout;
  }
  tunnel.verb = undefined;
  tunnel.mute = undefined;
  return tunnel;
}

// The typed configuration: what the parser makes of files and command line, and what everybody else reads. A value of
// this type is right by its type; what could not be right was refused with file and line by `config/parse`.

import type { NatRule } from '../ip/client-nat.ts';
import type { PluginOption } from './plugins.ts';
import type { HttpProxyOptions, SocksProxyOptions } from './proxy-options.ts';
import type { ServerOptions } from './server-options.ts';

/** Where an option stood, for messages. Command line: `file` is `[CMD-LINE]` and `line` the argument's position. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

/** Something read from a file or given inline in the profile. Files are read once, at start, by the composition root. */
export type Source =
  | { readonly kind: 'file'; readonly path: string; readonly origin: Origin }
  | { readonly kind: 'inline'; readonly text: string; readonly origin: Origin };

/** `udp`/`tcp` with the family pinned by a digit, or undefined for either. TCP role is known once the role is. */
export interface TransportProto {
  readonly transport: 'udp' | 'tcp-client' | 'tcp-server';
  readonly family: 4 | 6 | undefined;
}

export interface KeyWrap {
  readonly kind: 'tls-auth' | 'tls-crypt' | 'tls-crypt-v2';
  readonly source: Source;
  /** tls-auth only: 0, 1 or undefined for bidirectional. */
  readonly direction: 0 | 1 | undefined;
}

/** One `remote` or one `<connection>` block with everything that may differ between them. */
export interface ConnectionProfile {
  readonly remote: string | undefined;
  readonly remotePort: string;
  readonly localHost: string | undefined;
  readonly localPort: string;
  readonly proto: TransportProto;
  /** `bind` / `nobind`: whether the local port is fixed. */
  readonly bindLocal: boolean;
  readonly bindIpv6Only: boolean;
  readonly float: boolean;
  readonly connectRetrySeconds: number;
  readonly connectRetryMaxSeconds: number;
  readonly connectTimeoutSeconds: number;
  readonly explicitExitNotify: number;
  readonly tunMtuBytes: number;
  readonly occMtuBytes: number | undefined;
  readonly tunMtuMaxBytes: number;
  readonly tunMtuExtraBytes: number;
  readonly linkMtuBytes: number | undefined;
  readonly maxControlPacketBytes: number;
  readonly fragment: { readonly bytes: number; readonly mtuMode: boolean } | undefined;
  /** undefined: the default (1492 in mtu mode, see mss arithmetic); bytes 0: off. */
  readonly mssFix: { readonly bytes: number; readonly mode: 'mtu' | 'fixed' | 'payload' } | undefined;
  readonly mtuDiscovery: 'no' | 'maybe' | 'yes' | undefined;
  readonly wrap: KeyWrap | undefined;
  readonly httpProxy: HttpProxyOptions | undefined;
  readonly socksProxy: SocksProxyOptions | undefined;
  readonly origin: Origin;
}

export interface RouteOption {
  readonly network: string;
  readonly netmask: string | undefined;
  /** A literal, or `vpn_gateway`, `net_gateway`, `remote_host`; undefined for the default gateway. */
  readonly gateway: string | undefined;
  readonly metric: number | undefined;
  readonly table: number | undefined;
}

export interface Route6Option {
  readonly network: string;
  readonly gateway: string | undefined;
  readonly metric: number | undefined;
  readonly table: number | undefined;
}

export interface RedirectFlags {
  readonly local: boolean;
  readonly autolocal: boolean;
  readonly def1: boolean;
  readonly bypassDhcp: boolean;
  readonly bypassDns: boolean;
  readonly blockLocal: boolean;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

export interface DnsServerOption {
  readonly priority: number;
  readonly addresses: readonly { readonly address: string; readonly port: number | undefined }[];
  readonly resolveDomains: readonly string[];
  readonly dnssec: 'yes' | 'no' | 'optional' | undefined;
  readonly transport: 'plain' | 'DoT' | 'DoH' | undefined;
  readonly sni: string | undefined;
}

/** The options that a server may push and a profile may state: what a push reply changes. Same parser, same types. */
export interface TunnelOptions {
  readonly topology: 'net30' | 'p2p' | 'subnet' | undefined;
  readonly ifconfig: { readonly local: string; readonly remoteOrNetmask: string } | undefined;
  readonly ifconfigIpv6:
    | { readonly local: string; readonly prefixLength: number; readonly remote: string | undefined }
    | undefined;
  readonly routes: readonly RouteOption[];
  readonly routes6: readonly Route6Option[];
  readonly routeGateway: string | undefined;
  readonly routeIpv6Gateway: string | undefined;
  readonly routeMetric: number | undefined;
  readonly routeTable: number | undefined;
  readonly routeDelay: { readonly seconds: number; readonly windowSeconds: number } | undefined;
  readonly redirectGateway: RedirectFlags | undefined;
  /** Like redirectGateway, but the default route stays. */
  readonly redirectPrivate: RedirectFlags | undefined;
  readonly blockIpv6: boolean;
  /** `client-nat` lines in order. */
  readonly natRules: readonly NatRule[];
  readonly dns: readonly DnsServerOption[];
  readonly dnsSearchDomains: readonly string[];
  /** `dhcp-option` lines in order, words as given: ['DNS', '10.8.0.1']. They become foreign_option_n as well. */
  readonly dhcpOptions: readonly (readonly string[])[];
  readonly tunMtuBytes: number | undefined;
  readonly ping: number | undefined;
  readonly pingExit: number | undefined;
  readonly pingRestart: number | undefined;
  readonly pingTimerRem: boolean;
  readonly inactive: { readonly seconds: number; readonly bytes: number } | undefined;
  readonly sessionTimeoutSeconds: number | undefined;
  readonly explicitExitNotify: number | undefined;
  readonly compress: CompressOption | undefined;
  readonly cipher: string | undefined;
  readonly auth: string | undefined;
  readonly peerId: number | undefined;
  readonly protocolFlags: readonly string[];
  readonly keyDerivation: 'tls-ekm' | undefined;
  readonly authToken: string | undefined;
  readonly authTokenUser: string | undefined;
  readonly shaperBytesPerSecond: number | undefined;
  readonly sndbuf: number | undefined;
  readonly rcvbuf: number | undefined;
  readonly socketFlags: readonly string[];
  readonly echo: readonly string[];
  readonly setenv: readonly (readonly [name: string, value: string])[];
  readonly verb: number | undefined;
  readonly mute: number | undefined;
  readonly persistTun: boolean;
  readonly txQueueLength: number | undefined;
  /** Ethernet address of a TAP device, `02:00:00:00:00:01`. */
  readonly linkAddress: string | undefined;
  /** Options taken as pushed but without effect here, with the reason, for the log. */
  readonly withoutEffect: readonly { readonly option: string; readonly reason: string }[];
}

export interface CompressOption {
  /** Which framing is spoken: `comp-lzo no` → comp-lzo; `compress`, `compress stub` → stub; v2 forms → stub-v2. */
  readonly framing: 'none' | 'comp-lzo' | 'stub' | 'stub-v2';
  /** An algorithm that this side opens where allowed. */
  readonly algorithm: 'none' | 'lzo' | 'lz4';
  /** What stood in the profile, for messages. */
  readonly text: string;
}

/** One `x509-track`: a name as `certificateField` takes it. */
export interface TrackedField {
  readonly name: string;
  /** Of every certificate of the chain (`+name`), not of the peer's own only. */
  readonly wholeChain: boolean;
}

export type X509NameType = 'subject' | 'name' | 'name-prefix';

export interface TlsOptions {
  readonly role: 'client' | 'server' | undefined;
  readonly ca: Source | undefined;
  readonly caPath: Source | undefined;
  readonly cert: Source | undefined;
  readonly key: Source | undefined;
  readonly pkcs12: Source | undefined;
  readonly extraCerts: Source | undefined;
  readonly dh: Source | undefined;
  readonly crlVerify: { readonly source: Source; readonly directory: boolean } | undefined;
  readonly peerFingerprints: readonly Uint8Array[];
  readonly verifyHash: { readonly digest: 'SHA1' | 'SHA256'; readonly hashes: readonly Uint8Array[] } | undefined;
  readonly versionMin: '1.0' | '1.1' | '1.2' | '1.3' | undefined;
  readonly versionMinOrHighest: boolean;
  readonly versionMax: '1.0' | '1.1' | '1.2' | '1.3' | undefined;
  /** As written, names separated by colons. */
  readonly cipherList: string | undefined;
  readonly cipherSuites: string | undefined;
  readonly groups: string | undefined;
  readonly certProfile: 'insecure' | 'legacy' | 'preferred' | 'suiteb' | undefined;
  /** Accepted key usages; `required` means: any key usage must be present. */
  readonly remoteCertKu: readonly number[] | 'required' | undefined;
  readonly remoteCertEku: string | undefined;
  readonly nsCertType: 'client' | 'server' | undefined;
  readonly verifyX509Name: { readonly name: string; readonly type: X509NameType } | undefined;
  readonly tracked: readonly TrackedField[];
  readonly timeoutSeconds: number;
  readonly handWindowSeconds: number;
  readonly tranWindowSeconds: number;
  readonly renegSeconds: number;
  readonly renegSecondsMin: number | undefined;
  readonly renegBytes: number | undefined;
  readonly renegPackets: number;
  readonly exit: boolean;
  /** tls-crypt-v2 at one of two equal ends: how old a peer's key may be. A server for many has it in its own options. */
  readonly keyMaxAgeDays: number | undefined;
  readonly askpass: { readonly file: string | undefined } | undefined;
}

export interface ScriptOptions {
  readonly security: 0 | 1 | 2 | 3;
  /** Each as an argv, split by the option grammar; never a shell. */
  readonly up: readonly string[] | undefined;
  readonly down: readonly string[] | undefined;
  readonly routeUp: readonly string[] | undefined;
  readonly routePreDown: readonly string[] | undefined;
  readonly ipChange: readonly string[] | undefined;
  readonly tlsVerify: readonly string[] | undefined;
  /** At one of two equal ends, and the folder for the files that it gets. A server for many has them in its own options. */
  readonly tlsCryptV2Verify: readonly string[] | undefined;
  readonly tmpDir: string | undefined;
  readonly plugins: readonly PluginOption[];
  /** The directory of `tls-export-cert`. */
  readonly exportCertificates: string | undefined;
  readonly dnsUpdown: readonly string[] | 'disable' | 'force' | undefined;
  /** How name servers are set where no script of the profile does it; `auto`: what the host uses. */
  readonly dnsBackend: 'auto' | 'resolved' | 'resolvconf' | 'file' | 'dnsmasq' | 'none';
  readonly downPre: boolean;
  readonly upDelay: boolean;
  readonly upRestart: boolean;
}

export interface PullFilter {
  readonly action: 'accept' | 'ignore' | 'reject';
  readonly text: string;
}

export interface ProcessOptions {
  readonly daemon: { readonly name: string } | undefined;
  readonly cd: string | undefined;
  readonly chroot: string | undefined;
  readonly user: string | undefined;
  readonly group: string | undefined;
  readonly nice: number | undefined;
  /** Threads that move packets; undefined: by the number of processors. */
  readonly workers: number | undefined;
  /** Count where the time of those threads goes. */
  readonly measureDataPath: boolean;
  readonly mlock: boolean;
  readonly writepid: string | undefined;
  readonly log: { readonly path: string; readonly append: boolean } | undefined;
  readonly syslog: { readonly name: string } | undefined;
  readonly suppressTimestamps: boolean;
  readonly machineReadable: boolean;
  readonly verb: number;
  readonly mute: number;
  readonly muteReplayWarnings: boolean;
  readonly status: { readonly path: string; readonly seconds: number } | undefined;
  readonly statusVersion: 1 | 2 | 3;
  readonly remapUsr1: 'SIGHUP' | 'SIGTERM' | undefined;
  readonly persistTun: boolean;
  readonly persistKey: boolean;
  readonly persistRemoteIp: boolean;
  readonly persistLocalIp: boolean;
}

export interface DeviceChoice {
  /** `tun`, `tun0`, `tap3`, `null`, or any name with `type` set. */
  readonly name: string;
  readonly type: 'tun' | 'tap' | 'null';
  readonly node: string | undefined;
}

/** A whole configuration of a client, a server or one end of a peer-to-peer tunnel. */
export interface Config {
  readonly mode: 'p2p' | 'server';
  /** What is said about serving many clients; exactly under `mode server`. */
  readonly server: ServerOptions | undefined;
  /** Whether options are taken from the server (`client`, `pull`). */
  readonly pull: boolean;
  readonly connections: readonly ConnectionProfile[];
  readonly remoteRandom: boolean;
  readonly remoteRandomHostname: boolean;
  readonly resolvRetrySeconds: number | 'infinite';
  readonly connectRetryMax: number | undefined;
  readonly device: DeviceChoice;
  /** What the profile itself states; pushed options are laid over it by `config/push`. */
  readonly tunnel: TunnelOptions;
  readonly ifconfigNoexec: boolean;
  readonly ifconfigNowarn: boolean;
  readonly routeNoexec: boolean;
  readonly routeNopull: boolean;
  /** `only-its-networks`: default routes and DNS for every name are not taken (tunnel/only-its-networks.ts). */
  readonly onlyItsNetworks: boolean;
  /** `block-ipv6-leak`: whether IPv6 that would go past the tunnel is blocked (tunnel/ipv6-leak.ts); undefined: not stated. */
  readonly blockIpv6Leak: boolean | undefined;
  readonly pullFilters: readonly PullFilter[];
  readonly allowPullFqdn: boolean;
  readonly allowRecursiveRouting: boolean;
  readonly tls: TlsOptions;
  readonly auth: string;
  /** Explicit `cipher`, if any. */
  readonly cipher: string | undefined;
  readonly dataCiphers: readonly string[];
  readonly dataCiphersFallback: string | undefined;
  /** `providers legacy default` stood in the profile. */
  readonly providers: readonly string[];
  readonly allowCompression: 'asym' | 'no' | 'yes';
  /** Whether `allow-compression` was written. */
  readonly allowCompressionStated: boolean;
  readonly replayWindow: { readonly packets: number; readonly seconds: number };
  readonly authUserPass: { readonly source: Source | undefined; readonly usernameOnly: boolean } | undefined;
  readonly authNocache: boolean;
  readonly authRetry: 'none' | 'nointeract' | 'interact';
  readonly staticChallenge:
    | { readonly text: string; readonly echo: boolean; readonly format: 'scrv1' | 'concat' }
    | undefined;
  readonly pushPeerInfo: boolean;
  readonly setenv: readonly (readonly [name: string, value: string])[];
  readonly scripts: ScriptOptions;
  readonly process: ProcessOptions;
  readonly mark: number | undefined;
  readonly bindDevice: string | undefined;
  readonly passTos: boolean;
  readonly mtuTest: boolean;
  readonly disableDco: boolean;
  readonly disableOcc: boolean;
  readonly compatMode: string | undefined;
  /** Every option as parsed, in order, for scripts' `config` variable, `check`, and rooms of later issues (server, management). */
  readonly lines: readonly ConfigLine[];
}

export interface ConfigLine {
  readonly option: string;
  readonly words: readonly string[];
  readonly inline: string | undefined;
  readonly origin: Origin;
  /** Index of the `<connection>` block it stood in, or undefined. */
  readonly connection: number | undefined;
}

export type Severity = 'error' | 'warning' | 'notice';

/** One thing to say about one line of a profile. */
export interface Finding {
  readonly severity: Severity;
  readonly kind: 'unknown' | 'refused' | 'invalid' | 'not-yet' | 'ignored' | 'deprecated' | 'unsafe';
  readonly origin: Origin;
  readonly option: string;
  /** What it means. */
  readonly message: string;
  /** What to write instead, or what to do. */
  readonly advice: string | undefined;
}

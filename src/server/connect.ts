// What a client gets once it was let in: the pool's addresses, then what its file, a program and the hook say about it,
// then cipher and protocol, and out of all that the push reply and its peer's settings in the plane.

import { clientFileName, parseClientOptions } from '../config/client-options.ts';
import type { Config, Finding } from '../config/config.ts';
import { optionsErrorText } from '../config/findings.ts';
import { type ClientOptions, NO_CLIENT_OPTIONS, type ServerOptions } from '../config/server-options.ts';
import type { PeerSettings, PlaneCapabilities } from '../data/plane.ts';
import { parsePrefix } from '../ip/prefix.ts';
import { Level } from '../log.ts';
import { keepaliveOf } from '../peer/keepalive.ts';
import type { Results } from '../peer/results.ts';
import type { SessionPush } from '../session/options.ts';
import { ivProtoOf } from '../wire/peer-info.ts';
import type { AddressPool, PoolLease } from './address-pool.ts';
import { chooseCipher } from './cipher-choice.ts';
import {
  type ClientAddresses,
  chooseAddresses,
  needsLease,
  type ServerEnd,
  satisfiesConstraint,
} from './client-addresses.ts';
import { hookOptions } from './hook-options.ts';
import type { ConnectDecision, ServerHooks } from './hooks.ts';
import { clientIdentity } from './identity.ts';
import type { Authenticate, Instance } from './instance.ts';
import type { ServerFiles } from './ports.ts';
import { chooseProtocol } from './protocol-choice.ts';
import { compressionMigration, pushList } from './push-list.ts';
import type { ServerScripts } from './scripts.ts';
import { type Refusal, refusal } from './verdict.ts';

/** A file of client-config-dir. */
const CLIENT_FILE_LIMIT_BYTES = 1024 * 1024;
const DEFAULT_FILE = 'DEFAULT';

export interface ConnectPorts {
  readonly files: ServerFiles;
  readonly scripts: ServerScripts;
  readonly hooks: ServerHooks;
  readonly pool: AddressPool | undefined;
  readonly end: ServerEnd;
  readonly capabilities: PlaneCapabilities;
  nowUnixSeconds(): number;
}

/** What a client is given, before anything is told or done. */
export interface Grant {
  readonly accept: true;
  readonly push: SessionPush;
  readonly options: readonly string[];
  readonly addresses: ClientAddresses;
  readonly routes: readonly string[];
  /** Addresses and networks that it may have, all together. */
  readonly maxRoutes: number;
  readonly settings: Pick<PeerSettings, 'pingIntervalMs' | 'compression' | 'decompress'>;
  /** The reply goes out without being asked for. */
  readonly pushUnasked: boolean;
  /** For the log: timers and protocol options in force. */
  readonly results: Results;
}

export class Connector {
  #config: Config;
  #server: ServerOptions;
  readonly #ports: ConnectPorts;
  readonly #leases = new WeakMap<Instance, PoolLease>();

  constructor(config: Config, server: ServerOptions, ports: ConnectPorts) {
    this.#config = config;
    this.#server = server;
    this.#ports = ports;
  }

  /** Clients get what these say from now on. */
  reload(config: Config, server: ServerOptions): void {
    this.#config = config;
    this.#server = server;
  }

  /** Whether a client's name has the file that `ccd-exclusive` wants; its path is for the log. */
  missingFile(name: string | undefined): string | undefined {
    if (!this.#server.ccdExclusive) return undefined;
    const path = this.#filePath(name ?? '');
    return path !== undefined && this.#read(path) !== undefined ? undefined : (path ?? this.#server.clientConfigDir);
  }

  /** `token` is asked for last: it is made for the user name that the client has by then. */
  async connect(
    instance: Instance,
    event: Authenticate,
    token: () => string | undefined,
    signal: AbortSignal,
  ): Promise<Grant | Refusal> {
    const { facts, log } = instance;
    const lease = this.#ports.pool?.acquire(facts.name);
    if (lease !== undefined) this.#leases.set(instance, lease);
    facts.addresses = this.#addresses(instance, NO_CLIENT_OPTIONS, lease);
    log(
      Level.info,
      `MULTI_sva: pool returned IPv4=${lease?.address4 ?? '(Not enabled)'}, IPv6=${lease?.address6 ?? '(Not enabled)'}`,
    );
    const options = await this.#clientOptions(instance, event, signal);
    if ('accept' in options) return options;
    if (options.disable) {
      log(Level.multiErrors, "MULTI: client has been rejected due to 'disable' directive");
      return refusal(undefined);
    }
    this.#giveAddresses(instance, options, lease);
    const routes = [...options.iroutes, ...options.iroutes6].filter((text) => parsePrefix(text) !== undefined);
    if (options.overrideUsername !== undefined) facts.username = options.overrideUsername;
    return this.#grant(instance, options, routes, token());
  }

  /** The client is gone: its address is free. */
  release(instance: Instance): void {
    const lease = this.#leases.get(instance);
    if (lease === undefined) return;
    this.#leases.delete(instance);
    this.#ports.pool?.release(lease.slot, this.#ports.nowUnixSeconds());
  }

  async #clientOptions(instance: Instance, event: Authenticate, signal: AbortSignal): Promise<ClientOptions | Refusal> {
    const { facts, log } = instance;
    let options = this.#fromFile(instance, NO_CLIENT_OPTIONS);
    const said = await this.#ports.scripts.connect(facts, signal);
    // Who is gone has given its address back; nothing may be done in its name any more.
    signal.throwIfAborted();
    if (!said.accept) return refusal(undefined);
    for (const { file, text } of said.options) options = this.#lay(instance, text, file, options);
    const decision = await this.#ports.hooks.onConnect?.(clientIdentity(instance, event), { signal });
    signal.throwIfAborted();
    const refused = refusedBy(decision);
    if (refused !== undefined) {
      log(Level.multiErrors, 'MULTI: client has been rejected by the program around the server');
      return refused;
    }
    if (typeof decision !== 'object' || decision.accept === false) return options;
    const text = hookOptions(decision, this.#ports.end.netmask);
    return text === '' ? options : this.#lay(instance, text, 'onConnect', options);
  }

  #fromFile(instance: Instance, base: ClientOptions): ClientOptions {
    const own = this.#filePath(instance.name ?? '');
    for (const path of [own, this.#filePath(DEFAULT_FILE)]) {
      const text = path === undefined ? undefined : this.#read(path);
      if (path === undefined || text === undefined) continue;
      instance.log(Level.multi, `OPTIONS IMPORT: reading client specific options from: ${path}`);
      return this.#lay(instance, text, path, base);
    }
    return base;
  }

  #filePath(name: string): string | undefined {
    const { clientConfigDir } = this.#server;
    const file = clientConfigDir === undefined ? undefined : clientFileName(name);
    return file === undefined ? undefined : `${clientConfigDir}/${file}`;
  }

  #read(path: string): string | undefined {
    return this.#ports.files.read(path, CLIENT_FILE_LIMIT_BYTES);
  }

  #lay(instance: Instance, text: string, file: string, base: ClientOptions): ClientOptions {
    const { options, findings } = parseClientOptions(text, file, base, {
      readText: (path) => this.#read(path),
      serverIpv6: this.#config.tunnel.ifconfigIpv6?.local,
      providers: this.#config.providers,
    });
    for (const finding of findings) this.#complain(instance, finding);
    return options;
  }

  #complain({ log }: Instance, finding: Finding): void {
    if (finding.severity === 'error') log(Level.importErrors, optionsErrorText(finding));
    else log(Level.warning, finding.message);
  }

  /** A client's own `cipher` counts only where a fallback is allowed at all. */
  #fallback({ dataCiphersFallback, cipher }: ClientOptions): string | undefined {
    const own = this.#config.dataCiphersFallback;
    return dataCiphersFallback ?? (own === undefined ? undefined : (cipher ?? own));
  }

  #addresses(instance: Instance, options: ClientOptions, lease: PoolLease | undefined): ClientAddresses {
    return chooseAddresses(options, lease, this.#ports.end, instance.label).addresses;
  }

  /** A static address takes the place of the pool's, which is then free again. */
  #giveAddresses(instance: Instance, options: ClientOptions, lease: PoolLease | undefined): void {
    const { log } = instance;
    const { ifconfig } = options;
    let kept = lease;
    if (lease !== undefined && !needsLease(options, lease)) {
      this.#leases.delete(instance);
      this.#ports.pool?.forget(lease.slot);
      kept = undefined;
    }
    if (ifconfig !== undefined && !satisfiesConstraint(ifconfig.local, this.#server.ifconfigPushConstraint)) {
      log(
        Level.multiErrors,
        `MULTI ERROR: primary virtual IP for ${instance.label} (${ifconfig.local}) violates tunnel network/netmask constraint (${this.#server.ifconfigPushConstraint?.network}/${this.#server.ifconfigPushConstraint?.netmask})`,
      );
    }
    const { addresses, notes } = chooseAddresses(options, kept, this.#ports.end, instance.label);
    for (const note of notes) log(Level.multiErrors, note);
    if (this.#ports.pool !== undefined && addresses.v4 === undefined && this.#ports.end.local4 !== undefined) {
      if (lease === undefined) log(Level.multiErrors, 'MULTI: no free --ifconfig-pool addresses are available');
      log(
        Level.multiErrors,
        `MULTI: no dynamic or static remote --ifconfig address is available for ${instance.label}`,
      );
    }
    instance.facts.addresses = addresses;
  }

  #grant(
    instance: Instance,
    options: ClientOptions,
    routes: readonly string[],
    token: string | undefined,
  ): Grant | Refusal {
    const { facts, log } = instance;
    const { tunnel } = this.#config;
    const { ciphers } = this.#ports.capabilities;
    const own = {
      dataCiphers: (options.dataCiphers ?? this.#config.dataCiphers).filter((name) => ciphers.includes(name)),
      dataCiphersWritten: undefined,
      fallback: this.#fallback(options),
    };
    const chosen = chooseCipher(own, facts);
    for (const line of chosen.lines) log(Level.info, line);
    if ('reason' in chosen) return refusal(chosen.reason);
    const protocol = chooseProtocol(ivProtoOf(facts.peerInfo), {
      requireExporter: this.#server.requireExporter,
      epochData: this.#ports.capabilities.epoch,
      aeadNegotiated: chosen.aeadNegotiated,
    });
    if ('refusal' in protocol) {
      log(Level.info, protocol.refusal.line);
      return refusal(protocol.refusal.reason);
    }
    for (const note of protocol.notes) log(Level.warning, note);
    const { choice } = protocol;
    const migration = compressionMigration(this.#server.compressMigrate, facts.optionsString, facts.peerInfo);
    const list = pushList({
      push: this.#server.push,
      migration: migration?.push,
      client: options,
      addresses: facts.addresses,
      peerId: instance.id,
      token: token === undefined ? undefined : { token, username: facts.username ?? '' },
      cipher: chosen.cipher,
      protocol: choice,
      peerInfo: facts.peerInfo,
      tunMtuBytes: instance.profile.tunMtuBytes,
    });
    for (const note of list.notes) log(Level.pushErrors, note);
    const compress = options.compress ?? tunnel.compress;
    // Either of the two that judge silence takes the other's place.
    const silence =
      options.pingExit !== undefined || options.pingRestart !== undefined
        ? { pingExit: options.pingExit, pingRestart: options.pingRestart }
        : {};
    const timers = {
      ...tunnel,
      ...silence,
      ping: options.ping ?? tunnel.ping,
      inactive: options.inactive ?? tunnel.inactive,
      sessionTimeoutSeconds: options.sessionTimeoutSeconds ?? tunnel.sessionTimeoutSeconds,
    };
    return {
      accept: true,
      push: {
        cipher: chosen.cipher,
        peerId: choice.peerId ? instance.id : undefined,
        useExporter: choice.tlsKeyExport,
        controlExit: choice.ccExit,
        dynamicTlsCrypt: choice.dynamicTlsCrypt,
        epochData: choice.epochData,
        authToken: undefined,
        authTokenUser: undefined,
        keepalive: keepaliveOf(timers),
      },
      options: list.options,
      addresses: facts.addresses,
      routes,
      maxRoutes: options.maxRoutes ?? this.#server.maxRoutesPerClient,
      settings: {
        pingIntervalMs: (timers.ping ?? 0) * 1000,
        compression: migration?.framing ?? compress?.framing ?? 'none',
        decompress: compress?.algorithm ?? 'none',
      },
      pushUnasked: choice.pushUnasked,
      results: { ...timers, protocolFlags: protocolFlagsOf(list.options) },
    };
  }
}

function protocolFlagsOf(options: readonly string[]): readonly string[] {
  const [, ...flags] = options.findLast((option) => option.startsWith('protocol-flags '))?.split(' ') ?? [];
  return flags;
}

function refusedBy(decision: ConnectDecision): Refusal | undefined {
  if (decision === false) return refusal(undefined);
  return typeof decision === 'object' && decision.accept === false ? refusal(decision.reason) : undefined;
}

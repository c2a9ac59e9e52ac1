// The link to the other end, whichever leads there: straight to a server, through a proxy, or open to a peer that may come
// by itself.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { DataPlane } from '../data/plane.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { Log } from '../log.ts';
import type { ClockPort, LinkPort, ResolverPort, StreamPort } from '../ports.ts';
import { openAttemptLink } from './link.ts';
import { openPeerLink, type PeerOpened } from './peer-link.ts';
import { hopOf, isProxied, openProxiedLink, type ProxiedLink } from './proxied-link.ts';
import type { ProxyCredentials } from './proxy-credentials.ts';
import type { ProxyEnd } from './proxy-stream.ts';
import type { RemoteAddress } from './remotes.ts';

export interface LinkOpenerPorts {
  readonly plane: DataPlane;
  readonly clock: ClockPort;
  readonly links: LinkPort;
  readonly streams: StreamPort;
  readonly resolver: ResolverPort;
  readonly crypto: CryptoProvider;
  readonly log: Log;
  /** A proxy is being asked for its way. */
  connecting(remote: SocketAddress): void;
}

export interface Opening {
  readonly profile: ConnectionProfile;
  /** Of the server, or of the proxy before it; undefined for a peer that is not known before it comes. */
  readonly address: RemoteAddress | undefined;
  readonly signal: AbortSignal;
}

export class LinkOpener {
  readonly #config: Config;
  readonly #ports: LinkOpenerPorts;
  readonly #proxyCredentials: ProxyCredentials;
  /** Resolved once under persist-local-ip. */
  readonly #localAddresses = new Map<ConnectionProfile, SocketAddress>();

  constructor(config: Config, ports: LinkOpenerPorts, proxyCredentials: ProxyCredentials) {
    this.#config = config;
    this.#ports = ports;
    this.#proxyCredentials = proxyCredentials;
  }

  /** Opens it and gives it to the plane. Throws HostError; rejects when the signal comes. */
  async open({ profile, address, signal }: Opening): Promise<ProxiedLink | PeerOpened | ProxyEnd> {
    const { tunnel, mark, bindDevice, pull } = this.#config;
    const { connecting, ...ports } = this.#ports;
    const remote = address && { ...address, port: Number(hopOf(profile).port), scopeId: 0 };
    const local = await this.#localAddress(profile, remote?.family ?? profile.proto.family, signal);
    const seconds = profile.connectTimeoutSeconds;
    const deadlineMs = seconds > 0 ? ports.clock.now().monoMs + seconds * 1000 : undefined;
    const context = {
      ...ports,
      ...{ mark, bindDevice },
      sndbufBytes: tunnel.sndbuf,
      rcvbufBytes: tunnel.rcvbuf,
      tcpNoDelay: true,
    };
    if (!pull && !isProxied(profile)) {
      return { type: 'meeting', link: openPeerLink(profile, remote, local, context) };
    }
    if (remote === undefined) throw new TypeError('a client has a server');
    if (!isProxied(profile)) {
      return { type: 'open', link: openAttemptLink(profile, remote, local, context), lost: undefined, deadlineMs };
    }
    connecting(remote);
    return openProxiedLink(profile, remote, local, {
      ...context,
      config: this.#config,
      credentials: this.#proxyCredentials,
      ...{ deadlineMs, signal },
    });
  }

  async #localAddress(
    profile: ConnectionProfile,
    family: 4 | 6 | undefined,
    signal: AbortSignal,
  ): Promise<SocketAddress | undefined> {
    if (profile.localHost === undefined) return undefined;
    const kept = this.#localAddresses.get(profile);
    if (kept !== undefined) return kept;
    const [first] = await this.#ports.resolver.resolve(profile.localHost, family, signal);
    if (first === undefined) return undefined;
    const local = { ...first, port: profile.bindLocal ? Number(profile.localPort) : 0, scopeId: 0 };
    if (this.#config.process.persistLocalIp) this.#localAddresses.set(profile, local);
    return local;
  }
}

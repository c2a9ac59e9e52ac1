// A link that goes through a proxy. Over HTTP CONNECT, and over SOCKS for TCP, the connection to the proxy becomes the
// link. Over SOCKS for UDP it stays beside it: the relay lasts as long as the connection does.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { SallyportError } from '../error.ts';
import { isUnspecified } from '../ip/address.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import type { ByteStream, ClockPort, ResolverPort, StreamPort } from '../ports.ts';
import { HttpDialog } from './http-dialog.ts';
import { type AttemptLink, attemptLink, type LinkContext, linkRequest, logBuffers, logOpened } from './link.ts';
import type { ProxyCredentials } from './proxy-credentials.ts';
import type { ProxyDialog } from './proxy-dialog.ts';
import { openWay, type ProxyEnd } from './proxy-stream.ts';
import type { RemoteAddress } from './remotes.ts';
import { resolveHost } from './resolve.ts';
import { type ClientSignal, softRestart } from './signal.ts';
import { SocksDialog } from './socks-dialog.ts';

export interface ProxyContext extends LinkContext {
  readonly config: Config;
  readonly streams: StreamPort;
  readonly clock: ClockPort;
  readonly resolver: ResolverPort;
  readonly crypto: CryptoProvider;
  readonly credentials: ProxyCredentials;
  /** When `server-poll-timeout` is over, monotonic milliseconds; undefined for never. */
  readonly deadlineMs: number | undefined;
  readonly signal: AbortSignal;
}

export interface ProxiedLink {
  readonly type: 'open';
  readonly link: AttemptLink;
  /** When `server-poll-timeout` is over now. */
  readonly deadlineMs: number | undefined;
  /** For a relay: resolves when the proxy has ended it, and the attempt with it; to nothing when it was closed here. */
  readonly lost: Promise<ClientSignal | undefined> | undefined;
}

/** The host that a profile's first connection goes to: the proxy, or the server itself. */
export function hopOf(profile: ConnectionProfile): {
  readonly host: string;
  readonly port: string;
  readonly family: 4 | 6 | undefined;
} {
  const { httpProxy, socksProxy, proto } = profile;
  const proxy = httpProxy ?? socksProxy;
  if (proxy === undefined) return { host: profile.remote ?? '', port: profile.remotePort, family: proto.family };
  // A relay that is asked for over IPv4 may send to a server by IPv6.
  const family = proto.transport === 'udp' && proto.family === 6 ? undefined : proto.family;
  return { host: proxy.host, port: proxy.port, family };
}

/** Whether a connection goes through a proxy. */
export const isProxied = ({ httpProxy, socksProxy }: ConnectionProfile): boolean =>
  httpProxy !== undefined || socksProxy !== undefined;

/** Opens the way through the proxy at `address`. Throws HostError; rejects when the signal comes. */
export async function openProxiedLink(
  profile: ConnectionProfile,
  address: SocketAddress,
  local: SocketAddress | undefined,
  context: ProxyContext,
): Promise<ProxiedLink | ProxyEnd> {
  const { links, log, clock, streams, credentials, deadlineMs, signal } = context;
  log(Level.info, `TCP/UDP: Preserving recently used remote address: ${formatLogAddress(address)}`);
  const isRelayed = profile.proto.transport === 'udp';
  const request = { ...linkRequest(profile, address, local, context), transport: 'tcp-client' as const };
  const way = await openWay(dialogFor(profile, context), {
    links,
    streams,
    clock,
    log,
    request,
    deadlineMs,
    signal,
    login: (asked) => credentials.obtain(profile, asked),
    logBuffers: (buffers) => logBuffers(log, buffers),
  });
  if (way.type === 'ended') {
    credentials.used(profile, way.loginRefused ? 'refused' : 'accepted');
    return way;
  }
  credentials.used(profile, 'accepted');
  if (!isRelayed)
    return {
      type: 'open',
      link: streamLink(profile, address, local, way, context),
      lost: undefined,
      deadlineMs: way.deadlineMs,
    };
  const control = new Control(streams.open(way.fd));
  try {
    const hop = relayOf(way.relay, address);
    const server = await serverBehind(profile, context);
    if (server === undefined) {
      control.close();
      const end = softRestart('Could not determine IPv4/IPv6 protocol');
      return { type: 'ended', signal: end, loginRefused: false };
    }
    return {
      type: 'open',
      link: relayedLink(profile, server, hop, control, context),
      lost: control.lost(log),
      deadlineMs: way.deadlineMs,
    };
  } catch (error) {
    control.close();
    throw error;
  }
}

function dialogFor(profile: ConnectionProfile, { crypto, log }: ProxyContext): ProxyDialog {
  const { httpProxy, socksProxy, remotePort: port } = profile;
  const host = profile.remote ?? '';
  if (httpProxy !== undefined) return new HttpDialog({ proxy: httpProxy, host, port, crypto, log });
  if (socksProxy === undefined) throw new Error('a connection without a proxy has nobody to ask');
  const purpose =
    profile.proto.transport === 'udp'
      ? ({ type: 'datagrams' } as const)
      : ({ type: 'stream', host, port: Number(port) } as const);
  return new SocksDialog({ proxy: socksProxy, purpose, log });
}

function streamLink(
  profile: ConnectionProfile,
  remote: SocketAddress,
  local: SocketAddress | undefined,
  { fd, readAhead }: { readonly fd: number; readonly readAhead: Uint8Array },
  context: ProxyContext,
): AttemptLink {
  const id = context.plane.addLink({
    endpoint: { kind: 'fd', fd },
    framing: 'tcp',
    connecting: false,
    remote,
    connected: true,
    readAhead: readAhead.length === 0 ? undefined : readAhead,
  });
  return attemptLink({ id, fd, remote, hop: remote, connecting: false, connected: true }, profile, local, context);
}

/** Datagrams go to the relay, each with the server's address before it; `remote` is the server. */
function relayedLink(
  profile: ConnectionProfile,
  remote: SocketAddress,
  hop: SocketAddress,
  control: Control,
  context: ProxyContext,
): AttemptLink {
  const { links, plane, log } = context;
  const opened = links.open({ ...linkRequest(profile, hop, undefined, context), local: undefined });
  logOpened(log, opened);
  const { fd } = opened;
  const id = plane.addLink({
    endpoint: { kind: 'fd', fd },
    framing: 'socks-udp',
    connecting: false,
    remote: hop,
    connected: opened.connected,
    readAhead: undefined,
  });
  const facts = { id, fd, remote, hop, connecting: false, connected: false };
  const link = attemptLink(facts, { ...profile, bindLocal: false }, undefined, context);
  return {
    ...link,
    async close() {
      control.close();
      await link.close();
    },
  };
}

/** Where a proxy wants datagrams; the unspecified address stands for its own. */
function relayOf(relay: SocketAddress | undefined, proxy: SocketAddress): SocketAddress {
  if (relay === undefined) throw new Error('a relay without an address');
  return isUnspecified(relay.address) ? { ...proxy, port: relay.port } : relay;
}

async function serverBehind(profile: ConnectionProfile, context: ProxyContext): Promise<SocketAddress | undefined> {
  const { config, signal } = context;
  const port = Number(profile.remotePort);
  const asked = { host: profile.remote ?? '', port: profile.remotePort, family: profile.proto.family };
  const found: readonly RemoteAddress[] = await resolveHost(asked, config, context, signal);
  signal.throwIfAborted();
  const [first] = found;
  return first === undefined ? undefined : { ...first, port, scopeId: 0 };
}

/** The connection that a relay of datagrams belongs to. */
class Control {
  readonly #stream: ByteStream;
  #isClosed = false;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  async lost(log: Log): Promise<ClientSignal | undefined> {
    await this.#stream.ended();
    if (this.#isClosed) return undefined;
    const text = 'closed the connection that its relay of datagrams belongs to';
    log(Level.linkErrors, `SOCKS proxy ${text}`);
    const error = new SallyportError(`The SOCKS proxy ${text}`, {
      code: 'SALLYPORT_NETWORK',
      blame: 'network',
      retry: true,
    });
    return softRestart('socks-error', { error });
  }

  close(): void {
    this.#isClosed = true;
    this.#stream.close();
  }
}

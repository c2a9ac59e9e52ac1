// From the push reply to "Initialization Sequence Completed": options laid over the profile, the device opened, the peer
// and its keys given to the plane, routes set, privileges dropped.

import type { Config, ConnectionProfile, TunnelOptions } from '../config/config.ts';
import { parsePush } from '../config/push.ts';
import type { DeviceId, PeerHandle } from '../data/plane.ts';
import { Level } from '../log.ts';
import { keepaliveOf } from '../peer/keepalive.ts';
import { PacketSizes } from '../peer/packet-sizes.ts';
import { fragmentBytesOf } from '../peer/payload-limits.ts';
import { logResults } from '../peer/results.ts';
import { wait } from '../peer/wait.ts';
import type { SessionPush } from '../session/options.ts';
import type { OpenTunnel, TunnelRequest } from '../tunnel/host-port.ts';
import type { AttemptPorts } from './attempt-ports.ts';
import type { AttemptLink } from './link.ts';
import { withRestart } from './ping-restart.ts';
import { type ClientSignal, softRestart } from './signal.ts';

export interface UpTunnel {
  readonly peer: PeerHandle;
  /** What the session has to know of the push reply, or of the profile where nothing is pulled. */
  readonly push: SessionPush;
  readonly explicitExitNotify: number | undefined;
  /** The options in force. */
  readonly options: TunnelOptions;
  /** Other options are in force on the host: the plane fits them. */
  changed(opened: OpenTunnel, options: TunnelOptions): void;
  /** How large its packets may be. */
  readonly sizes: PacketSizes;
}

export interface BringUpContext {
  readonly config: Config;
  readonly profile: ConnectionProfile;
  readonly link: AttemptLink;
  readonly ports: AttemptPorts;
  readonly signal: AbortSignal;
  peerAdded(tunnel: UpTunnel): void;
  stillWanted(): boolean;
  failed(signal: ClientSignal): void;
}

/** Brings the tunnel up. Rejects when the host refuses; `failed` takes what only ends this attempt. */
export async function bringUp(pushed: readonly string[], context: BringUpContext): Promise<void> {
  const { profile, link, ports } = context;
  const tunnel = tunnelOptions(pushed, context);
  if (tunnel === undefined) return;
  for (const text of tunnel.echo.slice(context.config.tunnel.echo.length)) ports.observer.echo?.(text);
  const opened = await ports.host.open(tunnelRequest(tunnel, context));
  if (!context.stillWanted()) return;
  ports.observer.assigned?.(opened.plan);
  const up = addPeer(ports.device.attach(opened), tunnel, context);
  context.peerAdded(up);
  if (tunnel.sndbuf !== undefined || tunnel.rcvbuf !== undefined) link.setBuffers(tunnel.sndbuf, tunnel.rcvbuf);
  if (tunnel.routeDelay !== undefined && !opened.kept) {
    await wait(ports.clock, tunnel.routeDelay.seconds * 1000, context.signal);
    if (!context.stillWanted()) return;
  }
  if (!opened.kept) await ports.host.route();
  if (!context.stillWanted()) return;
  ports.host.dropPrivileges();
  ports.log(Level.info, 'Initialization Sequence Completed');
  logResults(tunnel, tunnel.explicitExitNotify ?? profile.explicitExitNotify, ports.log);
  ports.observer.connected(link.remote, opened.plan, up.sizes.cipher);
}

/** What the host is asked for. */
export function tunnelRequest(tunnel: TunnelOptions, context: BringUpContext): TunnelRequest {
  const { profile, link, ports, signal } = context;
  return { profile, tunnel, remote: link.hop, letGo: () => ports.device.release(), signal };
}

function tunnelOptions(pushed: readonly string[], context: BringUpContext): TunnelOptions | undefined {
  const { config, profile, ports } = context;
  const { tunnel, verdicts, rejected } = parsePush(pushed, config, 'push-reply', profile);
  for (const { flags, text } of verdicts) ports.log(flags, text);
  if (rejected === undefined) return withRestart(tunnel, config, profile);
  context.failed(softRestart('Offending option received from server', { error: rejected }));
  return undefined;
}

/** What adding a peer takes of an attempt. */
interface PeerContext {
  readonly config: Config;
  readonly profile: ConnectionProfile;
  readonly link: Pick<AttemptLink, 'id' | 'remote' | 'hop' | 'connected'>;
  readonly ports: Pick<AttemptPorts, 'plane' | 'device' | 'clock' | 'log'>;
}

/** The peer in the plane, without keys yet. */
export function addPeer(device: DeviceId, tunnel: TunnelOptions, context: PeerContext): UpTunnel {
  const { config, profile, link, ports } = context;
  const { plane } = ports;
  const shaper = tunnel.shaperBytesPerSecond;
  if (shaper !== undefined) {
    ports.log(Level.info, `Output Traffic Shaping initialized at ${shaper} bytes per second`);
  }
  const compression = tunnel.compress?.framing ?? 'none';
  const peer = plane.addPeer({
    device,
    link: link.id,
    receivePeerId: undefined,
    replayWindowPackets: config.replayWindow.packets,
    replayWindowSeconds: config.replayWindow.seconds,
    address: link.connected ? undefined : link.remote,
    sendPeerId: tunnel.peerId,
    compression,
    decompress: tunnel.compress?.algorithm ?? 'none',
    fragmentBytes: fragmentBytesOf(profile, link.hop.family),
    mssBytes4: 0,
    mssBytes6: 0,
    pingIntervalMs: (tunnel.ping ?? 0) * 1000,
    prefixes: ['0.0.0.0/0', '::/0'],
    dropRecursive: !config.allowRecursiveRouting,
    mayFloat: profile.float,
    natRules: tunnel.natRules,
    copyTrafficClass: config.passTos,
    bytesPerSecond: tunnel.shaperBytesPerSecond ?? 0,
  });
  let options = tunnel;
  const sizes = new PacketSizes(peer, profile, ports, () => ({
    outerFamily: link.hop.family,
    peerId: tunnel.peerId !== undefined,
    compression,
    tunMtuBytes: options.tunMtuBytes,
  }));
  return {
    peer,
    push: sessionPush(tunnel),
    sizes,
    explicitExitNotify: tunnel.explicitExitNotify,
    get options() {
      return options;
    },
    changed(opened, changed) {
      options = changed;
      ports.device.attach(opened);
      sizes.clampMss();
    },
  };
}

function sessionPush(tunnel: TunnelOptions): SessionPush {
  const flags = tunnel.protocolFlags;
  return {
    cipher: tunnel.cipher,
    peerId: tunnel.peerId,
    useExporter: flags.includes('tls-ekm') || tunnel.keyDerivation === 'tls-ekm',
    controlExit: flags.includes('cc-exit'),
    dynamicTlsCrypt: flags.includes('dyn-tls-crypt'),
    epochData: flags.includes('aead-epoch'),
    authToken: tunnel.authToken,
    authTokenUser: tunnel.authTokenUser,
    keepalive: keepaliveOf(tunnel),
  };
}

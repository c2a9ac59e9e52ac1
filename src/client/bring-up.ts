// From the push reply to "Initialization Sequence Completed": options laid over the profile, the device opened, the peer
// and its keys given to the plane, routes set, privileges dropped.

import type { Config, ConnectionProfile, TunnelOptions } from '../config/config.ts';
import { parsePush } from '../config/push.ts';
import type { DeviceId, PeerHandle } from '../data/plane.ts';
import { Level } from '../log.ts';
import { keepaliveOf } from '../peer/keepalive.ts';
import { MtuTest } from '../peer/mtu-test.ts';
import { fitPathMtu } from '../peer/path-mtu.ts';
import {
  fragmentBytesOf,
  mssOf,
  outerHeaderBytes,
  overheadOf,
  type PacketFacts,
  withinMtu,
} from '../peer/payload-limits.ts';
import { logResults } from '../peer/results.ts';
import { wait } from '../peer/wait.ts';
import type { SessionEvent } from '../session/event.ts';
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
  /** What a data packet has beside the inner one, and the MTU; undefined before there is a key. */
  packetSizes(): { readonly overheadBytes: number; readonly tunMtuBytes: number } | undefined;
  /** The path takes packets of so many bytes only, headers of IP and transport included. */
  fitPath(pathMtuBytes: number): void;
  /** Of the data channel; undefined before there is a key. */
  readonly cipher: string | undefined;
  /** A data key's cipher is known now, and with it the overhead that MSS clamping must leave room for. */
  keyed(key: Extract<SessionEvent, { type: 'data-key' }>): void;
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
  ports.observer.connected(link.remote, opened.plan, up.cipher);
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
  readonly ports: Pick<AttemptPorts, 'plane' | 'device' | 'log'>;
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
  let sizes = profile;
  let key: Pick<PacketFacts, 'cipher' | 'digest' | 'format'> | undefined;
  const facts = () => key && { ...key, outerFamily: link.hop.family, peerId: tunnel.peerId !== undefined, compression };
  const clampMss = (): void => {
    const known = facts();
    if (known !== undefined) plane.setPeer(peer, withinMtu(mssOf(known, sizes), options.tunMtuBytes));
  };
  return {
    peer,
    push: sessionPush(tunnel),
    packetSizes() {
      const known = facts();
      const tunMtuBytes = options.tunMtuBytes ?? profile.tunMtuBytes;
      return known && { overheadBytes: overheadOf(known, sizes), tunMtuBytes };
    },
    explicitExitNotify: tunnel.explicitExitNotify,
    get options() {
      return options;
    },
    changed(opened, changed) {
      options = changed;
      ports.device.attach(opened);
      clampMss();
    },
    fitPath(pathMtuBytes) {
      const fitted = fitPathMtu(sizes, pathMtuBytes, outerHeaderBytes(link.hop.family, transportOf(profile)));
      if (fitted === undefined) return;
      for (const line of fitted.lines) ports.log(Level.mtuInfo, line);
      sizes = fitted.sizes;
      plane.setPeer(peer, { fragmentBytes: fragmentBytesOf(sizes, link.hop.family) });
      clampMss();
    },
    get cipher() {
      return key?.cipher;
    },
    keyed({ cipher, digest, format }) {
      key = { cipher, digest, format };
      clampMss();
    },
  };
}

/** What measures the path of a tunnel, and answers a peer that does. */
export function mtuTestOf(
  { peer, packetSizes }: UpTunnel,
  { proto, fragment }: ConnectionProfile,
  { clock, log, plane }: Pick<AttemptPorts, 'clock' | 'log' | 'plane'>,
): MtuTest {
  return new MtuTest({
    ...{ clock, log },
    sizes: packetSizes,
    statistics: () => plane.peerStatistics(peer),
    send: (bytes) => plane.sendInBand(peer, bytes),
    isLossy: proto.transport === 'udp' && fragment === undefined,
  });
}

const transportOf = ({ proto }: ConnectionProfile): 'udp' | 'tcp' => (proto.transport === 'udp' ? 'udp' : 'tcp');

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

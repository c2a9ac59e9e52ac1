// What both ends of a session take from the configuration in the same way.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { PlaneCapabilities } from '../data/plane.ts';
import type { SessionOptions } from '../session/options.ts';
import { optionsStringOf } from './options-string.ts';

export type CommonSessionOptions = Pick<
  SessionOptions,
  | 'tlsRole'
  | 'transport'
  | 'tlsTimeoutMs'
  | 'handWindowMs'
  | 'tranWindowMs'
  | 'renegotiateMs'
  | 'renegotiateSpreadMs'
  | 'maxControlPacketBytes'
  | 'replayWindowPackets'
  | 'replayWindowSeconds'
  | 'optionsString'
  | 'expectedOptionsString'
  | 'digest'
  | 'renegotiateBytes'
  | 'renegotiatePackets'
  | 'limitBlocks'
>;

/** Transport, times, windows, options strings and the limits of a key. */
export function commonSessionOptions(
  config: Config,
  profile: ConnectionProfile,
  tlsRole: 'client' | 'server',
  capabilities: PlaneCapabilities,
): CommonSessionOptions {
  const { tls } = config;
  return {
    tlsRole,
    transport: profile.proto.transport === 'udp' ? 'udp' : 'tcp',
    tlsTimeoutMs: tls.timeoutSeconds * 1000,
    handWindowMs: tls.handWindowSeconds * 1000,
    tranWindowMs: tls.tranWindowSeconds * 1000,
    renegotiateMs: tls.renegSeconds * 1000,
    renegotiateSpreadMs: renegotiateSpreadSeconds(config) * 1000,
    maxControlPacketBytes: profile.maxControlPacketBytes,
    replayWindowPackets: config.replayWindow.packets,
    replayWindowSeconds: config.replayWindow.seconds,
    optionsString: optionsStringOf(config, profile, tlsRole, false),
    // Nothing to compare with: no warnings (disable-occ).
    expectedOptionsString: config.disableOcc ? '' : optionsStringOf(config, profile, tlsRole, true),
    digest: config.auth,
    renegotiateBytes: capabilities.keyLimits ? tls.renegBytes : 0,
    renegotiatePackets: capabilities.keyLimits ? tls.renegPackets : 0,
    limitBlocks: limitBlocksOf(config),
  };
}

/** `reneg-sec max min`; without min a server for many takes a tenth off, so that its clients spread. */
export function renegotiateSpreadSeconds({ tls, mode }: Pick<Config, 'tls' | 'mode'>): number {
  if (tls.renegSecondsMin !== undefined) return Math.max(tls.renegSeconds - tls.renegSecondsMin, 0);
  return mode === 'server' ? tls.renegSeconds / 10 : 0;
}

/** For tests: what an AES-GCM key may carry is lowered by a variable, and never raised (data/usage-limits.ts). */
function limitBlocksOf({ setenv }: Pick<Config, 'setenv'>): number | undefined {
  const stated = setenv.find(([name]) => name === 'SALLYPORT_TEST_CIPHER_LIMIT')?.[1] ?? '';
  return /^[1-9][0-9]{0,9}$/.test(stated) ? Number(stated) : undefined;
}

// A picture of the running server for those who ask what it does: the status and the metrics. Nothing is changed by
// looking.

import type { DataPlane, PlaneStatistics } from '../data/plane.ts';
import type { Instants } from '../ports.ts';
import type { AddressPool } from './address-pool.ts';
import { statusAddressText } from './address-text.ts';
import type { Clients } from './clients.ts';
import type { Gate } from './gate.ts';
import type { Instance } from './instance.ts';
import type { ExpiryDates, ServerMetrics } from './metrics-text.ts';
import type { Routes } from './routes.ts';
import type { StatusFacts } from './status-text.ts';

/** What a server is made of, as far as it is looked at. */
export interface ReportParts {
  readonly clients: Pick<Clients, 'instances' | 'counters'>;
  readonly routes: Pick<Routes, 'entries'>;
  readonly gate: Pick<Gate, 'counters'>;
  readonly pool: Pick<AddressPool, 'size' | 'used'> | undefined;
}

/**
 * The status. As with the C program, a client is listed from its first packet on: without a name (UNDEF) until it has
 * proven who it is. An address was last referred to when its client last sent or received payload.
 */
export function statusFacts(
  parts: Pick<ReportParts, 'clients' | 'routes'> | undefined,
  plane: Pick<DataPlane, 'peerStatistics'>,
  title: string,
  now: Instants,
): StatusFacts {
  const instances = [...(parts?.clients.instances() ?? [])].filter(({ phase }) => phase !== 'closed');
  const traffic = new Map(instances.map((instance) => [instance, plane.peerStatistics(instance.peer)]));
  const lastPayload = (instance: Instance): number => {
    const at = traffic.get(instance)?.lastPayloadMs ?? 0;
    return at === 0 ? 0 : Math.floor(now.unixSeconds - (now.monoMs - at) / 1000);
  };
  return {
    title,
    nowUnixSeconds: Math.floor(now.unixSeconds),
    clients: instances.map((instance) => ({
      name: instance.name ?? instance.facts.commonName,
      username: instance.facts.username,
      realAddress: statusAddressText(instance.transport, instance.address),
      address4: instance.facts.addresses.v4?.local,
      address6: instance.facts.addresses.v6?.local,
      receivedBytes: traffic.get(instance)?.linkReadBytes ?? 0,
      sentBytes: traffic.get(instance)?.linkWriteBytes ?? 0,
      connectedUnixSeconds: instance.createdUnixSeconds,
      clientId: instance.serial - 1,
      peerId: instance.id,
      cipher: instance.cipher,
    })),
    routes: (parts?.routes.entries() ?? []).map(({ address, owner, learnedUnixSeconds }) => ({
      address,
      name: owner.name,
      realAddress: statusAddressText(owner.transport, owner.address),
      lastReferenceUnixSeconds: Math.floor(Math.max(learnedUnixSeconds, lastPayload(owner))),
    })),
    longestBroadcastQueue: 0,
    offload: false,
  };
}

export interface MetricsFacts {
  readonly version: string;
  readonly startUnixSeconds: number;
  readonly maxClients: number;
  readonly expiry: ExpiryDates;
  readonly eventLoopDelaySeconds: number | undefined;
}

/** The figures. What the parts count begins anew when the server restarts (SIGUSR1), as counters may. */
export function serverMetrics(
  parts: ReportParts | undefined,
  { drops, ...plane }: PlaneStatistics,
  facts: MetricsFacts,
): ServerMetrics {
  const instances = [...(parts?.clients.instances() ?? [])];
  const sessions = instances.filter(({ phase }) => phase === 'up').length;
  const counters = parts?.clients.counters;
  return {
    ...facts,
    sessions,
    handshakesPending: instances.filter(({ phase }) => phase !== 'up' && phase !== 'closed').length,
    handshakes: outcomes(counters?.handshakes),
    disconnects: outcomes(counters?.disconnects),
    drops,
    firstPacketDrops: parts?.gate.counters.drops ?? {},
    firstPacketReplies: parts?.gate.counters.replies ?? 0,
    receivedBytes: plane.linkReadBytes,
    sentBytes: plane.linkWriteBytes,
    receivedPackets: plane.linkReadPackets,
    sentPackets: plane.linkWritePackets,
    renegotiations: counters?.renegotiations ?? 0,
    poolAddresses: parts?.pool?.size,
    poolAddressesUsed: parts?.pool?.used,
  };
}

/** Ends are counted under the C program's words; two of them say more in others. */
const OUTCOME_NAMES: Readonly<Record<string, string>> = { 'tls-error': 'tls-failed', 'delayed-exit': 'refused' };

function outcomes(counts: Readonly<Record<string, number>> = {}): Readonly<Record<string, number>> {
  const named: Record<string, number> = {};
  for (const [reason, count] of Object.entries(counts)) {
    const name = OUTCOME_NAMES[reason] ?? reason;
    named[name] = (named[name] ?? 0) + count;
  }
  return named;
}

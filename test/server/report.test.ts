import { describe, expect, it } from 'vitest';
import { DROP_CAUSES, type PlaneStatistics } from '../../src/data/plane.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { socketAddress } from '../../src/ip/socket-address.ts';
import { newClientFacts } from '../../src/server/client-facts.ts';
import type { Instance } from '../../src/server/instance.ts';
import { type ReportParts, serverMetrics, statusFacts } from '../../src/server/report.ts';

const now = { monoMs: 500_000, unixSeconds: 1_800_000_000.5 };
const at = socketAddress(parseAddress('192.0.2.2') ?? new Uint8Array(4), 40000);

function instance(id: number, phase: Instance['phase'], name?: string): Instance {
  const facts = newClientFacts(id, 'udp', at, () => {});
  facts.name = name;
  facts.username = name === undefined ? undefined : `user of ${name}`;
  if (name !== undefined)
    facts.addresses = { v4: { local: `10.8.0.${id + 2}`, remote: '10.8.0.1' }, v6: undefined } as never;
  const about = {
    id,
    serial: id + 7,
    phase,
    name,
    facts,
    peer: 100 + id,
    transport: 'udp',
    address: at,
    cipher: 'AES-256-GCM',
  };
  return { ...about, createdUnixSeconds: 1_799_999_000 + id } as unknown as Instance;
}

const max = instance(0, 'up', 'max');
const parts: ReportParts = {
  clients: {
    instances: () => [max, instance(1, 'handshaking'), instance(2, 'closed', 'gone')],
    counters: {
      handshakes: { completed: 3, 'tls-error': 2, 'delayed-exit': 1 },
      disconnects: { 'ping-restart': 1 },
      renegotiations: 4,
    },
  },
  routes: {
    entries: () => [{ address: '10.8.0.2', owner: max, learnedUnixSeconds: 1_799_999_100 }],
  },
  gate: { counters: { drops: { 'bad-hmac': 5 } as never, replies: 6 } },
  pool: { size: 253, used: 1 },
};
const plane = (lastPayloadMs: number) => ({
  peerStatistics: (peer: number) => ({ linkReadBytes: peer, linkWriteBytes: 2 * peer, lastPayloadMs }) as never,
});

describe('the status of a server', () => {
  const status = statusFacts(parts, plane(0), 'OpenVPN 2.7.8', now);

  it('lists clients from their first packet on, and those that are gone no more', () => {
    expect(status.clients.map(({ name, peerId, clientId }) => [name, peerId, clientId])).toEqual([
      ['max', 0, 6],
      [undefined, 1, 7],
    ]);
  });

  it('has the address with its protocol, and the bytes of the plane', () => {
    expect(status.clients[0]).toMatchObject({
      username: 'user of max',
      realAddress: 'udp4:192.0.2.2:40000',
      address4: '10.8.0.2',
      address6: undefined,
      receivedBytes: 100,
      sentBytes: 200,
      connectedUnixSeconds: 1_799_999_000,
      cipher: 'AES-256-GCM',
    });
  });

  it('lists addresses of living clients, referred to when they were learned', () => {
    expect(status.routes).toEqual([
      {
        address: '10.8.0.2',
        name: 'max',
        realAddress: 'udp4:192.0.2.2:40000',
        lastReferenceUnixSeconds: 1_799_999_100,
      },
    ]);
  });

  it('knows addresses as referred to when their client last had payload', () => {
    const [route] = statusFacts(parts, plane(490_000), '', now).routes;
    expect(route?.lastReferenceUnixSeconds).toBe(1_799_999_990);
  });

  it('is empty between restarts', () => {
    expect(statusFacts(undefined, plane(0), '', now)).toMatchObject({
      clients: [],
      routes: [],
      nowUnixSeconds: 1_800_000_000,
    });
  });
});

describe('the metrics of a server', () => {
  const statistics = {
    drops: Object.fromEntries(DROP_CAUSES.map((cause) => [cause, cause === 'replay' ? 7 : 0])),
    linkReadBytes: 1,
    linkWriteBytes: 2,
    linkReadPackets: 3,
    linkWritePackets: 4,
  } as unknown as PlaneStatistics;
  const facts = {
    version: '0.1.0',
    startUnixSeconds: 5,
    maxClients: 1024,
    expiry: { certificateExpiryUnixSeconds: 9, caExpiryUnixSeconds: undefined, crlExpiryUnixSeconds: undefined },
    eventLoopDelaySeconds: undefined,
  };

  it('count handshakes by what became of them, and sessions apart from handshakes under way', () => {
    expect(serverMetrics(parts, statistics, facts)).toMatchObject({
      sessions: 1,
      handshakesPending: 1,
      handshakes: { completed: 3, 'tls-failed': 2, refused: 1 },
      disconnects: { 'ping-restart': 1 },
      renegotiations: 4,
      receivedBytes: 1,
      sentBytes: 2,
      receivedPackets: 3,
      sentPackets: 4,
      poolAddresses: 253,
      poolAddressesUsed: 1,
    });
  });

  it('tell drops of the plane from packets of strangers', () => {
    const { drops, firstPacketDrops, firstPacketReplies } = serverMetrics(parts, statistics, facts);
    expect([drops.replay, firstPacketDrops['bad-hmac'], firstPacketReplies]).toEqual([7, 5, 6]);
  });

  it('go on between restarts', () => {
    expect(serverMetrics(undefined, statistics, facts)).toMatchObject({
      sessions: 0,
      handshakes: {},
      receivedBytes: 1,
    });
  });
});

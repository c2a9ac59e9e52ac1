import { createArena } from '../../src/data/arena.ts';
import { createMemoryPlane, MEMORY_PLANE_ARENA_BYTES } from '../../src/data/memory-plane.ts';
import type { PlaneEvent } from '../../src/data/plane.ts';
import { type SocketAddress, sameSocketAddress, socketAddress } from '../../src/ip/socket-address.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import { dataPlaneConformance } from '../conformance/data-plane.ts';

const next = (queue: Uint8Array[], what: string): Promise<Uint8Array> => {
  const packet = queue.shift();
  return packet === undefined ? Promise.reject(new Error(`no packet ${what}`)) : Promise.resolve(packet);
};

dataPlaneConformance('memory', async ({ laneCapacity }) => {
  const events: PlaneEvent[] = [];
  const sent: { address: SocketAddress; bytes: Uint8Array }[] = [];
  let nowMs = 1000;
  let port = 4000;
  let held: (() => void) | undefined;
  let holding = false;
  const plane = createMemoryPlane({
    packetCrypto: createNodePacketCrypto(createArena(MEMORY_PLANE_ARENA_BYTES)),
    now: () => nowMs,
    listener: (event) => events.push(event),
    laneCapacity,
    schedule: (deliver) => {
      if (holding) held = deliver;
      else deliver();
    },
    onSend: (_link, address, bytes) => sent.push({ address, bytes }),
  });
  return {
    plane,
    events,
    addDevice: (options) => {
      const endpoint = { kind: 'memory' } as const;
      const id = plane.addDevice({ endpoint, layer: 'tun', mtuBytes: 1500, blockIpv6: false, ...options });
      const end = plane.deviceEnd(id);
      return {
        id,
        write: end.write,
        read: () => {
          const packet = end.read();
          return packet === undefined ? Promise.reject(new Error('the device has no packet')) : Promise.resolve(packet);
        },
      };
    },
    addLink: () => {
      const addresses = [0, 1].map(() => socketAddress(Uint8Array.of(127, 0, 0, 1), port++));
      const options = { framing: 'udp', connecting: false, remote: undefined, connected: false } as const;
      const link = plane.addLink({ ...options, endpoint: { kind: 'memory' }, readAhead: undefined });
      return {
        link,
        addresses: [addresses[0]!, addresses[1]!],
        send: (packet, from = 0) => plane.inject(link, addresses[from], packet),
        receive: (at = 0) => {
          const index = sent.findIndex(({ address }) => sameSocketAddress(address, addresses[at]!));
          return next(
            sent.splice(Math.max(index, 0), index < 0 ? 0 : 1).map(({ bytes }) => bytes),
            'was sent',
          );
        },
      };
    },
    addListener: () => {
      const listener = plane.addListener({ endpoint: { kind: 'memory' } });
      return {
        listener,
        connect: () => {
          const address = socketAddress(Uint8Array.of(127, 0, 0, 1), port++);
          let link = 0;
          plane.acceptStream(listener, address);
          return {
            address,
            givenTo: (id) => {
              link = id;
            },
            send: (piece) => plane.injectStream(link, piece),
            receive: () => {
              const index = sent.findIndex((one) => sameSocketAddress(one.address, address));
              return next(
                sent.splice(Math.max(index, 0), index < 0 ? 0 : 1).map(({ bytes }) => bytes),
                'was sent',
              );
            },
          };
        },
      };
    },
    own: () => undefined,
    advance: (ms) => {
      nowMs += ms;
      if (plane.nextDeadlineMs() <= nowMs) plane.handleTick(nowMs);
    },
    flood: async (end, packets, from) => {
      holding = true;
      for (const [index, packet] of packets.entries()) end.send(packet, typeof from === 'number' ? from : from(index));
      holding = false;
      held?.();
    },
    close: () => plane.close(),
  };
});

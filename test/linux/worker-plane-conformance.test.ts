import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { PlaneEvent } from '../../src/data/plane.ts';
import { createPlainChecksum } from '../../src/ip/checksum.ts';
import { Segmenter } from '../../src/ip/segment.ts';
import { VIRTIO_HEADER_BYTES } from '../../src/ip/virtio-header.ts';
import { libc } from '../../src/linux/libc.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { createWorkerPlane } from '../../src/linux/worker-plane.ts';
import { dataPlaneConformance } from '../conformance/data-plane.ts';
import { type BuiltProgram, buildDataWorker } from '../lab/worker-url.ts';
import { linkRequest, loopback, packetPair, readPacket, writePacket } from './plane-rig.ts';

let worker: BuiltProgram;
beforeAll(async () => {
  worker = await buildDataWorker();
});
afterAll(() => worker.remove());

const sleepCell = new Int32Array(new SharedArrayBuffer(4));
/** Blocks this thread until the worker has got so far, within a bound. */
const blockUntil = (reached: () => boolean, boundMs: number): void => {
  const untilMs = performance.now() + boundMs;
  while (!reached() && performance.now() < untilMs) Atomics.wait(sleepCell, 0, 0, 1);
};
const expectPacket = (packet: Uint8Array | undefined, what: string): Promise<Uint8Array> =>
  packet === undefined ? Promise.reject(new Error(`no packet came ${what}`)) : Promise.resolve(packet);

/** Bytes on their way to the plane at most, so that no socket buffer overflows: it counts some 800 for a small packet. */
const UNREAD_BYTES = 4_096;

/** The other end of a tun device with offload: bare packets go in behind an empty header, super-packets come out split. */
function offloadEnd(far: number): { write(packet: Uint8Array): void; read(): Uint8Array | undefined } {
  const bytes = new Uint8Array(4 * 65_536);
  const view = new DataView(bytes.buffer);
  const segmenter = new Segmenter(view, createPlainChecksum(bytes, view));
  const out = 2 * 65_536;
  return {
    write: (packet) => {
      bytes.fill(0, 0, VIRTIO_HEADER_BYTES);
      bytes.set(packet, VIRTIO_HEADER_BYTES);
      writePacket(far, bytes.subarray(0, VIRTIO_HEADER_BYTES + packet.length));
    },
    read: () => {
      let length = segmenter.next(out);
      if (length === 0) {
        const packet = readPacket(far);
        if (packet === undefined) return undefined;
        bytes.set(packet);
        if (segmenter.begin(0, packet.length) < 1) throw new Error('a packet with a bad virtio header');
        length = segmenter.next(out);
      }
      return bytes.slice(out, out + length);
    },
  };
}

describe.each([
  [1, 'none'],
  [1, 'tcp-udp'],
  [2, 'none'],
  [2, 'tcp-udp'],
  [3, 'tcp-udp'],
] as const)('with %i workers, device offload %s', (workers, offload) => {
  const links = createLinkPort(workers);
  dataPlaneConformance('worker threads', async ({ laneCapacity }) => {
    const events: PlaneEvent[] = [];
    const fds: number[] = [];
    const plane = createWorkerPlane({
      workerUrl: worker.url,
      listener: (event) => events.push(event),
      laneCapacity,
      workers,
    });
    await plane.ready;
    let sentBytes = 0;
    const isRead = (unread: number) => sentBytes - plane.statistics().linkReadBytes <= unread;

    return {
      plane,
      events,
      addDevice: (options) => {
        const [near, far] = packetPair();
        fds.push(near, far);
        const bare = offload === 'none' || (options?.layer ?? 'tun') !== 'tun';
        const endpoint = { kind: 'fd', fd: near, offload: bare ? 'none' : offload } as const;
        const end = bare
          ? { write: (packet: Uint8Array) => void writePacket(far, packet), read: () => readPacket(far) }
          : offloadEnd(far);
        return {
          id: plane.addDevice({ endpoint, layer: 'tun', mtuBytes: 1500, blockIpv6: false, ...options }),
          write: end.write,
          read: () => expectPacket(end.read(), 'out of the device'),
        };
      },
      addLink: () => {
        const near = links.open(linkRequest({ local: loopback(0) }));
        const far = [0, 1].map(() => links.open(linkRequest({ local: loopback(0), remote: near.local })));
        expect(near.siblings).toHaveLength(workers - 1);
        fds.push(near.fd, ...(near.siblings ?? []), ...far.map(({ fd }) => fd));
        const link = plane.addLink({
          endpoint: { kind: 'fd', fd: near.fd, siblings: near.siblings },
          framing: 'udp',
          connecting: false,
          remote: undefined,
          connected: false,
          readAhead: undefined,
        });
        return {
          link,
          addresses: [far[0]!.local, far[1]!.local],
          send: (packet, from = 0) => {
            blockUntil(() => isRead(UNREAD_BYTES), 200);
            if (writePacket(far[from]!.fd, packet)) sentBytes += packet.length;
          },
          receive: (at = 0) => expectPacket(readPacket(far[at]!.fd), `at far end ${at}`),
        };
      },
      addListener: () => {
        const near = links.open(linkRequest({ transport: 'tcp-server', local: loopback(0) }));
        fds.push(near.fd);
        return {
          listener: plane.addListener({ endpoint: { kind: 'fd', fd: near.fd } }),
          connect: () => {
            const far = links.open(linkRequest({ transport: 'tcp-client', remote: near.local, tcpNoDelay: true }));
            fds.push(far.fd);
            return {
              address: far.local,
              givenTo: () => undefined,
              send: (piece) => void writePacket(far.fd, piece),
              receive: async () => {
                const length = await expectPacket(readPacket(far.fd, 3_000, 2), 'out of the stream');
                return expectPacket(readPacket(far.fd, 3_000, length[0]! * 256 + length[1]!), 'behind its length');
              },
            };
          },
        };
      },
      own: (fd) => void fds.push(fd),
      advance: () => undefined,
      flood: async (end, packets, from) => {
        for (const [index, packet] of packets.entries())
          end.send(packet, typeof from === 'number' ? from : from(index));
        blockUntil(() => isRead(0), 2_000);
      },
      close: async () => {
        await plane.close();
        for (const fd of fds) libc.close(fd);
      },
    };
  });
});

import { describe, expect, it } from 'vitest';
import type { PlaneEvent } from '../../src/data/plane.ts';
import { checked } from '../../src/linux/errno.ts';
import { declareFunctions, libc, nativeBytes } from '../../src/linux/libc.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { createWorkerPlane } from '../../src/linux/worker-plane.ts';
import { clientPeer, EventLog, innerPacket, keyPair, linkRequest, loopback } from './plane-rig.ts';
import { workerSuite } from './worker-suite.ts';

const links = createLinkPort();
const limits = declareFunctions<{
  getrlimit(resource: number, address: number): number;
  setrlimit(resource: number, address: number): number;
}>({
  getrlimit: 'int getrlimit(int, uintptr_t)',
  setrlimit: 'int setrlimit(int, uintptr_t)',
});
const RLIMIT_NOFILE = 7;
const ON_THEIR_WAY_MAX = 32;
const BOUND = { timeout: 5000, interval: 5 } as const;

describe.skipIf(process.platform !== 'linux')('the worker plane of a server', () => {
  const worker = workerSuite();
  const { cleanUps } = worker;

  const start = async (peerSlots?: number) => {
    const log = new EventLog();
    const plane = createWorkerPlane({
      workerUrl: worker.url,
      listener: log.listener,
      ...(peerSlots === undefined ? {} : { peerSlots }),
    });
    cleanUps.push(() => plane.close());
    await plane.ready;
    return { plane, log };
  };
  const listen = () => {
    const socket = links.open(linkRequest({ transport: 'tcp-server', local: loopback(0) }));
    cleanUps.push(() => links.close(socket.fd));
    const connect = () => {
      const client = links.open(linkRequest({ transport: 'tcp-client', remote: socket.local }));
      cleanUps.push(() => links.close(client.fd));
      return client;
    };
    return { socket, connect };
  };
  const acceptedFds = (events: readonly PlaneEvent[]) =>
    events.flatMap((event) => (event.type === 'accepted' ? [event.fd] : []));
  /** Lets the worker run while this thread, which has to take its events, does not. */
  const blockFor = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  const openFds = () => links.open(linkRequest({ local: loopback(0) }));

  it('accepts no more streams than the owner can be told of, and the others when it has been', async () => {
    const { plane, log } = await start();
    const { socket, connect } = listen();
    plane.addListener({ endpoint: { kind: 'fd', fd: socket.fd } });
    const total = ON_THEIR_WAY_MAX + 20;
    for (let count = 0; count < total; count++) connect();
    blockFor(200);
    // The lowest free number of an fd tells how many are taken.
    const probe = openFds();
    const lastClient = probe.fd;
    links.close(probe.fd);
    await expect.poll(() => acceptedFds(log.events).length, BOUND).toBe(total);
    const fds = acceptedFds(log.events);
    cleanUps.push(...fds.map((fd) => () => links.close(fd)));
    expect(fds.slice(0, ON_THEIR_WAY_MAX).every((fd) => fd < lastClient)).toBe(true);
    expect(fds.slice(ON_THEIR_WAY_MAX).every((fd) => fd >= lastClient)).toBe(true);
  });

  it('rests when there is no fd, says so, and goes on when there is one', async () => {
    const { plane, log } = await start();
    const { socket, connect } = listen();
    connect();
    const limit = nativeBytes(64);
    checked(limits.getrlimit(RLIMIT_NOFILE, limit.address), 'getrlimit');
    const before = limit.view.getUint32(0, true);
    const probe = openFds();
    links.close(probe.fd);
    const setLimit = (value: number) => {
      limit.view.setUint32(0, value, true);
      checked(limits.setrlimit(RLIMIT_NOFILE, limit.address), 'setrlimit');
    };
    cleanUps.push(() => setLimit(before));
    setLimit(probe.fd);
    const cpuBefore = process.cpuUsage();
    const listener = plane.addListener({ endpoint: { kind: 'fd', fd: socket.fd } });
    expect(await log.next('link-error')).toMatchObject({ link: listener, code: 'EMFILE' });
    blockFor(300);
    const { user, system } = process.cpuUsage(cpuBefore);
    // A loop that asks again at once would have used all of the time.
    expect((user + system) / 1000).toBeLessThan(200);
    setLimit(before);
    const { fd } = await log.next('accepted');
    links.close(fd);
  });

  it('closes streams that nobody was told of when the plane ends, and when the listener goes', async () => {
    for (const end of ['listener', 'plane'] as const) {
      const { plane, log } = await start();
      const { socket, connect } = listen();
      const listener = plane.addListener({ endpoint: { kind: 'fd', fd: socket.fd } });
      const clients = [1, 2, 3].map(connect);
      blockFor(100);
      await (end === 'listener' ? plane.removeLink(listener) : plane.close());
      if (end === 'plane') expect(acceptedFds(log.events)).toEqual([]);
      for (const fd of acceptedFds(log.events)) links.close(fd);
      // Each client hears the end of its stream.
      const byte = nativeBytes(64);
      for (const { fd } of clients) await expect.poll(() => libc.recv(fd, byte.address, 1, 0x40), BOUND).toBe(0);
    }
  });

  it('bounds what waits for a slow stream in packets, and lets others through meanwhile', async () => {
    const { plane, log } = await start();
    const { socket, connect } = listen();
    plane.addListener({ endpoint: { kind: 'fd', fd: socket.fd } });
    const give = async (count: number) => {
      const client = connect();
      await expect.poll(() => acceptedFds(log.events).length, BOUND).toBe(count);
      const fd = acceptedFds(log.events)[count - 1]!;
      cleanUps.push(() => links.close(fd));
      links.setBuffers(fd, 4096, undefined);
      const options = { framing: 'tcp', connecting: false, connected: true, readAhead: undefined } as const;
      const link = plane.addLink({ ...options, endpoint: { kind: 'fd', fd }, remote: client.local, queuePackets: 5 });
      return { link, client };
    };
    const slow = await give(1);
    const quick = await give(2);
    const total = 6000;
    for (let count = 0; count < total; count++)
      plane.sendControl(slow.link, undefined, new Uint8Array(1400).fill(count));
    plane.sendControl(quick.link, undefined, Uint8Array.of(1, 2, 3));
    const buffer = nativeBytes(65_536);
    await expect.poll(() => libc.recv(quick.client.fd, buffer.address, 100, 0x40), BOUND).toBe(5);
    const dropped = plane.statistics().drops['link-full'];
    expect(dropped).toBeGreaterThan(0);
    // What the kernel took and five packets come; the stream is still one of whole packets.
    let bytes = 0;
    const expected = (total - dropped) * 1402;
    await expect
      .poll(() => {
        for (;;) {
          const length = libc.recv(slow.client.fd, buffer.address, 65_536, 0x40);
          if (length <= 0) return bytes;
          bytes += length;
        }
      }, BOUND)
      .toBe(expected);
    expect(expected / 1402).toBeLessThan(total);
  });

  it('carries packets of a device in memory over real sockets, both ways', async () => {
    const ends = [await start(), await start()].map(({ plane, log }) => {
      const socket = links.open(linkRequest({ local: loopback(0) }));
      cleanUps.push(() => links.close(socket.fd));
      const endpoint = { kind: 'memory' } as const;
      const device = plane.addDevice({ endpoint, layer: 'tun', mtuBytes: 1500, blockIpv6: false });
      return { plane, log, socket, device, end: plane.deviceEnd(device) };
    });
    const keys = keyPair('AES-256-GCM');
    ends.forEach(({ plane, socket, device }, index) => {
      const remote = ends[1 - index]!.socket.local;
      const options = { framing: 'udp', connecting: false, connected: false, readAhead: undefined } as const;
      const link = plane.addLink({ ...options, endpoint: { kind: 'fd', fd: socket.fd }, remote });
      const peer = plane.addPeer(clientPeer(device, link, remote));
      plane.useKey(peer, plane.addKey(peer, keys[index]!));
    });
    const [a, b] = ends as [(typeof ends)[0], (typeof ends)[0]];
    const got: Uint8Array[] = [];
    b.end.onReadable(() => {
      for (let packet = b.end.read(); packet !== undefined; packet = b.end.read()) {
        got.push(packet);
        b.end.write(packet); // an echo
      }
    });
    await b.plane.removeLink(b.plane.addListener({ endpoint: { kind: 'fd', fd: b.socket.fd } })); // its calls are worked off
    for (let count = 0; count < 5; count++) expect(a.end.write(innerPacket(100, count))).toBe(true);
    await expect.poll(() => got.length, BOUND).toBe(5);
    expect(got).toEqual([0, 1, 2, 3, 4].map((number) => innerPacket(100, number)));
    const back: Uint8Array[] = [];
    await expect
      .poll(() => {
        for (let packet = a.end.read(); packet !== undefined; packet = a.end.read()) back.push(packet);
        return back.length;
      }, BOUND)
      .toBe(5);
    await a.plane.removeDevice(a.device);
    expect(a.end.write(innerPacket(100))).toBe(false);
    expect(() => a.plane.deviceEnd(a.device)).toThrow('no device');
  });

  it('drops and counts what a device in memory has no room for, in each direction', async () => {
    // Nobody takes packets before it is ready.
    const plane = createWorkerPlane({ workerUrl: worker.url, listener: () => undefined });
    cleanUps.push(() => plane.close());
    const endpoint = { kind: 'memory' } as const;
    const device = plane.addDevice({ endpoint, layer: 'tun', mtuBytes: 1500, blockIpv6: true });
    const end = plane.deviceEnd(device);
    // Each is answered into the device (ICMPv6 unreachable), and nobody reads the answers.
    const packet = new Uint8Array(48);
    packet.set([0x60, 0, 0, 0, 0, 8, 17, 64, 0xfd, ...new Uint8Array(15), 0xfd, ...new Uint8Array(14), 1]);
    for (let count = 0; count < 1024; count++) expect(end.write(packet)).toBe(true);
    expect(end.write(packet)).toBe(false);
    expect(plane.statistics().drops['device-full']).toBe(1);
    await expect.poll(() => plane.statistics().drops['ipv6-blocked'], BOUND).toBe(1024);
    expect(end.write(packet)).toBe(true);
    await expect.poll(() => plane.statistics().drops['device-full'], BOUND).toBe(2);
    for (let count = 0; count < 1024; count++) await expect.poll(() => end.read(), BOUND).toBeDefined();
    expect(end.read()).toBeUndefined();
    expect(end.write(packet)).toBe(true);
    await expect.poll(() => end.read(), BOUND).toBeDefined();
  });

  it('holds two thousand peers and hands each its own packets', async () => {
    const peers = 2000;
    const { plane } = await start(peers + 10);
    const endpoint = { kind: 'memory' } as const;
    const device = plane.addDevice({ endpoint, layer: 'tun', mtuBytes: 1500, blockIpv6: false });
    const socket = links.open(linkRequest({ local: loopback(0) }));
    cleanUps.push(() => links.close(socket.fd));
    const options = { framing: 'udp', connecting: false, connected: false, readAhead: undefined } as const;
    const link = plane.addLink({ ...options, endpoint: { kind: 'fd', fd: socket.fd }, remote: undefined });
    const [key] = keyPair('AES-256-GCM');
    const handles = Array.from({ length: peers }, (_, n) => {
      const prefixes = [`10.8.${n >> 8}.${n & 255}/32`, `fd00::${n.toString(16)}/128`, `10.9.${n >> 8}.${n & 255}/32`];
      const settings = { ...clientPeer(device, link, loopback(1000 + n)), prefixes, receivePeerId: n, sendPeerId: n };
      const peer = plane.addPeer(settings);
      plane.useKey(peer, plane.addKey(peer, key));
      return peer;
    });
    const end = plane.deviceEnd(device);
    for (const n of [0, 1, 255, 256, 1999]) {
      const packet = innerPacket(60);
      packet.set([10, 9, n >> 8, n & 255], 16);
      end.write(packet);
      await expect.poll(() => plane.peerStatistics(handles[n]!).deviceReadPackets, BOUND).toBe(1);
    }
    expect(handles.filter((peer) => plane.peerStatistics(peer).deviceReadPackets > 0)).toHaveLength(5);
    for (const peer of handles) plane.removePeer(peer);
    await plane.removeLink(link);
    expect(() => plane.addPeer({ ...clientPeer(device, link, loopback(1)) })).toThrow('no link');
  });
});

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyOptions, LinkOptions } from '../../src/data/plane.ts';
import type { SocketAddress } from '../../src/ip/socket-address.ts';
import { bootMs } from '../../src/linux/clock.ts';
import { libc } from '../../src/linux/libc.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { createWorkerPlane, type WorkerPlane } from '../../src/linux/worker-plane.ts';
import {
  clientPeer,
  EventLog,
  innerPacket,
  keyPair,
  linkRequest,
  loopback,
  packetPair,
  readPacket,
  writePacket,
} from './plane-rig.ts';
import { workerSuite } from './worker-suite.ts';

const links = createLinkPort();
const CONTROL = Uint8Array.of(0x38, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0);

describe.skipIf(process.platform !== 'linux').each([
  [1, 'undivided'],
  [2, 'undivided'],
  [2, 'divided'],
] as const)('the worker plane with %i workers, %s', (workers, way) => {
  const worker = workerSuite();
  const { cleanUps } = worker;

  function startPlane(): { plane: WorkerPlane; log: EventLog } {
    const log = new EventLog();
    const plane = createWorkerPlane({ workerUrl: worker.url, listener: log.listener, workers });
    cleanUps.push(() => plane.close());
    return { plane, log };
  }

  /** A device whose far end the test holds. */
  function addDevice(plane: WorkerPlane): { device: number; far: number } {
    const [near, far] = packetPair();
    cleanUps.push(
      () => libc.close(near),
      () => libc.close(far),
    );
    const endpoint = { kind: 'fd', fd: near } as const;
    return { device: plane.addDevice({ endpoint, layer: 'tun', mtuBytes: 1500, blockIpv6: false }), far };
  }

  function openUdp(more: { remote?: SocketAddress; local?: SocketAddress }) {
    const link = links.open(linkRequest(more));
    cleanUps.push(() => links.close(link.fd));
    return link;
  }

  const udp = (fd: number, remote: SocketAddress | undefined, connected: boolean): LinkOptions => ({
    endpoint: { kind: 'fd', fd },
    framing: 'udp',
    connecting: false,
    remote,
    connected,
    readAhead: undefined,
  });

  /** Two planes with a tunnel between them, the first connected to the second, which serves many. */
  async function tunnel(cipher: string, digest?: string, limits: Partial<KeyOptions> = {}) {
    const a = startPlane();
    const b = startPlane();
    const socketB = openUdp({ local: loopback(0) });
    const socketA = openUdp({ remote: loopback(socketB.local.port) });
    const linkA = a.plane.addLink(udp(socketA.fd, socketB.local, true));
    if (way === 'divided') a.plane.divide(linkA);
    const linkB = b.plane.addLink(udp(socketB.fd, undefined, false));
    const ends = [
      { ...a, link: linkA, ...addDevice(a.plane), address: socketB.local },
      { ...b, link: linkB, ...addDevice(b.plane), address: socketA.local },
    ] as const;
    const keys = keyPair(cipher, digest);
    const withPeer = (end: (typeof ends)[number], options: KeyOptions) => {
      const peer = end.plane.addPeer(clientPeer(end.device, end.link, end.address));
      const key = end.plane.addKey(peer, { ...options, ...limits });
      end.plane.useKey(peer, key);
      return { ...end, peer, key };
    };
    const both = [withPeer(ends[0], keys[0]), withPeer(ends[1], keys[1])] as const;
    // The tests' own thread is the plane's main thread, through which the division goes; they block it.
    if (way === 'divided') await isDivided(a.log);
    return both;
  }

  const isDivided = (log: EventLog) => log.next('data-path', ({ text }) => text.endsWith('one seals, one opens'));

  it.each([
    ['AES-256-GCM', 'none'],
    ['CHACHA20-POLY1305', 'none'],
    ['AES-128-CBC', 'SHA256'],
  ])('carries packets both ways under %s, calls before ready included', async (cipher, digest) => {
    const [a, b] = await tunnel(cipher, digest);
    await Promise.all([a.plane.ready, b.plane.ready]);
    for (const length of [24, 100, 1400, 1500]) {
      expect(writePacket(a.far, innerPacket(length, length))).toBe(true);
      expect(readPacket(b.far)).toEqual(innerPacket(length, length));
      expect(writePacket(b.far, innerPacket(length, 7))).toBe(true);
      expect(readPacket(a.far)).toEqual(innerPacket(length, 7));
    }
  });

  it('tells counters from shared memory without asking the worker', async () => {
    const [a, b] = await tunnel('AES-256-GCM');
    writePacket(a.far, innerPacket(1000));
    expect(readPacket(b.far)).toBeDefined();
    // The worker counts behind the system call that this thread saw the effect of.
    const sent = { deviceReadPackets: 1, deviceReadBytes: 1000, linkWritePackets: 1 };
    await expect.poll(() => a.plane.peerStatistics(a.peer)).toMatchObject(sent);
    const { linkWriteBytes } = a.plane.peerStatistics(a.peer);
    const received = { linkReadPackets: 1, linkReadBytes: linkWriteBytes, deviceWritePackets: 1 };
    await expect.poll(() => b.plane.peerStatistics(b.peer)).toMatchObject(received);
    expect(b.plane.statistics().linkReadBytes).toBe(linkWriteBytes);
  });

  it('knows when a packet came that ended a long wait, without a look at the clock', async () => {
    const [a, b] = await tunnel('AES-256-GCM');
    // So long ago that the time before the wait can't be taken for that of the packet; both waits end with it.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const beforeMs = bootMs();
    writePacket(a.far, innerPacket(1000));
    expect(readPacket(b.far)).toBeDefined();
    await expect.poll(() => b.plane.peerStatistics(b.peer).deviceWritePackets).toBe(1);
    const { lastReceivedMs } = b.plane.peerStatistics(b.peer);
    expect(lastReceivedMs).toBeGreaterThan(beforeMs - 250);
    expect(lastReceivedMs).toBeLessThanOrEqual(bootMs());
  });

  it('hears a call while it waits for the answer to a packet alone, which it begins without a look for news', async () => {
    const [a, b] = await tunnel('AES-256-GCM');
    for (let round = 0; round < 5; round++) {
      // Nothing else wakes a worker: its peers send no pings.
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(writePacket(a.far, innerPacket(100, round))).toBe(true);
      expect(readPacket(b.far)).toBeDefined();
      await new Promise((resolve) => setTimeout(resolve, 50));
      const control = Uint8Array.from(CONTROL).fill(round, 9);
      a.plane.sendControl(a.link, undefined, control);
      await b.log.next('control', ({ bytes }) => bytes[9] === round);
    }
  });

  it('reads a device again that a packet alone has let rest, when that is over', async () => {
    const [a, b] = await tunnel('AES-256-GCM');
    a.plane.setPeer(a.peer, { bytesPerSecond: 10_000 });
    for (let round = 0; round < 3; round++) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      for (const number of [2 * round, 2 * round + 1]) expect(writePacket(a.far, innerPacket(1000, number))).toBe(true);
      expect(readPacket(b.far)).toEqual(innerPacket(1000, 2 * round));
      expect(readPacket(b.far)).toEqual(innerPacket(1000, 2 * round + 1));
    }
  });

  it('counts the use of a key both ways, and tells once that it is used up', async () => {
    const [a, b] = await tunnel('AES-256-GCM', 'none', { limitPackets: 5 });
    for (let round = 0; round < 6; round++) {
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        expect(writePacket(from.far, innerPacket(100, round))).toBe(true);
        expect(readPacket(to.far)).toBeDefined();
      }
      const told = round < 2 ? 0 : 1;
      if (told > 0) expect(await a.log.next('key-used-up')).toMatchObject({ key: a.key, reason: 'packets' });
      expect(a.log.events.filter(({ type }) => type === 'key-used-up')).toHaveLength(told);
    }
  });

  it('says once how packets move, when a key is in use', async () => {
    const [a, b] = await tunnel('AES-256-GCM');
    const helps = workers === 2 ? ', two workers: the second one helps when the first has no time left' : '';
    const words = way === 'divided' ? ', two workers: one seals, one opens' : helps;
    const text = `UDP with GSO and GRO, a packet for each read of the device${words}`;
    expect(await a.log.next('data-path')).toMatchObject({ text });
    a.plane.useKey(a.peer, a.key);
    expect(writePacket(a.far, innerPacket(100, 1))).toBe(true);
    expect(readPacket(b.far)).toBeDefined();
    expect(a.log.events.filter(({ type }) => type === 'data-path')).toHaveLength(1);
    await expect.poll(() => a.plane.statistics()).toMatchObject({ deviceReadCalls: 1, linkWriteCalls: 1 });
    await expect.poll(() => b.plane.statistics()).toMatchObject({ linkReadCalls: 1, deviceWriteCalls: 1 });
  });

  it('carries a burst larger than one turn of the loop, in order', async () => {
    const [a, b] = await tunnel('AES-256-GCM');
    await Promise.all([a.plane.ready, b.plane.ready]);
    let sent = 0;
    for (let received = 0; received < 500; received++) {
      while (sent < 500 && sent - received < 60 && writePacket(a.far, innerPacket(200, sent))) sent++;
      expect(readPacket(b.far)).toEqual(innerPacket(200, received));
    }
  });

  if (workers === 2 && way === 'undivided') {
    it.each([
      ['AES-256-GCM', 'none', {}],
      ['AES-256-GCM', 'none', { format: 'epoch' }],
      ['AES-256-CBC', 'SHA256', {}],
    ] as const)(
      'has another worker open in the middle of a flow, without a loss: %s %s %o',
      async (cipher, digest, more) => {
        const [a, b] = await tunnel(cipher, digest, more);
        await Promise.all([a.plane.ready, b.plane.ready]);
        const packets = 2_000;
        let sent = 0;
        for (let received = 0; received < packets; received++) {
          if (received === packets / 2) a.plane.divide(a.link);
          while (sent < packets && sent - received < 60 && writePacket(b.far, innerPacket(200, sent))) sent++;
          // The plane's main thread, which takes the state from worker to worker, is that of this test.
          if (received === packets / 2) await isDivided(a.log);
          expect(readPacket(a.far)).toEqual(innerPacket(200, received));
        }
        const { drops } = a.plane.statistics();
        expect(Object.entries(drops).filter(([, count]) => count > 0)).toEqual([]);
        expect(a.plane.peerStatistics(a.peer).linkReadPackets).toBe(packets);
        // Sealing stays where it was.
        expect(writePacket(a.far, innerPacket(200, 1))).toBe(true);
        expect(readPacket(b.far)).toEqual(innerPacket(200, 1));
      },
    );
  }

  if (way === 'divided') {
    it('says that a new link is one worker’s again, until that is divided too', async () => {
      const [a] = await tunnel('AES-256-GCM');
      await a.plane.removeLink(a.link);
      a.plane.removePeer(a.peer);
      const remote = loopback(9);
      const link = a.plane.addLink(udp(openUdp({ remote }).fd, remote, true));
      const peer = a.plane.addPeer(clientPeer(a.device, link, remote));
      a.plane.useKey(peer, a.plane.addKey(peer, keyPair('AES-256-GCM')[0]));
      const said = a.log.events.length;
      await expect.poll(() => a.log.events.length).toBeGreaterThan(said);
      a.plane.divide(link);
      await expect.poll(() => a.log.events.length).toBeGreaterThan(said + 1);
      expect(a.log.events.slice(said).map((event) => event.type === 'data-path' && event.text.split(': ')[1])).toEqual([
        'the second one helps when the first has no time left',
        'one seals, one opens',
      ]);
      expect(() => a.plane.divide(a.link)).toThrow(`no link ${a.link}`);
    });
  }

  it('carries control packets, names their source, and sends back to it', async () => {
    const { plane, log } = startPlane();
    const socket = openUdp({ local: loopback(0) });
    const link = plane.addLink(udp(socket.fd, undefined, false));
    const stranger = createSocket('udp4');
    cleanUps.push(() => stranger.close());
    stranger.bind(0, '127.0.0.1');
    await once(stranger, 'listening');
    const answer = once(stranger, 'message') as Promise<[Buffer]>;
    stranger.send(CONTROL, socket.local.port, '127.0.0.1');
    const event = await log.next('control');
    expect(event).toMatchObject({ link, known: false, address: loopback(stranger.address().port) });
    expect(new Uint8Array(event.bytes)).toEqual(CONTROL);
    plane.sendControl(link, event.address, Uint8Array.of(1, 2, 3));
    expect(new Uint8Array((await answer)[0])).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('passes on more strangers than it holds at once, as room comes', async () => {
    const { plane, log } = startPlane();
    const socket = openUdp({ local: loopback(0) });
    plane.addLink(udp(socket.fd, undefined, false));
    const stranger = createSocket('udp4');
    cleanUps.push(() => stranger.close());
    for (let count = 0; count < 50; count++) {
      stranger.send(Uint8Array.from(CONTROL).fill(count, 1, 9), socket.local.port, '127.0.0.1');
    }
    await log.next('control', (event) => event.bytes[1] === 49);
    expect(log.events.filter((event) => event.type === 'control')).toHaveLength(50);
  });

  it('tells once of a refused port, joining repetitions', async () => {
    const { plane, log } = startPlane();
    const closed = links.open(linkRequest({ local: loopback(0) }));
    links.close(closed.fd);
    const socket = openUdp({ remote: closed.local });
    const link = plane.addLink(udp(socket.fd, closed.local, true));
    for (let count = 0; count < 5; count++) plane.sendControl(link, undefined, CONTROL);
    const event = await log.next('link-error');
    expect(event).toMatchObject({ link, code: 'ECONNREFUSED', text: 'Connection refused' });
    await plane.removeLink(link);
    expect(log.events.filter(({ type }) => type === 'link-error')).toHaveLength(1);
  });

  it('tells of a refused port on an unconnected socket too', async () => {
    const { plane, log } = startPlane();
    const closed = links.open(linkRequest({ local: loopback(0) }));
    links.close(closed.fd);
    const socket = openUdp({ local: loopback(0) });
    const link = plane.addLink(udp(socket.fd, undefined, false));
    plane.sendControl(link, closed.local, CONTROL);
    expect(await log.next('link-error')).toMatchObject({ link, code: 'ECONNREFUSED' });
  });

  it('lets go of device and link before their promises resolve: nothing is read from them afterwards', async () => {
    const [a, b] = await tunnel('AES-256-GCM');
    writePacket(a.far, innerPacket(100));
    expect(readPacket(b.far)).toBeDefined();
    await a.plane.removeDevice(a.device);
    const before = a.plane.statistics().deviceReadBytes;
    writePacket(a.far, innerPacket(100));
    await a.plane.removeLink(a.link);
    expect(a.plane.statistics().deviceReadBytes).toBe(before);
    expect(() => a.plane.sendControl(a.link, undefined, CONTROL)).toThrow(`no link ${a.link}`);
  });

  it('tells of a device whose other end is gone, once, and goes on', async () => {
    const [a, b] = await tunnel('AES-256-GCM');
    await a.plane.ready;
    const [near, far] = packetPair();
    cleanUps.push(() => libc.close(near));
    const endpoint = { kind: 'fd', fd: near } as const;
    const device = a.plane.addDevice({ endpoint, layer: 'tun', mtuBytes: 1500, blockIpv6: false });
    libc.close(far);
    expect(await a.log.next('device-error')).toMatchObject({ device });
    writePacket(a.far, innerPacket(100));
    expect(readPacket(b.far)).toBeDefined();
  });

  it('refuses ids that it does not know, and a fifth key', async () => {
    const [a] = await tunnel('AES-256-GCM');
    const [key] = keyPair('AES-256-GCM');
    expect(() => a.plane.setPeer(9_999, {})).toThrow('no peer 9999');
    expect(() => a.plane.useKey(a.peer, 9_999)).toThrow('no key 9999');
    for (let count = 0; count < 3; count++) a.plane.addKey(a.peer, key);
    expect(() => a.plane.addKey(a.peer, key)).toThrow('4 keys');
    expect(() => a.plane.addListener({ endpoint: { kind: 'memory' } })).toThrow('fd');
    expect(() => a.plane.deviceEnd(a.device)).toThrow('in memory');
  });

  it('refuses a cipher or digest that the library does not have, before the worker hears of it', async () => {
    const [a] = await tunnel('AES-256-GCM');
    const [key] = keyPair('AES-256-CBC');
    expect(() => a.plane.addKey(a.peer, { ...key, cipher: 'AES-999-GCM' })).toThrow('no cipher AES-999-GCM');
    expect(() => a.plane.addKey(a.peer, { ...key, digest: 'SHA999' })).toThrow('no digest SHA999');
  });

  it('begins a peer at zero where another had its counters', async () => {
    const [a, b] = await tunnel('AES-256-GCM');
    writePacket(a.far, innerPacket(100));
    expect(readPacket(b.far)).toBeDefined();
    await expect.poll(() => a.plane.peerStatistics(a.peer).linkWritePackets).toBe(1);
    a.plane.removePeer(a.peer);
    const socket = openUdp({ local: loopback(0) });
    const link = a.plane.addLink(udp(socket.fd, undefined, false));
    await a.plane.removeLink(a.link); // behind the peer's removal, in order
    for (let count = 0; count < 64; count++) {
      const peer = a.plane.addPeer({ ...clientPeer(a.device, link, loopback(1)), receivePeerId: count });
      expect(a.plane.peerStatistics(peer).linkWritePackets).toBe(0);
    }
  });

  it('speaks through a SOCKS relay: the header names the far end, both ways', async () => {
    const { plane, log } = startPlane();
    const relay = createSocket('udp4');
    cleanUps.push(() => relay.close());
    relay.bind(0, '127.0.0.1');
    await once(relay, 'listening');
    const remote = loopback(relay.address().port);
    const socket = openUdp({ remote });
    const link = plane.addLink({ ...udp(socket.fd, remote, true), framing: 'socks-udp' });
    const far = { family: 4, address: Uint8Array.of(192, 0, 2, 7), port: 1194, scopeId: 0 } as const;
    const header = [0, 0, 0, 1, 192, 0, 2, 7, 0x04, 0xaa];
    const arrived = once(relay, 'message') as Promise<[Buffer]>;
    plane.sendControl(link, far, CONTROL);
    expect([...(await arrived)[0]]).toEqual([...header, ...CONTROL]);
    relay.send(Uint8Array.of(...header, ...CONTROL), socket.local.port, '127.0.0.1');
    expect(await log.next('control')).toMatchObject({ link, address: far });
  });

  it('carries control packets over IPv6', async () => {
    const { plane, log } = startPlane();
    const loopback6 = Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? 1 : 0));
    const socket = openUdp({ local: { family: 6, address: loopback6, port: 0, scopeId: 0 } });
    const link = plane.addLink(udp(socket.fd, undefined, false));
    const stranger = createSocket('udp6');
    cleanUps.push(() => stranger.close());
    stranger.bind(0, '::1');
    await once(stranger, 'listening');
    const answer = once(stranger, 'message') as Promise<[Buffer]>;
    stranger.send(CONTROL, socket.local.port, '::1');
    const event = await log.next('control');
    expect(event.address).toEqual({ family: 6, address: loopback6, port: stranger.address().port, scopeId: 0 });
    plane.sendControl(link, event.address, Uint8Array.of(9));
    expect([...(await answer)[0]]).toEqual([9]);
  });

  it('fails, and says so, when the worker cannot start', async () => {
    const log = new EventLog();
    const plane = createWorkerPlane({ workerUrl: new URL('file:///no/such/worker.mjs'), listener: log.listener });
    const socket = openUdp({ local: loopback(0) });
    const link = plane.addLink(udp(socket.fd, undefined, false));
    await expect(plane.ready).rejects.toThrow('the data worker failed');
    expect(await log.next('plane-failed')).toMatchObject({ text: expect.stringContaining('/no/such/worker.mjs') });
    await plane.removeLink(link);
    await plane.close();
  });

  it('says nothing more after close', async () => {
    const { plane, log } = startPlane();
    const socket = openUdp({ local: loopback(0) });
    const link = plane.addLink(udp(socket.fd, undefined, false));
    await plane.close();
    const heard = log.events.length;
    plane.sendControl(link, loopback(9), CONTROL);
    await plane.removeLink(link);
    await plane.close();
    expect(log.events).toHaveLength(heard);
  });

  describe('over TCP', () => {
    let server: Server;
    let accepted: Promise<Socket>;

    beforeAll(async () => {
      server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => new Promise((resolve) => server.close(resolve)));

    function connect() {
      accepted = once(server, 'connection').then(([socket]) => socket as Socket);
      return connectTo((server.address() as { port: number }).port);
    }

    function connectTo(port: number) {
      const started = startPlane();
      const remote = loopback(port);
      const socket = links.open(linkRequest({ transport: 'tcp-client', remote, tcpNoDelay: true }));
      cleanUps.push(() => links.close(socket.fd));
      const link = started.plane.addLink({
        endpoint: { kind: 'fd', fd: socket.fd },
        framing: 'tcp',
        connecting: true,
        remote,
        connected: true,
        readAhead: undefined,
      });
      return { ...started, link };
    }

    const frame = (bytes: Uint8Array) => Buffer.from([bytes.length >> 8, bytes.length & 0xff, ...bytes]);

    it('tells of the open link, and frames both ways however the stream is cut', async () => {
      const { plane, log, link } = connect();
      const socket = await accepted;
      cleanUps.push(() => socket.destroy());
      expect(await log.next('link-open')).toEqual({ type: 'link-open', link });
      const sent = once(socket, 'data') as Promise<[Buffer]>;
      plane.sendControl(link, undefined, CONTROL);
      expect((await sent)[0]).toEqual(frame(CONTROL));
      const [first, second] = [frame(CONTROL), frame(CONTROL.map((byte, index) => (index === 1 ? 77 : byte)))];
      socket.write(first.subarray(0, 1));
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(Buffer.concat([first.subarray(1), second]));
      await log.next('control', (event) => event.bytes[1] === 77);
      expect(log.events.filter(({ type }) => type === 'control')).toHaveLength(2);
    });

    it('begins with the bytes that were read before it had the stream', async () => {
      const { plane, log } = startPlane();
      const incoming = once(server, 'connection') as Promise<[Socket]>;
      const remote = loopback((server.address() as { port: number }).port);
      const opened = links.open(linkRequest({ transport: 'tcp-client', remote }));
      cleanUps.push(() => links.close(opened.fd));
      const [socket] = await incoming;
      cleanUps.push(() => socket.destroy());
      const bytes = frame(CONTROL);
      plane.addLink({
        endpoint: { kind: 'fd', fd: opened.fd },
        framing: 'tcp',
        connecting: false,
        remote,
        connected: true,
        readAhead: Uint8Array.from(bytes.subarray(0, 5)),
      });
      socket.write(bytes.subarray(5));
      expect(new Uint8Array((await log.next('control')).bytes)).toEqual(CONTROL);
    });

    it('tells a refused connect', async () => {
      const closed = links.open(linkRequest({ local: loopback(0) }));
      links.close(closed.fd);
      const { log, link } = connectTo(closed.local.port);
      expect(await log.next('link-closed')).toMatchObject({ link, code: 'ECONNREFUSED' });
    });

    it('tells the end of the stream, and a length that is none', async () => {
      const ended = connect();
      (await accepted).end();
      expect(await ended.log.next('link-closed')).toMatchObject({ link: ended.link, code: 'EOF' });
      const broken = connect();
      const socket = await accepted;
      cleanUps.push(() => socket.destroy());
      socket.write(Uint8Array.of(0, 0, 1, 2, 3));
      expect(await broken.log.next('link-closed')).toMatchObject({ link: broken.link, code: 'BAD_FRAME' });
    });

    it('keeps what a slow reader does not take, in order and in bounds, and counts the rest', async () => {
      const { plane, log, link } = connect();
      const socket = await accepted;
      cleanUps.push(() => socket.destroy());
      socket.pause();
      await log.next('link-open');
      const big = new Uint8Array(60_000);
      const total = 400;
      for (let count = 0; count < total; count++) {
        big.fill(count & 0xff);
        plane.sendControl(link, undefined, big);
      }
      const dropped = await eventually(() => plane.statistics().drops['link-full'] || undefined);
      // The calls are worked off in order: what was sent before this second link is there was decided before it.
      const mark = openUdp({ local: loopback(0) });
      await plane.removeLink(plane.addLink(udp(mark.fd, undefined, false)));
      const lost = plane.statistics().drops['link-full'];
      expect(lost).toBeGreaterThanOrEqual(dropped);
      let rest = Buffer.alloc(0);
      const seen: number[] = [];
      await new Promise<void>((resolve, reject) => {
        const bound = setTimeout(() => reject(new Error(`${seen.length} of ${total - lost} packets came`)), 5_000);
        socket.on('data', (chunk: Buffer) => {
          rest = Buffer.concat([rest, chunk]);
          while (rest.length >= 60_002) {
            expect(rest.readUInt16BE(0)).toBe(60_000);
            seen.push(rest[2]!);
            rest = rest.subarray(60_002);
          }
          if (seen.length < total - lost) return;
          clearTimeout(bound);
          resolve();
        });
        socket.resume();
      });
      expect(rest).toHaveLength(0);
      expect(seen.slice(0, 5)).toEqual([0, 1, 2, 3, 4]);
    });
  });
});

/** The first defined answer, asked at every turn of the loop within a bound. */
async function eventually<T>(look: () => T | undefined, boundMs = 4_000): Promise<T> {
  const untilMs = performance.now() + boundMs;
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (performance.now() > untilMs) throw new Error('it did not happen');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/ip/address.ts';
import { readPackedAddress } from '../../src/ip/packed-address.ts';
import { type SocketAddress, socketAddress } from '../../src/ip/socket-address.ts';
import { Errno } from '../../src/linux/errno.ts';
import { errorQueue } from '../../src/linux/error-queue.ts';
import { errno, libc, nativeBytes } from '../../src/linux/libc.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { createPacketMemory } from '../../src/linux/packet-memory.ts';
import { IPPROTO_IP, IPPROTO_IPV6, setSocketOption } from '../../src/linux/socket-options.ts';
import { UdpReceiver } from '../../src/linux/udp-receiver.ts';
import { UdpSender } from '../../src/linux/udp-sender.ts';
import { enterPrivateNetwork, privateNetworkRefusal } from '../lab/private-network.ts';
import { isReadable, linkRequest } from './plane-rig.ts';

const refusal = privateNetworkRefusal();
if (refusal !== undefined) console.warn(`skipped: local ends of datagrams: ${refusal}`);

const IP_RECVTOS = 13;
const IPV6_RECVTCLASS = 66;
const at = (text: string, port = 0): SocketAddress => socketAddress(parseAddress(text)!, port);

describe.skipIf(refusal !== undefined)('datagrams', () => {
  const links = createLinkPort();
  const opened: number[] = [];
  let network: { leave(): void };
  beforeAll(() => {
    network = enterPrivateNetwork();
    for (const words of [
      ['link', 'set', 'lo', 'up'],
      ['addr', 'add', '192.0.2.1/32', 'dev', 'lo'],
      ['addr', 'add', '192.0.2.2/32', 'dev', 'lo'],
      ['addr', 'add', 'fd00::1/128', 'dev', 'lo', 'nodad'],
      ['addr', 'add', 'fd00::2/128', 'dev', 'lo', 'nodad'],
      ['link', 'set', 'lo', 'mtu', '1500'],
    ]) {
      execFileSync('ip', words, { timeout: 5_000 });
    }
  });
  afterAll(() => {
    for (const fd of opened) links.close(fd);
    network.leave();
  });
  const open = (request: Parameters<typeof linkRequest>[0]) => {
    const socket = links.open(linkRequest(request));
    opened.push(socket.fd);
    return socket;
  };
  const FIRST = 4096;

  /** A server's socket that answers each datagram from where it was asked, several at once. */
  const server = (local: SocketAddress, localEnds: 'address' | 'interface') => {
    const socket = open({ local });
    const memory = createPacketMemory(4096);
    const receiver = new UdpReceiver(socket.fd, memory, localEnds);
    const sender = new UdpSender({
      fd: socket.fd,
      memory,
      connected: false,
      remote: nativeBytes(64),
      remoteLength: 0,
      localEnds: true,
      handleDrop: () => expect.unreachable(),
      handleError: () => expect.unreachable(),
      reconnect: () => false,
      counters: new Float64Array(64),
      handleFallback: () => undefined,
    });
    /** Answers so many datagrams, when they have come, with two each. */
    const answer = (count: number, trafficClass = 0): SocketAddress[] => {
      const sources: SocketAddress[] = [];
      while (sources.length < count && isReadable(socket.fd)) {
        const slots = receiver.read();
        for (let slot = 0; slot < slots; slot++) {
          expect(receiver.packName(slot, memory.sourceAddress)).toBe(true);
          sources.push(readPackedAddress(memory.arena.view, memory.sourceAddress));
          for (let copy = 0; copy < 2; copy++) sender.hold(memory.sourceAddress, FIRST, 600, trafficClass);
        }
      }
      sender.flush();
      return sources;
    };
    return { socket, answer };
  };
  const ask = (client: { fd: number }) => {
    const memory = nativeBytes(64);
    expect(libc.send(client.fd, memory.address, 8, 0)).toBe(8);
  };
  const answers = (client: { fd: number }) => {
    const memory = nativeBytes(2048);
    let count = 0;
    while (count < 2 && isReadable(client.fd) && libc.recv(client.fd, memory.address, 2048, 0x40) === 600) count++;
    return count;
  };

  it.each([
    ['IPv4', '0.0.0.0', ['192.0.2.1', '192.0.2.2'], 'address'],
    ['IPv6', '::', ['fd00::1', 'fd00::2'], 'address'],
    ['IPv4 over a socket for both', '::', ['::ffff:192.0.2.1', '::ffff:192.0.2.2'], 'address'],
    ['IPv4 by the interface', '0.0.0.0', ['192.0.2.1', '192.0.2.2'], 'interface'],
    ['IPv6 by the interface', '::', ['fd00::1', 'fd00::2'], 'interface'],
  ] as const)('of %s are answered from the address that was asked, in one batch', (_title, any, own, localEnds) => {
    const { socket, answer } = server(at(any), localEnds);
    const clients = own.map((address) => {
      const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
      // A connected socket takes no answer from another address.
      return open({ remote: at(plain, socket.local.port) });
    });
    for (const client of clients) ask(client);
    const sources = answer(clients.length);
    expect(sources.map(({ local }) => local?.address)).toEqual(own.map((address) => parseAddress(address)));
    for (const { local } of sources) expect(local!.interfaceIndex > 0).toBe(localEnds === 'interface');
    expect(clients.map(answers)).toEqual([2, 2]);
  });

  it.each([
    ['IPv4', '192.0.2.1', '0.0.0.0'],
    ['IPv6', 'fd00::1', '::'],
    ['IPv4 over a socket for both', '192.0.2.1', '::'],
  ] as const)('of %s carry the traffic class that each was given, though they go out together', (_title, to, any) => {
    const { socket, answer } = server(at(any), 'address');
    const client = open({ remote: at(to, socket.local.port) });
    const six = to.includes(':');
    setSocketOption(client.fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVTCLASS : IP_RECVTOS, 1);
    for (const trafficClass of [0xb8, 0, 0x10]) {
      ask(client);
      answer(1, trafficClass);
      expect([receivedClass(client.fd, six), receivedClass(client.fd, six)]).toEqual([trafficClass, trafficClass]);
    }
  });

  it('that are larger than the path takes tell in the error queue how large they may be, and to whom', () => {
    const far = open({ local: at('192.0.2.1') });
    const near = open({ remote: far.local, mtuDiscovery: 'yes' });
    const memory = nativeBytes(2048);
    expect(libc.send(near.fd, memory.address, 1600, 0x40)).toBe(-1);
    expect(errno()).toBe(Errno.EMSGSIZE);
    expect(errorQueue().next(near.fd)).toBe(Errno.EMSGSIZE); // made by the send itself
    expect(errorQueue().info).toBe(1500);
    expect(errorQueue().address()).toMatchObject({ address: far.local.address, port: far.local.port });
    expect(errorQueue().next(near.fd)).toBe(-1);
  });

  /** Reads one datagram and the control message of its class. */
  function receivedClass(fd: number, six: boolean): number | undefined {
    const [header, vector, data, control] = [64, 16, 2048, 128].map(nativeBytes) as [
      ReturnType<typeof nativeBytes>,
      ReturnType<typeof nativeBytes>,
      ReturnType<typeof nativeBytes>,
      ReturnType<typeof nativeBytes>,
    ];
    const pointer = (view: DataView, offset: number, address: number) => {
      view.setUint32(offset, address % 2 ** 32, true);
      view.setUint32(offset + 4, Math.floor(address / 2 ** 32), true);
    };
    pointer(vector.view, 0, data.address);
    vector.view.setUint32(8, 2048, true);
    pointer(header.view, 16, vector.address);
    header.view.setUint32(24, 1, true);
    pointer(header.view, 32, control.address);
    header.view.setUint32(40, 128, true);
    if (!isReadable(fd) || libc.recvmsg(fd, header.address, 0x40) < 0) return undefined;
    return six ? control.view.getInt32(16, true) : control.view.getUint8(16);
  }
});

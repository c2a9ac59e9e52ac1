import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { readPackedAddress } from '../../src/ip/packed-address.ts';
import { socketAddress } from '../../src/ip/socket-address.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { packSockaddr, parseSockaddr, unpackSockaddr, writeSockaddr } from '../../src/linux/sockaddr.ts';
import type { LinkRequest } from '../../src/ports.ts';
import { linkRequest } from './plane-rig.ts';

const port = createLinkPort();
const loopback4 = (number: number) => socketAddress(Uint8Array.of(127, 0, 0, 1), number);
const loopback6 = (number: number) =>
  socketAddress(
    Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 1 : 0)),
    number,
  );
const opened: number[] = [];
const open = (more: Partial<LinkRequest>) => {
  const link = port.open(linkRequest(more));
  opened.push(link.fd);
  return link;
};

afterEach(() => {
  for (const fd of opened.splice(0)) port.close(fd);
});

describe('socket addresses', () => {
  it.each([
    ['IPv4', loopback4(1194), 16],
    ['IPv6 with scope', { ...loopback6(1194), scopeId: 3 }, 28],
  ])('%s goes to the kernel form and back', (_, address, length) => {
    const view = new DataView(new ArrayBuffer(64));
    expect(writeSockaddr(view, 8, address)).toBe(length);
    expect(parseSockaddr(view, 8)).toEqual(address);
  });

  it.each([
    ['IPv4', loopback4(1194)],
    ['IPv6 with scope', { ...loopback6(1194), scopeId: 3 }],
  ])('%s goes from the kernel form to the packed one and back', (_, address) => {
    const view = new DataView(new ArrayBuffer(160));
    const length = writeSockaddr(view, 8, address);
    expect(packSockaddr(view, 8, view, 64)).toBe(true);
    expect(readPackedAddress(view, 64)).toEqual(address);
    expect(unpackSockaddr(view, 64, view, 96)).toBe(length);
    expect(new Uint8Array(view.buffer, 96, length)).toEqual(new Uint8Array(view.buffer, 8, length));
  });

  it('gives nothing for a family that is no internet address', () => {
    expect(parseSockaddr(new DataView(new ArrayBuffer(64)), 0)).toBeUndefined();
    const view = new DataView(new ArrayBuffer(64));
    expect(packSockaddr(view, 0, view, 32)).toBe(false);
  });
});

describe('links', () => {
  it.each([
    ['IPv4', loopback4],
    ['IPv6', loopback6],
  ])('opens a bound UDP socket and one connected to it over %s', (_, loopback) => {
    const server = open({ local: loopback(0) });
    expect(server).toMatchObject({ connected: false, connecting: false });
    expect(server.local.port).toBeGreaterThan(0);
    const client = open({ remote: loopback(server.local.port), mtuDiscovery: 'yes' });
    expect(client).toMatchObject({ connected: true, connecting: false });
    expect(client.local.address).toEqual(loopback(0).address);
    expect(port.localAddress(client.fd)).toEqual(client.local);
  });

  it('sets buffer sizes and tells the effective ones before and after', () => {
    const link = open({ local: loopback4(0), sndbufBytes: 40_000, rcvbufBytes: 50_000 });
    expect(link.buffers.send[1]).toBe(80_000);
    expect(link.buffers.receive[1]).toBe(100_000);
    expect(port.setBuffers(link.fd, undefined, 60_000)).toEqual({
      send: [80_000, 80_000],
      receive: [100_000, 120_000],
    });
  });

  it("leaves the system's buffer sizes where the size is 0", () => {
    const { buffers } = open({ local: loopback4(0), sndbufBytes: 0, rcvbufBytes: 0 });
    expect(buffers.send[1]).toBe(buffers.send[0]);
    expect(buffers.receive[1]).toBe(buffers.receive[0]);
  });

  it('starts a TCP connect without waiting for it', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port: number } = server.address() as { port: number };
    const accepted = new Promise<void>((resolve) =>
      server.once('connection', (socket) => resolve(void socket.destroy())),
    );
    const link = open({ transport: 'tcp-client', remote: loopback4(number), tcpNoDelay: true });
    expect(link.connecting !== link.connected).toBe(true);
    await accepted;
    await new Promise((resolve) => server.close(resolve));
  });

  it('tells the far end of a stream that was accepted on a dual-stack socket, and of none that is not connected', () => {
    const server = open({ transport: 'tcp-server', local: { ...loopback6(0), address: new Uint8Array(16) } });
    const client = open({ transport: 'tcp-client', remote: loopback4(server.local.port) });
    expect(port.remoteAddress(client.fd)).toEqual(loopback4(server.local.port));
    expect(() => port.remoteAddress(server.fd)).toThrow('Cannot read the remote address of the socket');
    const again = () => open({ transport: 'tcp-server', local: server.local });
    expect(again).toThrow('Address already in use');
  });

  it('refuses a taken port with the words of the C program, and leaves no socket behind', () => {
    const first = open({ local: loopback4(0) });
    const again = () => port.open(linkRequest({ local: loopback4(first.local.port) }));
    expect(again).toThrow('Socket bind failed on local address: Address already in use (errno=98)');
    const next = open({ local: loopback4(0) });
    expect(next.fd).toBe(first.fd + 1);
  });

  it('names the device that a socket cannot be bound to', () => {
    expect(() => port.open(linkRequest({ local: loopback4(0), bindDevice: 'nosuchdev' }))).toThrow(
      /SO_BINDTODEVICE=nosuchdev failed: No such device/,
    );
  });
});

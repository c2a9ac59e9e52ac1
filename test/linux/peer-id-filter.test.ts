import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { libc } from '../../src/linux/libc.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { linkRequest, loopback, readPacket, writePacket } from './plane-rig.ts';

const SOCKETS = 3;
/** DATA_V2 with a key-id, a peer-id and some bytes behind. */
const dataV2 = (peerId: number, keyId = 0): Uint8Array =>
  Uint8Array.of((9 << 3) | keyId, peerId >> 16, (peerId >> 8) & 0xff, peerId & 0xff, 1, 2, 3, 4);

describe.skipIf(process.platform !== 'linux')('sockets on one address', () => {
  const port = createLinkPort(SOCKETS);
  const single = createLinkPort();
  let fds: readonly number[];
  let senders: number[];
  let close: () => void;
  beforeEach(() => {
    const near = port.open(linkRequest({ local: loopback(0) }));
    fds = [near.fd, ...(near.siblings ?? [])];
    const far = Array.from({ length: 5 }, () => single.open(linkRequest({ local: loopback(0), remote: near.local })));
    senders = far.map(({ fd }) => fd);
    close = () => {
      for (const { fd } of far) single.close(fd);
      port.close(near.fd);
    };
  });
  afterEach(() => close());

  it.each<[string, Uint8Array, number]>([
    ['peer-id 0', dataV2(0), 0],
    ['peer-id 1', dataV2(1), 1],
    ['peer-id 2, key-id 7', dataV2(2, 7), 2],
    ['peer-id 3', dataV2(3), 0],
    ['peer-id 0x123457', dataV2(0x123457), 0x123457 % SOCKETS],
    ['the last peer-id', dataV2(0xfffffe), 0xfffffe % SOCKETS],
    ['no peer-id', dataV2(0xffffff), 0],
    ['DATA_V1', Uint8Array.of(6 << 3, 0, 0, 1, 9), 0],
    ['a reset', Uint8Array.of(7 << 3, 0, 0, 1, 9, 9, 9, 9), 0],
    ['three bytes of DATA_V2', dataV2(1).slice(0, 3), 0],
    ['nothing at all', new Uint8Array(0), 0],
  ])('get %s at the right one, wherever it comes from', (_, packet, place) => {
    expect(fds).toHaveLength(SOCKETS);
    for (const sender of senders) {
      expect(writePacket(sender, packet)).toBe(true);
      expect(readPacket(fds[place]!), `from ${sender}`).toEqual(packet);
    }
  });

  it('are as many as were asked for only for a socket that serves many', () => {
    const remote = loopback(9);
    for (const request of [{ remote }, { transport: 'tcp-server', local: loopback(0) } as const]) {
      const opened = port.open(linkRequest(request));
      expect(opened.siblings).toEqual([]);
      port.close(opened.fd);
    }
  });

  it('keep others from their address, and give it back', () => {
    const near = port.open(linkRequest({ local: loopback(0) }));
    const again = () => port.open(linkRequest({ local: near.local }));
    expect(again).toThrow('Address already in use');
    port.close(near.fd);
    for (const fd of near.siblings ?? []) expect(libc.close(fd), 'closed already').toBe(-1);
    const next = again();
    expect(next.siblings).toHaveLength(SOCKETS - 1);
    port.close(next.fd);
  });
});

// The part of the data plane's conformance suite that is about streams that come to a listener.

import { describe, expect, it } from 'vitest';
import type { LinkOptions } from '../../src/data/plane.ts';
import type { ListenerEnd, StreamEnd } from './data-plane.ts';
import type { PlaneRig } from './data-plane-payload.ts';
import { inward, numbered, outward } from './plane-packets.ts';

const frame = (packet: Uint8Array) => Uint8Array.of(packet.length >> 8, packet.length & 0xff, ...packet);
const RESET = Uint8Array.of(7 << 3, ...numbered(13));

/** Describes listeners, accepted streams and port sharing. */
export function streamConformance(rig: PlaneRig): void {
  describe('listeners', () => {
    /** A stream comes in, is reported and given to a link. */
    const accept = async (listener: ListenerEnd, options: Partial<LinkOptions> = {}, count = 1) => {
      const stream = listener.connect();
      const event = await rig.untilEvent('accepted', count);
      const link = claim(stream, event.fd, options);
      return { stream, link, event };
    };
    const claim = (stream: StreamEnd, fd: number, options: Partial<LinkOptions> = {}) => {
      const link = rig.plane().addLink({
        endpoint: { kind: 'fd', fd },
        framing: 'tcp',
        connecting: false,
        remote: stream.address,
        connected: true,
        readAhead: undefined,
        ...options,
      });
      stream.givenTo(link);
      rig.harness().own(fd);
      return link;
    };

    it('tell of a stream with its address, which then carries packets both ways, however it is cut', async () => {
      const listener = rig.harness().addListener();
      const { stream, link, event } = await accept(listener);
      expect(event).toEqual({ type: 'accepted', listener: listener.listener, fd: event.fd, address: stream.address });
      const bytes = Uint8Array.of(...frame(RESET), ...frame(Uint8Array.of(4 << 3, ...numbered(400))));
      for (const byte of bytes) stream.send(Uint8Array.of(byte));
      await rig.untilEvent('control', 2);
      expect(rig.eventsOf('control')).toMatchObject([
        { link, address: stream.address, bytes: RESET },
        { link, bytes: Uint8Array.of(4 << 3, ...numbered(400)) },
      ]);
      rig.plane().sendControl(link, undefined, numbered(77));
      expect(await stream.receive()).toEqual(numbered(77));
    });

    it('keep the order of what comes on a stream, first packet or not', async () => {
      const { stream } = await accept(rig.harness().addListener());
      const ack = Uint8Array.of(5 << 3, ...numbered(30));
      stream.send(Uint8Array.of(...frame(RESET), ...frame(ack), ...frame(RESET)));
      await rig.untilEvent('control', 3);
      expect(rig.eventsOf('control').map(({ bytes }) => bytes)).toEqual([RESET, ack, RESET]);
    });

    it('carry data packets of a peer on an accepted stream', async () => {
      const { stream, link } = await accept(rig.harness().addListener());
      const { farKey } = rig.connect({}, { link, address: undefined });
      const packet = inward(numbered(500));
      stream.send(frame(farKey.seal(packet)));
      expect(await rig.device().read()).toEqual(packet);
      rig.device().write(outward());
      expect(farKey.open(await stream.receive()).payload).toEqual(outward());
    });

    it('accept many, each for itself', async () => {
      const listener = rig.harness().addListener();
      for (let count = 1; count <= 40; count++) {
        const { stream, link } = await accept(listener, {}, count);
        stream.send(frame(RESET));
        expect((await rig.untilEvent('control', count)).link).toBe(link);
      }
      expect(new Set(rig.eventsOf('accepted').map(({ fd }) => fd)).size).toBe(40);
    });

    it('accept nothing more once they are removed', async () => {
      const listener = rig.harness().addListener();
      await accept(listener);
      await rig.plane().removeLink(listener.listener);
      listener.connect();
      const other = rig.harness().addListener();
      const { event } = await accept(other, {}, 2);
      expect(event.listener).toBe(other.listener);
      expect(rig.eventsOf('accepted')).toHaveLength(2);
    });

    it('end a stream that announces too long a packet before its peer has a key, and take it after that', async () => {
      const listener = rig.harness().addListener();
      const options = { handshakePacketBytes: 2000 };
      const first = await accept(listener, options);
      first.stream.send(frame(Uint8Array.of(4 << 3, ...numbered(2000))));
      expect(await rig.untilEvent('link-closed')).toMatchObject({ link: first.link, code: 'BAD_FRAME' });
      const second = await accept(listener, options, 2);
      const device = rig.harness().addDevice({ mtuBytes: 9000 });
      const { farKey } = rig.connect({}, { link: second.link, address: undefined, device: device.id });
      const packet = inward(numbered(5000));
      second.stream.send(frame(farKey.seal(packet)));
      expect(await device.read()).toEqual(packet);
    });
  });

  describe('a shared port', () => {
    const share = async () => {
      const stream = rig.harness().addListener().connect();
      const { fd } = await rig.untilEvent('accepted');
      const link = rig.plane().addLink({
        ...{ endpoint: { kind: 'fd', fd }, framing: 'tcp', connecting: false, remote: stream.address },
        ...{ connected: true, readAhead: undefined, firstPacket: 'openvpn' },
      });
      stream.givenTo(link);
      rig.harness().own(fd);
      return { stream, link };
    };

    it.each([
      ['HTTP', Uint8Array.from(Buffer.from('GET / HTTP/1.1\r\n\r\n'))],
      ['TLS', Uint8Array.of(0x16, 0x03, 0x01, 2, 0, 1, 0)],
      ['SSH', Uint8Array.from(Buffer.from('SSH-2.0-x\r\n'))],
      ['a reset that is too short', frame(Uint8Array.of(7 << 3, ...numbered(12)))],
      ['a reset that is too long', frame(Uint8Array.of(7 << 3, ...numbered(255)))],
      ['a reset with another key-id', frame(Uint8Array.of((7 << 3) | 1, ...numbered(20)))],
      ['a reset of tls-crypt-v2 without its key', frame(Uint8Array.of(10 << 3, ...numbered(334)))],
      ['a control packet', frame(Uint8Array.of(4 << 3, ...numbered(20)))],
    ])('hands on a stream of %s with all that was read, and reads no more', async (_name, bytes) => {
      const { stream, link } = await share();
      stream.send(bytes);
      expect(await rig.untilEvent('foreign-stream')).toEqual({ type: 'foreign-stream', link, bytes });
      stream.send(frame(RESET));
      await rig.plane().removeLink(link);
      expect(rig.eventsOf('control')).toEqual([]);
      expect(rig.eventsOf('foreign-stream')).toHaveLength(1);
    });

    it('hands on a foreign stream that comes a byte at a time', async () => {
      const { stream, link } = await share();
      stream.send(Uint8Array.of(0));
      stream.send(Uint8Array.of(20));
      stream.send(Uint8Array.of(0x47));
      const event = await rig.untilEvent('foreign-stream');
      expect(event).toEqual({ type: 'foreign-stream', link, bytes: Uint8Array.of(0, 20, 0x47) });
    });

    it.each([
      ['a reset', RESET],
      ['the longest reset', Uint8Array.of(7 << 3, ...numbered(254))],
      ['a reset of tls-crypt-v2', Uint8Array.of(10 << 3, ...numbered(335))],
      ['the longest one of these', Uint8Array.of(10 << 3, ...numbered(1277))],
    ])('keeps a stream that begins with %s, however it is cut', async (_name, packet) => {
      const { stream, link } = await share();
      for (const byte of frame(packet).slice(0, 5)) stream.send(Uint8Array.of(byte));
      stream.send(frame(packet).slice(5));
      stream.send(frame(RESET));
      await rig.untilEvent('control', 2);
      expect(rig.eventsOf('control')).toMatchObject([
        { link, bytes: packet },
        { link, bytes: RESET },
      ]);
    });
  });
}

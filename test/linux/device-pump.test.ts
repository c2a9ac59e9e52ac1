import { closeSync, openSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceOffload } from '../../src/data/plane.ts';
import type { PlaneCore } from '../../src/data/plane-core.ts';
import { InnerPacket } from '../../src/ip/packet.ts';
import { GsoType, VIRTIO_HEADER_BYTES, writeSuperHeader } from '../../src/ip/virtio-header.ts';
import { DevicePump } from '../../src/linux/device-pump.ts';
import { libc, nativeBytes } from '../../src/linux/libc.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { Outbox } from '../../src/linux/outbox.ts';
import { createPacketMemory } from '../../src/linux/packet-memory.ts';
import { POLLIN, PollSet } from '../../src/linux/poll-set.ts';
import { UdpReceiver } from '../../src/linux/udp-receiver.ts';
import { UdpSender } from '../../src/linux/udp-sender.ts';
import { linkRequest, loopback, packetPair, writePacket } from './plane-rig.ts';

const [UDP, TCP] = [17, 6];
const PACKET = 65_536;
const PACKET_BYTES = 92;

/** An IPv4 packet from 10.8.0.1 to 10.8.0.2 with 64 bytes of payload behind 8 of transport header, and right checksums. */
function packet(protocol: number): Uint8Array {
  const bytes = new Uint8Array(PACKET_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x4500005c);
  view.setUint16(6, 0x4000); // not to be fragmented: the id may stay as it is
  view.setUint32(8, 0x40000000 | (protocol << 16));
  view.setUint32(12, 0x0a080001);
  view.setUint32(16, 0x0a080002);
  view.setUint16(10, complement(view, 0, 20, 0));
  view.setUint32(20, 0x04d21388);
  view.setUint16(24, PACKET_BYTES - 20);
  view.setUint16(26, complement(view, 12, PACKET_BYTES, protocol + PACKET_BYTES - 20));
  return bytes;
}

function complement(view: DataView, from: number, to: number, begin: number): number {
  let sum = begin;
  for (let at = from; at < to; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

describe.skipIf(process.platform !== 'linux')('a device that is written to', () => {
  const calls: string[] = [];
  let fd: number;
  beforeEach(() => {
    fd = openSync('/dev/null', 'r+');
    calls.length = 0;
    for (const name of ['write', 'schedYield'] as const) {
      const inner = libc[name].bind(libc) as (...values: number[]) => number;
      const value = (...values: number[]) => {
        calls.push(name);
        return inner(...values);
      };
      Object.defineProperty(libc, name, { value, configurable: true });
      cleanUps.push(() => Object.defineProperty(libc, name, { value: inner, configurable: true }));
    }
  });
  const cleanUps: (() => void)[] = [];
  afterEach(() => {
    for (const cleanUp of cleanUps.splice(0)) cleanUp();
    closeSync(fd);
  });

  function device(offload: DeviceOffload) {
    const memory = createPacketMemory(4096);
    const context = {
      core: { report: () => {}, countDrop: () => {} } as unknown as PlaneCore,
      memory,
      outbox: new Outbox(memory),
      polls: new PollSet(),
      counters: new Float64Array(64),
      pauseMs: 2,
      nowMs: () => 0,
      takeCalls: () => {},
      tellPath: () => {},
    };
    const pump = new DevicePump(1, fd, offload, context, false);
    const inner = new InnerPacket();
    return (count: number, protocol: number) => {
      for (let index = 0; index < count; index++) {
        memory.arena.bytes.set(packet(protocol), PACKET);
        expect(inner.parse(memory.arena.view, PACKET, PACKET_BYTES)).toBe(true);
        pump.write(PACKET, PACKET_BYTES, inner);
      }
    };
  }

  it('has its datagrams joined, and all of them written when their readers have the processor', () => {
    const write = device('tcp-udp');
    write(127, UDP);
    expect(calls).toEqual(['write']);
    write(1, UDP);
    expect(calls).toEqual(['write', 'write', 'schedYield']);
    write(127, UDP);
    expect(calls.filter((name) => name === 'schedYield')).toHaveLength(1);
  });

  it('without offload gives the processor away as well', () => {
    const write = device('none');
    write(127, UDP);
    expect(calls).toEqual(Array(127).fill('write'));
    write(1, UDP);
    expect(calls.slice(-2)).toEqual(['write', 'schedYield']);
  });

  it('keeps it for TCP', () => {
    device('none')(1000, TCP);
    expect(calls).not.toContain('schedYield');
  });
});

describe.skipIf(process.platform !== 'linux')('a device that gives super-packets', () => {
  const HEADERS = 40;
  const MSS = 5000;
  const cleanUps: (() => void)[] = [];
  afterEach(() => {
    for (const cleanUp of cleanUps.splice(0)) cleanUp();
  });

  /** A super-packet of TCP whose payload tells of every word where it stood in the stream. */
  function superPacket(sequence: number, segments: number): Uint8Array {
    const bytes = new Uint8Array(VIRTIO_HEADER_BYTES + HEADERS + segments * MSS);
    const view = new DataView(bytes.buffer);
    const at = VIRTIO_HEADER_BYTES;
    writeSuperHeader(view, 0, GsoType.tcp4, MSS, HEADERS, 20, 16);
    view.setUint32(at, 0x45000000 | (bytes.length - at));
    view.setUint32(at + 8, 0x40060000);
    view.setUint32(at + 12, 0x0a080001);
    view.setUint32(at + 16, 0x0a080002);
    view.setUint32(at + 24, sequence);
    view.setUint16(at + 32, 0x5010);
    for (let word = 0; word < segments * MSS; word += 4) view.setUint32(at + HEADERS + word, sequence + word);
    return bytes;
  }

  it('has what is left over of one go out with the next, every byte as it was', () => {
    const links = createLinkPort();
    const far = links.open(linkRequest({ local: loopback(0) }));
    const near = links.open(linkRequest({ remote: loopback(far.local.port) }));
    const [device, program] = packetPair();
    cleanUps.push(
      () => links.close(far.fd),
      () => links.close(near.fd),
      () => libc.close(device),
      () => libc.close(program),
    );
    const memory = createPacketMemory(4096);
    const counters = new Float64Array(64);
    const outbox = new Outbox(memory);
    const sender = new UdpSender({
      ...{ fd: near.fd, memory, counters, connected: true, remote: nativeBytes(64), remoteLength: 0, localEnds: false },
      handleDrop: (cause) => expect.unreachable(cause),
      handleError: (number) => expect.unreachable(`error ${number}`),
      reconnect: () => false,
      handleFallback: () => {},
    });
    const core = {
      report: () => {},
      countDrop: (cause: string) => expect.unreachable(cause),
      deviceRestMs: () => 0,
      handleDevicePacket: (_id: number, offset: number, length: number) => {
        if (sender.isEmpty) outbox.add(sender);
        sender.hold(0, outbox.keep(offset, length), length);
      },
    } as unknown as PlaneCore;
    const more = { polls: new PollSet(), pauseMs: 2, nowMs: () => 0, takeCalls: () => {}, tellPath: () => {} };
    const pump = new DevicePump(1, device, 'tcp-udp', { core, memory, outbox, counters, ...more }, true);
    const received = createPacketMemory(4096);
    const receiver = new UdpReceiver(far.fd, received);

    // 13 of these segments are one more than a message takes.
    const counts = [13, 13, 3];
    let sequence = 0;
    for (const count of counts) {
      expect(writePacket(program, superPacket(sequence, count))).toBe(true);
      sequence += count * MSS;
    }
    pump.handleReady(POLLIN);

    const messages: number[] = [];
    let next = 0;
    const { view } = received.arena;
    for (let slots = receiver.read(); slots > 0; slots = receiver.read()) {
      for (let slot = 0; slot < slots; slot++) {
        messages.push(receiver.lengthOf(slot) / (HEADERS + MSS));
        const start = receiver.slotAt(slot);
        for (let at = start; at < start + receiver.lengthOf(slot); at += HEADERS + MSS) {
          expect(view.getUint32(at + 24)).toBe(next);
          for (let word = 0; word < MSS; word += 4) {
            if (view.getUint32(at + HEADERS + word) !== next + word) expect.unreachable(`byte ${next + word}`);
          }
          next += MSS;
        }
      }
    }
    expect(next).toBe(sequence);
    expect(messages).toEqual([12, 12, 5]);
  });
});

import { afterEach, expect, it } from 'vitest';
import type { PlaneEvent } from '../../src/data/plane.ts';
import type { PlaneCore } from '../../src/data/plane-core.ts';
import { libc, nativeBytes } from '../../src/linux/libc.ts';
import type { PumpContext } from '../../src/linux/link-io.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { Outbox } from '../../src/linux/outbox.ts';
import { createPacketMemory } from '../../src/linux/packet-memory.ts';
import { POLLERR, POLLIN, PollSet } from '../../src/linux/poll-set.ts';
import { UdpLink } from '../../src/linux/udp-link.ts';
import { linkRequest, loopback } from './plane-rig.ts';

const links = createLinkPort();
const cleanUps: (() => unknown)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

function open(more: Parameters<typeof linkRequest>[0]) {
  const socket = links.open(linkRequest(more));
  cleanUps.push(() => links.close(socket.fd));
  return socket;
}

/** What poll(2) says of the fd now. */
function eventsOf(fd: number): number {
  const { address, view } = nativeBytes(8);
  view.setInt32(0, fd, true);
  view.setUint32(4, POLLIN, true);
  libc.poll(address, 1, 0);
  return view.getUint16(6, true);
}

it('an error that a read meets is told once, with what the error queue knows of it, and leaves nothing there', () => {
  const closed = links.open(linkRequest({ local: loopback(0) }));
  links.close(closed.fd);
  const remote = loopback(closed.local.port);
  const { fd } = open({ remote });
  const memory = createPacketMemory(4096);
  const told: PlaneEvent[] = [];
  const context: PumpContext = {
    core: { report: (event: PlaneEvent) => void told.push(event), countDrop: () => {} } as unknown as PlaneCore,
    memory,
    polls: new PollSet(),
    outbox: new Outbox(memory),
    counters: new Float64Array(64),
    pauseMs: 2,
    nowMs: () => 0,
    takeCalls: () => {},
    tellPath: () => {},
  };
  const endpoint = { kind: 'fd', fd } as const;
  const options = {
    endpoint,
    framing: 'udp',
    connecting: false,
    connected: true,
    remote,
    readAhead: undefined,
  } as const;
  const link = new UdpLink(1, fd, options, context, 'both');
  const { address } = nativeBytes(64);
  libc.send(fd, address, 9, 0); // refused within the call, over loopback
  expect(eventsOf(fd) & POLLERR).toBe(POLLERR);
  // As where the error came after poll(2) had said that there is something to read.
  link.handleReady(POLLIN);
  expect(told).toMatchObject([{ type: 'link-error', code: 'ECONNREFUSED' }]);
  expect(eventsOf(fd)).toBe(0);
});

import { describe, expect, it } from 'vitest';
import type { DeviceOptions, LinkOptions } from '../../src/data/plane.ts';
import { WorkerPlaces } from '../../src/linux/worker-places.ts';
import { loopback } from './plane-rig.ts';

const [DEVICE, LINK] = [1, 2];
const link = (more: Partial<LinkOptions> = {}): LinkOptions => ({
  endpoint: { kind: 'fd', fd: 7 },
  framing: 'udp',
  connecting: false,
  remote: undefined,
  connected: false,
  readAhead: undefined,
  ...more,
});
const device = (queues: readonly number[] = [], layer: DeviceOptions['layer'] = 'tun') =>
  ({ endpoint: { kind: 'fd', fd: 3, queues }, layer }) as const;
const FD = { kind: 'fd', fd: 7 } as const;

describe('the places of workers', () => {
  it("a client's packets are one worker's until another one opens", () => {
    const places = new WorkerPlaces(3);
    expect(places.addDevice(DEVICE, device())).toEqual([
      { fd: 3, reads: true },
      { fd: 3, reads: false },
      { fd: 3, reads: false },
    ]);
    const parts = places.addLink(LINK, link({ remote: loopback(9) }), FD);
    expect(parts.map(({ part }) => part)).toEqual(['both-for-now', 'none-yet', 'none']);
    const owners = () => places.ownersOf({ device: DEVICE, link: LINK, receivePeerId: undefined });
    expect(owners()).toEqual({ opens: 0, seals: 0 });
    expect(places.keyHolders(owners(), LINK)).toEqual([1, 0]);
    expect(places.controlWorker(LINK)).toBe(0);
    expect(places.words()).toEqual(['two workers: the second one helps when the first has no time left']);
    expect(places.divisible()).toEqual([LINK]);

    expect(places.divide(LINK)).toEqual({ gives: 0, takes: 1 });
    expect(owners()).toEqual({ opens: 1, seals: 0 });
    expect(places.keyHolders(owners(), LINK)).toEqual([1, 0]);
    expect(places.controlWorker(LINK)).toBe(0);
    expect(places.divisible()).toEqual([]);
    expect(places.words()).toEqual(['two workers: the second one helps when the first has no time left']);
    expect(places.handleGiven(LINK)).toBe(1);
    expect(owners()).toEqual({ opens: 1, seals: 0 });
    expect(places.divisible()).toEqual([]);
    expect(places.words()).toEqual(['two workers: one seals, one opens']);
    places.removeLink(LINK);
    expect(places.handleGiven(LINK)).toBeUndefined();
  });

  it('a link with a socket for each gives a peer-id to the worker that the kernel gives it to', () => {
    const places = new WorkerPlaces(3);
    expect(places.addDevice(DEVICE, device([4, 5]))).toEqual([3, 4, 5].map((fd) => ({ fd, reads: true })));
    const parts = places.addLink(LINK, link(), { ...FD, siblings: [8, 9] });
    expect(parts).toEqual([7, 8, 9].map((fd) => ({ fd, part: 'both' })));
    for (const [receivePeerId, worker] of [
      [0, 0],
      [1, 1],
      [5, 2],
      [0xfffffe, 2],
      [undefined, 0],
    ] as const) {
      const owners = places.ownersOf({ device: DEVICE, link: LINK, receivePeerId });
      expect(owners, `peer-id ${receivePeerId}`).toEqual({ opens: worker, seals: worker });
    }
    expect(places.words()).toEqual(['3 workers']);
  });

  it.each([
    ['a socket alone that serves many', link()],
    ['a stream', link({ framing: 'tcp', remote: loopback(9) })],
  ])("%s is the first one's", (_, options) => {
    const places = new WorkerPlaces(2);
    places.addDevice(DEVICE, device());
    expect(places.addLink(LINK, options, FD).map(({ part }) => part)).toEqual(['both', 'none']);
    const owners = places.ownersOf({ device: DEVICE, link: LINK, receivePeerId: 5 });
    expect(owners).toEqual({ opens: 0, seals: 0 });
    expect(places.keyHolders(owners, LINK)).toEqual([0]);
    expect(places.divisible()).toEqual([]);
    expect(places.words()).toEqual(['one worker']);
  });

  it('streams go to one after the other where each has a queue of the device', () => {
    const places = new WorkerPlaces(2);
    places.addDevice(DEVICE, device([4]));
    const workers = [10, 11, 12].map((id) => {
      places.addLink(id, link({ framing: 'tcp', remote: loopback(9) }), FD);
      return places.ownersOf({ device: DEVICE, link: id, receivePeerId: id }).seals;
    });
    expect(workers).toEqual([0, 1, 0]);
    expect(places.controlWorker(11)).toBe(1);
    expect(places.words()).toEqual(['2 workers, one for each stream']);
  });

  it("the peers of a device of frames are the first one's, since it learns who has which address", () => {
    const places = new WorkerPlaces(2);
    places.addDevice(DEVICE, device([], 'tap'));
    places.addLink(LINK, link(), { ...FD, siblings: [8] });
    expect(places.ownersOf({ device: DEVICE, link: LINK, receivePeerId: 5 })).toEqual({ opens: 0, seals: 0 });
  });

  it('a device that one reads for all is said so, and one worker says nothing', () => {
    const places = new WorkerPlaces(2);
    places.addDevice(DEVICE, device());
    places.addLink(LINK, link(), { ...FD, siblings: [8] });
    expect(places.words()).toEqual(['2 workers', 'one of them for the device']);
    expect(new WorkerPlaces(1).words()).toEqual([]);
  });

  it('more sockets or queues than workers are refused', () => {
    expect(() => new WorkerPlaces(1).addLink(LINK, link(), { ...FD, siblings: [8] })).toThrow(
      '2 sockets for 1 workers',
    );
    expect(() => new WorkerPlaces(1).addDevice(DEVICE, device([4]))).toThrow('2 queues for 1 workers');
  });
});

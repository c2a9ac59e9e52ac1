import { beforeEach, describe, expect, it } from 'vitest';
import { IpProtocol } from '../../src/ip/packet.ts';
import { ReadersTurn } from '../../src/linux/readers-turn.ts';

describe('the turn of those who read what comes out of the tunnel', () => {
  let turn: ReadersTurn;
  const turnsAfter = (count: number, protocol: number) =>
    Array.from({ length: count }, () => turn.isAfter(protocol)).filter(Boolean).length;
  beforeEach(() => {
    turn = new ReadersTurn();
  });

  it.each([
    ['datagrams', IpProtocol.udp],
    ['answers to pings', IpProtocol.icmp],
    ['packets of a protocol that nobody knows', 253],
  ])('comes after each 128 %s', (_, protocol) => {
    expect(turnsAfter(127, protocol)).toBe(0);
    expect(turn.isAfter(protocol)).toBe(true);
    expect(turnsAfter(127, protocol)).toBe(0);
    expect(turn.isAfter(protocol)).toBe(true);
  });

  it('never comes for TCP, which waits for its reader', () => {
    expect(turnsAfter(1000, IpProtocol.tcp)).toBe(0);
  });

  it('is not put off, and not brought nearer, by TCP between the datagrams', () => {
    expect(turnsAfter(127, IpProtocol.udp)).toBe(0);
    expect(turnsAfter(500, IpProtocol.tcp)).toBe(0);
    expect(turn.isAfter(IpProtocol.udp)).toBe(true);
  });
});

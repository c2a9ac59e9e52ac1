import { describe, expect, it } from 'vitest';
import { FrameSwitch } from '../../src/data/frame-switch.ts';
import { MacTable, macBytes, readMac } from '../../src/data/mac-table.ts';

/** An address at an offset that is no multiple of anything, as in packet memory. */
function at(mac: number): { view: DataView; offset: number } {
  const bytes = new Uint8Array(16);
  bytes.set(macBytes(mac), 3);
  return { view: new DataView(bytes.buffer), offset: 3 };
}

const ownerOf = (table: MacTable, mac: number, nowMs = 0): number => {
  const { view, offset } = at(mac);
  return table.owner(view, offset, nowMs);
};

describe('a table of Ethernet addresses', () => {
  it.each([0, 1, 0x0200_0000_0a01, 0xffff_ffff_ffff, 0x8000_8000_0000])('reads back %d', (mac) => {
    const { view, offset } = at(mac);
    expect(readMac(view, offset)).toBe(mac);
  });

  it('finds every address among thousands, also when others were forgotten between', () => {
    const table = new MacTable();
    const macs = Array.from({ length: 3000 }, (_, index) => 0x0200_0000_0000 + index * 0x1_0001);
    for (const [index, mac] of macs.entries()) table.learn(mac, 1 + (index % 7), 0);
    table.forgetOwner(3);
    table.forgetOwner(5);
    for (const [index, mac] of macs.entries()) {
      const owner = 1 + (index % 7);
      expect(ownerOf(table, mac)).toBe(owner === 3 || owner === 5 ? 0 : owner);
    }
    expect(ownerOf(table, 0x0200_0000_0001)).toBe(0);
  });

  it('gives an address to whoever learns it last, and forgets it with that one', () => {
    const table = new MacTable();
    table.learn(7, 1, 0);
    table.learn(7, 2, 0);
    expect(table.count).toBe(1);
    table.forgetOwner(1);
    expect(ownerOf(table, 7)).toBe(2);
    table.forgetOwner(2);
    expect([ownerOf(table, 7), table.count]).toEqual([0, 0]);
  });

  it('forgets what was not used for so long, and nothing else', () => {
    const table = new MacTable();
    table.learn(7, 1, 0);
    table.learn(8, 1, 0);
    table.learn(9, 2, 500);
    expect(ownerOf(table, 8, 900)).toBe(1);
    expect(table.forgetIdle(1000, 999)).toEqual([]);
    expect(table.forgetIdle(1000, 1000)).toEqual([7]);
    expect([7, 8, 9].map((mac) => ownerOf(table, mac, 1000))).toEqual([0, 1, 2]);
  });
});

describe('questions about addresses', () => {
  const ask = (frames: FrameSwitch, peer: number, mac: number, nowMs: number) => {
    const { view, offset } = at(mac);
    return frames.ask(peer, view, offset, nowMs);
  };
  const MAC = 0x0200_0000_0001;

  it('are asked once, and again some seconds after a refusal', () => {
    const frames = new FrameSwitch();
    const first = ask(frames, 1, MAC, 0);
    expect(ask(frames, 1, MAC, 1)).toBe(first);
    frames.answer(1, MAC, false, 100);
    expect(ask(frames, 1, MAC, 10_099)).toBeUndefined();
    expect(ask(frames, 1, MAC, 10_100)).toMatchObject({ mac: MAC, state: 'new' });
  });

  it('of one peer take no room from another', () => {
    const frames = new FrameSwitch();
    for (let host = 0; host < 16; host++) expect(ask(frames, 1, MAC + host, 0)).toBeDefined();
    expect(ask(frames, 1, MAC + 16, 0)).toBeUndefined();
    expect(ask(frames, 2, MAC + 16, 0)).toBeDefined();
    frames.answer(1, MAC, true, 0);
    expect(ask(frames, 1, MAC + 16, 0)).toBeDefined();
  });

  it('are forgotten with their peer', () => {
    const frames = new FrameSwitch();
    ask(frames, 1, MAC, 0);
    frames.answer(1, MAC, true, 0);
    frames.leave(1);
    expect(frames.macs.count).toBe(0);
    expect(ask(frames, 1, MAC, 0)).toMatchObject({ state: 'new' });
  });

  it('may be answered without having been asked: another thread asked', () => {
    const frames = new FrameSwitch();
    expect(frames.answer(1, MAC, true, 0)).toBeUndefined();
    expect(ownerOf(frames.macs, MAC)).toBe(1);
  });
});

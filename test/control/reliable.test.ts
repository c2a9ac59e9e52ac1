import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RECEIVE_WINDOW, ReliableReceive } from '../../src/control/reliable-receive.ts';
import { ReliableSend, SEND_WINDOW } from '../../src/control/reliable-send.ts';
import { Opcode } from '../../src/wire/opcode.ts';

const payload = (byte: number) => Uint8Array.of(byte);

describe('reliable sending', () => {
  it('sends at once, again after the timeout, then after twice and four times as long', () => {
    const send = new ReliableSend(2000);
    send.queue(Opcode.controlV1, payload(1), 0);
    const sentAt: number[] = [];
    for (let now = 0; now <= 40_000; now += 500) if (send.pollDue(now) !== undefined) sentAt.push(now);
    expect(sentAt).toEqual([0, 2000, 6000, 14_000, 22_000, 30_000, 38_000]);
    expect(send.retransmits).toBe(6);
  });

  it('has a window of six, counted from the oldest message that is not acknowledged', () => {
    const send = new ReliableSend(2000);
    for (let i = 0; i < SEND_WINDOW; i++) send.queue(Opcode.controlV1, payload(i), 0);
    expect(send.room).toBe(0);
    expect(() => send.queue(Opcode.controlV1, payload(9), 0)).toThrow(RangeError);
    while (send.pollDue(0) !== undefined);
    send.handleAcks([1, 2, 3]);
    expect(send.room).toBe(0);
    send.handleAcks([0]);
    expect(send.room).toBe(4);
  });

  it('repeats a message at once after three later ones were acknowledged', () => {
    const send = new ReliableSend(2000);
    for (let i = 0; i < 5; i++) send.queue(Opcode.controlV1, payload(i), 0);
    while (send.pollDue(0) !== undefined);
    send.handleAcks([1, 2]);
    expect(send.pollDue(100)).toBeUndefined();
    send.handleAcks([3]);
    expect(send.nextDueMs()).toBe(0);
    expect(send.pollDue(100)?.messageId).toBe(0);
    expect(send.pollDue(100)).toBeUndefined();
  });

  it('ignores acknowledgements of what was never sent', () => {
    const send = new ReliableSend(2000);
    send.queue(Opcode.controlV1, payload(0), 0);
    expect(send.handleAcks([0, 5, 0xffffffff])).toBe(false);
    send.pollDue(0);
    expect(send.handleAcks([7, 0])).toBe(true);
    expect(send.empty).toBe(true);
  });
});

describe('reliable receiving', () => {
  it('delivers in order and once, whatever the order and the repetitions', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 11 }), { maxLength: 60 }), (ids) => {
        const receive = new ReliableReceive();
        for (const id of ids) receive.handleMessage(id, Opcode.controlV1, payload(id));
        const got: number[] = [];
        for (let next = receive.pollNext(); next !== undefined; next = receive.pollNext()) got.push(next.messageId);
        const expected: number[] = [];
        while (ids.includes(expected.length)) expected.push(expected.length);
        expect(got).toEqual(expected);
      }),
    );
  });

  it('keeps twelve ids ahead and refuses those beyond, 2^32-1 too', () => {
    const receive = new ReliableReceive();
    expect(receive.handleMessage(RECEIVE_WINDOW - 1, Opcode.controlV1, payload(1))).toBe('accepted');
    expect(receive.handleMessage(RECEIVE_WINDOW, Opcode.controlV1, payload(1))).toBe('out-of-window');
    expect(receive.handleMessage(0xffffffff, Opcode.controlV1, payload(1))).toBe('out-of-window');
    expect(receive.takeAcks(8)).toEqual([RECEIVE_WINDOW - 1]);
  });

  it('acknowledges a repetition again without delivering it', () => {
    const receive = new ReliableReceive();
    receive.handleMessage(0, Opcode.controlV1, payload(1));
    receive.pollNext();
    receive.takeAcks(8);
    expect(receive.hasPendingAcks).toBe(false);
    expect(receive.handleMessage(0, Opcode.controlV1, payload(1))).toBe('replay');
    expect(receive.hasPendingAcks).toBe(true);
    expect(receive.pollNext()).toBeUndefined();
  });

  it('fills a list with recent acknowledgements, the newest first', () => {
    const receive = new ReliableReceive();
    for (const id of [0, 1, 2]) {
      receive.handleMessage(id, Opcode.controlV1, payload(id));
      receive.takeAcks(4);
    }
    receive.handleMessage(3, Opcode.controlV1, payload(3));
    expect(receive.takeAcks(3)).toEqual([3, 2, 1]);
    expect(receive.hasPendingAcks).toBe(false);
  });

  it('keeps a copy of what it stores', () => {
    const receive = new ReliableReceive();
    const bytes = payload(7);
    receive.handleMessage(0, Opcode.controlV1, bytes);
    bytes.fill(0);
    expect(receive.pollNext()?.payload).toEqual(payload(7));
  });
});

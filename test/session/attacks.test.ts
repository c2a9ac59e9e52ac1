import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_KEEPALIVE, SessionPair } from '../lab/session-pair.ts';

const KEY = { kind: 'tls-auth', staticKey: new Uint8Array(256).fill(7), digest: 'SHA256' } as const;
const WRAPS = {
  none: {},
  'tls-auth': { clientWrap: { ...KEY, direction: 1 }, serverWrap: { ...KEY, direction: 0 } },
} as const;

describe.each(Object.keys(WRAPS) as (keyof typeof WRAPS)[])('a session under attack, wrapped by %s', (wrap) => {
  it('takes no packet cut at any byte, during the handshake and after it', () => {
    const pair = new SessionPair(WRAPS[wrap]);
    pair.connect();
    const sent = pair.wire.sent.map(({ to, bytes }) => ({ name: to.name, bytes }));
    const victim = new SessionPair({ ...WRAPS[wrap], seed: 1 });
    for (const { name, bytes } of sent) {
      const end = name === 'client' ? victim.client : victim.server;
      for (let length = 0; length < Math.min(bytes.length, 60); length++) {
        end.session.handleControl(bytes.subarray(0, length), victim.now);
      }
    }
    expect(victim.connect()).toBe(true);
  });

  it('survives random bytes in any state, and still connects and renegotiates', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 2100 }), { maxLength: 30 }), (packets) => {
        const pair = new SessionPair(WRAPS[wrap]);
        const shoot = () => {
          for (const end of pair.ends) for (const bytes of packets) end.session.handleControl(bytes, pair.now);
        };
        shoot();
        expect(pair.connect()).toBe(true);
        shoot();
        pair.client.session.renegotiate(pair.now);
        expect(pair.run(() => pair.client.session.counters().renegotiations === 1, 10_000)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it('drops every opcode that no peer sends, with every key-id', () => {
    const pair = new SessionPair(WRAPS[wrap]);
    pair.connect();
    const sid = pair.wire.sent.find((each) => each.to === pair.client)?.bytes.slice(1, 9) as Uint8Array;
    const before = pair.wire.sent.length;
    for (const opcode of [0, 1, 2, 6, 9, ...Array.from({ length: 20 }, (_, i) => i + 12)]) {
      for (let keyId = 0; keyId < 8; keyId++) {
        pair.client.session.handleControl(Uint8Array.of((opcode << 3) | keyId, ...sid, 0, 0, 0, 0, 1), pair.now);
      }
    }
    pair.settle();
    expect(pair.client.session.counters().drops['bad-opcode']).toBe(25 * 8);
    expect(pair.wire.sent.length).toBe(before);
  });
});

describe('forged packets without wrapping', () => {
  const reset = (sid: number, acks: readonly number[] = [], remote: readonly number[] = []) =>
    Uint8Array.of(
      0x40,
      ...Array(8).fill(sid),
      acks.length,
      ...acks.flatMap((id) => [0, 0, 0, id]),
      ...remote,
      0,
      0,
      0,
      0,
    );

  it('a reset in the server’s name has no effect before the server answers, nor after', () => {
    const pair = new SessionPair();
    pair.client.session.handleControl(reset(9), pair.now);
    pair.client.session.handleControl(reset(9, [0], Array(8).fill(1)), pair.now);
    expect(pair.client.session.counters().drops).toMatchObject({ 'unproven-reset': 1, 'bad-ack-session': 1 });
    expect(pair.connect()).toBe(true);
    pair.client.session.handleControl(reset(9), pair.now);
    pair.runFor(1000);
    expect(pair.client.session.state.name).toBe('up');
    expect(pair.client.session.counters().drops['foreign-session']).toBe(1);
  });

  it('acknowledgements of nine ids and more, of other sessions and of nothing are dropped', () => {
    const pair = new SessionPair();
    pair.connect();
    const sid = [...(pair.wire.sent.find((each) => each.to === pair.client)?.bytes.slice(1, 9) ?? [])];
    for (let count = 9; count <= 255; count++) {
      pair.client.session.handleControl(Uint8Array.of(0x28, ...sid, count, ...Array(4 * count + 8).fill(0)), pair.now);
    }
    pair.client.session.handleControl(Uint8Array.of(0x28, ...sid, 0), pair.now);
    pair.client.session.handleControl(Uint8Array.of(0x28, ...sid, 1, 0, 0, 0, 0, ...Array(8).fill(5)), pair.now);
    expect(pair.client.session.counters().drops).toMatchObject({ malformed: 248, 'bad-ack-session': 1 });
  });

  it('message ids far ahead do not move the window, and a packet larger than the buffer is dropped', () => {
    const pair = new SessionPair();
    pair.connect();
    const sid = [...(pair.wire.sent.find((each) => each.to === pair.client)?.bytes.slice(1, 9) ?? [])];
    for (const id of [
      [0xff, 0xff, 0xff, 0xff],
      [0, 1, 0, 0],
    ]) {
      pair.client.session.handleControl(Uint8Array.of(0x20, ...sid, 0, ...id, 1, 2, 3), pair.now);
    }
    pair.client.session.handleControl(Uint8Array.of(0x20, ...sid, 0, 0, 0, 0, 9, ...Array(4000).fill(1)), pair.now);
    expect(pair.client.session.counters().drops).toMatchObject({ 'out-of-window': 2, 'too-big': 1 });
    pair.client.session.sendText('CR_RESPONSE,x', pair.now);
    expect(pair.run(() => pair.server.events.some((event) => event.type === 'info'), 10_000)).toBe(true);
  });

  it('a flood of bad packets writes one line a second', () => {
    const pair = new SessionPair();
    pair.connect();
    const before = pair.client.log.length;
    for (let i = 0; i < 1000; i++) pair.client.session.handleControl(Uint8Array.of(0xff), pair.now);
    expect(pair.client.log.length - before).toBe(1);
  });
});

describe('text from a server', () => {
  it('with control characters reaches neither log nor events', () => {
    const pair = new SessionPair({
      pushOptions: ['ifconfig 10.8.0.2 255.255.255.0'],
      client: { keepalive: NO_KEEPALIVE },
    });
    pair.connect();
    pair.server.session.sendText('INFO,red\u001b[31m', pair.now);
    pair.server.session.sendText('INFO,line\nbreak', pair.now);
    pair.server.session.sendText('INFO,fine', pair.now);
    pair.runFor(1000);
    expect(pair.client.events.filter((event) => event.type === 'info')).toEqual([
      { type: 'info', kind: 'info', text: 'fine' },
    ]);
    expect(pair.client.session.counters().drops['bad-text']).toBe(2);
    expect(pair.client.log.join('')).not.toMatch(/[\x00-\x1f]/);
  });
});

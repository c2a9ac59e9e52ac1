import { describe, expect, it } from 'vitest';
import type { SessionEvent } from '../../src/session/event.ts';
import { Opcode } from '../../src/wire/opcode.ts';
import { NOISY, QUIET } from '../lab/noisy-wire.ts';
import { type End, SessionPair } from '../lab/session-pair.ts';

const KEY = { kind: 'tls-crypt', staticKey: new Uint8Array(256).map((_, index) => index) } as const;
const WRAPPED = { clientWrap: KEY, serverWrap: KEY } as const;
const renegotiations = (end: End) => end.session.counters().renegotiations;
const both = (pair: SessionPair, count: number) => () => pair.ends.every((end) => renegotiations(end) >= count);

const admit = (end: End, event: SessionEvent, now: SessionPair['now']): boolean => {
  if (event.type === 'authenticate') end.session.admit(event.keyId, 'client', now);
  return event.type === 'authenticate';
};

describe('renegotiation', () => {
  it.each(['client', 'server'] as const)('begun by the %s gives both sides a new key and loses no packet', (side) => {
    const pair = new SessionPair({ dataEveryMs: 10 });
    expect(pair.connect()).toBe(true);
    for (let round = 1; round <= 9; round++) {
      pair[side].session.renegotiate(pair.now);
      expect(pair.run(both(pair, round), 10_000), `round ${round}`).toBe(true);
      pair.runFor(100);
    }
    expect(pair.dataArrived).toBeGreaterThan(100);
    expect(pair.dataLost).toBe(0);
    const keyIds = pair.client.events.flatMap((event) => (event.type === 'data-key' ? [event.keyId] : []));
    expect(keyIds).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 1, 2]);
    expect(Math.max(pair.client.ring.most, pair.server.ring.most)).toBeLessThanOrEqual(3);
  });

  it.each(['client', 'server'] as const)(
    'begun by the %s loses no packet where data is faster than control packets: a server waits for its client',
    (side) => {
      const noise = { ...QUIET, delayMs: 200 };
      const pair = new SessionPair({ noise, dataEveryMs: 10, server: { judged: true }, onEvent: admit });
      expect(pair.connect()).toBe(true);
      pair[side].session.renegotiate(pair.now);
      expect(pair.run(both(pair, 1), 10_000)).toBe(true);
      pair.runFor(1000);
      expect(pair.ends.map((end) => end.ring.sendingKeyId)).toEqual([1, 1]);
      expect(pair.dataLost).toBe(0);
    },
  );

  it('begun by both at once is one renegotiation', () => {
    const pair = new SessionPair({ dataEveryMs: 10 });
    pair.connect();
    for (const end of pair.ends) end.session.renegotiate(pair.now);
    expect(pair.run(both(pair, 1), 10_000)).toBe(true);
    pair.runFor(5000);
    expect(pair.ends.map(renegotiations)).toEqual([1, 1]);
    expect(pair.dataLost).toBe(0);
  });

  it('happens by time on both sides, again and again, and sending moves on late', () => {
    const times = { renegotiateMs: 20_000, handWindowMs: 60_000 };
    const pair = new SessionPair({ client: times, server: times, dataEveryMs: 50 });
    pair.connect();
    expect(pair.run(both(pair, 1), 30_000)).toBe(true);
    expect(pair.client.ring.sendingKeyId).toBe(0);
    pair.runFor(9000);
    expect(pair.client.ring.sendingKeyId).toBe(0);
    pair.runFor(1500);
    expect(pair.client.ring.sendingKeyId).toBe(1);
    expect(pair.run(both(pair, 10), 300_000)).toBe(true);
    expect(pair.dataLost).toBe(0);
  });

  it('soon after the connection moves sending on at once, because no key is old enough to be waited with', () => {
    const pair = new SessionPair({ dataEveryMs: 10 });
    pair.connect();
    pair.client.session.renegotiate(pair.now);
    expect(pair.run(both(pair, 1), 10_000)).toBe(true);
    pair.runFor(100);
    expect(pair.ends.map((end) => end.ring.sendingKeyId)).toEqual([1, 1]);
    expect(pair.dataLost).toBe(0);
  });

  it('lets a server send with the new key only once the client has acknowledged the exchange: before that it has none', () => {
    const pair = new SessionPair();
    pair.connect();
    pair.client.session.renegotiate(pair.now);
    expect(pair.run(() => renegotiations(pair.server) === 1, 10_000)).toBe(true);
    expect([renegotiations(pair.client), pair.server.ring.sendingKeyId]).toEqual([0, 0]);
    expect(pair.run(() => renegotiations(pair.client) === 1, 10_000)).toBe(true);
    expect(pair.run(() => pair.server.ring.sendingKeyId === 1, 1000)).toBe(true);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('survives a noisy wire without losing what the wire delivers (seed %i)', (seed) => {
    const times = { renegotiateMs: 200_000 };
    const pair = new SessionPair({ seed, ...WRAPPED, client: times, server: times, dataEveryMs: 200, noise: NOISY });
    expect(pair.connect()).toBe(true);
    expect(pair.run(both(pair, 5), 2_000_000)).toBe(true);
    expect(pair.ends.map((end) => end.session.state.name)).toEqual(['up', 'up']);
    expect(pair.dataLost).toBe(0);
  });

  it('happens when the plane says that the key is used up, once', () => {
    const pair = new SessionPair();
    pair.connect();
    const handle = pair.client.events.find((event) => event.type === 'data-key')?.handle ?? 0;
    for (let i = 0; i < 3; i++) pair.client.session.handleKeyUsedUp(handle, pair.now);
    expect(pair.run(both(pair, 1), 10_000)).toBe(true);
    pair.client.session.handleKeyUsedUp(handle, pair.now);
    pair.runFor(10_000);
    expect(pair.ends.map(renegotiations)).toEqual([1, 1]);
    // The old key was still used for sending: used up, it gives way at once.
    expect(pair.client.ring.sendingKeyId).toBe(1);
  });

  it('lets the old key die after the transition window', () => {
    const pair = new SessionPair({ client: { tranWindowMs: 100_000 }, server: { tranWindowMs: 100_000 } });
    pair.connect();
    pair.client.session.renegotiate(pair.now);
    pair.run(both(pair, 1), 10_000);
    pair.runFor(99_000);
    expect(pair.client.events.some((event) => event.type === 'drop-key')).toBe(false);
    pair.runFor(2000);
    expect(pair.client.events.some((event) => event.type === 'drop-key')).toBe(true);
    expect(pair.client.log).toContain('TLS: tls_process: killed expiring key');
  });

  it('ends the TLS session of the old key at once: what is kept of it for an hour is its data key', () => {
    const pair = new SessionPair({ dataEveryMs: 10 });
    pair.connect();
    pair.client.session.renegotiate(pair.now);
    pair.run(both(pair, 1), 10_000);
    expect(pair.ends.map((end) => end.tls.open)).toEqual([1, 1]);
    pair.runFor(5000);
    expect(pair.ends.map((end) => end.ring.most)).toEqual([2, 2]);
    expect(pair.dataLost).toBe(0);
  });

  it('verifies the peer again, and ends when the peer is no longer good', () => {
    let verdicts = 0;
    const pair = new SessionPair({
      onEvent: (end, event, now) => {
        if (event.type !== 'verify-peer' || end.name !== 'client' || ++verdicts < 2) return false;
        end.session.acceptPeer({ accept: false, reason: 'tls-verify said no' }, now);
        return true;
      },
    });
    pair.connect();
    pair.client.session.renegotiate(pair.now);
    pair.run(() => pair.client.session.state.name === 'ended', 10_000);
    expect(pair.client.session.state).toMatchObject({
      end: { reason: 'failed', error: { code: 'SALLYPORT_CERTIFICATE' } },
    });
  });

  it('takes a new auth-token, and no secret reaches the log', () => {
    const pair = new SessionPair({ client: { needsCredentials: true }, push: { authToken: 'SESS_ID_one' } });
    pair.client.session.setCredentials({ username: 'alice', password: 'secret' });
    pair.connect();
    const connected = pair.server.events.find((event) => event.type === 'peer-connected');
    expect(connected).toMatchObject({ username: 'alice', password: 'secret' });
    pair.server.session.sendPushReply(['auth-token SESS_ID_two'], pair.now);
    pair.run(() => pair.client.events.some((event) => event.type === 'auth-token'), 10_000);
    expect(pair.client.log.join('\n')).not.toContain('SESS_ID_two');
    expect(pair.client.log.join('\n')).not.toContain('secret');
  });

  it('holds texts back while a key is negotiated and sends them afterwards', () => {
    const pair = new SessionPair();
    pair.connect();
    pair.client.session.renegotiate(pair.now);
    pair.client.session.sendText('CR_RESPONSE,abc', pair.now);
    expect(pair.client.log.join('\n')).not.toContain('CR_RESPONSE');
    expect(pair.run(() => pair.server.events.some((event) => event.type === 'info'), 10_000)).toBe(true);
    expect(pair.server.events.find((event) => event.type === 'info')).toMatchObject({
      kind: 'cr-response',
      text: 'abc',
    });
  });

  it('that gets no answer ends the session after the hand-window and says so', () => {
    const pair = new SessionPair();
    pair.connect();
    pair.wire.setNoise({ ...QUIET, lose: 1 });
    pair.client.session.renegotiate(pair.now);
    pair.runFor(61_000);
    expect(pair.client.session.state).toMatchObject({ name: 'ended', end: { reason: 'failed' } });
  });
});

describe('soft resets that nobody may send', () => {
  const soft = (pair: SessionPair, keyId: number, messageId = 0) => {
    const server = pair.wire.sent.find((each) => each.to === pair.client)?.bytes.slice(1, 9) as Uint8Array;
    return Uint8Array.of((Opcode.softResetV1 << 3) | keyId, ...server, 0, 0, 0, 0, messageId);
  };

  it('have no effect before the first key is established', () => {
    const pair = new SessionPair({
      client: { pull: false },
      onEvent: (_end, event) => event.type === 'peer-connected',
    });
    pair.run(() => pair.client.session.state.name === 'waiting-for-push', 10_000);
    for (let keyId = 0; keyId < 8; keyId++) pair.client.session.handleControl(soft(pair, keyId), pair.now);
    expect(pair.client.session.counters().drops['soft-reset-refused']).toBe(7);
    expect(pair.client.tls.created).toBe(1);
  });

  it('have no effect with any key-id but the next, however many come', () => {
    const pair = new SessionPair();
    pair.connect();
    for (let round = 0; round < 100; round++) {
      for (const keyId of [2, 3, 4, 5, 6, 7]) pair.client.session.handleControl(soft(pair, keyId), pair.now);
    }
    expect(pair.client.session.counters().drops['soft-reset-refused']).toBe(600);
    pair.client.session.renegotiate(pair.now);
    expect(pair.run(both(pair, 1), 10_000)).toBe(true);
  });

  it('cost nothing but a key state when forged and never gone on with', () => {
    const pair = new SessionPair({ dataEveryMs: 100 });
    pair.connect();
    for (let i = 0; i < 100; i++) pair.client.session.handleControl(soft(pair, 1), pair.now);
    // The real server does answer our soft reset; here it is deaf, as one that never sent anything would be.
    pair.wire.setNoise({ ...QUIET, lose: 1 });
    pair.runFor(61_000);
    expect(pair.client.session.state.name).toBe('up');
    expect(pair.client.session.counters().abandonedRenegotiations).toBe(1);
    expect(pair.dataLost).toBe(0);
  });
});

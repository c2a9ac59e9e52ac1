// A session in the role of a server for many: where the stateless handshake ended, and under the driver's judgement.

import { describe, expect, it } from 'vitest';
import type { SessionEvent } from '../../src/session/event.ts';
import { createSession, type Session } from '../../src/session/session.ts';
import { parseControlPacket, writeControlBody, writeControlHeader } from '../../src/wire/control-packet.ts';
import { Opcode } from '../../src/wire/opcode.ts';
import { concatBytes } from '../../src/wire/writer.ts';
import { DeterministicTls } from '../lab/deterministic-tls.ts';
import { type End, SessionPair, seededCrypto, sessionOptions } from '../lab/session-pair.ts';

type Authenticate = Extract<SessionEvent, { type: 'authenticate' }>;

const isAuthenticate = (event: SessionEvent): event is Authenticate => event.type === 'authenticate';
const asked = (end: End): Authenticate[] => end.events.filter(isAuthenticate);
const ended = (end: End) => {
  const { state } = end.session;
  return state.name === 'ended' ? state.end : undefined;
};

/** Lets everybody in under the name that their certificate states. */
const admitting = (end: End, event: SessionEvent, now: SessionPair['now']): boolean => {
  if (event.type !== 'authenticate') return false;
  end.session.admit(event.keyId, 'somebody', now);
  return true;
};

const EXPIRED = { trusted: false, code: 'CERT_HAS_EXPIRED', text: 'certificate has expired', depth: 0 } as const;

/** Leaves a server's client waiting. */
const holding = (end: End, event: SessionEvent): boolean =>
  end.name === 'server' && end.session.state.name === 'handshaking' && event.type !== 'verify-peer';

describe('a judged session', () => {
  it('tells the driver who is there and comes up once the driver admits it', () => {
    const pair = new SessionPair({ server: { judged: true }, onEvent: admitting });
    pair.client.session.setCredentials({ username: 'ann', password: 'secret' });
    expect(pair.connect()).toBe(true);
    expect(asked(pair.server)).toMatchObject([
      { keyId: 0, first: true, refusal: undefined, username: 'ann', password: 'secret' },
    ]);
    expect(asked(pair.server)[0]?.peerInfo.get('IV_VER')).toBe('2.6.14');
    expect(pair.server.log.join('\n')).toContain('[somebody] Peer Connection Initiated with [AF_INET]192.0.2.1:40000');
  });

  it('gives no keys, no options and no answer to a push request before it is admitted', () => {
    const pair = new SessionPair({ server: { judged: true }, onEvent: holding });
    expect(pair.run(() => asked(pair.server).length > 0)).toBe(true);
    pair.runFor(20_000);
    expect(pair.server.session.state.name).toBe('handshaking');
    const types = new Set(pair.server.events.map((event) => event.type));
    expect([...types]).toEqual(['peer-answered', 'verify-peer', 'authenticate', 'push-request']);
    pair.server.session.admit(0, 'ann', pair.now);
    expect(pair.connect()).toBe(true);
  });

  it('waits for the driver beyond the hand-window, but for nobody else', () => {
    const pair = new SessionPair({
      server: { judged: true, handWindowMs: 10_000 },
      onEvent: holding,
    });
    expect(pair.run(() => asked(pair.server).length > 0)).toBe(true);
    pair.runFor(30_000);
    expect(pair.server.session.state.name).toBe('handshaking');

    const stalled = new SessionPair({
      server: { judged: true, handWindowMs: 10_000 },
      onEvent: (end, event) => end.name === 'client' && event.type === 'verify-peer',
    });
    expect(stalled.run(() => stalled.server.session.state.name === 'ended', 11_000)).toBe(true);
  });

  it('asks and hears while the driver makes up its mind: a challenge goes out and its answer comes in', () => {
    const pair = new SessionPair({
      server: { judged: true },
      onEvent: (end, event, now) => {
        if (event.type === 'authenticate') end.session.sendText('INFO_PRE,CR_TEXT:R,E:token?', now);
        if (end.name === 'client' && event.type === 'info') end.session.sendText('CR_RESPONSE,MTIz', now);
        return holding(end, event);
      },
    });
    const heard = () => pair.server.events.find((event) => event.type === 'info');
    expect(pair.run(() => heard() !== undefined)).toBe(true);
    expect(heard()).toMatchObject({ kind: 'cr-response', text: 'MTIz' });
  });

  it('says AUTH_FAILED with the reason when it is refused, and nothing else ever', () => {
    const pair = new SessionPair({
      server: { judged: true },
      onEvent: (end, event, now) => {
        if (event.type !== 'authenticate') return false;
        end.session.refuse('go away', now);
        return true;
      },
    });
    expect(pair.run(() => ended(pair.client) !== undefined)).toBe(true);
    expect(ended(pair.client)).toMatchObject({ reason: 'auth-failed', text: 'go away' });
    pair.runFor(1000);
    expect(pair.server.session.drained).toBe(true);
    expect(pair.server.events.some(({ type }) => type === 'peer-connected' || type === 'data-key')).toBe(false);
    pair.server.session.admit(0, 'late', pair.now);
    pair.runFor(1000);
    expect(pair.server.events.some(({ type }) => type === 'peer-connected')).toBe(false);
  });

  it('tells a peer whose certificate does not pass why, on the finished channel', () => {
    const refusing = (end: End, event: SessionEvent, now: SessionPair['now']): boolean => {
      if (event.type !== 'authenticate') return false;
      if (event.refusal === undefined) end.session.admit(event.keyId, 'x', now);
      else end.session.refuse('certificate has expired', now);
      return true;
    };
    const pair = new SessionPair({
      server: { judged: true },
      serverTls: { report: { verdict: EXPIRED } },
      onEvent: refusing,
    });
    expect(pair.run(() => ended(pair.client) !== undefined)).toBe(true);
    expect(ended(pair.client)).toMatchObject({ reason: 'auth-failed', text: 'certificate has expired' });
    expect(pair.server.log.join('\n')).toMatch(/VERIFY ERROR: depth=0, error=certificate has expired/);
    expect(pair.server.log).toContain('TLS Error: TLS handshake failed');
  });

  it('never lets a peer in whose certificate did not pass, not even when the driver admits it', () => {
    const pair = new SessionPair({
      server: { judged: true },
      serverTls: { report: { verdict: EXPIRED } },
      onEvent: admitting,
    });
    expect(pair.run(() => asked(pair.server).length > 0)).toBe(true);
    pair.runFor(30_000);
    expect(asked(pair.server)[0]?.refusal?.code).toBe('SALLYPORT_CERTIFICATE');
    expect(pair.server.events.some(({ type }) => type === 'peer-connected' || type === 'data-key')).toBe(false);
  });

  it('refuses through the same channel when tls-verify says no', () => {
    const pair = new SessionPair({
      server: { judged: true },
      onEvent: (end, event, now) => {
        if (end.name === 'server' && event.type === 'verify-peer') {
          end.session.acceptPeer({ accept: false, reason: 'tls-verify script failed' }, now);
          return true;
        }
        if (event.type !== 'authenticate') return false;
        end.session.refuse(event.refusal?.message, now);
        return true;
      },
    });
    expect(pair.run(() => ended(pair.client) !== undefined)).toBe(true);
    expect(ended(pair.client)).toMatchObject({ reason: 'auth-failed' });
  });

  it('installs the key of a renegotiation only once the driver has admitted it again', () => {
    let hold = false;
    const pair = new SessionPair({
      server: { judged: true },
      dataEveryMs: 100,
      onEvent: (end, event, now) => {
        if (event.type !== 'authenticate' || hold) return event.type === 'authenticate';
        end.session.admit(event.keyId, 'ann', now);
        return true;
      },
    });
    expect(pair.connect()).toBe(true);
    hold = true;
    pair.client.session.renegotiate(pair.now);
    expect(pair.run(() => asked(pair.server).length === 2)).toBe(true);
    pair.runFor(2000);
    const keys = () => pair.server.events.filter(({ type }) => type === 'data-key').length;
    expect(asked(pair.server)[1]).toMatchObject({ keyId: 1, first: false });
    expect(keys()).toBe(1);
    pair.server.session.admit(1, 'ann', pair.now);
    pair.runFor(2000);
    expect(keys()).toBe(2);
    expect(pair.server.session.state.name).toBe('up');
  });

  it('ends a session whose renegotiation is refused', () => {
    const pair = new SessionPair({
      server: { judged: true },
      onEvent: (end, event, now) => {
        if (event.type !== 'authenticate') return false;
        if (event.first) end.session.admit(event.keyId, 'ann', now);
        else end.session.refuse('no longer', now);
        return true;
      },
    });
    expect(pair.connect()).toBe(true);
    pair.server.session.renegotiate(pair.now);
    expect(pair.run(() => ended(pair.client) !== undefined)).toBe(true);
    expect(ended(pair.client)).toMatchObject({ reason: 'auth-failed', text: 'no longer' });
  });
});

describe('a session that goes on where the stateless handshake ended', () => {
  const ownSessionId = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

  /** A client that has sent its reset and was answered without state; `third` is its next packet. */
  function answered() {
    const tls = new DeterministicTls({ name: 'client', seed: 5 });
    const client = createSession(sessionOptions('client'), {
      crypto: seededCrypto(5),
      tls,
      log: () => {},
      wake: () => {},
    });
    const now = { monoMs: 1000, unixSeconds: 1_800_000_000 };
    client.start(now, 'server');
    const reset = client.pollTransmit(now) ?? new Uint8Array(0);
    const packet = parseControlPacket(reset.subarray(0, 9), reset.subarray(9));
    if (packet === undefined) throw new Error('no reset');
    const peerSessionId = packet.sessionId.slice();
    const reply = concatBytes(
      writeControlHeader({ opcode: Opcode.hardResetServerV2, keyId: 0, sessionId: ownSessionId }),
      writeControlBody({ acks: [0], remoteSessionId: peerSessionId, messageId: 0, payload: new Uint8Array(0) }),
    );
    client.handleControl(reply, now);
    return { client, clientTls: tls, reset, peerSessionId, now };
  }

  function pump(a: Session, b: Session, engines: DeterministicTls[], now: { monoMs: number; unixSeconds: number }) {
    const events: SessionEvent[] = [];
    for (let round = 0; round < 200; round++) {
      for (const engine of engines) engine.pump();
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        from.handleWake(now);
        for (let bytes = from.pollTransmit(now); bytes; bytes = from.pollTransmit(now)) to.handleControl(bytes, now);
      }
      for (const end of [a, b]) {
        for (let event = end.pollEvent(); event; event = end.pollEvent()) {
          if (event.type === 'verify-peer') end.acceptPeer({ accept: true }, now);
          if (end === b) events.push(event);
        }
      }
    }
    return events;
  }

  it('sends no reset of its own, takes the third packet and finishes the handshake under the cookie’s session id', () => {
    const { client, clientTls, peerSessionId, now } = answered();
    const tls = new DeterministicTls({ name: 'server', seed: 6 });
    const server = createSession(
      sessionOptions('server', { judged: true, resume: { ownSessionId, peerSessionId, firstSendId: 2 } }),
      {
        crypto: seededCrypto(6),
        tls,
        log: () => {},
        wake: () => {},
      },
    );
    server.start(now, 'client');
    expect(server.pollTransmit(now)).toBeUndefined();
    const events = pump(client, server, [clientTls, tls], now);
    expect(events.map(({ type }) => type)).toContain('authenticate');
  });

  it('hears nobody but the session that the cookie was made for', () => {
    const { client, now } = answered();
    const tls = new DeterministicTls({ name: 'server', seed: 7 });
    const server = createSession(
      sessionOptions('server', {
        judged: true,
        resume: { ownSessionId, peerSessionId: new Uint8Array(8).fill(9), firstSendId: 2 },
      }),
      { crypto: seededCrypto(7), tls, log: () => {}, wake: () => {} },
    );
    server.start(now, 'client');
    const third = client.pollTransmit(now) ?? new Uint8Array(0);
    server.handleControl(third, now);
    expect(server.counters().drops['foreign-session']).toBe(1);
    expect(server.pollTransmit(now)).toBeUndefined();
  });

  it('acknowledges a repeated reset of its peer and is not disturbed by it', () => {
    const { client, clientTls, reset, peerSessionId, now } = answered();
    const tls = new DeterministicTls({ name: 'server', seed: 8 });
    const server = createSession(
      sessionOptions('server', { judged: true, resume: { ownSessionId, peerSessionId, firstSendId: 2 } }),
      {
        crypto: seededCrypto(8),
        tls,
        log: () => {},
        wake: () => {},
      },
    );
    server.start(now, 'client');
    server.handleControl(reset, now);
    expect(server.counters().drops['repeated-message']).toBe(1);
    const events = pump(client, server, [clientTls, tls], now);
    expect(events.map(({ type }) => type)).toContain('authenticate');
  });
});

describe('a session that weans its peer from compression', () => {
  const strings = (tail: string) => ({
    optionsString: `V4,dev-type tun,link-mtu 1500,tun-mtu 1400${tail}`,
    expectedOptionsString: `V4,dev-type tun,link-mtu 1500,tun-mtu 1400${tail}`,
  });
  const compressed = {
    optionsString: 'V4,dev-type tun,link-mtu 1501,tun-mtu 1400,comp-lzo,auth SHA1',
    expectedOptionsString: 'V4,dev-type tun,link-mtu 1501,tun-mtu 1400,comp-lzo,auth SHA1',
  };
  const warnings = (migrateCompression: boolean, client: ReturnType<typeof strings>): string[] => {
    const pair = new SessionPair({
      server: { judged: true, migrateCompression, ...strings(',auth SHA1') },
      client,
      onEvent: admitting,
    });
    expect(pair.connect()).toBe(true);
    return [...pair.server.log, ...pair.client.log].filter((line) => /WARNING: '(comp-lzo|link-mtu)/.test(line));
  };

  it('speaks of itself as the peer is, and nobody is warned', () => {
    expect(warnings(true, compressed)).toEqual([]);
    expect(warnings(false, compressed).length).toBeGreaterThan(0);
  });

  it('says nothing else to a peer without', () => {
    expect(warnings(true, strings(',auth SHA1'))).toEqual([]);
  });
});

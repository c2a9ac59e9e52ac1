import { describe, expect, it } from 'vitest';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';
import type { SessionOptions } from '../../src/session/options.ts';
import { createSession } from '../../src/session/session.ts';
import { DeterministicTls } from '../lab/deterministic-tls.ts';
import { QUIET } from '../lab/noisy-wire.ts';
import { NO_KEEPALIVE, type PairOptions, PUSH, SessionPair, sessionOptions } from '../lab/session-pair.ts';

const ended = (pair: SessionPair, limitMs = 200_000) => {
  pair.run(() => pair.client.session.state.name === 'ended', limitMs);
  const { state } = pair.client.session;
  return state.name === 'ended' ? state.end : undefined;
};

const failure = (pair: SessionPair) => {
  const end = ended(pair);
  return end?.reason === 'failed' ? end.error : undefined;
};

const staticKey = new Uint8Array(256).map((_, index) => index);

describe('a connection that fails says which step failed', () => {
  it('nothing came back', () => {
    const pair = new SessionPair({ noise: { ...QUIET, lose: 1 } });
    const error = failure(pair);
    expect(error).toMatchObject({ code: 'SALLYPORT_NO_ANSWER', blame: 'network', retry: true });
    expect(error?.message).toBe('Nothing came back from [AF_INET]192.0.2.2:1194 within 60 seconds');
    expect(pair.client.log).toContain(
      'TLS Error: TLS key negotiation failed to occur within 60 seconds (check your network connectivity)',
    );
    expect(pair.client.log).toContain('TLS Error: TLS handshake failed');
  });

  it('the network refused', () => {
    const pair = new SessionPair({ noise: { ...QUIET, lose: 1 } });
    pair.client.session.handleLinkRefused('Connection refused');
    expect(failure(pair)).toMatchObject({ code: 'SALLYPORT_REFUSED', blame: 'network' });
  });

  it('the HMAC was wrong: another key, the same direction, or no wrapping here', () => {
    const setups: readonly PairOptions[] = [
      { clientWrap: { kind: 'tls-crypt', staticKey }, serverWrap: { kind: 'tls-crypt', staticKey } },
      { clientWrap: { kind: 'tls-auth', staticKey, direction: 1, digest: 'SHA1' } },
    ];
    for (const setup of setups) {
      const pair = new SessionPair(setup);
      // A server does not answer what it cannot authenticate; what comes here is of another key.
      pair.client.session.handleControl(Uint8Array.of(0x40, ...Array(80).fill(1)), pair.now);
      pair.wire.setNoise({ ...QUIET, lose: 1 });
      const error = failure(pair);
      expect(error).toMatchObject({ code: 'SALLYPORT_WRAP', blame: 'config' });
      expect(error?.message).toContain('their HMAC was wrong');
    }
  });

  it('TLS did not finish', () => {
    const pair = new SessionPair();
    pair.run(() => pair.client.events.length > 0, 1000);
    pair.wire.setNoise({ ...QUIET, lose: 1 });
    expect(failure(pair)?.message).toMatch(/^The TLS handshake with .* did not finish within 60 seconds/);
  });

  it('a TLS alert, with its name', () => {
    const pair = new SessionPair({ serverTls: { refuse: true } });
    const error = failure(pair);
    expect(error).toMatchObject({ code: 'SALLYPORT_TLS', blame: 'peer' });
    expect(error?.message).toContain('refused TLS: handshake failure (ALERT_HANDSHAKE_FAILURE)');
    expect(pair.client.log).toContain('TLS_ERROR: BIO read tls_read_plaintext error');
  });

  it('our own refusal, whose alert still leaves', () => {
    const pair = new SessionPair({ clientTls: { refuse: true } });
    expect(failure(pair)).toMatchObject({ code: 'SALLYPORT_TLS' });
    pair.runFor(1000);
    expect(pair.server.session.state).toMatchObject({ end: { error: { code: 'SALLYPORT_TLS' } } });
  });

  it('the certificate, before anything of ours is sent inside TLS', () => {
    const pair = new SessionPair({
      client: { needsCredentials: true },
      clientTls: {
        report: { verdict: { trusted: false, code: 'CERT_HAS_EXPIRED', text: 'certificate has expired', depth: 0 } },
      },
    });
    pair.client.session.setCredentials({ username: 'alice', password: 'secret' });
    expect(failure(pair)).toMatchObject({ code: 'SALLYPORT_CERTIFICATE' });
    expect(pair.server.events.some((event) => event.type === 'peer-connected')).toBe(false);
  });

  it.each([
    ['resumed', { resumed: true }],
    ['absent', { chain: [] }],
  ] as const)('a certificate that is %s', (_what, report) => {
    expect(failure(new SessionPair({ clientTls: { report } }))).toMatchObject({ code: 'SALLYPORT_CERTIFICATE' });
  });

  it('the driver’s own verdict', () => {
    const pair = new SessionPair({
      onEvent: (end, event, now) => {
        if (end.name !== 'client' || event.type !== 'verify-peer') return false;
        end.session.acceptPeer({ accept: false, reason: 'script said no' }, now);
        return true;
      },
    });
    expect(failure(pair)?.message).toContain('script said no');
  });

  it('no answer to the push request', () => {
    const pair = new SessionPair({ onEvent: (_end, event) => event.type === 'push-request' });
    const error = failure(pair);
    expect(error).toMatchObject({ code: 'SALLYPORT_PUSH' });
    expect(pair.client.log).toContain('No reply from server to push requests in 60s');
    expect(pair.server.events.filter((event) => event.type === 'push-request').length).toBe(12);
  });

  it('no shared cipher, with both lists and the line to add', () => {
    const pair = new SessionPair({ push: { cipher: 'AES-256-CBC' }, server: { dataCiphers: ['AES-256-CBC'] } });
    const error = failure(pair);
    expect(error?.message).toBe(
      'No shared data cipher: the server has AES-256-CBC, this side allows AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305',
    );
    expect(error?.hint).toBe('Add the line: data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305:AES-256-CBC');
  });
});

describe('the data channel', () => {
  const cipherOf = (client: Partial<SessionOptions>, server: Partial<SessionOptions>) => {
    const pair = new SessionPair({ client, server, push: { cipher: undefined, useExporter: false } });
    pair.connect(20_000);
    const event = pair.client.events.find((each) => each.type === 'data-key');
    const sealed = pair.client.ring.seal();
    return {
      cipher: event?.cipher,
      digest: event?.digest,
      shared: sealed !== undefined && pair.server.ring.opens(sealed),
    };
  };
  const announces = (cipher: string) => ({ optionsString: `V4,dev-type tun,cipher ${cipher},auth SHA1` });

  it('takes the cipher of the options string where none is pushed, if data-ciphers has it', () => {
    const both = { dataCiphers: ['AES-256-CBC'] };
    expect(cipherOf({ ...both, ...announces('AES-256-CBC') }, { ...both, ...announces('AES-256-CBC') })).toEqual({
      cipher: 'AES-256-CBC',
      digest: 'SHA1',
      shared: true,
    });
    const own = { dataCiphers: ['AES-256-GCM'], dataCiphersFallback: 'AES-256-CBC' };
    expect(cipherOf(own, { ...both, ...announces('AES-256-CBC') }).cipher).toBeUndefined();
  });

  it('falls back only where the server announced none', () => {
    const own = { dataCiphers: ['AES-256-GCM'], dataCiphersFallback: 'AES-256-CBC' };
    expect(cipherOf(own, own)).toEqual({ cipher: 'AES-256-CBC', digest: 'SHA1', shared: true });
  });

  it('derives equal keys by the PRF as by the exporter, and different ones by each', () => {
    const keyBy = (useExporter: boolean) => {
      const pair = new SessionPair({ push: { useExporter } });
      pair.connect();
      const sealed = pair.client.ring.seal();
      expect(sealed && pair.server.ring.opens(sealed)).toBe(true);
      return sealed?.key;
    };
    expect(keyBy(true)).not.toBe(keyBy(false));
  });

  it('has the limits of the profile and of small blocks', () => {
    const limit = (client: Partial<SessionOptions>, cipher: string) => {
      const pair = new SessionPair({
        client: { dataCiphers: [cipher], ...client },
        push: { cipher },
        server: { dataCiphers: [cipher] },
      });
      pair.connect(20_000);
      const event = pair.client.events.find((each) => each.type === 'data-key');
      return event && [event.limitBytes, event.limitPackets];
    };
    expect(limit({}, 'BF-CBC')).toEqual([64 * 1024 * 1024, 0]);
    expect(limit({ renegotiateBytes: 0 }, 'BF-CBC')).toEqual([0, 0]);
    expect(limit({ renegotiateBytes: 5000, renegotiatePackets: 7 }, 'AES-256-GCM')).toEqual([5000, 7]);
    expect(limit({ renegotiateBytes: 0 }, 'AES-256-GCM')).toEqual([0, 0]);
    expect(limit({}, 'CHACHA20-POLY1305')).toEqual([0, 0]);
  });
});

describe('what a server may say', () => {
  const say = (text: string, options: PairOptions = {}) => {
    const pair = new SessionPair(options);
    pair.connect();
    pair.server.session.sendText(text, pair.now);
    pair.runFor(1000);
    const { state } = pair.client.session;
    return state.name === 'ended' ? state.end : undefined;
  };

  it('AUTH_FAILED in all its forms', () => {
    const plain = { temporary: undefined, dynamicChallenge: undefined, tokenDead: false };
    expect(say('AUTH_FAILED')).toEqual({ reason: 'auth-failed', text: '', ...plain });
    expect(say('AUTH_FAILED,wrong')).toEqual({ reason: 'auth-failed', text: 'wrong', ...plain });
    expect(say('AUTH_FAILED,SESSION: expired')).toMatchObject({ text: 'expired', tokenDead: true });
    expect(say('AUTH_FAILED,again', { push: { authToken: 'SESS_ID_x' } })).toMatchObject({ tokenDead: true });
    expect(say('AUTH_FAILED,CRV1:R,E:state:dXNlcg==:Your PIN: now')).toMatchObject({
      text: 'Your PIN: now',
      dynamicChallenge: 'CRV1:R,E:state:dXNlcg==:Your PIN: now',
    });
    expect(say('AUTH_FAILED,TEMP[backoff 42,advance remote]:full')).toMatchObject({
      text: 'full',
      temporary: { backoffSeconds: 42, advance: 'remote' },
    });
  });

  it('is acknowledged even where it ends the session', () => {
    const pair = new SessionPair();
    pair.connect();
    pair.server.session.sendText('AUTH_FAILED', pair.now);
    expect(pair.server.session.drained).toBe(false);
    pair.runFor(1000);
    expect(pair.client.session.state.name).toBe('ended');
    expect(pair.server.session.drained).toBe(true);
  });

  it('RESTART and HALT, with the flags as the C program reads them', () => {
    expect(say('RESTART')).toEqual({ reason: 'server-restart', text: '', keepCredentials: false, advance: false });
    expect(say('RESTART,[PN]moving')).toMatchObject({ text: '[PN]moving', keepCredentials: true, advance: true });
    expect(say('HALT,[P]bye')).toEqual({ reason: 'server-halt', text: '[P]bye' });
  });

  it('EXIT', () => {
    expect(say('EXIT')).toEqual({ reason: 'peer-exit', notice: 'EXIT' });
  });

  it('AUTH_PENDING gives it more time to answer the push request', () => {
    const pair = new SessionPair({
      client: { renegotiateMs: 3_600_000 },
      onEvent: (end, event, now) => {
        if (event.type !== 'push-request') return false;
        if (end.session.state.name === 'waiting-for-push') end.session.sendText('AUTH_PENDING,timeout 300', now);
        return true;
      },
    });
    pair.run(() => pair.client.events.some((event) => event.type === 'info'), 10_000);
    expect(pair.client.log).toContain('AUTH_PENDING received, extending handshake timeout from 60s to 300s');
    pair.runFor(200_000);
    expect(pair.client.session.state.name).toBe('waiting-for-push');
    expect(failure(pair)).toMatchObject({ code: 'SALLYPORT_PUSH' });
  });
});

describe('leaving', () => {
  it('says EXIT to a peer that understands it, and is drained once that is acknowledged', () => {
    const pair = new SessionPair();
    pair.connect();
    pair.client.session.sendExit(pair.now);
    expect(pair.client.session.drained).toBe(false);
    pair.run(() => pair.server.session.state.name === 'ended', 10_000);
    expect(pair.server.session.state).toEqual({ name: 'ended', end: { reason: 'peer-exit', notice: 'EXIT' } });
  });

  it('sends the notice in band to one that does not', () => {
    const pair = new SessionPair({ push: { controlExit: false } });
    pair.connect();
    pair.client.session.sendExit(pair.now);
    pair.settle();
    expect(pair.server.session.state).toEqual({ name: 'ended', end: { reason: 'peer-exit', notice: 'in-band' } });
  });

  it('wipes what it had: nothing works after close', () => {
    const pair = new SessionPair();
    pair.connect();
    pair.client.session.close();
    pair.client.session.handleControl(Uint8Array.of(0x20, 1, 2, 3), pair.now);
    expect(pair.client.session.pollTransmit(pair.now)).toBeUndefined();
    expect(pair.client.session.pollEvent()).toBeUndefined();
    expect(pair.client.session.pollTimeout()).toBeUndefined();
  });
});

describe('silence and idleness', () => {
  it.each(['pingRestartMs', 'pingExitMs'] as const)('%s ends a session whose peer is silent', (name) => {
    const pair = new SessionPair({ push: { keepalive: { ...NO_KEEPALIVE, [name]: 30_000 } } });
    pair.connect();
    const startMs = pair.nowMs;
    expect(ended(pair)).toEqual({ reason: name === 'pingRestartMs' ? 'ping-restart' : 'ping-exit' });
    expect(pair.nowMs - startMs).toBeGreaterThanOrEqual(30_000);
    expect(pair.nowMs - startMs).toBeLessThan(31_000);
    expect(pair.client.log.join()).toContain('[server] Inactivity timeout (--ping-');
  });

  it('is put off by data and by control packets', () => {
    const pair = new SessionPair({ push: { keepalive: { ...NO_KEEPALIVE, pingRestartMs: 30_000 } } });
    pair.connect();
    pair.runFor(20_000);
    pair.client.traffic = { lastReceivedMs: pair.nowMs, lastPayloadMs: 0, payloadBytes: 0 };
    pair.server.traffic = pair.client.traffic;
    pair.runFor(20_000);
    expect(pair.client.session.state.name).toBe('up');
    pair.server.session.sendText('INFO,hello', pair.now);
    pair.runFor(25_000);
    expect(pair.client.session.state.name).toBe('up');
    pair.runFor(6000);
    expect(pair.client.session.state.name).toBe('ended');
  });

  it('counts payload against inactive, with a threshold in bytes', () => {
    const keepalive = { ...NO_KEEPALIVE, inactiveMs: 30_000, inactiveBytes: 1000 };
    const pair = new SessionPair({ push: { keepalive } });
    pair.connect();
    pair.runFor(20_000);
    pair.client.traffic = { lastReceivedMs: 0, lastPayloadMs: pair.nowMs, payloadBytes: 999 };
    expect(ended(pair, 11_000)).toEqual({ reason: 'inactive' });

    const busy = new SessionPair({ push: { keepalive } });
    busy.connect();
    busy.runFor(20_000);
    busy.client.traffic = { lastReceivedMs: 0, lastPayloadMs: busy.nowMs, payloadBytes: 1000 };
    expect(ended(busy, 29_000)).toBeUndefined();
    expect(ended(busy, 2000)).toEqual({ reason: 'inactive' });
  });

  it('ends after the session timeout however busy', () => {
    const pair = new SessionPair({ push: { keepalive: { ...NO_KEEPALIVE, sessionTimeoutMs: 50_000 } } });
    pair.connect();
    expect(ended(pair)).toEqual({ reason: 'session-timeout' });
  });
});

describe('credentials', () => {
  it('are asked for where they are needed, and the handshake waits', () => {
    const pair = new SessionPair({ client: { needsCredentials: true } });
    pair.run(() => pair.client.events.some((event) => event.type === 'need-credentials'), 10_000);
    pair.runFor(5000);
    pair.client.session.setCredentials({ username: 'bob', password: 'pass' });
    expect(pair.connect()).toBe(true);
    expect(pair.server.events.find((event) => event.type === 'peer-connected')).toMatchObject({ username: 'bob' });
  });

  it('are asked for again at a renegotiation when they are to be forgotten', () => {
    const pair = new SessionPair({ client: { needsCredentials: true, forgetCredentials: true } });
    pair.client.session.setCredentials({ username: 'bob', password: 'pass' });
    pair.connect();
    pair.client.session.renegotiate(pair.now);
    expect(pair.run(() => pair.client.events.some((event) => event.type === 'need-credentials'), 5000)).toBe(true);
  });
});

describe('a session before its start', () => {
  it('does nothing, and starts once', () => {
    const log: string[] = [];
    const session = createSession(sessionOptions('client'), {
      crypto: createNodeCrypto(),
      tls: new DeterministicTls({ name: 'client', seed: 1 }),
      log: (_flags, text) => log.push(text),
      wake() {},
    });
    const now = { monoMs: 0, unixSeconds: 0 };
    session.handleControl(Uint8Array.of(0x40), now);
    session.handleTimeout(now, { lastReceivedMs: 0, lastPayloadMs: 0, payloadBytes: 0 });
    session.applyPush(PUSH, now);
    expect(session.pollTransmit(now)).toBeUndefined();
    session.start(now, '[AF_INET]192.0.2.2:1194');
    expect(session.pollTransmit(now)?.length).toBe(14);
    expect(() => session.start(now, '')).toThrow('started before');
  });
});

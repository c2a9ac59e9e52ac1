import { describe, expect, it } from 'vitest';
import { NOISY } from '../lab/noisy-wire.ts';
import { SessionPair } from '../lab/session-pair.ts';

describe('a handshake between two sessions', () => {
  it('ends with the same keys on both sides and the log lines that users look for', () => {
    const pair = new SessionPair();
    expect(pair.connect()).toBe(true);
    const sealed = pair.client.ring.seal();
    expect(sealed && pair.server.ring.opens(sealed)).toBe(true);
    expect(pair.client.events.map((event) => event.type)).toEqual([
      'peer-answered',
      'verify-peer',
      'peer-connected',
      'push-reply',
      'data-key',
      'use-key',
    ]);
    const log = pair.client.log.join('\n');
    expect(log).toMatch(/TLS: Initial packet from \[AF_INET\]192.0.2.2:1194, sid=[0-9a-f]{8} [0-9a-f]{8}/);
    expect(log).toContain('[server] Peer Connection Initiated with [AF_INET]192.0.2.2:1194');
    expect(log).toContain("SENT CONTROL [server]: 'PUSH_REQUEST' (status=1)");
    expect(log).toContain("PUSH: Received control message: 'PUSH_REPLY,ifconfig 10.8.0.2 255.255.255.0'");
    expect(log).toContain("Data Channel: cipher 'AES-256-GCM', peer-id: 0");
    expect(log).toContain('VERIFY OK: depth=0, C=DE, O=Lab, CN=server');
    expect(log).toContain(
      'Control Channel: TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: 384 bits ECsecp384r1, signature: ecdsa-with-SHA256',
    );
  });

  // A client whose MTU, digest or compression is another than its server's is no news to its user, as in OpenVPN since 2.6.
  it('tells of options in which the peers differ at verb 7 only', () => {
    const pair = new SessionPair({ client: { expectedOptionsString: 'V4,dev-type tun,tun-mtu 1420,tls-server' } });
    expect(pair.connect()).toBe(true);
    const { log, verbs } = pair.client;
    const told = verbs.filter((_, index) => log[index]?.includes('used inconsistently'));
    expect(told.length).toBeGreaterThan(0);
    expect(told.filter((verb) => verb !== 7)).toEqual([]);
  });

  it('completes over a wire that loses 30 %, repeats, reorders and corrupts, for many seeds', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const pair = new SessionPair({
        seed,
        noise: NOISY,
        clientWrap: { kind: 'tls-crypt', staticKey: new Uint8Array(256).map((_, i) => i) },
        serverWrap: { kind: 'tls-crypt', staticKey: new Uint8Array(256).map((_, i) => i) },
      });
      expect(pair.connect(), `seed ${seed}`).toBe(true);
    }
  });
});

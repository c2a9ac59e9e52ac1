import { describe, expect, it } from 'vitest';
import type { WrapOptions } from '../../src/control/wrap-options.ts';
import { createTlsCrypt } from '../../src/control/wrap-tls-crypt.ts';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';
import { Opcode, parseKeyId, parseOpcode } from '../../src/wire/opcode.ts';
import { NOISY, QUIET } from '../lab/noisy-wire.ts';
import { type End, SessionPair } from '../lab/session-pair.ts';

const crypto = createNodeCrypto();
const shared = new Uint8Array(256).map((_, index) => index * 7 + 3);
const wrappedKey = new Uint8Array(330);
new DataView(wrappedKey.buffer).setUint16(328, 330);

const WRAPS: readonly (readonly [name: string, client: WrapOptions, server: WrapOptions, xor: boolean])[] = [
  ['no wrap', { kind: 'none' }, { kind: 'none' }, false],
  [
    'tls-auth',
    { kind: 'tls-auth', staticKey: shared, direction: 1, digest: 'SHA256' },
    { kind: 'tls-auth', staticKey: shared, direction: 0, digest: 'SHA256' },
    true,
  ],
  ['tls-crypt', { kind: 'tls-crypt', staticKey: shared }, { kind: 'tls-crypt', staticKey: shared }, true],
  [
    'tls-crypt-v2',
    { kind: 'tls-crypt-v2-client', clientKey: shared, wrappedKey },
    { kind: 'tls-crypt-v2-server', clientKey: shared },
    true,
  ],
];

function pairOf(client: WrapOptions, server: WrapOptions, dynamicTlsCrypt = true, noise = QUIET) {
  let exported: Uint8Array | undefined;
  const pair = new SessionPair({
    ...{ clientWrap: client, serverWrap: server, noise, dataEveryMs: 10 },
    push: { dynamicTlsCrypt },
  });
  const sent: Uint8Array[] = [];
  const { wire } = pair;
  const send = wire.send.bind(wire);
  wire.send = (to, bytes, nowMs) => {
    sent.push(bytes.slice());
    send(to, bytes, nowMs);
  };
  const tls = pair.client.tls;
  const create = tls.create.bind(tls);
  tls.create = (role, listener) => {
    const engine = create(role, listener);
    const exporter = engine.exportKeyingMaterial.bind(engine);
    engine.exportKeyingMaterial = (length, label) => {
      const material = exporter(length, label);
      if (label === 'EXPORTER-OpenVPN-dynamic-tls-crypt') exported = material.slice();
      return material;
    };
    return engine;
  };
  return { pair, sent, exported: () => exported };
}

const renegotiations = (end: End) => end.session.counters().renegotiations;
const both = (pair: SessionPair, count: number) => () => pair.ends.every((end) => renegotiations(end) >= count);

describe('dynamic tls-crypt', () => {
  it.each(WRAPS)('wraps every key but the first in a key of the session: under %s', (_name, client, server, xor) => {
    const { pair, sent, exported } = pairOf(client, server);
    expect(pair.connect()).toBe(true);
    for (let round = 1; round <= 8; round++) {
      pair[round % 2 === 0 ? 'client' : 'server'].session.renegotiate(pair.now);
      expect(pair.run(both(pair, round), 10_000), `round ${round}`).toBe(true);
      pair.runFor(100);
    }
    expect(pair.dataLost).toBe(0);
    expect(exported()).toHaveLength(256);
    const key = exported()!.map((byte, index) => (xor ? byte ^ shared[index]! : byte));
    const opens = (['client', 'server'] as const).map((tlsRole) => createTlsCrypt(key, { crypto, tlsRole }));
    let later = 0;
    for (const packet of sent) {
      const isLater = parseKeyId(packet[0]!) > 0;
      if (isLater) later++;
      expect(opens.some((codec) => codec.open(packet).ok)).toBe(isLater);
      if (isLater) expect(parseOpcode(packet[0]!)).not.toBe(Opcode.controlWkcV1);
    }
    expect(later).toBeGreaterThan(8 * 6);
    for (const end of pair.ends)
      expect(Object.values(end.session.counters().drops).every((count) => count === 0)).toBe(true);
  });

  it('counts its packets from 1, in a replay window of its own', () => {
    const { pair, sent } = pairOf({ kind: 'tls-crypt', staticKey: shared }, { kind: 'tls-crypt', staticKey: shared });
    pair.connect();
    pair.client.session.renegotiate(pair.now);
    pair.run(both(pair, 1), 10_000);
    const first = sent.find((packet) => parseOpcode(packet[0]!) === Opcode.softResetV1)!;
    expect(Buffer.from(first).readUInt32BE(9)).toBe(1);
    pair.server.session.handleControl(first, pair.now);
    expect(pair.server.session.counters().drops.replay).toBe(1);
  });

  it('drops a soft reset that has the first wrap, and says so in the words of tls-crypt', () => {
    const { pair } = pairOf({ kind: 'none' }, { kind: 'none' });
    pair.connect();
    const forged = Uint8Array.of((Opcode.softResetV1 << 3) | 1, ...new Uint8Array(8).fill(7), 0, 0, 0, 0, 0);
    pair.server.session.handleControl(forged, pair.now);
    expect(pair.server.session.counters().drops).toMatchObject({ short: 1, 'foreign-session': 0 });
    pair.server.session.handleControl(Uint8Array.of(...forged, ...new Uint8Array(80)), pair.now);
    expect(pair.server.session.counters().drops).toMatchObject({ 'bad-hmac': 1 });
    expect(pair.server.log.join('\n')).toContain(
      'TLS Error: tls-crypt unwrapping failed from [AF_INET]192.0.2.1:40000',
    );
    expect(renegotiations(pair.server)).toBe(0);
  });

  it('is left alone where it was not agreed: later keys have the wrap of the first', () => {
    const { pair, sent, exported } = pairOf({ kind: 'none' }, { kind: 'none' }, false);
    pair.connect();
    pair.client.session.renegotiate(pair.now);
    expect(pair.run(both(pair, 1), 10_000)).toBe(true);
    expect(exported()).toBeUndefined();
    expect(sent.some((packet) => parseOpcode(packet[0]!) === Opcode.softResetV1 && packet.length === 14)).toBe(true);
  });

  it('holds on a wire that loses, repeats and reorders', () => {
    const { pair } = pairOf(
      { kind: 'tls-crypt', staticKey: shared },
      { kind: 'tls-crypt', staticKey: shared },
      true,
      NOISY,
    );
    expect(pair.connect()).toBe(true);
    for (let round = 1; round <= 3; round++) {
      pair.client.session.renegotiate(pair.now);
      expect(pair.run(both(pair, round), 60_000), `round ${round}`).toBe(true);
      pair.runFor(1000);
    }
    expect(pair.dataLost).toBe(0);
  });
});

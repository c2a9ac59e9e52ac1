import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ControlWrap, createWrap, wrapDropLines } from '../../src/control/wrap.ts';
import type { WrapOptions } from '../../src/control/wrap-options.ts';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';
import { parseControlPacket } from '../../src/wire/control-packet.ts';
import { parseEarlyNegotiation } from '../../src/wire/early-negotiation.ts';
import { Opcode } from '../../src/wire/opcode.ts';
import { splitWrappedKey } from '../../src/wire/tls-crypt-v2.ts';
import { type CapturedPacket, readCaptures } from '../lab/captures.ts';

const { keys, captures } = readCaptures();
const staticKey = keys.get('static') as Uint8Array;
const v2 = keys.get('v2-client') as Uint8Array;
const clientKey = v2.slice(0, 256);
const wrappedKey = v2.slice(256);

const tlsAuth = (direction: 0 | 1): WrapOptions => ({ kind: 'tls-auth', staticKey, direction, digest: 'SHA1' });
const tlsCrypt: WrapOptions = { kind: 'tls-crypt', staticKey };

function open(options: WrapOptions, tlsRole: 'client' | 'server', windowPackets = 64): ControlWrap {
  const crypto = createNodeCrypto();
  return createWrap(options, { crypto, tlsRole, replayWindowPackets: windowPackets, replayWindowSeconds: 15 });
}

/** Opens every packet of a capture as the end that received it would have. */
function openCapture(name: string, ends: Record<'client' | 'server', ControlWrap>) {
  return (captures.get(name) as CapturedPacket[]).map(({ from, bytes, unixSeconds }) => {
    const verdict = ends[from === 'client' ? 'server' : 'client'].open(bytes, unixSeconds);
    if (!verdict.ok) throw new Error(`${name}: ${verdict.drop}`);
    const packet = parseControlPacket(verdict.header, verdict.body);
    if (packet === undefined) throw new Error(`${name}: malformed`);
    return packet;
  });
}

const SETUPS = {
  'tls-auth': () => ({ client: open(tlsAuth(1), 'client'), server: open(tlsAuth(0), 'server') }),
  'tls-crypt': () => ({ client: open(tlsCrypt, 'client'), server: open(tlsCrypt, 'server') }),
  'tls-crypt-v2': () => ({
    client: open({ kind: 'tls-crypt-v2-client', clientKey, wrappedKey }, 'client'),
    server: open({ kind: 'tls-crypt-v2-server', clientKey }, 'server'),
  }),
} as const;

describe('packets captured from OpenVPN 2.6', () => {
  it.each(Object.keys(SETUPS) as (keyof typeof SETUPS)[])('open under %s and are the handshake', (name) => {
    const packets = openCapture(name, SETUPS[name]());
    const reset = name === 'tls-crypt-v2' ? Opcode.hardResetClientV3 : Opcode.hardResetClientV2;
    expect(packets.slice(0, 2).map((packet) => packet.opcode)).toEqual([reset, Opcode.hardResetServerV2]);
    expect(packets[0]?.acks).toEqual([]);
    expect(packets[1]?.acks).toEqual([0]);
    expect(packets[1]?.remoteSessionId).toEqual(packets[0]?.sessionId);
    const hello = packets.find((packet) => packet.messageId === 1);
    expect([...(hello?.payload.slice(0, 2) ?? [])]).toEqual([0x16, 0x03]);
  });

  it('have the cookie handshake of tls-crypt-v2: a first packet-id that announces it, the request, the key again', () => {
    const raw = captures.get('tls-crypt-v2') as CapturedPacket[];
    const packets = openCapture('tls-crypt-v2', SETUPS['tls-crypt-v2']());
    expect([...(raw[0]?.bytes.slice(9, 13) ?? [])]).toEqual([0x0f, 0, 0, 1]);
    expect(parseEarlyNegotiation(packets[1]?.payload as Uint8Array)).toEqual({ resendWrappedKey: true });
    expect(packets[2]?.opcode).toBe(Opcode.controlWkcV1);
    expect(splitWrappedKey(raw[2]?.bytes as Uint8Array)?.wrappedKey).toEqual(wrappedKey);
  });

  it.each(['tls-auth', 'tls-crypt'] as const)(
    'are a wrong HMAC under %s with the wrong key, direction or role',
    (name) => {
      const first = captures.get(name)?.[0] as CapturedPacket;
      const wrongKey = staticKey.map((byte) => byte ^ 1);
      const wrong =
        name === 'tls-auth'
          ? [open({ ...tlsAuth(0), staticKey: wrongKey } as WrapOptions, 'server'), open(tlsAuth(1), 'server')]
          : [open({ kind: 'tls-crypt', staticKey: wrongKey }, 'server'), open(tlsCrypt, 'client')];
      for (const wrap of wrong) expect(wrap.open(first.bytes, 0)).toEqual({ ok: false, drop: 'bad-hmac' });
    },
  );
});

describe.each(Object.keys(SETUPS) as (keyof typeof SETUPS)[])('wrapping by %s', (name) => {
  const header = Uint8Array.of(0x20, 1, 2, 3, 4, 5, 6, 7, 8);
  const body = Uint8Array.of(0, 0, 0, 0, 1, 0x16);

  it('opens what the other side sealed, both ways', () => {
    const { client, server } = SETUPS[name]();
    expect(server.open(client.seal(header, body, 1000), 1000)).toEqual({ ok: true, header, body });
    expect(client.open(server.seal(header, body, 1000), 1000)).toEqual({ ok: true, header, body });
  });

  it('drops a packet cut at any byte, and one with any bit flipped', () => {
    const { client, server } = SETUPS[name]();
    const sealed = client.seal(header, body, 1000);
    for (let length = 0; length < sealed.length; length++) {
      expect(server.open(sealed.subarray(0, length), 1000).ok).toBe(false);
    }
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = sealed.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(server.open(flipped, 1000)).toEqual({ ok: false, drop: 'bad-hmac' });
    }
    expect(server.open(sealed, 1000).ok).toBe(true);
  });

  it('drops a packet that came before', () => {
    const { client, server } = SETUPS[name]();
    const sealed = client.seal(header, body, 1000);
    expect(server.open(sealed, 1000).ok).toBe(true);
    expect(server.open(sealed, 1001)).toMatchObject({ ok: false, drop: 'replay', time: 1000 });
  });

  it('never throws for random bytes', () => {
    const { server } = SETUPS[name]();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        expect(server.open(bytes, 1000).ok).toBe(false);
      }),
    );
  });

  it('refuses to go on with wiped keys in place of its own', () => {
    const { client, server } = SETUPS[name]();
    const sealed = client.seal(header, body, 1000);
    server.close();
    expect(server.open(sealed, 1000)).toEqual({ ok: false, drop: 'bad-hmac' });
  });
});

describe('the server’s side of tls-crypt-v2', () => {
  const header = (opcode: number) => Uint8Array.of(opcode << 3, 1, 2, 3, 4, 5, 6, 7, 8);
  const body = Uint8Array.of(0, 0, 0, 0, 1, 0x16);

  it.each([Opcode.hardResetClientV3, Opcode.controlWkcV1])(
    'takes the wrapped key off opcode %i, again and again',
    (opcode) => {
      const { client, server } = SETUPS['tls-crypt-v2']();
      for (let i = 0; i < 3; i++) {
        const sealed = client.seal(header(opcode), body, 1000);
        expect(splitWrappedKey(sealed)?.wrappedKey).toEqual(wrappedKey);
        expect(server.open(sealed, 1000)).toEqual({ ok: true, header: header(opcode), body });
      }
      expect(server.open(client.seal(header(Opcode.controlV1), body, 1000), 1000).ok).toBe(true);
    },
  );

  it('appends nothing itself, whatever it sends', () => {
    const { server } = SETUPS['tls-crypt-v2']();
    expect(server.appendedBytes(Opcode.controlWkcV1)).toBe(0);
    expect(server.seal(header(Opcode.controlV1), body, 1000).length).toBe(9 + body.length + server.overheadBytes);
  });

  it.each([0, 2, 289, 1025, 0xffff])('drops a packet whose wrapped key says to have %i bytes', (length) => {
    const { client, server } = SETUPS['tls-crypt-v2']();
    const sealed = client.seal(header(Opcode.controlWkcV1), body, 1000);
    sealed[sealed.length - 2] = length >> 8;
    sealed[sealed.length - 1] = length;
    expect(server.open(sealed, 1000)).toEqual({ ok: false, drop: 'bad-wrapped-key' });
  });
});

describe('the packet-ids of a wrap', () => {
  it('go on where a stateless answer ended, so that the peer takes both', () => {
    const crypto = createNodeCrypto();
    const context = { crypto, tlsRole: 'server' as const, replayWindowPackets: 64, replayWindowSeconds: 15 };
    const header = Uint8Array.of(0x20, 1, 2, 3, 4, 5, 6, 7, 8);
    const client = open(tlsCrypt, 'client');
    const answer = createWrap(tlsCrypt, context).seal(header, Uint8Array.of(0), 1000);
    expect(client.open(answer, 1000).ok).toBe(true);
    const again = createWrap(tlsCrypt, context).seal(header, Uint8Array.of(0), 1000);
    expect(client.open(again, 1000)).toMatchObject({ drop: 'replay', packetId: 1 });
    const next = createWrap(tlsCrypt, { ...context, firstSendId: 2 }).seal(header, Uint8Array.of(0), 1000);
    expect(client.open(next, 1000).ok).toBe(true);
  });
});

describe('a replay window of 0', () => {
  it('demands strict order', () => {
    const sender = open(tlsCrypt, 'client');
    const receiver = open(tlsCrypt, 'server', 0);
    const header = Uint8Array.of(0x20, 1, 2, 3, 4, 5, 6, 7, 8);
    const [one, two, three] = [1, 2, 3].map(() => sender.seal(header, Uint8Array.of(0), 1000)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    expect(receiver.open(one, 1000).ok).toBe(true);
    expect(receiver.open(three, 1000).ok).toBe(false);
    expect(receiver.open(two, 1000).ok).toBe(true);
    expect(receiver.open(three, 1000).ok).toBe(true);
  });
});

describe('log lines about dropped packets', () => {
  it('are the words that users search for', () => {
    const lines = (kind: WrapOptions['kind'], drop: 'short' | 'bad-hmac' | 'replay') =>
      wrapDropLines(kind, { ok: false, drop }, '[AF_INET]192.0.2.1:1194').map(([, text]) => text);
    expect(lines('tls-auth', 'bad-hmac')).toEqual([
      'Authenticate/Decrypt packet error: packet HMAC authentication failed',
      'TLS Error: incoming packet authentication failed from [AF_INET]192.0.2.1:1194',
    ]);
    expect(lines('tls-auth', 'short')).toEqual([
      'TLS Error: cannot locate HMAC in incoming packet from [AF_INET]192.0.2.1:1194',
    ]);
    expect(lines('tls-crypt', 'bad-hmac')).toEqual([
      'tls-crypt unwrap error: packet authentication failed',
      'TLS Error: tls-crypt unwrapping failed from [AF_INET]192.0.2.1:1194',
    ]);
  });
});

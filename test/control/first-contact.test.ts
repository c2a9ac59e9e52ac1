import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contactLines } from '../../src/control/contact-words.ts';
import {
  type Claim,
  CONTACT_DROPS,
  type ContactDrop,
  type ContactVerdict,
  FirstContact,
  type FirstContactOptions,
  type SharedWrap,
  type TlsCryptV2Options,
} from '../../src/control/first-contact.ts';
import { SessionCookie } from '../../src/control/session-cookie.ts';
import { type ControlWrap, createWrap } from '../../src/control/wrap.ts';
import type { WrapOptions } from '../../src/control/wrap-options.ts';
import { sealWrappedKey } from '../../src/crypto/wrapped-key.ts';
import { formatLogAddress, type SocketAddress, socketAddress } from '../../src/ip/socket-address.ts';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';
import {
  type ControlPacket,
  parseControlPacket,
  writeControlBody,
  writeControlHeader,
} from '../../src/wire/control-packet.ts';
import { parseEarlyNegotiation } from '../../src/wire/early-negotiation.ts';
import { Opcode } from '../../src/wire/opcode.ts';
import { timestampMetadata, type WrappedMetadata } from '../../src/wire/tls-crypt-v2.ts';
import { type CapturedPacket, readCaptures } from '../lab/captures.ts';
import { type CapturedContact, readFirstContacts } from '../lab/first-contacts.ts';

const crypto = createNodeCrypto();
const { keys } = readCaptures();
const staticKey = keys.get('static') as Uint8Array;
const serverKey = keys.get('v2-server') as Uint8Array;
const clientKey = (keys.get('v2-client') as Uint8Array).slice(0, 256);
const { secret, contacts } = readFirstContacts();

const now = 1_800_000_000;
const source = socketAddress(Uint8Array.of(192, 0, 2, 1), 50_000);
const text = formatLogAddress(source);
const sid = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

const SHARED = {
  none: { kind: 'none' },
  'tls-auth': { kind: 'tls-auth', staticKey, direction: 0, digest: 'SHA1' },
  'tls-crypt': { kind: 'tls-crypt', staticKey },
} as const satisfies Record<string, SharedWrap>;
const V2: TlsCryptV2Options = { serverKey, forceCookie: false, maxAgeDays: undefined };
type Name = keyof typeof SHARED | 'tls-crypt-v2';
const NAMES: readonly Name[] = ['none', 'tls-auth', 'tls-crypt', 'tls-crypt-v2'];

const serverOf = (name: Name, v2: Partial<TlsCryptV2Options> = {}): FirstContactOptions =>
  name === 'tls-crypt-v2'
    ? { sharedWraps: [], tlsCryptV2: { ...V2, ...v2 } }
    : { sharedWraps: [SHARED[name]], tlsCryptV2: undefined };

const wrapped = (metadata?: WrappedMetadata) => sealWrappedKey(clientKey, metadata, serverKey, crypto);
const clientOf = (name: Name, wrappedKey = wrapped()): WrapOptions => {
  if (name === 'tls-crypt-v2') return { kind: 'tls-crypt-v2-client', clientKey, wrappedKey };
  return name === 'tls-auth' ? { ...SHARED['tls-auth'], direction: 1 } : SHARED[name];
};

function server(options: FirstContactOptions, mayAnswer = () => true): FirstContact {
  const cookie = new SessionCookie({ crypto, secret, handWindowSeconds: 60 });
  return new FirstContact(options, { crypto, cookie, mayAnswer });
}

/** A client's end, as far as the third packet. */
class Client {
  readonly wrap: ControlWrap;
  readonly name: Name;

  constructor(name: Name, options: { wrap?: WrapOptions; firstSendId?: number } = {}) {
    this.name = name;
    const context = { crypto, tlsRole: 'client' as const, replayWindowPackets: 64, replayWindowSeconds: 15 };
    this.wrap = createWrap(options.wrap ?? clientOf(name), { ...context, firstSendId: options.firstSendId });
  }

  send(packet: Partial<ControlPacket>, at = now): Uint8Array {
    const whole = { keyId: 0, sessionId: sid, acks: [], remoteSessionId: undefined, payload: new Uint8Array(0) };
    const full = { opcode: Opcode.controlV1, messageId: 0, ...whole, ...packet };
    return this.wrap.seal(writeControlHeader(full), writeControlBody(full), at);
  }

  reset(packet: Partial<ControlPacket> = {}, at = now): Uint8Array {
    const opcode = this.name === 'tls-crypt-v2' ? Opcode.hardResetClientV3 : Opcode.hardResetClientV2;
    return this.send({ opcode, ...packet }, at);
  }

  third(ownSessionId: Uint8Array, packet: Partial<ControlPacket> = {}, at = now): Uint8Array {
    const opcode = this.name === 'tls-crypt-v2' ? Opcode.controlWkcV1 : Opcode.controlV1;
    const payload = Uint8Array.of(0x16, 3, 1);
    return this.send({ opcode, acks: [0], remoteSessionId: ownSessionId, messageId: 1, payload, ...packet }, at);
  }

  read(bytes: Uint8Array): ControlPacket {
    const opened = this.wrap.open(bytes, now);
    if (!opened.ok) throw new Error(opened.drop);
    return parseControlPacket(opened.header, opened.body) as ControlPacket;
  }

  /** Asks, and gives the session id that it was told. */
  ask(contact: FirstContact, from: SocketAddress = source, at = now): Uint8Array {
    return this.read(reply(contact.handleDatagram(this.reset({}, at), from, at))).sessionId;
  }
}

function reply(verdict: ContactVerdict): Uint8Array {
  if (verdict.kind !== 'reply') throw new Error(`not a reply: ${JSON.stringify(verdict)}`);
  return verdict.bytes;
}

function claim(verdict: ContactVerdict): Claim {
  if (verdict.kind !== 'claim') throw new Error(`not a claim: ${JSON.stringify(verdict)}`);
  return verdict;
}

const cause = (verdict: ContactVerdict): ContactDrop | ContactVerdict['kind'] =>
  verdict.kind === 'drop' ? verdict.cause : verdict.kind;

const proving = contacts.filter(({ version, wrap }) => !(version === '2.5' && wrap === 'tls-crypt-v2'));

describe.each(proving)('a first contact of OpenVPN $version under $wrap', ({ wrap, source: from, packets }) => {
  const [reset, answer, third] = packets as [CapturedPacket, CapturedPacket, CapturedPacket];

  it('is answered with the bytes that it took, and proves its address by its third packet', () => {
    const contact = server(serverOf(wrap));
    expect(reply(contact.handleDatagram(reset.bytes, from, reset.unixSeconds))).toEqual(answer.bytes);
    const proven = claim(contact.handleDatagram(third.bytes, from, third.unixSeconds));
    expect(proven).toMatchObject({ proof: 'cookie', firstSendId: 2, bytes: third.bytes });
    expect(proven.ownSessionId).toEqual(answer.bytes.slice(1, 9));
    expect(proven.peerSessionId).toEqual(reset.bytes.slice(1, 9));
    const session = createWrap(proven.wrap, {
      crypto,
      tlsRole: 'server',
      replayWindowPackets: 64,
      replayWindowSeconds: 15,
    });
    expect(session.open(third.bytes, third.unixSeconds).ok).toBe(true);
  });

  it('is nothing when the packets are cut at any byte', () => {
    const contact = server(serverOf(wrap));
    for (let length = 0; length < reset.bytes.length; length++) {
      expect(contact.handleDatagram(reset.bytes.subarray(0, length), from, reset.unixSeconds).kind).toBe('drop');
    }
    const fields = wrap === 'none' ? 26 : third.bytes.length;
    for (let length = 0; length < Math.min(fields, third.bytes.length); length++) {
      expect(contact.handleDatagram(third.bytes.subarray(0, length), from, third.unixSeconds).kind).toBe('drop');
    }
  });

  it('is nothing from another port, or long after', () => {
    const contact = server(serverOf(wrap));
    expect(cause(contact.handleDatagram(third.bytes, { ...from, port: 1 }, third.unixSeconds))).toBe('bad-cookie');
    expect(cause(contact.handleDatagram(third.bytes, from, third.unixSeconds + 100))).toBe('bad-cookie');
  });
});

describe.each(NAMES)('a first contact under %s', (name) => {
  it('is answered without state: acknowledged, message 0, packet-id 1, the cookie as session id', () => {
    const client = new Client(name);
    const bytes = reply(server(serverOf(name)).handleDatagram(client.reset(), source, now));
    const packet = client.read(bytes);
    expect(packet).toMatchObject({ opcode: Opcode.hardResetServerV2, keyId: 0, acks: [0], messageId: 0 });
    expect(packet.remoteSessionId).toEqual(sid);
    expect(packet.sessionId).toEqual(
      new SessionCookie({ crypto, secret, handWindowSeconds: 60 }).make(source, sid, now),
    );
    expect(parseEarlyNegotiation(packet.payload)).toEqual({ resendWrappedKey: name === 'tls-crypt-v2' });
    const ids = { none: undefined, 'tls-auth': bytes.slice(29, 33), 'tls-crypt': bytes.slice(9, 13) };
    const id = name === 'tls-crypt-v2' ? ids['tls-crypt'] : ids[name];
    expect(id ?? Uint8Array.of(0, 0, 0, 1)).toEqual(Uint8Array.of(0, 0, 0, 1));
  });

  it('gets the same answer for the same packet again, and leaves nothing behind', () => {
    const contact = server(serverOf(name));
    const reset = new Client(name).reset();
    expect(contact.handleDatagram(reset, source, now)).toEqual(contact.handleDatagram(reset, source, now));
  });

  it('is a claim once the cookie comes back, whose session goes on in packet-ids that the client takes', () => {
    const client = new Client(name);
    const contact = server(serverOf(name));
    const own = client.ask(contact);
    const proven = claim(contact.handleDatagram(client.third(own), source, now));
    expect(proven).toMatchObject({ proof: 'cookie', firstSendId: 2 });
    expect(proven.ownSessionId).toEqual(own);
    const context = { crypto, tlsRole: 'server' as const, replayWindowPackets: 64, replayWindowSeconds: 15 };
    const session = createWrap(proven.wrap, { ...context, firstSendId: proven.firstSendId });
    expect(session.open(proven.bytes, now).ok).toBe(true);
    const next = { opcode: Opcode.controlV1, keyId: 0, sessionId: own, messageId: 1 };
    const body = { ...next, acks: [1], remoteSessionId: sid, payload: Uint8Array.of(0x16) };
    const bytes = session.seal(writeControlHeader(next), writeControlBody(body), now);
    expect(client.read(bytes).acks).toEqual([1]);
    if (name === 'none') return;
    const repeating = createWrap(proven.wrap, context);
    expect(() => client.read(repeating.seal(writeControlHeader(next), writeControlBody(body), now))).toThrow('replay');
  });

  it('is a claim by a bare acknowledgement, too, where no key must be sent again', () => {
    const client = new Client(name);
    const contact = server(serverOf(name));
    const ack = client.third(client.ask(contact), {
      opcode: Opcode.ackV1,
      messageId: undefined,
      payload: new Uint8Array(0),
    });
    expect(cause(contact.handleDatagram(ack, source, now))).toBe(name === 'tls-crypt-v2' ? 'no-wrap' : 'claim');
  });

  const other = Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9);
  it.each<[string, (own: Uint8Array, client: Client) => Uint8Array, SocketAddress, number, ContactDrop]>([
    ['another address', (own, c) => c.third(own), { ...source, address: Uint8Array.of(192, 0, 2, 2) }, 0, 'bad-cookie'],
    ['another port', (own, c) => c.third(own), { ...source, port: 50_001 }, 0, 'bad-cookie'],
    ['three slots later', (own, c) => c.third(own), source, 90, 'bad-cookie'],
    ['another session id of its own', (own, c) => c.third(own, { sessionId: other }), source, 0, 'bad-cookie'],
    ['a session id that we did not give', (_, c) => c.third(other), source, 0, 'bad-cookie'],
    [
      'no session id of ours',
      (_, c) => c.third(sid, { acks: [], remoteSessionId: undefined }),
      source,
      0,
      'bad-cookie',
    ],
    ['an acknowledgement past the handshake', (own, c) => c.third(own, { acks: [0, 2] }), source, 0, 'bad-cookie'],
    ['a message past the handshake', (own, c) => c.third(own, { messageId: 2 }), source, 0, 'bad-cookie'],
    ['another key-id', (own, c) => c.third(own, { keyId: 1 }), source, 0, 'bad-key-id'],
    ['a soft reset', (own, c) => c.third(own, { opcode: Opcode.softResetV1 }), source, 0, 'bad-opcode'],
    ['a reset of a server', (own, c) => c.third(own, { opcode: Opcode.hardResetServerV2 }), source, 0, 'bad-opcode'],
  ])('is refused with %s', (_, make, from, later, expected) => {
    const client = new Client(name);
    const contact = server(serverOf(name));
    const own = client.ask(contact);
    expect(cause(contact.handleDatagram(make(own, client), from, now + later))).toBe(expected);
    // What was wrong was that, and nothing else.
    expect(cause(contact.handleDatagram(client.third(own), source, now))).toBe('claim');
  });

  it('is refused with any bit of the cookie flipped', () => {
    const client = new Client(name);
    const contact = server(serverOf(name));
    const own = client.ask(contact);
    for (let bit = 0; bit < 64; bit++) {
      const flipped = own.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(cause(contact.handleDatagram(client.third(flipped), source, now))).toBe('bad-cookie');
    }
  });

  it.each([
    ['message id 1', { messageId: 1 }, 'bad-reset'],
    ['key-id 3', { keyId: 3 }, 'bad-key-id'],
    ['no session id', { sessionId: new Uint8Array(8) }, 'no-session-id'],
  ] as const)('is not answered when the reset has %s', (_, packet, expected) => {
    expect(cause(server(serverOf(name)).handleDatagram(new Client(name).reset(packet), source, now))).toBe(expected);
  });

  it('takes each opcode for what it is, under each key-id', () => {
    const contact = server(serverOf(name));
    for (let first = 0; first < 256; first++) {
      const bytes = Uint8Array.of(first, ...sid, ...new Uint8Array(600));
      const verdict = cause(contact.handleDatagram(bytes, source, now));
      const known = [Opcode.controlV1, Opcode.ackV1, 7, 10, 11].includes(first >> 3);
      if (!known) expect(verdict).toBe('bad-opcode');
      else if ((first & 7) !== 0) expect(verdict).toBe('bad-key-id');
      else expect(['bad-opcode', 'bad-key-id']).not.toContain(verdict);
    }
  });

  it('is not answered above the limit, which only authentic resets count against', () => {
    let asked = 0;
    let open = true;
    const contact = server(serverOf(name), () => {
      asked++;
      return open;
    });
    const client = new Client(name);
    const own = client.ask(contact);
    expect(asked).toBe(1);
    open = false;
    expect(cause(contact.handleDatagram(client.reset(), source, now))).toBe('rate-limited');
    expect(asked).toBe(2);
    const damaged = client.reset();
    damaged[name === 'none' ? 9 : damaged.length - 1] = 0xff;
    contact.handleDatagram(damaged, source, now);
    contact.handleDatagram(client.reset({ messageId: 1 }), source, now);
    expect(cause(contact.handleDatagram(client.third(own), source, now))).toBe('claim');
    expect(asked).toBe(2);
  });

  it('never throws for random bytes, and takes none', () => {
    const contact = server(serverOf(name));
    const firstByte = fc.constantFrom(...[4, 5, 7, 10, 11].map((opcode) => opcode << 3));
    fc.assert(
      fc.property(firstByte, fc.uint8Array({ maxLength: 2100 }), fc.boolean(), (first, bytes, headed) => {
        const packet = headed ? Uint8Array.of(first, ...bytes) : bytes;
        for (const verdict of [contact.handleDatagram(packet, source, now), contact.handleStream(packet, now)]) {
          expect(verdict.kind === 'claim' && verdict.proof !== 'stream').toBe(false);
          if (name !== 'none') expect(verdict.kind).toBe('drop');
          contactLines(verdict, text);
        }
      }),
    );
  });

  it('is a claim at once over a stream, with a session id of chance', () => {
    const contact = server(serverOf(name));
    const first = claim(contact.handleStream(new Client(name).reset(), now));
    const second = claim(contact.handleStream(new Client(name).reset(), now));
    expect(first).toMatchObject({ proof: 'stream', firstSendId: 1, peerSessionId: sid });
    expect(first.ownSessionId.length).toBe(8);
    expect(first.ownSessionId).not.toEqual(second.ownSessionId);
    expect(cause(contact.handleStream(new Client(name).reset({ messageId: 1 }), now))).toBe('bad-reset');
    expect(cause(contact.handleStream(new Client(name).third(sid), now))).toBe('bad-opcode');
  });
});

describe.each(['tls-auth', 'tls-crypt', 'tls-crypt-v2'] as const)('the wrapping %s', (name) => {
  it('is checked before anything that it protects: any flipped bit of a reset is a drop', () => {
    const contact = server(serverOf(name));
    const reset = new Client(name).reset();
    for (let bit = 72; bit < reset.length * 8; bit++) {
      const flipped = reset.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(['bad-hmac', 'bad-wrapped-key']).toContain(cause(contact.handleDatagram(flipped, source, now)));
    }
  });

  it('with another key gets no answer', () => {
    const foreign = staticKey.map((byte) => byte ^ 1);
    const options = clientOf(
      name,
      sealWrappedKey(
        clientKey,
        undefined,
        serverKey.map((byte) => byte ^ 1),
        crypto,
      ),
    );
    const wrap = 'staticKey' in options ? { ...options, staticKey: foreign } : options;
    const verdict = server(serverOf(name)).handleDatagram(new Client(name, { wrap }).reset(), source, now);
    expect(cause(verdict)).toBe(name === 'tls-crypt-v2' ? 'bad-wrapped-key' : 'bad-hmac');
  });
});

describe('clients with keys of their own', () => {
  const old = contacts.find(({ version, wrap }) => version === '2.5' && wrap === 'tls-crypt-v2') as CapturedContact;
  const reset = old.packets[0] as CapturedPacket;

  it('that cannot send them twice are a claim without proof (captured from OpenVPN 2.5)', () => {
    const contact = server(serverOf('tls-crypt-v2', { forceCookie: false }));
    const unproven = claim(contact.handleDatagram(reset.bytes, old.source, reset.unixSeconds));
    expect(unproven).toMatchObject({ proof: 'none', firstSendId: 1, wrap: { kind: 'tls-crypt-v2-server', clientKey } });
  });

  it('are dropped then under force-cookie', () => {
    const contact = server(serverOf('tls-crypt-v2', { forceCookie: true }));
    expect(cause(contact.handleDatagram(reset.bytes, old.source, reset.unixSeconds))).toBe('no-cookie-client');
    expect(new Client('tls-crypt-v2').ask(contact).length).toBe(8);
  });

  it('count against the limit when they prove nothing', () => {
    const contact = server(serverOf('tls-crypt-v2', { forceCookie: false }), () => false);
    expect(cause(contact.handleDatagram(reset.bytes, old.source, reset.unixSeconds))).toBe('rate-limited');
  });

  it.each([
    [0x0f000001, 'reply'],
    [0x0f000000, 'reply'],
    [0x0fffffff, 'reply'],
    [0x1f000001, 'reply'],
    [0x0e000001, 'claim'],
    [0x00000001, 'claim'],
    [0x00ffffff, 'claim'],
  ])('are asked for them again by the top byte of the first packet-id: %i → %s', (firstSendId, expected) => {
    const client = new Client('tls-crypt-v2', { firstSendId });
    const contact = server(serverOf('tls-crypt-v2', { forceCookie: false }));
    expect(contact.handleDatagram(client.reset(), source, now).kind).toBe(expected);
  });

  it('are known by what was wrapped with the key', () => {
    const metadata = { type: 0, bytes: Uint8Array.of(1, 2, 3) };
    const client = new Client('tls-crypt-v2', { wrap: clientOf('tls-crypt-v2', wrapped(metadata)) });
    const contact = server(serverOf('tls-crypt-v2'));
    const proven = claim(contact.handleDatagram(client.third(client.ask(contact)), source, now));
    expect(proven.metadata).toEqual(metadata);
    expect(proven.wrap).toEqual({ kind: 'tls-crypt-v2-server', clientKey });
  });

  const days = (n: number) => 86_400 * n;
  it.each<[string, WrappedMetadata | undefined, number | undefined, ContactDrop | 'claim', string | undefined]>([
    ['old, and age does not matter', timestampMetadata(1), undefined, 'claim', undefined],
    ['just young enough', timestampMetadata(now - days(30)), 30, 'claim', undefined],
    ['a second too old', timestampMetadata(now - days(30) - 1), 30, 'old-key', 'Client key is too old.'],
    ['of the future', timestampMetadata(now + days(1)), 30, 'claim', undefined],
    ['without metadata', undefined, 30, 'old-key', 'Client key metadata is too small to contain a timestamp.'],
    [
      'with other metadata',
      { type: 0, bytes: new Uint8Array(8) },
      30,
      'old-key',
      'Client key does not have a timestamp.',
    ],
  ])('have an age: %s', (_, metadata, maxAgeDays, expected, problem) => {
    const client = new Client('tls-crypt-v2', { wrap: clientOf('tls-crypt-v2', wrapped(metadata)) });
    const contact = server(serverOf('tls-crypt-v2', { maxAgeDays }));
    const verdict = contact.handleDatagram(client.third(client.ask(contact)), source, now);
    expect(cause(verdict)).toBe(expected);
    if (verdict.kind === 'drop') expect(verdict.problem).toBe(problem);
    expect(cause(contact.handleStream(client.reset(), now))).toBe(expected);
  });

  it('hand their metadata on with the claim', () => {
    const contact = server(serverOf('tls-crypt-v2'));
    const metadata = { type: 0, bytes: Uint8Array.of(7) };
    const client = new Client('tls-crypt-v2', { wrap: clientOf('tls-crypt-v2', wrapped(metadata)) });
    const verdict = contact.handleDatagram(client.third(client.ask(contact)), source, now);
    expect(verdict.kind === 'claim' && verdict.metadata).toEqual(metadata);
  });

  it('whose wrapped key lies about its length are dropped, and logged in the C program’s words', () => {
    const contact = server(serverOf('tls-crypt-v2'));
    const lengths = [0, 1, 289, 1025, 65_535];
    for (const length of lengths) {
      const lying = new Client('tls-crypt-v2').reset();
      lying[lying.length - 2] = length >> 8;
      lying[lying.length - 1] = length;
      const verdict = contact.handleDatagram(lying, source, now);
      expect(cause(verdict)).toBe('bad-wrapped-key');
      expect(contactLines(verdict, text).map(([, line]) => line)).toEqual([
        'Can not locate tls-crypt-v2 client key',
        `TLS Error: can not extract tls-crypt-v2 client key from ${text}`,
      ]);
    }
  });

  it('may come a hundred thousand times and leave no memory behind', { timeout: 60_000 }, () => {
    const contact = server(serverOf('tls-crypt-v2'));
    const reset = new Client('tls-crypt-v2').reset();
    const repeat = (times: number) => {
      for (let i = 0; i < times; i++) contact.handleDatagram(reset, source, now);
    };
    // What is kept would be at least a key, 256 bytes, each: 25 MB.
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    repeat(5_000);
    collect();
    const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    repeat(100_000);
    collect();
    const after = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    expect(after - before).toBeLessThan(2_000_000);
  });
});

describe('a server of several wrappings', () => {
  const options: FirstContactOptions = { sharedWraps: [SHARED['tls-auth'], SHARED['tls-crypt']], tlsCryptV2: V2 };

  it.each(['tls-auth', 'tls-crypt', 'tls-crypt-v2'] as const)('knows a client of %s by its packet', (name) => {
    const contact = server(options);
    const client = new Client(name);
    const proven = claim(contact.handleDatagram(client.third(client.ask(contact)), source, now));
    expect(proven.wrap.kind).toBe(name === 'tls-crypt-v2' ? 'tls-crypt-v2-server' : name);
  });

  it('with client keys demands some wrapping, and without a server key takes no client keys', () => {
    const bare = new Client('none').reset();
    expect(cause(server(serverOf('tls-crypt-v2')).handleDatagram(bare, source, now))).toBe('no-wrap');
    const own = new Client('tls-crypt-v2').reset();
    for (const name of ['none', 'tls-auth', 'tls-crypt'] as const) {
      expect(cause(server(serverOf(name)).handleDatagram(own, source, now))).toBe('no-wrap');
    }
  });

  it('wipes its keys on close', () => {
    const contact = server(serverOf('tls-crypt'));
    contact.close();
    expect(cause(contact.handleDatagram(new Client('tls-crypt').reset(), source, now))).toBe('bad-hmac');
  });
});

describe('log lines about first contacts', () => {
  const lines = (verdict: ContactVerdict) => contactLines(verdict, text).map(([, line]) => line);
  const drop = (cause: ContactDrop, more: object = {}): ContactVerdict => ({
    kind: 'drop',
    cause,
    opcode: 7,
    keyId: 2,
    lengthBytes: 5,
    wrapKind: undefined,
    problem: undefined,
    ...more,
  });

  it.each<[ContactDrop, object, readonly string[]]>([
    ['short', {}, [`TLS State Error: Too short packet (length  5) received from ${text}`]],
    ['short', { wrapKind: 'tls-auth' }, [`TLS Error: cannot locate HMAC in incoming packet from ${text}`]],
    ['bad-opcode', {}, [`TLS State Error: No TLS state for client ${text}, opcode=7`]],
    ['bad-key-id', {}, [`TLS State Error: Unknown key ID (2) received from ${text} -- 0 was expected`]],
    ['no-session-id', {}, [`TLS Error: session-id not found in packet from ${text}`]],
    ['no-wrap', {}, [`TLS Error: could not determine wrapping from ${text}`]],
    [
      'no-wrap',
      { opcode: 10 },
      [
        'Client wants tls-crypt-v2, but no server key present.',
        `TLS Error: can not extract tls-crypt-v2 client key from ${text}`,
      ],
    ],
    [
      'bad-hmac',
      { wrapKind: 'tls-auth' },
      [
        'Authenticate/Decrypt packet error: packet HMAC authentication failed',
        `TLS Error: incoming packet authentication failed from ${text}`,
      ],
    ],
    [
      'bad-hmac',
      { wrapKind: 'tls-crypt-v2-server' },
      ['tls-crypt unwrap error: packet authentication failed', `TLS Error: tls-crypt unwrapping failed from ${text}`],
    ],
    [
      'bad-wrapped-key',
      { problem: 'client key authentication error' },
      [
        'tls_crypt_v2_unwrap_client_key: client key authentication error',
        'Can not unwrap tls-crypt-v2 client key',
        `TLS Error: can not extract tls-crypt-v2 client key from ${text}`,
      ],
    ],
    [
      'bad-reset',
      { problem: '1' },
      [
        `TLS Error: received P_CONTROL_HARD_RESET_CLIENT_V2 with packet id 1 from ${text} -- 0 was expected, ignoring packet`,
      ],
    ],
    ['rate-limited', {}, []],
    [
      'bad-cookie',
      { opcode: 4 },
      [`Packet (P_CONTROL_V1) with invalid or missing SID from ${text} or wrong packet id`],
    ],
    [
      'old-key',
      { problem: 'Client key is too old.' },
      ['ERROR: Client key is too old.', `TLS Error: can not extract tls-crypt-v2 client key from ${text}`],
    ],
  ])('are the C program’s for %s %j', (what, more, expected) => {
    expect(lines(drop(what, more))).toEqual(expected);
  });

  it('are there for every cause but the limit, which is told by the limiter', () => {
    for (const each of CONTACT_DROPS) expect(lines(drop(each)).length > 0).toBe(each !== 'rate-limited');
  });
});

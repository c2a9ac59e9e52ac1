import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ControlPacket,
  parseControlPacket,
  writeControlBody,
  writeControlHeader,
} from '../../src/wire/control-packet.ts';
import { parseEarlyNegotiation, writeEarlyNegotiation } from '../../src/wire/early-negotiation.ts';
import { type InBandMessage, OCC_PREFIX, PING, parseInBand, writeInBand } from '../../src/wire/in-band.ts';
import { type KeyMethod2, parseKeyMethod2, writeKeyMethod2 } from '../../src/wire/key-method-2.ts';
import { formatOpcode, isHardReset, Opcode, parseKeyId, parseOpcode, writeOpcode } from '../../src/wire/opcode.ts';
import {
  announcesCompression,
  compareOptionsStrings,
  compressedOptionsString,
  parseOptionsStringCipher,
  parseOptionsStringValue,
  writeOptionsString,
} from '../../src/wire/options-string.ts';
import { ivProtoOf, offeredCiphers, parsePeerInfo, writePeerInfo } from '../../src/wire/peer-info.ts';
import { parseStaticKey, writeStaticKey } from '../../src/wire/static-key.ts';
import {
  isWrappedKey,
  parseTlsCryptV2ClientKey,
  parseTlsCryptV2ServerKey,
  splitWrappedKey,
  writeTlsCryptV2ClientKey,
  writeTlsCryptV2ServerKey,
} from '../../src/wire/tls-crypt-v2.ts';
import { readCaptures } from '../lab/captures.ts';

const sessionId = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const remote = Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9);

describe('opcodes', () => {
  it('3 to 11 are alive, all others are not', () => {
    const alive = Array.from({ length: 32 }, (_, opcode) => opcode).filter(
      (opcode) => parseOpcode(opcode << 3) !== undefined,
    );
    expect(alive).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(parseKeyId(writeOpcode(Opcode.controlV1, 5))).toBe(5);
    expect([formatOpcode(4), formatOpcode(31)]).toEqual(['P_CONTROL_V1', 'P_???']);
    expect(alive.filter((opcode) => isHardReset(opcode as Opcode))).toEqual([7, 8, 10]);
  });
});

describe('control packets in clear', () => {
  const arbitrary = fc.record({
    acks: fc.array(fc.nat(0xffffffff), { maxLength: 8 }),
    messageId: fc.nat(0xffffffff),
    payload: fc.uint8Array({ maxLength: 50 }),
    keyId: fc.nat(7),
  });

  it('go there and back, and are none when cut within their fields', () => {
    fc.assert(
      fc.property(arbitrary, ({ acks, messageId, payload, keyId }) => {
        const remoteSessionId = acks.length > 0 ? remote : undefined;
        const packet: ControlPacket = {
          opcode: Opcode.controlV1,
          keyId,
          sessionId,
          acks,
          remoteSessionId,
          messageId,
          payload,
        };
        const header = writeControlHeader(packet);
        const body = writeControlBody(packet);
        expect(parseControlPacket(header, body)).toEqual(packet);
        for (let cut = 0; cut < body.length - payload.length; cut++) {
          expect(parseControlPacket(header, body.subarray(0, cut))).toBeUndefined();
        }
      }),
    );
  });

  it('are none with nine acknowledgements, an empty session id, a data opcode, or leftovers after P_ACK_V1', () => {
    const header = writeControlHeader({ opcode: Opcode.controlV1, keyId: 0, sessionId });
    expect(parseControlPacket(header, Uint8Array.of(9, ...Array(60).fill(0)))).toBeUndefined();
    const noSession = writeControlHeader({ opcode: Opcode.controlV1, keyId: 0, sessionId: new Uint8Array(8) });
    expect(parseControlPacket(noSession, Uint8Array.of(0, 0, 0, 0, 1))).toBeUndefined();
    const data = writeControlHeader({ opcode: Opcode.dataV2, keyId: 0, sessionId });
    expect(parseControlPacket(data, Uint8Array.of(0, 0, 0, 0, 1))).toBeUndefined();
    const ack = writeControlHeader({ opcode: Opcode.ackV1, keyId: 0, sessionId });
    const acks = [1, 0, 0, 0, 5, ...remote];
    expect(parseControlPacket(ack, Uint8Array.from(acks))).toMatchObject({ acks: [5], messageId: undefined });
    expect(parseControlPacket(ack, Uint8Array.of(...acks, 0))).toBeUndefined();
    expect(parseControlPacket(ack, Uint8Array.of(0))).toBeUndefined();
  });
});

describe('key method 2', () => {
  const random = (byte: number) => new Uint8Array(32).fill(byte);
  const message: KeyMethod2 = {
    preMaster: new Uint8Array(48).fill(1),
    random1: random(2),
    random2: random(3),
    optionsString: 'V4,dev-type tun',
    username: 'alice',
    password: 'geheim ü',
    peerInfo: 'IV_VER=2.6.14\n',
  };

  it('goes there and back, and tells where text follows', () => {
    const bytes = writeKeyMethod2(message);
    const parsed = parseKeyMethod2(Uint8Array.of(...bytes, 0x41, 0), 'client');
    expect(parsed).toEqual({ value: message, consumed: bytes.length });
    const answer = { ...message, preMaster: undefined, username: undefined, password: undefined, peerInfo: undefined };
    expect(parseKeyMethod2(writeKeyMethod2(answer), 'server')).toMatchObject({ value: answer });
  });

  it('writes an absent string as length 0 and nothing', () => {
    const bytes = writeKeyMethod2({ ...message, username: undefined, password: undefined, peerInfo: undefined });
    expect([...bytes.slice(-6)]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(bytes.length).toBe(5 + 48 + 64 + 2 + 16 + 6);
  });

  it('accepts old peers that end between fields, and nothing that ends inside one', () => {
    const bytes = writeKeyMethod2(message);
    const ends = new Set([5 + 48 + 64 + 2 + 16]);
    for (const length of [8, 12, 17]) ends.add(Math.max(...ends) + length);
    for (let cut = 0; cut < bytes.length; cut++) {
      expect('value' in parseKeyMethod2(bytes.subarray(0, cut), 'client'), `${cut}`).toBe(ends.has(cut));
    }
  });

  it('refuses another key method, strings without NUL and strings over their limits', () => {
    const bytes = writeKeyMethod2(message);
    const change = (at: number, value: number) => bytes.map((byte, index) => (index === at ? value : byte));
    expect(parseKeyMethod2(change(4, 1), 'client')).toEqual({ failure: 'key-method' });
    expect(parseKeyMethod2(change(4, 0xf2), 'client')).toHaveProperty('value');
    expect(parseKeyMethod2(change(5 + 48 + 64 + 2 + 15, 0x41), 'client')).toEqual({ failure: 'options' });
    expect(parseKeyMethod2(change(5 + 48 + 64, 0xff), 'client')).toEqual({ failure: 'options' });
    expect(() => writeKeyMethod2({ ...message, optionsString: 'x'.repeat(512) })).toThrow(RangeError);
    expect(() => writeKeyMethod2({ ...message, username: 'a\0b' })).toThrow(TypeError);
  });

  it('never throws for random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void parseKeyMethod2(bytes, 'client')));
  });
});

describe('options strings', () => {
  const facts = {
    deviceType: 'tun',
    linkMtuBytes: 1549,
    tunMtuBytes: 1500,
    proto: 'UDPv4',
    tunIpv6: false,
    ifconfig: undefined,
    compression: false,
    fragment: false,
    keyDirection: undefined,
    cipher: 'AES-256-GCM',
    auth: '[null-digest]',
    keySizeBits: 256,
    tlsAuth: false,
    tlsRole: 'client',
  } as const;

  it('are written in the order of the C program', () => {
    expect(writeOptionsString(facts)).toBe(
      'V4,dev-type tun,link-mtu 1549,tun-mtu 1500,proto UDPv4,cipher AES-256-GCM,auth [null-digest],keysize 256,key-method 2,tls-client',
    );
    expect(
      writeOptionsString({
        ...facts,
        compression: true,
        fragment: true,
        keyDirection: 1,
        cipher: 'none',
        tlsAuth: true,
      }),
    ).toBe(
      'V4,dev-type tun,link-mtu 1549,tun-mtu 1500,proto UDPv4,comp-lzo,mtu-dynamic,keydir 1,cipher [null-cipher],auth [null-digest],keysize 256,tls-auth,key-method 2,tls-client',
    );
  });

  it('give their values', () => {
    const text = 'V4,link-mtu 1557,cipher [null-cipher],comp-lzo';
    expect(parseOptionsStringValue(text, 'link-mtu')).toBe('1557');
    expect(parseOptionsStringValue(text, 'link')).toBeUndefined();
    expect(parseOptionsStringCipher(text)).toBe('none');
    expect(parseOptionsStringCipher('V4,keysize 128')).toBeUndefined();
  });

  it('differ in the words of the C program', () => {
    expect(
      compareOptionsStrings(
        'V4,link-mtu 1541,comp-lzo,keydir 1,cipher X',
        'V4,link-mtu 1549,auth SHA1,keydir 0,cipher Y',
      ),
    ).toEqual([
      "WARNING: 'link-mtu' is used inconsistently, local='link-mtu 1549', remote='link-mtu 1541'",
      "WARNING: 'auth' is present in local config but missing in remote config, local='auth SHA1'",
      "WARNING: 'comp-lzo' is present in remote config but missing in local config, remote='comp-lzo'",
    ]);
    expect(compareOptionsStrings('V4,a', 'V4,a')).toEqual([]);
    expect(compareOptionsStrings('V5,b', 'V4,a')).toEqual([]);
  });

  it.each([
    [
      'V4,dev-type tun,link-mtu 1457,tun-mtu 1400,auth SHA1',
      'V4,dev-type tun,link-mtu 1458,tun-mtu 1400,auth SHA1,comp-lzo',
    ],
    ['V4,link-mtu 999,tun-mtu 900', 'V4,link-mtu 1000,tun-mtu 900,comp-lzo'],
    ['V4,tun-mtu 900', 'V4,tun-mtu 900'],
    ['V4,link-mtu 99999,tun-mtu 900', 'V4,link-mtu 99999,tun-mtu 900'],
  ])('for a peer with compression: %s', (text, compressed) => {
    expect(compressedOptionsString(text)).toBe(compressed);
    expect(announcesCompression(`${compressed},tls-client`)).toBe(text !== compressed);
  });
});

describe('peer info', () => {
  it('takes printable lines, the first of a name', () => {
    const info = parsePeerInfo('IV_VER=2.6\nIV_PROTO=990\nIV_PROTO=1\nbad line\nX=a\u0007b\nUV_A=\nIV_CIPHERS=A:B\n');
    expect([...info]).toEqual([
      ['IV_VER', '2.6'],
      ['IV_PROTO', '990'],
      ['UV_A', ''],
      ['IV_CIPHERS', 'A:B'],
    ]);
    expect([ivProtoOf(info), ivProtoOf(new Map([['IV_PROTO', '1e9']]))]).toEqual([990, 0]);
    expect(offeredCiphers(info)).toEqual(['A', 'B']);
    expect(offeredCiphers(parsePeerInfo('IV_NCP=2\n'))).toEqual(['AES-256-GCM', 'AES-128-GCM']);
    expect(writePeerInfo(['A=1', 'B=2'])).toBe('A=1\nB=2\n');
  });

  it('reads a bounded number of lines', () => {
    const text = Array.from({ length: 5000 }, (_, i) => `N${i}=x`).join('\n');
    expect(parsePeerInfo(text).size).toBe(256);
  });
});

describe('key files', () => {
  const { keys } = readCaptures();
  const key = keys.get('static') as Uint8Array;
  const v2Client = keys.get('v2-client') as Uint8Array;

  it('static keys go there and back, with any line width and text around', () => {
    const text = writeStaticKey(key);
    expect(parseStaticKey(text)).toEqual({ key });
    const wide = text.replace(/([0-9a-f]{32})\n(?=[0-9a-f]{32})/g, '$1');
    expect(parseStaticKey(`hello\r\n${wide.replace(/\n/g, '\r\n')}bye`)).toEqual({ key });
  });

  it('static keys that are none say what is wrong', () => {
    const text = writeStaticKey(key);
    expect(parseStaticKey('')).toHaveProperty('problem', expect.stringContaining('BEGIN OpenVPN Static key V1'));
    expect(parseStaticKey(text.replace(/[0-9a-f]{32}\n/, ''))).toHaveProperty(
      'problem',
      'it has 240 bytes where 256 belong',
    );
    expect(parseStaticKey(text.replace(/[0-9a-f]{32}/, 'x'.repeat(32)))).toHaveProperty('problem');
    expect(parseStaticKey(text.slice(0, -10))).toHaveProperty('problem');
  });

  it('tls-crypt-v2 keys go there and back, and wrapped keys have their shape', () => {
    const client = { clientKey: v2Client.slice(0, 256), wrappedKey: v2Client.slice(256) };
    expect(parseTlsCryptV2ClientKey(writeTlsCryptV2ClientKey(client))).toEqual(client);
    const server = keys.get('v2-server') as Uint8Array;
    expect(parseTlsCryptV2ServerKey(writeTlsCryptV2ServerKey(server))).toEqual({ serverKey: server });
    expect(parseTlsCryptV2ServerKey(writeTlsCryptV2ServerKey(server.slice(1)))).toHaveProperty('problem');
    expect(isWrappedKey(client.wrappedKey)).toBe(true);
    expect(isWrappedKey(client.wrappedKey.slice(1))).toBe(false);
    expect(
      parseTlsCryptV2ClientKey(writeTlsCryptV2ClientKey({ ...client, wrappedKey: client.wrappedKey.slice(1) })),
    ).toHaveProperty('problem');
    const packet = Uint8Array.of(1, 2, 3, ...client.wrappedKey);
    expect(splitWrappedKey(packet)?.packet).toEqual(Uint8Array.of(1, 2, 3));
    for (const length of [0, 289, 1025, packet.length + 1]) {
      const lies = packet.slice();
      lies[lies.length - 2] = length >> 8;
      lies[lies.length - 1] = length & 0xff;
      expect(splitWrappedKey(lies)).toBeUndefined();
    }
  });
});

describe('early negotiation', () => {
  it('skips unknown types and is none when broken', () => {
    expect(parseEarlyNegotiation(new Uint8Array(0))).toEqual({ resendWrappedKey: false });
    expect(parseEarlyNegotiation(writeEarlyNegotiation({ resendWrappedKey: true }))).toEqual({
      resendWrappedKey: true,
    });
    expect(parseEarlyNegotiation(Uint8Array.of(0, 9, 0, 1, 7, 0, 1, 0, 2, 0, 1))).toEqual({ resendWrappedKey: true });
    for (const bytes of [
      [0],
      [0, 1, 0],
      [0, 1, 0, 2, 0],
      [0, 1, 0, 1, 0],
      [0, 1, 0, 3, 0, 1, 1],
      [0, 9, 0xff, 0xff, 0],
    ]) {
      expect(parseEarlyNegotiation(Uint8Array.from(bytes)), bytes.join()).toBeUndefined();
    }
  });
});

describe('messages inside the data channel', () => {
  it('go there and back', () => {
    const messages: InBandMessage[] = [
      { type: 'ping' },
      { type: 'occ-request' },
      { type: 'occ-reply', optionsString: 'V4,x' },
      { type: 'mtu-load-request', sizeBytes: 1400 },
      { type: 'mtu-load' },
      { type: 'mtu-request' },
      { type: 'mtu-reply', receiveBytes: 1500, sendBytes: 1400 },
      { type: 'exit' },
    ];
    for (const message of messages) expect(parseInBand(writeInBand(message))).toEqual(message);
  });

  it('are not mistaken in packets of the tunnel', () => {
    expect(parseInBand(Uint8Array.of(0x45, 0, 0, 20))).toBeUndefined();
    expect(parseInBand(PING.subarray(1))).toBeUndefined();
    expect(parseInBand(OCC_PREFIX)).toBeUndefined();
    expect(parseInBand(Uint8Array.of(...OCC_PREFIX, 99))).toBeUndefined();
    expect(parseInBand(Uint8Array.of(...OCC_PREFIX, 2, 5))).toBeUndefined();
  });
});

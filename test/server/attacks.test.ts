// What nobody who means well does: forged, repeated, cut and endless packets, from strangers and from clients.

import { describe, expect, it } from 'vitest';
import type { SocketAddress } from '../../src/ip/socket-address.ts';
import { createSession } from '../../src/session/session.ts';
import { writeControlBody, writeControlHeader } from '../../src/wire/control-packet.ts';
import { Opcode } from '../../src/wire/opcode.ts';
import { concatBytes } from '../../src/wire/writer.ts';
import { DeterministicTls } from '../lab/deterministic-tls.ts';
import { type LabClient, PEER_INFO } from '../lab/lab-client.ts';
import { seededRandom } from '../lab/noisy-wire.ts';
import { addressOf, exited, ServerLab } from '../lab/server-lab.ts';
import { seededCrypto, sessionOptions } from '../lab/session-pair.ts';

const CREDENTIALS = { username: 'max', password: 'secret' };
const never = () => new Promise<never>(() => {});
const LONG = 'long'.repeat(1250);
const EMPTY = new Uint8Array(0);

/** Control packets that came from a client's address, oldest first. */
const sentBy = (lab: ServerLab, { port, address }: SocketAddress): Uint8Array[] =>
  lab.wire.sent
    .filter(({ to }) => to.to === 'server' && to.from.port === port && to.from.address.join() === address.join())
    .map(({ bytes }) => bytes)
    .filter((bytes) => (bytes[0] ?? 0) >> 3 !== 9);

const sessionIdOf = (lab: ServerLab, client: LabClient): Uint8Array =>
  sentBy(lab, client.address)[0]?.subarray(1, 9) ?? EMPTY;

const softReset = (sessionId: Uint8Array, keyId: number): Uint8Array =>
  concatBytes(
    writeControlHeader({ opcode: Opcode.softResetV1, keyId, sessionId }),
    writeControlBody({ acks: [], remoteSessionId: undefined, messageId: 0, payload: EMPTY }),
  );

const passes = async (lab: ServerLab, client: LabClient): Promise<boolean> => {
  lab.inner();
  client.sendPacket('10.8.0.1');
  await lab.runFor(100);
  return lab.inner().length === 1;
};

describe('a client that asks for too much', () => {
  it('gets one reply, however often it asks for its options', async () => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    for (let round = 0; round < 1000; round++) {
      ann.session.sendText('PUSH_REQUEST', lab.clock.now());
      if (round % 50 === 0) await lab.runFor(10);
    }
    await lab.runFor(5000);
    expect(lab.lines(/SENT CONTROL \[ann\]: 'PUSH_REPLY/)).toHaveLength(1);
    expect(await passes(lab, ann)).toBe(true);
  });

  it('gets none before its addresses are learned', async () => {
    const lab = new ServerLab(['script-security 2', 'learn-address /learn']);
    lab.script = never;
    await lab.up();
    const ann = lab.connect('ann', { session: { peerInfo: ['IV_PROTO=2', 'IV_NCP=2'], pushRequestMs: 1000 } });
    await lab.runFor(40_000);
    expect(lab.lines(/Received control message: 'PUSH_REQUEST'/).length).toBeGreaterThan(10);
    expect(lab.lines(/PUSH_REPLY/)).toEqual([]);
    expect(ann.pushed).toBeUndefined();
  });

  it('that answers without being asked runs no program, and one answer to a question is one', async () => {
    const lab = new ServerLab(['script-security 2', 'client-crresponse /answer'], {
      hooks: {
        onAuthenticate: async ({ commonName }, context) => {
          if (commonName === 'bob') await context.ask('Token?');
          return never();
        },
      },
    });
    lab.script = async () => exited(0);
    await lab.up();
    const answers = async (client: LabClient) => {
      for (let round = 0; round < 100; round++) client.session.sendText('CR_RESPONSE,MTIz', lab.clock.now());
      await lab.runFor(5000);
    };
    const ann = lab.connect('ann');
    await lab.runFor(1000);
    await answers(ann);
    expect(lab.ran).toHaveLength(0);
    const bob = lab.connect('bob');
    await lab.runFor(1000);
    await answers(bob);
    expect(lab.ran).toHaveLength(1);
    lab.ran.length = 0;
    const up = await new ServerLab(['script-security 2', 'client-crresponse /answer']).up();
    const eve = await up.connected('eve');
    eve.session.sendText('CR_RESPONSE,MTIz', up.clock.now());
    await up.runFor(1000);
    expect(up.ran).toHaveLength(0);
  });

  it.each(
    [
      'PUSH_REQUEST\n192.0.2.1:1 TLS Auth Error',
      '\x1b[2J',
      'CR_RESPONSE,\x07',
      'INFO,\rfake',
      'RESTART,[N]',
      'HALT,x',
      'AUTH_FAILED',
      'AUTH_PENDING,timeout 9',
      'PUSH_REPLY,route 0.0.0.0',
      'PUSH_UPDATE,route 0.0.0.0',
      LONG,
    ].map((text) => [text.slice(0, 30), text] as const),
  )('and says %j changes nothing, and nothing of it gets into the log as it is', async (_title, text) => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    ann.session.sendText(text, lab.clock.now());
    await lab.runFor(5000);
    expect(lab.names).toEqual(['ann']);
    expect(await passes(lab, ann)).toBe(true);
    expect(lab.log.join('')).not.toMatch(/[\0-\x1f\x7f]/);
    expect(Math.max(...lab.log.map(({ length }) => length))).toBeLessThan(5500);
  });

  it('and has more to say of itself than there is room for is bounded', async () => {
    const lab = await new ServerLab([]).up();
    const peerInfo = [...PEER_INFO, ...Array.from({ length: 1000 }, (_, index) => `UV_${index}=x`)];
    await lab.connected('ann', { session: { peerInfo } });
    expect(lab.lines(/peer info: /).length).toBeLessThanOrEqual(256);
  });
});

describe('key method 2', () => {
  it('cut at any byte lets nobody in', async () => {
    let lengths = Number.POSITIVE_INFINITY;
    for (let cut = 0; cut < lengths; cut++) {
      const lab = await new ServerLab([], {
        hooks: { onAuthenticate: ({ password }) => password === 'secret' },
      }).up();
      let first = true;
      const mangle = (plaintext: Uint8Array): Uint8Array => {
        if (!first) return plaintext;
        first = false;
        lengths = plaintext.length;
        return plaintext.slice(0, cut);
      };
      const ann = lab.connect('ann', { credentials: CREDENTIALS, tls: { mangle } });
      await lab.runFor(200);
      expect([cut, ann.isUp]).toEqual([cut, false]);
      expect(await lab.gone()).toEqual({});
    }
    expect(lengths).toBeGreaterThan(200);
  });

  it('with any byte flipped disturbs nobody else', async () => {
    const lab = await new ServerLab(['connect-freq-initial 100000 1']).up();
    const bob = await lab.connected('bob');
    const random = seededRandom(9);
    for (let round = 0; round < 60; round++) {
      let first = true;
      const mangle = (plaintext: Uint8Array): Uint8Array => {
        if (!first) return plaintext;
        first = false;
        const changed = plaintext.slice();
        const at = Math.floor(random() * changed.length);
        changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(random() * 8));
        return changed;
      };
      lab.connect('ann', { credentials: CREDENTIALS, tls: { mangle }, address: addressOf('203.0.113.1', 1 + round) });
      await lab.runFor(200);
    }
    await lab.runFor(70_000);
    expect(await passes(lab, bob)).toBe(true);
    expect(lab.log.join('')).not.toMatch(/[\0-\x1f\x7f]/);
    expect(await lab.gone()).toEqual({});
  });
});

describe('forged packets', () => {
  it('that begin renegotiations begin one at most, which is forgotten again', async () => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    const sessionId = sessionIdOf(lab, ann);
    for (let round = 0; round < 100; round++) {
      for (let keyId = 0; keyId < 8; keyId++) lab.inject(ann.address, softReset(sessionId, keyId));
      await lab.runFor(10);
    }
    expect(lab.tls.open).toBeLessThanOrEqual(2);
    expect(await passes(lab, ann)).toBe(true);
    await lab.runFor(70_000);
    expect(lab.names).toEqual(['ann']);
    ann.session.renegotiate(lab.clock.now());
    await lab.runFor(5000);
    // The client answers what the server seems to begin: each is a whole handshake, one at a time.
    expect(lab.renegotiations).toBeLessThan(6);
  });

  it('that begin a renegotiation do nothing while the client is judged', async () => {
    const lab = await new ServerLab([], { hooks: { onAuthenticate: never } }).up();
    const ann = lab.connect('ann');
    await lab.runFor(1000);
    const { created } = lab.tls;
    for (let keyId = 0; keyId < 8; keyId++) lab.inject(ann.address, softReset(sessionIdOf(lab, ann), keyId));
    await lab.runFor(1000);
    expect(lab.tls.created).toBe(created);
  });

  it('of one client from the address of another disturb neither', async () => {
    const lab = await new ServerLab([]).up();
    const [ann, bob] = [await lab.connected('ann'), await lab.connected('bob')];
    for (const bytes of sentBy(lab, ann.address)) lab.inject(bob.address, bytes);
    await lab.runFor(5000);
    expect(lab.names).toEqual(['ann', 'bob']);
    expect(lab.kept).toBe(2);
    expect(await passes(lab, ann)).toBe(true);
    expect(await passes(lab, bob)).toBe(true);
  });

  it('of the client itself, all of them again, disturb nothing', async () => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    for (let round = 0; round < 10; round++)
      for (const bytes of sentBy(lab, ann.address)) lab.inject(ann.address, bytes);
    await lab.runFor(5000);
    expect(lab.kept).toBe(1);
    expect(await passes(lab, ann)).toBe(true);
  });

  it('that float by a repeated data packet are refused', async () => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    ann.sendPacket('10.8.0.1');
    await lab.runFor(100);
    const data = lab.wire.sent.filter(({ to, bytes }) => to.to === 'server' && (bytes[0] ?? 0) >> 3 === 9);
    expect(data.length).toBeGreaterThan(0);
    for (const { bytes } of data) {
      lab.inject(addressOf('203.0.113.9', 9), bytes.slice());
      const flipped = bytes.slice();
      flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
      lab.inject(addressOf('203.0.113.9', 9), flipped);
    }
    await lab.runFor(100);
    expect(lab.list[0]?.endpoint.address).toBe('192.0.2.10');
    expect(lab.lines(/floated/)).toEqual([]);
  });

  it('of pure noise keep nothing and are hardly answered', async () => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    const random = seededRandom(5);
    const before = lab.sentControl;
    const { length } = lab.log;
    for (let round = 0; round < 5000; round++) {
      const bytes = Uint8Array.from({ length: Math.floor(random() * 80) }, () => Math.floor(random() * 256));
      const from = round % 3 === 0 ? ann.address : addressOf('203.0.113.1', 1 + round);
      lab.inject(from, bytes);
    }
    await lab.runFor(100);
    expect(lab.kept).toBe(1);
    expect(lab.sentControl - before).toBeLessThan(20);
    expect(lab.log.length - length).toBeLessThan(100);
    expect(await passes(lab, ann)).toBe(true);
  });
});

describe('the third packet of a handshake', () => {
  it('again makes one client at most, and after the cookie’s time none', async () => {
    const lab = await new ServerLab(['hand-window 20']).up();
    const ann = await lab.connected('ann');
    const third = sentBy(lab, ann.address)[1] ?? EMPTY;
    ann.session.sendExit(lab.clock.now());
    ann.silent = true;
    lab.inject(ann.address, third);
    await lab.until(() => lab.kept <= 1, 'ann has gone');
    ann.session.sendExit(lab.clock.now());
    await lab.runFor(1000);
    for (let round = 0; round < 50; round++) {
      lab.inject(ann.address, third);
      expect(lab.kept).toBeLessThanOrEqual(1);
    }
    for (let port = 1; port <= 50; port++) lab.inject(addressOf('203.0.113.1', port), third);
    expect(lab.kept).toBeLessThanOrEqual(1);
    await lab.runFor(60_000);
    lab.inject(ann.address, third);
    await lab.runFor(1000);
    expect(lab.kept).toBe(ann.isUp ? 1 : 0);
  });
});

describe('ten thousand clients that never finish', () => {
  /** A reset, the answer to it, and the third packet; nothing more ever. */
  function claims(lab: ServerLab, count: number): void {
    const answers = new Map<string, Uint8Array>();
    lab.plane.onSend(
      (_link, address, bytes) => void answers.set(`${address.address.join('.')} ${address.port}`, bytes),
    );
    const tls = new DeterministicTls({ name: 'x', seed: 1 });
    for (let index = 0; index < count; index++) {
      const from = addressOf(`203.0.${index >> 8}.${index & 255}`, 1000);
      const session = createSession(sessionOptions('client'), {
        crypto: seededCrypto(index),
        tls,
        log: () => {},
        wake: () => {},
      });
      const now = lab.clock.now();
      session.start(now, '');
      const reset = session.pollTransmit(now);
      if (reset !== undefined) lab.inject(from, reset);
      const answer = answers.get(`${from.address.join('.')} ${from.port}`);
      if (answer === undefined) continue;
      session.handleControl(answer, now);
      const third = session.pollTransmit(now);
      if (third !== undefined) lab.inject(from, third);
      session.close();
    }
  }

  it('take max-clients places for hand-window at most, and a client that comes then comes in after it', async () => {
    const lab = await new ServerLab(['max-clients 100', 'connect-freq-initial 1000000 1', 'hand-window 20']).up();
    const early = await lab.connected('early');
    claims(lab, 10_000);
    expect(lab.kept).toBe(100);
    await lab.settle();
    expect(lab.tls.open).toBeLessThanOrEqual(101);
    await lab.runFor(22_000);
    expect(lab.kept).toBe(1);
    expect(lab.tls.open).toBe(1);
    expect(lab.names).toEqual([early.name]);
    expect(lab.log.length).toBeLessThan(11_000);
    expect(await lab.gone()).toEqual({});
  });

  it('are held to connect-freq-initial and connect-freq', async () => {
    const lab = await new ServerLab(['connect-freq-initial 30 10', 'connect-freq 20 10']).up();
    claims(lab, 1000);
    expect(lab.kept).toBeLessThanOrEqual(20);
  });
});

describe('a mistake of the server’s own', () => {
  it('that one client brings to light ends that client alone', async () => {
    const lab = await new ServerLab([]).up();
    const bob = await lab.connected('bob');
    const ann = await lab.connected('ann');
    const sendControl = lab.plane.sendControl.bind(lab.plane);
    lab.plane.sendControl = (link, address, bytes) => {
      if (address?.address.join() === ann.address.address.join()) throw new RangeError('a mistake');
      sendControl(link, address, bytes);
    };
    ann.session.sendText('PUSH_REQUEST', lab.clock.now());
    await lab.runFor(1000);
    expect(lab.names).toEqual(['bob']);
    expect(lab.lines(/a mistake/)).toHaveLength(1);
    expect(await passes(lab, bob)).toBe(true);
    expect(await lab.gone()).toEqual({});
  });
});

describe('a wrap', () => {
  const staticKey = Uint8Array.from({ length: 256 }, (_, index) => index);
  const wrap = { kind: 'tls-auth', staticKey, direction: undefined, digest: 'SHA1' } as const;

  it('that is not the server’s gets no answer', async () => {
    const lab = await new ServerLab([], { wraps: { sharedWraps: [wrap], tlsCryptV2: undefined } }).up();
    const stranger = lab.connect('ann');
    const other = lab.connect('bob', { wrap: { ...wrap, staticKey: staticKey.map((byte) => byte ^ 1) } });
    await lab.runFor(30_000);
    expect(lab.sentControl).toBe(0);
    expect(stranger.isUp || other.isUp).toBe(false);
    expect((await lab.connected('ann', { wrap })).isUp).toBe(true);
  });
});

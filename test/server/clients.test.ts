// Clients of a whole server in memory: how they come, live, move and go.

import { describe, expect, it } from 'vitest';
import type { LabClient } from '../lab/lab-client.ts';
import { addressOf, ServerLab } from '../lab/server-lab.ts';

const KEEPALIVE = 'keepalive 10 60';
/** Loses, repeats and reorders; without a wrap a flipped bit would be the end of TLS, as it should. */
const ROUGH = { lose: 0.3, repeat: 0.15, corrupt: 0, delayMs: 10, jitterMs: 40 };

describe('a client', () => {
  it('comes from its first packet to the tunnel, and both ends speak', async () => {
    const lab = await new ServerLab([KEEPALIVE, 'push "route 10.1.0.0 255.255.0.0"']).up();
    const ann = await lab.connected('ann');
    expect(lab.names).toEqual(['ann']);
    expect(ann.pushed).toEqual([
      'route 10.1.0.0 255.255.0.0',
      'route-gateway 10.8.0.1',
      'topology subnet',
      'ping 10',
      'ping-restart 60',
      'ifconfig 10.8.0.2 255.255.255.0',
      'peer-id 0',
      'cipher AES-256-GCM',
      'protocol-flags cc-exit tls-ekm',
    ]);
    ann.sendPacket('10.8.0.1');
    await lab.runFor(100);
    expect(lab.inner()).toEqual(['10.8.0.2 > 10.8.0.1']);
    lab.sendInner('10.8.0.2');
    await lab.runFor(100);
    expect(ann.receivedFrom()).toEqual(['10.8.0.1']);
    expect(await lab.gone()).toEqual({});
  });

  it('of 2.7 gets all of its protocol flags, and both ends speak by them, with new keys too', async () => {
    const lab = await new ServerLab([KEEPALIVE]).up();
    const ann = await lab.connected('ann', { session: { peerInfo: ['IV_PROTO=8094', 'IV_CIPHERS=AES-256-GCM'] } });
    expect(ann.pushed).toContain('protocol-flags cc-exit tls-ekm dyn-tls-crypt aead-epoch');
    expect(lab.lines(/Protocol options: protocol-flags cc-exit tls-ekm dyn-tls-crypt aead-epoch$/)).toHaveLength(1);
    for (let round = 1; round <= 3; round++) {
      ann.sendPacket('10.8.0.1');
      lab.sendInner('10.8.0.2');
      await lab.runFor(100);
      expect(lab.inner()).toEqual(['10.8.0.2 > 10.8.0.1']);
      expect(ann.receivedFrom()).toEqual(['10.8.0.1']);
      ann.session.renegotiate(lab.clock.now());
      await lab.until(() => lab.renegotiations === round, 'renegotiated');
      await lab.runFor(1000);
    }
    const formats = ann.events.flatMap((event) => (event.type === 'data-key' ? [event.format] : []));
    expect(formats).toEqual(['epoch', 'epoch', 'epoch', 'epoch']);
    expect(await lab.gone()).toEqual({});
  });

  it.each([
    ['a cipher without a tag', ['data-ciphers AES-256-CBC'], ['IV_PROTO=8094', 'IV_CIPHERS=AES-256-CBC']],
    ['no word of it', [], ['IV_PROTO=7070', 'IV_CIPHERS=AES-256-GCM']],
  ])('with %s gets no epochs', async (_title, lines, peerInfo) => {
    const lab = await new ServerLab(lines).up();
    const ann = await lab.connected('ann', { session: { peerInfo, dataCiphers: ['AES-256-GCM', 'AES-256-CBC'] } });
    expect(ann.pushed).toContain('protocol-flags cc-exit tls-ekm dyn-tls-crypt');
    ann.sendPacket('10.8.0.1');
    await lab.runFor(100);
    expect(lab.inner()).toEqual(['10.8.0.2 > 10.8.0.1']);
  });

  it.each([1, 2, 3, 4, 5])('comes over a wire that loses a third, repeats and reorders (seed %i)', async (seed) => {
    const lab = await new ServerLab([], { seed }).up();
    lab.setNoise(ROUGH);
    const clients = ['ann', 'bob', 'eve'].map((name) => lab.connect(name));
    await lab.until(() => clients.every(({ isUp }) => isUp), 'all are up');
    expect(await lab.gone()).toEqual({});
  });

  it('comes over TCP', async () => {
    const lab = await new ServerLab(['proto tcp-server']).up();
    const ann = await lab.connected('ann', { transport: 'tcp' });
    ann.sendPacket('10.8.0.1');
    await lab.runFor(100);
    expect(lab.inner()).toEqual(['10.8.0.2 > 10.8.0.1']);
    expect(await lab.gone()).toEqual({});
  });

  it('may send from its own address in the tunnel only', async () => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    ann.sendPacket('10.8.0.1', '10.8.0.77');
    await lab.runFor(100);
    expect(lab.inner()).toEqual([]);
  });

  it('asks for its options and gets them, if it announces no wish for them unasked', async () => {
    const lab = await new ServerLab([]).up();
    const old = await lab.connected('old', { session: { peerInfo: ['IV_PROTO=2', 'IV_NCP=2'] } });
    expect(old.pushed).toContain('cipher AES-256-GCM');
    expect(old.pushed?.some((option) => option.startsWith('protocol-flags'))).toBe(false);
  });

  it('without a common cipher is told so', async () => {
    const lab = await new ServerLab(['data-ciphers AES-256-GCM']).up();
    const ann = lab.connect('ann', { session: { peerInfo: ['IV_PROTO=478', 'IV_CIPHERS=CHACHA20-POLY1305'] } });
    await lab.until(() => ann.end !== undefined, 'ann is refused');
    expect(ann.refused).toBe('Data channel cipher negotiation failed (no shared cipher)');
    await lab.runFor(10_000);
    expect(lab.kept).toBe(0);
  });
});

describe('two clients of one name', () => {
  it('are one: the later takes the place and the address of the earlier', async () => {
    const ends: string[] = [];
    const hooks = { onDisconnect: (_client: unknown, reason: string) => void ends.push(reason) };
    const lab = await new ServerLab([], { hooks }).up();
    const first = await lab.connected('ann');
    const second = await lab.connected('ann');
    await lab.runFor(100);
    expect(lab.kept).toBe(1);
    expect(second.tunnelAddress).toBe(first.tunnelAddress);
    expect(lab.lines(/will cause previous active sessions/)).toHaveLength(1);
    expect(ends).toEqual(['replaced']);
    second.sendPacket('10.8.0.1');
    first.sendPacket('10.8.0.1');
    await lab.runFor(100);
    expect(lab.inner()).toEqual(['10.8.0.2 > 10.8.0.1']);
    expect(await lab.gone()).toEqual({});
  });

  it('are two under duplicate-cn', async () => {
    const lab = await new ServerLab(['duplicate-cn']).up();
    const clients = [await lab.connected('ann'), await lab.connected('ann')];
    expect(clients.map(({ tunnelAddress }) => tunnelAddress)).toEqual(['10.8.0.2', '10.8.0.3']);
    expect(lab.names).toEqual(['ann', 'ann']);
  });
});

describe('a server that is full', () => {
  it('takes nobody else, and takes them once there is room', async () => {
    const lab = await new ServerLab(['max-clients 2']).up();
    const ann = await lab.connected('ann');
    await lab.connected('bob');
    const eve = lab.connect('eve');
    await lab.runFor(5000);
    expect(eve.isUp).toBe(false);
    expect(lab.kept).toBe(2);
    expect(lab.lines(/would exceed maximum number of clients \(2\)/).length).toBeGreaterThan(0);
    ann.session.sendExit(lab.clock.now());
    await lab.until(() => eve.isUp, 'eve is up');
    expect(eve.peerId).toBe(0);
  });
});

describe('a second handshake from the address of a live client', () => {
  /** Ann is up; the next login waits until it is let go. */
  async function withCandidate(name: string) {
    const waiting: ((accept: boolean) => void)[] = [];
    const onAuthenticate = () =>
      lab.names.length === 0 ? true : new Promise<boolean>((resolve) => waiting.push(resolve));
    const lab: ServerLab = await new ServerLab([], { hooks: { onAuthenticate } }).up();
    const ann = await lab.connected('ann');
    const candidate = lab.connect(name, { address: ann.address });
    await lab.until(() => waiting.length === 1, 'the candidate is judged');
    return { lab, ann, candidate, decide: (accept: boolean) => waiting.shift()?.(accept) };
  }

  const passes = async (lab: ServerLab, client: LabClient) => {
    client.sendPacket('10.8.0.1');
    await lab.runFor(100);
    return lab.inner().length === 1;
  };

  it('does not disturb the client before it has authenticated', async () => {
    const { lab, ann, candidate } = await withCandidate('ann');
    expect(await passes(lab, ann)).toBe(true);
    expect(lab.kept).toBe(2);
    ann.session.renegotiate(lab.clock.now());
    await lab.runFor(2000);
    expect(lab.names).toEqual(['ann']);
    expect(candidate.isUp).toBe(false);
  });

  it('leaves the client as it is when it is refused', async () => {
    const { lab, ann, candidate, decide } = await withCandidate('ann');
    decide(false);
    await lab.until(() => candidate.end !== undefined, 'the candidate is refused');
    await lab.runFor(10_000);
    expect(await passes(lab, ann)).toBe(true);
    expect(lab.kept).toBe(1);
  });

  it.each(['ann', 'bob'])('takes its place once it has authenticated as %s', async (name) => {
    const { lab, ann, candidate, decide } = await withCandidate(name);
    decide(true);
    await lab.until(() => candidate.isUp, 'the candidate is up');
    expect(lab.names).toEqual([name]);
    expect(lab.kept).toBe(1);
    expect(await passes(lab, ann)).toBe(false);
    expect(await passes(lab, candidate)).toBe(true);
    expect(await lab.gone()).toEqual({});
  });

  it('is what a client does that was killed and is back on its port', async () => {
    const lab = await new ServerLab([KEEPALIVE]).up();
    const ann = await lab.connected('ann');
    ann.silent = true;
    const startMs = lab.clock.nowMs;
    const again = await lab.connected('ann', { address: ann.address });
    expect(lab.clock.nowMs - startMs).toBeLessThan(3000);
    expect(again.tunnelAddress).toBe(ann.tunnelAddress);
    expect(lab.kept).toBe(1);
  });
});

describe('a handshake that is not gone on with', () => {
  it.each([1, 2, 3, 4, 6])('is forgotten after hand-window (silent after %i packets)', async (packets) => {
    const lab = await new ServerLab(['hand-window 20']).up();
    const ann = lab.connect('ann');
    await lab.until(() => lab.wire.sent.length >= packets, 'some packets were sent');
    ann.silent = true;
    await lab.runFor(1000);
    const kept = lab.kept;
    await lab.runFor(25_000);
    expect(lab.kept).toBe(0);
    if (kept === 0) return;
    expect(lab.lines(/TLS key negotiation failed to occur within 20 seconds/)).toHaveLength(1);
    expect(lab.lines(/^192\.0\.2\.10:40000 TLS Error: TLS handshake failed$/)).toHaveLength(1);
    expect(lab.lines(/SIGUSR1\[soft,tls-error\] received, client-instance restarting/)).toHaveLength(1);
    expect(await lab.gone()).toEqual({});
  });

  it('gives way to the next one from its address', async () => {
    const lab = await new ServerLab([]).up();
    const first = lab.connect('ann');
    await lab.until(() => lab.kept === 1, 'it is known');
    first.silent = true;
    const second = await lab.connected('ann', { address: first.address });
    expect(second.peerId).toBe(0);
    expect(lab.kept).toBe(1);
  });
});

describe('a client ends', () => {
  async function ending(how: (lab: ServerLab, ann: LabClient) => void, lines: string[], options = {}) {
    const ends: string[] = [];
    const hooks = { onDisconnect: (_client: unknown, reason: string) => void ends.push(reason) };
    const lab = await new ServerLab(lines, { hooks }).up();
    const ann = await lab.connected('ann', options);
    how(lab, ann);
    await lab.runFor(130_000);
    expect(lab.kept).toBe(0);
    expect(await lab.gone()).toEqual({});
    return { ends, log: lab.log.join('\n') };
  }

  it('by EXIT on the control channel', async () => {
    const { ends, log } = await ending((lab, ann) => ann.session.sendExit(lab.clock.now()), []);
    expect(ends).toEqual(['remote-exit']);
    expect(log).toContain('CC-EEN exit message received by peer');
  });

  it('by the old notice on the data channel', async () => {
    const old = { session: { peerInfo: ['IV_PROTO=2', 'IV_NCP=2'] } };
    const { ends, log } = await ending((lab, ann) => ann.session.sendExit(lab.clock.now()), [], old);
    expect(ends).toEqual(['remote-exit']);
    expect(log).toContain('OCC exit message received by peer');
  });

  it('by silence', async () => {
    const { ends } = await ending(
      (_lab, ann) => {
        ann.silent = true;
      },
      [KEEPALIVE],
    );
    expect(ends).toEqual(['ping-restart']);
  });

  it.each(['EOF', 'ECONNRESET'])('by the end of its stream (%s)', async (code) => {
    const { ends, log } = await ending((lab, ann) => lab.closeStream(ann, code), ['proto tcp-server'], {
      transport: 'tcp',
    });
    expect(ends).toEqual(['connection-reset']);
    expect(log).toContain(`Connection reset, restarting [${code === 'EOF' ? 0 : -1}]`);
  });

  it('by nonsense in its stream', async () => {
    const { ends } = await ending(
      (lab, ann) => {
        ann.silent = true;
        lab.injectStream(ann, Uint8Array.of(0, 0, 1));
      },
      ['proto tcp-server'],
      { transport: 'tcp' },
    );
    expect(ends).toEqual(['connection-reset']);
  });
});

describe('a client that is at another address', () => {
  const from = (client: LabClient, address: string, port = 40_000) => {
    client.address = addressOf(address, port);
    client.sendPacket('10.8.0.1');
  };

  it('goes on there once its data proves that it is the same', async () => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    from(ann, '203.0.113.5', 5);
    await lab.runFor(1000);
    ann.sendPacket('10.8.0.1');
    await lab.runFor(1000);
    expect(lab.inner().length).toBeGreaterThan(0);
    expect(lab.list[0]?.endpoint).toMatchObject({ address: '203.0.113.5', port: 5 });
    expect(lab.lines(/^peer 0 \(ann\) floated from 192\.0\.2\.10:40000 to \[AF_INET\]203\.0\.113\.5:5$/)).toHaveLength(
      1,
    );
    ann.session.renegotiate(lab.clock.now());
    await lab.runFor(5000);
    expect(lab.renegotiations).toBe(1);
    expect(await lab.gone()).toEqual({});
  });

  it('is not heard there for a control packet alone', async () => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    ann.address = addressOf('203.0.113.5', 5);
    ann.session.renegotiate(lab.clock.now());
    await lab.runFor(5000);
    expect(lab.list[0]?.endpoint.address).toBe('192.0.2.10');
    expect(lab.renegotiations).toBe(0);
  });

  it('does not get the address that another client is at', async () => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    const bob = await lab.connected('bob');
    from(ann, '192.0.2.11');
    await lab.runFor(1000);
    expect(lab.names).toEqual(['ann', 'bob']);
    expect(lab.list[0]?.endpoint.address).toBe('192.0.2.10');
    expect(lab.lines(/Disallow float to an address taken by another client bob/).length).toBeGreaterThan(0);
    lab.inner();
    bob.sendPacket('10.8.0.1');
    await lab.runFor(100);
    expect(lab.inner()).toEqual(['10.8.0.3 > 10.8.0.1']);
  });

  it('does not get the address of somebody who is still on the way in', async () => {
    const lab = await new ServerLab([], {
      hooks: { onAuthenticate: ({ commonName }) => commonName === 'ann' || new Promise(() => {}) },
    }).up();
    const ann = await lab.connected('ann');
    lab.connect('bob');
    await lab.runFor(1000);
    expect(lab.kept).toBe(2);
    from(ann, '192.0.2.11');
    await lab.runFor(1000);
    expect(lab.kept).toBe(2);
    expect(lab.list[0]?.endpoint.address).toBe('192.0.2.10');
  });

  it('takes the place of an earlier session of its own there', async () => {
    const lab = await new ServerLab(['duplicate-cn']).up();
    await lab.connected('ann');
    const second = await lab.connected('ann');
    from(second, '192.0.2.10');
    await lab.runFor(1000);
    expect(lab.kept).toBe(1);
    expect(lab.list[0]).toMatchObject({ id: 1, endpoint: { address: '192.0.2.10' } });
    expect(await lab.gone()).toEqual({});
  });

  it('does not pass for another one where nobody has a name or a certificate', async () => {
    const lab = await new ServerLab(['verify-client-cert none', 'auth-user-pass-optional', 'duplicate-cn'], {
      hooks: { onAuthenticate: () => true },
      tls: { report: { chain: [] } },
    }).up();
    const one = await lab.connected('one');
    await lab.connected('two');
    from(one, '192.0.2.11');
    await lab.runFor(1000);
    expect(lab.kept).toBe(2);
  });
});

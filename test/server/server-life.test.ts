// A server from its start to its end: signals at every moment, failures on the way up, and what is left behind.

import { describe, expect, it } from 'vitest';
import { SallyportError } from '../../src/error.ts';
import { HostError } from '../../src/tunnel/ports.ts';
import { addressOf, exited, ServerLab } from '../lab/server-lab.ts';

const never = () => new Promise<never>(() => {});

describe('a server', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('ends by %s without a word to its clients', async (signal) => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    expect(await lab.gone(signal)).toEqual({});
    expect(lab.end).toEqual({ kind: 'exit', exitCode: 0, error: undefined });
    expect(ann.end).toBeUndefined();
    expect(lab.log.at(-1)).toBe(`${signal}[hard,] received, process exiting`);
  });

  it.each([
    [1, false],
    [2, true],
  ])('says to its clients under explicit-exit-notify %i where to go', async (how, advance) => {
    const ends: string[] = [];
    const hooks = { onDisconnect: (_client: unknown, reason: string) => void ends.push(reason) };
    const lab = await new ServerLab([`explicit-exit-notify ${how}`], { hooks }).up();
    const clients = [await lab.connected('ann'), await lab.connected('bob')];
    expect(await lab.gone()).toEqual({});
    for (const client of clients) expect(client.end).toMatchObject({ reason: 'server-restart', advance });
    expect(ends).toEqual(['server-exit', 'server-exit']);
  });

  it('does not wait for ever for clients that hear nothing', async () => {
    const lab = await new ServerLab(['explicit-exit-notify 1']).up();
    (await lab.connected('ann')).silent = true;
    const startMs = lab.clock.nowMs;
    expect(await lab.gone()).toEqual({});
    expect(lab.clock.nowMs - startMs).toBeLessThan(6000);
  });

  it.each([20, 60, 100])('says it to a client in the middle of a renegotiation, too (after %i ms)', async (ms) => {
    const lab = await new ServerLab(['explicit-exit-notify 1']).up();
    const ann = await lab.connected('ann');
    ann.session.renegotiate(lab.clock.now());
    await lab.runFor(ms);
    const startMs = lab.clock.nowMs;
    expect(await lab.gone()).toEqual({});
    expect(ann.end).toMatchObject({ reason: 'server-restart' });
    expect(lab.clock.nowMs - startMs).toBeLessThan(6000);
  });

  it('waits for no client that falls silent in the middle of a renegotiation', async () => {
    for (let beforeMs = 20; beforeMs <= 100; beforeMs += 20) {
      for (let afterMs = 0; afterMs <= 60; afterMs += 10) {
        const lab = await new ServerLab(['explicit-exit-notify 1']).up();
        const ann = await lab.connected('ann');
        ann.session.renegotiate(lab.clock.now());
        await lab.runFor(beforeMs);
        const startMs = lab.clock.nowMs;
        lab.server.signal('SIGTERM');
        await lab.runFor(afterMs);
        ann.silent = true;
        expect(await lab.gone()).toEqual({});
        expect(lab.clock.nowMs - startMs).toBeLessThan(6000);
      }
    }
  });

  it('ends while a renegotiation is judged by somebody who never answers', async () => {
    const lab = await new ServerLab(['explicit-exit-notify 1'], {
      hooks: { onAuthenticate: ({ renegotiation }) => !renegotiation || never() },
    }).up();
    const ann = await lab.connected('ann');
    ann.session.renegotiate(lab.clock.now());
    await lab.runFor(1000);
    const startMs = lab.clock.nowMs;
    expect(await lab.gone()).toEqual({});
    expect(lab.clock.nowMs - startMs).toBeLessThan(6000);
  });

  it('begins again by SIGUSR1, and clients come back', async () => {
    const lab = await new ServerLab(['explicit-exit-notify 1']).up();
    const ann = await lab.connected('ann');
    lab.server.signal('SIGUSR1');
    await lab.until(() => lab.listening === 2, 'it listens again');
    expect(ann.end?.reason).toBe('server-restart');
    expect(lab.lines(/SIGUSR1\[hard,\] received, process restarting|Restart pause/)).toHaveLength(2);
    await lab.connected('ann', { address: ann.address });
    expect(await lab.gone()).toEqual({});
  });

  it('takes nobody while it ends, and says so once', async () => {
    const lab = new ServerLab(['script-security 2', 'client-disconnect /disconnect']);
    lab.script = () =>
      new Promise((resolve) => void lab.clock.happens(lab.clock.nowMs + 8000, () => resolve(exited(0))));
    await lab.up();
    await lab.connected('ann');
    lab.server.signal('SIGTERM');
    await lab.runFor(100);
    const bob = lab.connect('bob');
    await lab.runFor(6000);
    expect(lab.kept).toBe(0);
    expect(bob.isUp).toBe(false);
    expect(lab.lines(/ignored while server is shutting down/)).toHaveLength(1);
    expect(await lab.gone()).toEqual({});
  });

  it('hands back to its caller by SIGHUP', async () => {
    const lab = await new ServerLab([]).up();
    lab.server.signal('SIGHUP');
    await lab.until(() => lab.end !== undefined, 'it ends');
    expect(lab.end).toEqual({ kind: 'reload' });
    expect(lab.leftovers()).toEqual({});
  });

  it('that has ended hears and says nothing more', async () => {
    const lab = await new ServerLab([]).up();
    const ann = await lab.connected('ann');
    await lab.gone();
    const { length } = lab.log;
    ann.sendPacket('10.8.0.1');
    for (const signal of ['SIGUSR1', 'SIGHUP', 'SIGTERM'] as const) lab.server.signal(signal);
    await lab.runFor(100_000);
    expect(lab.log).toHaveLength(length);
    expect(lab.server.clients).toEqual([]);
  });
});

describe('a signal', () => {
  it.each(['open', 'route', 'close'])('during the host’s %s ends the server in order', async (moment) => {
    const lab = new ServerLab([]);
    let sent = false;
    lab.onHost = async (call) => {
      if (call !== moment || sent) return;
      sent = true;
      lab.server.signal('SIGTERM');
      await new Promise((resolve) => setImmediate(resolve));
    };
    void lab.run();
    await lab.runFor(1000);
    if (moment === 'close') lab.server.signal('SIGUSR1');
    await lab.until(() => lab.end !== undefined, 'it ends', 2000);
    expect(lab.end).toMatchObject({ kind: 'exit', exitCode: 0 });
    expect(lab.leftovers()).toEqual({});
    expect(lab.hostCalls.filter((call) => call === 'open')).toHaveLength(1);
  });

  it('that is stronger takes the place of one before it, during the pause as well', async () => {
    const lab = await new ServerLab([]).up();
    lab.server.signal('SIGUSR1');
    await lab.until(() => lab.lines(/Restart pause/).length > 0, 'it pauses');
    lab.server.signal('SIGTERM');
    await lab.until(() => lab.end !== undefined, 'it ends', 10);
    expect(lab.leftovers()).toEqual({});
    expect(lab.listening).toBe(1);
  });

  it.each(['judging', 'connecting', 'leaving'])('with a client that is %s ends the server', async (phase) => {
    const lab = await new ServerLab(['explicit-exit-notify 1'], {
      hooks: {
        onAuthenticate: () => (phase === 'judging' ? never() : phase !== 'leaving'),
        onConnect: () => (phase === 'connecting' ? never() : undefined),
      },
    }).up();
    const ann = lab.connect('ann');
    await lab.runFor(40);
    if (phase === 'leaving') {
      await lab.until(() => lab.lines(/Delayed exit/).length > 0, 'it is refused');
      ann.silent = true;
    } else await lab.runFor(1000);
    expect(lab.kept).toBe(1);
    const startMs = lab.clock.nowMs;
    expect(await lab.gone()).toEqual({});
    expect(lab.clock.nowMs - startMs).toBeLessThan(10);
  });

  it('does not wait for ever for programs about clients that are gone', async () => {
    const lab = new ServerLab(['script-security 2', 'client-disconnect /disconnect'], {
      hooks: { onDisconnect: never },
    });
    lab.script = never;
    await lab.up();
    await lab.connected('ann');
    const startMs = lab.clock.nowMs;
    lab.server.signal('SIGTERM');
    await lab.until(() => lab.end !== undefined, 'it ends');
    expect(lab.clock.nowMs - startMs).toBeLessThan(11_000);
  });
});

describe('a failure', () => {
  const failing = async (lab: ServerLab) => {
    void lab.run();
    await lab.until(() => lab.end !== undefined, 'it ends');
    expect(lab.leftovers()).toEqual({});
    expect(lab.lines(/Exiting due to fatal error/)).toHaveLength(1);
    return lab.end;
  };

  it('of the device ends the server', async () => {
    const lab = new ServerLab([]);
    lab.onHost = async (call) => {
      if (call === 'open') throw new HostError('EPERM', 'Operation not permitted');
    };
    expect(await failing(lab)).toMatchObject({ exitCode: 1, error: { code: 'SALLYPORT_HOST' } });
  });

  it.each([0, 1, 2])('of one of several sockets (%i) closes the others', async (index) => {
    const lab = new ServerLab(['local 127.0.0.1 1194 udp', 'local 127.0.0.1 1195 tcp', 'local 127.0.0.1 1196 udp']);
    lab.refuseLink = (opened) => (opened === index ? 'EADDRINUSE' : undefined);
    expect(await failing(lab)).toMatchObject({ exitCode: 1, error: { code: 'SALLYPORT_HOST' } });
  });

  it('after the sockets are open closes them again', async () => {
    const wrap = { kind: 'tls-auth', staticKey: new Uint8Array(256), direction: 0, digest: 'NONSENSE' } as const;
    const lab = new ServerLab(['ifconfig-pool-persist pool.txt 60'], {
      wraps: { sharedWraps: [wrap], tlsCryptV2: undefined },
    });
    expect(await failing(lab)).toMatchObject({ exitCode: 1 });
  });

  it('of the plane is said, ends the server and leaves nothing', async () => {
    const lab = await new ServerLab([]).up();
    await lab.connected('ann');
    lab.report({ type: 'plane-failed', text: 'the data plane has ended unexpectedly' });
    await lab.until(() => lab.end !== undefined, 'it ends');
    expect(lab.end).toMatchObject({ exitCode: 1, error: expect.any(SallyportError) });
    expect(lab.lines(/the data plane has ended unexpectedly/)).toHaveLength(1);
    expect(lab.leftovers()).toEqual({});
  });
});

describe('TCP connections', () => {
  const TCP = ['proto tcp-server', 'hand-window 20'];

  it('that say nothing are closed in time and bounded in number', async () => {
    const lab = await new ServerLab(TCP).up();
    for (let port = 1; port <= 200; port++) lab.acceptStream(addressOf('203.0.113.1', port));
    expect(lab.openFds.size).toBe(201);
    await lab.connected('ann', { transport: 'tcp' });
    await lab.runFor(21_000);
    expect(lab.openFds.size).toBe(2);
    expect(await lab.gone()).toEqual({});
  });

  it('that say nothing keep out nobody who says something', async () => {
    const lab = await new ServerLab(TCP).up();
    for (let port = 1; port <= 1000; port++) lab.acceptStream(addressOf('203.0.113.1', port));
    await lab.runFor(10);
    expect(lab.openFds.size).toBe(257);
    expect(lab.lines(/TCP connections are no clients yet/)).toHaveLength(1);
    const ann = await lab.connected('ann', { transport: 'tcp' });
    for (let port = 1001; port <= 1600; port++) lab.acceptStream(addressOf('203.0.113.1', port));
    await lab.runFor(1000);
    expect(ann.isUp).toBe(true);
    expect(lab.names).toEqual(['ann']);
    expect(await lab.gone()).toEqual({});
  });

  it('that are not OpenVPN’s are closed', async () => {
    const lab = await new ServerLab(TCP).up();
    const stranger = lab.connect('ann', { transport: 'tcp' });
    stranger.silent = true;
    lab.injectStream(stranger, new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'));
    await lab.runFor(100);
    expect(stranger.cut).toBe(true);
    expect(lab.openFds.size).toBe(1);
  });

  it('that come while the server ends are closed', async () => {
    const lab = new ServerLab([...TCP, 'script-security 2', 'client-disconnect /disconnect']);
    lab.script = () =>
      new Promise((resolve) => void lab.clock.happens(lab.clock.nowMs + 5000, () => resolve(exited(0))));
    await lab.up();
    await lab.connected('ann', { transport: 'tcp' });
    lab.server.signal('SIGTERM');
    await lab.runFor(1000);
    lab.acceptStream(addressOf('203.0.113.1', 1));
    expect(await lab.gone()).toEqual({});
  });

  it('of refused clients are closed after the last word', async () => {
    const lab = await new ServerLab(TCP, { hooks: { onAuthenticate: () => ({ accept: false, reason: 'no' }) } }).up();
    const ann = lab.connect('ann', { transport: 'tcp' });
    await lab.until(() => ann.cut, 'its stream ends');
    expect(ann.refused).toBe('no');
    expect(await lab.gone()).toEqual({});
  });
});

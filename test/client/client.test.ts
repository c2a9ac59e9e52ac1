import { describe, expect, it } from 'vitest';
import { ClientLab, SUCCESS } from '../lab/client-lab.ts';

const REMOTE = 'remote 198.51.100.1 1194';
const PASSWORD = ['auth-user-pass'];
const alice = { username: 'alice', password: 'first' };

describe('a client', () => {
  it('goes through its states in order and comes up with what the server pushed', async () => {
    const lab = new ClientLab(REMOTE);
    lab.server.push = ['route 10.20.0.0 255.255.0.0', 'protocol-flags tls-ekm'];
    await lab.up();
    expect(lab.phases).toEqual(['resolving', 'connecting', 'authenticating', 'configuring', 'connected']);
    expect(lab.states.at(-1)).toMatchObject({ plan: { address4: { local: '10.8.0.2' } } });
    expect(lab.host.routes.map(({ prefix }) => prefix)).toContain('10.20.0.0/16');
    expect(lab.log).toContain('Initialization Sequence Completed');
    const [peer] = [...lab.plane.peers.values()];
    expect(peer?.options.sendPeerId).toBe(0);
    expect(peer?.sending).toBeDefined();
  });

  it('announces what OpenVPN 2.7 does', async () => {
    const lab = await new ClientLab(REMOTE).up();
    const event = lab.server.last.events.find(({ type }) => type === 'peer-connected');
    expect(event?.type === 'peer-connected' && event.peerInfo.get('IV_PROTO')).toBe('8094');
  });

  it.each([
    [['protocol-flags cc-exit tls-ekm'], 'add key 0', 1400],
    [['protocol-flags cc-exit tls-ekm dyn-tls-crypt aead-epoch'], 'add epoch key 0', 1396],
  ])('does as the server pushes: %s', async (push, installed, mssBytes4) => {
    const lab = new ClientLab(REMOTE, 'verb 4');
    lab.server.push = push;
    await lab.up();
    expect(lab.plane.calls).toContain(installed);
    expect([...lab.plane.peers.values()][0]?.options.mssBytes4).toBe(mssBytes4);
    expect(lab.log.find((line) => line.startsWith('Protocol options: '))).toBe(`Protocol options: ${push[0]}`);
    const dynamic = lab.log.filter((line) => line.includes('dynamic tls-crypt'));
    expect(dynamic).toHaveLength(push[0]?.includes('dyn-tls-crypt') ? 4 : 0);
    lab.server.last.session.renegotiate(lab.clock.now());
    await lab.until(() => lab.plane.calls.includes(installed.replace('0', '1')), 'renegotiated');
  });

  it('does not take the epoch format with a cipher that has no tag', async () => {
    const lab = new ClientLab(REMOTE, 'data-ciphers AES-256-CBC', 'connect-retry-max 1');
    lab.server.push = ['cipher AES-256-CBC', 'protocol-flags tls-ekm aead-epoch'];
    lab.server.answer = () => ['PUSH_REPLY', ...lab.server.pushReply].join(',');
    await lab.start();
    await lab.until(() => lab.log.some((line) => line.includes('required for epoch data format')), 'refused');
    expect(lab.log).toContain('AEAD cipher (currently AES-256-CBC) required for epoch data format.');
    expect(lab.isUp).toBe(false);
  });

  it('may have less carried by a key, for tests, and never more', async () => {
    for (const [line, limit] of [
      ['verb 3', undefined],
      ['setenv SALLYPORT_TEST_CIPHER_LIMIT 3000', 3000],
      ['setenv SALLYPORT_TEST_CIPHER_LIMIT 3000x', undefined],
      ['setenv SALLYPORT_TEST_CIPHER_LIMIT 0', undefined],
    ] as const) {
      const lab = await new ClientLab(REMOTE, line).up();
      expect(lab.plane.limitBlocks).toBe(limit);
    }
  });

  it('gives everything back on SIGTERM and exits with 0', async () => {
    const lab = await new ClientLab(REMOTE).up();
    lab.signal('SIGTERM');
    expect(await lab.ended()).toMatchObject({ kind: 'exit', exitCode: 0, error: undefined });
    expect(lab.received).toEqual(['SIGTERM[hard,] received, process exiting']);
    await lab.gone();
  });

  it('hands back to the caller on SIGHUP, with everything undone', async () => {
    const lab = await new ClientLab(REMOTE, 'persist-tun').up();
    lab.signal('SIGHUP');
    expect(await lab.ended()).toEqual({ kind: 'reload' });
    expect(lab.received).toEqual(['SIGHUP[hard,] received, process restarting']);
    await lab.gone();
  });

  it('connects anew on SIGUSR1 with another device, and without persist-tun undoes the first', async () => {
    const lab = await new ClientLab(REMOTE).up();
    lab.signal('SIGUSR1');
    await lab.until(() => lab.ups === 2, 'up again');
    expect(lab.phases.slice(5)).toEqual([
      'reconnecting',
      'resolving',
      'connecting',
      'authenticating',
      'configuring',
      'connected',
    ]);
    expect(lab.plane.calls.filter((call) => call.endsWith('device'))).toEqual([
      'add device',
      'remove device',
      'add device',
    ]);
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('keeps device, addresses and routes over a restart under persist-tun', async () => {
    const lab = new ClientLab(REMOTE, 'persist-tun', 'keepalive 10 60');
    lab.server.push = ['ping 10', 'ping-restart 60', 'route 10.20.0.0 255.255.0.0'];
    await lab.up();
    const calls = lab.host.calls.length;
    await lab.until(() => lab.ups === 2, 'up again after silence');
    expect(lab.received).toEqual(['SIGUSR1[soft,ping-restart] received, process restarting']);
    expect(lab.host.calls.slice(calls)).toEqual([]);
    expect(lab.plane.calls.filter((call) => call.endsWith(' device'))).toEqual(['add device', 'set device']);
    expect(lab.plane.calls.filter((call) => call.endsWith(' peer'))).toEqual(['add peer', 'remove peer', 'add peer']);
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('opens another device where the push changed over a restart under persist-tun', async () => {
    const lab = await new ClientLab(REMOTE, 'persist-tun').up();
    lab.server.push = ['route 10.20.0.0 255.255.0.0', 'protocol-flags tls-ekm'];
    lab.signal('SIGUSR1');
    await lab.until(() => lab.ups === 2, 'up again');
    expect(lab.plane.devices.size).toBe(1);
    expect(lab.host.routes.map(({ prefix }) => prefix)).toContain('10.20.0.0/16');
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('goes on when the device reports an error', async () => {
    const lab = await new ClientLab(REMOTE).up();
    const [device] = [...lab.plane.devices.keys()];
    lab.plane.report({ type: 'device-error', device: device!, code: 'EIO', text: 'Input/output error' });
    await lab.runFor(1000);
    expect(lab.isUp).toBe(true);
    expect(lab.log).toContain('read from TUN/TAP [EIO]: Input/output error');
  });

  it('answers a float request as float says, and tells ipchange of it', async () => {
    const elsewhere = { family: 4, address: Uint8Array.of(203, 0, 113, 9), port: 1194, scopeId: 0 } as const;
    for (const [line, answer] of [
      ['float', true],
      ['verb 3', false],
    ] as const) {
      const lab = await new ClientLab(REMOTE, line, 'script-security 2', 'ipchange /ip').up();
      lab.plane.report({ type: 'float-request', peer: lab.network.peer, address: elsewhere });
      expect(lab.plane.calls).toContain(`answer float 203.0.113.9 ${answer}`);
      const addresses = lab.ran.map(({ environment }) => environment.trusted_ip);
      expect(addresses).toEqual(answer ? ['198.51.100.1', '203.0.113.9'] : ['198.51.100.1']);
    }
  });

  it('gives new keys to the plane when the server renegotiates, and drops the old ones', async () => {
    const lab = await new ClientLab(REMOTE, 'tran-window 600', 'ping-restart 0').up();
    const before = lab.plane.calls.length;
    lab.server.last.renegotiate();
    await lab.until(() => lab.plane.calls.slice(before).includes('use key 1'), 'the new key is used');
    expect(lab.plane.calls.slice(before)).toEqual(['add key 1', 'use key 1']);
    await lab.runFor(700_000);
    expect(lab.plane.calls.slice(before)).toEqual(['add key 1', 'use key 1', 'remove key 0']);
    const [peer] = [...lab.plane.peers.values()];
    expect([...(peer?.keys.values() ?? [])]).toEqual([1]);
    expect(lab.ups).toBe(1);
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('makes new keys when one is used up', async () => {
    const lab = await new ClientLab(REMOTE).up();
    const [peer] = [...lab.plane.peers.values()];
    lab.plane.report({ type: 'key-used-up', peer: lab.network.peer, key: peer!.sending!, reason: 'packets' });
    await lab.until(() => lab.plane.calls.includes('use key 1'), 'the new key is used');
  });

  it('ends with exit code 1 and the host undone when the plane fails', async () => {
    const lab = await new ClientLab(REMOTE).up();
    lab.plane.report({ type: 'plane-failed', text: 'the worker ended' });
    expect(await lab.ended()).toMatchObject({ exitCode: 1, error: { code: 'SALLYPORT_INTERNAL' } });
    await lab.gone();
  });

  it('ends with exit code 1 when the plane fails before there is an attempt', async () => {
    const lab = new ClientLab('remote vpn.example.net').start();
    await lab.settle();
    expect(lab.phase).toBe('resolving');
    lab.plane.report({ type: 'plane-failed', text: 'the worker did not start' });
    expect(await lab.ended()).toMatchObject({ exitCode: 1, error: { message: 'the worker did not start' } });
    await lab.gone();
  });
});

describe('the server’s words', () => {
  it('RESTART connects again, and forgets the password unless P is said', async () => {
    for (const [text, asked] of [
      ['RESTART,[P]:go', 1],
      ['RESTART,go', 2],
    ] as const) {
      const lab = new ClientLab(REMOTE, ...PASSWORD);
      lab.answers = [alice, { ...alice, password: 'second' }];
      await lab.up();
      lab.server.last.say(text);
      await lab.until(() => lab.ups === 2, 'up again');
      expect(lab.asked).toBe(asked);
      expect(lab.received).toEqual(['SIGUSR1[soft,server-pushed-connection-reset] received, process restarting']);
      lab.signal('SIGTERM');
      await lab.gone();
    }
  });

  it('RESTART with N goes to the next remote, without it to the same', async () => {
    for (const [text, first, second] of [
      ['RESTART,[N]:go', 1, 1],
      ['RESTART,go', 2, 0],
    ] as const) {
      const lab = new ClientLab(REMOTE, 'remote 198.51.100.2 1194');
      const other = lab.addServer('198.51.100.2:1194');
      await lab.up();
      lab.server.last.say(text);
      await lab.until(() => lab.ups === 2, 'up again');
      expect([lab.server.count, other.count]).toEqual([first, second]);
    }
  });

  it('HALT ends the program with the server’s reason', async () => {
    const lab = await new ClientLab(REMOTE).up();
    lab.server.last.say('HALT,maintenance until noon');
    expect(await lab.ended()).toMatchObject({
      exitCode: 0,
      error: { code: 'SALLYPORT_PEER_ENDED', message: 'The server ended the connection: maintenance until noon' },
    });
    expect(lab.received).toEqual(['SIGTERM[soft,server-pushed-halt] received, process exiting']);
    await lab.gone();
  });

  it('EXIT connects again', async () => {
    const lab = await new ClientLab(REMOTE).up();
    lab.server.last.say('EXIT');
    await lab.until(() => lab.ups === 2, 'up again');
    expect(lab.received).toEqual(['SIGUSR1[soft,remote-exit] received, process restarting']);
  });

  it('an option that a pull-filter rejects restarts the connection and opens no device', async () => {
    const lab = new ClientLab(REMOTE, 'pull-filter reject "route 10.20."');
    lab.server.push = ['route 10.20.0.0 255.255.0.0'];
    lab.start();
    await lab.until(() => lab.server.count === 2, 'a second attempt');
    expect(lab.received[0]).toBe('SIGUSR1[soft,Offending option received from server] received, process restarting');
    expect(lab.plane.calls).not.toContain('add device');
    lab.signal('SIGTERM');
    await lab.gone();
  });
});

describe('silence', () => {
  it('of the ping-restart time connects again', async () => {
    const lab = new ClientLab(REMOTE);
    lab.server.push = ['ping 10', 'ping-restart 60'];
    await lab.up();
    const upMs = lab.clock.nowMs;
    await lab.until(() => lab.phase === 'reconnecting', 'a restart');
    expect(lab.clock.nowMs - upMs).toBeGreaterThanOrEqual(59_000);
    await lab.until(() => lab.ups === 2, 'up again');
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('is no silence while data packets come', async () => {
    const lab = new ClientLab(REMOTE);
    lab.server.push = ['ping-restart 60'];
    await lab.up();
    await lab.runFor(50_000);
    lab.plane.traffic = { lastReceivedMs: lab.clock.nowMs };
    await lab.runFor(50_000);
    expect(lab.ups).toBe(1);
    await lab.until(() => lab.phase === 'reconnecting', 'a restart', 12_000);
  });

  it('of the ping-exit time ends the program', async () => {
    const lab = new ClientLab(REMOTE);
    lab.server.push = ['ping-exit 60'];
    await lab.up();
    expect(await lab.ended()).toMatchObject({ exitCode: 0, error: { code: 'SALLYPORT_NO_ANSWER' } });
    expect(lab.received).toEqual(['SIGTERM[soft,ping-exit] received, process exiting']);
    await lab.gone();
  });

  it('on the device for the time of inactive ends the program', async () => {
    const lab = await new ClientLab(REMOTE, 'inactive 100', 'ping-restart 0').up();
    await lab.runFor(90_000);
    lab.plane.traffic = { lastPayloadMs: lab.clock.nowMs, deviceReadBytes: 100 };
    await lab.runFor(90_000);
    expect(lab.isUp).toBe(true);
    expect(await lab.ended()).toMatchObject({ exitCode: 0, error: undefined });
    expect(lab.received).toEqual(['SIGTERM[soft,inactive] received, process exiting']);
    await lab.gone();
  });
});

describe('scripts', () => {
  it('that fail as up end the program with exit code 1 and the host undone', async () => {
    const lab = new ClientLab(REMOTE, 'script-security 2', 'up /up');
    lab.script = async () => ({ ...SUCCESS, exitCode: 3 });
    lab.start();
    expect(await lab.ended()).toMatchObject({ exitCode: 1, error: { code: 'SALLYPORT_SCRIPT' } });
    await lab.gone();
  });

  it('that fail as tls-verify refuse the server', async () => {
    const lab = new ClientLab(REMOTE, 'script-security 2', 'tls-verify /verify');
    lab.script = async () => ({ ...SUCCESS, exitCode: 1 });
    lab.start();
    await lab.until(() => lab.phase === 'reconnecting', 'a restart');
    expect(lab.received).toEqual(['SIGUSR1[soft,tls-error] received, process restarting']);
    lab.signal('SIGTERM');
    await lab.gone();
  });
});

describe('remap-usr1', () => {
  it('turns a restart into an end or a new reading of the profile', async () => {
    for (const [to, end] of [
      ['SIGTERM', { kind: 'exit', exitCode: 0 }],
      ['SIGHUP', { kind: 'reload' }],
    ] as const) {
      for (const cause of ['signal', 'server'] as const) {
        const lab = await new ClientLab(REMOTE, `remap-usr1 ${to}`).up();
        if (cause === 'signal') lab.signal('SIGUSR1');
        else lab.server.last.say('EXIT');
        expect(await lab.ended()).toMatchObject(end);
        await lab.gone();
      }
    }
  });
});

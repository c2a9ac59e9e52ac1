import { describe, expect, it } from 'vitest';
import { ClientLab, SUCCESS } from '../lab/client-lab.ts';

const REMOTE = 'remote 198.51.100.1 1194';

describe('the exit notice', () => {
  it('is said in the control channel once, and the program waits the seconds that it was given', async () => {
    const lab = await new ClientLab(REMOTE, 'explicit-exit-notify 3').up();
    const atMs = lab.clock.nowMs;
    lab.signal('SIGTERM');
    await lab.ended();
    expect(lab.clock.nowMs - atMs).toBe(3000);
    expect(lab.server.notices).toEqual(['exit']);
    expect(lab.log.filter((line) => line.startsWith("SENT CONTROL [server]: 'EXIT'"))).toHaveLength(1);
    expect(lab.log).toContain('SIGTERM received, sending exit notification to peer');
    expect(lab.received).toEqual(['SIGTERM[soft,exit-with-notification] received, process exiting']);
    await lab.gone();
  });

  it('goes in band each second to a server that knows no other', async () => {
    const lab = new ClientLab(REMOTE, 'explicit-exit-notify 3');
    lab.server.push = [];
    await lab.up();
    lab.signal('SIGTERM');
    await lab.ended();
    expect(lab.plane.calls.filter((call) => call === 'send in band')).toHaveLength(3);
    await lab.gone();
  });

  it('is not waited for any longer at a second SIGTERM', async () => {
    const lab = await new ClientLab(REMOTE, 'explicit-exit-notify 5').up();
    const atMs = lab.clock.nowMs;
    lab.signal('SIGTERM');
    await lab.runFor(100);
    lab.signal('SIGTERM');
    await lab.ended();
    expect(lab.clock.nowMs - atMs).toBeLessThan(1000);
    await lab.gone();
  });

  it('is not turned into a restart by SIGUSR1 or SIGHUP', async () => {
    for (const second of ['SIGUSR1', 'SIGHUP'] as const) {
      const lab = await new ClientLab(REMOTE, 'explicit-exit-notify 2').up();
      lab.signal('SIGTERM');
      await lab.runFor(100);
      lab.signal(second);
      expect(await lab.ended()).toMatchObject({ kind: 'exit', exitCode: 0 });
      await lab.gone();
    }
  });

  it('is not turned into a restart by what the server says meanwhile', async () => {
    const lab = await new ClientLab(REMOTE, 'explicit-exit-notify 2').up();
    lab.server.silent = true;
    lab.signal('SIGTERM');
    lab.server.last.say('RESTART,go');
    expect(await lab.ended()).toMatchObject({ kind: 'exit', exitCode: 0 });
    expect(lab.log).toContain('Converting soft SIGUSR1 received during exit notification to SIGTERM');
    expect(lab.received).toEqual(['SIGTERM[soft,exit-with-notification] received, process exiting']);
    await lab.gone();
  });
});

describe('two signals in a row', () => {
  it('are one when both restart, and the stronger one when they differ', async () => {
    for (const [first, second, end] of [
      ['SIGUSR1', 'SIGTERM', { kind: 'exit', exitCode: 0 }],
      ['SIGTERM', 'SIGUSR1', { kind: 'exit', exitCode: 0 }],
      ['SIGUSR1', 'SIGHUP', { kind: 'reload' }],
      ['SIGHUP', 'SIGUSR1', { kind: 'reload' }],
      ['SIGTERM', 'SIGINT', { kind: 'exit', exitCode: 0 }],
      ['SIGHUP', 'SIGTERM', { kind: 'exit', exitCode: 0 }],
      ['SIGTERM', 'SIGHUP', { kind: 'exit', exitCode: 0 }],
    ] as const) {
      const lab = await new ClientLab(REMOTE).up();
      lab.signal(first);
      lab.signal(second);
      expect(await lab.ended(), `${first} ${second}`).toMatchObject(end);
      await lab.gone();
    }
  });

  it('end, at whatever moment of taking down for SIGHUP the SIGTERM comes', async () => {
    let caught = 0;
    for (let turns = 0; turns < 60; turns++) {
      const lab = await new ClientLab(REMOTE).up();
      lab.signal('SIGHUP');
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      if (lab.phase === 'ended') break;
      lab.signal('SIGTERM');
      expect(await lab.ended(), `after ${turns} turns`).toMatchObject({ kind: 'exit', exitCode: 0 });
      await lab.gone();
      caught++;
    }
    expect(caught).toBeGreaterThan(5);
  });

  it('do not lose a SIGTERM that comes as the connection ends by itself', async () => {
    const lab = await new ClientLab(REMOTE, 'connect-retry 1').up();
    lab.plane.report({
      type: 'drop-notice',
      peer: undefined,
      address: undefined,
      cause: 'short',
      count: 1,
      packetId: 0,
    });
    lab.onLog = (line) => {
      if (line.includes('CC-EEN exit message')) queueMicrotask(() => lab.signal('SIGTERM'));
    };
    lab.server.last.say('EXIT');
    expect(await lab.ended()).toMatchObject({ kind: 'exit', exitCode: 0 });
    await lab.gone();
  });
});

describe('SIGTERM', () => {
  const MOMENTS: Record<string, { lines: readonly string[]; reach: (lab: ClientLab) => Promise<void> }> = {
    'before anything': { lines: [REMOTE], reach: async () => {} },
    'while a name is resolved': {
      lines: ['remote vpn.example.net'],
      reach: (lab) => lab.until(() => lab.phase === 'resolving', 'resolving'),
    },
    'while a name that failed is waited for': {
      lines: ['remote vpn.example.net', 'resolv-retry 60'],
      reach: async (lab) => {
        lab.names.set('vpn.example.net', new Error('Temporary failure in name resolution'));
        await lab.runFor(7000);
      },
    },
    'before a TCP link is open': {
      lines: [REMOTE, 'proto tcp'],
      reach: async (lab) => {
        lab.server.silent = true;
        await lab.until(() => lab.plane.links.size === 1, 'a link');
      },
    },
    'while nothing comes back': {
      lines: [REMOTE],
      reach: async (lab) => {
        lab.server.silent = true;
        await lab.runFor(5000);
      },
    },
    'during the handshake': {
      lines: [REMOTE],
      reach: (lab) => lab.until(() => lab.phase === 'authenticating', 'the handshake'),
    },
    'while the push is awaited': {
      lines: [REMOTE],
      reach: async (lab) => {
        lab.server.answer = () => 'INFO_PRE,wait';
        await lab.until(() => lab.server.logins.length === 1, 'a login');
        await lab.runFor(3000);
      },
    },
    'during route-delay': {
      lines: [REMOTE, 'route-delay 30'],
      reach: async (lab) => {
        await lab.until(() => lab.plane.peers.size === 1, 'a peer');
        await lab.runFor(1000);
      },
    },
    'in the restart pause': {
      lines: [REMOTE, 'connect-retry 100'],
      reach: async (lab) => {
        await lab.until(() => lab.isUp, 'up');
        lab.server.last.say('EXIT');
        await lab.until(() => lab.phase === 'reconnecting', 'a pause');
        await lab.runFor(10);
      },
    },
  };

  for (const [moment, { lines, reach }] of Object.entries(MOMENTS)) {
    it(`ends the client ${moment}, at once and with nothing left`, async () => {
      const lab = new ClientLab(...lines).start();
      await reach(lab);
      const atMs = lab.clock.nowMs;
      lab.signal('SIGTERM');
      expect(await lab.ended()).toMatchObject({ kind: 'exit', exitCode: 0, error: undefined });
      expect(lab.clock.nowMs).toBe(atMs);
      await lab.gone();
    });
  }

  it('ends the client at every single moment on the way up', async () => {
    for (let moment = 0; ; moment++) {
      const lab = new ClientLab(REMOTE, 'persist-tun', 'script-security 2', 'up /up', 'ipchange /ip').start();
      for (let step = 0; step < moment && !lab.isUp; step++) {
        await lab.settle();
        lab.clock.step(Number.POSITIVE_INFINITY);
      }
      const wasUp = lab.isUp;
      lab.signal('SIGTERM');
      await lab.ended();
      expect(lab.leftovers(), `after ${moment} steps`).toEqual({});
      if (wasUp) break;
    }
  });

  it('while the up script runs waits for it and undoes what it was part of', async () => {
    for (const keep of [[], ['persist-tun']]) {
      const lab = new ClientLab(REMOTE, 'script-security 2', 'up /up', ...keep);
      const finish = lab.hangScripts();
      lab.start();
      await lab.until(() => lab.ran.length === 1, 'the script runs');
      lab.signal('SIGTERM');
      await lab.settle();
      expect(lab.end).toBeUndefined();
      finish();
      expect(await lab.ended()).toMatchObject({ kind: 'exit', exitCode: 0 });
      expect(lab.plane.calls).not.toContain('add device');
      await lab.gone();
    }
  });

  it('while a pushed route’s name is resolved opens no device', async () => {
    const lab = new ClientLab(REMOTE, 'allow-pull-fqdn');
    lab.server.push = ['route intranet.example.net 255.255.255.255'];
    lab.start();
    await lab.until(() => lab.lookups.length === 1, 'a lookup');
    lab.signal('SIGTERM');
    await lab.gone();
    expect(lab.host.calls.filter((call) => call.startsWith('open'))).toEqual([]);
  });

  it('while the tls-verify script runs waits for it', async () => {
    const lab = new ClientLab(REMOTE, 'script-security 2', 'tls-verify /verify');
    const finish = lab.hangScripts();
    lab.start();
    await lab.until(() => lab.ran.length === 1, 'the script runs');
    lab.signal('SIGTERM');
    await lab.settle();
    expect(lab.end).toBeUndefined();
    finish();
    await lab.gone();
  });
});

describe('a restart while the up script runs', () => {
  it('under persist-tun leaves no tunnel without its routes', async () => {
    const lab = new ClientLab(REMOTE, 'persist-tun', 'script-security 2', 'up /up');
    lab.server.push = ['route 10.20.0.0 255.255.0.0', 'protocol-flags tls-ekm'];
    const finish = lab.hangScripts();
    lab.start();
    await lab.until(() => lab.ran.length === 1, 'the script runs');
    lab.script = () => Promise.resolve(SUCCESS);
    lab.signal('SIGUSR1');
    await lab.settle();
    finish();
    await lab.until(() => lab.isUp, 'up');
    expect(lab.host.routes.map(({ prefix }) => prefix)).toContain('10.20.0.0/16');
    lab.signal('SIGTERM');
    await lab.gone();
  });
});

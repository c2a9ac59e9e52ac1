import { describe, expect, it } from 'vitest';
import { ClientLab } from '../lab/client-lab.ts';

const SCRIPTS = [
  'script-security 2',
  'up /up',
  'route-up /route-up',
  'ipchange /ip',
  'tls-verify /verify',
  'down /down',
];

interface Trouble {
  readonly lines?: readonly string[];
  readonly happens: (lab: ClientLab) => void;
  /** What must follow: the tunnel up again, or the end. */
  readonly outcome: 'up' | 'end';
}

const linkCloses = (lab: ClientLab): void => {
  const link = [...lab.plane.links.keys()].at(-1);
  if (link !== undefined) lab.plane.report({ type: 'link-closed', link, code: 'ECONNRESET', text: 'Connection reset' });
};

const TROUBLES: Record<string, Trouble> = {
  SIGUSR1: { happens: (lab) => lab.signal('SIGUSR1'), outcome: 'up' },
  'SIGUSR1 under persist-tun': { lines: ['persist-tun'], happens: (lab) => lab.signal('SIGUSR1'), outcome: 'up' },
  'two SIGUSR1 under persist-tun': {
    lines: ['persist-tun'],
    happens: (lab) => {
      lab.signal('SIGUSR1');
      queueMicrotask(() => lab.signal('SIGUSR1'));
    },
    outcome: 'up',
  },
  SIGHUP: { lines: ['persist-tun'], happens: (lab) => lab.signal('SIGHUP'), outcome: 'end' },
  'SIGUSR1 and then SIGTERM': {
    lines: ['persist-tun', 'explicit-exit-notify 1'],
    happens: (lab) => {
      lab.signal('SIGUSR1');
      queueMicrotask(() => lab.signal('SIGTERM'));
    },
    outcome: 'end',
  },
  'the end of the TCP connection': { lines: ['proto tcp', 'persist-tun'], happens: linkCloses, outcome: 'up' },
  'the end of the plane': {
    happens: (lab) => lab.plane.report({ type: 'plane-failed', text: 'broken' }),
    outcome: 'end',
  },
  'a server that goes silent and comes back': {
    happens: (lab) => {
      lab.server.silent = true;
      lab.clock.happens(lab.clock.nowMs + 200_000, () => {
        lab.server.silent = false;
      });
      if (lab.isUp) lab.signal('SIGUSR1');
    },
    outcome: 'up',
  },
};

describe('a client on its way up', () => {
  for (const [name, { lines = [], happens, outcome }] of Object.entries(TROUBLES)) {
    it(`takes ${name} at every single moment`, async () => {
      for (let moment = 0, wasUp = false; !wasUp; moment++) {
        const lab = new ClientLab('remote 198.51.100.1 1194', ...SCRIPTS, ...lines);
        lab.server.push = ['route 10.20.0.0 255.255.0.0', 'ping-restart 60', 'protocol-flags cc-exit tls-ekm'];
        // A script takes a moment, too.
        lab.script = () =>
          new Promise((resolve) => {
            lab.clock.happens(lab.clock.nowMs + 5, () => resolve({ exitCode: 0, signal: undefined, error: undefined }));
          });
        lab.start();
        for (let step = 0; step < moment && !lab.isUp; step++) {
          await lab.settle();
          lab.clock.step(Number.POSITIVE_INFINITY);
        }
        wasUp = lab.isUp;
        const upsBefore = lab.ups;
        happens(lab);
        if (outcome === 'up') {
          await lab.until(() => lab.ups > upsBefore, `up after ${name} at moment ${moment}`);
          const routes = lab.host.routes.map(({ prefix }) => prefix);
          expect(routes, `routes after moment ${moment}`).toContain('10.20.0.0/16');
          expect([lab.plane.devices.size, lab.plane.links.size, lab.plane.peers.size]).toEqual([1, 1, 1]);
          lab.signal('SIGTERM');
        }
        await lab.gone();
      }
    });
  }
});

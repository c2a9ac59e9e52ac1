// A dbus-daemon of a test's own, on a socket in a directory of its own, with a policy that lets everybody do everything.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { openBus } from '../../src/node/bus.ts';
import type { Bus, BusOptions } from '../../src/tunnel/bus-port.ts';

export interface MessageBus {
  readonly address: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

export async function startMessageBus(): Promise<MessageBus> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bus-'));
  const address = `unix:path=${folder}/bus`;
  const policy = [
    'send_destination="*"',
    'own="*"',
    'receive_sender="*"',
    'send_type="signal"',
    'send_type="method_call"',
  ].map((what) => `<allow ${what}/>`);
  writeFileSync(
    `${folder}/bus.conf`,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>${address}</listen><policy context="default">${policy.join('')}</policy></busconfig>`,
  );
  const daemon = spawn('dbus-daemon', [`--config-file=${folder}/bus.conf`, '--nofork', '--print-address'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => daemon.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    daemon.once('error', reject);
    daemon.once('exit', (code) => reject(new Error(`dbus-daemon ended with ${code}`)));
    daemon.stdout.once('data', () => resolve());
  });
  return {
    address,
    process: daemon,
    stop: async () => {
      daemon.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

/** There is no dbus-daemon here: the tests that need one are left out, and that is said. In CI there has to be one. */
export const noDaemon = spawnSync('dbus-daemon', ['--version']).status !== 0;

/** One daemon for the tests of a file; what `cleanUps` collects is run after each of them, the newest first. */
export function useMessageBus() {
  if (noDaemon && process.env.CI === 'true') throw new Error('CI=true: the tests need dbus-daemon');
  if (noDaemon) console.log('skipping tests on a real bus: dbus-daemon is not there');
  let daemon: MessageBus | undefined;
  const cleanUps: (() => unknown)[] = [];
  beforeAll(async () => {
    if (!noDaemon) daemon = await startMessageBus();
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });
  afterAll(() => daemon?.stop());
  return {
    cleanUps,
    async open(options: Partial<BusOptions> = {}, address = daemon?.address ?? ''): Promise<Bus> {
      const bus = await openBus(address, { timeoutMs: 5000, onLost: () => {}, ...options });
      cleanUps.push(() => bus.close());
      return bus;
    },
  };
}

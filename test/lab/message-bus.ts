// A dbus-daemon of a test's own, on a socket in a directory of its own, with a policy that lets everybody do everything.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

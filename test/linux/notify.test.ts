import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { notifyAddress, notifyText, openNotifier, type ServiceState } from '../../src/linux/notify.ts';
import { openSystemLog } from '../lab/system-log.ts';

const directory = mkdtempSync(join(tmpdir(), 'sallyport-notify-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

it.each<[ServiceState, string]>([
  [{ state: 'ready', status: 'up' }, 'READY=1\nSTATUS=up'],
  [{ state: 'reloading', monotonicUs: 12.9 }, 'RELOADING=1\nMONOTONIC_USEC=12'],
  [{ state: 'stopping' }, 'STOPPING=1'],
  [{ status: 'a\nMAINPID=1\r\u0000b' }, 'STATUS=a MAINPID=1 b'],
  [{ status: '€'.repeat(5000) }, `STATUS=${'€'.repeat(200)}`],
])('writes %j, and no status makes a line of its own or grows without bound', (state, text) => {
  expect(notifyText(state)).toBe(text);
});

it.each<[string, string | undefined]>([
  ['/run/n', '01002f72756e2f6e00'],
  ['@ab', '0100006162'],
  [`/${'x'.repeat(106)}`, `01002f${'78'.repeat(106)}00`],
  [`/${'x'.repeat(107)}`, undefined],
  [`@${'x'.repeat(107)}`, `010000${'78'.repeat(107)}`],
  [`@${'x'.repeat(108)}`, undefined],
  ['', undefined],
  ['/', undefined],
  ['@', undefined],
  ['run/n', undefined],
  ['vsock:2:1', undefined],
  ['/a\0b', undefined],
])('reads the address %j', (name, hex) => {
  const address = notifyAddress(name);
  expect(address && Buffer.from(address).toString('hex')).toBe(hex);
});

it('tells the manager, and takes its address out of the environment', () => {
  const path = join(directory, 'n');
  using manager = openSystemLog(path);
  const environment: Record<string, string | undefined> = { NOTIFY_SOCKET: path, PATH: '/bin' };
  const notifier = openNotifier(environment);
  expect(environment).toEqual({ PATH: '/bin' });
  expect(notifier?.notify({ state: 'ready', status: 'all is well' })).toBe(true);
  expect(manager.lines()).toEqual(['READY=1\nSTATUS=all is well']);
});

it.each([undefined, '/no/where', 'nonsense'])('does without a manager at %s', (NOTIFY_SOCKET) => {
  const environment = { NOTIFY_SOCKET };
  expect(openNotifier(environment)).toBeUndefined();
  expect('NOTIFY_SOCKET' in environment).toBe(false);
});

it('goes on when the manager is gone', () => {
  const path = join(directory, 'gone');
  const manager = openSystemLog(path);
  const notifier = openNotifier({ NOTIFY_SOCKET: path });
  manager[Symbol.dispose]();
  expect(notifier?.notify({ state: 'stopping' })).toBe(false);
});

import { afterEach, describe, expect, it, vi } from 'vitest';
import { bootMs, createBootClock } from '../../src/linux/clock.ts';
import { errnoName, hostError } from '../../src/linux/errno.ts';
import { declareFunctions, libc, nativeBytes } from '../../src/linux/libc.ts';
import { isTerminal } from '../../src/linux/process.ts';
import { closeSyslog, openSyslog, SyslogPriority } from '../../src/linux/syslog.ts';

describe('errno', () => {
  it('gives name, sentence and number, in the form of the C program', () => {
    expect(hostError('Cannot do it', 1)).toMatchObject({
      code: 'EPERM',
      message: 'Cannot do it: Operation not permitted (errno=1)',
    });
    expect(errnoName(11)).toBe('EAGAIN');
    expect(errnoName(9_999)).toBe('E9999');
  });
});

describe('the clock', () => {
  it('counts milliseconds since boot and never goes back', () => {
    let last = bootMs();
    for (let count = 0; count < 1_000; count++) {
      const now = bootMs();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
    }
    expect(last).toBeGreaterThanOrEqual(Math.floor(process.uptime() * 1_000));
  });

  it('calls back once and not before its time', async () => {
    const clock = createBootClock();
    const atMs = clock.now().monoMs + 20;
    const calledMs = await new Promise<number>((resolve) => clock.at(atMs, () => resolve(clock.now().monoMs)));
    expect(calledMs).toBeGreaterThanOrEqual(atMs);
  });

  it('calls back after a longer time than one sleep, and not when it was cancelled', () => {
    vi.useFakeTimers();
    try {
      const clock = createBootClock();
      const cancel = clock.at(clock.now().monoMs + 10 * 60_000, () => expect.unreachable());
      vi.advanceTimersByTime(60_000);
      expect(vi.getTimerCount()).toBe(1); // the real clock has not moved: asleep again
      cancel();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('functions through FFI', () => {
  it('are declared at first use and plain properties from then on', () => {
    const functions = declareFunctions<{ abs(value: number): number }>({ abs: 'int abs(int)' });
    expect(Object.getOwnPropertyDescriptor(functions, 'abs')?.get).toBeDefined();
    expect(functions.abs(-5)).toBe(5);
    expect(Object.getOwnPropertyDescriptor(functions, 'abs')?.value).toBe(functions.abs);
  });

  it('say at first use that a function is not there', () => {
    const functions = declareFunctions<{ no(): void }>({ no: 'void no_such_function()' });
    expect(() => functions.no()).toThrow();
  });
});

describe('the system log', () => {
  it('takes lines with percent signs, and drops them where there is no /dev/log', () => {
    const log = openSyslog('sallyport-test');
    expect(() => log(SyslogPriority.info, '100%s %n sure')).not.toThrow();
    closeSyslog();
  });
});

describe('the service manager', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  it('is told by the socket of NOTIFY_SOCKET, and false without one', async () => {
    const { sdNotify } = await import('../../src/linux/process.ts');
    vi.stubEnv('NOTIFY_SOCKET', '');
    expect(sdNotify('READY=1')).toBe(false);
    vi.resetModules();
    const name = `\0sallyport-test-${process.pid}`;
    const fd = libc.socket(1, 2, 0);
    const address = nativeBytes(128);
    address.view.setUint16(0, 1, true);
    address.bytes.set(Buffer.from(name), 2);
    expect(libc.bind(fd, address.address, 2 + name.length)).toBe(0);
    vi.stubEnv('NOTIFY_SOCKET', name.replace('\0', '@'));
    const again = await import('../../src/linux/process.ts');
    expect(again.sdNotify('READY=1\nSTATUS=up')).toBe(true);
    const length = libc.recv(fd, address.address, 128, 0x40);
    expect(Buffer.from(address.bytes.subarray(0, length)).toString()).toBe('READY=1\nSTATUS=up');
    libc.close(fd);
  });
});

describe('a terminal', () => {
  it('is not what a socket or a closed fd is', () => {
    const fd = libc.socket(1, 2, 0);
    expect(isTerminal(fd)).toBe(false);
    libc.close(fd);
    expect(isTerminal(9_999)).toBe(false);
  });
});

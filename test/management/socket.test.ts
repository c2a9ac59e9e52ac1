// The socket of the management interface, with real sockets: what a reader that never reads costs.

import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ManagementOutput } from '../../apps/management/core.ts';
import type { ManagementSettings } from '../../apps/management/settings.ts';
import { type ManagementSocket, openSocket } from '../../apps/management/socket.ts';
import { eventually } from '../lab/process.ts';

const MEBIBYTE = 1024 * 1024;

describe('a management client that never reads', () => {
  let folder: string;
  let socket: ManagementSocket;
  let output: ManagementOutput | undefined;
  let disconnected: number;

  beforeEach(async () => {
    folder = mkdtempSync('/tmp/sallyport-management-');
    output = undefined;
    disconnected = 0;
    const settings = { at: { path: join(folder, 'm.sock') }, connects: false } as ManagementSettings;
    socket = await openSocket(
      settings,
      { uid: undefined, gid: undefined },
      {
        connected: (given) => {
          output = given;
        },
        data: () => {},
        disconnected: () => {
          disconnected++;
        },
        log: () => {},
      },
    );
  });

  afterEach(async () => {
    await socket.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is cut off once four mebibytes wait for it, and the next one is served', { timeout: 20_000 }, async () => {
    const client = createConnection(join(folder, 'm.sock'));
    client.pause();
    client.on('error', () => {});
    await eventually('its connection', () => output);
    const first = output!;
    const line = `${'x'.repeat(64 * 1024 - 2)}\r\n`;
    let sent = 0;
    while (disconnected === 0 && sent < 64 * MEBIBYTE) {
      first.send(line);
      sent += line.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(disconnected).toBe(1);
    // What the kernel holds, and the bound; not more.
    expect(sent).toBeGreaterThan(4 * MEBIBYTE);
    expect(sent).toBeLessThan(6 * MEBIBYTE);
    const next = createConnection(join(folder, 'm.sock'));
    next.setEncoding('utf8');
    let heard = '';
    next.on('data', (text: string) => {
      heard += text;
    });
    await eventually('the next one', () => output !== first);
    output!.send('>INFO:hello\r\n');
    await eventually('what it is told', () => heard === '>INFO:hello\r\n');
    for (const each of [client, next]) each.destroy();
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Connection } from '../src/index.ts';
import type { CreateServerOptions, RunningServer, ServerSettings } from '../src/server.ts';
import { type BuiltLibrary, buildLibrary } from './lab/built-library.ts';
import { connectInMemory, memorySettings, pingInMemory, serveInMemory } from './lab/memory-tunnel.ts';
import { makePki, type Pki } from './lab/pki.ts';

const directory = mkdtempSync(join(tmpdir(), 'sallyport-server-library-'));
let library: BuiltLibrary;
let pki: Pki;

beforeAll(async () => {
  [library, pki] = await Promise.all([buildLibrary(), makePki(join(directory, 'pki'))]);
}, 60_000);

afterAll(() => {
  library.remove();
  rmSync(directory, { recursive: true, force: true });
});

describe('createServer', () => {
  it('serves a client with devices in memory, and tells of it', async () => {
    const settings = await memorySettings(pki);
    const lines: string[] = [];
    await using server = await serveInMemory(library, settings, { log: (_f, t) => lines.push(t) });
    const told: string[] = [];
    server.on('connected', ({ client }) => told.push(`connected ${client.name} ${client.address4}`));
    const gone = new Promise<string>((resolve) => server.on('disconnected', ({ reason }) => resolve(reason)));
    const connection = await connectInMemory(library, server, pki, pki.client, {
      log: (_f, t) => lines.push('C ' + t),
    }).catch((e) => { console.log(lines.join('\n')); throw e; });
    expect(await pingInMemory(connection)).toBe(true);
    console.log(lines.join('\n'));
    expect(server.clients).toMatchObject([{ name: 'client', address4: '10.8.0.2', cipher: 'AES-256-GCM' }]);
    await connection.close();
    expect(await gone).toBe('remote-exit');
    expect(told).toEqual(['connected client 10.8.0.2']);
  });
});

// A tunnel of a file that has the name of a kept profile, for `list` and `delete`: the control socket is a real one.

import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Control, openControl } from '../../apps/desktop/control-server.ts';
import type { CommandIo } from '../../apps/desktop/io.ts';
import { runCommands } from '../../apps/desktop/main.ts';
import { placesOf } from '../../apps/desktop/places.ts';

const END = { exitCode: 0, message: null, hint: null };

let folder: string;
let control: Control | undefined;
let said: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-list-'));
  for (const name of ['kept', 'run', 'elsewhere']) mkdirSync(join(folder, name), { mode: 0o700 });
  writeFileSync(join(folder, 'kept/x.conf'), 'client\n');
  writeFileSync(join(folder, 'elsewhere/x.ovpn'), 'client\n');
  said = '';
});
afterEach(async () => {
  await control?.close(END);
  rmSync(folder, { recursive: true });
});

async function run(...argv: readonly string[]): Promise<number> {
  const write = (text: string): void => {
    said += text;
  };
  const io: CommandIo = {
    write,
    complain: write,
    directory: folder,
    places: placesOf({ SALLYPORT_PROFILES: join(folder, 'kept'), SALLYPORT_RUNTIME: join(folder, 'run') }, 0),
    uid: process.getuid?.() ?? 0,
    sudoUid: undefined,
    terminal: { output: false, error: false },
    nowUnix: () => 1000,
  };
  return runCommands(argv, io);
}

async function tunnelOf(profile: string): Promise<void> {
  const at = (ending: string) => join(folder, `run/x.${ending}`);
  control = await openControl({ name: 'x', profile, socket: at('sock'), record: at('json') });
}

const listed = async (): Promise<unknown> => {
  await run('list', '--json');
  return JSON.parse(said);
};

describe('list, where a tunnel has the name of a kept profile', () => {
  it('shows the profile as up, and refuses to delete it, where the tunnel is its own', async () => {
    const kept = join(folder, 'kept/x.conf');
    await tunnelOf(kept);
    expect(await listed()).toEqual([{ name: 'x', up: true, profile: kept }]);
    expect(await run('delete', 'x')).toBe(7);
    expect(existsSync(kept)).toBe(true);
  });

  it('takes a link to the profile for the profile', async () => {
    symlinkSync(join(folder, 'kept/x.conf'), join(folder, 'elsewhere/y.conf'));
    await tunnelOf(join(folder, 'elsewhere/y.conf'));
    expect(await listed()).toMatchObject([{ name: 'x', up: true }]);
  });

  it('shows the profile as down, and the file beside it, where the tunnel is of a file elsewhere', async () => {
    const file = join(folder, 'elsewhere/x.ovpn');
    await tunnelOf(file);
    expect(await listed()).toEqual([
      { name: 'x', up: false, profile: join(folder, 'kept/x.conf') },
      { name: 'x', up: true, profile: null },
    ]);
    said = '';
    await run('list');
    expect(said).toBe(`x  down  ${join(folder, 'kept/x.conf')}\nx  up    (not kept) ${file}\n`);
    expect(await run('delete', 'x')).toBe(0);
    expect(existsSync(join(folder, 'kept/x.conf'))).toBe(false);
  });
});

describe('a name that is not ASCII', () => {
  it('keeps a profile, and is found however its letters were typed', async () => {
    writeFileSync(join(folder, 'a.ovpn'), 'client\ndev tun\nremote vpn.example.com\n');
    await run('import', 'a.ovpn', '--name', 'Bu\u0308ro', '--force');
    expect(existsSync(join(folder, 'kept/Büro.conf'))).toBe(true);
    for (const name of ['Büro', 'Bu\u0308ro']) {
      said = '';
      expect(await run('show', name)).toBe(0);
      expect(said).toContain('vpn.example.com');
    }
    expect(await run('delete', 'Bu\u0308ro')).toBe(0);
    expect(existsSync(join(folder, 'kept/Büro.conf'))).toBe(false);
  });
});

describe('a profile whose file was named where letters are written in parts', () => {
  const PARTS = 'cafe\u0301';

  it('is found and listed by its name in one piece, and deleted', async () => {
    writeFileSync(join(folder, `kept/${PARTS}.ovpn`), 'client\n');
    const path = join(folder, `kept/${PARTS}.ovpn`);
    expect(await listed()).toContainEqual({ name: 'caf\u00e9', up: false, profile: path });
    for (const word of ['caf\u00e9', PARTS]) expect(await run('show', word)).toBe(0);
    expect(await run('delete', 'caf\u00e9')).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  it('comes after the one whose file has the name in one piece', async () => {
    for (const name of [PARTS, 'caf\u00e9']) writeFileSync(join(folder, `kept/${name}.conf`), 'client\n');
    expect(await listed()).toContainEqual({
      name: 'caf\u00e9',
      up: false,
      profile: join(folder, 'kept/caf\u00e9.conf'),
    });
    expect(await run('delete', PARTS)).toBe(0);
    expect(existsSync(join(folder, `kept/${PARTS}.conf`))).toBe(true);
  });
});

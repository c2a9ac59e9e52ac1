// Name servers given to a running dnsmasq: over its D-Bus (--enable-dbus), or in its servers-file, which it reads again at
// SIGHUP. Only domains: a server for every name would be one among those of its own configuration, and it asks
// whichever it likes (observed with 2.90, `/#/` and `/*/` too). Files of its conf-dir are read at its start only, and so no way to tell a running one.

import type { DnsApplied } from '../tunnel/dns-port.ts';
import { DnsmasqOnBus } from './dnsmasq-bus.ts';
import { parseServerBlocks, type ServerBlock, writeServerBlock } from './dnsmasq-text.ts';
import { isSameFile } from './file.ts';
import { locked } from './locked.ts';
import type { DnsBackend, DnsPlatform } from './ports.ts';
import { findDnsmasq, serversFileOf } from './running-dnsmasq.ts';

export type DnsmasqApplied = Extract<DnsApplied, { backend: 'dnsmasq' }>;

export function dnsmasqBackend(
  platform: DnsPlatform,
  codec: { hash(text: string): string },
): DnsBackend<DnsmasqApplied> {
  const { files } = platform;
  const onBus = new DnsmasqOnBus(platform);

  /** Has a dnsmasq that reads this file read it again. */
  const readAgain = (path: string): void => {
    const running = findDnsmasq(files);
    if (running?.serversFile === path) platform.hangUp(running.pid);
  };

  return {
    async apply(device, id, setting) {
      const common = { backend: 'dnsmasq' as const, device, id, setting };
      const owner = await onBus.add(id, setting).catch((error: unknown) => {
        if (findDnsmasq(files)?.serversFile === undefined) throw error;
        return undefined;
      });
      if (owner !== undefined) return { ...common, way: 'bus', owner };
      return locked(platform, async () => {
        const running = findDnsmasq(files);
        if (running === undefined) throw new Error('no dnsmasq runs here');
        const { pid, serversFile: path } = running;
        if (path === undefined) {
          throw new Error(
            'dnsmasq can only be told while it runs if it has enable-dbus or a servers-file in its configuration',
          );
        }
        files.tidy(path);
        const before = files.look(path);
        if (before.kind === 'link') throw new Error(`${path} is a link`);
        const text = before.kind === 'file' ? before.text : '';
        const created = before.kind === 'absent' || parseServerBlocks(text).some((block) => block.created);
        const block = writeServerBlock({ id, device, created }, setting);
        const { mode, uid, gid } = before.kind === 'file' ? before : { mode: 0o644, uid: 0, gid: 0 };
        files.put(path, {
          kind: 'file',
          text: `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${block}`,
          mode,
          uid,
          gid,
        });
        try {
          platform.hangUp(pid);
        } catch (error) {
          files.put(path, before);
          throw error;
        }
        return { ...common, way: 'servers-file', path, pid, before, hash: codec.hash(block) };
      });
    },

    async undo(applied) {
      if (applied.way === 'bus') {
        await onBus.drop(applied.id);
        return 'restored';
      }
      return locked(platform, async () => {
        files.tidy(applied.path);
        const now = files.look(applied.path);
        if (isSameFile(now, applied.before)) {
          // Whoever was killed here may not have come to tell it.
          readAgain(applied.path);
          return 'restored';
        }
        const text = now.kind === 'file' ? now.text : '';
        const block = parseServerBlocks(text).find(({ id }) => id === applied.id);
        if (now.kind !== 'file' || block === undefined || codec.hash(block.text) !== applied.hash) {
          return { left: `${applied.path} was changed by another program meanwhile and stays as it is` };
        }
        files.put(applied.path, without(now, block, applied));
        readAgain(applied.path);
        return 'restored' as const;
      });
    },

    async stands(applied) {
      if (applied.way === 'bus') return onBus.stands(applied.owner);
      const now = files.look(applied.path);
      return now.kind === 'file' && parseServerBlocks(now.text).some(({ id }) => id === applied.id);
    },

    async clear(_device, id) {
      await onBus.clear(id);
      // One that does not run now will read its file when it does.
      const path = findDnsmasq(files)?.serversFile ?? serversFileOf([], files);
      if (path === undefined) return;
      await locked(platform, () => {
        files.tidy(path);
        const now = files.look(path);
        const block = now.kind === 'file' ? parseServerBlocks(now.text).find((each) => each.id === id) : undefined;
        if (now.kind === 'file' && block !== undefined) {
          const text = now.text.replace(block.text, '');
          files.put(path, text === '' && block.created ? { kind: 'absent' } : { ...now, text });
        }
        readAgain(path);
      });
    },
  };
}

/** The file without the block; a line end that was added for it goes as well. */
function without(
  now: {
    readonly kind: 'file';
    readonly text: string;
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
  },
  block: ServerBlock,
  { before }: Extract<DnsmasqApplied, { way: 'servers-file' }>,
) {
  const rest = now.text.replace(block.text, '');
  if (rest === '' && block.created) return { kind: 'absent' } as const;
  const text = before.kind === 'file' && rest === `${before.text}\n` ? before.text : rest;
  return { ...now, text };
}

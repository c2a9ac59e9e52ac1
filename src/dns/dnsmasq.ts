// Name servers given to a running dnsmasq: over its D-Bus (--enable-dbus), or in its servers-file, which it reads again at
// SIGHUP. Only domains: a server for every name would be one among those of its own configuration, and it asks
// whichever it likes (observed with 2.90, `/#/` and `/*/` too). Files of its conf-dir are read at its start only, and so no way to tell a running one.

import type { DnsApplied, DnsSetting } from '../tunnel/dns-port.ts';
import { parseServerBlocks, type ServerBlock, writeServerBlock } from './dnsmasq-text.ts';
import { isSameFile } from './file.ts';
import { locked } from './locked.ts';
import type { DnsBackend, DnsBus, DnsPlatform } from './ports.ts';
import { withBus } from './resolved.ts';
import { findDnsmasq, serversFileOf } from './running-dnsmasq.ts';

export type DnsmasqApplied = Extract<DnsApplied, { backend: 'dnsmasq' }>;

const NAME = 'uk.org.thekelleys.dnsmasq';
const ANSWER_MS = 3_000;
/** For a call whose answer makes no difference. */
const BRIEFLY_MS = 100;
/**
 * What each tunnel wants of the dnsmasq on the bus, which takes all D-Bus servers in one call and tells none. Not the name of
 * a tunnel's record, socket or log in this folder.
 */
const STATE_FOLDER = '/run/sallyport';
export const DNSMASQ_STATE = `${STATE_FOLDER}/dnsmasq.servers`;

/** [server, domain …] as `SetServersEx` takes them. */
type BusServer = readonly string[];

interface BusState {
  /** The unique name of the dnsmasq that was told: another one knows nothing of it. */
  readonly owner: string;
  readonly layers: readonly { readonly id: string; readonly servers: readonly BusServer[] }[];
}

export function dnsmasqBackend(
  platform: DnsPlatform,
  codec: { hash(text: string): string },
): DnsBackend<DnsmasqApplied> {
  const { files } = platform;

  const tell = async (
    change: (owner: string, before: BusState) => BusState['layers'] | undefined,
  ): Promise<string | undefined> => {
    files.makeFolder(STATE_FOLDER);
    return locked(platform, () =>
      withBus(platform, async (bus) => {
        files.tidy(DNSMASQ_STATE);
        const owner = await bus.nameOwner(NAME);
        if (owner === undefined) return undefined;
        const known = parseBusState(files.read(DNSMASQ_STATE));
        const before = known?.owner === owner ? known : { owner, layers: [] };
        const layers = change(owner, before);
        if (layers === undefined) return undefined;
        const keep = (what: BusState['layers']): void => {
          const text = JSON.stringify({ owner, layers: what });
          files.put(
            DNSMASQ_STATE,
            what.length === 0 ? { kind: 'absent' } : { kind: 'file', text, mode: 0o600, uid: 0, gid: 0 },
          );
        };
        // What dnsmasq may know stands in the file at every moment, for whoever comes after a killed process.
        const grows = layers.length > before.layers.length;
        if (grows) keep(layers);
        try {
          await setServers(bus, layers, ANSWER_MS);
        } catch (error) {
          if (grows) {
            // One that was silent may take it yet, and this behind it.
            await setServers(bus, before.layers, BRIEFLY_MS).catch(() => undefined);
            keep(before.layers);
          }
          throw error;
        }
        if (!grows) keep(layers);
        return owner;
      }),
    );
  };

  /** Has a dnsmasq that reads this file read it again. */
  const readAgain = (path: string): void => {
    const running = findDnsmasq(files);
    if (running?.serversFile === path) platform.hangUp(running.pid);
  };

  // Another dnsmasq than the one that was told has nothing of ours.
  const forget = (id: string): Promise<unknown> =>
    tell((_owner, { layers }) =>
      layers.some((layer) => layer.id === id) ? layers.filter((layer) => layer.id !== id) : undefined,
    );

  return {
    async apply(device, id, setting) {
      const common = { backend: 'dnsmasq' as const, device, id, setting };
      const owner = await tell((_owner, { layers }) => [...layers, { id, servers: busServers(setting) }]).catch(
        (error: unknown) => {
          if (findDnsmasq(files)?.serversFile === undefined) throw error;
          return undefined;
        },
      );
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
        await forget(applied.id);
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
      if (applied.way === 'bus') return (await withBus(platform, (bus) => bus.nameOwner(NAME))) === applied.owner;
      const now = files.look(applied.path);
      return now.kind === 'file' && parseServerBlocks(now.text).some(({ id }) => id === applied.id);
    },

    async clear(_device, id) {
      await locked(platform, () => files.tidy(DNSMASQ_STATE));
      if (files.read(DNSMASQ_STATE)?.includes(JSON.stringify(id)) === true) await forget(id);
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

/** The servers of all tunnels, in the place of those that it was told before. */
async function setServers(bus: DnsBus, layers: BusState['layers'], timeoutMs: number): Promise<void> {
  await bus.call({
    destination: NAME,
    path: '/uk/org/thekelleys/dnsmasq',
    interface: NAME,
    member: 'SetServersEx',
    signature: 'aas',
    body: [layers.flatMap((layer) => layer.servers)],
    timeoutMs,
  });
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

function busServers({ servers, search, routing }: DnsSetting): BusServer[] {
  return servers.map(({ address, port }) => [
    port === undefined ? address : `${address}#${port}`,
    ...search,
    ...routing,
  ]);
}

function parseBusState(text: string | undefined): BusState | undefined {
  try {
    const value = JSON.parse(text ?? '') as Partial<BusState> | null;
    if (typeof value?.owner !== 'string' || !Array.isArray(value.layers)) return undefined;
    const whole = value.layers.every(
      (layer: unknown) =>
        typeof (layer as { id?: unknown } | null)?.id === 'string' &&
        Array.isArray((layer as { servers?: unknown }).servers) &&
        (layer as { servers: unknown[] }).servers.every(
          (server) => Array.isArray(server) && server.every((word) => typeof word === 'string'),
        ),
    );
    return whole ? (value as BusState) : undefined;
  } catch {
    return undefined;
  }
}

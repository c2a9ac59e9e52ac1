// Name servers of tunnels told to the dnsmasq on the bus (--enable-dbus). It takes the servers of everybody on the bus in one
// call, and tells none: what each tunnel wants of it is kept in a file.

import type { DnsSetting } from '../tunnel/dns-port.ts';
import { locked } from './locked.ts';
import type { DnsBus, DnsFiles, DnsPlatform } from './ports.ts';
import { withBus } from './resolved.ts';

const NAME = 'uk.org.thekelleys.dnsmasq';
const ANSWER_MS = 3_000;
/** For a call whose answer makes no difference. */
const BRIEFLY_MS = 100;
/** Not the name of a tunnel's record, socket or log in this folder. */
const STATE_FOLDER = '/run/sallyport';
const STATE = `${STATE_FOLDER}/dnsmasq.servers`;

/** [server, domain …] as `SetServersEx` takes them; a server is an address, or `address#port`. */
type BusServer = readonly string[];

interface BusState {
  /** The unique name of the dnsmasq that was told: another one knows nothing of it. */
  readonly owner: string;
  readonly layers: Layers;
}

type Layers = readonly { readonly id: string; readonly servers: readonly BusServer[] }[];

/** What tunnels of this host have told the dnsmasq on the bus, oldest first; only root may read it. */
export const givenServers = (files: Pick<DnsFiles, 'read'>): readonly BusServer[] =>
  (parseState(files.read(STATE))?.layers ?? []).flatMap(({ servers }) => servers);

export class DnsmasqOnBus {
  readonly #platform: DnsPlatform;

  constructor(platform: DnsPlatform) {
    this.#platform = platform;
  }

  /** The unique name of the dnsmasq that has been told; undefined where none is on the bus. Rejects where it does not take them. */
  add(id: string, setting: DnsSetting): Promise<string | undefined> {
    return this.#tell((layers) => [...layers, { id, servers: busServers(setting) }]);
  }

  /** Another dnsmasq than the one that was told has nothing of ours. */
  async drop(id: string): Promise<void> {
    await this.#tell((layers) =>
      layers.some((layer) => layer.id === id) ? layers.filter((layer) => layer.id !== id) : undefined,
    );
  }

  /** Drops what stands under this id, whoever set it, and what a killed process has left beside the file. */
  async clear(id: string): Promise<void> {
    const { files } = this.#platform;
    await locked(this.#platform, () => files.tidy(STATE));
    if (files.read(STATE)?.includes(JSON.stringify(id)) === true) await this.drop(id);
  }

  /** Whether this very dnsmasq is on the bus still: another one would not know. */
  async stands(owner: string): Promise<boolean> {
    return (await withBus(this.#platform, (bus) => bus.nameOwner(NAME))) === owner;
  }

  /** `change`: from what it was told to what it is to be told; undefined leaves it. */
  async #tell(change: (before: Layers) => Layers | undefined): Promise<string | undefined> {
    const { files } = this.#platform;
    files.makeFolder(STATE_FOLDER);
    return locked(this.#platform, () =>
      withBus(this.#platform, async (bus) => {
        files.tidy(STATE);
        const owner = await bus.nameOwner(NAME);
        if (owner === undefined) return undefined;
        const known = parseState(files.read(STATE));
        const before = known?.owner === owner ? known.layers : [];
        const layers = change(before);
        if (layers === undefined) return undefined;
        // What dnsmasq may know stands in the file at every moment, for whoever comes after a killed process.
        const grows = layers.length > before.length;
        if (grows) this.#keep({ owner, layers });
        try {
          await setServers(bus, layers, ANSWER_MS);
        } catch (error) {
          if (grows) {
            // One that was silent may take it yet, and this behind it.
            await setServers(bus, before, BRIEFLY_MS).catch(() => undefined);
            this.#keep({ owner, layers: before });
          }
          throw error;
        }
        if (!grows) this.#keep({ owner, layers });
        return owner;
      }),
    );
  }

  #keep(state: BusState): void {
    const text = JSON.stringify(state);
    this.#platform.files.put(
      STATE,
      state.layers.length === 0 ? { kind: 'absent' } : { kind: 'file', text, mode: 0o600, uid: 0, gid: 0 },
    );
  }
}

/** The servers of all tunnels, in the place of those that it was told before. */
async function setServers(bus: DnsBus, layers: Layers, timeoutMs: number): Promise<void> {
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

function busServers({ servers, search, routing }: DnsSetting): BusServer[] {
  return servers.map(({ address, port }) => [
    port === undefined ? address : `${address}#${port}`,
    ...search,
    ...routing,
  ]);
}

function parseState(text: string | undefined): BusState | undefined {
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

// Name servers in systemd-resolved, for the tunnel's own link, over the system bus (org.freedesktop.resolve1(5)).

import { parseAddress } from '../ip/address.ts';
import type { DnsApplied, DnsSetting } from '../tunnel/dns-port.ts';
import type { DnsBackend, DnsBus, DnsPlatform } from './ports.ts';

export type ResolvedApplied = Extract<DnsApplied, { backend: 'resolved' }>;

const NAME = 'org.freedesktop.resolve1';
/** Each call; resolved answers at once, and a tunnel is not to wait for one that doesn't. */
const ANSWER_MS = 3_000;
/** For a call whose answer makes no difference. */
const BRIEFLY_MS = 100;
/** sys/socket.h */
const AF_INET = 2;
const AF_INET6 = 10;

export function resolvedBackend(platform: DnsPlatform): DnsBackend<ResolvedApplied> {
  return {
    async apply(device, id, setting) {
      const ifindex = platform.deviceIndex(device);
      if (ifindex === undefined) throw new Error(`there is no device ${device}`);
      await withBus(platform, async (bus) => {
        try {
          for (const [member, signature, body] of linkCalls(ifindex, setting)) await ask(bus, member, signature, body);
        } catch (error) {
          // Nothing half done stays. One that is silent may take it yet, and this behind it.
          const waitMs = isSilence(error) ? BRIEFLY_MS : ANSWER_MS;
          await ask(bus, 'RevertLink', 'i', [ifindex], waitMs).catch(() => undefined);
          throw error;
        }
      });
      return { backend: 'resolved', device, id, setting, ifindex };
    },
    async undo({ device, ifindex }) {
      // With its link resolved has forgotten it; the number may be another device's by now.
      if (platform.deviceIndex(device) !== ifindex) return 'restored';
      await withBus(platform, (bus) => ask(bus, 'RevertLink', 'i', [ifindex]));
      return 'restored';
    },
    // It keeps what it was told of a link beyond its own end.
    stands: () => Promise.resolve(true),
    // Only a device that outlives its process is there still.
    async clear(device) {
      const ifindex = device === undefined ? undefined : platform.deviceIndex(device);
      if (ifindex === undefined) return;
      const bus = await platform.openBus().catch(() => undefined);
      if (bus === undefined) return;
      try {
        if ((await bus.nameOwner(NAME)) !== undefined) await ask(bus, 'RevertLink', 'i', [ifindex]);
      } finally {
        await bus.close().catch(() => undefined);
      }
    },
  };
}

/** Every setting is stated, so that what was on the link before makes no difference. */
function linkCalls(ifindex: number, setting: DnsSetting): (readonly [string, string, readonly unknown[]])[] {
  const servers = setting.servers.flatMap(({ address, port }) => {
    const bytes = parseAddress(address);
    const family = bytes?.length === 4 ? AF_INET : AF_INET6;
    return bytes === undefined ? [] : [[family, bytes, port ?? 0, setting.sni ?? '']];
  });
  const domains = [...setting.search.map((name) => [name, false]), ...setting.routing.map((name) => [name, true])];
  return [
    ['SetLinkDNSEx', 'ia(iayqs)', [ifindex, servers]],
    ['SetLinkDomains', 'ia(sb)', [ifindex, domains]],
    ['SetLinkDefaultRoute', 'ib', [ifindex, setting.isDefault]],
    ['SetLinkDNSSEC', 'is', [ifindex, setting.dnssec]],
    ['SetLinkDNSOverTLS', 'is', [ifindex, setting.overTls ? 'yes' : 'no']],
  ];
}

function ask(
  bus: DnsBus,
  member: string,
  signature: string,
  body: readonly unknown[],
  timeoutMs = ANSWER_MS,
): Promise<readonly unknown[]> {
  return bus.call({
    destination: NAME,
    path: '/org/freedesktop/resolve1',
    interface: `${NAME}.Manager`,
    member,
    signature,
    body,
    timeoutMs,
  });
}

const isSilence = (error: unknown): boolean =>
  error instanceof Error && /NoReply|Timeout|TimedOut|Disconnected/.test(`${error.name} ${error.message}`);

export async function withBus<T>(platform: DnsPlatform, work: (bus: DnsBus) => Promise<T>): Promise<T> {
  const bus = await platform.openBus();
  try {
    return await work(bus);
  } finally {
    await bus.close().catch(() => undefined);
  }
}

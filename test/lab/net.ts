// A small internet of three namespaces: client - router - server, joined by veth, IPv4 and IPv6. The client's default
// route goes through the router; behind the server stand an office network and a host of the wide world.

import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent } from './agent.ts';
import { startCaretaker } from './caretaker.ts';
import { eventually, type RunOptions, type RunResult, run, WatchedProcess, type WatchOptions } from './process.ts';

/** Addresses that every net has; namespaces keep equal ones apart. */
export const address = {
  client4: '192.0.2.2',
  client6: 'fd00:1::2',
  /** A second address of the client, not set at first; for floating. */
  clientSpare4: '192.0.2.3',
  gateway4: '192.0.2.1',
  gateway6: 'fd00:1::1',
  router4: '198.51.100.2',
  server4: '198.51.100.1',
  server6: 'fd00:2::1',
  /** In the office network behind the server; the router does not know it. */
  office4: '10.77.0.1',
  office6: 'fd00:77::1',
  /** A host of the wide world: reached through the router, or through a tunnel that takes the default route. */
  world4: '203.0.113.9',
  world6: 'fd00:99::9',
} as const;

/** What is written in the machine's place for lasting state, by whoever runs inside, is kept in a folder of the lab. */
const OWN_STATE = `d=/var/lib/sallyport
[ -d $d ] || { mount -t tmpfs -o mode=755 tmpfs /var/lib && mkdir $d; } || exit 126
mount --bind "$0" $d && exec "$@"`;

export class Namespace {
  readonly name: string;
  /** What stands in /var/lib/sallyport inside. */
  readonly stateFolder: string;
  #agent: Promise<Agent> | undefined;

  constructor(name: string, stateFolder: string) {
    this.name = name;
    this.stateFolder = stateFolder;
  }

  /** The prefix of a command line that runs inside. */
  get prefix(): readonly string[] {
    return ['ip', 'netns', 'exec', this.name, 'sh', '-c', OWN_STATE, this.stateFolder];
  }

  run(argv: readonly string[], options?: RunOptions): Promise<RunResult> {
    return run([...this.prefix, ...argv], options);
  }

  /** `ip` inside, with the words of one line. */
  async ip(words: string): Promise<string> {
    return (await run(['ip', '-n', this.name, ...words.split(' ')])).stdout;
  }

  watch(argv: readonly string[], options: WatchOptions): WatchedProcess {
    return new WatchedProcess([...this.prefix, ...argv], options);
  }

  /** The process inside that sends and receives traffic; started with the first call. */
  agent(): Promise<Agent> {
    this.#agent ??= Agent.start(this.prefix);
    return this.#agent;
  }

  /** Every process inside, by id. */
  async pids(): Promise<readonly number[]> {
    const { stdout } = await run(['ip', 'netns', 'pids', this.name], { anyCode: true });
    return stdout.split('\n').filter(Boolean).map(Number);
  }

  /** Replaces /etc/hosts as processes started in this namespace see it; those that run already see the new text too. */
  async setHosts(text: string): Promise<void> {
    await writeFile(`/etc/netns/${this.name}/hosts`, text);
  }

  /** Ends every process inside but the agent: programs that made themselves daemons have no other handle. */
  async killAllButAgent(): Promise<void> {
    const agent = await this.#agent;
    await this.killAll(agent?.pid);
  }

  async killAll(except?: number): Promise<void> {
    for (const pid of await this.pids()) {
      if (pid === except) continue;
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it ended by itself
      }
    }
  }
}

/** Three namespaces and their way down. */
export interface Net {
  readonly client: Namespace;
  readonly router: Namespace;
  readonly server: Namespace;
  /** The client's addresses and default routes as they were at first: a killed client leaves its routes behind. */
  resetClient(): Promise<void>;
  close(): Promise<void>;
}

let counter = 0;

/** Builds the namespaces. They and the directory go with `close`, with a failure here, and with this process. */
export async function createNet(directory: string): Promise<Net> {
  counter += 1;
  const base = `sally-${process.pid.toString(36)}-${counter}`;
  const made = (role: string): Namespace => new Namespace(`${base}-${role}`, join(directory, `state-${role}`));
  const [client, router, server] = [made('client'), made('router'), made('server')];
  const all = [client, router, server];
  const close = startCaretaker(
    all.map(({ name }) => name),
    directory,
  );
  try {
    for (const namespace of all) {
      await run(['ip', 'netns', 'add', namespace.name]);
      await mkdir(namespace.stateFolder, { mode: 0o755 });
      // `ip netns exec` lays these files over /etc. The name server answers at once that nobody listens.
      await mkdir(`/etc/netns/${namespace.name}`, { recursive: true });
      await writeFile(
        `/etc/netns/${namespace.name}/resolv.conf`,
        'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n',
      );
      await writeFile(`/etc/netns/${namespace.name}/hosts`, '127.0.0.1 localhost\n::1 localhost\n');
    }
    await batch([
      `link add outer0 netns ${client.name} type veth peer name outer0 netns ${router.name}`,
      `link add outer1 netns ${router.name} type veth peer name outer0 netns ${server.name}`,
    ]);
    for (const namespace of all) {
      await namespace.run([
        'sh',
        '-c',
        'for f in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 >$f; done; echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding',
      ]);
    }
    await client.ip('link set lo up');
    await client.ip('link set outer0 addrgenmode none');
    await client.ip('link set outer0 up');
    await resetClient(client);
    await batch(
      [
        'link set lo up',
        `addr add ${address.gateway4}/24 dev outer0`,
        `addr add ${address.gateway6}/64 dev outer0 nodad`,
        `addr add ${address.router4}/24 dev outer1`,
        'addr add fd00:2::2/64 dev outer1 nodad',
        'link set outer0 up',
        'link set outer1 up',
        `route add ${address.world4}/32 via ${address.server4}`,
        `-6 route add ${address.world6}/128 via ${address.server6}`,
      ],
      router,
    );
    await batch(
      [
        'link set lo up',
        `addr add ${address.office4}/32 dev lo`,
        `addr add ${address.office6}/128 dev lo`,
        `addr add ${address.world4}/32 dev lo`,
        `addr add ${address.world6}/128 dev lo`,
        `addr add ${address.server4}/24 dev outer0`,
        `addr add ${address.server6}/64 dev outer0 nodad`,
        'link set outer0 up',
        `route add default via ${address.router4}`,
        '-6 route add default via fd00:2::2',
      ],
      server,
    );
    // A link's carrier is noticed a moment after both its ends are up.
    for (const namespace of all) {
      await eventually(`links of ${namespace.name}`, async () => !(await namespace.ip('-br link')).includes('DOWN'));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { client, router, server, resetClient: () => resetClient(client), close };
}

async function resetClient(client: Namespace): Promise<void> {
  const links = JSON.parse(await client.ip('-j link show')) as { ifname: string }[];
  for (const { ifname } of links) {
    // A device goes with its process, perhaps in this moment.
    if (ifname !== 'lo' && ifname !== 'outer0')
      await run(['ip', '-n', client.name, 'link', 'del', ifname], { anyCode: true });
  }
  await batch(
    [
      'addr flush dev outer0',
      'route flush table main',
      '-6 route flush table main',
      `addr add ${address.client4}/24 dev outer0`,
      `addr add ${address.client6}/64 dev outer0 nodad`,
      `route add default via ${address.gateway4}`,
      `-6 route add default via ${address.gateway6}`,
    ],
    client,
  );
}

/** What a client may change of its host: compared before and after a connection. */
export interface HostState {
  readonly links: unknown;
  readonly routes: unknown;
  readonly routes6: unknown;
  readonly rules: unknown;
  readonly resolvConf: string;
}

/** A snapshot of a namespace's links with addresses, routes of all tables, rules and resolv.conf. */
export async function hostState(namespace: Namespace): Promise<HostState> {
  const json = async (words: string): Promise<unknown> => JSON.parse((await namespace.ip(`-j ${words}`)) || '[]');
  const links = await settledAddresses(namespace);
  const [routes, routes6, rules] = await Promise.all([
    json('-4 route show table all'),
    json('-6 route show table all'),
    json('rule show'),
  ]);
  return {
    links,
    // Neighbour discovery and the path MTU cache change these by themselves.
    routes: withoutKeys(routes, ['expires', 'cache']),
    routes6: withoutKeys(routes6, ['expires', 'cache']),
    rules,
    resolvConf: readFileSync(`/etc/netns/${namespace.name}/resolv.conf`, 'utf8'),
  };
}

/** Links with their addresses, as `ip` tells them, once none is tentative: until then IPv6 neither sends nor has routes. */
export function settledAddresses(namespace: Namespace): Promise<unknown> {
  return eventually(`settled addresses in ${namespace.name}`, async () => {
    const text = await namespace.ip('-j addr show');
    return !text.includes('"tentative":true') && (JSON.parse(text) as unknown);
  });
}

/** The addresses and MTU of a device, or undefined where it is not there. */
export async function device(
  namespace: Namespace,
  name: string,
): Promise<
  | {
      readonly mtuBytes: number;
      readonly flags: readonly string[];
      readonly operstate: string;
      readonly linkType: string;
      readonly addresses: readonly string[];
    }
  | undefined
> {
  const { stdout, code } = await run(['ip', '-n', namespace.name, '-j', 'addr', 'show', 'dev', name], {
    anyCode: true,
  });
  if (code !== 0) return undefined;
  const [link] = JSON.parse(stdout) as {
    mtu: number;
    flags: string[];
    operstate: string;
    link_type: string;
    addr_info: { local: string; address?: string; prefixlen: number; scope: string }[];
  }[];
  if (!link) return undefined;
  return {
    mtuBytes: link.mtu,
    flags: link.flags,
    operstate: link.operstate,
    linkType: link.link_type,
    addresses: link.addr_info
      .filter((info) => info.scope === 'global')
      .map((info) => `${info.local}${info.address === undefined ? '' : ` peer ${info.address}`}/${info.prefixlen}`),
  };
}

async function batch(lines: readonly string[], namespace?: Namespace): Promise<void> {
  for (const line of lines) {
    if (namespace) await namespace.ip(line);
    else await run(['ip', ...line.split(' ')]);
  }
}

function withoutKeys(value: unknown, keys: readonly string[]): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner: unknown) => (keys.includes(key) ? undefined : inner)));
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePush } from '../../src/config/push.ts';
import { parsePushUpdate } from '../../src/config/push-update.ts';
import { Host } from '../../src/tunnel/host.ts';
import { Journal, type JournalRecord } from '../../src/tunnel/journal.ts';
import { clientConfig, SUCCESS } from '../lab/client-lab.ts';
import { FakeHost } from './fake-host.ts';

const SCRIPTS = [
  'script-security 2',
  'up /etc/up.sh',
  'down /etc/down.sh',
  'route-up /etc/route-up.sh',
  'route-pre-down /etc/pre-down.sh',
];
const PUSHED = [
  'topology subnet',
  'ifconfig 10.8.0.2 255.255.255.0',
  'ifconfig-ipv6 fd00:8::2/64 fd00:8::1',
  'route-gateway 10.8.0.1',
  'route 10.20.0.0 255.255.0.0',
  'route-ipv6 fd00:20::/48',
];
const remote = { family: 4, address: Uint8Array.of(198, 51, 100, 1), port: 1194, scopeId: 0 } as const;
const TERM = { signal: 'SIGTERM', signalText: '', keep: false };

/** A tunnel that is up on a host in memory, and updates of it. */
async function bench(lines: readonly string[] = [], pushed: readonly string[] = PUSHED) {
  const config = clientConfig('remote 198.51.100.1', ...lines);
  const fake = new FakeHost();
  const before = fake.state();
  const environments: Readonly<Record<string, string>>[] = [];
  let failing = '';
  const host = new Host(config, {
    devices: fake.device,
    network: fake.network,
    scripts: {
      run: async (_argv, environment) => {
        fake.calls.push(`script ${environment.script_type}`);
        environments.push(environment);
        return { ...SUCCESS, exitCode: environment.script_type === failing ? 7 : 0 };
      },
    },
    privileges: { chroot: () => {}, changeIdentity: () => [] },
    resolver: { resolve: async () => [] },
    log: () => {},
    pid: 4711,
    startUnixSeconds: 1_800_000_000,
    unique: 'ab12',
    configFile: undefined,
  });
  const request = (tunnel: ReturnType<typeof parsePush>['tunnel']) => ({
    profile: config.connections[0]!,
    tunnel,
    remote,
    letGo: async () => {},
    signal: new AbortController().signal,
  });
  let { tunnel } = parsePush(pushed, config, 'push-reply');
  await host.open(request(tunnel));
  await host.route();
  fake.calls.splice(0);
  return {
    host,
    fake,
    environments,
    failScript: (type: string) => {
      failing = type;
    },
    update: async (...options: readonly string[]) => {
      tunnel = parsePushUpdate(options, tunnel, config).tunnel;
      return host.update(request(tunnel));
    },
    /** What the host looks like where the same options were pushed from the start. */
    fresh: async () => {
      const other = new FakeHost();
      const anew = new Host(config, {
        devices: other.device,
        network: other.network,
        scripts: { run: async () => SUCCESS },
        privileges: { chroot: () => {}, changeIdentity: () => [] },
        resolver: { resolve: async () => [] },
        log: () => {},
        pid: 1,
        startUnixSeconds: 1,
        unique: 'ab12',
        configFile: undefined,
      });
      await anew.open(request(tunnel));
      await anew.route();
      return other.state();
    },
    close: async () => {
      fake.calls.splice(0);
      await host.close(TERM, async () => {});
      return fake.state() === before;
    },
  };
}

describe('the journal', () => {
  it('keeps a step in front of another where it belongs, also when it is rebuilt from its records', () => {
    const records: JournalRecord[] = [];
    const journal = new Journal((record) => records.push(JSON.parse(JSON.stringify(record)) as JournalRecord));
    const hook = (onUndo: 'down' | 'route-pre-down') => ({ kind: 'hook', onApply: undefined, onUndo }) as const;
    const last = journal.begin(hook('route-pre-down'));
    journal.begin(hook('down'), last);
    expect(journal.entries.map(({ id }) => id)).toEqual([2, 1]);
    expect(Journal.replay(records).entries.map(({ id }) => id)).toEqual([2, 1]);
  });

  it('takes a step in front of one that is gone for the newest', () => {
    const journal = new Journal();
    const step = { kind: 'hook', onApply: undefined, onUndo: 'down' } as const;
    journal.begin(step);
    journal.begin(step, 99);
    expect(journal.entries.map(({ id }) => id)).toEqual([1, 2]);
  });
});

describe('an update of an open tunnel', () => {
  it.each<[string, string[], string[]]>([
    ['a new route', ['route 10.20.0.0 255.255.0.0', 'route 10.30.0.0 255.255.0.0'], ['route 10.30.0.0/16']],
    ['another route', ['route 10.30.0.0 255.255.0.0'], ['no route 10.20.0.0/16', 'route 10.30.0.0/16']],
    ['no routes', ['-route', '-route-ipv6'], ['no route fd00:20::/48', 'no route 10.20.0.0/16']],
    ['another MTU', ['tun-mtu 1400'], ['mtu tun0 1400']],
    [
      'another IPv4 address',
      ['ifconfig 10.8.0.9 255.255.255.0'],
      ['no route 10.20.0.0/16', 'no address 10.8.0.2 tun0', 'address 10.8.0.9/24 tun0', 'route 10.20.0.0/16'],
    ],
    [
      'another IPv6 address',
      ['ifconfig-ipv6 fd00:8::9/64 fd00:8::1'],
      ['no route fd00:20::/48', 'no address fd00:8::2 tun0', 'address fd00:8::9/64 tun0', 'route fd00:20::/48'],
    ],
    ['name servers alone', ['dns server 1 address 10.8.0.53'], []],
    ['the same again', ['route 10.20.0.0 255.255.0.0', 'tun-mtu 1500'], []],
  ])('with %s touches that alone', async (_name, options, calls) => {
    const { fake, update, fresh, close } = await bench();
    const opened = await update(...options);
    expect(opened).toMatchObject({ kept: true, name: 'tun0' });
    expect(fake.calls).toEqual(calls);
    expect(fake.state()).toBe(await fresh());
    expect(await close()).toBe(true);
  });

  it('says what the plane has to know', async () => {
    const { update } = await bench();
    expect(await update('tun-mtu 1300', 'block-ipv6', 'dns server 1 address 10.8.0.53')).toMatchObject({
      mtuBytes: 1300,
      blockIpv6: true,
      plan: { dns: { servers: [{ priority: 1 }] } },
    });
    expect(await update('-tun-mtu', '-block-ipv6')).toMatchObject({ mtuBytes: 1500, blockIpv6: false });
  });

  it('takes the default route and gives it back', async () => {
    const { fake, update, fresh, close } = await bench();
    await update('redirect-gateway');
    expect(fake.calls).toEqual(['route 198.51.100.1/32', 'no route 0.0.0.0/0', 'route 0.0.0.0/0']);
    expect(fake.state()).toBe(await fresh());
    await update('ifconfig 10.8.0.7 255.255.255.0');
    expect(fake.state()).toBe(await fresh());
    await update('-redirect-gateway');
    expect(fake.state()).toBe(await fresh());
    expect(await close()).toBe(true);
  });

  it('knows the way to the rest of the world after the default route is its own', async () => {
    const { fake, update, close } = await bench([], [...PUSHED, 'redirect-gateway']);
    await update('route 10.99.0.0 255.255.0.0 net_gateway');
    expect(fake.routes.find(({ prefix }) => prefix === '10.99.0.0/16')).toMatchObject({ gateway: '192.0.2.1' });
    expect(await close()).toBe(true);
  });

  it('runs the scripts as if the device was closed and opened again, each with what stands then', async () => {
    const { fake, update, environments } = await bench(SCRIPTS);
    await update('ifconfig 10.8.0.9 255.255.255.0');
    expect(fake.calls).toEqual([
      'script route-pre-down',
      'no route 10.20.0.0/16',
      'no address 10.8.0.2 tun0',
      'script down',
      'address 10.8.0.9/24 tun0',
      'script up',
      'route 10.20.0.0/16',
      'script route-up',
    ]);
    const told = environments
      .slice(-4)
      .map((each) => `${each.script_type} ${each.ifconfig_local} ${each.script_context}`);
    expect(told).toEqual([
      'route-pre-down 10.8.0.2 init',
      'down 10.8.0.2 init',
      'up 10.8.0.9 init',
      'route-up 10.8.0.9 init',
    ]);
  });

  it('runs down before the addresses go under down-pre', async () => {
    const { fake, update } = await bench([...SCRIPTS, 'down-pre']);
    await update('ifconfig 10.8.0.9 255.255.255.0');
    expect(fake.calls.slice(2, 4)).toEqual(['script down', 'no address 10.8.0.2 tun0']);
  });

  it('is undone in the order of a tunnel that was never updated', async () => {
    const { fake, update, close } = await bench(SCRIPTS);
    await update('ifconfig 10.8.0.9 255.255.255.0', 'route 10.30.0.0 255.255.0.0', 'tun-mtu 1400');
    expect(await close()).toBe(true);
    const at = (call: string) => fake.calls.indexOf(call);
    expect(at('script route-pre-down')).toBe(0);
    expect(at('no route 10.30.0.0/16')).toBeLessThan(at('no address 10.8.0.9 tun0'));
    expect(at('no address 10.8.0.9 tun0')).toBeLessThan(at('close tun0'));
    expect(fake.calls.at(-1)).toBe('script down');
  });

  it('goes on without a route that the host refuses, and tries it again with the next update', async () => {
    const { fake, update, close } = await bench();
    fake.refuse = (call) => (call === 'route 10.30.0.0/16' ? 'EPERM' : undefined);
    await update('route 10.30.0.0 255.255.0.0');
    fake.refuse = () => undefined;
    fake.calls.splice(0);
    await update('tun-mtu 1400');
    expect(fake.calls).toEqual(['mtu tun0 1400', 'route 10.30.0.0/16']);
    expect(await close()).toBe(true);
  });

  it.each([
    ['mtu tun0 1400', 'SALLYPORT_HOST'],
    ['address 10.8.0.9/24 tun0', 'SALLYPORT_HOST'],
  ])('that fails half-way at "%s" rejects, and the end undoes all that stands by then', async (refused, code) => {
    const { fake, update, close } = await bench();
    fake.refuse = (call) => (call === refused ? 'EINVAL' : undefined);
    await expect(
      update('ifconfig 10.8.0.9 255.255.255.0', 'tun-mtu 1400', 'route 10.30.0.0 255.255.0.0'),
    ).rejects.toMatchObject({ code });
    fake.refuse = () => undefined;
    expect(await close()).toBe(true);
  });

  it.each(['route-pre-down', 'down', 'up'])('whose %s script fails rejects, and the end undoes all', async (type) => {
    const { failScript, update, close } = await bench(SCRIPTS);
    failScript(type);
    await expect(update('ifconfig 10.8.0.9 255.255.255.0')).rejects.toMatchObject({ code: 'SALLYPORT_SCRIPT' });
    failScript('');
    expect(await close()).toBe(true);
  });

  it('that makes no sense rejects before anything is touched', async () => {
    const { fake, update } = await bench();
    await expect(update('ifconfig 10.8.0.9 10.8.0.10')).rejects.toMatchObject({ code: 'SALLYPORT_CONFIG' });
    expect(fake.calls).toEqual([]);
  });

  it('changes nothing of the host under ifconfig-noexec and route-noexec', async () => {
    const { fake, update, close } = await bench(['ifconfig-noexec', 'route-noexec']);
    await update('ifconfig 10.8.0.9 255.255.255.0', 'route 10.30.0.0 255.255.0.0', 'tun-mtu 1400');
    expect(fake.calls).toEqual([]);
    expect(await close()).toBe(true);
  });

  it('needs a tunnel that is up', async () => {
    const { update, close } = await bench();
    await close();
    await expect(update('-route')).rejects.toThrow('no tunnel is up');
  });

  it('whatever the order of updates, leaves what the last options would make, and in the end nothing', async () => {
    const options = [
      '-route',
      '-ifconfig',
      '-ifconfig-ipv6',
      '-redirect-gateway',
      '-tun-mtu',
      'topology p2p,ifconfig 10.8.0.6 10.8.0.5,-route-gateway',
      'topology subnet,ifconfig 10.8.0.9 255.255.255.0,route-gateway 10.8.0.1',
      'ifconfig-ipv6 fd00:8::9/64 fd00:8::1',
      'route 10.30.0.0 255.255.0.0,route 10.31.0.0 255.255.0.0',
      'route-ipv6 fd00:30::/48',
      'redirect-gateway def1 ipv6',
      'redirect-gateway',
      'tun-mtu 1400',
      'route-gateway 10.8.0.3',
      'block-ipv6',
    ];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...options), { minLength: 1, maxLength: 5 }), async (chosen) => {
        const { fake, update, fresh, close } = await bench();
        for (const each of chosen) await update(...each.split(','));
        // Without any address a new device would not be up; one that was stays so.
        const addressed = fake.addresses.some(({ device }) => device === 'tun0');
        const seen = (state: string) => (addressed ? state : JSON.stringify((JSON.parse(state) as unknown[]).slice(1)));
        expect(seen(fake.state())).toBe(seen(await fresh()));
        expect(await close()).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

describe('only-its-networks on a host', () => {
  it('leaves default routes out when the tunnel is opened, and when it is changed', async () => {
    const { fake, update } = await bench(
      ['only-its-networks'],
      ['topology subnet', 'ifconfig 10.8.0.2 255.255.255.0', 'route-gateway 10.8.0.1', 'redirect-gateway def1'],
    );
    const prefixes = () => fake.routes.map(({ prefix }) => prefix);
    expect(prefixes()).not.toContain('0.0.0.0/1');
    await update('route 0.0.0.0 0.0.0.0', 'route 10.20.0.0 255.255.0.0');
    expect(prefixes()).toContain('10.20.0.0/16');
    expect(fake.routes.filter(({ prefix, device }) => prefix === '0.0.0.0/0' && device !== 'eth0')).toEqual([]);
  });
});

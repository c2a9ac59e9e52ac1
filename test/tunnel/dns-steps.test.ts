import { describe, expect, it } from 'vitest';
import { parsePush } from '../../src/config/push.ts';
import { parsePushUpdate } from '../../src/config/push-update.ts';
import type { DnsApplied, DnsPort } from '../../src/tunnel/dns-port.ts';
import { dnsSetter } from '../../src/tunnel/dns-steps.ts';
import { Host } from '../../src/tunnel/host.ts';
import { standingDns } from '../../src/tunnel/journal.ts';
import { clientConfig, SUCCESS } from '../lab/client-lab.ts';
import { FakeHost } from './fake-host.ts';

const PUSHED = [
  'topology subnet',
  'ifconfig 10.8.0.2 255.255.255.0',
  'route-gateway 10.8.0.1',
  'dhcp-option DNS 10.8.0.1',
];
const remote = { family: 4, address: Uint8Array.of(198, 51, 100, 1), port: 1194, scopeId: 0 } as const;

/** A host that writes down in one row what is asked of it. */
function bench(lines: readonly string[], outcome: 'applied' | 'failed' = 'applied') {
  const config = clientConfig('remote 198.51.100.1', ...lines);
  const fake = new FakeHost();
  const log: string[] = [];
  let overwritten = false;
  /** What the host has, by the number that it was set under. */
  const held = new Map<string, string>();
  const moment = () => new Promise((resolve) => setImmediate(resolve));
  const dns: DnsPort = {
    apply: async ({ device, id, wanted }) => {
      await moment();
      const addresses = wanted.servers.flatMap(({ addresses }) => addresses.map(({ address }) => address));
      fake.calls.push(`dns ${device} ${addresses.join(' ')}`);
      overwritten = false;
      if (outcome === 'failed') return { result: 'failed', reason: 'nobody answers' };
      held.set(id, addresses.join(' '));
      await moment();
      const setting = {
        servers: [],
        sni: undefined,
        search: [],
        routing: ['.'],
        isDefault: true,
        dnssec: 'no',
        overTls: false,
      } as const;
      const applied: DnsApplied = { backend: 'resolvconf', device, id, program: '', name: device, ifindex: 7, setting };
      return { result: 'applied', applied, notes: [] };
    },
    undo: async ({ device, id }) => {
      fake.calls.push(`no dns ${device}`);
      held.delete(id);
      await moment();
      return { result: 'restored' };
    },
    stands: async ({ id }) => held.has(id) && !overwritten,
    clear: async () => ({ result: 'restored' }),
  };
  const host = new Host(config, {
    devices: fake.device,
    network: fake.network,
    dns,
    scripts: {
      run: async (_argv, environment) => {
        fake.calls.push(`script ${environment.script_type}`);
        return SUCCESS;
      },
    },
    privileges: { chroot: () => {}, changeIdentity: () => [] },
    resolver: { resolve: async () => [] },
    log: (_flags, text) => log.push(text),
    pid: 4711,
    startUnixSeconds: 1_800_000_000,
    unique: 'ab12',
    configFile: undefined,
  });
  let { tunnel } = parsePush(PUSHED, config, 'push-reply');
  const request = () => ({
    profile: config.connections[0]!,
    tunnel,
    remote,
    letGo: async () => void fake.calls.push('let go'),
    signal: new AbortController().signal,
  });
  return {
    fake,
    host,
    log,
    held,
    moment,
    overwrite: () => {
      overwritten = true;
    },
    async open() {
      await host.open(request());
      await host.route();
    },
    update(...options: readonly string[]) {
      tunnel = parsePushUpdate(options, tunnel, config).tunnel;
      return host.update(request());
    },
    close: (keep: boolean) =>
      host.close(
        { signal: keep ? 'SIGUSR1' : 'SIGTERM', signalText: '', keep },
        async () => void fake.calls.push('let go'),
      ),
  };
}

const dnsCalls = (calls: readonly string[]): readonly string[] => calls.filter((call) => call.includes('dns'));

describe('name servers among the steps of a tunnel', () => {
  it.each<[string, readonly string[], string | undefined]>([
    ['this program sets them', [], 'native'],
    ['an up script is left to set them', ['up /up'], undefined],
    ['force has this program set them beside an up script', ['up /up', 'dns-updown force'], 'native'],
    ['a program of the profile sets them, up or no up', ['up /up', 'dns-updown /updown'], 'script'],
    ['disable has nobody set them', ['dns-updown disable'], undefined],
    ['force after a program changes nothing', ['dns-updown /updown', 'dns-updown force'], 'script'],
  ])('%s', (_title, lines, by) => {
    const { scripts } = clientConfig('remote 198.51.100.1', 'script-security 2', ...lines);
    expect(dnsSetter(scripts, true)).toBe(by);
    expect(dnsSetter(scripts, false)).toBe(by === 'native' ? undefined : by);
  });

  it('are set after the address and before up, and go before anything else', async () => {
    const { fake, open, close, host } = bench([
      'script-security 2',
      'up /up',
      'down /down',
      'route-pre-down /pre',
      'dns-updown force',
    ]);
    await open();
    const at = fake.calls.indexOf('dns tun0 10.8.0.1');
    expect(fake.calls[at - 1]).toContain('address 10.8.0.2/24');
    expect(fake.calls[at + 1]).toBe('script up');
    expect(standingDns(host.changes)).toMatchObject({ backend: 'resolvconf', device: 'tun0' });
    fake.calls.splice(0);
    await close(false);
    expect(fake.calls.slice(0, 3)).toEqual(['no dns tun0', 'let go', 'script route-pre-down']);
    expect(standingDns(host.changes)).toBeUndefined();
  });

  it('go at a restart that keeps the device, and come back with the next connection', async () => {
    const { fake, open, close } = bench(['persist-tun']);
    await open();
    fake.calls.splice(0);
    await close(true);
    expect(fake.calls).toEqual(['no dns tun0']);
    await open();
    expect(dnsCalls(fake.calls)).toEqual(['no dns tun0', 'dns tun0 10.8.0.1']);
    await close(false);
    expect(dnsCalls(fake.calls).at(-1)).toBe('no dns tun0');
  });

  it('follow an update, and stay where it says nothing of them', async () => {
    const { fake, open, update } = bench([]);
    await open();
    fake.calls.splice(0);
    await update('tun-mtu 1400');
    expect(dnsCalls(fake.calls)).toEqual([]);
    await update('dhcp-option DNS 10.8.0.53');
    expect(dnsCalls(fake.calls)).toEqual(['no dns tun0', 'dns tun0 10.8.0.53']);
    await update('-dhcp-option');
    expect(dnsCalls(fake.calls).slice(2)).toEqual(['no dns tun0']);
  });

  it('are set again where another program has written over them, and only there', async () => {
    const { fake, host, open, close, overwrite, log } = bench([]);
    await host.refreshDns();
    await open();
    fake.calls.splice(0);
    await host.refreshDns();
    expect(dnsCalls(fake.calls)).toEqual([]);
    overwrite();
    await host.refreshDns();
    expect(dnsCalls(fake.calls)).toEqual(['no dns tun0', 'dns tun0 10.8.0.1']);
    expect(log.filter((line) => line.includes('written over'))).toHaveLength(1);
    overwrite();
    await Promise.all([host.refreshDns(), close(false)]);
    expect(dnsCalls(fake.calls).at(-1)).toBe('no dns tun0');
    await host.refreshDns();
    expect(dnsCalls(fake.calls).at(-1)).toBe('no dns tun0');
  });

  it.each<[string, (host: ReturnType<typeof bench>) => Promise<unknown>, readonly string[]]>([
    ['the end', ({ close }) => close(false), []],
    ['a restart', ({ close }) => close(true), []],
    ['an update', ({ update }) => update('dhcp-option DNS 10.8.0.53'), ['10.8.0.53']],
    ['a restart and the next connection', ({ close, open }) => close(true).then(open), ['10.8.0.1']],
  ])('are what %s leaves, whenever somebody looks whether they stand', async (_title, happens, left) => {
    for (let moments = 0; moments < 12; moments++) {
      for (const overwritten of [false, true]) {
        const lab = bench(['persist-tun']);
        await lab.open();
        if (overwritten) lab.overwrite();
        const look = async (): Promise<void> => {
          for (let count = 0; count < moments; count++) await lab.moment();
          await lab.host.refreshDns();
        };
        const early = moments % 2 === 0 ? lab.host.refreshDns() : undefined;
        await Promise.all([early, look(), happens(lab)]);
        expect([moments, overwritten, [...lab.held.values()]]).toEqual([moments, overwritten, left]);
      }
    }
  });

  it('that are refused are one warning', async () => {
    const { log, open, close, fake } = bench([], 'failed');
    await open();
    expect(log.filter((line) => line.includes('DNS'))).toEqual(['WARNING: DNS is not set: nobody answers']);
    await close(false);
    expect(dnsCalls(fake.calls)).toEqual(['dns tun0 10.8.0.1']);
  });

  it('are set by the program of dns-updown only where programs may run', async () => {
    const allowed = bench(['script-security 2', 'dns-updown /updown']);
    await allowed.open();
    await allowed.close(false);
    expect(dnsCalls(allowed.fake.calls)).toEqual(['script dns-up', 'script dns-down']);
    expect(allowed.log.filter((line) => line.includes('command exited'))).toEqual([
      'dns up command exited with status 0',
      'dns down command exited with status 0',
    ]);
    const refused = bench(['script-security 1', 'dns-updown /updown']);
    await refused.open();
    expect(dnsCalls(refused.fake.calls)).toEqual([]);
  });

  it('of a family that the tunnel has no address of are warned of', async () => {
    const { log, open, update } = bench([]);
    await open();
    await update('dhcp-option DNS 10.8.0.1', 'dhcp-option DNS6 fd00::1');
    expect(log.filter((line) => line.startsWith('DNS server'))).toEqual([
      'DNS server 0 has address(es) from a family the tunnel is not configured for',
    ]);
  });
});

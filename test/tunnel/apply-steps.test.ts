import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SallyportError } from '../../src/error.ts';
import { type Log, verbOf } from '../../src/log.ts';
import { applySteps, type StepPorts, undoSteps } from '../../src/tunnel/apply-steps.ts';
import type { DnsPort } from '../../src/tunnel/dns-port.ts';
import { Journal, type JournalRecord } from '../../src/tunnel/journal.ts';
import { makeTunnelPlan } from '../../src/tunnel/make-plan.ts';
import { planSteps, type StepContext } from '../../src/tunnel/plan-steps.ts';
import type { ScriptHook, TunnelStep } from '../../src/tunnel/step.ts';
import { FakeHost } from './fake-host.ts';
import { net30, planInput, subnet6 } from './profile.ts';

const context: StepContext = {
  node: undefined,
  txQueueLength: undefined,
  ifconfigNoexec: false,
  routeNoexec: false,
  downPre: false,
};

const full = [
  ...subnet6,
  'redirect-gateway def1 block-local ipv6',
  'route 10.9.0.0 255.255.0.0',
  'route-ipv6 fd00:99::/48',
];
/** IPv6 is blocked beside it. */
const blocking = [...net30, 'redirect-gateway def1'];
const whole = [...net30, 'redirect-gateway', 'route 10.9.0.0 255.255.0.0 net_gateway 5'];

function stepsOf(lines: readonly string[], over: Partial<StepContext> = {}): TunnelStep[] {
  const { device, routes } = planSteps(makeTunnelPlan(planInput(lines, { ipv6Leak: 'block' })).plan, {
    ...context,
    ...over,
  });
  return [...device, ...routes];
}

/** A host, ports that act on it, and what was logged and run. */
function bench() {
  const host = new FakeHost();
  const lines: string[] = [];
  const scripts: string[] = [];
  const log: Log = (flags, text) => lines.push(`${verbOf(flags)} ${text}`);
  let failing: ScriptHook | undefined;
  const ports: StepPorts = {
    device: host.device,
    network: host.network,
    runHook: async (hook, device) => {
      scripts.push(`${hook} ${device}`);
      host.calls.push(`script ${hook}`);
      if (hook === failing) throw new SallyportError('script failed', { code: 'SALLYPORT_SCRIPT', blame: 'config' });
    },
  };
  return {
    host,
    lines,
    scripts,
    log,
    ports,
    failScript: (hook: ScriptHook) => {
      failing = hook;
    },
  };
}

describe('applySteps and undoSteps', () => {
  it('say what they do in the words and at the verb of the C program', async () => {
    const { lines, log, ports } = bench();
    const journal = new Journal();
    await applySteps(
      stepsOf([...subnet6, 'route 10.9.0.0 255.255.0.0', 'route-ipv6 fd00:99::/48']),
      journal,
      ports,
      log,
    );
    await undoSteps(journal, ports, log);
    expect(lines).toEqual([
      '1 TUN/TAP device tun0 opened',
      '4 do_ifconfig, ipv4=1, ipv6=1',
      '1 net_iface_mtu_set: mtu 1500 for tun0',
      '1 net_iface_up: set tun0 up',
      '1 net_addr_v4_add: 10.8.0.2/24 dev tun0',
      '1 net_addr_v6_add: fd00:8::1000/64 dev tun0',
      '3 net_route_v4_add: 10.9.0.0/16 via 10.8.0.1 dev [NULL] table 0 metric -1',
      '3 add_route_ipv6(fd00:99::/48 -> fd00:8::1 metric -1) dev tun0',
      '3 net_route_v6_add: fd00:99::/48 via :: dev tun0 table 0 metric -1',
      '3 delete_route_ipv6(fd00:99::/48)',
      '3 net_route_v6_del: fd00:99::/48 via :: dev tun0 table 0 metric -1',
      '3 net_route_v4_del: 10.9.0.0/16 via 10.8.0.1 dev [NULL] table 0 metric -1',
      '2 Closing TUN/TAP interface',
      '1 net_addr_v6_del: fd00:8::1000/64 dev tun0',
      '1 net_addr_v4_del: 10.8.0.2 dev tun0',
    ]);
  });

  it('name the pair of a point-to-point address', async () => {
    const { lines, log, ports } = bench();
    const journal = new Journal();
    await applySteps(stepsOf(net30), journal, ports, log);
    await undoSteps(journal, ports, log);
    expect(lines).toContain('1 net_addr_ptp_v4_add: 10.8.0.6 peer 10.8.0.5 dev tun0');
    expect(lines).toContain('1 net_addr_ptp_v4_del: 10.8.0.6 dev tun0');
  });

  it.each([
    [false, ['up', 'route 10.9.0.0/16', 'route-up', 'route-pre-down', 'no route 10.9.0.0/16', 'close tun0', 'down']],
    [true, ['up', 'route 10.9.0.0/16', 'route-up', 'route-pre-down', 'no route 10.9.0.0/16', 'down', 'close tun0']],
  ])('run scripts where the C program does, with down-pre %s', async (downPre, order) => {
    const { host, log, ports, scripts } = bench();
    const journal = new Journal();
    await applySteps(stepsOf([...subnet6, 'route 10.9.0.0 255.255.0.0'], { downPre }), journal, ports, log);
    await undoSteps(journal, ports, log);
    const seen = host.calls.map((call) => call.replace('script ', ''));
    expect(seen.filter((call) => order.includes(call))).toEqual(order);
    expect(scripts.at(-1)).toBe('down tun0');
  });

  it('leave addresses and routes to scripts under ifconfig-noexec and route-noexec', async () => {
    const { host, log, ports, scripts } = bench();
    await applySteps(stepsOf(full, { ifconfigNoexec: true, routeNoexec: true }), new Journal(), ports, log);
    expect(host.calls).toEqual(['open tun', 'script up', 'script route-up']);
    expect(scripts).toEqual(['up tun0', 'route-up tun0']);
  });

  it('open nothing for dev null', async () => {
    const { host, log, ports } = bench();
    const device = { name: 'null', type: 'null', node: undefined } as const;
    const steps = planSteps(makeTunnelPlan(planInput(full, { device })).plan, context);
    await applySteps([...steps.device, ...steps.routes], new Journal(), ports, log);
    expect(host.calls).toEqual(['script up', 'script route-up']);
  });

  it('neither own nor remove a route that was there before', async () => {
    const { host, lines, log, ports } = bench();
    host.routes.push({
      prefix: '10.9.0.0/16',
      gateway: '192.0.2.1',
      device: 'eth0',
      metric: undefined,
      table: undefined,
    });
    const before = host.state();
    const journal = new Journal();
    const { refusedRoutes } = await applySteps(
      stepsOf([...subnet6, 'route 10.9.0.0 255.255.0.0 net_gateway']),
      journal,
      ports,
      log,
    );
    expect(lines).toContain('3 NOTE: Linux route add command failed because route exists');
    expect(refusedRoutes).toBe(0);
    await undoSteps(journal, ports, log);
    expect(host.state()).toBe(before);
    expect(host.calls).not.toContain('no route 10.9.0.0/16');
  });

  it('go on without a route that the host refuses, and count it', async () => {
    const { host, lines, log, ports } = bench();
    host.refuse = (call) => (call === 'route 10.9.0.0/16' ? 'EINVAL' : undefined);
    const journal = new Journal();
    const lineTexts = [...subnet6, 'route 10.9.0.0 255.255.0.0', 'route 10.10.0.0 255.255.0.0'];
    const { refusedRoutes } = await applySteps(stepsOf(lineTexts), journal, ports, log);
    expect(refusedRoutes).toBe(1);
    expect(lines).toContain('0 ERROR: Linux route add command failed: refused (EINVAL)');
    expect(host.routes.map(({ prefix }) => prefix)).toContain('10.10.0.0/16');
    await undoSteps(journal, ports, log);
    expect(host.calls).not.toContain('no route 10.9.0.0/16');
  });

  it('keep going when one inverse fails', async () => {
    const { host, lines, log, ports } = bench();
    const journal = new Journal();
    await applySteps(stepsOf(full), journal, ports, log);
    host.refuse = (call) => (call === 'no route 10.9.0.0/16' ? 'EPERM' : undefined);
    expect(await undoSteps(journal, ports, log)).toBe(1);
    expect(lines).toContain('0 ERROR: Linux route delete command failed: refused (EPERM)');
    expect(host.state()).toBe(new FakeHost().state());
    expect(journal.entries).toEqual([]);
  });

  it('leave in the journal what the host had before and does not take back: the default route', async () => {
    const { host, log, ports } = bench();
    const records: JournalRecord[] = [];
    const journal = new Journal((record) => records.push(record));
    await applySteps(stepsOf(whole), journal, ports, log);
    host.refuse = (call) => (call === 'route 0.0.0.0/0' ? 'ENETUNREACH' : undefined);
    expect(await undoSteps(journal, ports, log)).toBe(1);
    expect(journal.entries).toEqual([]);
    expect(Journal.replay(records).entries.map(({ step }) => step)).toMatchObject([
      { kind: 'remove-route', route: { prefix: '0.0.0.0/0', gateway: '192.0.2.1' } },
    ]);
  });

  it.each([
    ['failed', 1],
    ['left', 0],
    ['restored', 0],
  ] as const)('name servers that are %s after all: %i of them for the next start', async (result, left) => {
    const { lines, log, ports } = bench();
    const records: JournalRecord[] = [];
    const journal = new Journal((record) => records.push(record));
    const step: TunnelStep = {
      kind: 'set-dns',
      device: 'tun0',
      id: '1',
      wanted: { servers: [], searchDomains: [], onlyItsNetworks: false },
    };
    const setting = { servers: [], search: [], routing: [], isDefault: true, overTls: false } as const;
    const applied = {
      backend: 'resolved',
      device: 'tun0',
      id: '1',
      ifindex: 7,
      setting: { ...setting, sni: undefined, dnssec: 'no' },
    } as const;
    const dns: DnsPort = {
      apply: () => Promise.resolve({ result: 'applied', applied, notes: [] }),
      undo: () => Promise.resolve(result === 'restored' ? { result } : { result, reason: 'it is so' }),
      stands: () => Promise.resolve(true),
      clear: () => Promise.resolve({ result: 'restored' }),
    };
    await applySteps([step], journal, { ...ports, dns }, log);
    await undoSteps(journal, { ...ports, dns }, log);
    expect(journal.dns).toBeUndefined();
    expect(Journal.replay(records).entries).toHaveLength(left);
    expect(lines.filter((line) => line.includes('next start'))).toHaveLength(left);
  });

  it('end with the whole default route back, and never leave the host without one on the way to the server', async () => {
    const { host, log, ports } = bench();
    const journal = new Journal();
    await applySteps(stepsOf(whole), journal, ports, log);
    expect(host.routes.filter(({ prefix }) => prefix === '0.0.0.0/0')).toMatchObject([{ gateway: '10.8.0.5' }]);
    expect(host.calls.indexOf('route 198.51.100.1/32')).toBeLessThan(host.calls.indexOf('no route 0.0.0.0/0'));
    await undoSteps(journal, ports, log);
    expect(host.routes.filter(({ prefix }) => prefix === '0.0.0.0/0')).toMatchObject([{ gateway: '192.0.2.1' }]);
  });

  it('undo what was done, without scripts, when the device can’t be set up', async () => {
    const { host, log, ports, scripts } = bench();
    host.refuse = (call) => (call.startsWith('address fd00') ? 'EPERM' : undefined);
    const journal = new Journal();
    await expect(applySteps(stepsOf(full), journal, ports, log)).rejects.toMatchObject({
      code: 'SALLYPORT_PERMISSION',
      message: "Linux can't add IPv6 to interface tun0: refused (EPERM)",
    });
    expect(host.state()).toBe(new FakeHost().state());
    expect(scripts).toEqual([]);
    expect(journal.entries).toEqual([]);
  });

  it.each([
    ['ENOENT', undefined, 'SALLYPORT_HOST', /modprobe tun.*container/],
    ['ENODEV', undefined, 'SALLYPORT_HOST', /modprobe tun.*container/],
    ['ENOENT', '/dev/tunn', 'SALLYPORT_HOST', /dev-node/],
    ['EPERM', undefined, 'SALLYPORT_PERMISSION', /root or the capability CAP_NET_ADMIN/],
    ['EBUSY', undefined, 'SALLYPORT_HOST', /Look at the device/],
  ])('tell %s of the device with node %s once, and what to do', async (errno, node, code, hint) => {
    const { host, log, ports } = bench();
    host.refuse = (call) => (call.startsWith('open') ? errno : undefined);
    const steps = stepsOf(full).map((step) => (step.kind === 'open-device' ? { ...step, node } : step));
    await expect(applySteps(steps, new Journal(), ports, log)).rejects.toMatchObject({
      code,
      message: `ERROR: refused (${errno})`,
      hint: expect.stringMatching(hint),
    });
  });

  it('end everything when the up script fails', async () => {
    const { failScript, host, log, ports, scripts } = bench();
    failScript('up');
    await expect(applySteps(stepsOf(full), new Journal(), ports, log)).rejects.toMatchObject({
      code: 'SALLYPORT_SCRIPT',
    });
    expect(scripts).toEqual(['up tun0']);
    expect(host.state()).toBe(new FakeHost().state());
  });

  it('leave what an earlier call did when a later one fails', async () => {
    const { failScript, host, log, ports } = bench();
    const { device, routes } = planSteps(makeTunnelPlan(planInput(full)).plan, context);
    const journal = new Journal();
    await applySteps(device, journal, ports, log);
    const between = host.state();
    failScript('route-up');
    await expect(applySteps(routes, journal, ports, log)).rejects.toThrow('script failed');
    expect(host.state()).toBe(between);
    expect(journal.device?.name).toBe('tun0');
  });

  it('bring the host back to its exact first state, whichever calls fail on the way up', async () => {
    const lines = fc.constantFrom(full, whole);
    const refused = fc.uniqueArray(fc.nat(40), { maxLength: 3 });
    const code = fc.constantFrom('EPERM', 'EINVAL', 'EEXIST', 'ENODEV');
    await fc.assert(
      fc.asyncProperty(lines, refused, code, async (profile, indexes, errno) => {
        const { host, log, ports } = bench();
        const before = host.state();
        const journal = new Journal();
        // A host that claims a standing address or route exists already is not lied to: those stay out of the refusals.
        host.refuse = (call, index) =>
          indexes.includes(index) && !call.startsWith('close') && !call.startsWith('no ') ? errno : undefined;
        await applySteps(stepsOf(profile), journal, ports, log).catch(() => undefined);
        host.refuse = () => undefined;
        await undoSteps(journal, ports, log);
        expect(host.state()).toBe(before);
      }),
    );
  });
});

describe('Journal', () => {
  it('lets another process undo what a killed one left, from its records alone', async () => {
    for (const lines of [full, whole, blocking]) {
      const { host, log, ports } = bench();
      const before = host.state();
      const moments: { record: string; host: FakeHost }[] = [];
      const journal = new Journal((record) => moments.push({ record: JSON.stringify(record), host: host.copy() }));
      await applySteps(stepsOf(lines), journal, ports, log);
      moments.push({ record: '', host: host.copy() });
      for (let written = 1; written < moments.length; written++) {
        const records = moments.slice(0, written).map(({ record }) => JSON.parse(record) as JournalRecord);
        // Killed right after writing the last record, or after the step that it announced.
        for (const moment of [moments[written - 1]!, moments[written]!]) {
          const left = moment.host.copy();
          if (left.devices.has('tun0')) left.device.close({ name: 'tun0', index: 7, fd: 40, persistent: false });
          const undoing = { device: left.device, network: left.network, runHook: () => Promise.resolve() };
          await undoSteps(Journal.replay(records), undoing, log);
          expect(left.state()).toBe(before);
        }
      }
    }
  });

  it('does no step whose record could not be kept', async () => {
    const { host, log, ports } = bench();
    const journal = new Journal(() => {
      throw new Error('disk full');
    });
    await expect(applySteps(stepsOf(full), journal, ports, log)).rejects.toThrow('disk full');
    expect(host.calls).toEqual([]);
  });

  it('still closes the device when its opening could not be written down', async () => {
    const { host, log, ports } = bench();
    const journal = new Journal(({ record, id }) => {
      if (record !== 'begin' && id === 2) throw new Error('disk full');
    });
    await expect(applySteps(stepsOf(full), journal, ports, log)).rejects.toThrow('disk full');
    expect(host.calls).toEqual(['open tun', 'close tun0']);
  });

  it('holds steps that survive JSON', () => {
    for (const step of [...stepsOf(full), ...stepsOf(whole)]) {
      expect(JSON.parse(JSON.stringify(step))).toEqual(step);
    }
  });
});

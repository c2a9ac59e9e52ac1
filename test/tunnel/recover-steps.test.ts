import { describe, expect, it } from 'vitest';
import { applySteps, undoSteps } from '../../src/tunnel/apply-steps.ts';
import type { DnsPort } from '../../src/tunnel/dns-port.ts';
import { Journal, type JournalRecord } from '../../src/tunnel/journal.ts';
import { parseJournal, writeHeader, writeRecord } from '../../src/tunnel/journal-text.ts';
import type { HostRoute, OpenDevice } from '../../src/tunnel/ports.ts';
import { recoverSteps } from '../../src/tunnel/recover-steps.ts';
import { TUNNEL_DEVICE, type TunnelStep } from '../../src/tunnel/step.ts';
import { FakeHost } from './fake-host.ts';

const owner = { boot: 'b-1', pid: 4711, start: '99', network: 'cookie-0-1', profile: 'office.ovpn' };
const SERVER: HostRoute = route('198.51.100.1/32', '192.0.2.1', undefined);
const DEFAULT: HostRoute = new FakeHost().routes[0]!;

function route(prefix: `${string}/${number}`, gateway?: string, device: string | undefined = TUNNEL_DEVICE): HostRoute {
  return { prefix, gateway, device: gateway === undefined ? device : undefined, metric: undefined, table: undefined };
}
const REFUSING: HostRoute = { ...route('2000::/4', undefined, 'lo'), type: 'unreachable' };
const add = (added: HostRoute): TunnelStep => ({ kind: 'add-route', route: added, shownGateway: undefined });

const STEPS: readonly TunnelStep[] = [
  { kind: 'hook', onApply: undefined, onUndo: 'down' },
  { kind: 'open-device', name: 'tun', layer: 'tun', node: undefined, txQueueLength: undefined },
  { kind: 'set-mtu', device: TUNNEL_DEVICE, mtuBytes: 1400 },
  { kind: 'link-up', device: TUNNEL_DEVICE },
  {
    kind: 'add-address',
    device: TUNNEL_DEVICE,
    address: '10.8.0.2',
    prefixLength: 24,
    remote: undefined,
    broadcast: undefined,
  },
  add(SERVER),
  { kind: 'remove-route', route: DEFAULT },
  add(route('0.0.0.0/0', '10.8.0.1')),
  add(route('10.20.0.0/16')),
  add({ ...route('10.30.0.0/16', '192.0.2.9'), metric: 50 }),
  add(REFUSING),
];

/** A process on the host: every moment of it counts, and at one of them it is killed. */
function start(host: FakeHost, dieAt: number, device: { persistent: boolean } = { persistent: false }) {
  const text: string[] = [writeHeader(owner)];
  let moments = 0;
  let dead = false;
  const moment = (): void => {
    if (dead || moments++ === dieAt) {
      dead = true;
      throw new Error('killed');
    }
  };
  const lived = <T extends object>(port: T): T =>
    new Proxy(port, {
      get: (target, name) => {
        const call = Reflect.get(target, name) as (...values: unknown[]) => unknown;
        return (...values: unknown[]) => {
          moment();
          const result = call(...values);
          moment();
          return result;
        };
      },
    });
  const opened: OpenDevice[] = [];
  const devices = {
    ...host.device,
    open: (options: Parameters<typeof host.device.open>[0]) => {
      const made = { ...host.device.open(options), ...device };
      opened.push(made);
      return made;
    },
    close: (closed: OpenDevice) => {
      if (!device.persistent) host.device.close(closed);
    },
  };
  const journal = new Journal((record: JournalRecord) => {
    moment();
    text.push(writeRecord(record));
    moment();
  });
  const ports = { device: lived(devices), network: lived(host.network), runHook: () => Promise.resolve() };
  return {
    up: () => applySteps(STEPS, journal, ports, () => {}).catch(() => {}),
    down: () => undoSteps(journal, ports, () => {}).catch(() => {}),
    get moments() {
      return moments;
    },
    get dead() {
      return dead;
    },
    text,
    /** The kernel closes what it had open. */
    reap: () => opened.filter(({ name }) => host.devices.has(name)).forEach(devices.close),
  };
}

const noDns: DnsPort = {
  apply: () => Promise.reject(new Error('nobody sets name servers here')),
  undo: () => Promise.reject(new Error('there are no name servers to undo')),
  stands: () => Promise.resolve(true),
  clear: () => Promise.reject(new Error('there are no name servers to clear')),
};
const recover = (host: FakeHost, text: string, options: { sameBoot?: boolean; dryRun?: boolean; dns?: DnsPort } = {}) =>
  recoverSteps(parseJournal(text)!, {
    network: host.network,
    dns: noDns,
    sameBoot: true,
    sameNetwork: true,
    dryRun: false,
    ...options,
  });

describe('a process that is killed at any moment', () => {
  it.each([
    ['with a device of its own', { persistent: false }, false],
    ['with a device that stays', { persistent: true }, false],
    ['where its routes and address were there before', { persistent: true }, true],
  ] as const)('leaves nothing after the recovery: %s', async (_title, device, taken) => {
    const fresh = (): FakeHost => {
      const host = new FakeHost();
      if (device.persistent) host.devices.set('tun0', { up: true, mtuBytes: 1400 });
      if (taken) {
        host.addresses.push({ device: 'tun0', address: '10.8.0.2', prefixLength: 24, remote: undefined });
        host.routes.push({ ...SERVER, device: 'eth0' }, { ...route('10.20.0.0/16'), device: 'tun0' });
      }
      return host;
    };
    // A device that stays is up, and has the MTU that it was given, as after a clean end.
    const state = (host: FakeHost): string => {
      for (const each of host.devices.values()) each.up = true;
      const tun = host.devices.get('tun0');
      if (tun !== undefined) tun.mtuBytes = 1400;
      return host.state();
    };
    const whole = start(fresh(), Number.POSITIVE_INFINITY, device);
    await whole.up();
    await whole.down();
    expect(whole.moments).toBeGreaterThan(60);
    for (let dieAt = 0; dieAt < whole.moments; dieAt++) {
      const host = fresh();
      const before = state(fresh());
      const process = start(host, dieAt, device);
      await process.up();
      if (!process.dead) await process.down();
      expect(process.dead, `moment ${dieAt}`).toBe(true);
      process.reap();
      const done = await recover(host, process.text.join(''));
      expect(done.filter(({ result }) => result === 'failed')).toEqual([]);
      expect(state(host), `killed at moment ${dieAt}`).toBe(before);
      expect(await recover(host, process.text.join('')), 'a second recovery').toEqual([]);
    }
  });
});

/** Up, and killed then. */
async function killed(device = { persistent: false }) {
  const host = new FakeHost();
  const process = start(host, Number.POSITIVE_INFINITY, device);
  await process.up();
  process.reap();
  return { host, text: process.text.join('') };
}

describe('recovery', () => {
  it('says what it does, and with a dry run does nothing', async () => {
    const { host, text } = await killed();
    const before = host.state();
    const said = await recover(host, text, { dryRun: true });
    expect(said.map((each) => each.text)).toEqual([
      'removed the route unreachable 2000::/4 dev lo',
      'removed the route 10.30.0.0/16 via 192.0.2.9 dev eth0 metric 50',
      'put back the route 0.0.0.0/0 via 192.0.2.1 dev eth0 metric 100',
      'removed the route 198.51.100.1/32 via 192.0.2.1 dev eth0',
    ]);
    expect(host.state()).toBe(before);
    expect(await recover(host, text)).toEqual(said);
  });

  it('leaves a route that another has replaced, and a default route that another has set', async () => {
    const { host, text } = await killed();
    host.routes = host.routes.filter(({ prefix }) => prefix !== SERVER.prefix);
    host.routes.push({ ...SERVER, gateway: '192.0.2.7', device: 'eth0' });
    host.routes.push({ ...DEFAULT, gateway: '192.0.2.8' });
    host.routes = host.routes.map((each) => (each.type === undefined ? each : { ...each, type: 'prohibit' as const }));
    const before = [...host.routes];
    const said = await recover(host, text);
    expect(said.filter(({ result }) => result === 'left')).toHaveLength(3);
    expect(host.routes).toEqual(before.filter(({ prefix }) => prefix !== '10.30.0.0/16'));
  });

  it('puts the default route back beside one of another metric', async () => {
    const { host, text } = await killed();
    host.routes.push({ ...DEFAULT, gateway: '192.0.2.8', metric: 600 });
    await recover(host, text);
    expect(host.routes).toContainEqual(DEFAULT);
  });

  it('touches nothing of another device that has the name of the old one', async () => {
    const { host, text } = await killed({ persistent: true });
    host.indexes.set('tun0', 8);
    host.indexes.set('eth0', 9);
    host.indexes.set('lo', 10);
    const before = host.state();
    expect((await recover(host, text)).every(({ result }) => result === 'left')).toBe(true);
    expect(host.state()).toBe(before);
  });

  it('drops what the kernel had when it has been started anew since', async () => {
    const { host, text } = await killed();
    const before = host.state();
    expect(await recover(host, text, { sameBoot: false })).toEqual([]);
    expect(host.state()).toBe(before);
  });

  it('goes on after what the host refuses, and tells it', async () => {
    const { host, text } = await killed();
    host.refuse = (call) => (call.startsWith('route 0.0.0.0/0') ? 'ENETUNREACH' : undefined);
    const said = await recover(host, text);
    expect(said.map(({ result }) => result)).toEqual(['restored', 'restored', 'failed', 'restored']);
  });
});

describe('the text of a journal', () => {
  const record: JournalRecord = {
    record: 'begin',
    id: 1,
    step: add({ ...SERVER, device: 'eth0' }),
    seen: { existed: false, device: { name: 'eth0', index: 2 } },
  };
  const whole = writeHeader(owner) + writeRecord(record);

  it('is read back, and cut at any byte is read as far as its lines are whole', () => {
    expect(parseJournal(whole)).toMatchObject({ owner, records: [record] });
    for (let length = 0; length < whole.length; length++) {
      expect(parseJournal(whole.slice(0, length))?.records ?? [], `${length} bytes`).toEqual([]);
    }
  });

  it.each([
    ['a device name with a path', { device: '../x' }],
    ['a gateway that is none', { gateway: 'example.com' }],
    ['a prefix that is none', { prefix: '10.0.0.0/33' }],
    ['a metric that is none', { metric: -1 }],
    ['a kind that no tunnel sets', { type: 'blackhole' }],
    ['an exact form that is no hexadecimal', { exact: 'zz' }],
  ])('ends where a record has %s', (_title, change) => {
    const bad = { ...record, step: { ...record.step, route: { ...SERVER, device: 'eth0', ...change } } };
    const text = `${writeHeader(owner)}${JSON.stringify(bad)}\n${writeRecord(record)}`;
    expect(parseJournal(text)?.records).toEqual([]);
  });

  it.each(['', '{}', '[]', 'null', '{"sallyport-journal":2}', whole.replace('4711', '"4711"')])(
    'is none with this in front: %s',
    (text) => expect(parseJournal(text)).toBeUndefined(),
  );

  it('shows no control characters of a profile name', () => {
    expect(parseJournal(writeHeader({ ...owner, profile: 'a\u001b[2Jb' }))?.owner.profile).toBe('a?[2Jb');
  });
});

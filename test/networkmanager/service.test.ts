import { describe, expect, it } from 'vitest';
import { createAuthorise } from '../../apps/networkmanager/callers.ts';
import type { ClientEvents, ClientOrder } from '../../apps/networkmanager/client-process.ts';
import { PLUGIN_INTERFACE, PLUGIN_PATH, SIGNALS } from '../../apps/networkmanager/interface.ts';
import type { ToClient } from '../../apps/networkmanager/messages.ts';
import { Plugin, type PluginOptions, type PluginPorts } from '../../apps/networkmanager/plugin.ts';
import type { TunnelFacts } from '../../apps/networkmanager/tunnel-facts.ts';
import { type Bus, BusError, BusVariant } from '../../src/tunnel/bus-port.ts';
import { noDaemon, useMessageBus } from '../lab/message-bus.ts';
import { connectionOf } from './connections.ts';

const NAME = 'org.freedesktop.NetworkManager.openvpn.Connection_1';
const { cleanUps, open } = useMessageBus();

const facts: TunnelFacts = {
  remote: '203.0.113.1',
  device: 'whatever it says',
  mtuBytes: 1500,
  address4: { local: '10.8.0.2', prefixLength: 24, remote: undefined },
  address6: { local: 'fd00:8::2', prefixLength: 64 },
  gateway4: '10.8.0.1',
  gateway6: undefined,
  routes: [],
  redirect4: 'taken',
  redirect6: 'taken',
  dns: [],
  wins: [],
  searchDomains: [],
  routingDomains: [],
  notes: [],
};

interface Rig {
  readonly manager: Bus;
  readonly heard: string[];
  readonly log: string[];
  readonly sent: ToClient[];
  readonly orders: ClientOrder[];
  client: ClientEvents | undefined;
  quits: number;
  call(member: string, signature?: string, body?: readonly unknown[], from?: Bus): Promise<readonly unknown[]>;
  connect(connection?: unknown): Promise<readonly unknown[]>;
  /** Everything that was sent by now has been heard. */
  settle(): Promise<void>;
}

/** Signals in short: `StateChanged 3`. */
async function start(ports: Partial<PluginPorts> = {}, options: Partial<PluginOptions> = {}): Promise<Rig> {
  const [service, manager] = [await open(), await open()];
  const rig: Rig = {
    manager,
    heard: [],
    log: [],
    sent: [],
    orders: [],
    client: undefined,
    quits: 0,
    call: (member, signature = '', body = [], from = manager) =>
      from.call({ destination: NAME, path: PLUGIN_PATH, interface: PLUGIN_INTERFACE, member, signature, body }),
    connect: (connection = connectionOf({ ca: '/ca.pem', cert: '/cert.pem', key: '/key.pem' })) =>
      rig.call('ConnectInteractive', 'a{sa{sv}}a{sv}', [typed(connection), {}]),
    settle: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      await service.call({
        destination: manager.uniqueName,
        path: '/',
        interface: 'org.freedesktop.DBus.Peer',
        member: 'Ping',
      });
    },
  };
  for (const member of Object.keys(SIGNALS)) {
    await manager.subscribe({ interface: PLUGIN_INTERFACE, member }, (body) => {
      rig.heard.push(`${member} ${body.map((value) => JSON.stringify(value)).join(' ')}`);
    });
  }
  const plugin = new Plugin(
    {
      bus: service,
      authorise: async () => {},
      nowMs: () => performance.now(),
      after(ms, callback) {
        const timer = setTimeout(callback, ms);
        return () => clearTimeout(timer);
      },
      readFiles: async (files) => new Map(files.map(({ key }) => [key, new TextEncoder().encode('pem')])),
      startClient(order, events) {
        rig.orders.push(order);
        rig.client = events;
        return {
          device: 'tun7',
          send: (message) => rig.sent.push(message),
          stop: async () => events.ended(undefined),
        };
      },
      log: (_, text) => rig.log.push(text),
      clientLog: () => {},
      quit: () => {
        rig.quits += 1;
      },
      ...ports,
    },
    { persist: false, followsCaller: true, clientVerb: 1, challengeHints: 'prefixed', ...options },
  );
  cleanUps.push(() => plugin.close());
  expect(await service.requestName(NAME)).toBe(true);
  return rig;
}

/** A connection with the types of D-Bus. */
function typed(connection: unknown): unknown {
  if (typeof connection !== 'object' || connection === null) return connection;
  const variantOf = (value: unknown): BusVariant => {
    if (typeof value === 'boolean') return new BusVariant('b', value);
    if (typeof value === 'number') return new BusVariant('u', value);
    if (Array.isArray(value)) return new BusVariant('as', value);
    return typeof value === 'string' ? new BusVariant('s', value) : new BusVariant('a{ss}', value);
  };
  return Object.fromEntries(
    Object.entries(connection).map(([name, setting]) => [
      name,
      Object.fromEntries(Object.entries(setting as object).map(([key, value]) => [key, variantOf(value)])),
    ]),
  );
}

const errorOf = (promise: Promise<unknown>): Promise<BusError> =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: BusError) => error,
  );

describe.skipIf(noDaemon)('the service on the bus', () => {
  it('answers NetworkManager in its order: secrets, connect, configuration, disconnect', async () => {
    const rig = await start();
    expect(await rig.call('NeedSecrets', 'a{sa{sv}}', [typed(connectionOf())])).toEqual(['']);
    expect(await rig.connect()).toEqual([]);
    rig.client?.message({ type: 'banner', text: 'Welcome' });
    rig.client?.message({ type: 'up', facts });
    await rig.settle();
    expect(rig.heard.map((each) => each.split(' ')[0])).toEqual([
      'StateChanged',
      'LoginBanner',
      'Config',
      'Ip4Config',
      'Ip6Config',
      'StateChanged',
    ]);
    expect(rig.heard[2]).toContain('"tundev":"tun7"');
    expect(rig.heard[2]).toContain('"banner":"Welcome"');
    expect(rig.heard[5]).toBe('StateChanged 4');
    expect(await rig.call('Disconnect')).toEqual([]);
    await rig.settle();
    expect(rig.heard.slice(6)).toEqual(['StateChanged 5', 'StateChanged 6']);
    expect(rig.quits).toBe(1);
  });

  it('gives the client lines, and no secret among them', async () => {
    const rig = await start();
    await rig.connect(connectionOf({ 'connection-type': 'password', ca: '/ca' }, { secrets: { password: 's3cret' } }));
    expect(JSON.stringify(rig.orders)).not.toContain('s3cret');
    expect(rig.orders[0]?.lines.find(({ option }) => option === 'ca')?.inline).toBe('pem');
  });

  it('asks for a secret by SecretsRequired, and takes NewSecrets for an answer', async () => {
    const rig = await start();
    const login = { 'connection-type': 'password', username: 'alice', ca: '/ca' };
    expect(await rig.call('NeedSecrets', 'a{sa{sv}}', [typed(connectionOf(login))])).toEqual(['vpn']);
    await rig.connect(connectionOf(login));
    rig.client?.message({ type: 'question', id: 5, question: { kind: 'login', of: 'Auth' } });
    await rig.settle();
    expect(rig.heard.at(-1)).toBe('SecretsRequired "The VPN server wants a password." ["password"]');
    await rig.call('NewSecrets', 'a{sa{sv}}', [typed(connectionOf(login, { secrets: { password: 'x' } }))]);
    expect(rig.sent).toEqual([{ type: 'answer', id: 5, answer: { username: 'alice', password: 'x' } }]);
  });

  it.each([
    ['of an unknown key', connectionOf({ bogus: '1' }), 'BadArguments', /"bogus" is no key/],
    ['with a static key', connectionOf({ 'connection-type': 'static-key' }), 'BadArguments', /static-key connections/],
    ['that is none', { connection: {} }, 'InvalidConnection', /no vpn setting/],
    ['without an authority', connectionOf(), 'BadArguments', /ca/],
  ])('refuses a connection %s, says stopped, and ends', async (_, connection, name, words) => {
    const rig = await start();
    const error = await errorOf(rig.connect(connection));
    expect(error.name).toBe(`org.freedesktop.NetworkManager.VPN.Error.${name}`);
    expect(error.message).toMatch(words);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await rig.settle();
    expect(rig.heard.at(-1)).toBe('StateChanged 6');
    expect(rig.heard.join()).not.toContain('Failure');
    expect(rig.orders).toEqual([]);
    expect(rig.quits).toBe(1);
  });

  it('refuses a second connection, and keeps the first one', async () => {
    const rig = await start();
    await rig.connect();
    const error = await errorOf(rig.connect());
    expect(error.name).toBe('org.freedesktop.NetworkManager.VPN.Error.WrongState');
    await rig.settle();
    expect(rig.heard).toEqual(['StateChanged 3']);
    rig.client?.message({ type: 'up', facts });
    await rig.settle();
    expect(rig.heard.at(-1)).toBe('StateChanged 4');
  });

  it('does not start a client for who disconnects while files are read', async () => {
    let read: () => void = () => {};
    const rig = await start({
      readFiles: () =>
        new Promise((resolve) => {
          read = () => resolve(new Map([['ca', new TextEncoder().encode('pem')]]));
        }),
    });
    const connecting = errorOf(rig.connect());
    await rig.settle();
    await rig.call('Disconnect');
    read();
    expect((await connecting).name).toBe('org.freedesktop.NetworkManager.VPN.Error.StoppingInProgress');
    expect(rig.orders).toEqual([]);
  });

  it('tells one failure of a client that ends, with its reason', async () => {
    const rig = await start();
    await rig.connect();
    const problem = { code: 'SALLYPORT_AUTH_FAILED', message: 'refused', hint: undefined, retry: false } as const;
    rig.client?.ended(problem);
    rig.client?.ended(problem);
    await rig.settle();
    expect(rig.heard).toEqual(['StateChanged 3', 'Failure 0', 'StateChanged 5', 'StateChanged 6']);
    expect(rig.log).toContain('refused');
  });

  it('tells a tunnel without an address as a bad configuration', async () => {
    const rig = await start();
    await rig.connect();
    rig.client?.message({ type: 'up', facts: { ...facts, address4: undefined, address6: undefined } });
    await rig.settle();
    expect(rig.heard.slice(1)).toEqual(['Failure 2', 'StateChanged 5', 'StateChanged 6']);
  });

  it('ends when NetworkManager leaves the bus', async () => {
    const rig = await start();
    await rig.connect();
    await rig.manager.close();
    await expect.poll(() => rig.quits).toBe(1);
    expect(rig.log.join()).toMatch(/has left the bus/);
  });

  it('has the State property, and what others may have it say of a connection that runs', async () => {
    const rig = await start();
    const state = () =>
      rig.manager.call({
        destination: NAME,
        path: PLUGIN_PATH,
        interface: 'org.freedesktop.DBus.Properties',
        member: 'Get',
        signature: 'ss',
        body: [PLUGIN_INTERFACE, 'State'],
      });
    expect(await state()).toEqual([1]);
    const set = (member: string) =>
      rig.call(member, 'a{sv}', [{ mtu: new BusVariant('u', 1400), x: new BusVariant('s', '') }]);
    expect((await errorOf(set('SetConfig'))).name).toMatch(/WrongState$/);
    await rig.connect();
    expect(await state()).toEqual([3]);
    await set('SetConfig');
    await rig.call('SetFailure', 's', ['because']);
    await rig.settle();
    expect(rig.heard).toEqual([
      'StateChanged 3',
      'Config {"mtu":1400}',
      'Failure 2',
      'StateChanged 5',
      'StateChanged 6',
    ]);
  });

  it('refuses values of the wrong type without ending', async () => {
    const rig = await start();
    expect((await errorOf(rig.call('Connect', 's', ['x']))).name).toBe('org.freedesktop.DBus.Error.InvalidArgs');
    const error = await errorOf(rig.call('NeedSecrets', 'a{sa{sv}}', [{ vpn: { data: new BusVariant('u', 7) } }]));
    expect(error.name).toBe('org.freedesktop.NetworkManager.VPN.Error.BadArguments');
    expect(rig.quits).toBe(0);
  });

  it('lets nobody call who may not', async () => {
    const rig = await start({
      authorise: async () => {
        throw new BusError('org.freedesktop.DBus.Error.AccessDenied', 'no');
      },
    });
    for (const [member, signature, body] of [
      ['Connect', 'a{sa{sv}}', [typed(connectionOf())]],
      ['ConnectInteractive', 'a{sa{sv}}a{sv}', [typed(connectionOf()), {}]],
      ['NeedSecrets', 'a{sa{sv}}', [typed(connectionOf())]],
      ['NewSecrets', 'a{sa{sv}}', [typed(connectionOf())]],
      ['Disconnect', '', []],
      ['SetConfig', 'a{sv}', [{}]],
      ['SetIp4Config', 'a{sv}', [{}]],
      ['SetIp6Config', 'a{sv}', [{}]],
      ['SetFailure', 's', ['x']],
    ] as const) {
      expect((await errorOf(rig.call(member, signature, body))).name, member).toBe(
        'org.freedesktop.DBus.Error.AccessDenied',
      );
    }
    expect(rig.heard).toEqual([]);
  });
});

describe('who may call', () => {
  const bus = (uid: unknown, manager?: string) => ({
    calls: 0,
    async call() {
      this.calls += 1;
      if (uid instanceof Error) throw uid;
      return [uid];
    },
    nameOwner: async () => manager,
  });
  const may = (fake: ReturnType<typeof bus>, ownUid = 0) =>
    createAuthorise(
      fake,
      ownUid,
    )(':1.7').then(
      () => true,
      (error: BusError) => {
        expect(error.name).toBe('org.freedesktop.DBus.Error.AccessDenied');
        return false;
      },
    );

  it.each([
    ['root', bus(0), true],
    ['a user', bus(1000), false],
    ['the user whom NetworkManager runs as', bus(1000, ':1.7'), true],
    ['a user beside NetworkManager', bus(1000, ':1.8'), false],
    ['somebody of whom the bus says nothing', bus(new Error('gone')), false],
    ['somebody of whom the bus says nonsense', bus('0'), false],
  ])('%s: %s', async (_, fake, allowed) => expect(await may(fake)).toBe(allowed));

  it('is asked once of each caller', async () => {
    const fake = bus(0);
    const authorise = createAuthorise(fake, 0);
    await authorise(':1.7');
    await authorise(':1.7');
    expect(fake.calls).toBe(1);
    await authorise(':1.8');
    expect(fake.calls).toBe(2);
  });
});

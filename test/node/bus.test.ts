// The D-Bus port against a real dbus-daemon, and against sockets that misbehave.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openBus, parseBusAddress } from '../../src/node/bus.ts';
import { completeTypes } from '../../src/node/bus-objects.ts';
import { type Bus, BusError, type BusInterface, type BusOptions, BusVariant } from '../../src/tunnel/bus-port.ts';
import { noDaemon, startMessageBus, useMessageBus } from '../lab/message-bus.ts';

const PATH = '/org/example/Thing';
const NAME = 'org.example.Thing';
const { cleanUps, open } = useMessageBus();

const thing = (methods: BusInterface['methods']): BusInterface => ({
  methods,
  signals: { Told: 'a{sv}', Number: 'u' },
  properties: { State: { signature: 'u', read: () => 3 } },
});

const call = (member: string, signature = '', body: readonly unknown[] = [], destination = NAME) => ({
  destination,
  path: PATH,
  interface: NAME,
  member,
  signature,
  body,
});

/** Both ends: one that exports, one that calls. */
async function pair(methods: BusInterface['methods'], options: Partial<BusOptions> = {}) {
  const service = await open(options);
  const object = service.export(PATH, NAME, thing(methods));
  expect(await service.requestName(NAME)).toBe(true);
  return { service, object, caller: await open() };
}

const errorOf = (promise: Promise<unknown>): Promise<BusError> =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: BusError) => error,
  );

describe.skipIf(noDaemon)('the bus', () => {
  it('carries a call, its arguments of every shape, and the answer', async () => {
    const { caller, service } = await pair({
      Echo: { in: 'a{sa{sv}}', out: 'a{sa{sv}}s', handler: ([body], sender) => [retyped(body), sender] },
    });
    const sent = {
      vpn: {
        data: new BusVariant('a{ss}', { remote: 'a:1', __proto__x: 'y' }),
        routes: new BusVariant('aau', [[10, 8, 9, 0]]),
        address: new BusVariant('ay', Uint8Array.of(1, 2, 3)),
        on: new BusVariant('b', true),
      },
    };
    const [back, sender] = await caller.call(call('Echo', 'a{sa{sv}}', [sent]));
    expect(sender).toBe(caller.uniqueName);
    expect(back).toEqual({
      vpn: {
        data: { remote: 'a:1', __proto__x: 'y' },
        routes: [[10, 8, 9, 0]],
        address: Buffer.of(1, 2, 3),
        on: true,
      },
    });
    expect(await caller.nameOwner(NAME)).toBe(service.uniqueName);
    expect(await caller.nameOwner('org.example.Nobody')).toBeUndefined();
    expect(await caller.requestName(NAME)).toBe(false);
  });

  it("refuses a call with other types than the method's before the handler is asked", async () => {
    let asked = 0;
    const { caller } = await pair({ Take: { in: 'u', out: '', handler: () => [asked++] } });
    const error = await errorOf(caller.call(call('Take', 's', ['1'])));
    expect(error.name).toBe('org.freedesktop.DBus.Error.InvalidArgs');
    expect(error.message).toBe('Take takes arguments of the types "u", and was given "s".');
    expect(asked).toBe(0);
  });

  it.each([
    ['a method that is not there', call('constructor'), 'UnknownMethod'],
    ['an interface that is not there', { ...call('Take'), interface: 'org.example.Other' }, 'UnknownInterface'],
    ['an object that is not there', { ...call('Take'), path: '/elsewhere' }, 'UnknownObject'],
    ['a peer that is not there', call('Take', '', [], 'org.example.Nobody'), 'ServiceUnknown'],
    ['a property that is not there', properties('Get', 'ss', [NAME, 'toString']), 'UnknownProperty'],
    [
      'a property that is read only',
      properties('Set', 'ssv', [NAME, 'State', new BusVariant('u', 1)]),
      'PropertyReadOnly',
    ],
    ['a property call without arguments', properties('Get', '', []), 'InvalidArgs'],
  ])('answers a call for %s with an error', async (_, request, name) => {
    const { caller } = await pair({});
    expect((await errorOf(caller.call(request))).name).toBe(`org.freedesktop.DBus.Error.${name}`);
  });

  it('gives properties, introspection and pings', async () => {
    const { caller } = await pair({ Take: { in: 'ua{sv}', out: 's', handler: () => [''] } });
    expect(await caller.call(properties('Get', 'ss', [NAME, 'State']))).toEqual([3]);
    expect(await caller.call(properties('GetAll', 's', [NAME]))).toEqual([{ State: 3 }]);
    const [xml] = await caller.call({ ...call('Introspect'), interface: 'org.freedesktop.DBus.Introspectable' });
    expect(xml).toContain('<method name="Take"><arg type="u" direction="in"/><arg type="a{sv}" direction="in"/>');
    expect(await caller.call({ ...call('Ping'), interface: 'org.freedesktop.DBus.Peer' })).toEqual([]);
  });

  it("gives a handler's error under its name, and hides no fault of the program", async () => {
    const faults: unknown[] = [];
    const { caller } = await pair(
      {
        Refuse: {
          in: '',
          out: '',
          handler: () => {
            throw new BusError('org.example.Error.Busy', 'Not now.');
          },
        },
        Crash: { in: '', out: '', handler: () => Promise.reject(new Error('a fault')) },
        Lie: { in: '', out: 'u', handler: () => ['no number'] },
      },
      { onFault: (fault) => faults.push(fault) },
    );
    expect(await errorOf(caller.call(call('Refuse')))).toMatchObject({
      name: 'org.example.Error.Busy',
      message: 'Not now.',
    });
    expect((await errorOf(caller.call(call('Crash')))).name).toBe('org.freedesktop.DBus.Error.Failed');
    expect((await errorOf(caller.call(call('Lie')))).name).toBe('org.freedesktop.DBus.Error.InvalidArgs');
    expect(faults.map(String)).toEqual(['Error: a fault']);
  });

  it('delivers signals to who listens, until it does no more, and survives a listener that throws', async () => {
    const { object, caller, service } = await pair({});
    const faults: unknown[] = [];
    const listener = await open({ onFault: (fault) => faults.push(fault) });
    const heard: unknown[] = [];
    await listener.subscribe({ interface: NAME, member: 'Number' }, () => {
      throw new Error('a fault');
    });
    const match = { sender: NAME, path: PATH, interface: NAME, member: 'Number' };
    const stop = await listener.subscribe(match, ([value], sender) => heard.push([value, sender]));
    object.emit('Number', [7]);
    await roundTrip(service, listener);
    stop();
    object.emit('Number', [8]);
    await roundTrip(service, listener);
    expect(heard).toEqual([[7, service.uniqueName]]);
    expect(faults.length).toBe(2);
    expect(() => object.emit('Number', ['x'])).toThrow(BusError);
    expect(() => object.emit('Other', [])).toThrow(BusError);
    await caller.close();
  });

  it('hears only the sender that was asked for, and the next owner of its name', async () => {
    const { object, service } = await pair({});
    const stranger = await open();
    const other = stranger.export(PATH, NAME, thing({}));
    const listener = await open();
    const heard: unknown[] = [];
    // A second subscription lets the bus deliver what the first one does not want.
    await listener.subscribe({ interface: NAME, member: 'Number' }, () => {});
    await listener.subscribe({ sender: NAME, interface: NAME, member: 'Number' }, ([value]) => heard.push(value));
    other.emit('Number', [1]);
    object.emit('Number', [2]);
    await roundTrip(stranger, listener);
    await roundTrip(service, listener);
    expect(heard).toEqual([2]);
    await service.close();
    expect(await stranger.requestName(NAME)).toBe(true);
    other.emit('Number', [3]);
    await roundTrip(stranger, listener);
    expect(heard).toEqual([2, 3]);
  });

  it('does not wait for a peer that hangs', async () => {
    const { caller } = await pair({ Hang: { in: '', out: '', handler: () => new Promise(() => {}) } });
    const error = await errorOf(caller.call({ ...call('Hang'), timeoutMs: 50 }));
    expect(error.name).toBe('org.freedesktop.DBus.Error.Timeout');
    expect(error.message).toBe('org.example.Thing gave no answer to Hang in 50 ms.');
  });

  it.each([
    ['values that do not fit the signature', call('Take', 'u', ['text'])],
    ['too few values', call('Take', 'uu', [1])],
    ['a string with a zero byte', call('Take', 's', ['a\0b'])],
    ['a destination that is no name', call('Take', '', [], 'not a name')],
    ['a member that is no name', call('Ta ke')],
    ['a path that is none', { ...call('Take'), path: 'x' }],
    ['a number out of range', call('Take', 'y', [256])],
  ])('sends no message with %s, and the connection goes on', async (_, request) => {
    const bus = await open();
    expect((await errorOf(bus.call(request))).name).toBe('org.freedesktop.DBus.Error.InvalidArgs');
    expect(await bus.nameOwner(bus.uniqueName)).toBe(bus.uniqueName);
  });

  it('sends no message that is too large or too deep, and takes a large one', async () => {
    const { caller } = await pair({
      Take: { in: 'ay', out: 'u', handler: ([bytes]) => [(bytes as Uint8Array).length] },
    });
    expect(await caller.call(call('Take', 'ay', [new Uint8Array(1 << 20)]))).toEqual([1 << 20]);
    const tooLarge = await errorOf(caller.call(call('Take', 'ay', [new Uint8Array(1 << 25)])));
    expect(tooLarge.name).toBe('org.freedesktop.DBus.Error.LimitsExceeded');
    let deep: unknown = new BusVariant('u', 1);
    for (let level = 0; level < 40; level += 1) deep = new BusVariant('v', deep);
    expect((await errorOf(caller.call(call('Take', 'v', [deep])))).name).toBe(
      'org.freedesktop.DBus.Error.LimitsExceeded',
    );
  });

  it('tells once that the bus went away, and refuses calls under way and later ones', async () => {
    const own = await startMessageBus();
    const lost: string[] = [];
    const bus = await open({ onLost: (reason) => lost.push(reason) }, own.address);
    bus.export(PATH, NAME, thing({ Hang: { in: '', out: '', handler: () => new Promise(() => {}) } }));
    const waiting = errorOf(bus.call(call('Hang', '', [], bus.uniqueName)));
    await own.stop();
    expect((await waiting).name).toBe('org.freedesktop.DBus.Error.Disconnected');
    expect((await errorOf(bus.call(call('Hang')))).name).toBe('org.freedesktop.DBus.Error.Disconnected');
    await bus.close();
    expect(lost).toEqual([
      expect.stringMatching(/^(?:the bus closed the connection|(?:read|write) (?:ECONNRESET|EPIPE))$/),
    ]);
  });

  it('closes without telling of a loss, after what was sent has arrived', async () => {
    const lost: string[] = [];
    const service = await open({ onLost: (reason) => lost.push(reason) });
    const object = service.export(PATH, NAME, thing({}));
    const listener = await open();
    const heard = new Promise((resolve) => {
      void listener.subscribe({ interface: NAME, member: 'Number' }, ([value]) => resolve(value));
    });
    await roundTrip(service, listener);
    object.emit('Number', [9]);
    await service.close();
    expect(await heard).toBe(9);
    expect(lost).toEqual([]);
  });
});

describe('opening a bus', () => {
  it('says that nothing listens', async () => {
    const error = await errorOf(openBus('unix:path=/nonexistent/bus', { timeoutMs: 1000, onLost: () => {} }));
    expect(error.name).toBe('org.freedesktop.DBus.Error.NoServer');
    expect(error.message).toContain('ENOENT');
  });

  it.each([
    ['says nothing', () => {}, /no answer in 300 ms/],
    ['hangs up', (socket: Socket) => socket.destroy(), /closed the connection|ECONNRESET|EPIPE/],
    ['lets nobody in', (socket: Socket) => socket.on('data', () => socket.write('REJECTED EXTERNAL\r\n')), /REJECTED/],
  ])('gives up on a bus that %s', async (_, behave, words) => {
    const address = await fakeBus(behave);
    const error = await errorOf(openBus(address, { timeoutMs: 300, onLost: () => {} }));
    expect(error).toBeInstanceOf(BusError);
    expect(error.message).toMatch(words);
  });

  it('leaves a bus that sends what is no message', async () => {
    const address = await fakeBus((socket) => {
      socket.on('data', (bytes) => {
        if (bytes.includes('AUTH')) socket.write('OK 0123456789abcdef\r\n');
        if (bytes.includes('Hello')) socket.write(Buffer.alloc(64, 0x55));
      });
    });
    const error = await errorOf(openBus(address, { timeoutMs: 2000, onLost: () => {} }));
    expect(error.name).toBe('org.freedesktop.DBus.Error.Disconnected');
  });

  it.each([
    ['unix:path=/run/dbus/system_bus_socket', '/run/dbus/system_bus_socket'],
    ['unix:path=/a%20b,guid=00', '/a b'],
    ['unix:abstract=x', '\0x'],
    ['tcp:host=a,port=1;unix:path=/b', '/b'],
  ])('reads the address %s', (address, path) => expect(parseBusAddress(address)).toBe(path));

  it.each(['', 'unix:', 'unix:tmpdir=/tmp', 'unixexec:path=/bin/sh', 'tcp:host=a,port=1', '/run/bus'])(
    'refuses the address "%s"',
    (address) => expect(() => parseBusAddress(address)).toThrow(/is no address of a bus/),
  );
});

describe('signatures', () => {
  it('are divided into complete types', () => {
    expect(completeTypes('sa{sv}aauas(uay)u')).toEqual(['s', 'a{sv}', 'aau', 'as', '(uay)', 'u']);
  });
});

function properties(member: string, signature: string, body: readonly unknown[]) {
  return { ...call(member, signature, body), interface: 'org.freedesktop.DBus.Properties' };
}

/** What `from` sent before has reached `to` when this is done. */
async function roundTrip(from: Bus, to: Bus): Promise<void> {
  await from.call({ ...call('Ping', '', [], to.uniqueName), interface: 'org.freedesktop.DBus.Peer' });
}

/** The plain values that came, with types again. */
function retyped(body: unknown): unknown {
  const { vpn } = body as { vpn: Record<string, unknown> };
  return {
    vpn: {
      data: new BusVariant('a{ss}', vpn.data),
      routes: new BusVariant('aau', vpn.routes),
      address: new BusVariant('ay', vpn.address),
      on: new BusVariant('b', vpn.on),
    },
  };
}

async function fakeBus(behave: (socket: Socket) => void): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-fake-bus-'));
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    behave(socket);
  });
  server.listen(`${folder}/bus`);
  await once(server, 'listening');
  cleanUps.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });
  return `unix:path=${folder}/bus`;
}

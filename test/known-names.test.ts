import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { type ConnectOptions, type CreateServerOptions, connect, createServer } from '../src/index.ts';
import { checkNames } from '../src/known-names.ts';
import type { ServerHooks } from '../src/server.ts';
import { useLibrary } from './lab/library-suite.ts';
import { connectInMemory, memorySettings, serveInMemory } from './lab/memory-tunnel.ts';

const KNOWN = { host: 'value', onCall: 'function' } as const;

/** A refusal of what the program wrote, with these words. */
const refusal = (message: RegExp) =>
  expect.objectContaining({
    name: 'SallyportError',
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    message: expect.stringMatching(message),
  });

describe('names in an object', () => {
  const check = (given: unknown): void => checkNames(given as object, KNOWN, 'option', 'call()');

  it.each([
    [{}],
    [{ host: undefined, onCall: undefined }],
    [{ host: null, onCall: () => {} }],
    [Object.assign(Object.create(null), { host: 'x' })],
  ])('pass when they are known: %j', (given) => {
    expect(() => check(given)).not.toThrow();
  });

  it.each([
    [{ hots: 'x' }, /^There is no option "hots" of call\(\); there are host, onCall$/],
    [{ hots: undefined }, /"hots"/],
    [{ toString: 1 }, /"toString"/],
    [JSON.parse('{"__proto__": 1}'), /"__proto__"/],
    [runInNewContext('({ hots: 1 })'), /"hots"/],
    [{ onCall: null }, /^onCall of call\(\) is null; it has to be a function$/],
    [{ onCall: 'secret' }, /^onCall of call\(\) is of type string; it has to be a function$/],
    [null, /^call\(\): this has to be an object, and is null$/],
  ])('are refused with where they stood and what there is: %j', (given, message) => {
    expect(() => check(given)).toThrow(refusal(message));
  });

  it('of a class of the program may be more, but its hooks are functions', () => {
    class Hooks {
      readonly database = 1;
      readonly onCall: unknown;
      constructor(onCall: unknown) {
        this.onCall = onCall;
      }
    }
    expect(() => check(new Hooks(() => {}))).not.toThrow();
    expect(() => check(new Hooks(1))).toThrow(refusal(/onCall/));
  });
});

describe('a program without types', () => {
  const { library, pki } = useLibrary('sallyport-names');

  it.each([
    [
      { onAuthentiate: () => true },
      /^There is no option "onAuthentiate" of createServer\(\); there are onAuthenticate, /,
    ],
    [{ onAuthenticate: true }, /^onAuthenticate of createServer\(\) is of type boolean; it has to be a function$/],
  ])('learns of a wrong option of createServer: %o', async (options, message) => {
    await expect(createServer('', options as CreateServerOptions)).rejects.toEqual(refusal(message));
  });

  it('learns of a wrong setting of createServer', async () => {
    const settings = { ...(await memorySettings(pki())), listen: { address: '127.0.0.1' } };
    await expect(createServer(settings as never)).rejects.toEqual(refusal(/^There is no setting "address" of listen/));
  });

  it.each([
    [undefined, /^connect\(\) takes the text of a profile, or a parsed one; this is of type undefined$/],
    [null, /this is null$/],
    [{}, /this is of type object$/],
    [Buffer.from('client'), /^connect\(\) takes the text of a configuration; these are bytes$/],
    ['etc/office.ovpn\n', /^The text of a configuration is wanted, and this is the name of a file: etc\/office\.ovpn$/],
    ['client', /You must define CA file/],
  ])('learns that a profile is none: %o', async (given, message) => {
    await expect(connect(given as never)).rejects.toEqual(refusal(message));
  });

  it.each([
    [undefined, /^the server's configuration: this has to be an object, and is of type undefined$/],
    [Buffer.from('server'), /^createServer\(\) takes the text of a configuration; these are bytes$/],
    ['server.conf', /this is the name of a file: server\.conf$/],
  ])("learns that a server's configuration is none: %o", async (given, message) => {
    await expect(createServer(given as never)).rejects.toEqual(refusal(message));
  });

  it.each([
    [{ username: 'anna' }, /^There is no option "username" of connect\(\); there are signal, credentials, /],
    [{ credentials: { username: 'anna' } }, /^credentials of connect\(\) is of type object/],
  ])('learns of a wrong option of connect: %o', async (options, message) => {
    await expect(connect('client', options as unknown as ConnectOptions)).rejects.toEqual(refusal(message));
  });

  it('learns of a wrong hook or setting of reload, which then changes nothing', async () => {
    const settings = await memorySettings(pki());
    await using server = await serveInMemory(library(), settings, { onConnect: () => ({ address4: '10.8.0.9' }) });
    const reload = (config: object | undefined, hooks?: object) => server.reload(config as never, hooks as ServerHooks);
    await expect(reload(settings, { onConect: () => true })).rejects.toEqual(
      refusal(
        /^There is no hook "onConect" of reload\(\); there are onAuthenticate, onConnect, onResponse, onDisconnect, onAddress$/,
      ),
    );
    await expect(reload(undefined, { onConnect: 'yes' })).rejects.toEqual(refusal(/^onConnect of reload\(\)/));
    await expect(reload({ ...settings, maxClient: 1 })).rejects.toEqual(refusal(/^There is no setting "maxClient"/));
    await using connection = await connectInMemory(library(), server, pki(), pki().client);
    expect(connection.state).toMatchObject({ plan: { address4: { local: '10.8.0.9' } } });
  });
});

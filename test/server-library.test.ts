import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ClientInfo, Connection } from '../src/index.ts';
import type { RunningServer, ServerEvent, ServerEventType } from '../src/server.ts';
import { OPENVPN_VERSION } from '../src/version.ts';
import { useLibrary } from './lab/library-suite.ts';
import { connectInMemory, freePort, memorySettings, pingInMemory, serveInMemory } from './lab/memory-tunnel.ts';

const { directory, library, pki } = useLibrary('sallyport-server-library');

/** What a promise rejects with. */
async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  return promise.then(
    () => {
      throw new Error('it did not reject');
    },
    (error: Error) => error,
  );
}

/** The next event of a type. */
function next<T extends ServerEventType>(server: RunningServer, type: T) {
  return new Promise<Extract<ServerEvent, { type: T }>>((resolve) => {
    const stop = server.on(type, (event) => {
      stop();
      resolve(event);
    });
  });
}

const login = (username: string, password: string) => ({
  lines: ['auth-user-pass'],
  credentials: async () => ({ username, password }),
});

const only = (server: RunningServer): ClientInfo => {
  const [client, ...more] = server.clients;
  if (client === undefined || more.length > 0) throw new Error(`there are ${server.clients.length} clients`);
  return client;
};

const listeners = () =>
  Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)]));

describe('createServer', () => {
  it('serves a client with devices in memory, and tells of it', async () => {
    await using server = await serveInMemory(library(), await memorySettings(pki()));
    const connected = next(server, 'connected');
    const gone = next(server, 'disconnected');
    const connection = await connectInMemory(library(), server, pki(), pki().client);
    expect((await connected).client).toMatchObject({ name: 'client', address4: '10.8.0.2' });
    expect(await pingInMemory(connection)).toBe(true);
    expect(only(server)).toMatchObject({
      name: 'client',
      address4: '10.8.0.2',
      cipher: 'AES-256-GCM',
      platform: 'linux',
      endpoint: { address: '127.0.0.1', transport: 'udp', family: 4 },
    });
    expect(only(server).bytesReceived).toBeGreaterThan(0);
    expect(server.statistics().deviceWritePackets).toBe(1);
    await connection.close();
    expect(await gone).toMatchObject({ reason: 'remote-exit', client: { name: 'client' } });
    expect(server.clients).toEqual([]);
  });

  it('says of a client what runs there, both its addresses, what went out to it and since when it is in', async () => {
    const settings = await memorySettings(pki(), { network6: 'fd00:8::/64' });
    const before = Math.floor(Date.now() / 1000);
    await using server = await serveInMemory(library(), settings);
    await using connection = await connectInMemory(library(), server, pki(), pki().client);
    const { bytesSent, connectedSince } = only(server);
    expect(connectedSince).toBeGreaterThanOrEqual(before);
    expect(connectedSince).toBeLessThanOrEqual(Date.now() / 1000);
    expect(await pingInMemory(connection)).toBe(true);
    expect(only(server)).toMatchObject({
      address4: '10.8.0.2',
      address6: 'fd00:8::1000',
      version: OPENVPN_VERSION,
      connectedSince,
    });
    expect(only(server).bytesSent).toBeGreaterThan(bytesSent);
  });

  it('serves several networks in one process', async () => {
    await using one = await serveInMemory(library(), await memorySettings(pki()));
    await using other = await serveInMemory(library(), await memorySettings(pki(), { network: '10.9.0.0/24' }));
    await using first = await connectInMemory(library(), one, pki(), pki().client);
    await using second = await connectInMemory(library(), other, pki(), pki().client);
    expect(await pingInMemory(first)).toBe(true);
    expect(await pingInMemory(second, '10.9.0.1')).toBe(true);
  });

  it('takes the text of a configuration file, and tells every error in it with its line', async () => {
    const { ca, server } = pki();
    const port = await freePort();
    const text = [
      `local 127.0.0.1\nport ${port}\nproto udp`,
      'dev tun\nserver 10.8.0.0 255.255.255.0\ntopology subnet\ndh none',
      `ca ${ca.cert}\ncert ${server.cert}\nkey ${server.key}\n`,
    ].join('\n');
    await using running = await serveInMemory(library(), text);
    expect(running.addresses).toEqual([{ address: '127.0.0.1', port, transport: 'udp' }]);
    const error = await rejection(library().createServer(`${text}bogus-option 1\nmax-clients many\n`));
    expect(error).toMatchObject({ name: 'SallyportError', code: 'SALLYPORT_CONFIG', blame: 'config' });
    expect(error.message).toMatch(/\[server\]:11.*bogus-option/);
  });

  it.each([
    [
      'a profile of a client',
      async () => 'client\ndev tun\nremote vpn.example.net\nauth-user-pass\nca x\n',
      /not that of a server/,
    ],
    [
      'a network that is none',
      async () => memorySettings(pki(), { network: 'office' }),
      /"office" is not an IPv4 network/,
    ],
    ['files that are missing', async () => memorySettings(pki(), { ca: 'missing.crt' }), /missing\.crt/],
    ['a key of another certificate', async () => memorySettings(pki(), { key: pki().client.key }), /key/],
  ])('rejects %s', async (_title, settings, message) => {
    const error = await rejection(library().createServer(await settings(), { device: 'memory' }));
    expect(error).toMatchObject({ name: 'SallyportError', code: 'SALLYPORT_CONFIG' });
    expect(error.message).toMatch(message);
  });

  it('rejects when its port is taken, and leaves the other server alone', async () => {
    const settings = await memorySettings(pki());
    await using server = await serveInMemory(library(), settings);
    const error = await rejection(library().createServer(settings, { device: 'memory' }));
    expect(error).toMatchObject({ name: 'SallyportError', code: 'SALLYPORT_HOST' });
    await using connection = await connectInMemory(library(), server, pki(), pki().client);
    expect(await pingInMemory(connection)).toBe(true);
  });

  it('rejects with the reason of its signal, and ends when the signal aborts later', async () => {
    const reason = new Error('not now');
    const settings = await memorySettings(pki());
    const aborted = AbortSignal.abort(reason);
    expect(await rejection(library().createServer(settings, { device: 'memory', signal: aborted }))).toBe(reason);
    const aborter = new AbortController();
    const creating = library().createServer(settings, { device: 'memory', signal: aborter.signal });
    aborter.abort(reason);
    expect(await rejection(creating)).toBe(reason);
    const later = new AbortController();
    const server = await serveInMemory(library(), settings, { signal: later.signal });
    later.abort();
    expect(await server.ended).toEqual({ error: undefined });
  });

  it('prints nothing, leaves the process alone, and the process ends by itself afterwards', async () => {
    const program = join(directory, 'embedder.mjs');
    const settings = join(directory, 'settings.json');
    writeFileSync(settings, JSON.stringify(await memorySettings(pki(), { options: 'user nobody\nnice 5\nverb 4' })));
    writeFileSync(
      program,
      `import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
const { createServer } = await import(process.argv[2]);
const counts = () => process.eventNames().map((name) => [String(name), process.listenerCount(name)]).sort().join();
const before = [counts(), getPriority(), process.getuid()].join();
const server = await createServer(JSON.parse(readFileSync(process.argv[3], 'utf8')), { device: 'memory' });
await server.close();
process.exitCode = [counts(), getPriority(), process.getuid()].join() === before ? 7 : 8;
`,
    );
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program, library().url.href, settings], {
      encoding: 'utf8',
      timeout: 15_000,
    });
    expect({ status, signal, stdout, stderr }).toEqual({ status: 7, signal: null, stdout: '', stderr: '' });
  });

  it('leaves no listener on the process', async () => {
    const before = listeners();
    await (await serveInMemory(library(), await memorySettings(pki()))).close();
    expect(listeners()).toEqual(before);
  });
});

describe('hooks', () => {
  const passwords = { clientCertificate: 'none' } as const;

  it('let in and refuse with a reason, by user name and password alone', async () => {
    const asked: unknown[] = [];
    await using server = await serveInMemory(library(), await memorySettings(pki(), passwords), {
      onAuthenticate: ({ username, password, commonName, certificate, endpoint, peerInfo }) => {
        asked.push({
          username,
          password,
          commonName,
          certificate,
          address: endpoint.address,
          version: peerInfo.get('IV_VER'),
        });
        return password === 'right' ? { accept: true, name: 'anna' } : { accept: false, reason: 'not you' };
      },
    });
    const refused = await rejection(connectInMemory(library(), server, pki(), undefined, login('max', 'wrong')));
    expect(refused).toMatchObject({ code: 'SALLYPORT_AUTH_FAILED' });
    expect(refused.message).toContain('not you');
    await using connection = await connectInMemory(library(), server, pki(), undefined, login('max', 'right'));
    expect(await pingInMemory(connection)).toBe(true);
    expect(only(server)).toMatchObject({ name: 'anna', username: 'max' });
    expect(asked).toMatchObject([
      { username: 'max', password: 'wrong', commonName: undefined, certificate: undefined, address: '127.0.0.1' },
      { username: 'max', password: 'right', version: expect.stringMatching(/^2\./) },
    ]);
  });

  it('that throw, reject or hang refuse that client alone', async () => {
    await using server = await serveInMemory(
      library(),
      await memorySettings(pki(), { ...passwords, options: 'hand-window 3' }),
      {
        onAuthenticate: ({ username }) => {
          if (username === 'throws') throw new Error('the database is away');
          if (username === 'rejects') return Promise.reject(new Error('the database is away'));
          return username === 'hangs' ? new Promise<never>(() => {}) : true;
        },
        onConnect: ({ username }) => {
          if (username === 'late') throw new Error('no address');
        },
      },
    );
    const hangs = rejection(connectInMemory(library(), server, pki(), undefined, login('hangs', 'x')));
    await using connection = await connectInMemory(library(), server, pki(), undefined, login('good', 'x'));
    for (const name of ['throws', 'rejects', 'late']) {
      const error = await rejection(connectInMemory(library(), server, pki(), undefined, login(name, 'x')));
      expect(error, name).toMatchObject({ code: 'SALLYPORT_AUTH_FAILED' });
    }
    expect(await hangs).toMatchObject({ code: 'SALLYPORT_AUTH_FAILED' });
    expect(await pingInMemory(connection)).toBe(true);
  });

  it('give address, options and networks, and hear of addresses and of the end', async () => {
    const changes: string[] = [];
    let told: (text: string) => void = () => {};
    const goodbye = new Promise<string>((resolve) => {
      told = resolve;
    });
    await using server = await serveInMemory(library(), await memorySettings(pki()), {
      onConnect: () => ({ address4: '10.8.0.77', push: ['route 10.1.0.0 255.255.0.0'], routes: ['192.168.4.0/24'] }),
      onAddress: ({ type, prefix, client }) => {
        changes.push(`${type} ${prefix} ${client?.name}`);
      },
      onDisconnect: ({ name }, reason) => told(`${name} ${reason}`),
    });
    const connection = await connectInMemory(library(), server, pki(), pki().client);
    expect(only(server)).toMatchObject({ address4: '10.8.0.77', routes: ['192.168.4.0/24'] });
    expect(connection.state).toMatchObject({
      plan: { address4: { local: '10.8.0.77' }, routes: [{ prefix: '10.1.0.0/16' }] },
    });
    expect(await pingInMemory(connection)).toBe(true);
    expect(await pingInMemory(connection, '10.8.0.1', '192.168.4.9')).toBe(true);
    expect(await pingInMemory(connection, '10.8.0.1', '192.168.5.9')).toBe(false);
    expect(changes).toEqual(['add 10.8.0.77/32 client', 'add 192.168.4.0/24 client']);
    await connection.close();
    expect(await goodbye).toBe('client remote-exit');
  });

  it('ask the person at the client while its login waits', async () => {
    await using server = await serveInMemory(library(), await memorySettings(pki()), {
      onAuthenticate: async (_client, { ask }) => (await ask('Which room?')) === '42',
    });
    const answer = (text: string) => ({
      onChallenge: (challenge: { readonly text: string }) => (challenge.text === 'Which room?' ? text : ''),
    });
    await using connection = await connectInMemory(library(), server, pki(), pki().client, answer('42'));
    expect(await pingInMemory(connection)).toBe(true);
    expect(await rejection(connectInMemory(library(), server, pki(), pki().rsa, answer('43')))).toMatchObject({
      code: 'SALLYPORT_AUTH_FAILED',
    });
  });
});

describe('kick', () => {
  it.each([
    ['here', 'server-pushed-connection-reset'],
    ['elsewhere', 'server-pushed-connection-reset'],
  ] as const)('ends a session at once and says that the client is to come again: %s', async (reconnect, reason) => {
    await using server = await serveInMemory(library(), await memorySettings(pki()));
    await using connection = await connectInMemory(library(), server, pki(), pki().client);
    const told = new Promise<unknown>((resolve) => connection.on('state', ({ state }) => resolve(state)));
    const lost = next(server, 'disconnected');
    const again = next(server, 'connected');
    const kicked = server.kick(only(server), { reason: 'closing time', reconnect });
    expect(server.clients).toEqual([]);
    expect(await kicked).toBe(true);
    expect(await lost).toMatchObject({ reason: 'kicked' });
    expect(await told).toMatchObject({ phase: 'reconnecting', reason });
    expect((await again).client.name).toBe('client');
    expect(await server.kick(99)).toBe(false);
  });

  it('says that the client is not to come again', async () => {
    const lines: string[] = [];
    await using server = await serveInMemory(library(), await memorySettings(pki()));
    const connection = await connectInMemory(library(), server, pki(), pki().client, {
      log: (_flags, line) => lines.push(line),
    });
    await server.kick(only(server), { reason: 'closing\ntime', reconnect: 'never' });
    expect((await connection.ended).reason).toBe('server-pushed-halt');
    expect(lines).toContain("Halt command was pushed by server ('closing time')");
  });
});

describe('reload', () => {
  it('goes by other options at once, keeps those that need a restart, and drops nobody', async () => {
    const settings = await memorySettings(pki());
    await using server = await serveInMemory(library(), settings);
    await using connection = await connectInMemory(library(), server, pki(), pki().client);
    const report = await server.reload({
      ...settings,
      network: '10.9.0.0/24',
      push: ['route 10.1.0.0 255.255.0.0'],
      maxClients: 3,
    });
    expect(report).toEqual({ applied: ['max-clients', 'push'], needRestart: ['server'] });
    expect(await pingInMemory(connection)).toBe(true);
    await using other = await connectInMemory(library(), server, pki(), pki().rsa);
    expect(other.state).toMatchObject({
      plan: { address4: { local: '10.8.0.3' }, routes: [{ prefix: '10.1.0.0/16' }] },
    });
    expect(await server.reload()).toEqual({ applied: [], needRestart: [] });
  });

  it('says that a key of the control channel has another content, which needs a restart', async () => {
    const shared = join(directory, 'shared.key');
    const hex = (byte: string) => Array.from({ length: 16 }, () => byte.repeat(16)).join('\n');
    const key = (byte: string) =>
      `-----BEGIN OpenVPN Static key V1-----\n${hex(byte)}\n-----END OpenVPN Static key V1-----\n`;
    writeFileSync(shared, key('a1'));
    await using server = await serveInMemory(library(), await memorySettings(pki(), { tlsCrypt: shared }));
    expect(await server.reload()).toEqual({ applied: [], needRestart: [] });
    writeFileSync(shared, key('b2'));
    expect(await server.reload()).toEqual({ applied: [], needRestart: ['tls-crypt'] });
  });

  it('changes nothing for a configuration with errors, or whose files can not be read', async () => {
    const settings = await memorySettings(pki());
    await using server = await serveInMemory(library(), settings);
    for (const bad of [{ options: 'bogus 1' }, { ca: 'missing.crt' }, { key: pki().client.key }]) {
      const error = await rejection(server.reload({ ...settings, push: ['route 10.1.0.0 255.255.0.0'], ...bad }));
      expect(error).toMatchObject({ name: 'SallyportError', code: 'SALLYPORT_CONFIG' });
    }
    await using connection = await connectInMemory(library(), server, pki(), pki().client);
    expect(connection.state).toMatchObject({ plan: { routes: [] } });
  });

  it('takes other certificates and other hooks', async () => {
    const settings = await memorySettings(pki());
    await using server = await serveInMemory(library(), settings);
    await using before = await connectInMemory(library(), server, pki(), pki().client);
    const peer = (connection: Connection) =>
      new Promise<unknown>((resolve) => connection.on('peer', ({ commonName }) => resolve(commonName)));
    const renamed = await pki().issue({ name: 'renamed' });
    const report = await server.reload(
      { ...settings, ...renamed },
      { onAuthenticate: ({ commonName }) => commonName !== 'rsa' },
    );
    expect(report).toEqual({ applied: ['cert', 'key'], needRestart: [] });
    expect(await rejection(connectInMemory(library(), server, pki(), pki().rsa))).toMatchObject({
      code: 'SALLYPORT_AUTH_FAILED',
    });
    const named = peer(before);
    before.reconnect();
    expect(await named).toBe('renamed');
  });

  it('ends those whose certificate is revoked now, tells them, and leaves the others alone', async () => {
    const settings = await memorySettings(pki(), { crl: pki().emptyCrl });
    await using server = await serveInMemory(library(), settings);
    await using good = await connectInMemory(library(), server, pki(), pki().client);
    const bad = await connectInMemory(library(), server, pki(), pki().revoked);
    expect(await server.reload({ ...settings, crl: pki().crl })).toEqual({ applied: ['crl-verify'], needRestart: [] });
    expect(server.clients.map(({ name }) => name)).toEqual(['client']);
    expect((await bad.ended).error).toMatchObject({ code: 'SALLYPORT_AUTH_FAILED' });
    expect(await pingInMemory(good)).toBe(true);
  });

  it('is not needed for a revocation: the file is looked at while clients are in', async () => {
    const crl = join(directory, 'current.crl');
    copyFileSync(pki().emptyCrl, crl);
    await using server = await serveInMemory(library(), await memorySettings(pki(), { crl }));
    const bad = await connectInMemory(library(), server, pki(), pki().revoked);
    writeFileSync(crl, readFileSync(pki().crl));
    expect((await bad.ended).error).toMatchObject({ code: 'SALLYPORT_AUTH_FAILED' });
  });
});

describe('pushUpdate', () => {
  it('changes routes and addresses of a client that is up, at both ends', async () => {
    await using server = await serveInMemory(library(), await memorySettings(pki()));
    await using connection = await connectInMemory(library(), server, pki(), pki().client);
    const updated = () => new Promise<unknown>((resolve) => connection.on('updated', ({ plan }) => resolve(plan)));
    let plan = updated();
    expect(await server.pushUpdate(['route 10.1.0.0 255.255.0.0', 'route 10.2.0.0 255.255.0.0'])).toEqual([0]);
    expect(await plan).toMatchObject({ routes: [{ prefix: '10.1.0.0/16' }, { prefix: '10.2.0.0/16' }] });
    plan = updated();
    expect(await server.pushUpdate(['-route', 'ifconfig 10.8.0.99 255.255.255.0'], { to: only(server) })).toEqual([0]);
    expect(await plan).toMatchObject({ routes: [], address4: { local: '10.8.0.99' } });
    expect(only(server).address4).toBe('10.8.0.99');
    expect(await pingInMemory(connection)).toBe(true);
    expect(await pingInMemory(connection, '10.8.0.1', '10.8.0.2')).toBe(false);
  });

  it('changes MTU, DNS and IPv6 of a client that is up', async () => {
    await using server = await serveInMemory(library(), await memorySettings(pki(), { network6: 'fd00:8::/64' }));
    await using connection = await connectInMemory(library(), server, pki(), pki().client);
    const updated = () => new Promise<unknown>((resolve) => connection.on('updated', ({ plan }) => resolve(plan)));
    let plan = updated();
    expect(
      await server.pushUpdate([
        'tun-mtu 1400',
        'dns server 1 address 10.8.0.53 fd00:8::53',
        'dns search-domains corp.example',
        'route-ipv6 fd00:77::/48',
        'ifconfig-ipv6 fd00:8::99/64 fd00:8::1',
      ]),
    ).toEqual([0]);
    expect(await plan).toMatchObject({
      mtuBytes: 1400,
      dns: {
        servers: [{ priority: 1, addresses: [{ address: '10.8.0.53' }, { address: 'fd00:8::53' }] }],
        searchDomains: ['corp.example'],
      },
      routes: [{ prefix: 'fd00:77::/48' }],
      address6: { local: 'fd00:8::99', prefixLength: 64 },
    });
    expect(only(server)).toMatchObject({ address4: '10.8.0.2', address6: 'fd00:8::99' });
    plan = updated();
    expect(await server.pushUpdate(['-tun-mtu', '-dns', '-route-ipv6'], { to: only(server) })).toEqual([0]);
    expect(await plan).toMatchObject({ mtuBytes: 1500, dns: { servers: [], searchDomains: [] }, routes: [] });
    expect(await pingInMemory(connection)).toBe(true);
  });

  it('refuses what can not be changed, before anybody is told', async () => {
    await using server = await serveInMemory(library(), await memorySettings(pki()));
    await using first = await connectInMemory(library(), server, pki(), pki().client);
    await using second = await connectInMemory(library(), server, pki(), pki().rsa);
    const taken = first.state.phase === 'connected' ? first.state.plan.address4?.local : undefined;
    const other = server.clients.find(({ name }) => name === 'rsa');
    for (const [options, to] of [
      [['cipher AES-128-GCM']],
      [['route 10.1.0.0 255.255.0.0', 'route nowhere']],
      [['route 10.1.0.0 255.255.0.0,dns x']],
      [['ifconfig 10.8.0.50 255.255.255.0']],
      [[`ifconfig ${taken} 255.255.255.0`], other],
      [[]],
    ] as const) {
      const error = await rejection(server.pushUpdate(options, to === undefined ? {} : { to }));
      expect(error, options.join()).toMatchObject({ name: 'SallyportError', code: 'SALLYPORT_PUSH' });
    }
    expect(second.state).toMatchObject({ phase: 'connected', plan: { routes: [] } });
    expect(await server.pushUpdate(['-route'], { to: 99 })).toEqual([]);
  });
});

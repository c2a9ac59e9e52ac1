// The library's server with real clients: the program around decides, changes and ends sessions while they run; and the
// command's SIGHUP, which drops nobody.

import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import type { ServerSettings } from '../../src/server.ts';
import { type Lab, tunnel, up, useLab } from '../lab/lab.ts';
import { address, device } from '../lab/net.ts';
import type { WatchedProcess } from '../lab/process.ts';
import { pushedOptions } from '../lab/push-reply.ts';
import { itOurServer, labSuite, projectRoot } from '../lab/requirements.ts';
import { isSilent, pings, serveTraffic } from '../lab/traffic.ts';

/** A program with the library's server in it. */
class LibraryServer {
  readonly process: WatchedProcess;

  private constructor(process: WatchedProcess) {
    this.process = process;
  }

  static async start(lab: Lab, settings: Partial<ServerSettings> = {}): Promise<LibraryServer> {
    const { ca, server } = lab.pki;
    const all: ServerSettings = {
      network: '10.8.0.0/24',
      ca: ca.cert,
      cert: server.cert,
      key: server.key,
      ...settings,
    };
    const file = await lab.file('settings.json', JSON.stringify({ settings: { options: 'verb 4', ...all } }));
    const main = [process.execPath, join(projectRoot, 'test/interop/library-server-main.mjs'), file];
    const watched = lab.net.server.watch(main, { name: 'a program with a server', cwd: lab.dir, keepStdin: true });
    await watched.line(/^listening/);
    return new LibraryServer(watched);
  }

  /** Calls a method and waits for what comes of it. */
  async call(method: string, ...args: readonly unknown[]): Promise<unknown> {
    const from = this.process.mark();
    this.process.write(`${JSON.stringify([method, ...args])}\n`);
    const line = await this.process.line(/^(answer|refused) /, { from });
    return JSON.parse(line.slice(line.indexOf(' ') + 1));
  }
}

labSuite('a program around the server', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it.each(['openvpn', 'openvpn-2.7'] as const)('decides who comes in and what it gets: %s', async (kind) => {
    const server = await LibraryServer.start(lab());
    const login = async (password: string) =>
      lab().client({ kind, lines: [`auth-user-pass ${await lab().file('login', `max\n${password}\n`, 0o600)}`] });
    const refused = await login('wrong');
    await refused.line(/AUTH: Received control message: AUTH_FAILED,who are you\?/);
    await refused.exit();
    const client = await login('s3cret');
    await client.line(up);
    expect(pushedOptions(client)).toContain('route 10.77.0.0 255.255.255.0');
    expect((await device(lab().net.client, 'tun0'))?.addresses).toContain('10.8.0.77/24');
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await server.call('clients')).toMatchObject([
      {
        name: 'max@office',
        username: 'max',
        address4: '10.8.0.77',
        cipher: 'AES-256-GCM',
        endpoint: { transport: 'udp' },
      },
    ]);
    await client.stop();
  });

  it.each(['openvpn', 'openvpn-2.7'] as const)('sends a client away at once: %s', async (kind) => {
    const server = await LibraryServer.start(lab());
    const client = await lab().connect({ kind, lines: ['connect-retry 1 1'] });
    expect(await server.call('kick', 0, { reason: 'a moment', reconnect: 'here' })).toBe(true);
    await client.line(/Connection reset command was pushed by server \('\[?P?\]?a moment'\)/);
    const mark = client.mark();
    await client.line(up, { from: mark });
    await server.process.line(/^disconnected .*"reason":"kicked"/);
    const [again] = (await server.call('clients')) as { id: number }[];
    expect(await server.call('kick', again?.id, { reason: 'enough', reconnect: 'never' })).toBe(true);
    await client.line(/Halt command was pushed by server \('enough'\)/);
    expect(await client.exit()).toEqual({ code: 0, signal: null });
    expect(await server.call('clients')).toEqual([]);
  });

  it('changes routes and address of openvpn 2.7 while it is up, and says that 2.6 takes no updates', async () => {
    const { client: host, server: far } = lab().net;
    const server = await LibraryServer.start(lab(), { push: ['route 10.66.0.0 255.255.255.0'] });
    const client = await lab().connect({ kind: 'openvpn-2.7', lines: ['disable-dco'] });
    const routes = async () => (await host.run(['ip', '-4', 'route', 'show', 'dev', 'tun0'])).stdout;
    expect(await routes()).toContain('10.66.0.0/24');
    let mark = client.mark();
    expect(await server.call('pushUpdate', ['route 10.77.0.0 255.255.255.0'])).toEqual([0]);
    await client.line(up, { from: mark });
    expect(await routes()).toContain('10.77.0.0/24');
    expect(await routes()).not.toContain('10.66.0.0/24');
    expect(await pings(host, address.office4)).toBe(true);
    mark = client.mark();
    expect(await server.call('pushUpdate', ['ifconfig 10.8.0.99 255.255.255.0'], { to: 0 })).toEqual([0]);
    await client.line(up, { from: mark });
    expect((await device(host, 'tun0'))?.addresses).toContain('10.8.0.99/24');
    expect(await pings(host, tunnel.server4)).toBe(true);
    expect(await pings(far, '10.8.0.99')).toBe(true);
    expect(await isSilent(far, tunnel.client4)).toBe(true);
    // Many options are several messages.
    const many = Array.from({ length: 60 }, (_, at) => `route 10.100.${at}.0 255.255.255.0`);
    mark = client.mark();
    expect(await server.call('pushUpdate', many, { to: 0 })).toEqual([0]);
    await client.line(up, { from: mark });
    expect((await routes()).match(/^10\.100\./gm)).toHaveLength(60);
    expect(client.count(/push-continuation 1/, mark)).toBeGreaterThan(0);
    await client.stop();
    await lab().connect({ kind: 'openvpn' });
    const [old] = (await server.call('clients')) as { id: number }[];
    expect(await server.call('pushUpdate', ['-route'], { to: old?.id })).toMatchObject({ code: 'SALLYPORT_PUSH' });
    expect(await server.call('pushUpdate', ['-route'])).toEqual([]);
  });

  it.each(['openvpn', 'openvpn-2.7'] as const)('ends a revoked client, which learns of it: %s', async (kind) => {
    const { pki } = lab();
    const crl = await lab().file('crl.pem', '');
    await copyFile(pki.emptyCrl, crl);
    const server = await LibraryServer.start(lab(), { crl });
    const client = await lab().connect({ kind, certificate: pki.revoked });
    await writeFile(crl, await readFile(pki.crl));
    expect(await server.call('reload')).toEqual({ applied: ['crl-verify'], needRestart: [] });
    await client.line(/AUTH: Received control message: AUTH_FAILED,certificate revoked/);
    expect(await client.exit()).toEqual({ code: 0, signal: null });
    expect(await server.call('clients')).toEqual([]);
  });
});

labSuite('SIGHUP', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  itOurServer(
    'takes over what can be changed and drops nobody; a configuration with errors changes nothing',
    async () => {
      const { client: host, router } = lab().net;
      const options = { lines: ['client-config-dir ccd', 'max-clients 20'] };
      const config = await lab().file('live.conf', `${lab().serverLines(options).join('\n')}\n`);
      const ccd = await lab().directory('ccd');
      const write = (...lines: readonly string[]) =>
        writeFile(config, `${[...lab().serverLines({ without: ['client-config-dir'] }), ...lines].join('\n')}\n`);
      await write();
      const server = lab().net.server.watch(
        [process.execPath, join(projectRoot, 'bin/sallyport.js'), '--config', config],
        {
          name: 'sallyport (server)',
          cwd: lab().dir,
        },
      );
      await server.line(up);
      const client = await lab().connect({ kind: 'openvpn' });
      const stream = host.watch(['ping', '-n', '-i', '0.02', '-c', '200', tunnel.server4], { name: 'ping' });
      await stream.line(/icmp_seq=10 /);

      await writeFile(join(ccd, 'rsa'), 'push "route 10.78.0.0 255.255.255.0"\n');
      await write('push "route 10.77.0.0 255.255.255.0"', `client-config-dir ${ccd}`, 'port 1195', 'verb 3');
      server.signal('SIGHUP');
      await server.line(/Reloaded: .*push.*client-config-dir|Reloaded: .*client-config-dir.*push/);
      await server.line(/NOTE: changed, and without effect until a restart: port/);
      const second = await lab().connect({ kind: 'openvpn-2.7', namespace: router, certificate: lab().pki.rsa });
      const pushed = pushedOptions(second);
      expect(pushed).toContain('route 10.77.0.0 255.255.255.0');
      expect(pushed).toContain('route 10.78.0.0 255.255.255.0');

      await write('push "route 10.99.0.0 255.255.255.0"', 'bogus-option 1');
      server.signal('SIGHUP');
      await server.line(new RegExp(`Options error: .*${config}:\\d+: bogus-option`));
      await server.line(/the server goes on with the old one/);
      await second.stop();
      const third = await lab().connect({ kind: 'openvpn-2.7', namespace: router, certificate: lab().pki.rsa });
      expect(pushedOptions(third)).toContain('route 10.78.0.0 255.255.255.0');
      expect(pushedOptions(third)).not.toContain('route 10.99.0.0 255.255.255.0');

      expect(await stream.exit()).toEqual({ code: 0, signal: null });
      expect(stream.text).toMatch(/200 packets transmitted, 200 received/);
      expect(client.count(/Restart|restarting/)).toBe(0);
      expect(await server.stop()).toEqual({ code: 0, signal: null });
    },
  );

  itOurServer('is followed also by a server that may not read its key any more', async () => {
    const { client: host, router } = lab().net;
    const key = await lab().file('server.key', await readFile(lab().pki.server.key, 'utf8'), 0o600);
    const pushes = await lab().file('pushes.conf', 'push "route 10.55.0.0 255.255.0.0"\n');
    const server = await lab().serve({
      without: ['key'],
      lines: [`key ${key}`, 'user nobody', 'keepalive 10 60', `config ${pushes}`],
    });
    const client = await lab().connect({ kind: 'openvpn' });
    await writeFile(pushes, 'push "route 10.56.0.0 255.255.0.0"\n');
    const marks = { server: server.mark(), client: client.mark() };
    server.signal('SIGHUP');
    await server.line(/Reloaded: push$/, { from: marks.server });
    const note = 'NOTE: this process may not read these files any more, and goes on with what it read before: ';
    expect(await server.line(/NOTE: this process may not read/, { from: marks.server })).toMatch(
      new RegExp(`${note}${key}$`),
    );
    expect(await pings(host, tunnel.server4)).toBe(true);
    expect(client.count(/Restart|restarting/, marks.client)).toBe(0);
    const second = await lab().connect({ kind: 'openvpn-2.7', namespace: router, certificate: lab().pki.rsa });
    expect(pushedOptions(second)).toContain('route 10.56.0.0 255.255.0.0');
    expect(pushedOptions(second)).not.toContain('route 10.55.0.0 255.255.0.0');
    expect(await pings(router, tunnel.server4)).toBe(true);
    expect(server.count(/Peer Connection Initiated/)).toBe(2);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  });
});

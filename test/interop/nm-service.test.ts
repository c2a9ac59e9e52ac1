// A desktop whose NetworkManager starts our service in the place of network-manager-openvpn's.

import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { useLab } from '../lab/lab.ts';
import { Management } from '../lab/management.ts';
import { address } from '../lab/net.ts';
import { type DesktopOptions, NetworkManagerHost } from '../lab/network-manager.ts';
import { packagedService } from '../lab/network-manager-service.ts';
import { eventually, type WatchedProcess } from '../lab/process.ts';
import { labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

labSuite("NetworkManager with Sallyport's service", () => {
  const lab = useLab();
  let host: NetworkManagerHost | undefined;
  const open: Management[] = [];
  afterEach(async () => {
    for (const management of open.splice(0)) management.close();
    await host?.end();
  });

  const desktop = async (options: DesktopOptions = {}): Promise<NetworkManagerHost> => {
    host = await NetworkManagerHost.start(lab(), { program: await packagedService(lab()), ...options });
    return host;
  };

  /** A server that takes max with the password s3cret alone. */
  async function serverWithPassword(lines: readonly string[] = []) {
    const script = await lab().file('verify', '#!/bin/sh\n[ "$(cat "$1")" = "max\ns3cret" ]\n', 0o755);
    return lab().server({ lines: ['script-security 2', `auth-user-pass-verify ${script} via-file`, ...lines] });
  }

  /** A server whose logins this test decides. */
  async function serverThatAsks() {
    const path = join(lab().dir, `management-${process.hrtime.bigint()}.sock`);
    await lab().server({ lines: [`management ${path} unix`, 'management-client-auth', 'disable-dco'] });
    const management = await Management.open(path);
    open.push(management);
    return management;
  }

  /** A connection for max, with what else is set in it. */
  async function importForMax(host: NetworkManagerHost, ...settings: readonly string[]): Promise<void> {
    await host.import('office', lab().clientLines({ lines: ['auth-user-pass'] }));
    await host.nmcli('connection', 'modify', 'office', '+vpn.data', 'username=max');
    if (settings.length > 0) await host.nmcli('connection', 'modify', 'office', ...settings);
  }
  const storedPassword = (password: string) => ['+vpn.data', 'password-flags=0', 'vpn.secrets', `password=${password}`];

  /** nmcli says these words on its terminal and waits for an answer, which is given. */
  const answer = async (nmcli: WatchedProcess, words: RegExp, text: string, from = 0) => {
    await nmcli.line(words, { from });
    await nmcli.prompt(/: $/);
    nmcli.write(`${text}\r`);
  };

  const upOrWhy = (host: NetworkManagerHost, name = 'office') =>
    host.nmcli('connection', 'up', name).catch((error: unknown) => {
      throw new Error(`${error}\n${host.log.tail()}\n${host.messages().join('\n')}`);
    });
  const isUp = async (host: NetworkManagerHost, name = 'office') =>
    expect(await host.active()).toContain(`${name}:activated`);

  it('connects by certificate, passes on all that was pushed, and everything is as it was after the end', async () => {
    await lab().server({
      lines: [
        ...['DNS 10.8.0.1', 'DNS 10.8.0.3', 'DNS6 fd00:8::1', 'WINS 10.8.0.4', 'DOMAIN corp.example']
          .concat(['DOMAIN-SEARCH lab.example'])
          .map((option) => `push "dhcp-option ${option}"`),
        'push "route 10.77.0.0 255.255.255.0 vpn_gateway 70"',
        'push "route-ipv6 fd00:77::/64"',
        'push "echo msg Welcome to the office"',
        'tun-mtu 1420',
      ],
    });
    const host = await desktop();
    const before = await host.state();
    expect(await host.import('office', lab().clientLines())).toContain('successfully added');
    await upOrWhy(host);
    await isUp(host);
    expect(await pings(lab().net.client, address.office4)).toBe(true);
    const { connection, routes, routes6, resolvConf, links } = await host.state('office');
    for (const line of [
      'IP4.ADDRESS: 10.8.0.2/24',
      'IP4.GATEWAY: 10.8.0.1',
      'IP4.DNS: 10.8.0.1',
      'IP4.DNS: 10.8.0.3',
      'IP4.WINS: 10.8.0.4',
      'IP4.DOMAIN: corp.example',
      'IP4.DOMAIN: lab.example',
      'IP6.ADDRESS: fd00:8::1000/64',
      'IP6.DNS: fd00:8::1',
    ]) {
      expect(connection).toContain(line);
    }
    expect(routes).toContain('10.77.0.0/24 via 10.8.0.1 dev tun0 proto static metric 50');
    expect(routes).toContain('default via 10.8.0.1 dev tun0 proto static metric 50');
    expect(routes6.join()).toContain('fd00:77::/64 via fd00:8::1 dev tun0');
    expect(resolvConf).toContain('nameserver 10.8.0.1\nnameserver 10.8.0.3');
    expect(links.join()).toMatch(/tun0: <POINTOPOINT,MULTICAST,NOARP,UP,LOWER_UP> mtu 1420/);
    expect((await host.nmcli('connection', 'show', 'office')).stdout).toMatch(/VPN\.BANNER: +Welcome to the office/);
    const client = await host.pidOf('nm-client.js');
    const status = await readFile(`/proc/${client}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\t992\t992\t992\t992$/m);
    expect(status).toMatch(/^CapEff:\t0{16}$/m);
    await host.nmcli('connection', 'down', 'office');
    await host.comesBackTo(before);
    await host.withoutProcess('nm-');
  });

  it('connects with a stored password, and with one that is asked for', async () => {
    await serverWithPassword();
    const host = await desktop();
    await importForMax(host, ...storedPassword('s3cret'));
    await upOrWhy(host);
    await isUp(host);
    await host.nmcli('connection', 'down', 'office');
    await host.nmcli('connection', 'modify', 'office', 'vpn.secrets', '', '+vpn.data', 'password-flags=2');
    const nmcli = host.nmcliOnTerminal('--ask', 'connection', 'up', 'office');
    await nmcli.prompt(/Password.*: /);
    nmcli.write('s3cret\r');
    await nmcli.line(/successfully activated/);
    await isUp(host);
    expect([...host.messages(), ...host.log.lines].join()).not.toContain('s3cret');
    for (const word of ['nm-service.js', 'nm-client.js', 'sallyport-nm-service']) {
      for (const pid of await host.pidsOf(word)) {
        const told =
          (await readFile(`/proc/${pid}/cmdline`, 'utf8')) + (await readFile(`/proc/${pid}/environ`, 'utf8'));
        expect(told).not.toContain('s3cret');
      }
    }
  });

  it('asks again for a password that was refused', async () => {
    await serverWithPassword();
    const host = await desktop();
    await importForMax(host, '+vpn.data', 'password-flags=2');
    const nmcli = host.nmcliOnTerminal('--ask', 'connection', 'up', 'office');
    await nmcli.prompt(/Password.*: /);
    nmcli.write('wrong\r');
    await answer(nmcli, /The server refused the password\. Enter it again\./, 's3cret');
    await nmcli.line(/successfully activated/);
  });

  it('says of a wrong password that the login failed, and leaves nothing', async () => {
    await serverWithPassword();
    const host = await desktop();
    const before = await host.state();
    await importForMax(host, '+vpn.data', 'password-flags=1');
    const file = join(host.folder, 'passwords');
    await writeFile(file, 'vpn.secrets.password:wrong\n', { mode: 0o600 });
    const { code, stderr } = await host.try('connection', 'up', 'office', 'passwd-file', file);
    expect(code).toBe(4);
    expect(stderr).toMatch(/: Invalid secrets/);
    await host.comesBackTo(before);
  });

  it('says of a certificate that the server refuses that the login failed', async () => {
    await lab().server({ program: 'sallyport' });
    const host = await desktop();
    await host.import('office', lab().clientLines({ certificate: lab().pki.foreign }));
    const { code, stderr } = await host.try('connection', 'up', 'office');
    expect(code).toBe(4);
    expect(stderr).toMatch(/: Invalid secrets/);
  });

  it('says of a server that does not answer that time is over', async () => {
    const host = await desktop();
    const before = await host.state();
    await host.import('office', lab().clientLines());
    await host.nmcli('connection', 'modify', 'office', 'vpn.timeout', '3');
    const { code, stderr } = await host.try('connection', 'up', 'office');
    expect(code).toBe(4);
    expect(stderr).toMatch(/timed out/);
    await host.comesBackTo(before);
  });

  it('says of a certificate of the server that is another one that the connection failed, without waiting', async () => {
    await lab().server();
    const host = await desktop();
    await host.import('office', lab().clientLines({ lines: ['verify-x509-name other.example name'] }));
    const startMs = performance.now();
    const { code, stderr } = await host.try('connection', 'up', 'office');
    expect(code).toBe(4);
    expect(performance.now() - startMs).toBeLessThan(20_000);
    expect(stderr).not.toMatch(/timed out/);
    expect(host.messages().join('\n')).toMatch(/has the wrong name/);
  });

  it("brings a server's question to whoever connects, and again after a wrong answer", async () => {
    const management = await serverThatAsks();
    const host = await desktop();
    await importForMax(host, '+vpn.data', 'password-flags=2');
    const nmcli = host.nmcliOnTerminal('--ask', 'connection', 'up', 'office');
    await nmcli.prompt(/Password.*: /);
    nmcli.write('s3cret\r');
    const first = await management.event('CONNECT');
    expect(first.env).toMatchObject({ username: 'max', password: 's3cret', IV_SSO: 'crtext' });
    await management.command(`client-deny ${first.cid} ${first.kid} "asks" "CRV1:R,E:st4te:bWF4:Which PIN?"`);
    await answer(nmcli, /Which PIN\?/, '8675');
    const second = await management.event('CONNECT');
    expect(second.env).toMatchObject({ username: 'max', password: 'CRV1::st4te::8675' });
    await management.command(`client-deny ${second.cid} ${second.kid} "no"`);
    await answer(nmcli, /The server refused the password or the answer\. Enter both again\./, 's3cret');
    const third = await management.event('CONNECT');
    expect(third.env).toMatchObject({ username: 'max', password: 's3cret' });
    await management.command(`client-deny ${third.cid} ${third.kid} "asks" "CRV1:R,E:st5te:bWF4:Which PIN now?"`);
    await answer(nmcli, /Which PIN now\?/, '5309');
    const fourth = await management.event('CONNECT');
    expect(fourth.env).toMatchObject({ username: 'max', password: 'CRV1::st5te::5309' });
    await management.command(`client-auth-nt ${fourth.cid} ${fourth.kid}`);
    await nmcli.line(/successfully activated/);
    await isUp(host);
  });

  it('brings the question of a pending login, and the static one of the connection, again after a wrong answer', async () => {
    const management = await serverThatAsks();
    const host = await desktop();
    await importForMax(host, '+vpn.data', 'password-flags=2', '+vpn.data', 'static-challenge=Your code');
    const nmcli = host.nmcliOnTerminal('--ask', 'connection', 'up', 'office');
    await nmcli.prompt(/Password.*: /);
    nmcli.write('s3cret\r');
    await answer(nmcli, /Your code/, '000000');
    const wrong = await management.event('CONNECT');
    expect(wrong.env).toMatchObject({ username: 'max', password: 'SCRV1:czNjcmV0:MDAwMDAw' });
    await management.command(`client-deny ${wrong.cid} ${wrong.kid} "no"`);
    const from = nmcli.mark();
    await answer(nmcli, /refused the password or the answer/, 's3cret');
    await answer(nmcli, /Your code/, '123456', from);
    const login = await management.event('CONNECT');
    expect(login.env).toMatchObject({ username: 'max', password: 'SCRV1:czNjcmV0:MTIzNDU2' });
    await management.command(`client-pending-auth ${login.cid} ${login.kid} CR_TEXT:R:Code_of_the_day? 60`);
    await answer(nmcli, /Code_of_the_day\?/, 'xyz');
    expect(await management.event('CR_RESPONSE')).toMatchObject({ cid: login.cid, rest: 'eHl6' });
    await management.command(`client-auth-nt ${login.cid} ${login.kid}`);
    await nmcli.line(/successfully activated/);
  });

  it.each([
    ['the passphrase of the key', () => ({ without: ['key'], lines: [`key ${lab().pki.encryptedKey}`] })],
    [
      'the password of a PKCS#12 file',
      () => ({ without: ['ca', 'cert', 'key'], lines: [`pkcs12 ${lab().pki.pkcs12}`] }),
    ],
  ])('asks for %s, and again after a wrong one', async (_, client) => {
    await lab().server();
    const host = await desktop();
    await host.import('office', lab().clientLines(client()));
    // The import says of a PKCS#12 file that nobody has to be asked.
    await host.nmcli('connection', 'modify', 'office', '+vpn.data', 'cert-pass-flags=2');
    const nmcli = host.nmcliOnTerminal('--ask', 'connection', 'up', 'office');
    await nmcli.prompt(/password.*: $/i);
    nmcli.write('wrong\r');
    await answer(nmcli, /The passphrase does not open the private key\. Enter it again\./, lab().pki.password);
    await nmcli.line(/successfully activated/);
    await isUp(host);
    expect([...host.messages(), ...host.log.lines].join()).not.toContain(lab().pki.password);
  });

  it('has several connections at once, each with its own process and device', async () => {
    await lab().server();
    await lab().server({
      port: 1195,
      lines: ['server 10.9.0.0 255.255.255.0', 'server-ipv6 fd00:9::/64'],
      without: ['server', 'server-ipv6'],
    });
    const host = await desktop();
    const before = await host.state();
    for (const [name, port] of [
      ['office', 1194],
      ['branch', 1195],
    ] as const) {
      await host.import(name, lab().clientLines({ port }));
      await host.nmcli('connection', 'modify', name, 'ipv4.never-default', 'yes', 'ipv6.never-default', 'yes');
    }
    await upOrWhy(host, 'office');
    await upOrWhy(host, 'branch');
    await isUp(host, 'office');
    await isUp(host, 'branch');
    expect((await host.pidsOf('nm-client.js')).length).toBe(2);
    expect(await pings(lab().net.client, '10.8.0.1')).toBe(true);
    expect(await pings(lab().net.client, '10.9.0.1')).toBe(true);
    await host.nmcli('connection', 'down', 'office');
    expect(await pings(lab().net.client, '10.9.0.1')).toBe(true);
    await host.nmcli('connection', 'down', 'branch');
    await host.comesBackTo(before);
  });

  it('is used for its own networks only where the connection says never-default', async () => {
    await lab().server({ lines: ['push "redirect-gateway def1"', 'push "route 10.77.0.0 255.255.255.0"'] });
    const host = await desktop();
    await host.import('office', lab().clientLines());
    await host.nmcli('connection', 'modify', 'office', 'ipv4.never-default', 'yes', 'ipv6.never-default', 'yes');
    await upOrWhy(host);
    const { routes, routes6 } = await host.state('office');
    expect(routes).toContain('10.77.0.0/24 via 10.8.0.1 dev tun0 proto static metric 50');
    expect(routes.filter((route) => /^(default|0\.0\.0\.0\/1|128)/.test(route) && route.includes('tun0'))).toEqual([]);
    expect(routes6.filter((route) => /^default/.test(route) && route.includes('tun0'))).toEqual([]);
  });

  it('takes no default route where the server says redirect-private', async () => {
    await lab().server({ lines: ['push "redirect-private def1"', 'push "route 10.77.0.0 255.255.255.0"'] });
    const host = await desktop();
    await host.import('office', lab().clientLines());
    await upOrWhy(host);
    const { routes } = await host.state('office');
    expect(routes.filter((route) => /^default/.test(route) && route.includes('tun0'))).toEqual([]);
  });

  it('blocks IPv6 beside a tunnel that has none, unless the connection says otherwise', async () => {
    await lab().server({ without: ['server-ipv6'], lines: ['push "redirect-gateway def1"'] });
    const host = await desktop();
    const before = await host.state();
    await host.import('office', lab().clientLines());
    const reaches = async () =>
      (await host.run(['ping', '-6', '-n', '-c', '1', '-W', '2', address.server6], { anyCode: true })).stdout;
    expect(await reaches()).toMatch(/1 received/);
    await upOrWhy(host);
    expect(host.messages().join('\n')).toMatch(/IPv6 is blocked as long as the tunnel is up/);
    expect(await reaches()).toMatch(/unreachable|No route/i);
    await host.nmcli('connection', 'down', 'office');
    await host.comesBackTo(before);
    await host.nmcli('connection', 'modify', 'office', '+vpn.data', 'block-ipv6-leak=no');
    await upOrWhy(host);
    expect(await reaches()).toMatch(/1 received/);
  });

  it.each([
    ['client', 'nm-client.js'],
    ['service', 'sallyport-nm-service.js'],
  ])('leaves nothing after SIGKILL of its %s', async (_, program) => {
    await lab().server();
    const host = await desktop();
    const before = await host.state();
    await host.import('office', lab().clientLines());
    await upOrWhy(host);
    process.kill(await host.pidOf(program), 'SIGKILL');
    await host.comesBackTo(before);
    await host.withoutProcess('nm-');
    await upOrWhy(host);
    await isUp(host);
  });

  it('ends with NetworkManager, and leaves no device', async () => {
    await lab().server();
    const host = await desktop();
    await host.import('office', lab().clientLines());
    await upOrWhy(host);
    process.kill(await host.pidOf('NetworkManager'), 'SIGKILL');
    await host.withoutProcess('nm-');
    await eventually('the device is gone', async () => !(await host.run(['ip', '-o', 'link'])).stdout.includes('tun0'));
  });

  it('has the names of its domains, and only these, asked of its servers, where NetworkManager can', async () => {
    await lab().server({
      lines: [
        'push "dns server 0 address 10.8.0.1"',
        'push "dns server 0 resolve-domains lab.example"',
        'push "dns search-domains corp.example"',
      ],
    });
    const host = await desktop({ dns: 'dnsmasq' });
    const before = await host.state();
    await host.import('office', lab().clientLines());
    await host.nmcli('connection', 'modify', 'office', 'ipv4.never-default', 'yes', 'ipv6.never-default', 'yes');
    await upOrWhy(host);
    const { connection, resolvConf } = await host.state('office');
    expect(connection).toContain('IP4.DOMAIN: corp.example');
    expect(connection).toContain('IP4.DOMAIN: ~lab.example');
    expect(resolvConf).toMatch(/^search corp\.example home\.example$/m);
    expect(resolvConf).toContain('nameserver 127.0.0.1');
    const { stdout } = await host.run([
      ...['dbus-send', '--system', '--print-reply', '--dest=org.freedesktop.NetworkManager'],
      ...['/org/freedesktop/NetworkManager/DnsManager', 'org.freedesktop.DBus.Properties.Get'],
      ...['string:org.freedesktop.NetworkManager.DnsManager', 'string:Configuration'],
    ]);
    const [, ofTunnel = ''] = /"10\.8\.0\.1"(.*?)"priority"/s.exec(stdout) ?? [];
    expect([...ofTunnel.matchAll(/string "([^"]*)"/g)].map(([, text]) => text)).toEqual([
      ...['domains', 'corp.example', '~lab.example', 'interface', 'tun0'],
    ]);
    await host.nmcli('connection', 'down', 'office');
    await host.comesBackTo(before);
  });

  it('ends with the bus, and leaves no device', async () => {
    await lab().server();
    const host = await desktop();
    await host.import('office', lab().clientLines());
    await upOrWhy(host);
    process.kill(await host.pidOf('dbus-daemon'), 'SIGKILL');
    await host.withoutProcess('nm-');
    await eventually('the device is gone', async () => !(await host.run(['ip', '-o', 'link'])).stdout.includes('tun0'));
  });

  it('goes on after the server was gone for a while, and ends where its password is not taken any more', async () => {
    const management = await serverThatAsks();
    const host = await desktop();
    const before = await host.state();
    await importForMax(host, ...storedPassword('s3cret'));
    const activation = upOrWhy(host);
    const first = await management.event('CONNECT');
    await management.command(`client-auth-nt ${first.cid} ${first.kid}`);
    await activation;
    await management.command(`client-kill ${first.cid}`);
    const second = await management.event('CONNECT');
    expect(second.env).toMatchObject({ username: 'max', password: 's3cret' });
    await isUp(host);
    await management.command(`client-auth-nt ${second.cid} ${second.kid}`);
    await eventually('the tunnel works again', () => pings(lab().net.client, '10.8.0.1'));
    await management.command(`client-kill ${second.cid}`);
    const third = await management.event('CONNECT');
    await management.command(`client-deny ${third.cid} ${third.kid} "no"`);
    await host.comesBackTo(before);
    expect(await host.active()).not.toContain('office:activated');
  });

  it('goes on with the password when its token has expired', async () => {
    await serverWithPassword(['auth-gen-token 2', 'reneg-sec 4 4', 'hand-window 2']);
    const host = await desktop();
    await importForMax(host, ...storedPassword('s3cret'));
    await upOrWhy(host);
    const refused = /SIGUSR1\[soft,auth-failure \(auth-token\)\]/;
    await eventually('the token is refused', () => host.messages().some((line) => refused.test(line)));
    const mark = host.messages().findIndex((line) => refused.test(line));
    await eventually(
      'the password is taken',
      async () =>
        host
          .messages()
          .slice(mark)
          .filter((line) => /Initialization Sequence Completed/.test(line)).length > 0,
      60_000,
    );
    await isUp(host);
    expect(await pings(lab().net.client, '10.8.0.1')).toBe(true);
  });

  it('has a tap device under a name of its own', async () => {
    await lab().server({ without: ['dev'], lines: ['dev tap'] });
    const host = await desktop();
    const before = await host.state();
    await host.import('office', lab().clientLines({ device: 'tap' }));
    await host.nmcli('connection', 'modify', 'office', '+vpn.data', 'dev=office0,dev-type=tap');
    await upOrWhy(host);
    expect((await host.state('office')).addresses.join()).toContain('office0 inet 10.8.0.2/24');
    expect(await pings(lab().net.client, '10.8.0.1')).toBe(true);
    await host.nmcli('connection', 'down', 'office');
    await host.comesBackTo(before);
  });

  it("does not read root's files for a connection that is private to a user", async () => {
    await lab().server();
    const host = await desktop();
    const key = await lab().file('client.key', await readFile(lab().pki.client.key, 'utf8'), 0o600);
    await host.import('office', lab().clientLines({ without: ['key'], lines: [`key ${key}`] }));
    await upOrWhy(host);
    await host.nmcli('connection', 'down', 'office');
    await host.nmcli('connection', 'modify', 'office', 'connection.permissions', 'user:nobody');
    const { code } = await host.try('connection', 'up', 'office');
    expect(code).toBe(4);
    expect(host.messages().join('\n')).toMatch(
      /vpn\.data key: .*client\.key: permission denied \(read with the rights of nobody\)/,
    );
    await chmod(key, 0o644);
    await upOrWhy(host);
  });

  it('refuses a static key with the reason', async () => {
    const host = await desktop();
    await host.import('office', lab().clientLines());
    await host.nmcli(
      'connection',
      'modify',
      'office',
      'vpn.data',
      'connection-type=static-key,remote=192.0.2.9,static-key=/k',
    );
    const { code } = await host.try('connection', 'up', 'office');
    expect(code).toBe(4);
    expect(host.messages().join('\n')).toMatch(/static-key connections are refused/);
  });
});

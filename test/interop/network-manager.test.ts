// A desktop: real NetworkManager and its real OpenVPN plugin, with the program under test in the place of /usr/sbin/openvpn.
// What NetworkManager sees, and what the host looks like, is compared with the real program in the same place.

import { readFile, readlink } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { type ClientOptions, type ServerOptions, tunnel, up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import {
  type DesktopOptions,
  desktopSuite,
  desktopUnderTest,
  type NetworkManagerHost,
  useDesktop,
} from '../lab/network-manager.ts';
import { eventually, type WatchedProcess } from '../lab/process.ts';
import { itOurs } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

interface Story {
  readonly server?: ServerOptions;
  readonly client?: ClientOptions;
  readonly desktop?: DesktopOptions;
  /** Whom the client can ping; the server's address in the tunnel unless stated. */
  readonly target?: string;
  /** Words for `nmcli connection modify`. */
  readonly modify?: readonly string[];
}

const pushed = [
  'push "dhcp-option DNS 10.8.0.1"',
  'push "dhcp-option DNS fd00:8::1"',
  'push "dhcp-option WINS 10.8.0.7"',
  'push "dhcp-option DOMAIN corp.example"',
  'push "dhcp-option DOMAIN-SEARCH a.example"',
  'push "dhcp-option DOMAIN-SEARCH b.example"',
  'push "route 10.77.0.0 255.255.255.0"',
  'push "route 10.78.0.0 255.255.0.0 10.8.0.1 7"',
  'push "route-ipv6 fd00:77::/64"',
];
const NEVER_DEFAULT = ['ipv4.never-default', 'yes', 'ipv6.never-default', 'yes'];
const SPLIT = ['ipv4.route-metric', '10', ...NEVER_DEFAULT];

const stories: readonly (readonly [string, Story])[] = [
  ['all that a server pushes', { server: { lines: [...pushed, 'tun-mtu 1400', 'push "tun-mtu 1400"'] } }],
  [
    'a default route that is not to be used',
    { server: { lines: [...pushed, 'push "redirect-gateway def1"'] }, modify: SPLIT },
  ],
  ['dnsmasq, for all names', { server: { lines: pushed }, desktop: { dns: 'dnsmasq' } }],
  ['dnsmasq, for some names', { server: { lines: pushed }, desktop: { dns: 'dnsmasq' }, modify: SPLIT }],
  ['no name servers of NetworkManager', { server: { lines: pushed }, desktop: { dns: 'none' } }],
  ['net30', { server: { without: ['topology', 'server-ipv6'], lines: ['topology net30', ...pushed.slice(3, 7)] } }],
  ['p2p', { server: { without: ['topology'], lines: ['topology p2p', ...pushed.slice(3, 7)] } }],
  ['a server over IPv6', { server: { transport: 'udp6', lines: pushed }, client: { transport: 'udp6' } }],
  [
    'a tunnel of IPv6 alone',
    { server: { without: ['server', 'topology'], lines: ['push "route-ipv6 fd00:77::/64"'] }, target: tunnel.server6 },
  ],
  ['a TAP device', { server: { without: ['dev'], lines: ['dev tap', ...pushed] }, client: { device: 'tap' } }],
  [
    'TCP, without IPv6, and words that only 2.7 knows',
    {
      server: {
        transport: 'tcp4',
        without: ['server-ipv6'],
        lines: ['push "block-ipv6"', 'push "dns server 1 address 10.8.0.1"', 'push "dns search-domains new.example"'],
      },
      client: { transport: 'tcp4' },
    },
  ],
  [
    'most of what a profile can say',
    {
      server: { lines: ['push "route remote_host 255.255.255.255 net_gateway"', ...pushed] },
      client: {
        lines: [
          'cipher AES-256-CBC',
          'data-ciphers AES-256-GCM:AES-128-GCM',
          'auth SHA256',
          'reneg-sec 600',
          'mssfix 1300',
          'keepalive 10 60',
          'verify-x509-name server name',
          'tls-version-min 1.2',
          'float',
          'remote-random',
          'tun-mtu 1420',
          'max-routes 50',
        ],
      },
    },
  ],
];

desktopSuite('NetworkManager', () => {
  const lab = useLab();
  const desktop = useDesktop(lab);

  /** A host with a connection `office`. */
  const withOffice = async (options: DesktopOptions, story: Story = {}): Promise<NetworkManagerHost> => {
    const host = await desktop({ ...options, ...story.desktop });
    expect(await host.import('office', lab().clientLines(story.client))).toContain('successfully added');
    if (story.modify !== undefined) await host.nmcli('connection', 'modify', 'office', ...story.modify);
    return host;
  };

  /** A host that is connected with the program under test. */
  const connected = async (story: Story = {}, options: DesktopOptions = {}): Promise<NetworkManagerHost> => {
    const host = await withOffice({ ...(await desktopUnderTest(lab())), ...options }, story);
    await host.nmcli('connection', 'up', 'office');
    await eventually('the tunnel', () => host.messages().some((line) => up.test(line)));
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    return host;
  };

  /** The one process of the connection. */
  const clientOf = async (host: NetworkManagerHost): Promise<number> => {
    const pids = await host.clients();
    expect(pids).toHaveLength(1);
    return pids[0] ?? 0;
  };

  const gone = (host: NetworkManagerHost) =>
    eventually('the client has ended', async () => (await host.clients()).length === 0);

  /** Two seconds after it has asked, the plugin kills: who could say goodbye was in time, however busy the machine is. */
  const expectInTime = (host: NetworkManagerHost) =>
    expect(host.messages().some((line) => /SIGTERM\[.*\] received, process exiting/.test(line))).toBe(true);

  /** The whole way up and down; what of it can be compared. */
  const tell = async (options: DesktopOptions, story: Story) => {
    const host = await withOffice(options, story);
    const signals = await host.pluginSignals();
    const before = await host.state();
    await host.nmcli('connection', 'up', 'office');
    await eventually('the tunnel', () => host.messages().some((line) => up.test(line)));
    if (story.desktop?.dns === 'dnsmasq') {
      const told = /using nameserver 10\.8\.0\.1/;
      await eventually('dnsmasq has the tunnel’s servers', () => host.messages().some((line) => told.test(line)));
    }
    const connected = await host.state('office');
    expect(await pings(lab().net.client, story.target ?? tunnel.server4)).toBe(true);
    await host.nmcli('connection', 'down', 'office');
    await gone(host);
    await host.comesBackTo(before);
    const servers = host.messages().flatMap((line) => /dnsmasq\[\d+\]: (using .*)$/.exec(line)?.[1] ?? []);
    return { connected, signals: await signals(), servers: [...new Set(servers)].sort() };
  };

  it.each(stories)('hears and does the same as with the real program: %s', async (_name, story) => {
    await lab().server(story.server);
    const theirs = await tell({}, story);
    expect(theirs.signals.length).toBeGreaterThan(20);
    expect(await tell(await desktopUnderTest(lab()), story)).toEqual(theirs);
  });

  it('ends a connection before the plugin loses its patience, and the server hears of it', async () => {
    const server = await lab().server({ lines: ['push "route 10.77.0.0 255.255.255.0"'] });
    // Only a remote without a protocol has the plugin ask for an exit notice.
    const remote = [`remote ${address.server4} 1194`, 'proto udp', 'explicit-exit-notify'];
    const host = await connected({ client: { without: ['remote'], lines: remote } });
    expect(await pings(lab().net.client, address.office4)).toBe(true);
    const from = server.mark();
    await host.nmcli('connection', 'down', 'office');
    await gone(host);
    expectInTime(host);
    await server.line(/CC-EEN exit message received by peer/, { from });
    await host.withoutProcess('nm-openvpn-service');
  });

  it('has a client whose messages go to the system log under the name that it gave', async () => {
    await lab().server();
    const host = await connected();
    const client = await clientOf(host);
    const status = await readFile(`/proc/${client}/status`, 'utf8');
    const inside = /^NSpid:.*\t(\d+)$/m.exec(status)?.[1];
    const form = new RegExp(`^<(\\d+)>[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d nm-openvpn\\[${inside}\\]: .`);
    const ours = host.messages().filter((line) => line.includes('nm-openvpn['));
    expect(ours.filter((line) => !form.test(line))).toEqual([]);
    expect(ours.some((line) => line.includes('[server] Peer Connection Initiated with [AF_INET]198.51.100.1'))).toBe(
      true,
    );
  });

  it('has a client that is another user, with the right over the network alone', async () => {
    await lab().server();
    const host = await connected();
    const status = await readFile(`/proc/${await clientOf(host)}/status`, 'utf8');
    const { stdout } = await host.run(['id', '-u', 'nm-openvpn']);
    expect(/^Uid:\t(.*)$/m.exec(status)?.[1]?.split('\t')).toEqual(Array(4).fill(stdout.trim()));
    expect(/^CapEff:\t(.*)$/m.exec(status)?.[1]).toBe('0000000000001000');
  });

  const reconnects = async (host: NetworkManagerHost, again: () => Promise<unknown>) => {
    const before = await host.state('office');
    const client = await clientOf(host);
    const count = () => host.messages().filter((line) => up.test(line)).length;
    const times = count();
    await again();
    await eventually('the tunnel again', () => count() > times);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await host.comesBackTo(before, 'office');
    expect(await clientOf(host)).toBe(client);
    expect(
      host.messages().filter((line) => /Cannot|ERROR|fail(ed|ure)\b/i.test(line) && !line.includes('BF-CBC')),
    ).toEqual([]);
  };

  it('has a client that connects again as that user: after SIGUSR1, and after the server was away', async () => {
    const away = { lines: [...pushed, 'keepalive 1 3', 'explicit-exit-notify 1'] };
    let server: WatchedProcess = await lab().server(away);
    const host = await connected();
    await reconnects(host, async () => process.kill(await clientOf(host), 'SIGUSR1'));
    await reconnects(host, async () => {
      await server.stop('SIGKILL');
      server = await lab().server(away);
    });
    await reconnects(host, async () => {
      // It tells its clients to come again.
      await server.stop('SIGTERM');
      await lab().server(away);
    });
    await host.nmcli('connection', 'down', 'office');
    await gone(host);
  });

  it('has a client in a root of its own where there is one, which ends as fast', async () => {
    await lab().server({ lines: pushed });
    const host = await connected({}, { chroot: true });
    expect(await readlink(`/proc/${await clientOf(host)}/root`)).toBe('/var/lib/openvpn/chroot');
    await host.nmcli('connection', 'down', 'office');
    await gone(host);
    expectInTime(host);
  });

  // The plugin asks for up-restart with a program that is not in that root; the C program ends there, too.
  it('hears of the end of a client that can not start the plugin’s helper again in its own root', async () => {
    await lab().server({ lines: pushed });
    const host = await withOffice({ ...(await desktopUnderTest(lab())), chroot: true });
    const before = await host.state();
    await host.nmcli('connection', 'up', 'office');
    await eventually('the tunnel', () => host.messages().some((line) => up.test(line)));
    process.kill(await clientOf(host), 'SIGUSR1');
    await eventually('the connection is given up', async () => (await host.active()).join() === 'outer0:activated');
    expect(host.messages().some((line) => line.includes('Exiting due to fatal error'))).toBe(true);
    await gone(host);
    await host.comesBackTo(before);
  });

  it('hears of a client that ends because nothing was sent for a while', async () => {
    await lab().server({ lines: [...pushed, 'push "inactive 2"'] });
    const host = await withOffice(await desktopUnderTest(lab()));
    const before = await host.state();
    // On a busy machine it may be over before nmcli has seen it.
    await host.try('connection', 'up', 'office');
    const ended = 'Inactivity timeout (--inactive), exiting';
    await eventually('the client ends', () => host.messages().some((line) => line.includes(ended)));
    await eventually('the connection is over', async () => (await host.active()).join() === 'outer0:activated');
    await gone(host);
    await host.comesBackTo(before);
  });

  it('has two connections at once, and ends one of them', async () => {
    const other = [
      'server 10.9.0.0 255.255.255.0',
      'push "route 10.77.0.0 255.255.255.0"',
      'push "dhcp-option DNS 10.9.0.1"',
    ];
    await lab().server({ lines: ['push "dhcp-option DNS 10.8.0.1"'] });
    await lab().server({ port: 1195, without: ['server', 'server-ipv6'], lines: other });
    const host = await connected({ modify: SPLIT });
    const one = await host.state('office');
    await host.import('branch', lab().clientLines({ port: 1195 }));
    await host.nmcli('connection', 'modify', 'branch', ...SPLIT);
    await host.nmcli('connection', 'up', 'branch');
    expect(await pings(lab().net.client, '10.9.0.1')).toBe(true);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await pings(lab().net.client, address.office4)).toBe(true);
    expect(await host.clients()).toHaveLength(2);
    await host.nmcli('connection', 'down', 'branch');
    await eventually('the second client has ended', async () => (await host.clients()).length === 1);
    await host.comesBackTo(one, 'office');
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('notices that its client was killed, and everything is as it was', async () => {
    await lab().server({ lines: pushed });
    const host = await withOffice(await desktopUnderTest(lab()));
    const before = await host.state();
    await host.nmcli('connection', 'up', 'office');
    process.kill(await clientOf(host), 'SIGKILL');
    await eventually('the connection is given up', async () => (await host.active()).join() === 'outer0:activated');
    await host.withoutProcess('nm-openvpn-service');
    await host.comesBackTo(before);
  });

  const killService = async (host: NetworkManagerHost): Promise<void> => {
    process.kill(await host.pidOf('nm-openvpn-service'), 'SIGKILL');
  };

  it.each([
    ['the service, whose client goes on without it', killService, 1],
    ['NetworkManager', (host: NetworkManagerHost): Promise<void> => host.replaceManager(), 0],
  ] as const)(
    'leaves the host as the real program does after SIGKILL for %s, and connects again',
    async (_what, kill, left) => {
      await lab().server({ lines: pushed });
      const seen: unknown[] = [];
      for (const options of [{}, await desktopUnderTest(lab())]) {
        const host = await withOffice(options);
        await host.nmcli('connection', 'up', 'office');
        await eventually('the tunnel', () => host.messages().some((line) => up.test(line)));
        await kill(host);
        const state = await eventually('the connection is taken back', async () => {
          const { addresses, routes, resolvConf, ...others } = await host.state();
          const back = !`${addresses} ${routes} ${resolvConf}`.includes('10.8.0.');
          return back && (await host.clients()).length === left && { addresses, routes, resolvConf, ...others };
        });
        await host.nmcli('connection', 'up', 'office');
        seen.push({ state, again: await host.state('office') });
      }
      expect(seen[1]).toEqual(seen[0]);
    },
  );

  it('may have a key of the control channel in a file, as inline text makes one', async () => {
    const { shared } = lab().keys;
    await lab().server({ lines: [`tls-crypt ${shared}`] });
    const inline = ['<tls-crypt>', (await readFile(shared, 'utf8')).trim(), '</tls-crypt>'];
    await connected({ client: { lines: inline } });
  });

  itOurs('recovers at once when the host gets another address', async () => {
    await lab().server({ lines: [...pushed, 'keepalive 10 60'] });
    const host = await connected();
    const spare = `${address.clientSpare4}/24`;
    await host.nmcli('connection', 'modify', 'outer0', 'ipv4.addresses', spare);
    await host.nmcli('device', 'reapply', 'outer0');
    expect((await host.state()).addresses.join()).toContain(`outer0 inet ${spare}`);
    // Nothing but the news of the address brings it back so soon: no answer is missed before a minute has passed.
    await eventually('traffic again', () => pings(lab().net.client, tunnel.server4, { count: 1 }));
    expect(host.messages().filter((line) => line.includes('Inactivity timeout'))).toEqual([]);
    expect(await host.active()).toContain('office:activated');
  });

  itOurs('leaves of its journal at most an empty file, which the next connection removes', async () => {
    await lab().server();
    const host = await withOffice(await desktopUnderTest(lab()));
    for (let round = 0; round < 3; round += 1) {
      await host.nmcli('connection', 'up', 'office');
      await eventually('the tunnel', () => host.messages().filter((line) => up.test(line)).length > round);
      await host.nmcli('connection', 'down', 'office');
      await gone(host);
    }
    const { stdout } = await host.run(['find', '/var/lib/sallyport', '-type', 'f', '-printf', '%s\n']);
    expect(stdout).toMatch(/^(0\n)?$/);
  });

  itOurs('asks for the version without starting Node', async () => {
    const host = await desktop(await desktopUnderTest(lab()));
    const { stdout } = await host.run(['env', '-i', '/usr/sbin/openvpn', '--version']);
    expect(stdout).toMatch(/^OpenVPN 2\.7\.\d+ /);
  });
});

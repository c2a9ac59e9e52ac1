// What a connection does to its host: the same as the C program does with the same server, and nothing afterwards.

import { expect, it } from 'vitest';
import { comparable } from '../lab/host-comparison.ts';
import { tunnel, useLab } from '../lab/lab.ts';
import { address, device, hostState } from '../lab/net.ts';
import { clientCommand, labSuite } from '../lab/requirements.ts';
import { isSilent, pings } from '../lab/traffic.ts';

interface HostCase {
  readonly title: string;
  readonly server?: readonly string[];
  readonly withoutServer?: readonly string[];
  readonly client?: readonly string[];
  /** Destinations and the device that the client's host sends them to. */
  readonly through?: Readonly<Record<string, string>>;
  /** Hosts that answer. */
  readonly answers?: readonly string[];
  readonly silent?: readonly string[];
  readonly mtuBytes?: number;
  readonly addresses?: readonly string[];
}

const office = ['push "route 10.77.0.0 255.255.255.0"', 'push "route-ipv6 fd00:77::/64"'];
const { world4, world6, office4, office6, server4, gateway4 } = address;

const cases: readonly HostCase[] = [
  {
    title: 'topology subnet',
    addresses: ['10.8.0.2/24', 'fd00:8::1000/64'],
    answers: [tunnel.server4, tunnel.server6],
  },
  {
    title: 'topology net30',
    withoutServer: ['topology'],
    server: ['topology net30'],
    addresses: ['10.8.0.6 peer 10.8.0.5/32', 'fd00:8::1000/64'],
    answers: [tunnel.server4, tunnel.server6],
  },
  {
    title: 'topology p2p',
    withoutServer: ['topology'],
    server: ['topology p2p'],
    addresses: ['10.8.0.4 peer 10.8.0.1/32', 'fd00:8::1000/64'],
    answers: [tunnel.server4, tunnel.server6],
  },
  {
    title: 'IPv6 alone',
    withoutServer: ['server'],
    server: ['mode server', 'tls-server'],
    addresses: ['fd00:8::1000/64'],
  },
  { title: 'a pushed MTU', server: ['tun-mtu 1400'], mtuBytes: 1400, answers: [tunnel.server4] },
  { title: 'an MTU of its own', client: ['tun-mtu 1450'], server: ['tun-mtu 1450'], mtuBytes: 1450 },
  { title: 'another device name', client: ['dev office0', 'dev-type tun'], answers: [tunnel.server4] },
  {
    title: 'pushed routes',
    server: office,
    through: { [office4]: 'tun0', [office6]: 'tun0', [world4]: 'outer0' },
    answers: [office4, office6, world4],
  },
  {
    title: 'routes with metrics and named gateways',
    server: ['push "route 10.77.0.0 255.255.255.0 vpn_gateway 77"', 'push "route-metric 50"'],
    client: [
      'route 10.99.0.0 255.255.0.0',
      'route 10.98.0.0 255.255.0.0 net_gateway 7',
      'route remote_host 255.255.255.255 net_gateway',
      'route-ipv6 fd00:98::/48 fd00:8::1 33',
    ],
    through: { [office4]: 'tun0', '10.99.1.1': 'tun0', '10.98.1.1': 'outer0' },
  },
  {
    title: 'redirect-gateway def1',
    server: ['push "redirect-gateway def1"'],
    through: { [world4]: 'tun0', [server4]: 'outer0', [gateway4]: 'outer0' },
    answers: [world4],
  },
  {
    title: 'redirect-gateway without def1',
    client: ['redirect-gateway'],
    through: { [world4]: 'tun0', [server4]: 'outer0' },
    answers: [world4],
  },
  {
    title: 'redirect-gateway def1 ipv6',
    server: ['push "redirect-gateway def1 ipv6"'],
    through: { [world4]: 'tun0', [world6]: 'tun0' },
    answers: [world4, world6],
  },
  {
    title: 'redirect-gateway ipv6 !ipv4',
    client: ['redirect-gateway def1 ipv6 !ipv4'],
    through: { [world4]: 'outer0', [world6]: 'tun0' },
    answers: [world4, world6],
  },
  { title: 'redirect-gateway def1 bypass-dhcp', server: ['push "redirect-gateway def1 bypass-dhcp bypass-dns"'] },
  {
    title: 'redirect-gateway def1 block-local',
    client: ['redirect-gateway def1 block-local'],
    through: { [world4]: 'tun0', '192.0.2.77': 'tun0', [gateway4]: 'outer0', [server4]: 'outer0' },
    answers: [world4],
  },
  {
    title: 'redirect-private def1',
    client: ['redirect-private def1'],
    through: { [world4]: 'outer0', [server4]: 'outer0' },
  },
  { title: 'route-nopull', server: office, client: ['route-nopull'], through: { [office4]: 'outer0' } },
  {
    title: 'pull-filter ignore',
    server: office,
    client: ['pull-filter ignore "route 10.77"'],
    through: { [office4]: 'outer0', [office6]: 'tun0' },
  },
  {
    title: 'pull-filter accept before ignore',
    server: office,
    client: ['pull-filter accept "route-ipv6 "', 'pull-filter ignore "route-"'],
    through: { [office4]: 'outer0', [office6]: 'tun0' },
  },
  { title: 'route-noexec', server: office, client: ['route-noexec'], through: { [office4]: 'outer0' } },
  { title: 'ifconfig-noexec', client: ['ifconfig-noexec', 'route-noexec'], addresses: [], silent: [tunnel.server4] },
  { title: 'block-ipv6', client: ['block-ipv6', 'redirect-gateway def1 ipv6'], through: { [world6]: 'tun0' } },
];

labSuite('the host of a connected client', () => {
  const lab = useLab();

  it.each(cases.map((each) => [each.title, each] as const))('with %s', async (_title, each) => {
    const { client: namespace } = lab().net;
    await lab().server({
      lines: each.server ?? [],
      ...(each.withoutServer ? { without: each.withoutServer } : {}),
    });
    const before = await hostState(namespace);
    const without = each.client?.some((line) => line.startsWith('dev ')) ? ['dev'] : [];

    const real = await lab().connect({ kind: 'openvpn', lines: each.client ?? [], without });
    const expected = comparable(await hostState(namespace));
    await real.stop();
    expect(await hostState(namespace), 'after the C program').toEqual(before);

    const client = await lab().connect({ lines: each.client ?? [], without });
    expect(comparable(await hostState(namespace))).toEqual(expected);

    const name = without.length > 0 ? 'office0' : 'tun0';
    const tun = await device(namespace, name);
    expect(tun?.linkType).toBe('none');
    if (each.addresses) expect(tun?.addresses).toEqual(each.addresses);
    if (each.addresses?.length !== 0)
      expect(tun?.flags).toEqual(expect.arrayContaining(['POINTOPOINT', 'NOARP', 'UP']));
    if (each.mtuBytes) expect(tun?.mtuBytes).toBe(each.mtuBytes);
    for (const [destination, through] of Object.entries(each.through ?? {})) {
      const [route] = JSON.parse(await namespace.ip(`-j route get ${destination}`)) as { dev: string }[];
      expect(route?.dev, `route to ${destination}`).toBe(through);
    }
    for (const host of each.answers ?? []) expect(await pings(namespace, host), `ping ${host}`).toBe(true);
    for (const host of each.silent ?? []) expect(await isSilent(namespace, host), `silence of ${host}`).toBe(true);

    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await hostState(namespace)).toEqual(before);
  });

  it('with pull-filter reject ends the connection instead of taking the option', async () => {
    await lab().server({ lines: office });
    const client = await lab().client({ lines: ['pull-filter reject "route 10.77"', 'connect-retry-max 1'] });
    await client.line(/Pushed option rejected by filter: 'route 10\.77\.0\.0 255\.255\.255\.0'\. Restarting\./);
    expect(await device(lab().net.client, 'tun0')).toBeUndefined();
  });

  it.each([
    ['redirect-gateway def1', [], ['redirect-gateway def1']],
    ['redirect-gateway without def1', [], ['redirect-gateway']],
    ['privileges dropped', [], ['redirect-gateway', 'user nobody', 'persist-tun', 'persist-key']],
    ['routes past the tunnel', office, ['route 10.98.0.0 255.255.0.0 net_gateway 7', 'route-ipv6 fd00:98::/48']],
  ])('leaves nothing after SIGKILL and sallyport recover: %s', async (_title, server, lines) => {
    const { client: namespace } = lab().net;
    await lab().server({ lines: server });
    const before = await hostState(namespace);
    const client = await lab().connect({ lines });
    client.signal('SIGKILL');
    await client.exit();
    expect(await hostState(namespace), 'after the kill').not.toEqual(before);
    const tool = [...clientCommand('sallyport'), 'recover'];
    const dry = await namespace.run([...tool, '--dry-run']);
    expect(dry.stdout).toContain('removed the route');
    const { stdout, code } = await namespace.run(tool, { anyCode: true });
    expect([code, stdout.includes('was killed')]).toEqual([0, true]);
    expect(await hostState(namespace)).toEqual(before);
    expect((await namespace.run(tool)).stdout).toContain('nothing to put right');
  });

  it('puts its host right at the next start, leaves what others set since, and lets a running tunnel alone', async () => {
    const { client: namespace } = lab().net;
    await lab().server();
    const before = await hostState(namespace);
    const killed = await lab().connect({ lines: ['redirect-gateway', 'route 10.98.0.0 255.255.0.0 net_gateway'] });
    killed.signal('SIGKILL');
    await killed.exit();
    await namespace.ip('route replace 10.98.0.0/16 dev outer0');
    const client = await lab().connect({ lines: ['redirect-gateway def1'] });
    await client.line(/after process \d+ .*put back the route 0\.0\.0\.0\/0/);
    await client.line(/left the route 10\.98\.0\.0\/16 .*since/);
    expect(await pings(namespace, world4)).toBe(true);
    await namespace.run([...clientCommand('sallyport'), 'recover']);
    expect(await pings(namespace, world4)).toBe(true);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    await namespace.ip('route del 10.98.0.0/16');
    expect(await hostState(namespace)).toEqual(before);
  });
});

// A client that is killed at every step of what it does to its host, on the real kernel and in real files: the recovery
// leaves the host as it was before, to the byte.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Recovery } from '../../src/recover.ts';
import { DnsHost, hasResolvers, type Resolver } from '../lab/dns-host.ts';
import { useLab } from '../lab/lab.ts';
import { hostState } from '../lab/net.ts';
import { clientCommand, isOurs, labSuite } from '../lab/requirements.ts';
import { type BuiltProgram, buildProgram } from '../lab/worker-url.ts';

const EVERY_NAME = ['dhcp-option DNS 10.8.0.1', 'dhcp-option DOMAIN office.example'];
const SOME_NAMES = ['dns server 1 address 10.8.0.1', 'dns server 1 resolve-domains lab.example'];
const ADDRESSES = [
  'topology subnet',
  'route-gateway 10.8.0.1',
  'ifconfig 10.8.0.2 255.255.255.0',
  'ifconfig-ipv6 fd00:8::1000/64 fd00:8::1',
  ...EVERY_NAME,
];
const FILE = `printf 'nameserver 192.0.2.1\\nsearch home.example\\n' >/etc/resolv.conf
chown 7:8 /etc/resolv.conf
chmod 640 /etc/resolv.conf`;
const LINK = `mkdir /etc/own
echo nameserver 192.0.2.1 >/etc/own/resolv.conf
ln -s own/resolv.conf /etc/resolv.conf`;

describe.skipIf(!isOurs)('a killed client', () => {
  labSuite('that changed its host', () => {
    const lab = useLab();
    let program: BuiltProgram;
    let host: DnsHost | undefined;
    beforeAll(async () => {
      program = await buildProgram('test/interop/killed-host-main.ts');
    });
    afterAll(() => program.remove());
    afterEach(async () => {
      await host?.end();
      host = undefined;
    });

    /** What a command prints inside, on a host with an /etc of its own. */
    async function onHost(resolvConf: string, argv: readonly string[]): Promise<string> {
      const etc = await lab().directory('etc');
      const script = await lab().file(
        'host.sh',
        `set -e
umount -l /etc/resolv.conf /etc/hosts
mount --bind ${etc} /etc
${resolvConf}
exec "$@"
`,
      );
      const command = ['unshare', '-m', 'sh', script, ...argv];
      return (await lab().net.client.run(command, { timeoutMs: 150_000 })).stdout;
    }

    it.each([
      ['redirect-gateway, resolv.conf a file with owner and mode', FILE, ['redirect-gateway ipv6']],
      [
        'redirect-gateway def1, resolv.conf a link',
        LINK,
        ['redirect-gateway def1 ipv6', 'route 10.98.0.0 255.255.0.0 net_gateway 7'],
      ],
      ['routes of its own, no resolv.conf', ':', ['route 10.77.0.0 255.255.0.0', 'route-ipv6 fd00:98::/48']],
    ])(
      'leaves nothing after the recovery, at whatever step: %s',
      async (_, resolvConf, lines) => {
        const argv = [process.execPath, program.path, 'every', JSON.stringify([...ADDRESSES, ...lines])];
        const { moments, wrong } = JSON.parse(await onHost(resolvConf, argv));
        expect(wrong).toEqual([]);
        expect(moments).toBeGreaterThan(40);
      },
      180_000,
    );

    it.skipIf(!hasResolvers).each<[string, Resolver, readonly string[], number]>([
      ['systemd-resolved, whose link outlives the process', 'resolved', ['dev tun7', ...EVERY_NAME], 16],
      ['resolvconf', 'resolvconf', EVERY_NAME, 8],
      ['openresolv', 'openresolv', EVERY_NAME, 8],
      ['dnsmasq by its servers-file', 'dnsmasq with a file', SOME_NAMES, 12],
      ['dnsmasq over the bus', 'dnsmasq on the bus', SOME_NAMES, 12],
      ['a resolv.conf that is a mount of its own', 'file in a mount', EVERY_NAME, 20],
    ])(
      'has its name servers taken back, at whatever step: %s',
      async (_, resolver, dns, least) => {
        host = await DnsHost.start(lab(), resolver);
        await host.run('ip', 'tuntap', 'add', 'mode', 'tun', 'name', 'tun7');
        const lines = JSON.stringify(['ifconfig 10.8.0.2 255.255.255.0', 'topology subnet', ...dns]);
        const argv = [...host.prefix, process.execPath, program.path, 'every', lines, 'dns'];
        const { stdout } = await lab().net.client.run(argv, { timeoutMs: 150_000 });
        const { moments, wrong } = JSON.parse(stdout);
        expect(wrong).toEqual([]);
        expect(moments).toBeGreaterThanOrEqual(least);
      },
      180_000,
    );

    /** Killed while everything stands; then `change`, then a recovery: what that said, and resolv.conf afterwards. */
    async function recovered(resolvConf: string, change: string) {
      const lines = JSON.stringify([...ADDRESSES, 'redirect-gateway']);
      const [node = '', sallyport = ''] = clientCommand('sallyport');
      const script = `"$1" "$2" run -1 "$3" >/dev/null
${change}
"$1" "$4" recover --json
stat -c '%F %a %u %g' /etc/resolv.conf
cat /etc/resolv.conf`;
      const out = await onHost(resolvConf, ['sh', '-c', script, 'sh', node, program.path, lines, sallyport]);
      const end = out.lastIndexOf('\n}\n') + 3;
      const { processes, problems } = JSON.parse(out.slice(0, end)) as Recovery;
      expect(problems).toEqual([]);
      return { changes: processes.flatMap(({ changes }) => changes), resolvConf: out.slice(end) };
    }

    it('leaves what somebody else has changed since, and that is told', async () => {
      const { changes, resolvConf } = await recovered(
        FILE,
        `echo nameserver 9.9.9.9 >/etc/resolv.conf
ip route add default via 192.0.2.77
ip route replace 198.51.100.1/32 dev outer0`,
      );
      expect(resolvConf).toBe('regular file 640 7 8\nnameserver 9.9.9.9\n');
      expect(changes.map(({ result, text }) => `${result}: ${text}`)).toEqual([
        'left: left the route 0.0.0.0/0 via 192.0.2.77 dev outer0',
        'left: left the route 198.51.100.1/32 dev outer0',
        'left: left the name servers in /etc/resolv.conf',
      ]);
      expect(await lab().net.client.ip('route show default')).toMatch(/^default via 192\.0\.2\.77 dev outer0 *\n$/);
    });

    it.each([
      ['a file', FILE, 'regular file 640 7 8\nnameserver 192.0.2.1\nsearch home.example\n'],
      ['a link', LINK, 'symbolic link 777 0 0\nnameserver 192.0.2.1\n'],
    ])('before a reboot gets its resolv.conf back, %s, and nothing else is looked at', async (_, resolvConf, after) => {
      // A new boot has another id, and the devices and routes that its own network set-up makes.
      const found = await recovered(
        resolvConf,
        `sed -i '1s/"boot":"[^"]*"/"boot":"another"/' /var/lib/sallyport/journal/*.jsonl
ip route flush table main
ip addr add 10.0.0.5/24 dev outer0
ip route add default via 10.0.0.1`,
      );
      expect(found.resolvConf).toBe(after);
      expect(found.changes).toEqual([
        { result: 'restored', text: 'took the name servers of tun0 out of /etc/resolv.conf' },
      ]);
      expect(await lab().net.client.ip('route show default')).toMatch(/^default via 10\.0\.0\.1 dev outer0 *\n$/);
    });

    it.each([
      ['gone', 'cookie-0-1 net:[1]'],
      ['there still', 'cookie-0-1 $(readlink /proc/1/ns/net)'],
    ])('in a network that is %s gets back the resolv.conf that it shares with this one', async (_, network) => {
      const found = await recovered(
        FILE,
        `sed -i '1s|"network":"[^"]*"|"network":"'"${network}"'"|' /var/lib/sallyport/journal/*.jsonl`,
      );
      expect(found.resolvConf).toBe('regular file 640 7 8\nnameserver 192.0.2.1\nsearch home.example\n');
      expect(found.changes).toEqual([
        { result: 'restored', text: 'took the name servers of tun0 out of /etc/resolv.conf' },
      ]);
    });

    it('that is a server leaves nothing after the recovery', async () => {
      const { server: namespace } = lab().net;
      const before = await hostState(namespace);
      // The last one leads past the tunnel, and so does not go with the device.
      const lines = [
        'route 10.55.0.0 255.255.0.0',
        'route-ipv6 fd00:55::/48',
        'route 10.99.0.0 255.255.0.0 net_gateway',
      ];
      const server = await lab().server({ program: 'sallyport', lines });
      expect(await namespace.ip('route show')).toMatch(/10\.55\.0\.0\/16 .*tun0/);
      server.signal('SIGKILL');
      await server.exit();
      expect(await hostState(namespace)).not.toEqual(before);
      const { stdout } = await namespace.run([...clientCommand('sallyport'), 'recover']);
      expect(stdout).toContain('removed the route 10.99.0.0/16 via 198.51.100.2');
      expect(await hostState(namespace)).toEqual(before);
    });
  });
});

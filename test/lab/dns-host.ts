// A host with a resolver of its own in the client's namespace: private /etc and /run, and the real programs over them. Of
// the machine's own resolver nothing is touched. Who answers is seen by the answer: each server has one address for all names.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Lab, tunnel } from './lab.ts';
import { address, type Namespace } from './net.ts';
import { eventually, run, type WatchedProcess } from './process.ts';
import { resolversDirectory } from './requirements.ts';

export type Resolver =
  | 'resolved'
  | 'resolvconf'
  | 'openresolv'
  | 'file'
  | 'file in a mount'
  | 'dnsmasq on the bus'
  | 'dnsmasq with a file';

export const hasResolvers = existsSync(join(resolversDirectory, 'complete'));

const root = join(resolversDirectory, 'root');
const libraries = `LD_LIBRARY_PATH=${root}/usr/lib/x86_64-linux-gnu:${root}/lib/x86_64-linux-gnu:${root}/usr/lib/x86_64-linux-gnu/systemd:${root}/lib/x86_64-linux-gnu/systemd`;
const dnsmasq = join(root, 'usr/sbin/dnsmasq');
export const LOCAL = '203.0.113.1';
export const TUNNEL = '203.0.113.2';
const POLICY = [
  'user="*"',
  'send_destination="*"',
  'own="*"',
  'receive_sender="*"',
  'send_type="method_call"',
  'send_type="signal"',
];
const BUS = `cat >/run/bus.conf <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
<policy context="default">${POLICY.map((what) => `<allow ${what}/>`).join('')}</policy></busconfig>
END
dbus-daemon --config-file=/run/bus.conf --fork`;

const SETUP: Record<Resolver, string> = {
  file: `printf 'nameserver ${address.gateway4}\\nsearch home.example\\n' >/etc/resolv.conf; chmod 640 /etc/resolv.conf`,
  'file in a mount': `printf 'nameserver ${address.gateway4}\\nsearch home.example\\n' >/run/own.conf; chmod 640 /run/own.conf
touch /etc/resolv.conf; mount --bind /run/own.conf /etc/resolv.conf`,
  resolved: `${BUS}
echo 'systemd-resolve:x:993:993::/:/usr/sbin/nologin' >>/etc/passwd
echo 'systemd-resolve:x:993:' >>/etc/group
mkdir -p /run/systemd/resolve /etc/systemd
chown 993:993 /run/systemd/resolve
printf '[Resolve]\\nDNS=${address.gateway4}\\nLLMNR=no\\nMulticastDNS=no\\n' >/etc/systemd/resolved.conf
ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
env ${libraries} ${root}/lib/systemd/systemd-resolved &
echo $! >/run/resolved.pid`,
  resolvconf: `mount -t overlay overlay -o lowerdir=${resolversDirectory}/resolvconf/sbin:/usr/sbin /usr/sbin
mount -t overlay overlay -o lowerdir=${resolversDirectory}/resolvconf/lib:/usr/lib /usr/lib
cp -a ${resolversDirectory}/resolvconf/etc/. /etc/
mkdir -p /run/resolvconf/interface
ln -s /run/resolvconf/resolv.conf /etc/resolv.conf
/sbin/resolvconf --enable-updates
echo 'nameserver ${address.gateway4}' | /sbin/resolvconf -a eth0.inet`,
  openresolv: `mount -t overlay overlay -o lowerdir=${resolversDirectory}/openresolv/sbin:/usr/sbin /usr/sbin
mount -t overlay overlay -o lowerdir=${resolversDirectory}/openresolv/lib:/usr/lib /usr/lib
cp -a ${resolversDirectory}/openresolv/etc/. /etc/
mkdir -p /run/resolvconf
touch /etc/resolv.conf
echo 'nameserver ${address.gateway4}' | /sbin/resolvconf -a eth0`,
  'dnsmasq on the bus': `${BUS}
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
env ${libraries} ${dnsmasq} -C /dev/null --user=root --no-resolv --server=${address.gateway4} --listen-address=127.0.0.1 --bind-interfaces --cache-size=0 --enable-dbus --pid-file=/run/dnsmasq.pid`,
  'dnsmasq with a file': `echo 'nameserver 127.0.0.1' >/etc/resolv.conf
printf 'no-resolv\\nserver=${address.gateway4}\\nservers-file=/etc/dnsmasq.servers\\n' >/etc/dnsmasq.conf
: >/etc/dnsmasq.servers
echo 'dnsmasq:x:994:65534::/:/usr/sbin/nologin' >>/etc/passwd
env ${libraries} ${dnsmasq} --user=dnsmasq --listen-address=127.0.0.1 --bind-interfaces --cache-size=0 --pid-file=/run/dnsmasq.pid`,
};

export class DnsHost {
  /** Before a command that is to see this host; behind the namespace's own prefix. */
  readonly prefix: readonly string[];
  readonly #namespace: Namespace;
  readonly #others: WatchedProcess[];

  private constructor(namespace: Namespace, pid: number, others: WatchedProcess[]) {
    this.#namespace = namespace;
    this.#others = others;
    this.prefix = ['nsenter', '-t', String(pid), '-m', '--'];
  }

  static async start(lab: Lab, resolver: Resolver): Promise<DnsHost> {
    const etc = await lab.directory('etc');
    const script = await lab.file(
      'host.sh',
      `set -e
umount -l /etc/resolv.conf /etc/hosts 2>/dev/null || true
# Not netns, where other tests come and go.
find /etc -mindepth 1 -maxdepth 1 ! -name netns -exec cp -a -t ${etc} {} +
chmod --reference=/etc ${etc}
mount --bind ${etc} /etc
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus
rm -f /etc/resolv.conf
sed -i 's/^hosts:.*/hosts: files dns/' /etc/nsswitch.conf
${SETUP[resolver]}
echo ready
exec sleep 600
`,
    );
    const { client, router, server } = lab.net;
    const others = [answer(router, address.gateway4, LOCAL), answer(server, tunnel.server4, TUNNEL)];
    const holder = client.watch(['unshare', '-m', 'bash', script], { name: 'host with a resolver' });
    await holder.line(/^ready$/);
    const host = new DnsHost(client, holder.pid, [...others, holder]);
    await eventually('the local server answers', async () => (await host.asks('any.example')) === 'local');
    return host;
  }

  /** One more server that has one address for all names. */
  answers(where: Namespace, listen: string, name: string): void {
    this.#others.push(answer(where, listen, name));
  }

  async run(...argv: string[]): Promise<string> {
    return (await this.#namespace.run([...this.prefix, ...argv], { anyCode: true })).stdout;
  }

  /** Whose answer a program of this host gets. */
  async asks(name: string): Promise<'local' | 'tunnel' | 'nobody'> {
    const answer = await this.address(name);
    return answer === LOCAL ? 'local' : answer === TUNNEL ? 'tunnel' : 'nobody';
  }

  /** The address that a program of this host gets for a name. */
  async address(name: string): Promise<string | undefined> {
    return (await this.run('timeout', '5', 'getent', 'ahostsv4', name)).split(' ')[0];
  }

  /** Everything about name servers on this host. */
  async state(): Promise<string> {
    return this.run(
      'sh',
      '-c',
      "stat -c '%F %N %a %u %g' /etc/resolv.conf; cat /etc/resolv.conf /etc/dnsmasq.servers 2>/dev/null | base64; find /run/sallyport /run/resolvconf -type f 2>/dev/null | sort",
    );
  }

  async end(): Promise<void> {
    await run([...this.#namespace.prefix, ...this.prefix, 'sh', '-c', 'kill $(cat /run/dnsmasq.pid)'], {
      anyCode: true,
    });
    await this.#namespace.killAllButAgent();
    await Promise.all(this.#others.map((each) => each.stop('SIGKILL')));
  }
}

/** A server that has one address for all names. */
export function answer(where: Namespace, listen: string, name: string): WatchedProcess {
  const own = ['--keep-in-foreground', '--user=root', '--no-resolv', '--no-hosts', '--pid-file=', '--log-facility=-'];
  const argv = [dnsmasq, '-C', '/dev/null', ...own, `--address=/#/${name}`, `--listen-address=${listen}`];
  return where.watch(['env', libraries, ...argv, '--bind-dynamic'], { name: `dnsmasq ${listen}` });
}

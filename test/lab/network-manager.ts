// A desktop in the client's namespace: real NetworkManager with its real OpenVPN plugin, on a real system bus, in mount,
// process and host name namespaces of their own. Private are /etc, /run, /var/lib, /dev/log and (an overlay) /usr; of this
// machine nothing is touched. outer0, the link towards the VPN server, is managed, with the addresses it has anyway.
//
//   const desktop = useDesktop(lab);                                             // after useLab()
//   const host = await desktop({ program: '/path/of/a/service' });               // or openvpn: '/path/of/an/openvpn'
//   await host.import('office', [...lines of a .ovpn]);                          // nmcli connection import
//   await host.nmcli('connection', 'up', 'office');                              // rejects with nmcli's words
//   await host.state();                                                          // addresses, routes, DNS, nmcli's view
//   host.log                                                                     // NetworkManager, its service, and syslog

import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect } from 'vitest';
import type { Lab } from './lab.ts';
import { address, type Namespace } from './net.ts';
import { eventually, type RunOptions, type RunResult, run, type WatchedProcess } from './process.ts';
import {
  clientCommand,
  clientUnderTest,
  isOurs,
  labSuite,
  networkManagerDirectory,
  peerProgram,
  projectRoot,
  resolversDirectory,
} from './requirements.ts';
import { openSystemLog, type SystemLog } from './system-log.ts';

/** Between two looks at a host. */
const REST_MS = 150;

export interface DesktopOptions {
  /** What `program=` of nm-openvpn-service.name names: a service; the plugin's own by default. An absolute path. */
  readonly program?: string;
  /** What stands in the place of /usr/sbin/openvpn: an executable file; the real one by default. */
  readonly openvpn?: string;
  /** NetworkManager's `dns=`: who gets the name servers. `default` is /etc/resolv.conf. Whether resolved can be had: `hasResolvers`. */
  readonly dns?: 'default' | 'dnsmasq' | 'none' | 'systemd-resolved';
  /** A directory /var/lib/openvpn/chroot with what the plugin asks of one. */
  readonly chroot?: boolean;
  /** The log level of the plugins and, by it, of openvpn: INFO is --verb 1, DEBUG 4 or more. */
  readonly level?: 'INFO' | 'DEBUG' | 'TRACE';
}

export class NetworkManagerHost {
  /** Before a command that is to see this host; behind the namespace's own prefix. */
  readonly prefix: readonly string[];
  /** Everything that NetworkManager and its services write. */
  readonly log: WatchedProcess;
  /** A folder of this host, at the same path inside and outside. */
  readonly folder: string;
  readonly #namespace: Namespace;
  readonly #syslog: SystemLog;

  private constructor(namespace: Namespace, pid: number, folder: string, log: WatchedProcess, syslog: SystemLog) {
    this.#namespace = namespace;
    this.#syslog = syslog;
    this.prefix = ['nsenter', '-t', String(pid), '-m', '-p', '-u', '--', 'env', 'HOME=/run/home'];
    this.folder = folder;
    this.log = log;
  }

  static async start(lab: Lab, options: DesktopOptions = {}): Promise<NetworkManagerHost> {
    const folder = await lab.directory('desktop');
    await mkdir(join(folder, 'etc'));
    await writeFile(join(folder, 'NetworkManager.conf'), managerConfig(options));
    await writeFile(join(folder, 'outer0.nmconnection'), outerProfile, { mode: 0o600 });
    await writeFile(join(folder, 'service.name'), await serviceFile(options.program));
    await writeFile(join(folder, 'host.sh'), SETUP);
    const syslog = openSystemLog(join(folder, 'log'));
    const { client } = lab.net;
    const inside = ['unshare', '--mount', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc'];
    // What the manager is to set; the lab sets it again after the test.
    await client.ip('addr flush dev outer0');
    await client.ip('-6 route flush dev outer0');
    const log = client.watch(
      [...syslog.prefix, ...inside, 'bash', join(folder, 'host.sh'), ...setupArgs(folder, options)],
      {
        name: 'host with NetworkManager',
      },
    );
    try {
      await log.line(/^ready$/);
      const children = await readFile(`/proc/${log.pid}/task/${log.pid}/children`, 'utf8');
      const host = new NetworkManagerHost(client, Number(children.trim()), folder, log, syslog);
      await host.#managed();
      return host;
    } catch (error) {
      await log.kill();
      syslog[Symbol.dispose]();
      throw new Error(`${error instanceof Error ? error.message : error}\n${log.tail()}`);
    }
  }

  /** SIGKILL for NetworkManager, and a new one a moment later. */
  async replaceManager(): Promise<void> {
    process.kill(await this.pidOf('NetworkManager'), 'SIGKILL');
    await eventually('the manager is gone', async () => (await this.try('-t', 'general')).code !== 0);
    this.watch(['NetworkManager', '--no-daemon', '--log-level=INFO']);
    await this.#managed();
  }

  async #managed(): Promise<void> {
    await eventually('NetworkManager answers', async () => (await this.try('-t', 'general')).code === 0);
    await eventually('outer0 is connected', async () =>
      /^outer0:connected$/m.test((await this.nmcli('-t', '-f', 'DEVICE,STATE', 'device')).stdout),
    );
  }

  /** nmcli with these words; rejects, with what it wrote, when it ends with other than 0. */
  nmcli(...words: readonly string[]): Promise<RunResult> {
    return this.run(['nmcli', ...words], { timeoutMs: 90_000 });
  }

  /** nmcli with these words, however it ends. */
  try(...words: readonly string[]): Promise<RunResult> {
    return this.run(['nmcli', ...words], { timeoutMs: 90_000, anyCode: true });
  }

  /** nmcli on a terminal of its own, for `--ask`: `prompt` waits for its question, `write` types. */
  nmcliOnTerminal(...words: readonly string[]): WatchedProcess {
    const command = ['script', '-qec', `exec nmcli ${words.join(' ')}`, '/dev/null'];
    return this.#namespace.watch([...this.prefix, ...command], { name: `nmcli ${words.join(' ')}`, keepStdin: true });
  }

  /** A program that sees this host. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult> {
    return this.#namespace.run([...this.prefix, ...argv], options);
  }

  /** A program that sees this host and goes on. */
  watch(argv: readonly string[], name = argv[0] ?? ''): WatchedProcess {
    return this.#namespace.watch([...this.prefix, ...argv], { name });
  }

  /** Imports a profile of these lines under a name; what nmcli says of it. */
  async import(name: string, lines: readonly string[]): Promise<string> {
    const file = join(this.folder, `${name}.ovpn`);
    await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
    return (await this.nmcli('connection', 'import', 'type', 'openvpn', 'file', file)).stdout;
  }

  /** The messages that reached /dev/log so far. */
  messages(): readonly string[] {
    return this.#syslog.lines();
  }

  /** The names of the active connections, in the order of the alphabet. */
  async active(): Promise<readonly string[]> {
    const { stdout } = await this.nmcli('-t', '-f', 'NAME,STATE', 'connection', 'show', '--active');
    return stdout.split('\n').filter(Boolean).sort();
  }

  /**
   * Follows what the plugin tells NetworkManager, from now on. The function given back waits for the plugin to say that it
   * has stopped, and has the lines since it was called last, without what differs by chance.
   */
  async pluginSignals(): Promise<() => Promise<readonly string[]>> {
    const rule = "type='signal',interface='org.freedesktop.NetworkManager.VPN.Plugin'";
    const monitor = this.watch(['dbus-monitor', '--system', rule]);
    await monitor.line(/NameAcquired/);
    let from = monitor.mark();
    return () =>
      eventually(
        () => `the plugin says that it has stopped, after\n${monitor.lines.slice(from).slice(-40).join('\n')}\n`,
        () => {
          const end = monitor.lines.findIndex(
            (line, index) =>
              index > from && /member=StateChanged$/.test(monitor.lines[index - 1] ?? '') && /uint32 6$/.test(line),
          );
          if (end < 0) return undefined;
          const lines = monitor.lines
            .slice(from, end + 1)
            .map((line) => line.replaceAll(/ (time|sender|serial|destination)=\S+/g, '').trim());
          from = end + 1;
          return lines.slice(lines.findIndex((line) => line.includes('VPN.Plugin')));
        },
      );
  }

  /** Process ids, as this machine counts them, of what stands in the place of openvpn. */
  clients(): Promise<readonly number[]> {
    return this.pidsOf('--management-query-passwords');
  }

  /** The id, as this machine counts them, of the one process of a program: by its file's name, or its script's. */
  async pidOf(program: string): Promise<number> {
    return eventually(`one process of ${program}`, async () => {
      const found: number[] = [];
      for (const pid of await this.#namespace.pids()) {
        const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
        if (line.split('\0').some((word) => basename(word) === program)) found.push(pid);
      }
      return found.length === 1 && found[0];
    });
  }

  /** Once no process of the host has this in its command line. */
  async withoutProcess(word: string): Promise<void> {
    await eventually(`no process of ${word}`, async () => (await this.pidsOf(word)).length === 0);
  }

  /**
   * The ids, as this machine counts them, of the processes of the host whose command line has a word, in no order that means
   * anything: the machine's ids begin anew.
   */
  async pidsOf(word: string): Promise<readonly number[]> {
    const found: number[] = [];
    for (const pid of await this.#namespace.pids()) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (line.split('\0').some((part) => part.includes(word))) found.push(pid);
    }
    return found;
  }

  /**
   * What two runs can be compared by: nmcli's view of a connection, links, addresses, routes, rules, name servers. Once it
   * is the same twice, and no address is being looked for elsewhere: NetworkManager and the kernel do much a little later
   * than they say.
   */
  async state(connection?: string): Promise<DesktopState> {
    let last = await this.#look(connection);
    return eventually('a host at rest', async () => {
      await delay(REST_MS);
      const next = await this.#look(connection);
      const rests = JSON.stringify(next) === JSON.stringify(last) && !next.addresses.join().includes('tentative');
      last = next;
      return rests && next;
    });
  }

  async #look(connection: string | undefined): Promise<DesktopState> {
    const lines = async (...argv: readonly string[]) =>
      (await this.run(argv)).stdout
        .split('\n')
        .filter((line) => line !== '' && !byChance.test(line))
        .map((line) =>
          line
            .replace(/^\d+: /, '')
            .replaceAll(/ {2,}/g, ' ')
            .replace(/ link\/.*/, '')
            .trim(),
        );
    const shown =
      connection === undefined ? [] : await lines('nmcli', '-f', 'IP4,IP6,GENERAL', 'connection', 'show', connection);
    return {
      connection: shown.map((line) => line.replace(/\[\d+\]/, '')).sort(),
      links: await lines('ip', '-o', 'link'),
      addresses: (await lines('ip', '-o', 'addr')).sort(),
      routes: (await lines('ip', 'route')).sort(),
      routes6: (await lines('ip', '-6', 'route')).sort(),
      rules: await lines('ip', 'rule'),
      resolvConf: (await this.run(['cat', '/etc/resolv.conf'])).stdout,
      resolvConfFile: (await this.run(['stat', '-c', '%F %N %a %u %g', '/etc/resolv.conf'])).stdout.trim(),
    };
  }

  /** NetworkManager does the last of a connection after it has said that it is up or down. */
  async comesBackTo(before: DesktopState, connection?: string): Promise<void> {
    await expect.poll(() => this.state(connection), { timeout: 20_000, interval: 100 }).toEqual(before);
  }

  /** Ends everything of this host at once. */
  async end(): Promise<void> {
    await this.log.kill();
    await this.#namespace.killAllButAgent();
    this.#syslog[Symbol.dispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export interface DesktopState {
  /** nmcli's lines in the groups IP4, IP6 and GENERAL of an active connection, without what differs by chance. */
  readonly connection: readonly string[];
  readonly links: readonly string[];
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly routes6: readonly string[];
  readonly rules: readonly string[];
  readonly resolvConf: string;
  /** Kind, name (and where a link leads), mode, user and group. */
  readonly resolvConfFile: string;
}

const byChance = /^GENERAL\.(UUID|DBUS-PATH|CON-PATH|SPEC-OBJECT|MASTER-PATH)|\bfe80::/;

const managerConfig = ({ dns = 'default', level = 'INFO' }: DesktopOptions): string => `[main]
plugins=keyfile
auth-polkit=false
dns=${dns}
rc-manager=${dns === 'systemd-resolved' ? 'auto' : 'file'}
hostname-mode=none
no-auto-default=*
[keyfile]
unmanaged-devices=*,except:interface-name:outer0,except:type:tun
[connectivity]
enabled=false
[logging]
level=INFO
domains=ALL,VPN_PLUGIN:${level}
`;

const outerProfile = `[connection]
id=outer0
uuid=6d2ac1a0-6f4f-4d5e-9a0c-6f1d5a3c0001
type=ethernet
interface-name=outer0
autoconnect=true
[ipv4]
method=manual
address1=${address.client4}/24,${address.gateway4}
dns=${address.gateway4};
dns-search=home.example;
may-fail=false
[ipv6]
method=manual
address1=${address.client6}/64,${address.gateway6}
addr-gen-mode=eui64
`;

/** The plugin's own description with another program. */
async function serviceFile(program: string | undefined): Promise<string> {
  const theirs = join(networkManagerDirectory, 'root/usr/lib/NetworkManager/VPN/nm-openvpn-service.name');
  const text = await readFile(theirs, 'utf8');
  return program === undefined ? text : text.replace(/^program=.*$/m, `program=${program}`);
}

function setupArgs(folder: string, options: DesktopOptions): readonly string[] {
  return [
    folder,
    join(networkManagerDirectory, 'root'),
    options.openvpn ?? '',
    options.chroot === true ? 'chroot' : '',
    options.dns === 'systemd-resolved' ? join(resolversDirectory, 'root') : '',
  ];
}

// The first process of the host: prepares what it sees, starts bus and manager, and collects children without a parent.
// NetworkManager believes in udev where it can write to /sys, and waits for it.
const SETUP = `set -e
folder=$1 root=$2 openvpn=$3 chroot=$4 resolved=$5
umount -l /etc/resolv.conf /etc/hosts 2>/dev/null || true
# Not netns, where other tests come and go.
find /etc -mindepth 1 -maxdepth 1 ! -name netns -exec cp -a -t "$folder/etc" {} +
chmod --reference=/etc "$folder/etc"
mount --bind "$folder/etc" /etc
rm -rf /etc/resolv.conf /etc/NetworkManager
echo '127.0.0.1 localhost' >/etc/hosts
echo 'nameserver ${address.gateway4}' >/etc/resolv.conf
sed -i 's/^hosts:.*/hosts: files dns/' /etc/nsswitch.conf
mkdir -p /etc/NetworkManager/{conf.d,dispatcher.d,dnsmasq.d,dnsmasq-shared.d,system-connections,VPN}
cp "$folder/NetworkManager.conf" /etc/NetworkManager/
install -m 600 "$folder/outer0.nmconnection" /etc/NetworkManager/system-connections/
add() {
  grep -q "^$1:" /etc/passwd || echo "$1:x:$2:$2::$3:/usr/sbin/nologin" >>/etc/passwd
  grep -q "^$1:" /etc/group || echo "$1:x:$2:" >>/etc/group
}
add messagebus 991 /nonexistent
add systemd-resolve 993 /nonexistent
add nm-openvpn 992 /var/lib/openvpn/chroot
[ -s /etc/machine-id ] || echo 0123456789abcdef0123456789abcdef >/etc/machine-id
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/dbus /run/home /run/NetworkManager
chmod 700 /run/home
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir -p /var/lib/NetworkManager /var/lib/openvpn /var/lib/misc
if [ -n "$chroot" ]; then
  mkdir -p /var/lib/openvpn/chroot/tmp
  chown -R nm-openvpn:nm-openvpn /var/lib/openvpn/chroot
fi
mount -o remount,ro,bind /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
mount -t overlay overlay -o "lowerdir=\${resolved:+$resolved/usr:}$root/usr:/usr" /usr
mount -t tmpfs -o mode=755 tmpfs /usr/lib/NetworkManager/VPN
install -m 644 "$folder/service.name" /usr/lib/NetworkManager/VPN/nm-openvpn-service.name
mount -t tmpfs tmpfs /usr/share/dbus-1/system-services
if [ -n "$openvpn" ]; then mount --bind "$openvpn" /usr/sbin/openvpn; fi
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
dbus-daemon --config-file=/usr/share/dbus-1/system.conf --nofork --nopidfile --nosyslog &
for _ in {1..200}; do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.05; done
if [ -n "$resolved" ]; then
  mkdir -p /run/systemd/resolve
  chown systemd-resolve: /run/systemd/resolve
  printf '[Resolve]\\nLLMNR=no\\nMulticastDNS=no\\n' >/etc/systemd/resolved.conf
  ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
  env LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/systemd "$resolved/lib/systemd/systemd-resolved" &
  for _ in {1..200}; do [ -e /run/systemd/resolve/stub-resolv.conf ] && break; sleep 0.05; done
fi
NetworkManager --no-daemon --log-level=INFO &
echo ready
while :; do sleep 600 & wait; done
`;

/** `describe` for suites of a desktop; left out where its programs could not be fetched, which fails with CI=true. */
export function desktopSuite(name: string, body: () => void): void {
  const isThere = process.env.CI === 'true' || existsSync(join(networkManagerDirectory, 'complete'));
  if (isThere) labSuite(name, body);
  else describe.skip(name, body);
}

/** The options of a host whose connections run the program under test. */
export async function desktopUnderTest(lab: Lab): Promise<DesktopOptions> {
  if (clientUnderTest === 'openvpn') return {};
  return { openvpn: isOurs ? await packagedLauncher(lab) : peerProgram('2.7') };
}

/** Hosts that end with their test; the function starts one, which ends an earlier one. After `useLab`. */
export function useDesktop(lab: () => Lab): (options?: DesktopOptions) => Promise<NetworkManagerHost> {
  let host: NetworkManagerHost | undefined;
  const end = async () => {
    await host?.end();
    host = undefined;
  };
  afterEach(end);
  return async (options) => {
    if (host !== undefined) await lab().net.resetClient();
    await end();
    host = await NetworkManagerHost.start(lab(), options);
    return host;
  };
}

/** The packaged launcher as it is, but for the place of the program: this checkout's. For `openvpn:`. */
async function packagedLauncher(lab: Lab): Promise<string> {
  const [node = '', program = ''] = clientCommand('sallyport');
  const { stdout } = await run([node, program, '--version']);
  const text = (await readFile(join(projectRoot, 'packaging/files/sallyport.in'), 'utf8'))
    .replace('@VERSION@', () => stdout.replace(/^library versions: .*\n/m, ''))
    .replace('/usr/bin/node /usr/local/bin/node', node)
    .replace('/usr/lib/sallyport/bin/sallyport.js', program);
  return lab.file('openvpn', text, 0o755);
}

// Running dnsmasqs, by /proc, and what their command lines and files state. Anybody may call a program so, and give it files of
// the system's as its own: whoever acts on one has to know first that it is the system's.

import type { DnsFiles } from './ports.ts';

type Reading = Pick<DnsFiles, 'read' | 'linkTarget' | 'names'>;

export interface DnsmasqProcess {
  readonly pid: number;
  /** Of its command line, without the program's own name. */
  readonly words: readonly string[];
}

interface RunningDnsmasq {
  readonly pid: number;
  readonly serversFile: string | undefined;
}

/** The dnsmasq that this network's programs ask: one that has the port of name servers, which is root's to give. */
export function findDnsmasq(files: Reading): RunningDnsmasq | undefined {
  const sockets = nameServerSockets(files, '/proc/net');
  let found: RunningDnsmasq | undefined;
  for (const { pid, words } of dnsmasqProcesses(files)) {
    if (!mayServe(pid, sockets, files)) continue;
    const running = { pid, serversFile: serversFileOf(words, files) };
    // Others serve virtual machines beside it.
    if (running.serversFile !== undefined) return running;
    found ??= running;
  }
  return found;
}

/**
 * Whether a process of that name is what it is called: it has one of these sockets. Any user may call a program so, and give
 * it a file of the system's as its servers-file.
 *
 * Without CAP_SYS_PTRACE, as in our unit, nobody is told what another user's process has open, or where it is. Then it
 * counts that it is dnsmasq's own user, which nobody but root becomes (root's own would not do: a program that anybody may
 * start as root can be called so, too), and that its network has these sockets.
 */
function mayServe(pid: number, sockets: ReadonlySet<string>, files: Reading): boolean {
  if (files.linkTarget(`/proc/${pid}/ns/net`) !== undefined) {
    const fds = files.names(`/proc/${pid}/fd`).map((fd) => files.linkTarget(`/proc/${pid}/fd/${fd}`) ?? '');
    return fds.some((target) => sockets.has(target));
  }
  const account = /^dnsmasq:[^:]*:([1-9]\d*):/m.exec(files.read('/etc/passwd') ?? '')?.[1];
  const users = /^Uid:\t(.*)$/m.exec(files.read(`/proc/${pid}/status`) ?? '')?.[1]?.split('\t') ?? [];
  const isItsUser = users.length > 0 && users.every((uid) => uid === account);
  return isItsUser && [...nameServerSockets(files, `/proc/${pid}/net`)].some((socket) => sockets.has(socket));
}

/** Those of this network, as far as that can be seen: the network of another user's process is hidden from all but root. */
export function dnsmasqProcesses(files: Reading): readonly DnsmasqProcess[] {
  const here = files.linkTarget('/proc/self/ns/net');
  return files.names('/proc').flatMap((name): DnsmasqProcess[] => {
    if (!/^[0-9]+$/.test(name) || files.read(`/proc/${name}/comm`)?.trim() !== 'dnsmasq') return [];
    if ((files.linkTarget(`/proc/${name}/ns/net`) ?? here) !== here) return [];
    const words = (files.read(`/proc/${name}/cmdline`) ?? '').split('\0').filter((word) => word !== '');
    // One that has ended, and waits to be noticed, has none.
    return words.length === 0 ? [] : [{ pid: Number(name), words: words.slice(1) }];
  });
}

/** The words of a command line, then the lines of the files that they lead to, as `name` or `name=value`, without comments. */
export function dnsmasqSettings(words: readonly string[], files: Reading): readonly string[] {
  const lines = [...words];
  const stated = [...valuesOf('conf-file', words), ...shortValues('-C', words)];
  for (const path of stated.length > 0 ? stated : ['/etc/dnsmasq.conf']) lines.push(...linesOf(path, files));
  // The folder may be followed by endings of names.
  for (const value of [...valuesOf('conf-dir', lines), ...shortValues('-7', words)]) {
    const folder = value.replace(/,.*$/, '');
    for (const name of files.names(folder)) lines.push(...linesOf(`${folder}/${name}`, files));
  }
  for (const path of valuesOf('servers-file', lines)) lines.push(...linesOf(path, files));
  return lines;
}

/** The servers-file of a dnsmasq with this command line; undefined where there is none, or its path depends on where it was started. */
export function serversFileOf(words: readonly string[], files: Reading): string | undefined {
  const [path] = valuesOf('servers-file', dnsmasqSettings(words, files));
  return path?.startsWith('/') === true ? path : undefined;
}

function valuesOf(name: string, lines: readonly string[]): readonly string[] {
  const setting = new RegExp(`^[ \\t]*(?:--)?${name}[ \\t]*=[ \\t]*(.+?)[ \\t]*$`);
  return lines.flatMap((line) => setting.exec(line)?.[1] ?? []);
}

/** `-C PATH` and `-CPATH`. */
const shortValues = (letter: string, words: readonly string[]): readonly string[] =>
  words.flatMap((word, at) => (word === letter ? (words[at + 1] ?? []) : word.startsWith(letter) ? word.slice(2) : []));

/** As dnsmasq reads them: `#` begins a comment behind white space only, and otherwise a port. */
function linesOf(path: string, files: Reading): readonly string[] {
  const text = path.startsWith('/') ? (files.read(path) ?? '') : '';
  const lines = text.split('\n').map((line) => line.replace(/(^|\s)#.*$/, '').trim());
  return lines.filter((line) => line !== '');
}

/** Sockets of UDP port 53 in a network, as /proc names them: `socket:[4711]`. */
function nameServerSockets(files: Reading, folder: string): ReadonlySet<string> {
  const lines = ['udp', 'udp6'].flatMap((kind) => (files.read(`${folder}/${kind}`) ?? '').split('\n').slice(1));
  return new Set(
    lines.flatMap((line) => {
      // sl | local_address:port | remote | state | queues | timer | retransmits | uid | timeout | inode …
      const words = line.trim().split(/\s+/);
      return words[1]?.endsWith(':0035') === true && words[9] !== undefined ? [`socket:[${words[9]}]`] : [];
    }),
  );
}

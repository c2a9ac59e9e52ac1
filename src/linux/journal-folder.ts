// The folder in which processes write down what they change on the host: one file for each, its own while it lives. Only
// the owner of the folder has anything to do with it, and what is in it that others could have put there is not read.

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { libc, nativeBytes } from './libc.ts';
import { startTimeOf } from './process-start.ts';

export const JOURNAL_FOLDER = '/var/lib/sallyport/journal';

/** A process's journal: a few hundred bytes for each change that stands. */
const MAX_JOURNAL_BYTES = 8 * 1024 * 1024;
/** Journals of dead processes that are looked at in one go. */
const MAX_JOURNALS = 1024;
const NAME = /^([1-9]\d{0,9})-(\d{1,20})(?:-\d{1,6})?\.jsonl$/;
const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;
/** LOCK_EX | LOCK_NB of sys/file.h. */
const LOCK_EXCLUSIVE_NOW = 0x2 | 0x4;
const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOL_SOCKET = 1;
/** Since Linux 5.14: a number that no other network namespace of this boot has had. */
const SO_NETNS_COOKIE = 71;
/** linux/capability.h */
const CAP_SYS_PTRACE = 19;
/** PROC_PID_INIT_INO of linux/proc_ns.h. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

/** Who this process is, as its journal says it. */
export interface ProcessIdentity {
  readonly boot: string;
  readonly pid: number;
  readonly start: string;
  readonly network: string;
}

/** Throws where /proc can't be read. */
export function processIdentity(): ProcessIdentity {
  const start = startTimeOf(process.pid);
  if (start === undefined) throw new Error('/proc tells nothing of this process');
  return { boot: bootId(), pid: process.pid, start, network: networkNamespace() };
}

const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();

/** A number that is never used again where the kernel has one, and the one by which /proc knows the namespace. */
function networkNamespace(): string {
  const shown = readlinkSync('/proc/thread-self/ns/net');
  const fd = libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  if (fd >= 0) {
    const [value, length] = [nativeBytes(64), nativeBytes(64)];
    length.view.setUint32(0, 8, true);
    const result = libc.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value.address, length.address);
    libc.close(fd);
    if (result === 0) {
      return `cookie-${value.view.getUint32(4, true)}-${value.view.getUint32(0, true)} ${shown}`;
    }
  }
  return shown;
}

/** Whether a network namespace, as `processIdentity` names it, is gone: nobody can put right there what was left. */
export function isNetworkGone(network: string): boolean {
  const shown = /net:\[\d+\]$/.exec(network)?.[0];
  try {
    // In a pid namespace of its own this process does not see everybody who could be in there.
    if (shown === undefined || readlinkSync('/proc/self/ns/pid') !== FIRST_PID_NAMESPACE) return false;
    if (!seesOthers()) return false;
    if (readFileSync('/proc/self/mountinfo', 'latin1').includes(shown)) return false;
    return !readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && networkOf(pid) === shown);
  } catch {
    return false;
  }
}

function networkOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

/** Without CAP_SYS_PTRACE, as in a service that was left few capabilities, nobody is told where the processes of others are. */
function seesOthers(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/thread-self/status', 'latin1'))?.[1];
  return effective !== undefined && ((Number.parseInt(effective.slice(-8), 16) >>> CAP_SYS_PTRACE) & 1) === 1;
}

/** The file of a process that lives, open for as long as it does, also when its rights or its root are gone. */
export class JournalFile {
  readonly #fd: number;
  readonly #path: string;
  #bytes = 0;

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  get sizeBytes(): number {
    return this.#bytes;
  }

  /** Adds text, and with `lasting` waits until it outlives a loss of power. Throws what the system refuses. */
  append(text: string, lasting: boolean): void {
    this.#bytes += this.#put(text, this.#bytes);
    if (lasting) fsyncSync(this.#fd);
  }

  /** Puts text in the place of all that was. A reader that comes between stops where the old text begins. */
  rewrite(text: string): void {
    this.#bytes = this.#put(text, 0);
    ftruncateSync(this.#fd, this.#bytes);
  }

  /** Removes the file; false where that takes rights that were given up: then it is empty, and goes on to be ours. */
  remove(): boolean {
    ftruncateSync(this.#fd, 0);
    this.#bytes = 0;
    try {
      unlinkSync(this.#path);
    } catch {
      return false;
    }
    closeSync(this.#fd);
    return true;
  }

  /** Leaves the file to whoever recovers once this process is gone. */
  close(): void {
    fsyncSync(this.#fd);
    closeSync(this.#fd);
  }

  #put(text: string, at: number): number {
    const bytes = Buffer.from(text, 'utf8');
    let written = 0;
    while (written < bytes.length) written += writeSync(this.#fd, bytes, written, bytes.length - written, at + written);
    return written;
  }
}

let files = 0;

/** Makes this process's next journal, and the folder where there is none. Throws what the system, or caution, refuses. */
export function createJournalFile(folder: string, { pid, start }: ProcessIdentity): JournalFile {
  mkdirSync(dirname(folder), { recursive: true, mode: 0o755 });
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  checkFolder(folder);
  files += 1;
  const path = join(folder, `${pid}-${start}${files === 1 ? '' : `-${files}`}.jsonl`);
  const fd = openSync(path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0o600);
  libc.flock(fd, LOCK_EXCLUSIVE_NOW);
  const folderFd = openSync(folder, O_RDONLY | O_DIRECTORY);
  fsyncSync(folderFd);
  closeSync(folderFd);
  return new JournalFile(fd, path);
}

/** Throws unless this user alone can put files there. */
function checkFolder(folder: string): void {
  const uid = process.geteuid?.() ?? 0;
  const parent = lstatSync(dirname(folder));
  const own = lstatSync(folder);
  if (!parent.isDirectory() || !own.isDirectory()) throw new Error(`${folder} is no folder, or a link to one`);
  if ((parent.uid !== uid && parent.uid !== 0) || (parent.mode & 0o022) !== 0) {
    throw new Error(`others may change ${dirname(folder)}`);
  }
  if (own.uid !== uid) throw new Error(`${folder} belongs to user ${own.uid}`);
  if ((own.mode & 0o077) !== 0) throw new Error(`others may look into ${folder} (chmod 700 ${folder})`);
}

/** The journal of a process that is gone. */
export interface LeftJournal {
  readonly name: string;
  readonly text: string;
  remove(): void;
}

export interface LeftJournals {
  readonly journals: readonly LeftJournal[];
  /** What was not read, and why. */
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
}

const NOTHING: LeftJournals = { journals: [], refused: [] };

/** What dead processes left in the folder; nothing where there is no folder. Throws where the folder itself can't be trusted. */
export function readLeftJournals(folder: string): LeftJournals {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return NOTHING;
    throw error;
  }
  if (names.length === 0) return NOTHING;
  checkFolder(folder);
  const journals: LeftJournal[] = [];
  const refused: { name: string; reason: string }[] = [];
  for (const name of names.sort().slice(0, MAX_JOURNALS)) {
    try {
      const journal = readLeft(folder, name);
      if (journal !== undefined) journals.push(journal);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') continue;
      refused.push({ name, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return { journals, refused };
}

function readLeft(folder: string, name: string): LeftJournal | undefined {
  const [, pid, start] = NAME.exec(name) ?? [];
  if (pid === undefined || start === undefined) throw new Error('it has no name that a journal has');
  if (startTimeOf(Number(pid)) === start) return undefined;
  const path = join(folder, name);
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const facts = fstatSync(fd);
    if (!facts.isFile() || facts.nlink !== 1) throw new Error('it is no plain file');
    if (facts.uid !== (process.geteuid?.() ?? 0)) throw new Error(`it belongs to user ${facts.uid}`);
    if ((facts.mode & 0o077) !== 0) throw new Error('others have rights on it');
    if (facts.size > MAX_JOURNAL_BYTES) throw new Error(`it has ${facts.size} bytes`);
    // A process that can't be seen from here, in another pid namespace, still holds its lock.
    if (libc.flock(fd, LOCK_EXCLUSIVE_NOW) < 0) return undefined;
    const bytes = Buffer.alloc(facts.size);
    let length = 0;
    while (length < bytes.length) {
      const read = readSync(fd, bytes, length, bytes.length - length, length);
      if (read === 0) break;
      length += read;
    }
    return { name, text: bytes.toString('utf8', 0, length), remove: () => unlinkSync(path) };
  } finally {
    closeSync(fd);
  }
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code;

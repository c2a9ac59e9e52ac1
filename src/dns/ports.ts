// What the ways to set name servers ask of the platform. Calls on files are synchronous and throw HostError.

import type { DnsSetting, FileBefore } from '../tunnel/dns-port.ts';

export interface DnsFiles {
  /** What stands at a path, the link itself and not what it points to. Throws where it is neither file nor link, or too large. */
  look(path: string): FileBefore;
  /** The text of a file, links followed; undefined when it can't be read. */
  read(path: string): string | undefined;
  /** Where the link at a path points to; undefined when there is none. */
  linkTarget(path: string): string | undefined;
  names(folder: string): readonly string[];
  isProgram(path: string): boolean;
  /**
   * Puts this at the path, and waits until it outlives a loss of power: beside it and renamed, so that nobody reads half of
   * it; in place where the path is a mount of its own and can't be renamed over.
   */
  put(path: string, what: FileBefore): void;
  /** Ends a `put` that was killed half-way, with the old file or the new one whole at its path and nothing beside it. */
  tidy(path: string): void;
  /** Makes a folder in which others than its owner see nothing, and looks whether the one that is there is so. */
  makeFolder(path: string): void;
}

/** The D-Bus as far as it is needed here (node/bus.ts). */
export interface DnsBus {
  call(call: {
    destination: string;
    path: string;
    interface: string;
    member: string;
    signature?: string | undefined;
    body?: readonly unknown[] | undefined;
    timeoutMs?: number | undefined;
  }): Promise<readonly unknown[]>;
  nameOwner(name: string): Promise<string | undefined>;
  close(): Promise<void>;
}

export interface DnsPlatform {
  readonly files: DnsFiles;
  /** A connection to the system bus; rejects when there is none. */
  openBus(): Promise<DnsBus>;
  /** Runs a program with this text on its stdin; its exit code and what it printed, cut short; never rejects. */
  run(
    argv: readonly string[],
    input: string,
    timeoutMs: number,
  ): Promise<{ readonly exitCode: number | undefined; readonly problem: string }>;
  /** Resolves once no process runs a program with these arguments, or after this time. */
  ended(argv: readonly string[], timeoutMs: number): Promise<void>;
  /** The kernel's number of a device; undefined when there is none. */
  deviceIndex(device: string): number | undefined;
  /** SIGHUP. Throws HostError. */
  hangUp(pid: number): void;
  /**
   * One at a time among all processes of this host, by something that root alone can lock. Resolves with undefined where it
   * could not be had in time; rejects where there can be no such thing.
   */
  lock(): Promise<(() => void) | undefined>;
  /** SHA-256, hexadecimal. */
  hash(text: string): string;
}

/** `left`: somebody else's by now; why, as a sentence. */
export type Restored = 'restored' | { readonly left: string };

/** One way to set name servers. Calls reject with what to say in the log. */
export interface DnsBackend<Applied> {
  apply(device: string, id: string, setting: DnsSetting): Promise<Applied>;
  undo(applied: Applied): Promise<Restored>;
  /** Whether it is there still, as far as that can be seen. */
  stands(applied: Applied): Promise<boolean>;
  /** The same without a record of it: whatever stands under this id, or by this device where that is known to be ours. */
  clear(device: string | undefined, id: string): Promise<void>;
}

// Which real OpenVPN runs, told from the command lines that the lab starts.

import type { ChildProcess } from 'node:child_process';
import { basename } from 'node:path';

/** The version a command line runs: `2.6` for Debian's own, `2.7`, `2.6-deaf`, `2.5`; undefined for other programs. */
export function peerOf(argv: readonly string[]): string | undefined {
  for (const word of argv) {
    // What follows our own command are its arguments, among them names like `openvpn`.
    if (word.endsWith('sallyport.js')) return undefined;
    const match = /^openvpn(?:-(2\.\d+(?:-deaf)?))?$/.exec(basename(word));
    if (match !== null) return match[1] ?? '2.6';
  }
  return undefined;
}

/** Those that ran at some time since `begin()`. */
export class PeersSeen {
  readonly #running = new Map<ChildProcess, string>();
  #seen = new Set<string>();

  started(argv: readonly string[], child: ChildProcess): void {
    const version = peerOf(argv);
    if (version === undefined) return;
    this.#seen.add(version);
    this.#running.set(child, version);
    child.once('close', () => this.#running.delete(child));
  }

  begin(): void {
    this.#seen = new Set(this.#running.values());
  }

  since(): readonly string[] {
    return [...this.#seen];
  }
}

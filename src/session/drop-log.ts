// Counted verdicts on packets without effect, and their lines in the log: one a second for each cause, so that a flood
// fills no disk.

import { wrapDropLines } from '../control/wrap.ts';
import { Level, type Log, type LogFlags } from '../log.ts';
import type { ControlDrop, Counters } from './counters.ts';
import type { RefusedWrap } from './receive.ts';

const QUIET_MS = 1000;

export class DropLog {
  readonly #counters: Counters;
  readonly #log: Log;
  readonly #loggedMs = new Map<ControlDrop, number>();

  constructor(counters: Counters, log: Log) {
    this.#counters = counters;
    this.#log = log;
  }

  handleDrop(cause: ControlDrop, remoteText: string, nowMs: number, refused?: RefusedWrap): void {
    this.#counters.drops[cause]++;
    const last = this.#loggedMs.get(cause);
    if (last !== undefined && nowMs - last < QUIET_MS) return;
    const lines =
      refused === undefined ? dropLines(cause, remoteText) : wrapDropLines(refused.kind, refused.verdict, remoteText);
    if (lines.length > 0) this.#loggedMs.set(cause, nowMs);
    for (const [flags, text] of lines) this.#log(flags, text);
  }
}

/** The C program's words where it has some; repeated and late packets are ordinary and silent. */
function dropLines(cause: ControlDrop, remoteText: string): readonly (readonly [LogFlags, string])[] {
  const words = WORDS[cause];
  return words === undefined ? [] : [[Level.tlsErrors, `${words} ${remoteText}`]];
}

const WORDS: Partial<Record<ControlDrop, string>> = {
  'bad-opcode': 'TLS Error: unknown opcode received from',
  'wrong-direction': 'TLS Error: client->client or server->server connection attempted from',
  short: 'TLS Error: session-id not found in packet from',
  'too-big': 'Incoming control channel packet too big, dropping, from',
  malformed: 'TLS Error: reading acknowledgement record from packet failed, from',
  'bad-ack-session': 'TLS Error: reading acknowledgement record from packet failed, from',
  'no-session': 'TLS Error: Unroutable control packet received from',
  'foreign-session': 'TLS Error: Unroutable control packet received from',
  'unproven-reset': 'TLS Error: reset that does not acknowledge ours, ignored, from',
  'unknown-key-id': 'TLS ERROR: local/remote key IDs out of sync, packet from',
  'soft-reset-refused': 'TLS ERROR: local/remote key IDs out of sync, soft reset from',
};

// What has been done to the host and not yet undone. Each record is handed to `write` before the step it announces, so
// that a journal on disk lets the next start finish what a killed process left behind.

import type { DnsApplied } from './dns-port.ts';
import type { OpenDevice } from './ports.ts';
import type { TunnelStep } from './step.ts';

/** How a step ended: the host was changed, it was so already, the device is open, or nothing came of it. */
export type StepOutcome =
  | { readonly result: 'changed' }
  | { readonly result: 'existed' }
  | { readonly result: 'opened'; readonly device: OpenDevice }
  | { readonly result: 'dns'; readonly applied: DnsApplied }
  | { readonly result: 'failed' };

/** What the host looked like where a step was about to change it: how another process can tell later whose it is. */
export interface SeenBefore {
  /** The address or the route was there already, and is nobody's to take away who did not put it there. */
  readonly existed: boolean;
  /** The device that it belongs to. Its name may be another device's later, its number is not. */
  readonly device: { readonly name: string; readonly index: number } | undefined;
}

export type JournalRecord =
  /** `before`: the standing step in front of which it belongs, so that it is undone after that one; undefined: the newest. */
  | {
      readonly record: 'begin';
      readonly id: number;
      readonly step: TunnelStep;
      readonly before?: number | undefined;
      readonly seen?: SeenBefore | undefined;
    }
  | { readonly record: 'end'; readonly id: number; readonly outcome: StepOutcome }
  | { readonly record: 'undone'; readonly id: number };

/** A step that stands on the host; `outcome` is undefined when the process died in the middle of it. */
export interface JournalEntry {
  readonly id: number;
  readonly step: TunnelStep;
  readonly outcome: StepOutcome | undefined;
  readonly seen?: SeenBefore | undefined;
}

/** The name servers that stand among these steps, if any. */
export function standingDns(entries: readonly JournalEntry[]): DnsApplied | undefined {
  for (const { outcome } of entries) if (outcome?.result === 'dns') return outcome.applied;
  return undefined;
}

/** The list of standing steps, oldest first, and the stream of records that rebuilds it. */
export class Journal {
  readonly #entries: JournalEntry[] = [];
  readonly #write: (record: JournalRecord) => void;
  #nextId = 1;

  /** `write` is called synchronously with every record; it throws when the record could not be kept, and the step is not done. */
  constructor(write: (record: JournalRecord) => void = () => {}) {
    this.#write = write;
  }

  /** Rebuilds the journal of a process that is gone. Its open devices went with it and are left out. */
  static replay(records: Iterable<JournalRecord>, write?: (record: JournalRecord) => void): Journal {
    const journal = new Journal(write);
    for (const record of records) journal.#take(record);
    for (const entry of [...journal.#entries]) if (entry.step.kind === 'open-device') journal.#remove(entry.id);
    return journal;
  }

  /** The steps to undo, oldest first. */
  get entries(): readonly JournalEntry[] {
    return this.#entries;
  }

  /** The tunnel's open device, if it is open. */
  get device(): OpenDevice | undefined {
    for (const { outcome } of this.#entries) if (outcome?.result === 'opened') return outcome.device;
    return undefined;
  }

  /** The name servers that stand, if any. */
  get dns(): DnsApplied | undefined {
    return standingDns(this.#entries);
  }

  /** A step is about to be done: the newest, or one that belongs in front of a standing one. */
  begin(step: TunnelStep, before?: number, seen?: SeenBefore): number {
    const record: JournalRecord = {
      record: 'begin',
      id: this.#nextId,
      step,
      ...(before === undefined ? {} : { before }),
      ...(seen === undefined ? {} : { seen }),
    };
    this.#write(record);
    this.#take(record);
    return record.id;
  }

  end(id: number, outcome: StepOutcome): void {
    this.#keep({ record: 'end', id, outcome });
  }

  undone(id: number): void {
    this.#keep({ record: 'undone', id });
  }

  /** It could not be undone, and is left to who comes after this process: the record stays. */
  leave(id: number): void {
    this.#remove(id);
  }

  /** What has happened counts, even if it can't be written down any more. */
  #keep(record: JournalRecord): void {
    this.#take(record);
    this.#write(record);
  }

  #take(record: JournalRecord): void {
    this.#nextId = Math.max(this.#nextId, record.id + 1);
    switch (record.record) {
      case 'begin': {
        const index = this.#entries.findIndex((entry) => entry.id === record.before);
        const { id, step, seen } = record;
        const entry = { id, step, outcome: undefined, ...(seen === undefined ? {} : { seen }) };
        this.#entries.splice(index < 0 ? this.#entries.length : index, 0, entry);
        return;
      }
      case 'end': {
        // What was there before us and what failed is not ours to undo.
        if (record.outcome.result === 'existed' || record.outcome.result === 'failed') {
          this.#remove(record.id);
          return;
        }
        const index = this.#entries.findIndex((entry) => entry.id === record.id);
        const entry = this.#entries[index];
        if (entry !== undefined) this.#entries[index] = { ...entry, outcome: record.outcome };
        return;
      }
      case 'undone':
        this.#remove(record.id);
        return;
      default:
        record satisfies never;
    }
  }

  #remove(id: number): void {
    const index = this.#entries.findIndex((entry) => entry.id === id);
    if (index >= 0) this.#entries.splice(index, 1);
  }
}

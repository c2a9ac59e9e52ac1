// What every bench prints: the machine it ran on, the programs' names, processor time, medians, tables.

import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import type { ClientKind } from '../test/lab/requirements.ts';

/** What the tables call each program. */
export const programLabel: Readonly<Record<ClientKind, string>> = {
  sallyport: 'sallyport',
  'openvpn-2.5': 'openvpn 2.5',
  openvpn: 'openvpn 2.6',
  'openvpn-2.7': 'openvpn 2.7',
};

/** CPU time is counted by the kernel in hundredths of a second on every Linux that Node runs on. */
const TICKS_A_SECOND = 100;

/** Seconds of processor time of all threads of a process so far. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

/** One line: processors, memory, system, kernel, Node. */
export function machineLine(): string {
  const [processor] = cpus();
  const system = /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform;
  const memoryGib = (totalmem() / 2 ** 30).toFixed(0);
  return `${cpus().length} x ${processor?.model.trim()}, ${memoryGib} GiB, ${system}, Linux ${release()}, Node ${process.version}`;
}

/** The middle value, or the mean of the two middle ones; NaN of nothing. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which this share of the values lies, between neighbours by proportion; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  return below === undefined || above === undefined ? Number.NaN : below + (above - below) * (at - Math.floor(at));
}

/** Rows as text with aligned columns: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  const line = (row: readonly string[]): string =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ');
  return `${rows.map((row) => `  ${line(row).trimEnd()}`).join('\n')}\n`;
}

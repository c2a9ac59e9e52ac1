// When a process began: with its id it names one process for good, where the id alone may be another's later.

import { readFileSync } from 'node:fs';

/** Ticks since boot, as /proc tells them; undefined when no process of the id lives. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name stands in brackets and may have blanks and brackets itself; the start time is the 20th word behind it.
    const words = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // A zombie is dead: its fds are closed, and with them its devices.
    return words[0] === 'Z' || words[0] === 'X' ? undefined : words[19];
  } catch {
    return undefined;
  }
}

// The option table: one row for each option that OpenVPN 2.x has or had. Help, `check`, the parser and the push filter all
// read it, so that none of them can know an option that the others do not.

import type { OptionRow } from './option-row.ts';
import { CLIENT_ROWS } from './rows-client.ts';
import { GENERAL_ROWS } from './rows-general.ts';
import { LINK_ROWS } from './rows-link.ts';
import { PAST_ROWS } from './rows-past.ts';
import { SECURITY_ROWS } from './rows-security.ts';
import { SERVER_ROWS } from './rows-server.ts';
import { TUNNEL_ROWS } from './rows-tunnel.ts';

/** Rows in groups, as the help shows them. */
export const OPTION_GROUPS: readonly { readonly title: string; readonly rows: readonly OptionRow[] }[] = [
  { title: 'The program, its log and its scripts', rows: GENERAL_ROWS },
  { title: 'The connection', rows: LINK_ROWS },
  { title: 'The tunnel on this machine', rows: TUNNEL_ROWS },
  { title: 'Encryption and certificates', rows: SECURITY_ROWS },
  { title: 'Client, login and management', rows: CLIENT_ROWS },
  { title: 'Server', rows: SERVER_ROWS },
  { title: 'Other systems and the past', rows: PAST_ROWS },
];

/** Every row by its option's name. */
export const OPTIONS: ReadonlyMap<string, OptionRow> = new Map(
  OPTION_GROUPS.flatMap((group) => group.rows.map((each) => [each.name, each] as const)),
);

/** The known name that looks most like `name`, if one is near enough to be meant. */
export function nearestOption(name: string): string | undefined {
  let best: string | undefined;
  let bestDistance = name.length <= 4 ? 2 : Math.min(4, Math.ceil(name.length / 3) + 1);
  const asked = name.toLowerCase().replaceAll('_', '-').slice(0, 64);
  for (const known of OPTIONS.keys()) {
    if (Math.abs(known.length - asked.length) >= bestDistance) continue;
    // Of two that are equally near, the one with the same first letter is meant.
    const distance = editDistance(asked, known) + (known[0] === asked[0] ? 0 : 0.5);
    if (distance < bestDistance) {
      best = known;
      bestDistance = distance;
    }
  }
  return best;
}

// Levenshtein with transpositions, one row back each.
const editDistance = (a: string, b: string): number => {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (previous[j] as number) + 1,
        (current[j - 1] as number) + 1,
        (previous[j - 1] as number) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] as number) + 1);
      }
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length] as number;
};

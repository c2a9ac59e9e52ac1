// `pull-filter`: the first filter whose text an option begins with decides about it.

import { Level, type LogFlags, Severity } from '../log.ts';
import type { PullFilter } from './config.ts';
import { shown } from './values.ts';

export interface FilterVerdict {
  readonly verdict: 'accept' | 'ignore' | 'reject';
  /** Only where a filter matched. */
  readonly log: { readonly flags: LogFlags; readonly text: string } | undefined;
}

/** What becomes of a pushed option, leading blanks removed. */
export function applyPullFilters(option: string, filters: readonly PullFilter[]): FilterVerdict {
  const filter = filters.find((each) => option.startsWith(each.text));
  if (filter === undefined) return { verdict: 'accept', log: undefined };
  // A token is as good as a password.
  const text = option.startsWith('auth-token') ? `${option.split(' ')[0] ?? ''} …` : shown(option);
  switch (filter.action) {
    case 'accept':
      return { verdict: 'accept', log: { flags: Level.low, text: `Pushed option accepted by filter: '${text}'` } };
    case 'ignore':
      return { verdict: 'ignore', log: { flags: Level.push, text: `Pushed option removed by filter: '${text}'` } };
    case 'reject':
      return {
        verdict: 'reject',
        log: { flags: Severity.warning, text: `Pushed option rejected by filter: '${text}'. Restarting.` },
      };
    default:
      return filter.action satisfies never;
  }
}

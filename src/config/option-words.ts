// What is said about one option: `--help`, the man page and COMPATIBILITY.md have their words from here, and from the row
// that `sallyport check` reads, so that none of them can say something else.

import type { OptionRow } from './option-row.ts';

/** Headings of the four answers, in the order in which COMPATIBILITY.md counts them. */
export const STATUS_WORDS = {
  works: 'works',
  'no-effect': 'accepted without effect',
  refused: 'refused',
  'not-yet': 'not yet',
} as const satisfies Record<OptionRow['status']['kind'], string>;

/** Why an option does not do what it says, and what to do about it; empty for one that works. */
export function whyOf({ status }: OptionRow): string {
  switch (status.kind) {
    case 'works':
      return '';
    case 'no-effect':
      return [sentence(status.reason), status.advice].filter(Boolean).join(' ');
    case 'refused':
      return `${sentence(status.reason)} ${status.advice}`;
    case 'not-yet':
      return `${sentence(status.reason)}${status.blocking ? '' : ' The rest of a configuration works all the same.'}`;
    default:
      return status satisfies never;
  }
}

/** `Deprecated since OpenVPN 2.6: write tls-groups.`; empty for others. Removed options say so in their help. */
export function deprecationOf({ deprecated, status, help }: OptionRow): string {
  if (deprecated === undefined) return '';
  const instead = 'advice' in status && status.advice === deprecated.instead ? '' : ` ${deprecated.instead}`;
  if (help.includes(`OpenVPN ${deprecated.since}`)) return instead.trim();
  return `Deprecated since OpenVPN ${deprecated.since}.${instead}`;
}

/** Where an option stands that can't stand in a configuration itself; empty for the others. */
export function placeOf({ contexts }: OptionRow): string {
  if (contexts.includes('ccd-only'))
    return 'Only for one client: in its file in client-config-dir, or from client-connect.';
  return contexts.includes('pushed-only') ? 'Only in a push reply.' : '';
}

/** A sentence of its own: a capital at the beginning, where it is no option's name, and a full stop. */
export function sentence(text: string): string {
  const begun = /^[a-z]+ /.test(text) ? `${text[0]?.toUpperCase()}${text.slice(1)}` : text;
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

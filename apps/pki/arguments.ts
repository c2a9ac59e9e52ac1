// Command lines of the pki commands, read by one table for each command.

import { parseArgs } from 'node:util';
import { parseAddress } from '../../src/pki.ts';
import { DEFAULT_DAYS } from './authority.ts';
import type { AlternativeName } from './certificates.ts';
import { checkRsaBits, DEFAULT_RSA_BITS, type KeyKind } from './keys.ts';
import { clean, refuse } from './refuse.ts';

/** Option names: `flag` takes nothing, `value` takes one word, `values` may be repeated. */
export type OptionTable = Readonly<Record<string, 'flag' | 'value' | 'values'>>;

export interface Words {
  readonly names: readonly string[];
  has(option: string): boolean;
  value(option: string): string | undefined;
  values(option: string): readonly string[];
}

/** Reads a command's words; `count` names belong to it. Refuses what the table does not have. */
export function readWords(argv: readonly string[], table: OptionTable, count: 0 | 1, usage: string): Words {
  const help = `Usage: ${usage}; with --help it tells of its options.`;
  const options = Object.fromEntries(
    Object.entries(table).map(([name, kind]) => [
      name,
      { type: kind === 'flag' ? ('boolean' as const) : ('string' as const), multiple: kind === 'values' },
    ]),
  );
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: withRsaBits(argv), options, allowPositionals: true, strict: true });
  } catch (error) {
    const sentence = (error instanceof Error ? error.message : String(error)).split(/[.\n] ?/)[0] ?? '';
    return refuse(clean(sentence.charAt(0).toLowerCase() + sentence.slice(1)), help);
  }
  const { positionals, values } = parsed;
  if (positionals.length < count) refuse('a name is missing', help);
  if (positionals.length > count) refuse(`'${clean(positionals[count] ?? '')}' is one word too many`, help);
  return {
    names: positionals,
    has: (option) => values[option] === true,
    value: (option) => values[option] as string | undefined,
    values: (option) => (values[option] as string[] | undefined) ?? [],
  };
}

// `--rsa` takes its bits or stands alone, which parseArgs does not know.
function withRsaBits(argv: readonly string[]): string[] {
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]!;
    if (word !== '--rsa') words.push(word);
    else if (/^\d+$/.test(argv[index + 1] ?? '')) words.push(`--rsa=${argv[++index]}`);
    else words.push(`--rsa=${DEFAULT_RSA_BITS}`);
  }
  return words;
}

/** `--rsa [BITS]` or `--ec`; undefined for neither. */
export function keyKind(words: Words): KeyKind | undefined {
  const rsa = words.value('rsa');
  if (rsa !== undefined && words.has('ec')) refuse('--rsa and --ec exclude each other');
  if (rsa !== undefined) return { kind: 'rsa', bits: checkRsaBits(rsa) };
  return words.has('ec') ? { kind: 'ec' } : undefined;
}

const MAX_DAYS = 36_500;

/** A number of days; `otherwise` when the option is not there. */
export function daysOf(words: Words, option: string, otherwise: number): number {
  return optionalDays(words, option) ?? otherwise;
}

/** A number of days, or undefined when the option is not there. */
export function optionalDays(words: Words, option: string): number | undefined {
  const text = words.value(option);
  if (text === undefined) return undefined;
  const days = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (days < 1 || days > MAX_DAYS) {
    refuse(
      `--${option}: '${clean(text.slice(0, 80))}' is not a number of days`,
      `Days from 1 to ${MAX_DAYS}; without it, ${DEFAULT_DAYS}.`,
    );
  }
  return days;
}

/** `--san dns:NAME`, `--san ip:ADDRESS`, `--san email:ADDRESS`. */
export function alternativeNames(words: Words): readonly AlternativeName[] {
  return words.values('san').map((text): AlternativeName => {
    const [, type = '', value = ''] = /^(dns|ip|email):(.+)$/i.exec(text) ?? [];
    const kind = type.toLowerCase();
    if (kind === 'dns' && /^(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/.test(value)) return { type: 'dns', value };
    if (kind === 'ip' && parseAddress(value) !== undefined) return { type: 'ip', value };
    if (kind === 'email' && /^[\x21-\x3f\x41-\x7e]+@[A-Za-z0-9.-]+$/.test(value)) return { type: 'email', value };
    return refuse(
      `--san: '${clean(text.slice(0, 80))}' is not understood`,
      'Write dns:vpn.example.org, ip:203.0.113.5 or email:a@example.org.',
    );
  });
}

// A command line that asks for a new key (`genkey`) in place of a tunnel. Files of options may say the rest: with a
// server's own file before it, `genkey tls-crypt-v2-client` finds the server key there.

import { sourceOf } from './build-connection.ts';
import { type ConfigHost, collectLines } from './collect-lines.ts';
import type { ConfigLine, Source } from './config.ts';
import { Findings, optionsErrorText } from './findings.ts';
import { shown } from './values.ts';

export type KeyRequest = {
  /** undefined: standard output. */
  readonly path: string | undefined;
  /** Directory to go to first. */
  readonly cd: string | undefined;
  readonly verb: number;
} & (
  | { readonly kind: 'static'; readonly deprecatedForm: boolean }
  | { readonly kind: 'tls-crypt-v2-server' | 'auth-token' }
  | {
      readonly kind: 'tls-crypt-v2-client';
      readonly serverKey: Source;
      /** Base64; undefined: the time. */
      readonly metadata: string | undefined;
    }
);

/** Lines that say what is wrong with the command line, the C program's words. */
export interface KeyRefusal {
  readonly problems: readonly string[];
  /** `--secret` is there, whatever else is wrong. */
  readonly deprecatedForm: boolean;
}

type Kind = KeyRequest['kind'];
const KINDS = new Map<string, Kind>([
  ['secret', 'static'],
  ['tls-auth', 'static'],
  ['tls-crypt', 'static'],
  ['tls-crypt-v2-server', 'tls-crypt-v2-server'],
  ['tls-crypt-v2-client', 'tls-crypt-v2-client'],
  ['auth-token', 'auth-token'],
]);

/** Whether the command line asks for a key. */
export const asksForKey = (argv: readonly string[]): boolean => argv.includes('--genkey');

/** What is asked for. Only what cannot be read is complained about: a tunnel's options need not be complete here. */
export function parseKeyRequest(argv: readonly string[], host: ConfigHost): KeyRequest | KeyRefusal {
  const findings = new Findings();
  const lines = collectLines({ argv }, host, findings);
  const unread = findings.all.filter(
    ({ severity, kind }) => severity === 'error' && (kind === 'invalid' || kind === 'unknown'),
  );
  const old = afterOption(argv, '--secret');
  const deprecatedForm = old !== undefined;
  if (unread.length > 0) {
    return { problems: unread.flatMap((each) => withAdvice(optionsErrorText(each), each.advice)), deprecatedForm };
  }
  const refuse = (problem: string, advice?: string): KeyRefusal => ({
    problems: withAdvice(`Options error: ${problem}`, advice),
    deprecatedForm,
  });

  const last = (option: string): ConfigLine | undefined => lines.filter((line) => line.option === option).at(-1);
  const [type, path, extra] = last('genkey')?.words ?? [];
  const kind = KINDS.get(type ?? 'secret');
  if (kind === undefined) {
    return refuse(`unknown --genkey type: ${shown(type ?? '')}`, `Write --genkey secret ${shown(type ?? '')}.`);
  }
  const asked = Number(last('verb')?.words[0] ?? 1);
  const verb = Number.isInteger(asked) ? asked : 1;
  const where = { path: path === '' ? undefined : path, cd: last('cd')?.words[0], verb };
  switch (kind) {
    case 'static':
      if (old === undefined) return { kind, ...where, deprecatedForm };
      if (where.path !== undefined)
        return refuse('You must provide a filename to either --genkey or --secret, not both');
      return { kind, ...where, path: old, deprecatedForm };
    case 'tls-crypt-v2-server':
    case 'auth-token':
      return old === undefined ? { kind, ...where } : refuse(OLD_FORM);
    case 'tls-crypt-v2-client': {
      if (old !== undefined) return refuse(OLD_FORM);
      const key = last('tls-crypt-v2');
      if (key === undefined) {
        return refuse(
          '--genkey tls-crypt-v2-client requires a server key to be set via --tls-crypt-v2 to create a client key',
          'Make one with --genkey tls-crypt-v2-server FILE, and name it: --tls-crypt-v2 FILE.',
        );
      }
      return { kind, ...where, serverKey: sourceOf(key), metadata: extra };
    }
    default:
      return kind satisfies never;
  }
}

const OLD_FORM = 'Using --genkey type with --secret filename is not supported.  Use --genkey type filename instead.';

const withAdvice = (text: string, advice: string | undefined): string[] =>
  advice === undefined ? [text] : [text, `  ${advice}`];

/** The value of an option that the table refuses: only the command line is looked at. */
function afterOption(argv: readonly string[], option: string): string | undefined {
  const value = argv.includes(option) ? argv[argv.indexOf(option) + 1] : undefined;
  return value?.startsWith('--') === true ? undefined : value;
}

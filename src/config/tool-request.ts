// A command line that asks for a list or a test (`show-ciphers`, `test-crypto` …) in place of a tunnel. What shapes the
// answer may stand beside it: `show-tls` goes by tls-cipher and tls-cert-profile, `test-crypto` by cipher and auth.

import { type ConfigHost, collectLines } from './collect-lines.ts';
import type { ConfigLine } from './config.ts';
import { Findings, optionsErrorText } from './findings.ts';

/** In the order in which the C program answers when several are asked for at once. */
export const TOOLS = [
  'show-gateway',
  'show-ciphers',
  'show-digests',
  'show-engines',
  'show-tls',
  'show-groups',
  'test-crypto',
] as const;

export type ToolName = (typeof TOOLS)[number];

export interface ToolRequest {
  /** Each once, in the order of TOOLS. */
  readonly tools: readonly ToolName[];
  /** Of show-gateway: the address that the way is asked to. */
  readonly address: string | undefined;
  readonly providers: readonly string[];
  readonly tlsCipher: string | undefined;
  readonly tlsCiphersuites: string | undefined;
  readonly tlsCertProfile: string | undefined;
  /** As written, `none` or upper case; undefined where the line does not say. */
  readonly cipher: string | undefined;
  readonly auth: string | undefined;
  /** File of a static key whose halves are tested in place of a random key. */
  readonly secret: string | undefined;
  /** The longest packet that test-crypto tries. */
  readonly maxPacketBytes: number;
  readonly verb: number;
}

const ALIASES: ReadonlyMap<string, ToolName> = new Map([['show-curves', 'show-groups']]);

const toolOf = (option: string): ToolName | undefined => TOOLS.find((tool) => tool === option) ?? ALIASES.get(option);

/** Whether an option prints something and ends the program. */
export const isTool = (option: string): boolean => toolOf(option) !== undefined;

/** Whether the command line asks for a list or a test. */
export const asksForTool = (argv: readonly string[]): boolean =>
  argv.some((word) => word.startsWith('--') && toolOf(word.slice(2)) !== undefined);

/** What is asked for, or what cannot be read: a tunnel's options need not be complete here. */
export function parseToolRequest(
  argv: readonly string[],
  host: ConfigHost,
): ToolRequest | { readonly problems: readonly string[] } {
  const findings = new Findings();
  const lines = collectLines({ argv }, host, findings);
  const unread = findings.all.filter(
    ({ severity, kind }) => severity === 'error' && (kind === 'invalid' || kind === 'unknown'),
  );
  if (unread.length > 0) {
    return {
      problems: unread.flatMap((each) => [
        optionsErrorText(each),
        ...(each.advice === undefined ? [] : [`  ${each.advice}`]),
      ]),
    };
  }
  const last = (option: string): ConfigLine | undefined => lines.filter((line) => line.option === option).at(-1);
  const value = (option: string): string | undefined => last(option)?.words[0];
  const number = (option: string, fallback: number): number => {
    const asked = Number(value(option) ?? fallback);
    return Number.isInteger(asked) && asked >= 0 ? asked : fallback;
  };
  // `secret` is refused for a tunnel, so that no line of it is left; here the old form with a key file still has a meaning.
  const secret = argv.includes('--secret') ? argv[argv.indexOf('--secret') + 1] : undefined;
  return {
    tools: TOOLS.filter((tool) => lines.some((line) => toolOf(line.option) === tool)),
    address: value('show-gateway'),
    providers: last('providers')?.words ?? [],
    tlsCipher: value('tls-cipher'),
    tlsCiphersuites: value('tls-ciphersuites'),
    tlsCertProfile: value('tls-cert-profile'),
    cipher: upper(value('cipher')),
    auth: upper(value('auth')),
    secret: secret?.startsWith('--') === true ? undefined : secret,
    maxPacketBytes: packetBytes(number('tun-mtu', 0), number('tun-mtu-extra', 0)),
    verb: number('verb', 1),
  };
}

const upper = (name: string | undefined): string | undefined => (name === 'none' ? name : name?.toUpperCase());

// Figures observed with OpenVPN 2.7: 1768 up to an MTU of 1600, from there on 168 more than the MTU.
const LEAST_MTU = 1600;
const ROOM_BYTES = 168;
const MOST_BYTES = 65_000;

const packetBytes = (mtu: number, extra: number): number =>
  Math.min(Math.max(mtu, LEAST_MTU) + ROOM_BYTES + extra, MOST_BYTES);

// The key that a peer's first packet brings, at the TLS server of two equal ends (tls-crypt-v2).

import { contactLines } from '../control/contact-words.ts';
import { keyAgeProblem } from '../control/key-age.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import type { LogFlags } from '../log.ts';
import { parseKeyId } from '../wire/opcode.ts';
import type { WrappedMetadata } from '../wire/tls-crypt-v2.ts';

export type BroughtKey =
  | {
      readonly wrap: Extract<WrapOptions, { kind: 'tls-crypt-v2-server' }>;
      readonly metadata: WrappedMetadata | undefined;
    }
  /** Why it can't be read, in the C program's words. */
  | { readonly problem: string };

/** Why a key is not taken, as lines for the log; undefined where nothing is against it. `first`: the packet it came in. */
export function keyRefusal(
  key: BroughtKey,
  first: Uint8Array,
  maxAgeDays: number | undefined,
  unixSeconds: number,
  remoteText: string,
): readonly (readonly [LogFlags, string])[] | undefined {
  const isBad = 'problem' in key;
  const problem = isBad ? key.problem : keyAgeProblem(key.metadata, maxAgeDays, unixSeconds);
  if (problem === undefined) return undefined;
  const byte = first[0] ?? 0;
  return contactLines(
    {
      kind: 'drop',
      cause: isBad ? 'bad-wrapped-key' : 'old-key',
      opcode: byte >> 3,
      keyId: parseKeyId(byte),
      lengthBytes: first.length,
      wrapKind: undefined,
      problem,
    },
    remoteText,
  );
}

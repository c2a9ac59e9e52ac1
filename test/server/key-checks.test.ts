import { describe, expect, it } from 'vitest';
import type { Claim } from '../../src/control/first-contact.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { socketAddress } from '../../src/ip/socket-address.ts';
import { KeyChecks } from '../../src/server/key-checks.ts';
import type { WrappedMetadata } from '../../src/wire/tls-crypt-v2.ts';

const address = (port: number) => socketAddress(parseAddress('192.0.2.2') ?? new Uint8Array(4), port);
const claimOf = (metadata?: WrappedMetadata) =>
  ({
    wrap: { kind: 'tls-crypt-v2-server', clientKey: new Uint8Array(256).fill(7) },
    metadata,
  }) as unknown as Claim;
const keyOf = ({ wrap }: Claim): number | undefined =>
  wrap.kind === 'tls-crypt-v2-server' ? wrap.clientKey[0] : undefined;

function checks(verify: (metadata: WrappedMetadata | undefined) => Promise<boolean>, checksKeys = true) {
  const lines: string[] = [];
  const own = new KeyChecks({
    scripts: {
      checksKeys,
      verifyKey(metadata, log) {
        log(0, 'asked');
        return verify(metadata);
      },
    },
    log: (_flags, text) => lines.push(text),
  });
  return { own, lines };
}

describe('the judgement on a tls-crypt-v2 key', () => {
  it('is asked for where a program is named, and of clients with a key of their own', () => {
    const none = { wrap: { kind: 'none' } } as unknown as Claim;
    const yes = async () => true;
    expect(checks(yes).own.concerns(claimOf())).toBe(true);
    expect(checks(yes).own.concerns(none)).toBe(false);
    expect(checks(yes, false).own.concerns(claimOf())).toBe(false);
  });

  it('hands the metadata to the program, and leaves an accepted key as it is', async () => {
    const seen: unknown[] = [];
    const { own, lines } = checks(async (metadata) => seen.push(metadata) > 0);
    const claim = claimOf({ type: 1, bytes: Uint8Array.of(1, 2) });
    expect(await own.judge(claim, 1, address(40000))).toBe('accepted');
    expect(seen).toEqual([{ type: 1, bytes: Uint8Array.of(1, 2) }]);
    expect(lines).toEqual(['192.0.2.2:40000 asked']);
    expect(keyOf(claim)).toBe(7);
  });

  it('wipes a refused key and says so in the C program’s words', async () => {
    const { own, lines } = checks(async () => false);
    const claim = claimOf();
    expect(await own.judge(claim, 1, address(40000))).toBe('refused');
    expect(lines.at(-1)).toBe(
      '192.0.2.2:40000 TLS Error: can not extract tls-crypt-v2 client key from [AF_INET]192.0.2.2:40000',
    );
    expect(keyOf(claim)).toBe(0);
  });

  it('refuses where the program can’t be asked', async () => {
    const { own, lines } = checks(async () => {
      throw new Error('no room for a file');
    });
    expect(await own.judge(claimOf(), 1, address(40000))).toBe('refused');
    expect(lines).toContain('192.0.2.2:40000 ERROR: no room for a file');
  });

  it('is one at a time for an address, and bounded for all', async () => {
    let answer = (_yes: boolean): void => {};
    let asked = 0;
    const answers = new Promise<boolean>((resolve) => {
      answer = resolve;
    });
    const { own } = checks(() => {
      asked++;
      return answers;
    });
    const first = own.judge(claimOf(), 1, address(1));
    const again = claimOf();
    expect(await own.judge(again, 1, address(1))).toBe('busy');
    expect(keyOf(again)).toBe(0);
    const others = Array.from({ length: 200 }, (_, index) => own.judge(claimOf(), 1, address(index + 2)));
    expect(asked).toBe(64);
    answer(true);
    expect(await first).toBe('accepted');
    const verdicts = await Promise.all(others);
    expect(verdicts.filter((verdict) => verdict === 'accepted')).toHaveLength(63);
    expect(verdicts.filter((verdict) => verdict === 'busy')).toHaveLength(137);
    expect(await own.judge(claimOf(), 1, address(1))).toBe('accepted');
  });
});

import { describe, expect, it } from 'vitest';
import { KeyGate } from '../../src/client/key-gate.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { socketAddress } from '../../src/ip/socket-address.ts';
import type { BroughtKey } from '../../src/session/brought-key.ts';
import { timestampMetadata } from '../../src/wire/tls-crypt-v2.ts';

const DAY = 86_400;
const NOW = 1_800_000_000;
const from = socketAddress(parseAddress('192.0.2.2') ?? new Uint8Array(4), 40_000);
const first = Uint8Array.of(0x50, 1, 2, 3);

function gate(
  lines: readonly string[],
  key: BroughtKey | undefined,
  agrees: () => Promise<boolean> = async () => true,
) {
  const inline = ['ca', 'cert', 'key'].flatMap((name) => [`<${name}>`, 'x', `</${name}>`]);
  const text = ['dev tun', 'dh none', 'tls-server', 'ifconfig 10.8.0.1 10.8.0.2', ...inline, ...lines, ''].join('\n');
  const { config, findings } = parseConfig({ text, file: 'x' }, { readText: () => undefined });
  const profile = config?.connections[0];
  if (config === undefined || profile === undefined) throw new Error(JSON.stringify(findings));
  const log: string[] = [];
  const asked: unknown[] = [];
  const made = new KeyGate(config, {
    material: { broughtKey: () => key },
    scripts: {
      verifyKey(metadata) {
        asked.push(metadata);
        return agrees();
      },
    },
    clock: { now: () => ({ monoMs: 0, unixSeconds: NOW }) },
    log: (_flags, line) => void log.push(line),
  });
  const through: Uint8Array[] = [];
  return { log, asked, through, pass: () => made.pass(profile, first, from, (wrap) => through.push(wrap.clientKey)) };
}

const keyOf = (metadata: Extract<BroughtKey, { wrap: unknown }>['metadata']) => {
  const clientKey = new Uint8Array(8).fill(7);
  return { clientKey, key: { wrap: { kind: 'tls-crypt-v2-server', clientKey }, metadata } as const };
};
const NO_KEY = 'TLS Error: can not extract tls-crypt-v2 client key from [AF_INET]192.0.2.2:40000';
const VERIFY = ['script-security 2', 'tls-crypt-v2-verify /bin/judge'];

describe('a key that the first packet of an equal end brings', () => {
  it('passes at once where nothing is asked of it', () => {
    const { key, clientKey } = keyOf(undefined);
    const made = gate([], key);
    expect(made.pass()).toBeUndefined();
    expect(made.through).toEqual([clientKey]);
    expect(made.log).toEqual([]);
  });

  it('that is not there is waited for in silence', () => {
    const made = gate([], undefined);
    expect(made.pass()).toBeUndefined();
    expect([made.through, made.log]).toEqual([[], []]);
  });

  it('that does not open is refused in the words of OpenVPN', () => {
    const made = gate([], { problem: 'client key authentication error' });
    expect(made.pass()).toBeUndefined();
    expect(made.through).toEqual([]);
    expect(made.log).toEqual([
      'tls_crypt_v2_unwrap_client_key: client key authentication error',
      'Can not unwrap tls-crypt-v2 client key',
      NO_KEY,
    ]);
  });

  it.each([
    ['as old as it may be', timestampMetadata(NOW - 3 * DAY), undefined],
    ['older', timestampMetadata(NOW - 3 * DAY - 1), 'ERROR: Client key is too old.'],
    ['without a time', { type: 0, bytes: new Uint8Array(20) }, 'ERROR: Client key does not have a timestamp.'],
    ['with nothing', undefined, 'ERROR: Client key metadata is too small to contain a timestamp.'],
  ])('under tls-crypt-v2-max-age, %s', (_title, metadata, problem) => {
    const { key, clientKey } = keyOf(metadata);
    const made = gate(['tls-crypt-v2-max-age 3'], key);
    expect(made.pass()).toBeUndefined();
    expect(made.through).toEqual(problem === undefined ? [clientKey] : []);
    expect(made.log).toEqual(problem === undefined ? [] : [problem, NO_KEY]);
    expect(clientKey[0], 'what is refused is wiped').toBe(problem === undefined ? 7 : 0);
  });

  it('passes when the program of tls-crypt-v2-verify has agreed, and no other is looked at meanwhile', async () => {
    const { key, clientKey } = keyOf({ type: 0, bytes: Uint8Array.of(1) });
    let agree = (_: boolean): void => {};
    const made = gate(VERIFY, key, () => new Promise((resolve) => (agree = resolve)));
    const passing = made.pass();
    expect(made.pass()).toBeUndefined();
    expect([made.through, made.asked]).toEqual([[], [key.metadata]]);
    agree(true);
    await passing;
    expect(made.through).toEqual([clientKey]);
  });

  it('is wiped where the program does not agree, and the next one is looked at', async () => {
    const { key, clientKey } = keyOf({ type: 0, bytes: Uint8Array.of(1) });
    const made = gate(VERIFY, key, async () => false);
    await made.pass();
    expect([made.through, made.log, clientKey[0]]).toEqual([[], [NO_KEY], 0]);
    await made.pass();
    expect(made.asked).toHaveLength(2);
  });
});

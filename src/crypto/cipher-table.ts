// What is known of data-channel ciphers by their OpenVPN names. Lengths are in bytes.
//
// The room `crypto/` turns secrets into data keys: static-key-directions for the control channel's keys, prf and
// derive-data-keys for the data channel's, cipher-table for how much of it an algorithm takes. provider.ts is the port
// to the cryptographic library.

/** `feedback`: CFB and OFB, which make a stream of the block cipher. */
export type CipherKind = 'aead' | 'cbc' | 'feedback' | 'none';

export interface CipherFacts {
  /** The name as OpenVPN writes it. */
  readonly name: string;
  readonly kind: CipherKind;
  readonly keyBytes: number;
  /** Nonce for AEAD. */
  readonly ivBytes: number;
  readonly blockBytes: number;
  /** 64-bit blocks: keys are changed after 64 MiB (SWEET32). */
  readonly smallBlock: boolean;
  /** Bytes that one key may protect; 0 for none. What AES-GCM may carry is counted in blocks (data/usage-limits.ts). */
  readonly limitBytes: number;
}

/** The C program's reneg-bytes for 64-bit blocks. */
const SMALL_BLOCK_LIMIT_BYTES = 64 * 1024 * 1024;

const aead = (name: string, keyBytes: number): CipherFacts => ({
  name,
  kind: 'aead',
  keyBytes,
  ivBytes: 12,
  blockBytes: 1,
  smallBlock: false,
  limitBytes: 0,
});

const block = (kind: 'cbc' | 'feedback', name: string, keyBytes: number, blockBytes: number): CipherFacts => ({
  name,
  kind,
  keyBytes,
  ivBytes: blockBytes,
  blockBytes,
  smallBlock: blockBytes === 8,
  limitBytes: blockBytes === 8 ? SMALL_BLOCK_LIMIT_BYTES : 0,
});

const FEEDBACKS = ['CFB', 'OFB'];
/** Feedback of 8 bits and of one, which some libraries have for some ciphers. */
const NARROW_FEEDBACKS = ['CFB8', 'CFB1'];

const inModes = (
  family: string,
  keyBytes: number,
  blockBytes: number,
  feedbacks: readonly string[],
): readonly CipherFacts[] => [
  block('cbc', `${family}-CBC`, keyBytes, blockBytes),
  ...feedbacks.map((mode) => block('feedback', `${family}-${mode}`, keyBytes, blockBytes)),
];

const inKeyLengths = (family: string): readonly CipherFacts[] =>
  [16, 24, 32].flatMap((keyBytes) =>
    inModes(`${family}-${8 * keyBytes}`, keyBytes, 16, [...FEEDBACKS, ...NARROW_FEEDBACKS]),
  );

const TABLE: readonly CipherFacts[] = [
  aead('AES-128-GCM', 16),
  aead('AES-192-GCM', 24),
  aead('AES-256-GCM', 32),
  aead('CHACHA20-POLY1305', 32),
  aead('ARIA-128-GCM', 16),
  aead('ARIA-192-GCM', 24),
  aead('ARIA-256-GCM', 32),
  aead('SM4-GCM', 16),
  ...inKeyLengths('AES'),
  ...inKeyLengths('CAMELLIA'),
  ...inKeyLengths('ARIA'),
  ...inModes('SEED', 16, 16, FEEDBACKS),
  ...inModes('SM4', 16, 16, FEEDBACKS),
  ...inModes('BF', 16, 8, FEEDBACKS),
  ...inModes('CAST5', 16, 8, FEEDBACKS),
  ...inModes('DES-EDE3', 24, 8, [...FEEDBACKS, ...NARROW_FEEDBACKS]),
  ...inModes('DES-EDE', 16, 8, FEEDBACKS),
  ...inModes('DES', 8, 8, [...FEEDBACKS, ...NARROW_FEEDBACKS]),
  { name: 'none', kind: 'none', keyBytes: 0, ivBytes: 0, blockBytes: 1, smallBlock: false, limitBytes: 0 },
];

const BY_NAME = new Map(TABLE.map((facts) => [facts.name.toUpperCase(), facts]));

/** Facts about a cipher by its OpenVPN name in any case (`none` for the null cipher), or undefined for an unknown one. */
export function cipherFacts(name: string): CipherFacts | undefined {
  return BY_NAME.get(name === '[null-cipher]' ? 'NONE' : name.toUpperCase());
}

/** Every cipher but the null one, by its OpenVPN name. */
export const cipherNames = (): readonly string[] => TABLE.filter(({ kind }) => kind !== 'none').map(({ name }) => name);

/** Every digest of the table but `none`, upper case. */
export const digestNames = (): readonly string[] => [...DIGEST_BYTES.keys()].filter((name) => name !== 'NONE');

/** Lengths of the digests that `--auth` commonly names; the provider knows the rest. */
const DIGEST_BYTES = new Map([
  ['MD5', 16],
  ['SHA1', 20],
  ['RIPEMD160', 20],
  ['SHA224', 28],
  ['SHA256', 32],
  ['SHA384', 48],
  ['SHA512', 64],
  ['SHA512-256', 32],
  ['SHA3-224', 28],
  ['SHA3-256', 32],
  ['SHA3-384', 48],
  ['SHA3-512', 64],
  ['BLAKE2S256', 32],
  ['BLAKE2B512', 64],
  ['NONE', 0],
]);

/** Bytes of a digest by its OpenVPN name in any case; `none` has 0; undefined for one that is not in the table. */
export function digestBytes(name: string): number | undefined {
  return DIGEST_BYTES.get(name.toUpperCase());
}

// A private key that somebody else holds, for the OpenSSL that the Node binary carries: a provider (provider-base(7),
// provider-keymgmt(7), provider-signature(7)) whose keys know the public half alone and ask a function for signatures.
// node:tls takes keys as text only; but what it calls a secure context is an SSL_CTX, and that takes such a key.
//
// The provider lives in a library context of its own, so that nothing else in the process ever finds its algorithms.
// Handles of keys and of signature contexts are numbers that count up; OpenSSL keeps them and never looks behind them. What
// OpenSSL gives back (`free`) goes to a function of libc that does nothing: at the end of a thread OpenSSL still frees keys,
// when no callback can run any more. `SigningKey.dispose` forgets them on this side.
//
// Numbers are those of OpenSSL 3's core_dispatch.h and core.h; observed with OpenSSL 3.0 of Node 20.

import { inspect } from 'node:util';
import type { SignRequest } from '../control/tls-engine.ts';
import { SallyportError } from '../error.ts';
import { declareFunctions, nativeBytes, writeAddress } from './libc.ts';
import { ParameterType, ProviderMemory } from './provider-memory.ts';

/** Called on the thread of the handshake, in the midst of it; undefined ends the handshake. */
export type SignNow = (request: SignRequest) => Uint8Array | undefined;

export interface SigningKey {
  /** Forgets the key; to be called when its connection is over. */
  dispose(): void;
}

/** The key types there can be, as OpenSSL names them; by the names that node:crypto has for them. */
const KEY_TYPES = { rsa: 'RSA', ec: 'EC', ed25519: 'ED25519', ed448: 'ED448' } as const;

type KeyType = (typeof KEY_TYPES)[keyof typeof KEY_TYPES];

/**
 * Makes a secure context of node:tls, whose certificate is set, sign with `sign`. `publicKey`: the certificate's, as
 * SubjectPublicKeyInfo. Throws SallyportError when OpenSSL does not take it.
 */
export function useSigningKey(
  context: { readonly context: object },
  { asymmetricKeyType, publicKey }: { readonly asymmetricKeyType: string; readonly publicKey: Uint8Array },
  sign: SignNow,
): SigningKey {
  const type = Object.hasOwn(KEY_TYPES, asymmetricKeyType)
    ? KEY_TYPES[asymmetricKeyType as keyof typeof KEY_TYPES]
    : undefined;
  provider ??= createProvider();
  const address = addressOfContext(context);
  const key = type && provider.load(type, publicKey, sign, (made) => openssl.contextUse(address, made) === 1);
  if (key !== undefined) return key;
  throw new SallyportError('Cannot enable SSL external private key capability', {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: 'The key of the certificate has to be RSA, EC or Ed25519; openssl x509 -noout -text shows it.',
  });
}

/** Node tells the address of what is behind a handle only in words: `[External: 55d0c8a0]`. */
function addressOfContext({ context }: { readonly context: object }): number {
  const external: unknown = (context as { _external?: unknown })._external;
  const found = /^\[External: (?:0x)?([0-9a-f]+)\]$/.exec(inspect(external));
  const address = found === null ? 0 : Number.parseInt(found[1]!, 16);
  if (address > 0) return address;
  throw new SallyportError('management-external-key: this Node does not tell where its TLS contexts are', {
    code: 'SALLYPORT_INTERNAL',
    blame: 'internal',
    hint: 'Use Node 20, 22 or 24.',
  });
}

interface OpenSsl {
  libraryContext(): number;
  addBuiltin(library: number, name: string, init: number): number;
  loadProvider(library: number, name: string): number;
  keyContext(library: number, type: string, properties: string | null): number;
  keyContextFree(context: number): void;
  fromDataInit(context: number): number;
  fromData(context: number, key: number, selection: number, parameters: number): number;
  readPublicKey(key: number, bytes: number, length: number): number;
  keyFree(key: number): void;
  keyParameters(key: number, parameters: number): number;
  keyEquals(a: number, b: number): number;
  sameParameters(a: number, b: number): number;
  signatureBytes(key: number): number;
  keyBits(key: number): number;
  contextUse(context: number, key: number): number;
  clearErrors(): void;
  symbol(library: number, name: string): number;
}

const openssl = declareFunctions<OpenSsl>({
  libraryContext: 'uintptr_t OSSL_LIB_CTX_new()',
  addBuiltin: 'int OSSL_PROVIDER_add_builtin(uintptr_t, const char *, uintptr_t)',
  loadProvider: 'uintptr_t OSSL_PROVIDER_load(uintptr_t, const char *)',
  keyContext: 'uintptr_t EVP_PKEY_CTX_new_from_name(uintptr_t, const char *, const char *)',
  keyContextFree: 'void EVP_PKEY_CTX_free(uintptr_t)',
  fromDataInit: 'int EVP_PKEY_fromdata_init(uintptr_t)',
  fromData: 'int EVP_PKEY_fromdata(uintptr_t, uintptr_t, int, uintptr_t)',
  readPublicKey: 'uintptr_t d2i_PUBKEY(uintptr_t, uintptr_t, long)',
  keyFree: 'void EVP_PKEY_free(uintptr_t)',
  keyParameters: 'int EVP_PKEY_get_params(uintptr_t, uintptr_t)',
  keyEquals: 'int EVP_PKEY_eq(uintptr_t, uintptr_t)',
  sameParameters: 'int EVP_PKEY_parameters_eq(uintptr_t, uintptr_t)',
  signatureBytes: 'int EVP_PKEY_get_size(uintptr_t)',
  keyBits: 'int EVP_PKEY_get_bits(uintptr_t)',
  contextUse: 'int SSL_CTX_use_PrivateKey(uintptr_t, uintptr_t)',
  clearErrors: 'void ERR_clear_error()',
  symbol: 'uintptr_t dlsym(uintptr_t, const char *)',
});

const NAME = 'sallyport-outside';
const PROPERTIES = `provider=${NAME}`;
/** The parameter by which a key of ours is told from one that OpenSSL lends us to compare with. */
const OUTSIDE = 'sallyport-outside';

const Operation = { keyManagement: 10, signature: 12 } as const;
const Provider = { queryOperation: 1027 } as const;
const KeyManagement = {
  create: 1,
  free: 10,
  parameters: 11,
  parameterNames: 12,
  operationName: 20,
  has: 21,
  match: 23,
  import: 40,
  importTypes: 41,
} as const;
const Signature = {
  create: 1,
  digestSignInit: 8,
  digestSign: 11,
  free: 16,
  parameters: 18,
  parameterNames: 19,
  setParameters: 20,
  settableNames: 21,
} as const;
const Selection = { privateKey: 1, keyPair: 3, keyPairAndParameters: 0x87 } as const;
/** RSA_PKCS1_PADDING … in rsa.h, where a padding comes as a number. */
const PADDINGS: Readonly<Record<number, SignRequest['padding']>> = { 1: 'pkcs1', 3: 'none', 6: 'pss' };

/** What a provider has under which names. */
const ALGORITHMS: Readonly<Record<KeyType, { readonly key: string; readonly signature: string }>> = {
  RSA: { key: 'RSA:rsaEncryption', signature: 'RSA:rsaEncryption' },
  EC: { key: 'EC:id-ecPublicKey', signature: 'ECDSA' },
  ED25519: { key: 'ED25519', signature: 'ED25519' },
  ED448: { key: 'ED448', signature: 'ED448' },
};

interface Key {
  /** EVP_PKEY of the public half, in the default provider. */
  publicKey: number;
  sign: SignNow | undefined;
  type: KeyType;
}

interface Signing {
  key: number;
  digest: string | undefined;
  padding: SignRequest['padding'];
  saltLength: SignRequest['saltLength'];
}

let provider: ReturnType<typeof createProvider> | undefined;

/** Once for each thread that signs. Its callbacks run on that thread. */
function createProvider() {
  const memory = new ProviderMemory(OUTSIDE);
  const nothing = openssl.symbol(0, 'labs');
  const keys = new Map<number, Key>();
  const signings = new Map<number, Signing>();
  let lastId = 0;
  const { keyParameterNames, noParameters, settableNames } = memory;
  /** What the import that is under way is about. */
  let loading: { readonly publicKey: number; readonly sign: SignNow } | undefined;

  const management = (type: KeyType): number =>
    memory.dispatch([
      [
        KeyManagement.create,
        memory.callback('uintptr_t', 'uintptr_t', () => {
          keys.set(++lastId, { publicKey: 0, sign: undefined, type });
          return lastId;
        }),
      ],
      [KeyManagement.free, nothing],
      [
        KeyManagement.parameters,
        memory.callback('int', 'uintptr_t, uintptr_t', (id, parameters) =>
          openssl.keyParameters(keys.get(id)!.publicKey, parameters),
        ),
      ],
      [KeyManagement.parameterNames, memory.constant('uintptr_t', 'uintptr_t', keyParameterNames)],
      [KeyManagement.operationName, memory.constant('uintptr_t', 'int', memory.text(type === 'EC' ? 'ECDSA' : type))],
      [
        KeyManagement.has,
        memory.callback('int', 'uintptr_t, int', (id, selection) => {
          const key = keys.get(id);
          const isMissing = (selection & Selection.privateKey) !== 0 && key?.sign === undefined;
          return key === undefined || key.publicKey === 0 || isMissing ? 0 : 1;
        }),
      ],
      [
        KeyManagement.match,
        memory.callback('int', 'uintptr_t, uintptr_t, int', (one, other, selection) => {
          const [a, b] = [keys.get(one)!.publicKey, keys.get(other)!.publicKey];
          return (selection & Selection.keyPair) !== 0 ? openssl.keyEquals(a, b) : openssl.sameParameters(a, b);
        }),
      ],
      [
        KeyManagement.import,
        memory.callback('int', 'uintptr_t, int, uintptr_t', (id, selection, parameters) => {
          const key = keys.get(id)!;
          if (memory.parameters(parameters).some(({ name }) => name === OUTSIDE)) {
            if (loading === undefined) return 0;
            Object.assign(key, loading);
            return 1;
          }
          // OpenSSL compares a certificate's key with ours: it comes in its numbers, and is made again by the default provider.
          key.publicKey = madeOf(0, type, null, selection & ~Selection.privateKey, parameters);
          return key.publicKey === 0 ? 0 : 1;
        }),
      ],
      [KeyManagement.importTypes, memory.constant('uintptr_t', 'int', noParameters)],
    ]);

  const take = (signing: Signing, parameters: number): number => {
    for (const { name, type, data, length } of memory.parameters(parameters)) {
      const text = type === ParameterType.text ? memory.textAt(data) : undefined;
      const number = type === ParameterType.integer && length === 4 ? memory.integerAt(data) : undefined;
      if (name === 'pad-mode') {
        signing.padding = (number === undefined ? (text as SignRequest['padding']) : PADDINGS[number]) ?? 'none';
      } else if (name === 'digest' && text !== undefined) signing.digest = digestName(text);
      else if (name === 'saltlen' && (text === 'digest' || text === 'max' || text === 'auto'))
        signing.saltLength = text;
    }
    return 1;
  };
  const signature = memory.dispatch([
    [
      Signature.create,
      memory.callback('uintptr_t', 'uintptr_t, uintptr_t', () => {
        signings.set(++lastId, { key: 0, digest: undefined, padding: 'pkcs1', saltLength: 'digest' });
        return lastId;
      }),
    ],
    [Signature.free, nothing],
    [
      Signature.digestSignInit,
      memory.callback('int', 'uintptr_t, uintptr_t, uintptr_t, uintptr_t', (id, digest, key, parameters) => {
        const signing = signings.get(id)!;
        signing.key = key;
        signing.digest = digest === 0 ? undefined : digestName(memory.textAt(digest));
        return take(signing, parameters);
      }),
    ],
    [
      Signature.digestSign,
      memory.callback(
        'int',
        'uintptr_t, uintptr_t, uintptr_t, size_t, uintptr_t, size_t',
        (id, out, outLength, size, message, length) => {
          const { key: keyId, digest, padding, saltLength } = signings.get(id)!;
          const key = keys.get(keyId)!;
          const most = openssl.signatureBytes(key.publicKey);
          if (out === 0) {
            memory.writeWord(outLength, most);
            return 1;
          }
          const signed = key.sign?.({
            keyType: key.type,
            padding: key.type === 'RSA' ? padding : undefined,
            digest,
            saltLength,
            keyBits: openssl.keyBits(key.publicKey),
            message: memory.bytesAt(message, length),
          });
          if (signed === undefined || signed.length === 0 || signed.length > Math.min(most, size)) return 0;
          memory.write(out, signed);
          memory.writeWord(outLength, signed.length);
          return 1;
        },
      ),
    ],
    [Signature.parameters, memory.constant('int', 'uintptr_t, uintptr_t', 1)],
    [Signature.parameterNames, memory.constant('uintptr_t', 'uintptr_t, uintptr_t', noParameters)],
    [
      Signature.setParameters,
      memory.callback('int', 'uintptr_t, uintptr_t', (id, parameters) => take(signings.get(id)!, parameters)),
    ],
    [Signature.settableNames, memory.constant('uintptr_t', 'uintptr_t, uintptr_t', settableNames)],
  ]);

  const byOperation: Readonly<Record<number, number>> = {
    [Operation.keyManagement]: memory.algorithms(
      Object.entries(ALGORITHMS).map(([type, { key }]) => [key, management(type as KeyType)]),
      PROPERTIES,
    ),
    [Operation.signature]: memory.algorithms(
      Object.values(ALGORITHMS).map((names) => [names.signature, signature]),
      PROPERTIES,
    ),
  };
  const own = memory.dispatch([
    [
      Provider.queryOperation,
      memory.callback('uintptr_t', 'uintptr_t, int, uintptr_t', (_, operation, noStore) => {
        memory.write(noStore, Uint8Array.of(0, 0, 0, 0));
        return byOperation[operation] ?? 0;
      }),
    ],
  ]);
  const init = memory.callback(
    'int',
    'uintptr_t, uintptr_t, uintptr_t, uintptr_t',
    (_core, _functions, out, context) => {
      memory.writeWord(out, own);
      memory.writeWord(context, 1);
      return 1;
    },
  );
  const library = openssl.libraryContext();
  openssl.addBuiltin(library, NAME, init);
  openssl.loadProvider(library, NAME);

  return {
    /** Makes the key and hands it to `use` as an EVP_PKEY; undefined where OpenSSL takes none of it. */
    load(type: KeyType, der: Uint8Array, sign: SignNow, use: (made: number) => boolean): SigningKey | undefined {
      const first = lastId + 1;
      const bytes = nativeBytes(der.length);
      bytes.bytes.set(der);
      const pointer = nativeBytes(8);
      writeAddress(pointer.view, 0, bytes.address);
      const publicKey = openssl.readPublicKey(0, pointer.address, der.length);
      if (publicKey === 0) return undefined;
      loading = { publicKey, sign };
      const made = madeOf(library, type, PROPERTIES, Selection.keyPairAndParameters, memory.outside);
      loading = undefined;
      const done = made !== 0 && use(made);
      if (made !== 0) openssl.keyFree(made);
      openssl.clearErrors();
      const afterLast = lastId + 1;
      const dispose = (): void => {
        for (const [id, signing] of signings) if (signing.key === first) signings.delete(id);
        for (let id = first; id < afterLast; id++) {
          const key = keys.get(id);
          keys.delete(id);
          if (key !== undefined && key.publicKey !== 0) openssl.keyFree(key.publicKey);
        }
      };
      if (done) return { dispose };
      dispose();
      return undefined;
    },
  };
}

/** An EVP_PKEY of the parameters; 0 where OpenSSL does not take them. */
function madeOf(
  library: number,
  type: KeyType,
  properties: string | null,
  selection: number,
  parameters: number,
): number {
  const context = openssl.keyContext(library, type, properties);
  if (context === 0) return 0;
  const out = nativeBytes(8);
  const done =
    openssl.fromDataInit(context) === 1 && openssl.fromData(context, out.address, selection, parameters) === 1;
  openssl.keyContextFree(context);
  return done ? Number(out.view.getBigUint64(0, true)) : 0;
}

/** `SHA2-256`, as OpenSSL's own fetches have it, is SHA256 everywhere else. */
const digestName = (name: string): string => name.toUpperCase().replace(/^SHA2-/, 'SHA');

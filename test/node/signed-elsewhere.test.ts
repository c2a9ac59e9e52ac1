// TLS engines whose private key is elsewhere: the suite of all engines, and what belongs to them alone.

import { constants, createPrivateKey, sign as cryptoSign } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  ExternalSigner,
  SignRequest,
  TlsEngineFactory,
  TlsEstablished,
  TlsFailure,
} from '../../src/control/tls-engine.ts';
import { createSignedElsewhereFactory, EXPORTED } from '../../src/node/signed-elsewhere.ts';
import { createNodeTlsFactory } from '../../src/node/tls-engine.ts';
import { type TlsSetup, tlsEngineConformance } from '../conformance/tls-engine.ts';
import { type Credential, makePki, type Pki } from '../lab/pki.ts';
import { type BuiltProgram, buildProgram } from '../lab/worker-url.ts';
import { loadSetup } from './tls-setup.ts';

/** As whoever holds the key would sign. */
function signatureOf({ keyType, padding, digest, message }: SignRequest, identity: Credential): Uint8Array {
  const key = createPrivateKey(readFileSync(identity.key));
  if (keyType !== 'RSA') return cryptoSign(digest ?? null, message, key);
  return padding === 'pss'
    ? cryptoSign(digest, message, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      })
    : cryptoSign(digest, message, key);
}

let thread: BuiltProgram;
const threads: Promise<BuiltProgram> = buildProgram('src/signing-thread.ts');

async function factoryOf(setup: TlsSetup, sign?: ExternalSigner): Promise<TlsEngineFactory> {
  thread = await threads;
  const { identity } = setup;
  const signing = sign ?? (async (request: SignRequest) => signatureOf(request, identity!));
  const elsewhere = createSignedElsewhereFactory(await loadSetup(setup, true), thread.url, signing, []);
  // The key is elsewhere for clients; the server at the other end of the suite is the usual one.
  const usual = createNodeTlsFactory(await loadSetup(setup, false));
  return { create: (role, listener) => (role === 'client' ? elsewhere : usual).create(role, listener) };
}

tlsEngineConformance('signed elsewhere', (setup) => factoryOf(setup));

describe('a handshake whose signature is asked for elsewhere', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-elsewhere-'));
  let pki: Pki;
  beforeAll(async () => {
    pki = await makePki(join(dir, 'pki'));
  }, 60_000);
  afterAll(async () => {
    rmSync(dir, { recursive: true, force: true });
    (await threads).remove();
  });

  const setup = (identity: Credential, version: '1.2' | '1.3'): TlsSetup => ({
    ca: pki.ca.cert,
    identity,
    crl: undefined,
    versionMin: version,
    versionMax: version,
  });

  /** Both ends joined; resolves with what each end was told at last. */
  async function handshake(client: TlsEngineFactory, server: TlsEngineFactory, onClient?: (close: () => void) => void) {
    const told: Record<'client' | 'server', TlsEstablished | TlsFailure | undefined> = {
      client: undefined,
      server: undefined,
    };
    const ends: Partial<Record<'client' | 'server', ReturnType<TlsEngineFactory['create']>>> = {};
    const other = { client: 'server', server: 'client' } as const;
    for (const role of ['client', 'server'] as const) {
      ends[role] = (role === 'client' ? client : server).create(role, {
        ciphertext: (bytes) => ends[other[role]]?.handleCiphertext(bytes),
        established: (info) => (told[role] = info),
        plaintext: () => {},
        flushed: () => {},
        failed: (failure) => (told[role] = failure),
      });
    }
    onClient?.(() => ends.client?.close());
    return { told, ends };
  }

  async function until(what: string, condition: () => boolean): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`${what} did not happen`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  it.each([
    ['rsa', '1.2', { keyType: 'RSA', padding: 'pss', digest: 'SHA256', saltLength: 'digest' }],
    ['rsa', '1.3', { keyType: 'RSA', padding: 'pss', digest: 'SHA256', saltLength: 'digest' }],
    ['client', '1.3', { keyType: 'EC', padding: undefined }],
  ] as const)('asks with all that the signer has to know: %s, TLS %s', async (name, version, wanted) => {
    const identity = pki[name];
    const requests: SignRequest[] = [];
    const client = await factoryOf(setup(identity, version), async (request) => {
      requests.push(request);
      return signatureOf(request, identity);
    });
    const { told, ends } = await handshake(
      client,
      createNodeTlsFactory(await loadSetup(setup(pki.server, version), false)),
    );
    await until('the handshake', () => told.client !== undefined && told.server !== undefined);
    expect(told.server).toMatchObject({ verdict: { trusted: true } });
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject(wanted);
    expect(requests[0]!.keyBits).toBe(name === 'rsa' ? 2048 : 256);
    ends.client?.close();
    ends.server?.close();
  });

  it('exports whatever the rest of the source asks an engine for, the same at both ends', async () => {
    const root = join(import.meta.dirname, '../../src');
    const labels = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => readFileSync(join(root, name), 'utf8').match(/(?<=')EXPORTER-[\w-]+(?=')/g) ?? []);
    expect(new Set(labels)).toEqual(new Set(EXPORTED.map(({ label }) => label)));
    const client = await factoryOf(setup(pki.client, '1.3'));
    const { told, ends } = await handshake(
      client,
      createNodeTlsFactory(await loadSetup(setup(pki.server, '1.3'), false)),
    );
    await until('the handshake', () => told.client !== undefined && told.server !== undefined);
    for (const { label, length } of EXPORTED) {
      expect(ends.client!.exportKeyingMaterial(length, label)).toEqual(
        ends.server!.exportKeyingMaterial(length, label),
      );
    }
    expect(() => ends.client!.exportKeyingMaterial(255, EXPORTED[0].label)).toThrow(/misuse/);
    ends.client?.close();
    ends.server?.close();
  });

  it('ends with words where the signature is refused, is none, or is too long', async () => {
    for (const answer of [
      () => Promise.reject(new Error('no')),
      async () => new Uint8Array(0),
      async () => new Uint8Array(5000),
      async () => new Uint8Array(300).fill(7),
    ]) {
      const client = await factoryOf(setup(pki.client, '1.3'), answer);
      const { told, ends } = await handshake(
        client,
        createNodeTlsFactory(await loadSetup(setup(pki.server, '1.3'), false)),
      );
      await until('the end', () => told.client !== undefined && 'origin' in told.client);
      expect((told.client as TlsFailure).text.length).toBeGreaterThan(10);
      expect(told.server === undefined || 'origin' in told.server).toBe(true);
      ends.server?.close();
    }
  });

  it('is over when its engine is closed while the answer is waited for, and the next one works', async () => {
    let asked = 0;
    let aborted = false;
    const client = await factoryOf(setup(pki.client, '1.3'), async (request, signal) => {
      if (asked++ > 0) return signatureOf(request, pki.client);
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(signal.reason);
        });
      });
    });
    const server = createNodeTlsFactory(await loadSetup(setup(pki.server, '1.3'), false));
    const first = await handshake(client, server);
    await until('the question', () => asked === 1);
    first.ends.client?.close();
    await until('its end', () => aborted);
    const second = await handshake(client, server);
    await until('the handshake', () => second.told.server !== undefined);
    expect(second.told.server).toMatchObject({ verdict: { trusted: true } });
    expect(first.told.client).toBeUndefined();
    for (const { ends } of [first, second]) {
      ends.client?.close();
      ends.server?.close();
    }
  });

  it('does not keep the process, which may end in the midst of it', async () => {
    // Nothing to see here but that this file ends: the thread sleeps in OpenSSL when the process goes.
    let asked = false;
    const client = await factoryOf(setup(pki.client, '1.3'), () => {
      asked = true;
      return new Promise(() => {});
    });
    await handshake(client, createNodeTlsFactory(await loadSetup(setup(pki.server, '1.3'), false)));
    await until('the question', () => asked);
    expect(asked).toBe(true);
  });
});

// TLS engines of a client whose private key is elsewhere. A signature is wanted in the midst of a handshake, and OpenSSL
// does not wait: so the handshakes run in a thread of their own (`src/signing-thread.ts`), which sleeps until the answer
// is there, and this is the side that talks to it. One engine that waits for its signature holds up the others of the
// thread (a renegotiation beside a live session), and nothing else.

import { X509Certificate } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { Worker } from 'node:worker_threads';
import type {
  ExternalSigner,
  SignRequest,
  TlsEngine,
  TlsEngineFactory,
  TlsFailure,
  TlsListener,
} from '../control/tls-engine.ts';
import { SallyportError } from '../error.ts';
import { type HandshakeFacts, judgeHandshake } from './tls-engine.ts';
import type { TlsMaterial } from './tls-material.ts';
import { describeTlsFailure } from './tls-words.ts';

/** Bytes of a signature; a key of 16384 bits makes one of 2048. */
const MOST_SIGNATURE_BYTES = 4096;
/** The answer's memory: one word of state, one of length, then the signature. */
export const ANSWER_HEADER_BYTES = 8;
export const AnswerState = { waiting: 0, signed: 1, refused: 2 } as const;

/** What OpenVPN takes out of a session; it is told with the handshake, because the thread can't be asked in passing. */
export const EXPORTED = [
  { label: 'EXPORTER-OpenVPN-datakeys', length: 256 },
  { label: 'EXPORTER-OpenVPN-dynamic-tls-crypt', length: 256 },
  { label: 'EXPORTER-OpenVPN-p2p-peerid', length: 3 },
] as const;

/** What the thread starts with. */
export interface SigningThreadStart {
  readonly answer: SharedArrayBuffer;
}

export type SigningCall =
  | {
      readonly type: 'create';
      readonly id: number;
      readonly options: SecureContextOptions;
      /** Of this side's certificate; undefined: it has none. */
      readonly key: { readonly asymmetricKeyType: string; readonly publicKey: Uint8Array } | undefined;
    }
  | { readonly type: 'ciphertext' | 'plaintext'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'refuse'; readonly id: number; readonly alert: number }
  | { readonly type: 'close'; readonly id: number };

export type SigningReport =
  | { readonly type: 'ciphertext' | 'plaintext'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'flushed'; readonly id: number }
  | {
      readonly type: 'established';
      readonly id: number;
      readonly facts: Omit<HandshakeFacts, 'leaf'>;
      /** DER, the peer's own first. */
      readonly sent: readonly Uint8Array[];
      /** In the order of EXPORTED. */
      readonly exported: readonly Uint8Array[];
    }
  | { readonly type: 'failed'; readonly id: number; readonly failure: TlsFailure }
  /** The thread sleeps until the answer's state is another than `waiting`. */
  | { readonly type: 'sign'; readonly id: number; readonly request: SignRequest };

interface Engine {
  readonly listener: TlsListener;
  readonly material: TlsMaterial;
  exported: readonly Uint8Array[] | undefined;
}

/** Engines for a client; the thread starts at once and ends with the process. */
export function createSignedElsewhereFactory(
  loaded: TlsMaterial,
  threadUrl: URL,
  sign: ExternalSigner,
  execArgv?: readonly string[],
): TlsEngineFactory {
  let material = loaded;
  const engines = new Map<number, Engine>();
  let lastId = 0;
  /** Whose signature is waited for. */
  let signing: { readonly id: number; readonly aborter: AbortController } | undefined;
  const answer = new SharedArrayBuffer(ANSWER_HEADER_BYTES + MOST_SIGNATURE_BYTES);
  const words = new Int32Array(answer, 0, 2);
  const worker = new Worker(threadUrl, {
    workerData: { answer } satisfies SigningThreadStart,
    ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
  });
  worker.unref();
  let dead: string | undefined;
  const died = (why: string): void => {
    dead ??= why;
    for (const id of [...engines.keys()]) failed(id, describeTlsFailure('SIGNING_THREAD', dead));
  };
  worker.on('error', (error) => died(error.message));
  worker.on('exit', () => died('the thread of the handshake ended'));
  worker.on('message', handleReport);

  function failed(id: number, failure: TlsFailure): void {
    const engine = engines.get(id);
    end(id);
    engine?.listener.failed(failure);
  }

  function end(id: number): void {
    if (!engines.delete(id)) return;
    if (signing?.id === id) signing.aborter.abort(new Error('the handshake is over'));
    worker.postMessage({ type: 'close', id } satisfies SigningCall);
  }

  function handleReport(report: SigningReport): void {
    if (report.type === 'sign') {
      void giveSignature(report.id, report.request);
      return;
    }
    const engine = engines.get(report.id);
    if (engine === undefined) return;
    switch (report.type) {
      case 'ciphertext':
      case 'plaintext':
        engine.listener[report.type](report.bytes);
        return;
      case 'flushed':
        engine.listener.flushed();
        return;
      case 'established': {
        const info = judgeHandshake({ ...report.facts, leaf: chainOf(report.sent) }, 'client', engine.material);
        engine.exported = report.exported;
        if (info === undefined) failed(report.id, describeTlsFailure('PEER_CERTIFICATE_UNREADABLE', ''));
        else engine.listener.established(info);
        return;
      }
      case 'failed':
        failed(report.id, report.failure);
        return;
      default:
        report satisfies never;
    }
  }

  /** Whatever comes of it, the thread is woken. */
  async function giveSignature(id: number, request: SignRequest): Promise<void> {
    const aborter = new AbortController();
    const own = { id, aborter };
    signing = own;
    let state: number = AnswerState.refused;
    try {
      if (!engines.has(id)) return;
      const signature = await withinSignal(sign(request, aborter.signal), aborter.signal);
      if (signature.length === 0 || signature.length > MOST_SIGNATURE_BYTES) return;
      new Uint8Array(answer, ANSWER_HEADER_BYTES).set(signature);
      words[1] = signature.length;
      state = AnswerState.signed;
    } catch {
      // No signature: the handshake ends with words of OpenSSL's.
    } finally {
      if (signing === own) signing = undefined;
      Atomics.store(words, 0, state);
      Atomics.notify(words, 0);
    }
  }

  return {
    create(role, listener) {
      if (role !== 'client') throw misuse('a key that is elsewhere is for clients');
      material = material.refresh() ?? material;
      const id = ++lastId;
      engines.set(id, { listener, material, exported: undefined });
      const { certificate, options } = material;
      if (dead !== undefined) setImmediate(() => failed(id, describeTlsFailure('SIGNING_THREAD', dead ?? '')));
      worker.postMessage({
        type: 'create',
        id,
        options,
        key: certificate && {
          asymmetricKeyType: certificate.publicKey.asymmetricKeyType ?? 'unknown',
          publicKey: new Uint8Array(certificate.publicKey.export({ type: 'spki', format: 'der' })),
        },
      } satisfies SigningCall);
      return engineOf(id);
    },
  };

  function engineOf(id: number): TlsEngine {
    return {
      handleCiphertext(bytes) {
        if (engines.has(id) && bytes.length > 0)
          worker.postMessage({ type: 'ciphertext', id, bytes } satisfies SigningCall);
      },
      handlePlaintext(bytes) {
        const engine = engines.get(id);
        if (engine === undefined) return;
        if (engine.exported === undefined) throw misuse('plaintext before the TLS handshake is complete');
        worker.postMessage({ type: 'plaintext', id, bytes } satisfies SigningCall);
      },
      refuse(alert) {
        if (engines.has(id)) worker.postMessage({ type: 'refuse', id, alert } satisfies SigningCall);
      },
      exportKeyingMaterial(lengthBytes, label) {
        const exported = engines.get(id)?.exported;
        if (exported === undefined) throw misuse('keying material without an established TLS session');
        // Under TLS 1.3 a shorter one is another one.
        const found = exported[EXPORTED.findIndex((one) => one.label === label && one.length === lengthBytes)];
        if (found === undefined) throw misuse(`keying material that is not exported here: ${label}`);
        return found.slice();
      },
      close: () => end(id),
    };
  }
}

/** The chain as node:tls gives it: each certificate knows the one that was sent behind it. */
function chainOf(sent: readonly Uint8Array[]): X509Certificate | undefined {
  let behind: X509Certificate | undefined;
  for (const der of [...sent].reverse()) {
    const certificate = new X509Certificate(der);
    Object.defineProperty(certificate, 'issuerCertificate', { value: behind });
    behind = certificate;
  }
  return behind;
}

function withinSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

const misuse = (what: string): SallyportError =>
  new SallyportError(`misuse of the TLS engine: ${what}`, { code: 'SALLYPORT_INTERNAL', blame: 'internal' });

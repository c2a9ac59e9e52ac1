// The entry of the thread in which a client's handshakes run where its private key is elsewhere: built as
// dist/bin/signing-thread.js. node:tls does the handshake, with a key that `linux/signing-provider.ts` has put into its
// context; for a signature the thread tells the main thread what to sign, and sleeps. `node/signed-elsewhere.ts` is the
// other side.

import type { X509Certificate } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { SignRequest, TlsEngine } from './control/tls-engine.ts';
import { type SigningKey, useSigningKey } from './linux/signing-provider.ts';
import { nodeTls } from './node/lazy-tls.ts';
import {
  ANSWER_HEADER_BYTES,
  AnswerState,
  EXPORTED,
  type SigningCall,
  type SigningReport,
  type SigningThreadStart,
} from './node/signed-elsewhere.ts';
import { createFactsEngine } from './node/tls-engine.ts';
import { describeTlsFailure } from './node/tls-words.ts';

const { answer } = workerData as SigningThreadStart;
const words = new Int32Array(answer, 0, 2);
const port = parentPort!;
const engines = new Map<number, { readonly engine: TlsEngine; readonly key: SigningKey | undefined }>();
const tell = (report: SigningReport): void => port.postMessage(report);

/** Sleeps until somebody has signed, or says that nobody will. */
function signNow(id: number, request: SignRequest): Uint8Array | undefined {
  Atomics.store(words, 0, AnswerState.waiting);
  tell({ type: 'sign', id, request });
  Atomics.wait(words, 0, AnswerState.waiting);
  if (Atomics.load(words, 0) !== AnswerState.signed) return undefined;
  return new Uint8Array(answer, ANSWER_HEADER_BYTES, words[1]).slice();
}

function create({ id, options, key }: Extract<SigningCall, { type: 'create' }>): void {
  let engine: TlsEngine;
  let signingKey: SigningKey | undefined;
  try {
    const context = nodeTls().createSecureContext(options);
    signingKey = key && useSigningKey(context, key, (request) => signNow(id, request));
    engine = createFactsEngine(context, {
      ciphertext: (bytes) => tell({ type: 'ciphertext', id, bytes }),
      plaintext: (bytes) => tell({ type: 'plaintext', id, bytes }),
      flushed: () => tell({ type: 'flushed', id }),
      failed(failure) {
        tell({ type: 'failed', id, failure });
        close(id);
      },
      established({ leaf, ...facts }) {
        const exported = EXPORTED.map(({ label, length }) => engine.exportKeyingMaterial(length, label));
        tell({ type: 'established', id, facts, sent: sentBy(leaf), exported });
      },
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    tell({ type: 'failed', id, failure: describeTlsFailure(code, message) });
    return;
  }
  engines.set(id, { engine, key: signingKey });
}

/** OpenSSL may still look at the key while the socket ends. */
function close(id: number): void {
  const closing = engines.get(id);
  engines.delete(id);
  closing?.engine.close();
  setImmediate(() => closing?.key?.dispose());
}

const MOST_CERTIFICATES = 20;

function sentBy(leaf: X509Certificate | undefined): readonly Uint8Array[] {
  const sent: Uint8Array[] = [];
  for (let one = leaf; one !== undefined && sent.length < MOST_CERTIFICATES; one = one.issuerCertificate)
    sent.push(new Uint8Array(one.raw));
  return sent;
}

port.on('message', (call: SigningCall) => {
  switch (call.type) {
    case 'create':
      create(call);
      return;
    case 'ciphertext':
      engines.get(call.id)?.engine.handleCiphertext(call.bytes);
      return;
    case 'plaintext':
      engines.get(call.id)?.engine.handlePlaintext(call.bytes);
      return;
    case 'refuse':
      engines.get(call.id)?.engine.refuse(call.alert);
      return;
    case 'close':
      close(call.id);
      return;
    default:
      call satisfies never;
  }
});

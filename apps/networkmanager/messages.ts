// What crosses between the service and its client process: lines of JSON on a socket pair, descriptor 3 of the client. The
// client has fewer rights than the service, so what it says is read as if a stranger had said it.

import type { OpenDevice } from '../../src/handed-device.ts';
import type { ErrorCode } from '../../src/index.ts';
import type { ClientProblem } from './failure.ts';
import type { Answer, Question } from './secrets.ts';
import type { ReadLine } from './settings.ts';
import { readTunnelFacts, type TunnelFacts } from './tunnel-facts.ts';

export const MESSAGE_FD = 3;
export const DEVICE_FD = 4;

/** To the client. The first message is `start`. */
export type ToClient =
  | {
      readonly type: 'start';
      readonly name: string;
      readonly lines: readonly ReadLine[];
      /** Its descriptor is DEVICE_FD. */
      readonly device: Omit<OpenDevice, 'fd' | 'queues'>;
      readonly blocksIpv6: boolean;
      readonly verb: number;
    }
  | { readonly type: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly type: 'stop' };

export type FromClient =
  | { readonly type: 'log'; readonly flags: number; readonly text: string }
  | { readonly type: 'question'; readonly id: number; readonly question: Question }
  | { readonly type: 'withdrawn'; readonly id: number }
  | { readonly type: 'refused'; readonly question: Exclude<Question, { kind: 'challenge' }> }
  | { readonly type: 'attempt-failed'; readonly problem: ClientProblem }
  | { readonly type: 'up'; readonly facts: TunnelFacts }
  | { readonly type: 'banner'; readonly text: string }
  | { readonly type: 'ended'; readonly problem: ClientProblem | undefined };

const TEXT_LIMIT = 10_240;
/** Routes, servers and domains of one tunnel stay far below. */
export const FROM_CLIENT_LIMIT_BYTES = 1 << 20;
/** Certificates, keys and revocation lists. */
export const TO_CLIENT_LIMIT_BYTES = 64 << 20;

/** Bytes as they come, as the values of whole lines. */
export class JsonLines {
  readonly #limitBytes: number;
  #parts: Uint8Array[] = [];
  #lengthBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Throws Error for a line that is too long, or no JSON; nothing can be read any more then. */
  push(bytes: Uint8Array): readonly unknown[] {
    const values: unknown[] = [];
    let from = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, from)) {
      this.#keep(bytes.subarray(from, end));
      from = end + 1;
      const line = new Uint8Array(this.#lengthBytes);
      let at = 0;
      for (const part of this.#parts) {
        line.set(part, at);
        at += part.length;
        part.fill(0);
      }
      this.#parts = [];
      this.#lengthBytes = 0;
      values.push(JSON.parse(new TextDecoder().decode(line)));
      line.fill(0);
    }
    this.#keep(bytes.subarray(from));
    return values;
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#lengthBytes += bytes.length;
    if (this.#lengthBytes > this.#limitBytes) throw new Error(`a line of more than ${this.#limitBytes} bytes`);
    this.#parts.push(Uint8Array.from(bytes));
  }
}

/** What the client says; undefined where it can't be meant. */
export function readFromClient(value: unknown): FromClient | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const of = value as Readonly<Record<string, unknown>>;
  switch (of.type) {
    case 'log':
      return isNumber(of.flags) && isText(of.text) ? { type: 'log', flags: of.flags, text: of.text } : undefined;
    case 'question': {
      const question = readQuestion(of.question);
      return isNumber(of.id) && question !== undefined ? { type: 'question', id: of.id, question } : undefined;
    }
    case 'withdrawn':
      return isNumber(of.id) ? { type: 'withdrawn', id: of.id } : undefined;
    case 'refused': {
      const question = readQuestion(of.question);
      return question === undefined || question.kind === 'challenge' ? undefined : { type: 'refused', question };
    }
    case 'attempt-failed': {
      const problem = readProblem(of.problem);
      return problem === undefined ? undefined : { type: 'attempt-failed', problem };
    }
    case 'up': {
      const facts = readTunnelFacts(of.facts);
      return facts === undefined ? undefined : { type: 'up', facts };
    }
    case 'banner':
      return isText(of.text) ? { type: 'banner', text: of.text } : undefined;
    case 'ended':
      return { type: 'ended', problem: readProblem(of.problem) };
    default:
      return undefined;
  }
}

function readQuestion(value: unknown): Question | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { kind, of, text, echo } = value as Readonly<Record<string, unknown>>;
  if (kind === 'passphrase') return { kind };
  if (kind === 'login' && (of === 'Auth' || of === 'HTTP Proxy' || of === 'SOCKS Proxy')) return { kind, of };
  if (kind === 'challenge' && isText(text) && typeof echo === 'boolean') return { kind, text, echo };
  return undefined;
}

function readProblem(value: unknown): ClientProblem | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { code, message, hint, retry } = value as Readonly<Record<string, unknown>>;
  if (!isText(message)) return undefined;
  return {
    code: typeof code === 'string' && /^SALLYPORT_[A-Z_]{1,32}$/.test(code) ? (code as ErrorCode) : undefined,
    message,
    hint: isText(hint) ? hint : undefined,
    retry: retry === true,
  };
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= TEXT_LIMIT;

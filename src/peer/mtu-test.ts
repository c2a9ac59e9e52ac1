// `--mtu-test`: both ends send each other packets of growing size over the data channel and count which came. One end asks,
// every three seconds, and hears at the end how large a packet the other one has sent and received; the other end answers
// whoever asks. wire/in-band.ts has the messages; steps and words are the C program's.

import type { PeerStatistics } from '../data/plane.ts';
import { Level, type Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';
import { parseInBand, writeInBand } from '../wire/in-band.ts';

const STEP_MS = 3_000;
/** Below the largest packet that could be, in bytes; each is tried thrice, both ways. */
const SHORTFALLS = [1000, 750, 500, 400, 300, 200, 150, 100, 50, 0];
const TRIES = 3;
const ASKS = 10;
/** Prefix and type of a message. */
const MESSAGE_BYTES = writeInBand({ type: 'mtu-load' }).length;
/** An MTU beyond which no results are given. */
const TUN_MTU_MIN_BYTES = 100;
/** No peer is sent a longer packet than this above our own MTU. */
const SLACK_BYTES = 200;

export interface MtuTestOptions {
  readonly clock: ClockPort;
  readonly log: Log;
  /** What a packet has beside the inner one, once that is known, and the MTU of the tunnel. */
  readonly sizes: () => { readonly overheadBytes: number; readonly tunMtuBytes: number } | undefined;
  readonly statistics: () => Pick<PeerStatistics, 'linkReadLargest' | 'linkWriteLargest'>;
  readonly send: (bytes: Uint8Array) => void;
  /** Whether packets that are too large are lost, and nobody cuts them up: UDP without `fragment`. */
  readonly isLossy: boolean;
}

type Step = { readonly type: 'load-request' | 'load'; readonly shortfall: number } | { readonly type: 'request' };

const STEPS: readonly Step[] = [
  ...SHORTFALLS.flatMap((shortfall) =>
    Array.from({ length: TRIES }).flatMap(() => [
      { type: 'load-request', shortfall } as const,
      { type: 'load', shortfall } as const,
    ]),
  ),
  ...Array.from({ length: ASKS }, () => ({ type: 'request' }) as const),
];

export class MtuTest {
  readonly #options: MtuTestOptions;
  #next = 0;
  #cancel = (): void => {};

  constructor(options: MtuTestOptions) {
    this.#options = options;
  }

  /** Begins to measure, on a tunnel that is up. */
  start(): void {
    this.#later();
  }

  close(): void {
    this.#cancel();
  }

  /** Whether the in-band message was one of ours. */
  handle(bytes: Uint8Array): boolean {
    const message = parseInBand(bytes);
    const { statistics, send } = this.#options;
    switch (message?.type) {
      case 'mtu-request': {
        const { linkReadLargest, linkWriteLargest } = statistics();
        send(writeInBand({ type: 'mtu-reply', receiveBytes: u16(linkReadLargest), sendBytes: u16(linkWriteLargest) }));
        return true;
      }
      case 'mtu-load-request':
        this.#sendLoad(message.sizeBytes);
        return true;
      case 'mtu-load':
        return true;
      case 'mtu-reply':
        this.#tell(message.receiveBytes, message.sendBytes);
        return true;
      default:
        return false;
    }
  }

  #later(): void {
    const { clock } = this.#options;
    this.#cancel = clock.at(clock.now().monoMs + STEP_MS, () => this.#step());
  }

  #step(): void {
    const { log, send, sizes } = this.#options;
    if (this.#next === 0) {
      log(Level.info, 'NOTE: Beginning empirical MTU test -- results should be available in 3 to 4 minutes.');
    }
    const step = STEPS[this.#next++];
    if (step === undefined) {
      log(
        Level.info,
        'NOTE: failed to empirically measure MTU (requires OpenVPN 1.5 or higher at other end of connection).',
      );
      return;
    }
    // The answer to the last one ends the waiting.
    this.#later();
    if (step.type === 'request') send(writeInBand({ type: 'mtu-request' }));
    else {
      const known = sizes();
      const largest = known === undefined ? 0 : known.tunMtuBytes + known.overheadBytes;
      const sizeBytes = Math.max(0, largest - step.shortfall);
      if (step.type === 'load') this.#sendLoad(sizeBytes);
      else send(writeInBand({ type: 'mtu-load-request', sizeBytes }));
    }
  }

  /** A packet that is so long on the link, as far as it may be. */
  #sendLoad(sizeBytes: number): void {
    const { send, sizes } = this.#options;
    const known = sizes();
    if (known === undefined) return;
    const payloadBytes = Math.min(sizeBytes - known.overheadBytes, known.tunMtuBytes + SLACK_BYTES);
    const message = new Uint8Array(Math.max(payloadBytes, MESSAGE_BYTES));
    message.set(writeInBand({ type: 'mtu-load' }));
    send(message);
  }

  #tell(receivedThere: number, sentThere: number): void {
    const { log, statistics, isLossy } = this.#options;
    const measures = this.#next > 0;
    this.#cancel();
    if (!measures || receivedThere === 0 || sentThere === 0) return;
    this.#next = 0;
    const { linkReadLargest: received, linkWriteLargest: sent } = statistics();
    log(
      Level.info,
      `NOTE: Empirical MTU test completed [Tried,Actual] local->remote=[${sent},${receivedThere}] remote->local=[${sentThere},${received}]`,
    );
    if (!isLossy || sent <= TUN_MTU_MIN_BYTES || (receivedThere >= sent && received >= sentThere)) return;
    log(
      Level.info,
      `NOTE: This connection is unable to accommodate a UDP packet size of ${sent}. Consider using --fragment or --mssfix options as a workaround.`,
    );
  }
}

function u16(value: number): number {
  return Math.min(value, 0xffff);
}

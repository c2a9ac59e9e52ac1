// The opening direction of a key on its way from one engine to another: whatever decides what is opened next, and what of it
// is asked of the session. Both engines have the key itself. What one engine had begun to put together is lost, as packets
// are; nothing is opened twice.

import type { DataKey } from './data-key.ts';
import type { EpochsReceived } from './epoch-receiving.ts';
import type { KeyHandle } from './plane.ts';
import type { WindowContent } from './replay-window.ts';
import type { OpenedUsage } from './usage-limits.ts';

/** It can be sent to another thread. */
export interface Opening {
  readonly key: KeyHandle;
  /** The last packet-id that was read from an authentic packet. */
  readonly openedId: number;
  readonly usage: OpenedUsage;
  readonly received:
    | { readonly kind: 'ids'; readonly window: WindowContent }
    | { readonly kind: 'timed-ids'; readonly window: WindowContent; readonly windowSeconds: number }
    | { readonly kind: 'epochs'; readonly epochs: EpochsReceived; readonly sendingEpoch: number };
}

/** How far the key has opened. */
export function openingOf(key: DataKey): Opening {
  return { key: key.handle, openedId: key.openedId, usage: key.usage.opened, received: receivedWith(key) };
}

function receivedWith(key: DataKey): Opening['received'] {
  if (key.kind === 'epoch') {
    return { kind: 'epochs', epochs: key.receiving.received, sendingEpoch: key.sending.current.epoch };
  }
  const window = key.window.content;
  return key.kind === 'feedback'
    ? { kind: 'timed-ids', window, windowSeconds: key.windowSeconds }
    : { kind: 'ids', window };
}

/** The same key in another engine, which has opened nothing with it yet, goes on from there. */
export function resumeOpening(key: DataKey, { openedId, usage, received }: Opening): void {
  key.openedId = openedId;
  key.usage.resumeOpened(usage);
  if (key.kind === 'epoch') {
    if (received.kind !== 'epochs') return;
    key.receiving.resume(received.epochs);
    key.opened = key.receiving.current;
    key.sending.moveTo(received.sendingEpoch);
    key.usage.sendingEpoch = key.sending.current.epoch;
    return;
  }
  if (received.kind === 'epochs') return;
  key.window.resume(received.window);
  if (key.kind === 'feedback' && received.kind === 'timed-ids') key.windowSeconds = received.windowSeconds;
}

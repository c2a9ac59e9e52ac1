// The process's signals, caught from the first moment: Node would open its debugger on SIGUSR1, and end on the others.

import type { SignalName } from '../../src/command.ts';

/** Whoever is to hear of signals now. */
export interface SignalListener {
  signal(name: SignalName): void;
  /** SIGUSR2: print statistics. */
  statistics(): void;
}

export interface SignalInbox {
  /** From now on signals go there; one that came before is delivered at once. */
  listen(listener: SignalListener | undefined): void;
}

/** Installs the handlers. Call it before anything else. */
export function catchSignals(): SignalInbox {
  let listener: SignalListener | undefined;
  let early: SignalName | undefined;
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const) {
    process.on(name, () => {
      if (listener !== undefined) listener.signal(name);
      else if (early === undefined || name === 'SIGTERM' || name === 'SIGINT') early = name;
    });
  }
  process.on('SIGUSR2', () => listener?.statistics());
  // A reader of our output that goes away must not end the tunnel.
  process.on('SIGPIPE', () => {});
  return {
    listen(next) {
      listener = next;
      if (next === undefined || early === undefined) return;
      const name = early;
      early = undefined;
      next.signal(name);
    },
  };
}

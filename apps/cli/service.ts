// What a service manager (systemd's Type=notify) hears of this process: at which point it is ready as with the C program, when
// its configuration has been read and checked; then how it is, in one sentence.

import { openNotifier, type ServiceState } from '../../src/command.ts';

export interface Service {
  /** A manager listens: the process stays in the foreground, whatever `daemon` says. */
  readonly managed: boolean;
  ready(): void;
  reloading(): void;
  stopping(): void;
  status(text: string): void;
}

/** Takes the manager's address out of the environment, so that scripts and helpers have it not. */
export function openService(environment: Record<string, string | undefined>): Service {
  const notifier = openNotifier(environment);
  const tell = (state: ServiceState): void => {
    notifier?.notify(state);
  };
  return {
    managed: notifier !== undefined,
    ready: () => tell({ state: 'ready', status: 'Pre-connection initialization successful' }),
    // The manager compares with CLOCK_MONOTONIC, which is Node's.
    reloading: () => tell({ state: 'reloading', monotonicUs: Number(process.hrtime.bigint() / 1000n) }),
    stopping: () => tell({ state: 'stopping' }),
    status: (status) => tell({ status }),
  };
}

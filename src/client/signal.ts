// How an attempt's end is told and acted on, in the C program's terms: every end is a signal, sent by a person (hard)
// or by the program to itself (soft), and a signal either restarts or exits.

import { SallyportError } from '../error.ts';
import type { SignalName } from '../peer/pending-signal.ts';
import type { RestartAdvice } from './remotes.ts';

export interface ClientSignal {
  readonly name: SignalName;
  readonly source: 'hard' | 'soft' | 'connection failed(soft)';
  /** The words in the log: `ping-restart`, `auth-failure` … */
  readonly text: string;
  readonly advice: RestartAdvice;
  /** What the peer said of it, for a management client; undefined where it said nothing. */
  readonly told: string | undefined;
  /** Forget cached username and password. */
  readonly purgeCredentials: boolean;
  /** Set when the end has an error that the library reports. */
  readonly error: SallyportError | undefined;
  readonly exitCode: number;
}

const CONTINUE: RestartAdvice = { advance: 'default', resolveAgain: false, pauseSeconds: 0 };

/** A soft restart by the program itself. */
export function softRestart(
  text: string,
  options: {
    error?: SallyportError;
    advice?: Partial<RestartAdvice>;
    told?: string | undefined;
    purge?: boolean;
    connectionFailed?: boolean;
  } = {},
): ClientSignal {
  return {
    name: 'SIGUSR1',
    source: options.connectionFailed === true ? 'connection failed(soft)' : 'soft',
    text,
    advice: { ...CONTINUE, ...options.advice },
    told: options.told,
    purgeCredentials: options.purge ?? false,
    error: options.error,
    exitCode: 0,
  };
}

/** The text of an exit because of an error that nothing can mend; the C program says no signal line then. */
export const FATAL = 'fatal';

/** An exit decided by the program. */
export function softExit(
  text: string,
  options: { error?: SallyportError; exitCode?: number; told?: string } = {},
): ClientSignal {
  return {
    name: 'SIGTERM',
    source: 'soft',
    text,
    advice: CONTINUE,
    told: options.told,
    purgeCredentials: false,
    error: options.error,
    exitCode: options.exitCode ?? 0,
  };
}

/** The data plane is broken and nothing works any more. */
export function planeFailure(text: string): ClientSignal {
  return softExit('data-plane', {
    exitCode: 1,
    error: new SallyportError(text, { code: 'SALLYPORT_INTERNAL', blame: 'internal' }),
  });
}

/** A signal sent from outside. */
export function hardSignal(name: SignalName): ClientSignal {
  return {
    name,
    source: 'hard',
    text: '',
    advice: { ...CONTINUE, resolveAgain: true },
    told: undefined,
    purgeCredentials: false,
    error: undefined,
    exitCode: 0,
  };
}

/** `SIGUSR1[soft,ping-restart] received, process restarting`. */
export function signalLine(signal: ClientSignal): string {
  const verb = signal.name === 'SIGUSR1' || signal.name === 'SIGHUP' ? 'restarting' : 'exiting';
  return `${signal.name}[${signal.source},${signal.text}] received, process ${verb}`;
}

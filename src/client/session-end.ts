// What the end of a session means for the connection: restart or exit, where to go next, what to forget.

import type { Config } from '../config/config.ts';
import { SallyportError } from '../error.ts';
import type { SessionEnd } from '../session/event.ts';
import { type DynamicChallenge, parseDynamicChallenge } from '../wire/auth-challenge.ts';
import { nobodyToAsk } from './pending-login.ts';
import type { ChallengePort } from './ports.ts';
import { type ClientSignal, softExit, softRestart } from './signal.ts';

export interface EndContext {
  readonly config: Config;
  /** Drops a token that the server no longer takes; true when there was one. */
  forgetToken(): boolean;
  /** Whether a person can be asked, and whether that needs no `auth-retry interact`. */
  readonly challenges: Pick<ChallengePort, 'respond' | 'ignoresAuthRetry'> | undefined;
  /** The next login answers this. */
  setChallenge(challenge: DynamicChallenge): void;
}

/** The signal that follows from a session's end. The session itself has said in the log why. */
export function signalOfEnd(end: SessionEnd, context: EndContext): ClientSignal {
  switch (end.reason) {
    case 'auth-failed':
      return authFailed(end, context);
    case 'server-restart':
      return softRestart('server-pushed-connection-reset', {
        told: end.text,
        purge: !end.keepCredentials,
        advice: { advance: end.advance ? 'remote' : 'default' },
      });
    case 'server-halt':
      return softExit('server-pushed-halt', {
        told: end.text,
        error: new SallyportError(
          `The server ended the connection: ${end.text === '' ? 'it gave no reason' : end.text}`,
          {
            code: 'SALLYPORT_PEER_ENDED',
            blame: 'peer',
          },
        ),
      });
    case 'peer-exit':
      return softRestart('remote-exit', { told: end.notice === 'EXIT' ? end.notice : undefined });
    case 'ping-restart':
      return softRestart('ping-restart', { error: silence() });
    case 'ping-exit':
      return softExit('ping-exit', { error: silence() });
    case 'inactive':
      return softExit('inactive');
    case 'session-timeout':
      return softExit('session-timeout');
    case 'failed':
      if (context.config.tls.exit && end.error.code !== 'SALLYPORT_NEGOTIATION') {
        return softExit('tls-error', { error: end.error, exitCode: 1 });
      }
      return failed(end.error);
    default:
      return end satisfies never;
  }
}

function failed(error: SallyportError): ClientSignal {
  switch (error.code) {
    case 'SALLYPORT_PUSH':
      return softRestart('no-push-reply', { error });
    case 'SALLYPORT_NEGOTIATION':
      return softRestart('process-push-msg-failed', { error });
    default:
      return softRestart('tls-error', { error });
  }
}

function authFailed(end: Extract<SessionEnd, { reason: 'auth-failed' }>, context: EndContext): ClientSignal {
  const error = refusedLogin(end.text);
  if (end.temporary !== undefined) {
    const { advance, backoffSeconds } = end.temporary;
    return softRestart('auth-temp-failure (server temporary reject)', {
      error,
      advice: { advance: advance === 'no' ? 'stay' : advance, pauseSeconds: backoffSeconds ?? 0 },
    });
  }
  if (context.forgetToken()) return softRestart('auth-failure (auth-token)', { error, advice: { advance: 'stay' } });
  // Under `nointeract` nobody is asked, and the same password goes again.
  const asks = context.config.authRetry !== 'nointeract' || context.challenges?.ignoresAuthRetry === true;
  if (end.dynamicChallenge !== undefined && asks) return challenged(end.dynamicChallenge, context);
  switch (context.config.authRetry) {
    case 'none':
      return softExit('auth-failure', { error });
    case 'interact':
      return softRestart('auth-failure', { error, purge: true, advice: { advance: 'stay' } });
    case 'nointeract':
      return softRestart('auth-failure', { error, advice: { advance: 'stay' } });
    default:
      return context.config.authRetry satisfies never;
  }
}

/** A server that gives a reason may have refused anything: a certificate that is revoked, an account that is locked. */
function refusedLogin(reason: string): SallyportError {
  const what = { code: 'SALLYPORT_AUTH_FAILED', blame: 'config' } as const;
  if (reason === '') {
    return new SallyportError('The server refused the username or password', {
      ...what,
      hint: 'Check the username and password given to auth-user-pass; with `auth-retry interact` they are asked for again.',
    });
  }
  return new SallyportError(`The server refused the login: ${reason}`, {
    ...what,
    hint: 'The reason is in the words of the server; if it does not say what to change, ask its administrator.',
  });
}

/** The server asks a question. As with the C program, `auth-retry` has to be `interact` for a person to be asked. */
function challenged(text: string, { config, challenges, setChallenge }: EndContext): ClientSignal {
  const fail = (message: string, hint: string): ClientSignal =>
    softExit('auth-failure', {
      error: new SallyportError(message, { code: 'SALLYPORT_AUTH_FAILED', blame: 'config', hint }),
    });
  const challenge = parseDynamicChallenge(text);
  if (challenge === undefined) {
    return fail('The server sent a malformed challenge', 'Ask the administrator of the server.');
  }
  if (config.authRetry !== 'interact' && challenges?.ignoresAuthRetry !== true) {
    return fail(
      `The server asks a question (${challenge.text}), and the profile does not let anybody be asked again`,
      'Write auth-retry interact into the profile.',
    );
  }
  if (challenges?.respond === undefined) return softExit('auth-failure', { error: nobodyToAsk(challenge.text) });
  setChallenge(challenge);
  const error = new SallyportError(`The server asks: ${challenge.text}`, {
    code: 'SALLYPORT_AUTH_FAILED',
    blame: 'config',
    retry: true,
  });
  return softRestart('auth-failure', { error, purge: true, advice: { advance: 'stay' } });
}

const silence = (): SallyportError =>
  new SallyportError('Nothing has come from the server for the time that ping-restart or ping-exit sets', {
    code: 'SALLYPORT_NO_ANSWER',
    blame: 'network',
    retry: true,
    hint: 'The server or the network between may be down; the connection is tried again where the profile says so.',
  });

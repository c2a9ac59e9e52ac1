// What the end of a session means for the connection: restart or exit, where to go next, what to forget.

import type { Config } from '../config/config.ts';
import { SallyportError } from '../error.ts';
import type { SessionEnd } from '../session/event.ts';
import { type ClientSignal, softExit, softRestart } from './signal.ts';

export interface EndContext {
  readonly config: Config;
  /** Drops a token that the server no longer takes; true when there was one. */
  forgetToken(): boolean;
}

/** The signal that follows from a session's end. The session itself has said in the log why. */
export function signalOfEnd(end: SessionEnd, context: EndContext): ClientSignal {
  switch (end.reason) {
    case 'auth-failed':
      return authFailed(end, context);
    case 'server-restart':
      return softRestart('server-pushed-connection-reset', {
        purge: !end.keepCredentials,
        advice: { advance: end.advance ? 'remote' : 'default' },
      });
    case 'server-halt':
      return softExit('server-pushed-halt', {
        error: new SallyportError(
          `The server ended the connection: ${end.text === '' ? 'it gave no reason' : end.text}`,
          {
            code: 'SALLYPORT_PEER_ENDED',
            blame: 'peer',
          },
        ),
      });
    case 'peer-exit':
      return softRestart('remote-exit');
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
  const error = new SallyportError(
    `The server refused the username or password${end.text === '' ? '' : `: ${end.text}`}`,
    {
      code: 'SALLYPORT_AUTH_FAILED',
      blame: 'config',
      hint: 'Check the username and password given to auth-user-pass; with `auth-retry interact` they are asked for again.',
    },
  );
  if (end.temporary !== undefined) {
    const { advance, backoffSeconds } = end.temporary;
    return softRestart('auth-temp-failure (server temporary reject)', {
      error,
      advice: { advance: advance === 'no' ? 'stay' : advance, pauseSeconds: backoffSeconds ?? 0 },
    });
  }
  if (context.forgetToken()) return softRestart('auth-failure (auth-token)', { error, advice: { advance: 'stay' } });
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

const silence = (): SallyportError =>
  new SallyportError('Nothing has come from the server for the time that ping-restart or ping-exit sets', {
    code: 'SALLYPORT_NO_ANSWER',
    blame: 'network',
    retry: true,
    hint: 'The server or the network between may be down; the connection is tried again where the profile says so.',
  });

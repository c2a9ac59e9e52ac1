// The ends that an attempt with a server and one with an equal have in common.

import type { PlaneEvent } from '../data/plane.ts';
import { messageOf, SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import { endsStream, logDrop, tellLost } from '../peer/drop-words.ts';
import { HostError } from '../tunnel/ports.ts';
import { type ClientSignal, FATAL, softExit, softRestart } from './signal.ts';

/** Work on the host, or beside the session, has failed. */
export function endOfFailedWork(error: unknown, log: Log): ClientSignal {
  const text = messageOf(error);
  log(Level.fatal, text);
  const code = error instanceof HostError ? 'SALLYPORT_HOST' : 'SALLYPORT_INTERNAL';
  const known =
    error instanceof SallyportError ? error : new SallyportError(text, { code, blame: 'internal', cause: error });
  return softExit(FATAL, { error: known, exitCode: 1 });
}

/** No attempt could be begun: what the host refuses may be granted later, all else ends. */
export function endOfFailedStart(error: unknown, log: Log): ClientSignal {
  const text = messageOf(error);
  log(Level.error, text);
  if (error instanceof HostError) {
    const known = new SallyportError(text, { code: 'SALLYPORT_HOST', blame: 'config', cause: error, retry: true });
    return softRestart('socket-error', { error: known, connectionFailed: true });
  }
  if (error instanceof SallyportError) return softExit(FATAL, { error, exitCode: 1 });
  const internal = new SallyportError(text, { code: 'SALLYPORT_INTERNAL', blame: 'internal', cause: error });
  return softExit(FATAL, { error: internal, exitCode: 1 });
}

/** A stream could not be opened. `whom`: `server` or `peer`; `where`: its address for the log. */
export function endOfRefusedStream(whom: 'server' | 'peer', where: string, text: string, log: Log): ClientSignal {
  log(Level.linkErrors, `TCP: connect to ${where} failed: ${text}`);
  const error = new SallyportError(`The ${whom} ${where} could not be reached: ${text}`, {
    code: 'SALLYPORT_REFUSED',
    blame: 'network',
    retry: true,
    hint: `Check address and port, that the ${whom} runs, and that no firewall stands between.`,
  });
  return softRestart('connection-failed', { error, connectionFailed: true });
}

/** No address was found for a name; the log has the resolver's reason. */
export function endOfUnknownName(host: string): ClientSignal {
  const error = new SallyportError(`The name ${host} could not be resolved`, {
    code: 'SALLYPORT_NETWORK',
    blame: 'network',
    retry: true,
    hint: `Check the name and the machine's DNS.`,
  });
  return softRestart('Could not determine IPv4/IPv6 protocol', { error });
}

/** An open stream has ended. */
export function endOfLostStream(whom: 'server' | 'peer', code: string, text: string, log: Log): ClientSignal {
  tellLost({ code, text }, log);
  const what = code === 'BAD_FRAME' ? 'sent a bad packet length' : 'closed the TCP connection';
  const error = new SallyportError(`The ${whom} ${what}: ${text}`, {
    code: 'SALLYPORT_NETWORK',
    blame: 'peer',
    retry: true,
  });
  return softRestart('connection-reset', { error });
}

/** Tells of dropped packets. The end that follows, if one does: a stream that can't be trusted any more. */
export function endOfDrop(
  event: Extract<PlaneEvent, { type: 'drop-notice' }>,
  log: Log,
  facts: { readonly peerPrefix: string; readonly muteReplayWarnings: boolean; readonly stream: boolean },
): ClientSignal | undefined {
  logDrop(event, log, facts);
  if (!facts.stream || event.peer === undefined || !endsStream(event)) return undefined;
  log(Level.linkErrors, 'Fatal decryption error (process_incoming_link), restarting');
  return softRestart('decryption-error');
}

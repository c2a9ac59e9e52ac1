// The words of a failed connection: which step failed, what was seen, and what to do.

import type { TlsFailure } from '../control/tls-engine.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import { SallyportError } from '../error.ts';

/** How far a key got. */
export type HandshakeStep = 'reset' | 'tls' | 'verify' | 'credentials' | 'exchange';

/** What is known when the hand-window ends. */
export interface HandshakeFacts {
  readonly step: HandshakeStep;
  readonly seconds: number;
  readonly remoteText: string;
  readonly wrapKind: WrapOptions['kind'];
  /** Packets that came, of any kind; those with a wrong HMAC; those of our own session. */
  readonly packetsIn: number;
  readonly badHmac: number;
  readonly authentic: number;
  /** What the network said (ICMP), if anything. */
  readonly refusedText: string | undefined;
  readonly renegotiation: boolean;
}

/** The handshake did not finish in time. */
export function handWindowError(facts: HandshakeFacts): SallyportError {
  const within = `within ${facts.seconds} seconds`;
  if (facts.authentic > 0) return stalledError(facts, within);
  if (facts.badHmac > 0) {
    return new SallyportError(
      `Packets came from ${facts.remoteText}, but their HMAC was wrong (${facts.badHmac} of ${facts.packetsIn})`,
      { code: 'SALLYPORT_WRAP', blame: 'config', hint: wrapHint(facts.wrapKind) },
    );
  }
  if (facts.refusedText !== undefined) {
    return new SallyportError(`${facts.remoteText} refused the packets: ${facts.refusedText}`, {
      code: 'SALLYPORT_REFUSED',
      blame: 'network',
      retry: true,
      hint: 'No server listens at this address and port, or a firewall rejects it.',
    });
  }
  if (facts.packetsIn > 0) {
    return new SallyportError(
      `${facts.packetsIn} packets came from ${facts.remoteText}, but none that OpenVPN would send`,
      {
        code: 'SALLYPORT_NO_ANSWER',
        blame: 'peer',
        retry: true,
        hint: 'Check that the port is that of an OpenVPN server, and that the protocol (udp or tcp) is right.',
      },
    );
  }
  return new SallyportError(`Nothing came back from ${facts.remoteText} ${within}`, {
    code: 'SALLYPORT_NO_ANSWER',
    blame: 'network',
    retry: true,
    hint: silenceHint(facts.wrapKind),
  });
}

function stalledError(facts: HandshakeFacts, within: string): SallyportError {
  const what = facts.renegotiation ? 'renegotiation' : 'handshake';
  const make = (message: string, hint: string) =>
    new SallyportError(message, { code: 'SALLYPORT_NO_ANSWER', blame: 'peer', retry: true, hint });
  switch (facts.step) {
    case 'reset':
      return make(
        `The ${what} with ${facts.remoteText} stalled at its start: the peer answers but does not acknowledge (${within})`,
        'Packets get through in one direction only; look for a firewall or NAT in between.',
      );
    case 'tls':
      return make(
        `The TLS ${what} with ${facts.remoteText} did not finish ${within}`,
        'The server may have refused our certificate without saying so (look into its log), or large packets are lost: try max-packet-size 600.',
      );
    case 'verify':
    case 'credentials':
      return make(
        `The ${what} with ${facts.remoteText} ran out of time while it waited for ${facts.step === 'verify' ? 'tls-verify' : 'a user name and password'}`,
        'Answer sooner, or raise hand-window on both sides.',
      );
    case 'exchange':
      return make(
        `TLS with ${facts.remoteText} is up, but the peer did not answer the key exchange ${within}`,
        'The server may be busy checking the user (hand-window), or refused us silently: look into its log.',
      );
    default:
      return facts.step satisfies never;
  }
}

/** TLS itself failed. */
export function tlsError(failure: TlsFailure, remoteText: string): SallyportError {
  if (failure.code === 'EARLY_NEGOTIATION') {
    return new SallyportError(`${remoteText} sent a malformed early negotiation`, {
      code: 'SALLYPORT_TLS',
      blame: 'peer',
      retry: true,
    });
  }
  const alert = failure.origin === 'alert';
  return new SallyportError(
    alert
      ? `${remoteText} refused TLS: ${failure.text} (${failure.code})`
      : `TLS with ${remoteText} failed: ${failure.text} (${failure.code})`,
    {
      code: 'SALLYPORT_TLS',
      blame: 'peer',
      retry: true,
      hint: alert
        ? 'The peer’s log says more; usual causes are an expired or foreign client certificate and TLS versions or ciphers that do not overlap.'
        : 'Usual causes are TLS versions or ciphers that do not overlap (tls-version-min, tls-cipher, tls-groups), or a foreign peer.',
    },
  );
}

/** Key method 2 of the peer could not be read. */
export function keyExchangeError(problem: string, remoteText: string): SallyportError {
  return new SallyportError(`The key exchange with ${remoteText} failed: the peer's message is wrong (${problem})`, {
    code: 'SALLYPORT_NEGOTIATION',
    blame: 'peer',
    retry: true,
    hint: 'The peer may not be OpenVPN 2.x with key method 2.',
  });
}

/** The library failed to derive keys. */
export function keyDerivationError(cause: unknown): SallyportError {
  return new SallyportError('Data keys could not be derived', {
    code: 'SALLYPORT_INTERNAL',
    blame: 'internal',
    retry: true,
    cause,
  });
}

/** The server never answered PUSH_REQUEST. */
export function noPushReplyError(seconds: number, remoteText: string): SallyportError {
  return new SallyportError(`${remoteText} did not answer the push request for ${seconds} seconds`, {
    code: 'SALLYPORT_PUSH',
    blame: 'peer',
    retry: true,
    hint: 'The server may still be checking the user, have no address left, or not be in server mode (then use tls-client without pull).',
  });
}

/** AUTH_PENDING was all that came: whoever had to confirm the login has not done it in time. */
export function pendingLoginError(seconds: number, remoteText: string): SallyportError {
  return new SallyportError(`The login at ${remoteText} was not finished within ${seconds} seconds`, {
    code: 'SALLYPORT_PUSH',
    blame: 'peer',
    retry: true,
    hint: 'Answer its question or log in at its address sooner; the time is set by the server, and at most half of reneg-sec.',
  });
}

function wrapHint(kind: WrapOptions['kind']): string {
  switch (kind) {
    case 'tls-auth':
      return 'Check that tls-auth has the server’s key file, the opposite key-direction (0 there, 1 here) and the same auth digest.';
    case 'tls-crypt':
      return 'Check that tls-crypt has the server’s key file.';
    case 'tls-crypt-v2-client':
      return 'Check that tls-crypt-v2 has the client key that this server issued.';
    case 'tls-crypt-v2-server':
      return 'The packets are not made with the key that this client proved to have.';
    case 'none':
      return 'The server seems to use tls-auth or tls-crypt; add its key.';
    default:
      return kind satisfies never;
  }
}

function silenceHint(kind: WrapOptions['kind']): string {
  const server = 'Check address, port and protocol, that the server runs, and that no firewall drops the packets.';
  if (kind === 'none') return `${server} A server with tls-auth or tls-crypt stays silent to clients without its key.`;
  return `${server} A server stays silent as well when the ${kind === 'tls-auth' ? 'tls-auth' : 'tls-crypt'} key or direction is wrong.`;
}

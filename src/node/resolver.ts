// Names to addresses by the system's resolver (getaddrinfo), in its order.

import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { SallyportError } from '../error.ts';
import type { ResolverPort } from '../ports.ts';

export type Lookup = (
  host: string,
  options: { all: true; verbatim: true; family: 0 | 4 | 6 },
) => Promise<LookupAddress[]>;

const systemLookup: Lookup = async (host, options) => (await import('node:dns')).promises.lookup(host, options);

/** The resolver of a client. `lookup` is for tests. */
export function createNodeResolver(lookup: Lookup = systemLookup): ResolverPort {
  return {
    async resolve(host, family, signal) {
      if (signal.aborted) throw aborted(signal);
      const literal = isIP(host.replace(/%.*$/, ''));
      if (literal !== 0) {
        if (family !== undefined && family !== literal)
          throw failure(host, 'Address family for hostname not supported', false);
        return [toAddress({ address: host, family: literal })];
      }
      const found = await unlessAborted(lookup(host, { all: true, verbatim: true, family: family ?? 0 }), signal).catch(
        (error: NodeJS.ErrnoException) => {
          if (error instanceof SallyportError) throw error;
          throw failure(host, WORDS.get(error.code ?? '') ?? error.message, error.code !== 'ENOTFOUND', error);
        },
      );
      if (found.length === 0) throw failure(host, 'No address associated with hostname', false);
      return found.map(toAddress);
    },
  };
}

/** glibc's words for the resolver's codes. */
const WORDS = new Map([
  ['ENOTFOUND', 'Name or service not known'],
  ['ENODATA', 'No address associated with hostname'],
  ['EAI_AGAIN', 'Temporary failure in name resolution'],
  ['EAI_FAIL', 'Non-recoverable failure in name resolution'],
  ['EAI_FAMILY', 'ai_family not supported'],
  ['EAI_MEMORY', 'Memory allocation failure'],
  ['ECANCELLED', 'Request canceled'],
]);

function toAddress({ address, family }: LookupAddress): { family: 4 | 6; address: Uint8Array } {
  const bytes = Uint8Array.from(ipaddr.parse(address.replace(/%.*$/, '')).toByteArray());
  return { family: family === 6 ? 6 : 4, address: bytes };
}

/** getaddrinfo can't be stopped; its answer is dropped. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(aborted(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

const aborted = (signal: AbortSignal): SallyportError =>
  new SallyportError('resolving was aborted', { code: 'SALLYPORT_ABORTED', blame: 'internal', cause: signal.reason });

const failure = (host: string, words: string, retry: boolean, cause?: unknown): SallyportError =>
  new SallyportError(words, {
    code: 'SALLYPORT_NETWORK',
    blame: 'network',
    retry,
    hint: `check the name '${host}' and the machine's DNS`,
    cause,
  });

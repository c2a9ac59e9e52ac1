// The remote's name to addresses, tried again for as long as `resolv-retry` says.

import type { Config, ConnectionProfile } from '../config/config.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { messageOf, SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import { wait } from '../peer/wait.ts';
import type { ClockPort, ResolverPort } from '../ports.ts';
import type { RemoteAddress } from './remotes.ts';

export interface ResolveContext {
  readonly resolver: ResolverPort;
  readonly clock: ClockPort;
  readonly crypto: CryptoProvider;
  readonly log: Log;
}

const RETRY_MS = 5000;
const RANDOM_LABEL_BYTES = 6;

/**
 * Addresses in the resolver's order; none when the name could not be resolved or the signal came. Rejects with
 * SallyportError where a `resolv-retry` with a limit is over: the connection then ends.
 */
export async function resolveRemote(
  profile: ConnectionProfile,
  config: Config,
  context: ResolveContext,
  signal: AbortSignal,
): Promise<readonly RemoteAddress[]> {
  const host = hostOf(profile, config, context.crypto);
  return resolveHost({ host, port: profile.remotePort, family: profile.proto.family }, config, context, signal);
}

/** The same for any name that a connection needs: of a proxy, or of a server behind one. */
export async function resolveHost(
  { host, port, family }: { readonly host: string; readonly port: string; readonly family: 4 | 6 | undefined },
  config: Config,
  context: ResolveContext,
  signal: AbortSignal,
): Promise<readonly RemoteAddress[]> {
  const { resolver, clock, log } = context;
  const window = config.resolvRetrySeconds;
  // With other remotes to go to, one that can't be resolved does not hold them up.
  const limited = config.connections.length === 1 && window !== 'infinite';
  const until = limited ? clock.now().monoMs + Number(window) * 1000 : 0;
  for (;;) {
    try {
      return await resolver.resolve(host, family, signal);
    } catch (error) {
      if (signal.aborted) return [];
      const reason = messageOf(error);
      const line = `RESOLVE: Cannot resolve host address: ${host}:${port} (${reason})`;
      const late = clock.now().monoMs + RETRY_MS > until;
      if (limited && late) throw unresolved(window === 0 ? `${line} ${WOULD_RETRY}` : line, host, error);
      log(Level.resolveErrors, line);
      if (late) {
        log(Level.info, 'Could not determine IPv4/IPv6 protocol');
        return [];
      }
      await wait(clock, RETRY_MS, signal);
    }
  }
}

const WOULD_RETRY = '(I would have retried this name query if you had specified the --resolv-retry option.)';

const unresolved = (line: string, host: string, cause: unknown): SallyportError =>
  new SallyportError(line, {
    code: 'SALLYPORT_NETWORK',
    blame: 'network',
    retry: true,
    hint: `Check the name '${host}' and the machine's DNS; with resolv-retry infinite it is tried for ever.`,
    cause,
  });

/** `remote-random-hostname` puts six random bytes in hexadecimal before the name, against caches. */
function hostOf(profile: ConnectionProfile, config: Config, crypto: CryptoProvider): string {
  const host = profile.remote ?? '';
  if (!config.remoteRandomHostname || /^[\d.]+$|:/.test(host)) return host;
  const label = [...crypto.randomBytes(RANDOM_LABEL_BYTES)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${label}.${host}`;
}

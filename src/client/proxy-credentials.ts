// User names and passwords for proxies over a connection's life: read or asked for once for each proxy, and asked for
// anew after a refusal. They never go to another proxy, nor to the server.

import type { ConnectionProfile } from '../config/config.ts';
import type { Credentials } from '../session/options.ts';
import { unlessAborted } from './credentials.ts';
import type { CredentialsPort, LoginKind } from './ports.ts';

export interface ProxyCredentials {
  /** What the profile's proxy is told. Rejects with SallyportError when it can't be had. */
  obtain(profile: ConnectionProfile, signal: AbortSignal): Promise<Credentials>;
  /** The proxy has been told; under auth-nocache that is the end of it. `refused`: what a person said is forgotten. */
  used(profile: ConnectionProfile, verdict: 'accepted' | 'refused'): void;
  /** Forgets all of them. */
  forget(): void;
}

interface Known {
  readonly credentials: Credentials;
  /** The whole of it stood in a file or a block. */
  readonly isRead: boolean;
}

export function createProxyCredentials(
  port: CredentialsPort,
  options: { readonly nocache: boolean },
): ProxyCredentials {
  const known = new Map<string, Known>();

  const read = async (profile: ConnectionProfile, signal: AbortSignal): Promise<Known> => {
    const { kind, proxy } = proxyOf(profile);
    const source = proxy?.login?.source;
    const found = source === undefined ? { username: undefined, password: undefined } : port.read(source, kind);
    const { username, password } = found;
    if (username !== undefined && password !== undefined) return { credentials: { username, password }, isRead: true };
    return { credentials: await unlessAborted(port.ask(found, signal, kind), signal), isRead: false };
  };

  return {
    async obtain(profile, signal) {
      const key = keyOf(profile);
      const cached = known.get(key) ?? (await read(profile, signal));
      known.set(key, cached);
      return cached.credentials;
    },
    forget() {
      known.clear();
    },
    used(profile, verdict) {
      const key = keyOf(profile);
      if (options.nocache || (verdict === 'refused' && known.get(key)?.isRead === false)) known.delete(key);
    },
  };
}

function proxyOf({ httpProxy, socksProxy }: ConnectionProfile): {
  readonly kind: LoginKind;
  readonly proxy: ConnectionProfile['socksProxy'];
} {
  return httpProxy === undefined
    ? { kind: 'SOCKS Proxy', proxy: socksProxy }
    : { kind: 'HTTP Proxy', proxy: httpProxy };
}

function keyOf(profile: ConnectionProfile): string {
  const { kind, proxy } = proxyOf(profile);
  return JSON.stringify([kind, proxy?.host, proxy?.port, proxy?.login?.source]);
}

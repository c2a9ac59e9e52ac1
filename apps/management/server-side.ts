// A server under management: who comes in is asked of the management client (`management-client-auth`), and what clients do
// is told to it.

import type { ServerHooks } from '../../src/command.ts';
import type { ManagementCore } from './core.ts';
import type { Judgement, ServerCommands } from './server-commands.ts';

type Identity = Parameters<NonNullable<ServerHooks['onAuthenticate']>>[0];
type Info = Parameters<NonNullable<ServerHooks['onDisconnect']>>[0];

/** Seconds that a judgement may take without `client-pending-auth`: the hand-window's rest is the server's business. */
const EXTRA_BYTES = 1000;

/** Hooks of a server with `management-client-auth`; none without it. */
export function managedHooks(core: ManagementCore, commands: () => ServerCommands | undefined): ServerHooks {
  if (!core.settings.clientAuth) return {};
  const granted = new Map<number, Judgement>();
  const identities = new Map<number, Identity>();
  return {
    async onAuthenticate(identity, context) {
      const server = commands();
      if (server === undefined) return false;
      const pending = (extra: string, seconds: number): boolean => {
        if (extra.length > EXTRA_BYTES || context.signal.aborted) return false;
        context.pending(extra, seconds);
        return true;
      };
      const { id, renegotiation } = identity;
      const judgement = await server.judge(id, renegotiation, environmentOf(identity), pending, context.signal);
      if (judgement.accept) {
        granted.set(id, judgement);
        identities.set(id, identity);
        return true;
      }
      core.ports.log(
        `MULTI: connection rejected: ${judgement.reason}, CLI:${judgement.clientReason ?? '[NULL]'}`,
        'info',
      );
      return judgement.clientReason === undefined
        ? { accept: false }
        : { accept: false, reason: judgement.clientReason };
    },
    onConnect({ id }) {
      const options = granted.get(id)?.options ?? '';
      granted.delete(id);
      return options === '' ? undefined : { options };
    },
    onResponse: (id, base64) => commands()?.response(id, base64),
    onDisconnect(info) {
      const identity = identities.get(info.id);
      identities.delete(info.id);
      commands()?.disconnected(info.id, endEnvironment(identity, info));
    },
    onAddress({ type, prefix, client }) {
      if (type === 'delete' || client === undefined) return;
      const [address = '', length = ''] = prefix.split('/');
      const own = address === client.address4 || address === client.address6;
      commands()?.address(client.id, own || length === '' ? address : prefix, own);
    },
  };
}

/** A client's facts as environment, for ESTABLISHED. */
export function clientEnvironment(info: Info): ReadonlyMap<string, string> {
  return new Map(
    Object.entries({
      common_name: info.name,
      username: info.username,
      trusted_ip: info.endpoint.address,
      trusted_port: String(info.endpoint.port),
      ifconfig_pool_remote_ip: info.address4,
      ifconfig_pool_remote_ip6: info.address6,
      time_unix: String(info.connectedSince),
    }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function environmentOf({ commonName, username, password, endpoint, peerInfo }: Identity): ReadonlyMap<string, string> {
  const six = endpoint.family === 6 ? '6' : '';
  const found = new Map<string, string>(peerInfo);
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined) found.set(name, value);
  };
  set(`untrusted_ip${six}`, endpoint.address);
  set('untrusted_port', String(endpoint.port));
  set('common_name', commonName);
  set('X509_0_CN', commonName);
  set('username', username);
  set('password', password);
  return found;
}

function endEnvironment(identity: Identity | undefined, info: Info): ReadonlyMap<string, string> {
  const before = identity === undefined ? [] : [...environmentOf(identity)].filter(([name]) => name !== 'password');
  return new Map([
    ...before,
    ...clientEnvironment(info),
    ['bytes_received', String(info.bytesReceived)],
    ['bytes_sent', String(info.bytesSent)],
    ['time_duration', String(Math.max(0, Math.floor(Date.now() / 1000) - info.connectedSince))],
  ]);
}

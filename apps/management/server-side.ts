// A server under management: who comes in is asked of the management client (`management-client-auth`), and what clients do
// is told to it.

import type { ServerHooks } from '../../src/command.ts';
import type { ManagementCore } from './core.ts';
import type { Judgement, ServerCommands } from './server-commands.ts';

/** Bytes of what `client-pending-auth` tells: it has to fit into one control message. */
const EXTRA_BYTES = 1000;

/** Hooks of a server with `management-client-auth`; none without it. */
export function managedHooks(core: ManagementCore, commands: () => ServerCommands | undefined): ServerHooks {
  if (!core.settings.clientAuth) return {};
  const granted = new Map<number, Judgement>();
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
      const judgement = await server.judge(id, renegotiation, context.environment(), pending, context.signal);
      if (judgement.accept) {
        granted.set(id, judgement);
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
    onResponse: (id, base64, environment) => commands()?.response(id, base64, environment()),
    onDisconnect: (info, _reason, environment) => commands()?.disconnected(info.id, environment()),
    onAddress({ type, prefix, client }) {
      if (type === 'delete' || client === undefined) return;
      const [address = '', length = ''] = prefix.split('/');
      const own = address === client.address4 || address === client.address6;
      commands()?.address(client.id, own || length === '' ? address : networkText(prefix), own);
    },
  };
}

/** `10.99.0.0/255.255.255.0`, as the C program writes networks; IPv6 keeps its prefix length. */
function networkText(prefix: string): string {
  const [address = '', length = ''] = prefix.split('/');
  if (address.includes(':') || length === '') return prefix;
  const mask = (0xffffffff << (32 - Number(length))) >>> 0;
  const netmask = [24, 16, 8, 0].map((shift) => (Number(length) === 0 ? 0 : (mask >>> shift) & 0xff)).join('.');
  return `${address}/${netmask}`;
}

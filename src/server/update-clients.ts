// PUSH_UPDATE to clients that are up: all are checked before anybody is told, and the addresses here follow.

import type { Config } from '../config/config.ts';
import type { ServerOptions } from '../config/server-options.ts';
import { SallyportError } from '../error.ts';
import type { Instance } from './instance.ts';
import { givesAddress, makePushUpdate, takesUpdates } from './push-update.ts';
import type { Routes } from './routes.ts';
import { serverEndOf } from './server-end.ts';

export interface UpdateContext {
  readonly config: Config;
  readonly server: ServerOptions;
  readonly routes: Routes;
}

/**
 * Changes options of one client, or of all those that take updates. Returns the ids of those that were told; see
 * Server.pushUpdate.
 */
export async function updateClients(
  all: Iterable<Instance>,
  to: Instance | undefined,
  options: readonly string[],
  { config, server, routes }: UpdateContext,
): Promise<readonly number[]> {
  if (to !== undefined && !takesUpdates(to.facts.peerInfo)) throw notUpdatable(to);
  const some = [...all].filter(({ phase, facts }) => phase === 'up' && takesUpdates(facts.peerInfo));
  const targets = to === undefined ? some : [to];
  if (targets.length > 1 && givesAddress(options)) throw oneAddress();
  const end = serverEndOf(config, server);
  const updates = targets.map((instance) => {
    const update = makePushUpdate(options, instance.facts.addresses, config, end);
    for (const own of [update.addresses.v4?.local, update.addresses.v6?.local]) {
      if (own !== undefined && routes.isTaken(instance, own)) throw takenAddress(own);
    }
    return { instance, update };
  });
  for (const { instance, update } of updates) {
    const before = instance.facts.addresses;
    for (const text of update.texts) instance.sendText(text);
    instance.facts.addresses = update.addresses;
    await routes.readdress(instance, before, update.addresses);
  }
  return updates.map(({ instance }) => instance.id);
}

const notUpdatable = ({ label }: Instance): SallyportError =>
  new SallyportError(`pushUpdate: ${label} does not announce that it takes updates (IV_PROTO)`, {
    code: 'SALLYPORT_PUSH',
    blame: 'peer',
    hint: 'Its options change when it connects again: kick it with reconnect "here".',
  });

const oneAddress = (): SallyportError =>
  new SallyportError('pushUpdate: an address can be given to one client only', {
    code: 'SALLYPORT_PUSH',
    blame: 'config',
    hint: 'Name the client: { to: id }.',
  });

const takenAddress = (address: string): SallyportError =>
  new SallyportError(`pushUpdate: another client has ${address}`, {
    code: 'SALLYPORT_PUSH',
    blame: 'config',
    hint: 'Give an address that is free.',
  });

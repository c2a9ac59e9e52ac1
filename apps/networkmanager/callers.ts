// Who may call the service: root, and whoever has NetworkManager's name. The bus's policy says the same; a machine whose
// policy is missing or wrong must not let every user steer a process of root's.

import { type Bus, BusError } from '../../src/bus.ts';
import { INTERFACE_PREFIX } from './interface.ts';

const DAEMON = 'org.freedesktop.DBus';
const KNOWN_LIMIT = 64;

export type Authorise = (sender: string) => Promise<void>;

/** Rejects with BusError for a caller who may not. What the bus does not tell counts as no. */
export function createAuthorise(bus: Pick<Bus, 'call' | 'nameOwner'>, ownUid: number): Authorise {
  /** Unique names never come again, so what was found once stays. */
  const known = new Map<string, boolean>();
  const mayCall = async (sender: string): Promise<boolean> => {
    const [uid] = await bus
      .call({
        destination: DAEMON,
        path: '/org/freedesktop/DBus',
        interface: DAEMON,
        member: 'GetConnectionUnixUser',
        signature: 's',
        body: [sender],
      })
      .catch(() => [undefined]);
    if (uid === 0 || uid === ownUid) return true;
    return (await bus.nameOwner(INTERFACE_PREFIX).catch(() => undefined)) === sender;
  };
  return async (sender) => {
    let may = known.get(sender);
    if (may === undefined) {
      may = await mayCall(sender);
      if (known.size < KNOWN_LIMIT) known.set(sender, may);
    }
    if (!may) throw new BusError('org.freedesktop.DBus.Error.AccessDenied', 'Only root may use this service.');
  };
}

// What the composition roots of clients and servers have in common.

import type { Worker } from 'node:worker_threads';
import type { Config } from './config/config.ts';
import type { PlaneListener } from './data/plane.ts';
import { SallyportError } from './error.ts';
import { dropPrivileges, enterChroot, hasNetAdmin, lookupGroup, lookupUser } from './linux/privileges.ts';
import { createWorkerPlane, type WorkerPlane } from './linux/worker-plane.ts';
import type { ScriptStdio } from './node/scripts.ts';
import type { PrivilegePort } from './tunnel/privileges.ts';

/** The worker starts at once, beside everything else; who listens to it is known later. */
export function startPlane(options: {
  readonly workerUrl: URL;
  readonly worker?: Worker | undefined;
  readonly peerSlots?: number;
}): {
  listenedBy(listener: PlaneListener): WorkerPlane;
  close(): Promise<void>;
} {
  let listener: PlaneListener = () => {};
  const plane = createWorkerPlane({ ...options, listener: (event) => listener(event) });
  return {
    listenedBy(known) {
      listener = known;
      return plane;
    },
    close: () => plane.close(),
  };
}

/** Where scripts print. */
export const scriptStdio = (output: number | 'ignore' | undefined): ScriptStdio =>
  output === undefined ? {} : { stdout: output, stderr: output };

/** Names are looked up now: after chroot there may be no /etc to look into. */
export function privilegePort(config: Config): PrivilegePort {
  const { user, group } = config.process;
  const account = user === undefined ? undefined : lookupUser(user);
  const gid = group === undefined ? undefined : lookupGroup(group);
  if (user !== undefined && account === undefined) throw unknownName('user', 'UID', user);
  if (group !== undefined && gid === undefined) throw unknownName('group', 'GID', group);
  return {
    chroot: enterChroot,
    changeIdentity({ keep }) {
      dropPrivileges({ uid: account?.uid, gid, keepNetAdmin: keep.includes('CAP_NET_ADMIN') });
      return hasNetAdmin() ? ['CAP_NET_ADMIN'] : [];
    },
  };
}

const unknownName = (option: string, id: string, name: string): SallyportError =>
  new SallyportError(`failed to find ${id} for ${option} ${name}`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: `Name a ${option} that exists on this machine.`,
  });

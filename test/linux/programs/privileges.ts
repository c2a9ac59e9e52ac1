// Gives up privileges in a network namespace of its own and tells, as one line of JSON, what still works.
// Arguments: a directory to chroot to (or nothing), and `no` to keep no capability.

import { readFileSync } from 'node:fs';
import { createNetlinkPort } from '../../../src/linux/netlink.ts';
import { dropPrivileges, enterChroot, hasNetAdmin, lookupGroup, lookupUser } from '../../../src/linux/privileges.ts';
import { createTunPort } from '../../../src/linux/tun.ts';
import { enterPrivateNetwork } from '../../lab/private-network.ts';

const [directory, keep] = process.argv.slice(2);
enterPrivateNetwork();
const port = createNetlinkPort();
const tun = createTunPort().open({ name: 'tun', layer: 'tun', node: undefined, txQueueLength: undefined });
const user = lookupUser('nobody');
const gid = lookupGroup('nogroup');
if (directory !== undefined) enterChroot(directory);
dropPrivileges({ uid: user?.uid, gid, keepNetAdmin: keep !== 'no' });

const attempt = (run: () => unknown): string => {
  try {
    run();
    return 'done';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

console.log(
  JSON.stringify({
    uid: process.getuid?.(),
    gid: process.getgid?.(),
    groups: process.getgroups?.(),
    backToRoot: attempt(() => process.setuid?.(0)),
    netAdmin: hasNetAdmin(),
    address: attempt(() => port.addAddress(tun.name, '10.8.0.2', 24, {})),
    up: attempt(() => port.setLinkUp(tun.name, true)),
    route: attempt(() =>
      port.addRoute({
        prefix: '192.168.50.0/24',
        gateway: '10.8.0.1',
        device: undefined,
        metric: undefined,
        table: undefined,
      }),
    ),
    passwd: attempt(() => readFileSync('/etc/passwd')),
  }),
);

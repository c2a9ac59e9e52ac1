// The states of a server: as soon as it listens it is what the C program calls connected.

import type { Config } from '../../src/command.ts';
import type { ManagementCore } from './core.ts';

/** Tells that the server has its addresses in the tunnel, where it has some, and serves. */
export function tellServing(core: Pick<ManagementCore, 'state'>, { ifconfig, ifconfigIpv6 }: Config['tunnel']): void {
  const fields = `${ifconfig?.local ?? ''},,,,${ifconfigIpv6 === undefined ? '' : `,${ifconfigIpv6.local}`}`;
  if (ifconfig !== undefined || ifconfigIpv6 !== undefined) core.state('ASSIGN_IP', '', fields);
  core.state('CONNECTED', 'SUCCESS', fields);
}

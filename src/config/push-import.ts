// The "OPTIONS IMPORT" lines: what kinds of options a push reply changed, in the order and words of OpenVPN 2.7.

import { Level, type LogFlags, Severity } from '../log.ts';
import type { ConnectionProfile, TunnelOptions } from './config.ts';
import type { OptionClass } from './option-row.ts';

/** Details of a push that show from verb 7 on; category and level as in the C program. */
export const PUSH_DEBUG: LogFlags = (73 << 24) | Severity.debug | 7;

/** The lines for the classes that were found. */
export function importWords(push: {
  readonly connection: ConnectionProfile | undefined;
  readonly found: ReadonlySet<OptionClass>;
  readonly tunnel: TunnelOptions;
}): { readonly flags: LogFlags; readonly text: string }[] {
  const { connection, found, tunnel } = push;
  const lines: { flags: LogFlags; text: string }[] = [];
  const when = (option: OptionClass, text: string, flags: LogFlags = Level.push): void => {
    if (found.has(option)) lines.push({ flags, text: `OPTIONS IMPORT: ${text}` });
  };
  when('messages', '--verb and/or --mute level changed');
  when('timer', 'timers and/or timeouts modified', PUSH_DEBUG);
  if (connection?.proto.transport === 'udp') when('explicit-notify', 'explicit notify parm(s) modified', PUSH_DEBUG);
  else when('explicit-notify', '--explicit-exit-notify can only be used with --proto udp');
  when('comp', 'compression parms modified', PUSH_DEBUG);
  when('shaper', 'traffic shaper enabled');
  when('sockbuf', '--sndbuf/--rcvbuf options modified');
  when('persist', '--persist options modified');
  when('up', '--ifconfig/up options modified');
  when('route', 'route options modified');
  when('route-extras', 'route-related options modified');
  when('dhcpdns', '--ip-win32 and/or --dhcp-option options modified');
  when('setenv', 'environment modified');
  when('peer-id', 'peer-id set', PUSH_DEBUG);
  when('ncp', 'data channel crypto options modified', PUSH_DEBUG);
  if (tunnel.tunMtuBytes !== undefined) when('push-mtu', `tun-mtu set to ${tunnel.tunMtuBytes}`);
  return lines;
}

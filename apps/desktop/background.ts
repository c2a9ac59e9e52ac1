// The process in the background that `up` starts: the ordinary client on a profile, with a control socket and a log.

import { type DaemonStart, daemonise } from '../../src/command.ts';
import type { ControlOrder } from './control-server.ts';
import { CONTROL_ORDER } from './order.ts';
import { type Places, recordPath, socketPath } from './places.ts';
import type { StoredProfile } from './profiles.ts';

export interface BackgroundOptions {
  readonly ask: boolean;
  readonly onlyItsNetworks: boolean;
  readonly allowIpv6Leak: boolean;
  /** Somebody is at a terminal: a refused login is asked for again. */
  readonly asksAgain?: boolean;
}

/** The command line of the process in the background. */
export function argumentsFor(file: string, options: BackgroundOptions): readonly string[] {
  const args: string[] = [];
  // Before the profile, which may say otherwise.
  if (!options.allowIpv6Leak) args.push('--block-ipv6-leak', 'yes');
  if (options.asksAgain) args.push('--auth-retry', 'interact');
  args.push('--config', file);
  if (options.allowIpv6Leak) args.push('--block-ipv6-leak', 'no');
  if (options.onlyItsNetworks) args.push('--only-its-networks');
  if (options.ask) args.push('--auth-user-pass');
  return args;
}

/** Starts it in the folder that this process is in, with its output to `log`; resolves once it has read everything, or is gone. */
export function startInBackground(
  { name, path }: StoredProfile,
  args: readonly string[],
  { secrets, log, places }: { secrets: Readonly<Record<string, string>>; log: number; places: Places },
): Promise<DaemonStart> {
  const order: ControlOrder = {
    name,
    profile: path,
    socket: socketPath(places, name),
    record: recordPath(places, name),
  };
  return daemonise({
    args: [...process.execArgv, process.argv[1] ?? '', ...args],
    secrets: { ...secrets, [CONTROL_ORDER]: JSON.stringify(order) },
    output: log,
  });
}

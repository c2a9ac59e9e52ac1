// `sallyport up`: starts the ordinary client in the background, answers what it asks, and waits until the tunnel is up.

import { dirname } from 'node:path';
import { type Config, cleanTerminalText, type DaemonStart, dnsSetter, hasNetAdmin } from '../../src/command.ts';
import { secretsForDaemon } from '../cli/credentials.ts';
import { argumentsFor, type BackgroundOptions, startInBackground } from './background.ts';
import { checkTrust, chooseProfile, fileOf, readClientConfig } from './chosen-profile.ts';
import { forget, isOf, presenceOf } from './control-client.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import { type FollowOptions, follow } from './follow.ts';
import type { CommandIo } from './io.ts';
import { makeRuntime } from './places.ts';
import type { StoredProfile } from './profiles.ts';
import { startFailure } from './start-failure.ts';
import { lockStart } from './start-lock.ts';

export async function up(word: string, options: BackgroundOptions & FollowOptions, io: CommandIo): Promise<number> {
  const profile = chooseProfile(word, io);
  const { name } = profile;
  mayMakeTunnels();
  checkTrust(profile, io);
  makeRuntime(io.places, io.uid);
  const asksAgain = io.terminal.error && options.waitSeconds > 0;
  const { start, config } = await startAlone(profile, { ...options, asksAgain }, io);
  if (!start.ready) throw startFailure(name, io, start.error);
  if (options.waitSeconds === 0) return ExitCode.ok;
  return follow(name, { ...options, setsDns: dnsSetter(config.scripts, true) !== undefined }, io);
}

interface Started {
  readonly start: DaemonStart;
  readonly config: Config;
}

/** Nobody else starts it meanwhile, who would take the other's socket for one of a dead process. */
async function startAlone(profile: StoredProfile, options: BackgroundOptions, io: CommandIo): Promise<Started> {
  const { name, path } = profile;
  const lock = await lockStart(name, io.places);
  try {
    await refuseSecond(profile, io);
    forget(io.places, name);
    process.chdir(dirname(path));
    const args = argumentsFor(fileOf(profile), options);
    const config = readClientConfig(profile, args);
    const secrets = await secretsForDaemon(config, (text) => io.complain(`${cleanTerminalText(text)}\n`));
    const start = await startInBackground(profile, args, { secrets, log: lock.newLog(), places: io.places });
    return { start, config };
  } finally {
    lock.release();
  }
}

async function refuseSecond({ name, path }: StoredProfile, { places }: CommandIo): Promise<void> {
  const presence = await presenceOf(places, name);
  if (presence.kind !== 'up') return;
  const other = isOf(presence, path) ? '' : `, from ${presence.profile}`;
  throw new CommandFailure(
    ExitCode.activation,
    `${name} is up already${other}`,
    other === ''
      ? `sallyport status ${name} has more; sallyport down ${name} ends it.`
      : `Two tunnels can't have one name: end it with sallyport down ${name}, or rename a file.`,
  );
}

/** Refuses who can't change the network, before anything is asked. */
function mayMakeTunnels(): void {
  if (hasNetAdmin()) return;
  throw new CommandFailure(
    ExitCode.activation,
    'a tunnel changes the network of this machine, which takes root',
    'Connect with sudo sallyport up …, or import the profile into NetworkManager, which lets users connect.',
  );
}

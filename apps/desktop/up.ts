// `sallyport up`: starts the ordinary client in the background, answers what it asks, and waits until the tunnel is up.

import { dirname } from 'node:path';
import { cleanTerminalText, hasNetAdmin } from '../../src/command.ts';
import { secretsForDaemon } from '../cli/credentials.ts';
import { argumentsFor, type BackgroundOptions, startInBackground } from './background.ts';
import { checkTrust, chooseProfile, fileOf, readClientConfig } from './chosen-profile.ts';
import { forget, presenceOf } from './control-client.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import { type FollowOptions, follow } from './follow.ts';
import type { CommandIo } from './io.ts';
import { makeRuntime } from './places.ts';
import { startFailure } from './start-failure.ts';

export async function up(word: string, options: BackgroundOptions & FollowOptions, io: CommandIo): Promise<number> {
  const profile = chooseProfile(word, io);
  const { name } = profile;
  mayMakeTunnels();
  checkTrust(profile, io);
  makeRuntime(io.places, io.uid);
  await refuseSecond(name, io);
  forget(io.places, name);
  process.chdir(dirname(profile.path));
  const args = argumentsFor(fileOf(profile), options);
  const config = readClientConfig(profile, args);
  const secrets = await secretsForDaemon(config, (text) => io.complain(`${cleanTerminalText(text)}\n`));
  const started = await startInBackground(profile, args, secrets, io.places);
  if (!started.ready) throw startFailure(name, io, started.error);
  return options.waitSeconds === 0 ? ExitCode.ok : follow(name, options, io);
}

async function refuseSecond(name: string, { places }: CommandIo): Promise<void> {
  if ((await presenceOf(places, name)).kind !== 'up') return;
  throw new CommandFailure(
    ExitCode.activation,
    `${name} is up already`,
    `sallyport status ${name} has more; sallyport down ${name} ends it.`,
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

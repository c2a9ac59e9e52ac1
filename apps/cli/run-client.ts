// A client under the command: composed, started, reported on.

import type { Worker } from 'node:worker_threads';
import type { Config, Logger, SallyportError } from '../../src/command.ts';
import { composeClient } from '../../src/compose.ts';
import type { Control } from '../desktop/control-server.ts';
import type { CommandCredentials } from './credentials.ts';
import { startReports } from './reports.ts';
import type { SignalListener } from './signals.ts';

/** What a run of the configuration starts from. */
export interface RunSetting {
  readonly config: Config;
  readonly logger: Logger;
  readonly credentials: CommandCredentials;
  /** The file that scripts see in `config`. */
  readonly configFile: string | undefined;
  readonly directory: string;
  readonly scriptOutput: number | undefined;
  readonly workerUrl: URL;
  readonly worker: Worker | undefined;
  /** Reads the configuration again (SIGHUP), as at the start; undefined when it can't be used, which has been told. */
  reread(running: Config): Config | undefined;
  /** The control socket of a tunnel that `sallyport up` started. */
  readonly control?: Control | undefined;
  /** Everything was read and checked: a parent that waits for it may go. */
  ready(): void;
}

/** Something that runs until it should end, or until the configuration is to be read again. */
export interface Running extends SignalListener {
  readonly ended: Promise<RunEnd>;
  /** After the end. */
  stop(): void;
}

export type RunEnd =
  | { readonly kind: 'exit'; readonly exitCode: number; readonly error: SallyportError | undefined }
  | { readonly kind: 'reload' };

/** Reads what the configuration names, and connects. Rejects for what can't be read. */
export async function runClient(setting: RunSetting): Promise<Running> {
  const { config, logger, credentials } = setting;
  const composed = await composeClient(config, {
    ...setting,
    log: logger.log,
    challenges: credentials.challenges(),
    passphrase: () => credentials.passphrase(),
  });
  setting.ready();
  const { client, run } = composed.start(
    setting.control?.observer ?? { state: () => {}, peerConnected: () => {}, info: () => {} },
  );
  setting.control?.attach(client);
  const reports = startReports(config, client, logger, setting.directory);
  return {
    ended: run(),
    signal: (name) => client.signal(name),
    statistics: () => reports.toLog(),
    stop: () => reports.stop(),
  };
}

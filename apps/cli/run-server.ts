// A server under the command: composed, started, reported on.

import { composeServer } from '../../src/serve.ts';
import { startServerReports } from './reports.ts';
import type { Running, RunSetting } from './run-client.ts';

/** Reads what the configuration names, and serves. Rejects for what can't be read. */
export async function runServer(setting: RunSetting): Promise<Running> {
  const { config, logger, credentials } = setting;
  const composed = await composeServer(config, {
    ...setting,
    log: logger.log,
    passphrase: () => credentials.passphrase(),
  });
  setting.ready();
  const { server, run } = composed.start({ listening: () => {} });
  const reports = startServerReports(config, server, logger);
  return {
    ended: run(),
    signal: (name) => server.signal(name),
    statistics: () => reports.toLog(),
    stop: () => reports.stop(),
  };
}

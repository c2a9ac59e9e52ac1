// A server under the command: composed, started, reported on; SIGHUP changes it without dropping anybody.

import { Level } from '../../src/command.ts';
import { composeServer } from '../../src/serve.ts';
import { startServerReports } from './reports.ts';
import type { Running, RunSetting } from './run-client.ts';

/** Reads what the configuration names, and serves. Rejects for what can't be read. */
export async function runServer(setting: RunSetting): Promise<Running> {
  const { config, logger, credentials } = setting;
  const { log } = logger;
  const composed = await composeServer(config, {
    ...setting,
    log,
    passphrase: () => credentials.passphrase(),
  });
  setting.ready();
  let listening = false;
  const { server, run, reload } = composed.start({
    listening: () => {
      listening = true;
    },
  });

  let reports = startServerReports(config, server, logger);

  /** As SIGHUP is with the C program, but for what can't be changed without a restart. */
  async function reloadNow(): Promise<void> {
    log(Level.info, 'SIGHUP[hard,] received, reading the configuration again');
    const next = setting.reread();
    if (next === undefined) {
      log(Level.error, 'The configuration has errors: the server goes on with the old one');
      return;
    }
    try {
      const { config: now, applied, needRestart } = await reload(next, false);
      logger.setVerb(now.process.verb);
      logger.setMute(now.process.mute);
      reports.stop();
      reports = startServerReports(now, server, logger);
      log(Level.info, `Reloaded: ${applied.length === 0 ? 'nothing has changed' : applied.join(', ')}`);
      if (needRestart.length > 0) {
        log(Level.warning, `NOTE: changed, and without effect until a restart: ${needRestart.join(', ')}`);
      }
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      log(Level.error, `The server goes on with the old configuration: ${text}`);
    }
  }

  let reloading = Promise.resolve();
  return {
    ended: run(),
    signal: (name) => {
      if (name === 'SIGHUP' && listening) reloading = reloading.then(reloadNow);
      else server.signal(name);
    },
    statistics: () => reports.toLog(),
    stop: () => reports.stop(),
  };
}

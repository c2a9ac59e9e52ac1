// A server under the command: composed, started, reported on; SIGHUP changes it without dropping anybody.

import { Level, type Log } from '../../src/command.ts';
import { composeServer } from '../../src/serve.ts';
import type { Management } from '../management/management.ts';
import { ServerCommands } from '../management/server-commands.ts';
import { managedHooks } from '../management/server-side.ts';
import { tellServing } from '../management/server-state.ts';
import { startServerReports } from './reports.ts';
import type { Running, RunSetting } from './run-client.ts';

/** Reads what the configuration names, and serves. Rejects for what can't be read. */
export async function runServer(setting: RunSetting): Promise<Running> {
  const { config, logger, service, credentials, management } = setting;
  let commands: ServerCommands | undefined;
  const { log } = logger;
  const composed = await composeServer(config, {
    ...setting,
    log,
    passphrase: () => credentials.passphrase(),
    hooks: management && managedHooks(management.core, () => commands),
  });
  setting.ready();
  let listening = false;
  const { server, run, reload } = composed.start({
    listening: () => {
      listening = true;
      if (management !== undefined) tellServing(management.core, config.tunnel);
      management?.tunnelUp(config.tunnel.ifconfig?.local);
      service.status('Initialization Sequence Completed');
    },
    leaves: () => management?.core.say('>NOTIFY:info,remote-exit,EXIT'),
    connected: (info) => commands?.established(info.id, server.environmentOf(info.id) ?? {}),
  });

  let running = config;
  if (management !== undefined) {
    commands = new ServerCommands(management.core, {
      clients: () => server.clients.map((client) => ({ ...client, ...client.endpoint })),
      clientIdOf: (id) => server.clientIdOf(id),
      kick: (id, message = 'RESTART') => server.dismiss(id, message),
      pushUpdate: (options, id) => server.pushUpdate(options, id),
    });
  }
  const reports = startServerReports(config, server, logger, setting.directory);

  /** As SIGHUP is with the C program, but for what can't be changed without a restart. */
  async function reloadNow(): Promise<void> {
    log(Level.info, 'SIGHUP[hard,] received, reading the configuration again');
    const next = setting.reread(running);
    if (next === undefined) {
      log(Level.error, 'The configuration has errors: the server goes on with the old one');
      return;
    }
    try {
      const { config: now, applied, needRestart } = await reload(next, false);
      logger.setVerb(now.process.verb);
      logger.setMute(now.process.mute);
      running = now;
      reports.follow(now);
      sayReloaded(applied, needRestart, log);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      log(Level.error, `The server goes on with the old configuration: ${text}`);
    }
  }

  let reloading = Promise.resolve();
  const signal: Running['signal'] = (name) => {
    if (name === 'SIGHUP' && listening)
      reloading = reloading.then(service.reloading).then(reloadNow).finally(service.ready);
    else server.signal(name);
  };
  management?.attach({
    signal: (name) => (name === 'SIGUSR2' ? reports.toLog() : signal(name)),
    forgetPasswords: () => {},
    status: (version) =>
      version >= 0 && version <= 3 ? reports.lines(version) : ['ERROR: bad status format version number'],
    loadStats() {
      const { linkReadBytes, linkWriteBytes } = server.statistics();
      return { clients: server.clients.length, bytesIn: linkReadBytes, bytesOut: linkWriteBytes };
    },
    crResponse: undefined,
    remotes: undefined,
    server: commands,
    authRetry: { get: () => config.authRetry, set: () => {} },
    traffic: () => commands?.traffic() ?? [],
  });
  return {
    ended: (management === undefined ? Promise.resolve() : heldStart(management))
      .then(run)
      .finally(() => management?.core.state('EXITING', 'SIGTERM')),
    signal,
    statistics: () => reports.toLog(),
    stop: () => {
      management?.attach(undefined);
      reports.stop();
    },
  };
}

/** A server that is to hold waits once, before it opens anything. */
async function heldStart({ core, early }: Management): Promise<void> {
  await core.hold(0, early).catch(() => {});
}

/** Options that clients are told when they come in. */
const TOLD_ONCE = ['push', 'push-remove', 'keepalive', 'ping', 'ping-restart'];

function sayReloaded(applied: readonly string[], needRestart: readonly string[], log: Log): void {
  if (applied.length > 0) log(Level.info, `Reloaded: ${applied.join(', ')}`);
  else if (needRestart.length === 0) log(Level.info, 'Reloaded: nothing has changed');
  if (applied.some((option) => TOLD_ONCE.includes(option))) {
    log(Level.info, 'Clients that are in keep what they were told; those that come from now on are told the new');
  }
  if (needRestart.length > 0) {
    log(Level.warning, `NOTE: changed, and without effect until a restart: ${needRestart.join(', ')}`);
  }
}

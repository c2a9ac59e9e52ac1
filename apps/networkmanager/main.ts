// The life of the service's process: a name on the system bus, one connection, and the end. A bundle of its own
// (dist/bin/nm-service.js), which bin/sallyport-nm-service.js runs.

import { type Bus, openBus, SYSTEM_BUS } from '../../src/bus.ts';
import { messageOf } from '../../src/error.ts';
import { SALLYPORT_VERSION } from '../../src/version.ts';
import { readArguments, type ServiceOptions, usage } from './arguments.ts';
import { createAuthorise } from './callers.ts';
import { startClient } from './client-process.ts';
import { installedHints } from './installed-dialog.ts';
import { readNamedFiles } from './named-files.ts';
import { Plugin } from './plugin.ts';
import { openServiceLog, type ServiceLog } from './service-log.ts';

const BUS_MS = 5_000;

/** Resolves to the exit code, when everything that was begun has ended. */
export async function main(args: readonly string[]): Promise<number> {
  const options = readArguments(args, process.env);
  switch (options.kind) {
    case 'help':
      process.stdout.write(usage());
      return 0;
    case 'version':
      process.stdout.write(`sallyport-nm-service ${SALLYPORT_VERSION}\n`);
      return 0;
    case 'wrong':
      process.stderr.write(`sallyport-nm-service: ${options.message}\n${usage()}`);
      return 1;
    case 'run':
      return serve(options, openServiceLog(process.env, options.debug));
    default:
      return options satisfies never;
  }
}

async function serve(options: ServiceOptions, log: ServiceLog): Promise<number> {
  let finish: (exitCode: number) => void = () => {};
  const finished = new Promise<number>((resolve) => {
    finish = resolve;
  });
  let plugin: Plugin | undefined;
  let bus: Bus;
  try {
    bus = await openBus(process.env.DBUS_SYSTEM_BUS_ADDRESS ?? SYSTEM_BUS, {
      timeoutMs: BUS_MS,
      onLost(reason) {
        log.service('warning', `the system bus is gone (${reason}), and with it the connection`);
        finish(1);
      },
      onFault: (error) => log.service('warning', `internal error: ${(error as Error)?.stack ?? messageOf(error)}`),
    });
  } catch (error) {
    log.service('warning', `the system bus can't be used: ${messageOf(error)}`);
    return 1;
  }
  const besides = (name: string): URL => new URL(`./${name}.js`, import.meta.url);
  try {
    // What NetworkManager asks may come in the same moment as the name.
    plugin = new Plugin(
      {
        bus,
        authorise: createAuthorise(bus, process.getuid?.() ?? 0),
        nowMs: () => performance.now(),
        after(ms, callback) {
          const timer = setTimeout(callback, ms);
          return () => clearTimeout(timer);
        },
        readFiles: (files, users) => readNamedFiles(files, users, { url: besides('nm-read-as-user') }),
        startClient: (order, events) => startClient(order, besides('nm-client'), events),
        log: log.service,
        clientLog: log.client,
        quit: () => finish(0),
      },
      {
        persist: options.persist,
        followsCaller: !options.debug,
        clientVerb: log.clientVerb,
        challengeHints: installedHints(),
      },
    );
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => finish(0));
    if (!(await bus.requestName(options.busName))) {
      log.service('warning', `another process has the name ${options.busName} on the bus`);
      finish(1);
    }
  } catch (error) {
    log.service('warning', `${options.busName}: ${messageOf(error)}`);
    finish(1);
  }
  const exitCode = await finished;
  await plugin?.close();
  await bus.close();
  return exitCode;
}

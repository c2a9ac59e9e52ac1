// What a running client writes about itself: the status file every so often, and the statistics that SIGUSR2 asks for.

import { type Config, formatBatches, formatStatus, Level, type Logger, openStatusFile } from '../../src/command.ts';
import type { ComposedClient } from '../../src/compose.ts';

type Client = ReturnType<ComposedClient['start']>['client'];

export interface Reports {
  toLog(): void;
  stop(): void;
}

/** Starts the timer of `status`, if the configuration has one. */
export function startReports(config: Config, client: Client, { log }: Logger): Reports {
  const lines = (): readonly string[] => {
    const { plane, peer } = client.statistics();
    return formatStatus({ ...plane, authReadBytes: peer?.linkReadBytes ?? 0 }, Math.floor(Date.now() / 1000));
  };
  const { status } = config.process;
  const file = status === undefined ? undefined : openStatusFile(status.path, (text) => log(Level.warning, text));
  const write = (): void => {
    file?.write(lines());
  };
  const timer =
    status === undefined || status.seconds === 0 ? undefined : setInterval(write, status.seconds * 1000).unref();
  write();
  return {
    toLog() {
      for (const line of lines()) log(Level.info, line);
      log(Level.low, formatBatches(client.statistics().plane));
    },
    stop() {
      clearInterval(timer);
      write();
      file?.close();
    },
  };
}

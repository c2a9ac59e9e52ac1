// What a running client or server writes about itself: the status file every so often, and the text that SIGUSR2 asks
// for.

import {
  type BatchCounters,
  type Config,
  formatBatches,
  formatLocalTime,
  formatStatus,
  Level,
  type Logger,
  openStatusFile,
  type StatusFacts,
  statusLines,
} from '../../src/command.ts';
import type { ComposedClient } from '../../src/compose.ts';
import { versionLine } from './version.ts';

type Client = ReturnType<ComposedClient['start']>['client'];

export interface Reports {
  toLog(): void;
  stop(): void;
}

/** Starts the timer of a client's `status`, if the configuration has one. */
export function startReports(config: Config, client: Client, logger: Logger): Reports {
  const lines = (): readonly string[] => {
    const { plane, peer } = client.statistics();
    return formatStatus({ ...plane, authReadBytes: peer?.linkReadBytes ?? 0 }, Math.floor(Date.now() / 1000));
  };
  return startStatus(config, lines, () => client.statistics().plane, logger, true);
}

/** The same of a server. What it wrote last stays when it ends. */
export function startServerReports(
  config: Config,
  server: { status(title: string): StatusFacts; statistics(): BatchCounters },
  logger: Logger,
): Reports {
  const lines = (): readonly string[] =>
    statusLines(server.status(versionLine()), config.process.statusVersion, formatLocalTime);
  return startStatus(config, lines, () => server.statistics(), logger, false);
}

function startStatus(
  config: Config,
  lines: () => readonly string[],
  batches: () => BatchCounters,
  { log }: Logger,
  atTheEnd: boolean,
): Reports {
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
      log(Level.low, formatBatches(batches()));
    },
    stop() {
      clearInterval(timer);
      if (atTheEnd) write();
      file?.close();
    },
  };
}

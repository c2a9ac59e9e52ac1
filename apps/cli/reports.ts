// What a running client or server writes about itself: the status file every so often, and the text that SIGUSR2 asks
// for.

import { resolve } from 'node:path';
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
  type StatusFile,
  statusLines,
} from '../../src/command.ts';
import type { ComposedClient } from '../../src/compose.ts';
import { versionLine } from './version.ts';

type Client = ReturnType<ComposedClient['start']>['client'];

export interface Reports {
  toLog(): void;
  /** What `status` writes, now; of a server in another format where one is named. */
  lines(version?: number): readonly string[];
  /** Goes by another configuration. A file that stays the same stays open: it may not be opened again. */
  follow(config: Config): void;
  stop(): void;
}

/** Starts the timer of a client's `status`, if the configuration has one. */
export function startReports(config: Config, client: Client, logger: Logger, directory: string): Reports {
  const lines = (): readonly string[] => {
    const { plane, peer } = client.statistics();
    return formatStatus({ ...plane, authReadBytes: peer?.linkReadBytes ?? 0 }, Math.floor(Date.now() / 1000));
  };
  return startStatus(config, lines, () => client.statistics().plane, { logger, directory, atTheEnd: true });
}

/** The same of a server. What it wrote last stays when it ends. */
export function startServerReports(
  config: Config,
  server: { status(title: string): StatusFacts; statistics(): BatchCounters },
  logger: Logger,
  directory: string,
): Reports {
  const lines = ({ process }: Config): readonly string[] =>
    statusLines(server.status(versionLine()), process.statusVersion, formatLocalTime);
  return startStatus(config, lines, () => server.statistics(), { logger, directory, atTheEnd: false });
}

function startStatus(
  first: Config,
  linesOf: (config: Config) => readonly string[],
  batches: () => BatchCounters,
  { logger: { log }, directory, atTheEnd }: { logger: Logger; directory: string; atTheEnd: boolean },
): Reports {
  let config = first;
  let file: StatusFile | undefined;
  let timer: NodeJS.Timeout | undefined;
  const write = (): void => {
    file?.write(linesOf(config));
  };
  const start = (before?: Config): void => {
    const { status } = config.process;
    if (before === undefined || before.process.status?.path !== status?.path) {
      file?.close();
      file =
        status === undefined
          ? undefined
          : openStatusFile(resolve(directory, status.path), (text) => log(Level.warning, text));
    }
    clearInterval(timer);
    timer =
      status === undefined || status.seconds === 0 ? undefined : setInterval(write, status.seconds * 1000).unref();
    write();
  };
  start();
  return {
    lines: (version = 0) =>
      linesOf(
        version === 0 ? config : { ...config, process: { ...config.process, statusVersion: version as 1 | 2 | 3 } },
      ),
    toLog() {
      for (const line of linesOf(config)) log(Level.info, line);
      for (const line of formatBatches(batches())) log(Level.low, line);
    },
    follow(next) {
      const before = config;
      config = next;
      start(before);
    },
    stop() {
      clearInterval(timer);
      if (atTheEnd) write();
      file?.close();
    },
  };
}

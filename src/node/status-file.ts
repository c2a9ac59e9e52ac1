// The client's status file (`status file [seconds]`) and what SIGUSR2 prints: the C program's lines.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { formatLocalTime } from './logger.ts';

export interface StatusCounters {
  readonly deviceReadBytes: number;
  readonly deviceWriteBytes: number;
  readonly linkReadBytes: number;
  readonly linkWriteBytes: number;
  /** Bytes of packets that were authentic. */
  readonly authReadBytes: number;
}

/** The status as lines, `OpenVPN STATISTICS` to `END`. */
export function formatStatus(counters: StatusCounters, unixSeconds: number): readonly string[] {
  return [
    'OpenVPN STATISTICS',
    `Updated,${formatLocalTime(unixSeconds)}`,
    `TUN/TAP read bytes,${counters.deviceReadBytes}`,
    `TUN/TAP write bytes,${counters.deviceWriteBytes}`,
    `TCP/UDP read bytes,${counters.linkReadBytes}`,
    `TCP/UDP write bytes,${counters.linkWriteBytes}`,
    `Auth read bytes,${counters.authReadBytes}`,
    'END',
  ];
}

export interface BatchCounters {
  readonly deviceReadPackets: number;
  readonly deviceReadCalls: number;
  readonly deviceWritePackets: number;
  readonly deviceWriteCalls: number;
  readonly linkReadPackets: number;
  readonly linkReadCalls: number;
  readonly linkWritePackets: number;
  readonly linkWriteCalls: number;
  /** Of each worker, where there are several. */
  readonly workers?: readonly BatchCounters[] | undefined;
}

/** How many packets went with how many system calls: a line, and one for each worker where there are several. */
export function formatBatches(counters: BatchCounters): readonly string[] {
  const { workers = [] } = counters;
  return [batchLine('', counters), ...workers.map((each, index) => batchLine(` of worker ${index}`, each))];
}

function batchLine(whose: string, counters: BatchCounters): string {
  const part = (what: string, packets: number, calls: number): string =>
    `${what} ${packets} in ${calls}${calls === 0 ? '' : ` (${(packets / calls).toFixed(1)})`}`;
  return `Data path${whose}, packets in calls: ${[
    part('TUN/TAP read', counters.deviceReadPackets, counters.deviceReadCalls),
    part('TUN/TAP write', counters.deviceWritePackets, counters.deviceWriteCalls),
    part('TCP/UDP read', counters.linkReadPackets, counters.linkReadCalls),
    part('TCP/UDP write', counters.linkWritePackets, counters.linkWriteCalls),
  ].join(', ')}`;
}

export interface StatusFile {
  /** Replaces the content. Never throws; false when it could not be written. */
  write(lines: readonly string[]): boolean;
  close(): void;
}

/** Opens the file once, as C does, so that it can still be written after privileges are dropped. Undefined, with a warning, where that fails. */
export function openStatusFile(path: string, warn: (text: string) => void): StatusFile | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'w', 0o600);
  } catch {
    warn(`Note: cannot open ${path} for WRITE`);
    return undefined;
  }
  return {
    write(lines) {
      const bytes = Buffer.from(`${lines.join('\n')}\n`);
      try {
        // In place: readers that hold the file open keep seeing it.
        let offset = 0;
        while (offset < bytes.length) offset += writeSync(fd, bytes, offset, bytes.length - offset, offset);
        ftruncateSync(fd, bytes.length);
        return true;
      } catch {
        return false;
      }
    },
    close: () => closeSync(fd),
  };
}

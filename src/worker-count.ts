// How many threads move packets, where nothing else is said.

import type { Config } from './config/config.ts';

/** A client has two directions, which is all that there is to divide. */
const CLIENT_WORKERS_MAX = 2;
/** With fewer processors the programs that packets are for, and the kernel, need them themselves (docs/PERFORMANCE.md). */
const CORES_FOR_TWO = 4;
const DEFAULT_WORKERS_MAX = 4;

export interface WorkerSurroundings {
  /** Processors that this process may use. */
  readonly cores: number;
  /** Whether the tunnel ends in this program. */
  readonly inMemory: boolean;
}

/** How many workers a plane gets: as many as `workers` says, or as the processors suggest, and as there is work for. */
export function workerCount(config: Config, { cores, inMemory }: WorkerSurroundings): number {
  // A program's packets all go through its own thread, and who has which address in a network of frames is learned by one.
  if (inMemory || config.device.type !== 'tun') return 1;
  const { workers = defaultCount(cores) } = config.process;
  if (config.mode === 'server') return workers;
  const isStream = config.connections.every(({ proto }) => proto.transport !== 'udp');
  return isStream ? 1 : Math.min(workers, CLIENT_WORKERS_MAX);
}

function defaultCount(cores: number): number {
  return cores < CORES_FOR_TWO ? 1 : Math.min(Math.floor(cores / 2), DEFAULT_WORKERS_MAX);
}

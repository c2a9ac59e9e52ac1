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

export interface WorkerCount {
  readonly workers: number;
  /** For the log, where `workers` asks for more than there can be: how many there are instead, and why. */
  readonly note: string | undefined;
}

/** How many workers a plane gets: as many as `workers` says, or as the processors suggest, and as there is work for. */
export function workerCount(config: Config, surroundings: WorkerSurroundings): WorkerCount {
  const asked = config.process.workers;
  const { most, because } = bound(config, surroundings);
  const workers = Math.min(asked ?? defaultCount(surroundings.cores), most);
  const isSetAside = asked !== undefined && asked > workers;
  return { workers, note: isSetAside ? `NOTE: workers ${asked} is set aside for ${workers}: ${because}.` : undefined };
}

function bound(config: Config, { inMemory }: WorkerSurroundings): { readonly most: number; readonly because: string } {
  // A program's packets all go through its own thread, and who has which address in a network of frames is learned by one.
  if (inMemory) return { most: 1, because: 'the packets of a device in memory all go through one thread' };
  const { type } = config.device;
  if (type === 'null') return { most: 1, because: 'dev null has no packets' };
  if (type === 'tap') return { most: 1, because: 'one thread learns which Ethernet address is where (dev tap)' };
  if (config.mode === 'server') return { most: Number.POSITIVE_INFINITY, because: '' };
  if (config.connections.every(({ proto }) => proto.transport !== 'udp')) {
    return { most: 1, because: 'one TCP connection keeps its order, so one thread moves its packets' };
  }
  return {
    most: CLIENT_WORKERS_MAX,
    because: 'a connection has two directions, and a thread for each is all there is to do',
  };
}

function defaultCount(cores: number): number {
  return cores < CORES_FOR_TWO ? 1 : Math.min(Math.floor(cores / 2), DEFAULT_WORKERS_MAX);
}

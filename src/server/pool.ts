// The address pool over a server's life: made from the configuration, remembered in a file.

import type { Config } from '../config/config.ts';
import type { ServerOptions } from '../config/server-options.ts';
import { SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';
import { type AddressPool, makeAddressPool } from './address-pool.ts';
import { readPoolFile, writePoolFile } from './pool-file.ts';
import type { ServerFiles } from './ports.ts';

export interface Pool {
  readonly addresses: AddressPool;
  /** Writes the file for the last time. */
  close(): void;
}

export interface PoolPorts {
  readonly files: ServerFiles;
  readonly clock: ClockPort;
  readonly log: Log;
}

const FILE_LIMIT_BYTES = 16 * 1024 * 1024;

/** undefined where the configuration has no pool. Throws SallyportError for a pool that can't be. */
export function openPool(config: Config, server: ServerOptions, ports: PoolPorts): Pool | undefined {
  const { pool4, pool6, duplicateCn } = server;
  if (pool4 === undefined && pool6 === undefined) return undefined;
  const blocks = config.device.type === 'tun' && config.tunnel.topology === 'net30';
  const made = makeAddressPool({ pool4, pool6, blocks, duplicateCn });
  if ('problem' in made) {
    throw new SallyportError(made.problem, {
      code: 'SALLYPORT_CONFIG',
      blame: 'config',
      hint: 'Give the pool more addresses: a larger network in server, or other bounds in ifconfig-pool.',
    });
  }
  for (const size of made.sizes) ports.log(Level.pool, size);
  for (const note of made.notes) ports.log(note.startsWith('WARNING') ? Level.warning : Level.info, note);
  const file = server.poolPersist === undefined ? undefined : new PoolFile(server.poolPersist, made.pool, ports);
  return { addresses: made.pool, close: () => file?.close() };
}

/** `ifconfig-pool-persist`. With 0 seconds the file is read and never written. */
class PoolFile {
  readonly #option: NonNullable<ServerOptions['poolPersist']>;
  readonly #pool: AddressPool;
  readonly #ports: PoolPorts;
  #cancel = (): void => {};

  constructor(option: NonNullable<ServerOptions['poolPersist']>, pool: AddressPool, ports: PoolPorts) {
    this.#option = option;
    this.#pool = pool;
    this.#ports = ports;
    this.#read();
    this.#write();
    this.#schedule();
  }

  close(): void {
    this.#cancel();
    this.#write();
  }

  #read(): void {
    const { files, clock, log } = this.#ports;
    try {
      const text = files.read(this.#option.path, FILE_LIMIT_BYTES) ?? '';
      const fixed = this.#option.seconds === 0;
      for (const { severity, text: note } of readPoolFile(text, this.#pool, fixed, clock.now().unixSeconds)) {
        log(severity === 'warning' ? Level.warning : Level.pool, note);
      }
    } catch (error) {
      log(Level.warning, `Note: ${(error as Error).message}`);
    }
    log(Level.pool, 'IFCONFIG POOL LIST');
    for (const line of writePoolFile(this.#pool.records()).split('\n')) if (line !== '') log(Level.pool, line);
  }

  #write(): void {
    if (this.#option.seconds === 0) return;
    try {
      this.#ports.files.replace(this.#option.path, writePoolFile(this.#pool.records()));
    } catch (error) {
      this.#ports.log(Level.warning, `Note: ${(error as Error).message}`);
    }
  }

  #schedule(): void {
    const { seconds } = this.#option;
    if (seconds === 0) return;
    const { clock } = this.#ports;
    this.#cancel = clock.at(clock.now().monoMs + seconds * 1000, () => {
      this.#write();
      this.#schedule();
    });
  }
}

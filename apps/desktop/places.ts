// Where profiles, control sockets and logs are. SALLYPORT_PROFILES and SALLYPORT_RUNTIME put them elsewhere (tests).

import { lstatSync, mkdirSync, type StatsFs, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { CommandFailure, ExitCode } from './failure.ts';

export interface Places {
  /** Folders that are searched, in this order. */
  readonly profiles: readonly string[];
  /** Where `import` writes. */
  readonly imports: string;
  readonly runtime: string;
}

/** For this user and environment. */
export function placesOf(env: NodeJS.ProcessEnv, uid: number): Places {
  const system = '/etc/openvpn/client';
  const home = env.XDG_CONFIG_HOME || join(env.HOME || '/', '.config');
  const own = join(home, 'sallyport');
  const given = env.SALLYPORT_PROFILES;
  const runtime =
    env.SALLYPORT_RUNTIME ||
    (uid === 0 ? '/run/sallyport' : join(env.XDG_RUNTIME_DIR || `/run/user/${uid}`, 'sallyport'));
  if (given) return { profiles: [given], imports: given, runtime };
  // Root takes profiles from where only root writes: XDG_CONFIG_HOME may be somebody else's.
  return uid === 0
    ? { profiles: [system], imports: system, runtime }
    : { profiles: [own, system], imports: own, runtime };
}

/** Longest path of a socket, with its zero byte, is 108 bytes. */
const SOCKET_PATH_BYTES = 107;

export const socketPath = ({ runtime }: Places, name: string): string => {
  const path = join(runtime, `${name}.sock`);
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES) {
    throw new CommandFailure(ExitCode.usage, `the name ${name} is too long for a socket in ${runtime}`);
  }
  return path;
};
export const logPath = ({ runtime }: Places, name: string): string => join(runtime, `${name}.log`);
export const recordPath = ({ runtime }: Places, name: string): string => join(runtime, `${name}.json`);

/** A record and the beginning of a log, and their files and a socket. */
const ROOM = { bytes: 0x4000, files: 4 };

/** Makes the runtime folder, or looks whether nobody else can write in the one that is there, and whether there is room in it. */
export function makeRuntime({ runtime }: Places, uid: number): void {
  try {
    mkdirSync(runtime, { recursive: true, mode: 0o711 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw noRoom(runtime);
    throw error;
  }
  if (!hasRoom(statfsSync(runtime))) throw noRoom(runtime);
  const problem = runtimeProblem(lstatSync(runtime), uid);
  if (problem !== undefined)
    throw new CommandFailure(ExitCode.unknown, `${runtime} ${problem}`, 'Remove it, and try again.');
}

/** File systems that count no blocks, or no files, have no limit of them. */
export const hasRoom = ({ blocks, bavail, bsize, files, ffree }: StatsFs): boolean =>
  (blocks === 0 || bavail * bsize >= ROOM.bytes) && (files === 0 || ffree >= ROOM.files);

const noRoom = (runtime: string): CommandFailure =>
  new CommandFailure(
    ExitCode.unknown,
    `there is no room left in ${runtime} for the socket and the log of a tunnel`,
    `Make some there (df ${runtime}; df -i ${runtime}), and try again.`,
  );

/** Why a folder can't be trusted with sockets; undefined when it can. */
export function runtimeProblem(
  stat: { isDirectory(): boolean; readonly uid: number; readonly mode: number },
  uid: number,
): string | undefined {
  if (!stat.isDirectory()) return 'is not a folder';
  if (stat.uid !== uid) return 'belongs to another user';
  if ((stat.mode & 0o022) !== 0) return 'can be written by others';
  return undefined;
}

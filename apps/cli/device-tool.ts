// `--mktun` and `--rmtun`: makes a device that stays, or has it go, and ends. Words and exit codes are the C program's.

import { createLogger, Level, type Log, MAX_PROFILE_BYTES, readBoundedFile, stdoutSink } from '../../src/command.ts';
import { keepDevice, parseDeviceRequest } from '../../src/persistent-device.ts';

/** Does what the command line asks for; returns the exit code. */
export function runDeviceTool(argv: readonly string[]): number {
  const request = parseDeviceRequest(argv, { readText: readProfile });
  if ('problems' in request) {
    const plain = logger(true);
    for (const line of [...request.problems, 'Use --help for more information.']) plain(Level.fatal, line);
    return 1;
  }
  const log = logger(false);
  try {
    keepDevice(request, log);
    return 0;
  } catch (error) {
    for (const line of [`ERROR: ${messageOf(error)}`, 'Exiting due to fatal error']) log(Level.fatal, line);
    return 1;
  }
}

const logger = (suppressTimestamps: boolean): Log =>
  createLogger({ verb: 1, mute: 0, sink: stdoutSink({ suppressTimestamps, machineReadable: false }) }).log;

function readProfile(path: string): string | undefined {
  try {
    return readBoundedFile(path, MAX_PROFILE_BYTES).toString('utf8');
  } catch {
    return undefined;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

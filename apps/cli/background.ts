// `daemon`: this process asks for secrets, starts itself again in the background, and ends when that one is ready.

import { daemonise, Level, type Logger } from '../../src/command.ts';

/** Returns the exit code of the foreground process. */
export async function goToBackground(secrets: Record<string, string>, logger: Logger): Promise<number> {
  const started = await daemonise({ secrets });
  if (started.ready) return 0;
  logger.log(
    Level.fatal,
    `the background process ended before it was ready${started.error === undefined ? '' : `: ${started.error}`}; look at its log`,
  );
  return started.exitCode ?? 1;
}

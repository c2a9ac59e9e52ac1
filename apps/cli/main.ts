// The command. The first word decides: a subcommand of our own, or OpenVPN's command line.

import { runOpenVpn } from './openvpn.ts';
import { catchSignals } from './signals.ts';

/** Runs the command and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const signals = catchSignals();
  process.exit(await run(argv, signals));
}

async function run(argv: readonly string[], signals: ReturnType<typeof catchSignals>): Promise<number> {
  const [first, ...rest] = argv;
  if (first === 'check') {
    const { runCheck } = await import('./check.ts');
    return runCheck(rest, {
      write: (text) => process.stdout.write(text),
      complain: (text) => process.stderr.write(text),
      directory: process.cwd(),
    });
  }
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    const { printUsage } = await import('./usage.ts');
    return printUsage();
  }
  return runOpenVpn(argv, signals);
}

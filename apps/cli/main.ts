// The command. The first word decides: a subcommand of our own, or OpenVPN's command line.

import type { Worker } from 'node:worker_threads';
import { asksForTool } from '../../src/command.ts';
import { asksForKey } from '../../src/keys.ts';
import { asksForDevice } from '../../src/persistent-device.ts';
import { runOpenVpn } from './openvpn.ts';
import { catchSignals, type SignalInbox } from './signals.ts';

/** The commands of apps/desktop/command-table.ts, which a start that connects does not load. */
export const COMMAND_WORDS: ReadonlySet<string> = new Set(
  'import list show up down reconnect refresh status log delete export recover explain completion'.split(' '),
);

/** Runs the command and ends the process with its exit code. `worker`: a data worker that the launcher started ahead. */
export async function main(argv: readonly string[], worker?: Worker): Promise<void> {
  const signals = catchSignals();
  process.exit(await run(argv, signals, worker));
}

/** Whether it is `help WORD`; a word that is no command is told so there. */
export const asksForHelpOf = ([first, word]: readonly string[]): boolean =>
  first === 'help' && word !== undefined && word !== 'help' && !word.startsWith('-');

async function run(argv: readonly string[], signals: SignalInbox, worker: Worker | undefined): Promise<number> {
  const [first, ...rest] = argv;
  if (first === 'help' && ['check', 'pki', 'server'].includes(rest[0] ?? '')) {
    return run([rest[0] ?? '', ...rest.slice(1), '--help'], signals, worker);
  }
  if (first === 'check') {
    const { runCheck } = await import('./check.ts');
    return runCheck(rest, {
      write: (text) => process.stdout.write(text),
      complain: (text) => process.stderr.write(text),
      directory: process.cwd(),
    });
  }
  if (first === 'pki' || first === 'server') {
    // A bundle of its own: a start that connects never loads it.
    const { processIo, runPki } = await import('../pki/main.ts');
    return runPki(argv, processIo());
  }
  if (COMMAND_WORDS.has(first ?? '') || asksForHelpOf(argv)) {
    const { processCommandIo, runCommands } = await import('../desktop/main.ts');
    // Nothing of ours is running yet: an interruption is the end, as for any program.
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeAllListeners(name);
    return runCommands(argv, processCommandIo());
  }
  if (first === undefined || first === 'help') {
    const { printCommands } = await import('./usage.ts');
    printCommands();
    return first === undefined ? 1 : 0;
  }
  if (argv.includes('--help') || first === '-h') {
    const { printUsage } = await import('./usage.ts');
    return printUsage();
  }
  if (argv.includes('--version')) {
    const { printVersion } = await import('./version.ts');
    printVersion();
    return 0;
  }
  if (asksForDevice(argv)) {
    const { runDeviceTool } = await import('./device-tool.ts');
    return runDeviceTool(argv);
  }
  if (asksForTool(argv)) {
    const { runTools } = await import('./tools.ts');
    return runTools(argv);
  }
  if (asksForKey(argv)) {
    const { runGenkey } = await import('./genkey.ts');
    return runGenkey(argv);
  }
  return runOpenVpn(argv, signals, worker);
}

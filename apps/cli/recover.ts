// `sallyport recover`: puts right what a killed process left on this host, and says what it did, what it left and why.

import { recoveredLine, recoverHost } from '../../src/recover.ts';

export interface RecoverIo {
  write(text: string): void;
  complain(text: string): void;
}

const USAGE = `Usage: sallyport recover [--dry-run]

Takes back what processes of Sallyport changed on this host that were killed before they could do so themselves:
routes, addresses, the default route that a full tunnel took away. What somebody else has changed since is left
as it is. Tunnels that run are not touched. The same is done at every start.

  --dry-run    say what would be done, and do nothing

Exit code: 0 nothing is left to do, 1 something could not be put right, 2 the command line is wrong.
`;

/** Exit codes as in the usage. */
export async function runRecover(args: readonly string[], io: RecoverIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.write(USAGE);
    return 0;
  }
  const unknown = args.find((word) => word !== '--dry-run');
  if (unknown !== undefined) {
    io.complain(`sallyport recover: ${unknown} is not known here\n${USAGE}`);
    return 2;
  }
  const dryRun = args.includes('--dry-run');
  const { processes, elsewhere, problems } = await recoverHost({ dryRun });
  for (const { pid, profile, changes } of processes) {
    io.write(`Process ${pid} (${profile}) was killed.${dryRun ? ' This would be done:' : ''}\n`);
    for (const change of changes) io.write(`  ${recoveredLine(change)}\n`);
  }
  if (processes.length === 0 && problems.length === 0) io.write('There is nothing to put right.\n');
  if (elsewhere > 0) io.write(`${elsewhere} of another network namespace: recover there.\n`);
  for (const problem of problems) io.complain(`sallyport recover: ${problem}\n`);
  const failed = processes.some(({ changes }) => changes.some(({ result }) => result === 'failed'));
  return failed || problems.length > 0 ? 1 : 0;
}

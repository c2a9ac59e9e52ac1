// `sallyport recover`: puts right what killed processes left on this machine; says what it did, what it left and why.

import { hasNetAdmin } from '../../src/command.ts';
import { type Recovery, recoveredLine, recoverHost } from '../../src/recover.ts';
import { knownTunnels, presenceOf } from './control-client.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import type { CommandIo } from './io.ts';
import { forgetGone } from './start-lock.ts';

export interface RecoverOptions {
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Recovers the host; tests hand in their own. Never rejects. */
type Recover = (options: { readonly dryRun: boolean }) => Promise<Recovery>;

export async function recover(
  { dryRun, json }: RecoverOptions,
  io: CommandIo,
  act: Recover = recoverHost,
): Promise<number> {
  if (!hasNetAdmin()) {
    throw new CommandFailure(
      ExitCode.unknown,
      'what is put right is the network of this machine, which takes root',
      'Try again with sudo.',
    );
  }
  const recovery = await act({ dryRun });
  if (json) io.write(`${JSON.stringify({ dryRun, ...recovery }, undefined, 2)}\n`);
  else tell(recovery, dryRun, io);
  if (!dryRun) await forgetKilled(io);
  return isWhole(recovery) ? ExitCode.ok : ExitCode.unknown;
}

/** Whether nothing is left that could not be put right. */
const isWhole = ({ processes, problems }: Recovery): boolean =>
  problems.length === 0 && !processes.some(({ changes }) => changes.some(({ result }) => result === 'failed'));

function tell({ processes, elsewhere, problems }: Recovery, dryRun: boolean, io: CommandIo): void {
  for (const { pid, profile, changes } of processes) {
    io.write(`Process ${pid} (${profile}) was killed.${dryRun ? ' What recover would have done:' : ''}\n`);
    for (const change of changes) io.write(`  ${recoveredLine(change)}\n`);
  }
  if (processes.length === 0 && problems.length === 0) io.write('There is nothing to put right.\n');
  if (elsewhere > 0) io.write(`${elsewhere} of another network namespace: recover there.\n`);
  for (const problem of problems) io.complain(`sallyport recover: ${problem}\n`);
}

/** Nothing of a killed tunnel is to be told any more. */
async function forgetKilled(io: CommandIo): Promise<void> {
  for (const name of knownTunnels(io.places)) {
    const presence = await presenceOf(io.places, name).catch(() => undefined);
    if (presence?.kind === 'killed') await forgetGone(io.places, name);
  }
}

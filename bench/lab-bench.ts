// How a bench in the namespaces of the lab begins and ends.

import { Lab } from '../test/lab/lab.ts';
import { missing } from '../test/lab/requirements.ts';

/** Opens the lab, or ends the process with the reasons why there can be none here. */
export async function openLab(): Promise<Lab> {
  if (missing.length > 0) {
    process.stderr.write(`bench: cannot run here: ${missing.join('; ')}\n`);
    process.exit(1);
  }
  return Lab.open();
}

/** Runs the bench, closes the lab and ends the process. */
export async function runIn(lab: Lab, bench: () => Promise<void>): Promise<never> {
  let code = 0;
  try {
    await bench();
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    code = 1;
  } finally {
    await lab.close();
  }
  process.exit(code);
}

// Our own NetworkManager service in the lab of NetworkManager: the packaged launcher, but for the place of the program.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import { clientCommand, projectRoot } from './requirements.ts';

/** For `program:` of a desktop. */
export async function packagedService(lab: Lab): Promise<string> {
  const [node = ''] = clientCommand('sallyport');
  const text = (await readFile(join(projectRoot, 'packaging/files/sallyport-nm-service'), 'utf8'))
    .replace('/usr/bin/node /usr/local/bin/node', node)
    .replace('/usr/lib/sallyport/bin', join(projectRoot, 'bin'));
  return lab.file('sallyport-nm-service', text, 0o755);
}

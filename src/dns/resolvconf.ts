// Name servers given to the resolvconf program: Debian's, or openresolv. It has one record for each tunnel and writes
// /etc/resolv.conf itself.

import type { DnsApplied, DnsSetting } from '../tunnel/dns-port.ts';
import type { DnsBackend, DnsFiles, DnsPlatform } from './ports.ts';

export type ResolvconfApplied = Extract<DnsApplied, { backend: 'resolvconf' }>;

const PLACES = ['/sbin/resolvconf', '/usr/sbin/resolvconf', '/usr/bin/resolvconf'];
/** Debian's list of which record comes first; what it does not name comes late. */
const ORDER = '/etc/resolvconf/interface-order';
/** Its hooks restart services at times. */
const PROGRAM_MS = 10_000;

/** Where the program is, if it is there. */
export const findResolvconf = (files: DnsFiles): string | undefined => PLACES.find((path) => files.isProgram(path));

export function resolvconfBackend(platform: DnsPlatform): DnsBackend<ResolvconfApplied> {
  const { files } = platform;
  const must = async (argv: readonly string[], input: string): Promise<void> => {
    const { exitCode, problem } = await platform.run(argv, input, PROGRAM_MS);
    if (exitCode === 0) return;
    const how = exitCode === undefined ? 'did not end as it should' : `exited with status ${exitCode}`;
    throw new Error(`${argv.join(' ')} ${how}${problem === '' ? '' : `: ${problem}`}`);
  };
  return {
    async apply(device, id, setting) {
      const program = findResolvconf(files);
      if (program === undefined) throw new Error(`there is no resolvconf program (${PLACES.join(', ')})`);
      const name = recordName(device, files.read(ORDER));
      // openresolv: before all others, and alone; Debian's has no such words, its order of names does it.
      const words = (files.read(program) ?? '').includes('openresolv') ? ['-m', '0', '-x'] : [];
      try {
        await must([program, ...words, '-a', name], recordText(setting));
      } catch (error) {
        // It may have kept the record and failed in a hook.
        await platform.run([program, '-d', name], '', PROGRAM_MS);
        throw error;
      }
      return { backend: 'resolvconf', device, id, setting, program, name };
    },
    async undo({ program, name }) {
      await must([program, '-d', name], '');
      return 'restored';
    },
    // The program has a record of its own, and writes the file anew from it.
    stands: () => Promise.resolve(true),
    async clear(device) {
      const program = findResolvconf(files);
      if (program !== undefined && device !== undefined)
        await must([program, '-d', recordName(device, files.read(ORDER))], '');
    },
  };
}

/** The device's own name where Debian's order knows it as a tunnel's, and otherwise one that it takes for a tunnel's. */
function recordName(device: string, order: string | undefined): string {
  return order === undefined || /^(tun|tap)[0-9]*$/.test(device) ? device : `tun.${device}`;
}

function recordText({ servers, search }: DnsSetting): string {
  const lines = servers.slice(0, 3).map(({ address }) => `nameserver ${address}`);
  if (search.length > 0) lines.push(`search ${search.slice(0, 6).join(' ')}`);
  return `${lines.join('\n')}\n`;
}

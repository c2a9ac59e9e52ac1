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
  const isOpenresolv = (program: string): boolean => (files.read(program) ?? '').includes('openresolv');
  // openresolv: before all others, and alone; Debian's has no such words, its order of names does it.
  const addWords = (program: string): string[] => (isOpenresolv(program) ? ['-m', '0', '-x', '-a'] : ['-a']);
  // openresolv: a record that is not there is no fault, as it is none for Debian's.
  const dropWords = (program: string): string[] => (isOpenresolv(program) ? ['-f', '-d'] : ['-d']);
  return {
    async apply(device, id, setting) {
      const ifindex = platform.deviceIndex(device);
      if (ifindex === undefined) throw new Error(`there is no device ${device}`);
      const program = findResolvconf(files);
      if (program === undefined) throw new Error(`there is no resolvconf program (${PLACES.join(', ')})`);
      const name = recordName(device, files.read(ORDER));
      try {
        await must([program, ...addWords(program), name], recordText(setting));
      } catch (error) {
        // It may have kept the record and failed in a hook.
        await platform.run([program, ...dropWords(program), name], '', PROGRAM_MS);
        throw error;
      }
      return { backend: 'resolvconf', device, id, setting, program, name, ifindex };
    },
    async undo({ program, name, device, ifindex }) {
      // Another tunnel has the device's name by now, and its record has taken the place of this one.
      if ((platform.deviceIndex(device) ?? ifindex) !== ifindex) return 'restored';
      await must([program, ...dropWords(program), name], '');
      return 'restored';
    },
    // The program has a record of its own, and writes the file anew from it.
    stands: () => Promise.resolve(true),
    async clear(device) {
      const program = findResolvconf(files);
      if (program === undefined || device === undefined) return;
      const name = recordName(device, files.read(ORDER));
      // What a killed process has started goes on without it.
      await platform.ended([program, ...addWords(program), name], PROGRAM_MS);
      await must([program, ...dropWords(program), name], '');
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

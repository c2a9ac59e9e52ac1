// What `status` prints, in its three layouts, beside the C program: to a management client and in the status file.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Transport, up, useLab } from '../lab/lab.ts';
import { Talk, useTalks } from '../lab/management-talk.ts';
import { isOurServer, labSuite, type Program, serverUnderTest } from '../lab/requirements.ts';

const programs: readonly Program[] = isOurServer ? ['openvpn-2.7', 'sallyport'] : [serverUnderTest];

/** Where two runs of the same differ: times, counts of bytes and packets, the client's port, and what the program calls itself. */
const comparable = (line: string): string =>
  line
    .replace(/^TITLE([,\t]).*$/, 'TITLE$1TITLE')
    .replace(/(queue length[,\t])\d+/, '$1N')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'WHEN')
    .replace(/(?<=[,\t])1[789]\d{8}(?=[,\t]|$)/g, 'TIME')
    .replace(/((?:192\.0\.2\.\d+|fd00:1:[0-9a-f:]+)\]?):\d+/g, '$1:PORT')
    .replace(/(?<=[,\t])\d{3,6}([,\t])\d{3,6}(?=[,\t])/g, 'BYTES$1BYTES');

/** In any order, as routes may come; without what is told of clients meanwhile. */
const linesOf = (text: string, end: string): readonly string[] =>
  text
    .split(end)
    .filter((line) => line !== '' && !line.startsWith('>'))
    .map(comparable)
    .sort();

labSuite('the status of a server beside OpenVPN 2.7', () => {
  const lab = useLab();
  const talks = useTalks();

  it.each([
    ['udp4', 'udp4'],
    ['udp6', 'udp6'],
    ['udp6', 'udp4'],
    ['tcp4', 'tcp4'],
    ['tcp6', 'tcp6'],
    ['tcp6', 'tcp4'],
  ] as readonly (readonly [Transport, Transport])[])(
    'at %s, of a client over %s, is the same line by line in each layout',
    { timeout: 120_000 },
    async (transport, way) => {
      const said: string[][] = [];
      for (const program of programs) {
        const socket = join(lab().dir, `${program}.sock`);
        const file = join(lab().dir, `${program}.status`);
        const lines = [`management ${socket} unix`, `status ${file} 1`, 'status-version 2', 'keepalive 10 60'];
        await lab().serve({
          program,
          transport,
          lines: [...lines, ...(program === 'sallyport' ? [] : ['disable-dco'])],
        });
        const talk = await Talk.open(socket);
        talks.push(talk);
        const client = await lab().client({ kind: 'openvpn', transport: way, lines: ['disable-dco'] });
        await client.line(up);
        const story: string[] = [];
        for (const version of ['', ' 1', ' 2', ' 3']) {
          const text = await talk.say(`status${version}`, /^END\r\n/m);
          story.push(`status${version}`, ...linesOf(text, '\r\n'));
        }
        await expect.poll(() => readFile(file, 'utf8'), { timeout: 10_000 }).toMatch(/10\.8\.0\.2[\s\S]*END\n$/);
        story.push('file', ...linesOf(await readFile(file, 'utf8'), '\n'));
        said.push(story);
        await lab().endTest();
      }
      expect(said.at(-1)).toEqual(said[0]);
    },
  );
});

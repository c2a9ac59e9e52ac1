// >NOTIFY: what the other end says of its going, told to the management client, beside the C program.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { useManagedClients } from '../lab/managed-client.ts';
import { comparable, Talk } from '../lab/management-talk.ts';
import { isOurServer, labSuite, type Program, serverUnderTest } from '../lab/requirements.ts';

const NOTIFY = />NOTIFY:.*\r\n/;
/** The lines of interest. */
const told = (text: string): readonly string[] =>
  [...text.matchAll(/^>(?:NOTIFY|STATE:\d+,(?:RECONNECTING|EXITING)).*/gm)].map(([line]) => line.trimEnd());

labSuite('the going of the other end', () => {
  const lab = useLab();
  const { start, same, attach, path, talks } = useManagedClients(lab);

  it.each(['', 'RESTART', 'RESTART,[N]', 'RESTART,[PN]moving', 'HALT', 'HALT,go away', 'HALT,[P]go away'])(
    'is told with its words where a server says %j',
    { timeout: 120_000 },
    async (message) => {
      await same(async (kind) => {
        const at = path();
        await lab().server({ version: '2.7', lines: [`management ${at} unix`, 'disable-dco'] });
        const server = await attach(at);
        const { client, talk } = await start(kind, []);
        await talk.say('state on');
        await client.line(up);
        await server.hear(/>CLIENT:ESTABLISHED,0[\s\S]*END\r\n/);
        await server.say(message === '' ? 'client-kill 0' : `client-kill 0 "${message}"`);
        const heard = await talk.hear(/>STATE:\d+,(RECONNECTING|EXITING).*\r\n/);
        return told(heard);
      });
    },
  );

  it.each([1, 2])('is told where a server goes with explicit-exit-notify %i', { timeout: 120_000 }, async (count) => {
    await same(async (kind) => {
      const server = await lab().server({
        version: '2.7',
        lines: ['disable-dco', `explicit-exit-notify ${count}`, 'keepalive 10 60'],
      });
      const { client, talk } = await start(kind, []);
      await talk.say('state on');
      await client.line(up);
      server.signal('SIGTERM');
      return told(await talk.hear(/>STATE:\d+,RECONNECTING.*\r\n/));
    });
  });

  it.each(['2.7', '2.5'] as const)(
    'is told where an equal end of OpenVPN %s goes, if it says so on the control channel',
    { timeout: 120_000 },
    async (version) => {
      await same(async (kind) => {
        const server = await lab().startServer({
          version,
          without: ['server', 'server-ipv6', 'topology'],
          lines: [
            'tls-server',
            `ifconfig ${tunnel.server4} ${tunnel.client4}`,
            'explicit-exit-notify 1',
            ...(version === '2.5' ? ['cipher AES-256-GCM'] : ['disable-dco']),
          ],
        });
        const { client, talk } = await start(
          kind,
          ['tls-client', `ifconfig ${tunnel.client4} ${tunnel.server4}`, 'data-ciphers-fallback AES-256-GCM'],
          { without: ['client'] },
        );
        await talk.say('state on');
        await Promise.all([client.line(up), server.line(up)]);
        server.signal('SIGTERM');
        return told(await talk.hear(/>STATE:\d+,RECONNECTING.*\r\n/));
      });
    },
  );

  it('is told to the management client of a server where a client says so on the control channel', {
    timeout: 120_000,
  }, async () => {
    const programs: readonly Program[] = isOurServer ? ['openvpn-2.7', 'sallyport'] : [serverUnderTest];
    const stories: string[] = [];
    for (const program of programs) {
      const at = join(lab().dir, `server-${program}.sock`);
      const lines = [`management ${at} unix`, ...(program === 'sallyport' ? [] : ['disable-dco'])];
      await lab().serve({ program, lines });
      const talk = await Talk.open(at);
      talks.push(talk);
      const client = await lab().client({ kind: 'openvpn', lines: ['disable-dco', 'explicit-exit-notify 1'] });
      await client.line(up);
      client.signal('SIGTERM');
      stories.push(comparable(told(await talk.hear(NOTIFY)).join('\n')));
      await lab().endTest();
    }
    expect(stories.at(-1)).toBe(stories[0]);
  });
});

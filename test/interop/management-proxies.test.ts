// Logins at a SOCKS proxy that are asked of a management client, beside the C program.

import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { useManagedClients } from '../lab/managed-client.ts';
import { address } from '../lab/net.ts';
import { socksProxy } from '../lab/proxies.ts';
import { labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const QUESTION = />PASSWORD:Need .*\r\n/;
const AT = `${address.gateway4} 1080`;
const QUERY = 'management-query-passwords';

labSuite('a login at a SOCKS proxy under management', () => {
  const lab = useLab();
  const { start, same } = useManagedClients(lab);

  const far = async (transport: 'tcp4' | 'udp4'): Promise<void> => {
    await socksProxy(lab(), { user: 'paul', password: 'fish cake', loginVersion: 5 });
    await lab().server({ version: '2.7', transport, lines: ['disable-dco'] });
  };
  const withoutGreeting = (line: string): string => line.replace(/>INFO.*\r\n/, '');

  it.each(['tcp4', 'udp4'] as const)('is asked for whole where the profile says stdin, over %s', async (transport) => {
    await same(async (kind) => {
      await far(transport);
      const { talk, client } = await start(kind, [`socks-proxy ${AT} stdin`, QUERY], { transport });
      const story = [
        await talk.hear(QUESTION),
        await talk.say('username "SOCKS Proxy" paul'),
        await talk.say('password "SOCKS Proxy" "fish cake"'),
      ];
      await client.line(up);
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      return story.map(withoutGreeting);
    });
  });

  it('is asked for whole where the file has the name alone', async () => {
    await same(async (kind) => {
      await far('tcp4');
      const file = await lab().file('socks-login', 'paul\n', 0o600);
      const { talk, client } = await start(kind, [`socks-proxy ${AT} ${file}`, QUERY], { transport: 'tcp4' });
      const story = [
        await talk.hear(QUESTION),
        await talk.say('username "SOCKS Proxy" paul'),
        await talk.say('password "SOCKS Proxy" "fish cake"'),
      ];
      await client.line(up);
      return story.map(withoutGreeting);
    });
  });

  it('is asked for again after a wrong one', async () => {
    await same(async (kind) => {
      await far('tcp4');
      const { talk, client } = await start(kind, [`socks-proxy ${AT} stdin`, QUERY], { transport: 'tcp4' });
      const story: string[] = [];
      for (const password of ['wrong', 'fish cake']) {
        story.push(await talk.hear(QUESTION));
        story.push(await talk.say('username "SOCKS Proxy" paul'));
        story.push(await talk.say(`password "SOCKS Proxy" "${password}"`));
      }
      await client.line(up);
      return story.map(withoutGreeting);
    });
  });

  it('is not asked for where the management client chose the proxy: there is none', async () => {
    await same(async (kind) => {
      await far('tcp4');
      const { talk, client } = await start(kind, ['management-query-proxy', QUERY], { transport: 'tcp4' });
      const story = [await talk.hear(/>PROXY:.*\r\n/), await talk.say(`proxy SOCKS ${AT}`)];
      await client.line(/process restarting/);
      story.push(await talk.hear(/>PROXY:.*\r\n/));
      return story.map(withoutGreeting);
    });
  });
});

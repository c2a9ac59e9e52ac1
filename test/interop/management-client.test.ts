// The management interface of a client, beside the C program's: the same story with both, and what is told of it.

import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { useManagedClients } from '../lab/managed-client.ts';
import { Talk } from '../lab/management-talk.ts';
import { address } from '../lab/net.ts';
import { eventually } from '../lab/process.ts';
import { httpProxy, socksProxy } from '../lab/proxies.ts';
import { isOurs, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const QUESTION = />PASSWORD:Need .*\r\n/;

labSuite('the management interface of a client', () => {
  const lab = useLab();
  const { listening, path, attach, start, same, talks } = useManagedClients(lab);

  /** A server that asks a program behind its own management for each login. */
  async function server(lines: readonly string[] = []): Promise<Talk> {
    const at = path();
    await lab().server({
      version: '2.7',
      lines: [`management ${at} unix`, 'management-client-auth', 'disable-dco', ...lines],
    });
    return attach(at);
  }

  /** The next login, as the server sees it. */
  async function login(talk: Talk): Promise<{ cid: string; kid: string; username: string; password: string }> {
    const text = await talk.hear(/>CLIENT:(CONNECT|REAUTH),[\s\S]*?>CLIENT:ENV,END\r\n/);
    const [, cid = '', kid = ''] = />CLIENT:(?:CONNECT|REAUTH),(\d+),(\d+)/.exec(text) ?? [];
    const of = (name: string): string => new RegExp(`>CLIENT:ENV,${name}=(.*)\r`).exec(text)?.[1] ?? '';
    return { cid, kid, username: of('username'), password: of('password') };
  }

  it('takes a static challenge in both forms', { timeout: 120_000 }, async () => {
    for (const words of ['1', '0', '1 concat', '0 scrv1']) {
      await same(async (kind) => {
        const judge = await server();
        const { talk, client } = await start(kind, [
          'auth-user-pass',
          'management-query-passwords',
          `static-challenge "Your code" ${words}`,
        ]);
        const question = await talk.hear(QUESTION);
        const packed = words.includes('concat') ? 'bar123456' : 'SCRV1:YmFy:MTIzNDU2';
        const story = [question, await talk.say('username "Auth" foo'), await talk.say(`password "Auth" "${packed}"`)];
        const { cid, kid, username, password } = await login(judge);
        await judge.say(`client-auth-nt ${cid} ${kid}`);
        await client.line(up);
        return [...story, username, password];
      });
    }
  });

  it('is asked for name and password where the file has the name alone', { timeout: 120_000 }, async () => {
    await same(async (kind) => {
      const judge = await server();
      const file = await lab().file('name-alone', 'max\n', 0o600);
      const { talk, client } = await start(kind, [`auth-user-pass ${file}`, 'management-query-passwords']);
      const question = await talk.hear(QUESTION);
      const story = [question, await talk.say('username "Auth" foo'), await talk.say('password "Auth" bar')];
      const { cid, kid, username, password } = await login(judge);
      await judge.say(`client-auth-nt ${cid} ${kid}`);
      await client.line(up);
      return [...story, username, password];
    });
  });

  it('is told of a dynamic challenge, and sends its answer with the next login', { timeout: 120_000 }, async () => {
    await same(async (kind) => {
      const judge = await server();
      const { talk, client } = await start(kind, [
        'auth-user-pass',
        'management-query-passwords',
        'auth-retry interact',
      ]);
      const story = [await talk.hear(QUESTION)];
      story.push(await talk.say('username "Auth" cr1'), await talk.say('password "Auth" first'));
      const first = await login(judge);
      await judge.say(`client-deny ${first.cid} ${first.kid} more "CRV1:R,E:state77:Y3Ix:Please enter token PIN"`);
      story.push(await talk.hear(/>PASSWORD:Verification Failed.*\r\n/), await talk.hear(QUESTION));
      story.push(await talk.say('username "Auth" cr1'), await talk.say('password "Auth" CRV1::state77::8675309'));
      const second = await login(judge);
      await judge.say(`client-auth-nt ${second.cid} ${second.kid}`);
      await client.line(up);
      return [...story, first.password, second.username, second.password];
    });
  });

  it('follows a whole connection in states, with its fields', { timeout: 120_000 }, async () => {
    await same(async (kind) => {
      const judge = await server([
        'push "echo forget-passwords"',
        'push "echo "',
        'push "route 10.77.0.0 255.255.0.0"',
      ]);
      const { talk, client } = await start(kind, [
        'auth-user-pass',
        'management-query-passwords',
        'management-hold',
        'management-up-down',
        'auth-nocache',
      ]);
      await talk.hear(/>HOLD:.*\r\n/);
      for (const line of ['state on all', 'echo on', 'bytecount 1']) await talk.say(line);
      await talk.say('hold release');
      await talk.hear(QUESTION);
      await talk.say('username "Auth" foo');
      await talk.say('password "Auth" bar');
      const { cid, kid } = await login(judge);
      await judge.say(`client-auth-nt ${cid} ${kid}`);
      await client.line(up);
      await talk.hear(/>BYTECOUNT:\d+,\d+\r\n/);
      await talk.say('bytecount 0');
      await talk.say('echo all', /END\r\n/);
      await talk.say('state', /END\r\n/);
      await talk.say('remote-entry-get all', /END\r\n/);
      talk.write('signal SIGUSR1\n');
      await talk.hear(/>HOLD:.*\r\n/);
      await talk.say('signal SIGTERM');
      await client.exit();
      const upDown = [...talk.text.matchAll(/>UPDOWN:(?!ENV).*/g)].map(([line]) => line);
      const states = [...talk.text.matchAll(/^(>STATE|>ECHO|>HOLD|\d{10}).*/gm)].map(([line]) => line);
      // Ours asks for its options at once; the C program's are there before it asks.
      return [...states, ...upDown]
        .filter((line) => !line.includes('GET_CONFIG'))
        .map((line) => line.replace(/,\d{4,5},,$/, ',PORT,,'));
    });
  });

  it('chooses remotes and proxies for it', { timeout: 120_000 }, async () => {
    await same(async (kind) => {
      await lab().server({ version: '2.7', lines: ['disable-dco'] });
      const remotes = ['remote 192.0.2.77 5000 udp', 'remote 192.0.2.78 5001 tcp', `remote ${address.server4} 9 udp4`];
      const { talk, client } = await start(kind, ['management-query-remote', 'management-hold', ...remotes], {
        without: ['remote'],
      });
      const ask = />REMOTE:.*\r\n/;
      await talk.hear(/>HOLD.*\r\n/);
      // Before a hold is released the C program knows no remotes yet; ours does.
      const story = [
        await talk.say('hold release'),
        await talk.hear(ask),
        await talk.say('remote-entry-count', /END\r\n/),
        await talk.say('remote-entry-get 1 9', /END\r\n/),
        await talk.say('remote-entry-get 7', /END\r\n/),
        await talk.say('remote MOD'),
        await talk.say('remote NONSENSE'),
      ];
      story.push(await talk.say('remote SKIP'), await talk.hear(ask));
      story.push(await talk.say('remote SKIP 1'), await talk.hear(ask));
      story.push(await talk.say(`remote MOD ${address.server4} 1194`));
      await client.line(up);
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      return story;
    });
  });

  it('skips several remotes at once', { timeout: 120_000 }, async () => {
    await same(async (kind) => {
      await lab().server({ version: '2.7', lines: ['disable-dco'] });
      const remotes = [1, 2, 3].map((n) => `remote 192.0.2.7${n} 500${n} udp`);
      const { talk, client } = await start(
        kind,
        ['management-query-remote', 'management-hold', ...remotes, `remote ${address.server4} 1194 udp4`],
        { without: ['remote'] },
      );
      const ask = />REMOTE:.*\r\n/;
      await talk.hear(/>HOLD.*\r\n/);
      await talk.say('hold release');
      const story = [await talk.hear(ask), await talk.say('remote SKIP 3'), await talk.hear(ask)];
      story.push(await talk.say('remote ACCEPT'));
      await client.line(up);
      return story;
    });
  });

  it.each(['HTTP', 'SOCKS'] as const)(
    'goes through the %s proxy that it is told, with a login',
    { timeout: 120_000 },
    async (type) => {
      await same(async (kind) => {
        await (type === 'HTTP'
          ? httpProxy(lab(), { offers: ['Basic realm="lab"'] })
          : socksProxy(lab(), { user: 'paul', password: 'fish cake' }));
        await lab().server({ version: '2.7', transport: 'tcp4', lines: ['disable-dco'] });
        const { talk, client } = await start(kind, ['management-query-proxy', 'management-query-passwords'], {
          transport: 'tcp4',
        });
        const story = [
          await talk.hear(/>PROXY:.*\r\n/),
          await talk.say('proxy NONSENSE x 1'),
          await talk.say(`proxy ${type} ${address.gateway4} ${type === 'HTTP' ? 3128 : 1080}`),
        ];
        if (type === 'HTTP') {
          story.push(await talk.hear(QUESTION));
          story.push(await talk.say(`username "${type} Proxy" paul`));
          story.push(await talk.say(`password "${type} Proxy" "fish cake"`));
        }
        if (type === 'HTTP') {
          await client.line(up);
          expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
        }
        return story.map((line) => line.replace(/>INFO.*\r\n/, ''));
      });
    },
  );

  it('connects to a management client that listens, and ends with it', { timeout: 120_000 }, async () => {
    await same(async (kind) => {
      const at = path();
      const { server: listener, talk: coming } = Talk.listen(at);
      listening.push(listener);
      const client = await lab().client({
        kind,
        lines: [`management ${at} unix`, 'management-client', 'management-hold'],
      });
      const talk = await coming;
      talks.push(talk);
      const story = [await talk.hear(/>HOLD:.*\r\n/), (await talk.say('hold')).trim()];
      talk.close();
      story.push(JSON.stringify(await client.exit()));
      return story.map((line) => line.replace(/>INFO.*\r\n/, ''));
    });
  });

  it('restarts when it is left, and forgets passwords', { timeout: 120_000 }, async () => {
    await same(async (kind) => {
      const judge = await server();
      const { talk, client, at } = await start(kind, [
        'auth-user-pass',
        'management-query-passwords',
        'management-signal',
        'management-forget-disconnect',
      ]);
      const enter = async (to: Talk): Promise<void> => {
        await to.hear(QUESTION);
        await to.say('username "Auth" foo');
        await to.say('password "Auth" bar');
        const { cid, kid } = await login(judge);
        await judge.say(`client-auth-nt ${cid} ${kid}`);
      };
      await enter(talk);
      await client.line(up);
      const from = client.lines.length;
      talk.close();
      const restart = await client.line(/SIGUSR1.*process restarting/, { from });
      const again = await attach(at);
      await enter(again);
      await client.line(up, { from });
      return [restart.replace(/^.*(SIGUSR1)/, '$1')];
    });
  });

  /** What a TCP client in a namespace hears to these lines, in two seconds. */
  async function overTcp(
    namespace: 'client' | 'server',
    at: string,
    port: number,
    lines: readonly string[],
  ): Promise<string> {
    const text = lines.map((line) => `${line}\\n`).join('');
    const script = `exec 3<>/dev/tcp/${at}/${port} && printf '${text}' >&3 && timeout 2 cat <&3`;
    let heard = '';
    await eventually(`a management port ${at}`, async () => {
      heard = (await lab().net[namespace].run(['bash', '-c', script], { anyCode: true })).stdout;
      return heard !== '';
    });
    return heard;
  }

  it('listens on a TCP port, with a password from a file or from the terminal', { timeout: 120_000 }, async () => {
    for (const source of ['file', 'stdin'] as const) {
      await same(async (kind) => {
        await lab().server({ version: '2.7', lines: ['disable-dco'] });
        const file = source === 'stdin' ? 'stdin' : await lab().file('management-password', 'open sesame\n', 0o600);
        const client = await lab().client({
          kind,
          terminal: source === 'stdin',
          lines: [
            `management 127.0.0.1 7505 ${file}`,
            'management-hold',
            ...(kind === 'sallyport' ? [] : ['disable-dco']),
          ],
        });
        if (source === 'stdin') {
          await client.prompt(/Enter Management Password:/);
          client.write('open sesame\r');
        }
        const story = [await overTcp('client', '127.0.0.1', 7505, ['wrong', 'open sesame', 'hold', 'quit'])];
        story.push(await overTcp('client', '127.0.0.1', 7505, ['a', 'b', 'c', 'open sesame']));
        await overTcp('client', '127.0.0.1', 7505, ['open sesame', 'hold release']);
        // The C program may lose a release that comes in one piece with the password.
        if (kind === 'sallyport') await client.line(up);
        expect(client.text).not.toContain('open sesame');
        // The C program means to say that a password is bad, and mutes itself; when it holds depends on what it read at once.
        return story.map((text) =>
          text.replace(/ERROR: bad password\r\n|>HOLD.*\r\n/g, '').replace(/(ENTER PASSWORD:)+/g, 'ENTER PASSWORD:'),
        );
      });
    }
  });

  // The C program listens at that address, too, but at a port of the kernel's choice.
  it.skipIf(!isOurs)(
    'listens at the address of the tunnel, for as long as there is one',
    {
      timeout: 120_000,
    },
    async () => {
      for (const kind of ['sallyport'] as const) {
        const peer = await lab().server({ version: '2.7', lines: ['disable-dco', 'keepalive 1 4'] });
        const client = await lab().client({
          kind,
          lines: ['management tunnel 7505', 'management-hold', 'connect-retry 1 1'],
        });
        // There is nobody yet who could release a hold.
        await client.line(up);
        const story = [await overTcp('server', tunnel.client4, 7505, ['hold', 'pid', 'quit'])];
        await peer.kill();
        await client.line(/process restarting/);
        const refused = await lab().net.client.run(['bash', '-c', 'exec 3<>/dev/tcp/10.8.0.2/7505'], { anyCode: true });
        expect(refused.code).not.toBe(0);
        expect(story[0]).toMatch(/^>INFO:.*\r\nSUCCESS: hold=0\r\nSUCCESS: pid=\d+\r\n$/);
      }
    },
  );
});

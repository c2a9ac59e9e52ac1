// The management interface of a server, beside the C program's: the same story with both, and what is told of it.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type ClientOptions, up, useLab } from '../lab/lab.ts';
import { comparable, Talk, useTalks } from '../lab/management-talk.ts';
import type { WatchedProcess } from '../lab/process.ts';
import { isOurServer, labSuite, type Program, serverUnderTest } from '../lab/requirements.ts';

/** The same story is told to each of them. */
const programs: readonly Program[] = isOurServer ? ['openvpn-2.7', 'sallyport'] : [serverUnderTest];

/** One notification, with its environment. */
const whole = (type: string): RegExp => new RegExp(`>CLIENT:${type},[\\s\\S]*?>CLIENT:ENV,END\\r\\n`);

interface Told {
  readonly head: string;
  readonly environment: Readonly<Record<string, string>>;
}

function parse(text: string): Told {
  const lines = text.slice(text.lastIndexOf('>CLIENT:', text.indexOf('>CLIENT:ENV'))).split('\r\n');
  const [head = ''] = /^>CLIENT:(?!ENV).*/m.exec(text) ?? [];
  const pairs = lines.flatMap((line) => {
    const [, name, value] = /^>CLIENT:ENV,([^=]+)=(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, value ?? ''] as const];
  });
  return { head: head.trim(), environment: Object.fromEntries(pairs) };
}

/** Values that differ between two runs of the same. */
const VARIES = /port|_pid|time|bytes_|^config$|^IV_HWADDR$|^remote_port_1$/;

/** Variables of the C program's that a server here has not. */
const namesOf = ({ environment }: Told): readonly string[] => Object.keys(environment).sort();

function valuesOf({ environment }: Told): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !VARIES.test(name)));
}

labSuite('the management interface of a server', () => {
  const lab = useLab();
  const talks = useTalks();
  let sockets = 0;

  async function open(program: Program, lines: readonly string[], clientAuth = true): Promise<Talk> {
    const path = join(lab().dir, `server-${sockets++}.sock`);
    const usual = [`management ${path} unix`, ...(clientAuth ? ['management-client-auth'] : [])];
    await lab().serve({
      program,
      lines: [...usual, ...(program === 'sallyport' ? [] : ['disable-dco']), ...lines],
    });
    return attach(path);
  }

  async function attach(path: string): Promise<Talk> {
    const talk = await Talk.open(path);
    talks.push(talk);
    return talk;
  }

  async function connect(lines: readonly string[], more: ClientOptions = {}): Promise<WatchedProcess> {
    const credentials = await lab().file('credentials', 'max\ns3cret\n', 0o600);
    return lab().client({
      kind: 'openvpn',
      lines: [`auth-user-pass ${credentials}`, 'disable-dco', 'connect-retry 1 1', ...lines],
      ...more,
    });
  }

  async function admit(talk: Talk, type = 'CONNECT', options?: string): Promise<Told> {
    const told = parse(await talk.hear(whole(type)));
    const [, cid, kid] = /,(\d+),(\d+)$/.exec(told.head) ?? [];
    const answer =
      options === undefined ? `client-auth-nt ${cid} ${kid}` : `client-auth ${cid} ${kid}\n${options}\nEND`;
    expect(await talk.say(answer)).toMatch(/SUCCESS: client-auth command succeeded/);
    return told;
  }

  it('tells of clients with the whole environment', { timeout: 120_000 }, async () => {
    const stories: Record<string, Told>[] = [];
    const said: string[][] = [];
    for (const program of programs) {
      const talk = await open(program, ['reneg-sec 0', 'script-security 2']);
      const client = await connect(['setenv UV_X yes', 'push-peer-info', 'reneg-sec 4 4']);
      const options = 'push "route 10.78.0.0 255.255.255.0"\niroute 10.99.0.0 255.255.255.0\niroute-ipv6 fd00:99::/64';
      const CONNECT = await admit(talk, 'CONNECT', options);
      const established = await talk.hear(whole('ESTABLISHED'));
      await client.line(up);
      const REAUTH = await admit(talk, 'REAUTH');
      const answers = [
        ...established.split('\r\n').filter((line) => line.startsWith('>CLIENT:ADDRESS')),
        await talk.say('nclients'),
        (await talk.say('load-stats')).replace(/=\d{3,}/g, '=N'),
        await talk.say('client-kill 7'),
        await talk.say('client-kill 0 "HALT,go away"'),
      ];
      said.push(answers.map((line) => line.trim()).sort());
      const DISCONNECT = parse(await talk.hear(whole('DISCONNECT')));
      await client.line(/go away/);
      stories.push({ CONNECT, ESTABLISHED: parse(established), REAUTH, DISCONNECT });
      await lab().endTest();
    }
    const ours = stories.at(-1)!;
    expect(ours.CONNECT!.environment).toMatchObject({ username: 'max', password: 's3cret', X509_0_CN: 'client' });
    for (const [type, { environment }] of Object.entries(ours)) {
      expect('password' in environment, type).toBe(type === 'CONNECT' || type === 'REAUTH');
    }
    expect(said.at(-1)).toEqual(said[0]);
    for (const [type, told] of Object.entries(stories[0]!)) {
      expect(namesOf(ours[type]!), type).toEqual(namesOf(told));
      expect(valuesOf(ours[type]!), type).toEqual(valuesOf(told));
    }
  });

  it('kills by common name and by address, and says what it killed', { timeout: 120_000 }, async () => {
    const said: string[] = [];
    for (const program of programs) {
      const talk = await open(program, ['keepalive 1 3'], false);
      const client = await connect(['bind', 'lport 4711'], { without: ['nobind'] });
      const heard: string[] = [];
      await client.line(up);
      expect(parse(await talk.hear(whole('ESTABLISHED'))).head).toBe('>CLIENT:ESTABLISHED,0');
      for (const [line, ends] of [
        ['kill nobody', false],
        ['kill tcp:192.0.2.2:4711', false],
        ['kill udp:192.0.2.2:4712', false],
        ['kill udp:192.0.2.2:0', false],
        ['kill :', false],
        ['kill udp:192.0.2.2:4711', true],
        ['kill client', true],
        ['client-kill 77', false],
        ['client-kill x', false],
        ['client-deny 0 0 x', false],
        ['client-auth-nt 0 0', false],
        ['client-auth x 0', false],
        ['client-auth-nt 0 x', false],
        ['client-pending-auth 0 0 CR_TEXT:R:x x', false],
        ['client-pending-auth 0 0 CR_TEXT:R:x 10', false],
        ['push-update-cid x "route 10.1.0.0 255.255.0.0"', false],
        ['push-update-cid 99 "route 10.1.0.0 255.255.0.0"', false],
        ['push-update-broad', false],
        ['proxy NONE', false],
        ['remote ACCEPT', false],
        ['remote-entry-count', false],
        ['cr-response eA==', false],
        ['status 9', false],
      ] as const) {
        const before = client.lines.length;
        const until = line.startsWith('status')
          ? /(END|ERROR.*)\r\n/
          : /^push-update-cid (x|99)/.test(line)
            ? /(ERROR.*\r\n){2}/
            : undefined;
        heard.push(`${line}: ${(await talk.say(line, until)).replace(/TITLE[\s\S]*END/, 'STATUS')}`);
        if (!ends) continue;
        await client.line(up, { from: before });
        await talk.hear(whole('ESTABLISHED'));
      }
      said.push(comparable(heard.join('')));
      await lab().endTest();
    }
    expect(said.at(-1)).toBe(said[0]);
  });

  it('shows as much of an environment as env-filter lets it', { timeout: 120_000 }, async () => {
    const shown: string[][] = [];
    for (const program of programs) {
      const talk = await open(program, []);
      const names: string[] = [];
      for (const level of [0, 1, 2, 3]) {
        expect(await talk.say(`env-filter ${level}`)).toContain(`SUCCESS: env_filter_level=${level}`);
        const client = await connect([]);
        const told = await admit(talk);
        names.push(`${level}: ${namesOf(told).join()}`);
        await client.line(up);
        await client.kill();
      }
      shown.push(names);
      await lab().endTest();
    }
    expect(shown.at(-1)).toEqual(shown[0]);
  });

  it('asks a client for more while it waits, refuses with a reason, and lets in', { timeout: 120_000 }, async () => {
    const stories: string[] = [];
    for (const program of programs) {
      const talk = await open(program, []);
      const path = join(lab().dir, `client-${sockets++}.sock`);
      const client = await connect([
        `management ${path} unix`,
        'setenv IV_SSO crtext,webauth',
        'push-peer-info',
        'auth-retry nointeract',
      ]);
      const person = await attach(path);
      await person.say('state on');
      const first = parse(await talk.hear(whole('CONNECT')));
      const [, cid, kid] = /,(\d+),(\d+)$/.exec(first.head) ?? [];
      const story = [
        await talk.say(`client-pending-auth ${cid} ${kid} CR_TEXT:E,R:Code? 25`),
        await person.hear(/>STATE:\d+,AUTH_PENDING,.*\r\n/),
        await person.hear(/>INFOMSG:.*\r\n/),
        await person.say('cr-response MTIzNDU2'),
        parse(await talk.hear(whole('CR_RESPONSE'))).head.replace(/,(\d+),\d+,/, ',$1,KID,'),
        await talk.say(`client-deny ${cid} ${kid} "no good" "the code is wrong"`),
      ];
      await client.line(/AUTH_FAILED.*the code is wrong/);
      await admit(talk);
      await client.line(up);
      // Which states came before `state on` was taken is chance.
      stories.push(comparable(story.join('')).replace(/>STATE:TIME,(?!AUTH_PENDING).*\n/g, ''));
      await lab().endTest();
    }
    expect(stories.at(-1)).toBe(stories[0]);
  });

  it('changes options of clients that are in', { timeout: 120_000 }, async () => {
    const stories: string[] = [];
    for (const program of programs) {
      const talk = await open(program, []);
      const client = await connect([], { kind: 'openvpn-2.7' });
      const { head } = await admit(talk);
      const cid = /CONNECT,(\d+)/.exec(head)?.[1];
      await client.line(up);
      await talk.hear(whole('ESTABLISHED'));
      const two = /^(SUCCESS|ERROR): push-update.*\r\n/m;
      const story = [
        await talk.say('push-update-broad "route 10.55.0.0 255.255.0.0, -dns, ?tun-mtu 1400"', two),
        await talk.say(`push-update-cid ${cid} "route 10.56.0.0 255.255.0.0"`, two),
        await talk.say(`push-update-cid ${cid} ""`, two),
        await talk.say('push-update-cid 99 "route 10.56.0.0 255.255.0.0"', two),
      ];
      const seen = await client.line(/PUSH_UPDATE,route 10\.56\.0\.0 255\.255\.0\.0/);
      story.push(/'PUSH_UPDATE.*'/.exec(seen)?.[0] ?? '');
      stories.push(comparable(story.join('')));
      await lab().endTest();
    }
    expect(stories.at(-1)).toBe(stories[0]);
  });
});

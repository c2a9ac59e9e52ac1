// Through proxies on a desktop: NetworkManager's own service with the program under test as its openvpn, compared with the
// real program in the same place, and Sallyport's service.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { type Transport, tunnel, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import {
  type DesktopOptions,
  desktopSuite,
  desktopUnderTest,
  type NetworkManagerHost,
  useDesktop,
} from '../lab/network-manager.ts';
import { packagedService } from '../lab/network-manager-service.ts';
import type { WatchedProcess } from '../lab/process.ts';
import { httpProxy, socksProxy } from '../lab/proxies.ts';
import { isOurs, itOurs } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

interface Way {
  readonly transport?: Transport;
  /** Words of vpn.data. */
  readonly data: readonly string[];
  readonly password?: string;
  readonly timeoutSeconds?: number;
}

const at = (type: 'http' | 'socks', port: number, ...more: readonly string[]): readonly string[] => [
  `proxy-type=${type}`,
  `proxy-server=${address.gateway4}`,
  `proxy-port=${port}`,
  ...more,
];
const PAUL = ['http-proxy-username=paul', 'http-proxy-password-flags=0'];
const ASKED = ['http-proxy-username=paul', 'http-proxy-password-flags=2'];
const PASSWORD = 'fish cake';
/** As it is, and as Basic sends it. */
const SECRET = /fish cake|cGF1bDpmaXNoIGNha2U/;
const [OPEN, BASIC, DIGEST, SOCKS, SOCKS_LOGIN] = [3128, 3129, 3130, 1080, 1081];

const leads: readonly (readonly [string, Way])[] = [
  ['HTTP', { data: at('http', OPEN) }],
  ['HTTP with Basic', { data: at('http', BASIC, ...PAUL, 'proxy-retry=yes'), password: PASSWORD }],
  ['HTTP with Digest', { data: at('http', DIGEST, ...PAUL), password: PASSWORD }],
  ['SOCKS for TCP', { data: at('socks', SOCKS) }],
  ['SOCKS for UDP', { transport: 'udp4', data: at('socks', SOCKS) }],
];
const leadsNowhere: readonly (readonly [string, Way])[] = [
  ['no user name', { data: at('http', BASIC) }],
  ['a wrong password', { data: at('http', BASIC, ...PAUL), password: 'wrong', timeoutSeconds: 3 }],
];

desktopSuite('NetworkManager goes through a proxy', () => {
  const lab = useLab();
  const desktop = useDesktop(lab);
  let proxies: readonly WatchedProcess[] = [];
  beforeEach(async () => {
    proxies = await Promise.all([
      httpProxy(lab(), { port: OPEN }),
      httpProxy(lab(), { port: BASIC, offers: ['Basic realm="p"'] }),
      httpProxy(lab(), { port: DIGEST, offers: ['Digest realm="lab", nonce="NONCE", qop="auth"'] }),
      socksProxy(lab(), { port: SOCKS }),
      socksProxy(lab(), { port: SOCKS_LOGIN, user: 'paul', password: PASSWORD, loginVersion: 5 }),
      lab().server({ transport: 'tcp4' }),
      lab().server({ without: ['server', 'server-ipv6'], lines: ['server 10.9.0.0 255.255.255.0'] }),
    ]);
  });

  const reaches = ({ transport }: Way) => pings(lab().net.client, transport === 'udp4' ? '10.9.0.1' : tunnel.server4);

  /** A connection of this name that goes this way. */
  const add = async (host: NetworkManagerHost, name: string, { transport = 'tcp4', data, ...way }: Way) => {
    await host.import(name, lab().clientLines({ transport }));
    const { password, timeoutSeconds } = way;
    const secret = password === undefined ? [] : ['vpn.secrets', `http-proxy-password=${password}`];
    const timeout = timeoutSeconds === undefined ? [] : ['vpn.timeout', `${timeoutSeconds}`];
    await host.nmcli('connection', 'modify', name, '+vpn.data', data.join(','), ...secret, ...timeout);
  };

  /** What the proxies were told since, without what differs by chance, and each once. */
  const heardFrom = () => {
    const marks = proxies.map((proxy) => proxy.mark());
    return () => {
      const lines = proxies.flatMap((proxy, index) => proxy.lines.slice(marks[index]));
      const told = lines.filter((line) => /^(heard|open|command|login)/.test(line) && !line.includes('GET'));
      return [...new Set(told.map((line) => line.replace(/Digest .*/, 'Digest')))].sort();
    };
  };

  /** All the ways, up and down; what of each can be compared. */
  const tell = async (options: DesktopOptions) => {
    const host = await desktop(options);
    const signals = await host.pluginSignals();
    const story: { name: string; code: number | null; words: string; signals: readonly string[]; heard: string[] }[] =
      [];
    for (const [name, way] of [...leads, ...leadsNowhere]) {
      await add(host, name, way);
      const heard = heardFrom();
      const { code, stderr } = await host.try('connection', 'up', name);
      if (code === 0) {
        expect(await reaches(way), name).toBe(true);
        await host.nmcli('connection', 'down', name);
      }
      story.push({ name, code, words: stderr.split('\n')[0] ?? '', signals: await signals(), heard: heard() });
    }
    expect([...host.messages(), ...host.log.lines].join('\n')).not.toMatch(SECRET);
    return story;
  };

  it('as with the real program: HTTP, SOCKS, each login, and what is wrong with one', async () => {
    const theirs = await tell({});
    expect(theirs.map(({ code }) => code)).toEqual([...leads.map(() => 0), ...leadsNowhere.map(() => 4)]);
    if (isOurs) expect(await tell(await desktopUnderTest(lab()))).toEqual(theirs);
    // Two hosts, seven ways each, and the real program waits two seconds for an HTTP proxy.
  }, 240_000);

  /** A host with Sallyport's service, and a look at a connection that is up, which ends it. */
  const withService = async () => {
    const host = await desktop({ program: await packagedService(lab()) });
    const goesThrough = async (name: string, way: Way = { data: [] }) => {
      expect(await host.active()).toContain(`${name}:activated`);
      expect(await reaches(way), name).toBe(true);
      await host.nmcli('connection', 'down', name);
    };
    const tellsNoSecret = () => expect([...host.messages(), ...host.log.lines].join('\n')).not.toMatch(SECRET);
    return { host, goesThrough, tellsNoSecret };
  };

  itOurs('with Sallyport’s service, by each of them, and by SOCKS with a login', async () => {
    const { host, goesThrough, tellsNoSecret } = await withService();
    const before = await host.state();
    const socksLogin: Way = { data: at('socks', SOCKS_LOGIN, ...PAUL), password: PASSWORD };
    for (const [name, way] of [...leads, ['SOCKS with a login', socksLogin] as const]) {
      await add(host, name, way);
      await host.nmcli('connection', 'up', name);
      await goesThrough(name, way);
    }
    await host.comesBackTo(before);
    tellsNoSecret();
  });

  itOurs('with Sallyport’s service, which says what is wrong with a login, and has it entered again', async () => {
    const { host, goesThrough, tellsNoSecret } = await withService();
    const before = await host.state();
    // Nobody to ask.
    await add(host, 'stored', { data: at('http', BASIC, ...PAUL), password: 'wrong' });
    expect((await host.try('connection', 'up', 'stored')).stderr).toMatch(/: No valid secrets/);
    expect(host.messages().join('\n')).toMatch(/does not accept the user name and the password/);
    // Somebody who answers the same again.
    await add(host, 'asked', { data: at('http', BASIC, ...ASKED) });
    const file = join(host.folder, 'passwords');
    await writeFile(file, 'vpn.secrets.http-proxy-password:wrong\n', { mode: 0o600 });
    expect((await host.try('connection', 'up', 'asked', 'passwd-file', file)).stderr).toMatch(/: Invalid secrets/);
    // Somebody who knows better.
    const again = host.nmcliOnTerminal('--ask', 'connection', 'up', 'asked');
    await again.prompt(/password.*: $/i);
    again.write('wrong\r');
    await again.line(/The proxy refused the password\. Enter it again\./);
    await again.prompt(/http-proxy-password.*: $/);
    again.write(`${PASSWORD}\r`);
    await again.line(/successfully activated/);
    await goesThrough('asked');
    // A connection that does not know for whom: nmcli asks for no user names.
    await add(host, 'nameless', { data: at('http', BASIC, 'http-proxy-password-flags=2') });
    const nameless = host.nmcliOnTerminal('--ask', 'connection', 'up', 'nameless');
    await nameless.line(/The proxy wants a user name and password\./);
    await nameless.prompt(/http-proxy-password.*: $/);
    nameless.write(`${PASSWORD}\r`);
    await nameless.line(/: Invalid secrets/);
    expect(host.messages().join('\n')).toMatch(/not entered \(http-proxy-username, http-proxy-password\)/);
    await host.comesBackTo(before);
    tellsNoSecret();
  });
});

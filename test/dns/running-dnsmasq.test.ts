import { describe, expect, it } from 'vitest';
import { parseMadeFor, writeResolvConf } from '../../src/dns/resolv-conf.ts';
import { dnsmasqProcesses, dnsmasqSettings } from '../../src/dns/running-dnsmasq.ts';

/** Files by path; a link is its target. */
function host(files: Readonly<Record<string, string>>) {
  const names = (folder: string): string[] => [
    ...new Set(
      Object.keys(files)
        .filter((path) => path.startsWith(`${folder}/`))
        .map((path) => path.slice(folder.length + 1).split('/')[0] ?? ''),
    ),
  ];
  return {
    read: (path: string) => files[path],
    linkTarget: (path: string) => files[path],
    names,
  };
}

describe('the settings of a dnsmasq', () => {
  it.each<[string, readonly string[], Readonly<Record<string, string>>, readonly string[]]>([
    [
      'are its words, then its usual file',
      ['--no-resolv'],
      { '/etc/dnsmasq.conf': 'server=9.9.9.9\n' },
      ['--no-resolv', 'server=9.9.9.9'],
    ],
    [
      'come from the file that it names, and not from the usual one',
      ['-C', '/a', '-C/b', '--conf-file=/c d'],
      { '/a': 'one', '/b': 'two', '/c d': 'three', '/etc/dnsmasq.conf': 'none' },
      ['-C', '/a', '-C/b', '--conf-file=/c d', 'three', 'one', 'two'],
    ],
    [
      'come from folders, whatever endings of names stand behind them',
      ['-7', '/words.d'],
      { '/etc/dnsmasq.conf': 'conf-dir = /file.d,*.conf', '/file.d/one': 'one', '/words.d/two': 'two' },
      ['-7', '/words.d', 'conf-dir = /file.d,*.conf', 'one', 'two'],
    ],
    [
      'have the lines of its servers-file',
      [],
      { '/etc/dnsmasq.conf': 'servers-file=/run/servers # ours', '/run/servers': 'server=/a/10.8.0.1' },
      ['servers-file=/run/servers', 'server=/a/10.8.0.1'],
    ],
    [
      'have no comments, and every port',
      [],
      { '/etc/dnsmasq.conf': '# none\nserver=/a/10.8.0.1#5353 # why\n  #none' },
      ['server=/a/10.8.0.1#5353'],
    ],
    ['are not looked for where it was started', ['-C', 'here.conf'], { 'here.conf': 'none' }, ['-C', 'here.conf']],
  ])('%s', (_title, words, files, expected) => expect(dnsmasqSettings(words, host(files))).toEqual(expected));
});

describe('dnsmasqs that run', () => {
  it('are those of this network that have not ended, and those whose network is hidden', () => {
    const process = (pid: number, comm: string, network: string | undefined, words = 'dnsmasq\0-k\0') => ({
      [`/proc/${pid}/comm`]: `${comm}\n`,
      [`/proc/${pid}/cmdline`]: words,
      ...(network === undefined ? {} : { [`/proc/${pid}/ns/net`]: network }),
    });
    const files = host({
      '/proc/self/ns/net': 'net:[1]',
      ...process(11, 'dnsmasq', 'net:[1]'),
      ...process(12, 'dnsmasq', 'net:[2]'),
      ...process(13, 'dnsmasq', undefined),
      ...process(14, 'dnsmasq', 'net:[1]', ''),
      ...process(15, 'named', 'net:[1]'),
    });
    expect(dnsmasqProcesses(files)).toEqual([
      { pid: 11, words: ['-k'] },
      { pid: 13, words: ['-k'] },
    ]);
  });
});

describe('the first line of a resolv.conf of ours', () => {
  const codec = { encode: (text: string) => text, decode: (text: string) => text, hash: () => '' };
  const layer = (device: string) => ({ id: '1', device, servers: ['10.8.0.1'], search: [] });

  it('names the tunnels that it is for, the newest first', () => {
    const text = writeResolvConf({ before: { kind: 'absent' }, layers: [layer('tun0'), layer('vpn.1')] }, codec);
    expect(parseMadeFor(text)).toBe('vpn.1, tun0');
  });

  it.each(['', 'nameserver 10.8.0.1\n', '# Made by Sallyport for \x1b[2J. What', '# Made by somebody for tun0. What'])(
    'is not %j',
    (text) => expect(parseMadeFor(text)).toBeUndefined(),
  );
});

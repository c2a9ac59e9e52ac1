import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse.ts';

const CLIENT = ['client', 'remote vpn.example 443 tcp-client', 'ca ca.crt', 'auth-user-pass'];

function parse(...lines: readonly string[]) {
  return parseConfig({ text: `${[...CLIENT, ...lines].join('\n')}\n`, file: 'x.conf' }, { readText: () => undefined });
}

function good(...lines: readonly string[]): Config {
  const { config, findings } = parse(...lines);
  if (config === undefined) throw new Error(JSON.stringify(findings, undefined, 1));
  return config;
}

const firstError = (...lines: readonly string[]) =>
  parse(...lines).findings.find(({ severity }) => severity === 'error');
const http = (...lines: readonly string[]) => good(...lines).connections[0]?.httpProxy;
const file = (path: string) => ({ source: { kind: 'file', path, origin: { file: 'x.conf', line: 5 } } });
const ASK = { source: undefined };

describe('http-proxy', () => {
  it.each<[string, unknown]>([
    ['http-proxy p 3128', { methods: [], basicAtOnce: false, login: undefined }],
    ['http-proxy p 3128 auto', { methods: ['digest', 'basic'], basicAtOnce: false, login: ASK }],
    ['http-proxy p 3128 auto-nct', { methods: ['digest'], basicAtOnce: false, login: ASK }],
    ['http-proxy p 3128 stdin', { methods: ['basic'], basicAtOnce: true, login: ASK }],
    ['http-proxy p 3128 login.txt', { methods: ['basic'], basicAtOnce: true, login: file('login.txt') }],
    ['http-proxy p 3128 login.txt basic', { methods: ['basic'], basicAtOnce: true, login: file('login.txt') }],
    ['http-proxy p 3128 login.txt digest', { methods: ['digest'], basicAtOnce: false, login: file('login.txt') }],
    ['http-proxy p 3128 login.txt none', { methods: [], basicAtOnce: false, login: undefined }],
  ])('%s', (line, expected) => {
    const rest = { version: '1.0', agent: undefined, headers: [] };
    expect(http(line)).toEqual({ host: 'p', port: '3128', ...rest, ...(expected as object) });
  });

  it('takes version, agent and headers, wherever they stand', () => {
    const lines = [
      'http-proxy-option VERSION 1.1',
      'http-proxy-option EXT1 "A: b"',
      'http-proxy-option CUSTOM-HEADER C d',
    ];
    expect(http(...lines, 'http-proxy p 3128', 'http-proxy-option AGENT "x y"')).toMatchObject({
      version: '1.1',
      agent: 'x y',
      headers: [
        { name: 'A: b', content: undefined },
        { name: 'C', content: 'd' },
      ],
    });
  });

  it('logs in by http-proxy-user-pass before its own file, if it logs in at all', () => {
    expect(http('http-proxy p 1 own.txt', 'http-proxy-user-pass other.txt')?.login).toMatchObject({
      source: { path: 'other.txt' },
    });
    const inline = ['<http-proxy-user-pass>', 'paul', 'x', '</http-proxy-user-pass>'];
    expect(http('http-proxy p 1 auto', ...inline)?.login).toMatchObject({
      source: { kind: 'inline', text: 'paul\nx\n' },
    });
    expect(http('http-proxy p 1 auto', 'http-proxy-user-pass stdin')?.login).toEqual(ASK);
    expect(http('http-proxy p 1', ...inline)?.login).toBeUndefined();
  });

  it('of a block is the block’s own, and else that of the profile', () => {
    const block = (...lines: readonly string[]) => ['<connection>', 'remote a 1 tcp-client', ...lines, '</connection>'];
    const config = good('http-proxy p 1', ...block('http-proxy q 2', 'http-proxy-option AGENT q'), ...block());
    expect(config.connections.map(({ httpProxy }) => [httpProxy?.host, httpProxy?.agent])).toEqual([
      ['q', 'q'],
      ['p', undefined],
    ]);
  });

  it.each<[RegExp, RegExp, readonly string[]]>([
    [/^http-proxy port number not defined$/, /PORT/, ['http-proxy p']],
    [/^Bad port '0' in http-proxy$/, /1 to 65535/, ['http-proxy p 0']],
    [/^Bad port 'x' in http-proxy$/, /1 to 65535/, ['http-proxy p x']],
    [/neither an address nor a name/, /http:/, ['http-proxy http://p 3128']],
    [/^ERROR: unknown HTTP authentication method: 'x'$/, /basic or digest/, ['http-proxy p 1 f x']],
    [/ntlm authentication is not supported/, /cntlm/, ['http-proxy p 1 f ntlm']],
    [/ntlm2 authentication is not supported/, /cntlm/, ['http-proxy p 1 f ntlm2']],
    [
      /^--http-proxy not specified but other http proxy options present$/,
      /http-proxy HOST/,
      ['http-proxy-option AGENT x'],
    ],
    [
      /^Bad http-proxy-option or missing or extra parameter: 'AGENT'$/,
      /AGENT/,
      ['http-proxy p 1', 'http-proxy-option AGENT'],
    ],
    [
      /^Bad http-proxy-option or missing or extra parameter: 'VERSION'$/,
      /VERSION/,
      ['http-proxy p 1', 'http-proxy-option VERSION 1 2'],
    ],
    [/characters that no header may have/, /./, ['http-proxy p 1', 'http-proxy-option AGENT "a\tb"']],
    [/^--http-proxy MUST be used in TCP Client mode/, /tcp-client/, ['remote b 1 udp', 'http-proxy p 1']],
    [/^--http-proxy can not be used together with --socks-proxy$/, /Remove/, ['http-proxy p 1', 'socks-proxy s']],
  ])('says %s', (message, advice, lines) => {
    const error = firstError(...lines);
    expect(error?.message).toMatch(message);
    expect(error?.advice).toMatch(advice);
  });

  it('has room for ten headers', () => {
    const headers = (count: number) =>
      Array.from({ length: count }, (_, n) => `http-proxy-option CUSTOM-HEADER X-${n} a`);
    expect(http('http-proxy p 1', ...headers(10))?.headers.length).toBe(10);
    expect(firstError('http-proxy p 1', ...headers(11))?.message).toMatch(
      /^Cannot use more than 10 http-proxy-option CUSTOM-HEADER/,
    );
  });
});

describe('http-proxy-override', () => {
  it('stands before the proxy of every remote over TCP, and leaves out the others', () => {
    const config = good('remote b 1 udp', 'remote c 2 tcp-client', 'http-proxy-override o 8080 nct');
    expect(config.connections.map(({ remote }) => remote)).toEqual(['vpn.example', 'c']);
    for (const { httpProxy } of config.connections) {
      expect(httpProxy).toMatchObject({ host: 'o', port: '8080', methods: ['digest'], agent: 'OpenVPN-Autoproxy/1.0' });
    }
  });

  it('takes every login without nct', () => {
    expect(http('http-proxy-override o 8080')?.methods).toEqual(['digest', 'basic']);
  });

  it('is left out where no remote is over TCP', () => {
    const text = 'client\nremote a\nca x\nauth-user-pass\nhttp-proxy-override o 8080\n';
    const { config, findings } = parseConfig({ text, file: 'x.conf' }, { readText: () => undefined });
    expect(config?.connections[0]?.httpProxy).toBeUndefined();
    expect(findings.map(({ message }) => message).join()).toMatch(/no TCP-based connection profiles are defined/);
  });
});

describe('socks-proxy', () => {
  it.each<[string, unknown]>([
    ['socks-proxy s', { host: 's', port: '1080', login: undefined }],
    ['socks-proxy s 1081', { host: 's', port: '1081', login: undefined }],
    ['socks-proxy s 1081 login.txt', { host: 's', port: '1081', login: file('login.txt') }],
    ['socks-proxy s 1081 stdin', { host: 's', port: '1081', login: ASK }],
  ])('%s', (line, expected) => {
    expect(good(line).connections[0]?.socksProxy).toEqual(expected);
  });

  it.each([
    ['udp', 4, true],
    ['udp4', 4, false],
    ['udp6', 6, false],
    ['tcp-client', undefined, false],
  ])('over %s has the family %s', (proto, family, says) => {
    const text = `client\nremote a 1 ${proto}\nca x\nauth-user-pass\nsocks-proxy s\n`;
    const { config, findings } = parseConfig({ text, file: 'x.conf' }, { readText: () => undefined });
    expect(config?.connections[0]?.proto.family).toBe(family);
    expect(findings.some(({ message }) => message.includes('Forcing IPv4'))).toBe(says);
  });

  it('is nothing for a server of streams', () => {
    const text = 'tls-server\ndev tun\nproto tcp-server\nca x\ncert x\nkey x\ndh none\nsocks-proxy s\n';
    const { findings } = parseConfig({ text, file: 'x.conf' }, { readText: () => undefined });
    expect(findings.map(({ message }) => message)).toContain('--socks-proxy can not be used in TCP Server mode');
  });
});

describe('proto-force', () => {
  it.each([
    ['tcp', ['vpn.example', 'c']],
    ['tcp-client', ['vpn.example', 'c']],
    ['udp', ['b']],
  ])('%s leaves %j', (forced, left) => {
    const { connections } = good('remote b 1 udp', 'remote c 2 tcp-client', `proto-force ${forced}`);
    expect(connections.map(({ remote }) => remote)).toEqual(left);
  });

  it('that leaves nothing is an error', () => {
    expect(firstError('proto-force udp')?.message).toMatch(/leaves no remote/);
  });
});

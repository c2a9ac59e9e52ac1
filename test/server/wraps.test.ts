import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/parse.ts';
import { loadServerWraps } from '../../src/server/wraps.ts';

it('a server’s key that can’t be used is told with file and line, and how a server gets one', () => {
  const lines = [
    'server 10.8.0.0 255.255.255.0',
    'ca a',
    'cert b',
    'key c',
    'dh none',
    'tls-crypt-v2 v2.key',
    'dev tun',
  ];
  const { config } = parseConfig({ file: 'office.conf', text: lines.join('\n') }, { readText: () => undefined });
  const read = (text: string | Error) => () => {
    if (text instanceof Error) throw text;
    return text;
  };
  for (const [content, problem] of [
    ['nothing', /office\.conf:6: tls-crypt-v2: file 'v2\.key' can't be used: /],
    [new Error('EACCES'), /can't be used: EACCES/],
  ] as const) {
    const attempt = () => loadServerWraps(config!, config!.server!, read(content));
    expect(attempt).toThrow(problem);
    expect(attempt).toThrow(expect.objectContaining({ hint: expect.stringContaining('--genkey tls-crypt-v2-server') }));
  }
});

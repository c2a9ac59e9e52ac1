import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/parse.ts';
import { renegotiateSpreadSeconds } from '../../src/peer/session-options.ts';

const FILES = 'dev tun\nca ca.crt\ncert own.crt\nkey own.key\n';
const CLIENT = 'client\nremote vpn.example.com\n';
const SERVER = 'server 10.8.0.0 255.255.255.0\ndh none\n';
const EQUAL = 'tls-server\ndh none\nremote vpn.example.com\nifconfig 10.8.0.1 10.8.0.2\n';

function spread(text: string): number {
  const { config, findings } = parseConfig({ text: FILES + text, file: 'x' }, { readText: () => undefined });
  if (config === undefined) throw new Error(JSON.stringify(findings));
  return renegotiateSpreadSeconds(config);
}

describe('reneg-sec max min', () => {
  it.each([
    ['a client renegotiates exactly at max', CLIENT, 0],
    ['a client with a min, between them', `${CLIENT}reneg-sec 100 60\n`, 40],
    ['a server for many takes up to a tenth off', SERVER, 360],
    ['a server with a min, up to that', `${SERVER}reneg-sec 100 60\n`, 40],
    ['a min of max takes nothing off', `${SERVER}reneg-sec 100 100\n`, 0],
    ['nor does one above it', `${SERVER}reneg-sec 100 200\n`, 0],
    ['one of two equal ends takes nothing off, whatever its role in TLS', EQUAL, 0],
  ])('%s', (_title, text, seconds) => {
    expect(spread(text)).toBe(seconds);
  });
});

import { describe, expect, it } from 'vitest';
import { parseConfig } from '../src/config/parse.ts';
import { workerCount } from '../src/worker-count.ts';

const TLS = ['ca ca.crt', 'cert a.crt', 'key a.key'];
const CLIENT = ['client', 'dev tun', 'remote vpn.example.org', ...TLS];
const SERVER = ['dev tun', 'server 10.8.0.0 255.255.255.0', 'dh none', ...TLS];
const count = (lines: readonly string[], cores: number, inMemory = false): number =>
  counted(lines, cores, inMemory).workers;
const counted = (lines: readonly string[], cores: number, inMemory = false) => {
  const { config, findings } = parseConfig(
    { text: `${lines.join('\n')}\n`, file: 'a.conf' },
    { readText: () => undefined },
  );
  if (config === undefined) throw new Error(JSON.stringify(findings));
  return workerCount(config, { cores, inMemory });
};

describe('how many workers move packets', () => {
  it.each([
    [1, 1, 1],
    [2, 1, 1],
    [3, 1, 1],
    [4, 2, 2],
    [6, 2, 3],
    [8, 2, 4],
    [64, 2, 4],
  ])('of %i processors a client takes %i, a server %i', (cores, client, server) => {
    expect(count(CLIENT, cores)).toBe(client);
    expect(count(SERVER, cores)).toBe(server);
  });

  it('is what the option says, as far as there is work for them', () => {
    expect(count([...SERVER, 'workers 3'], 1)).toBe(3);
    expect(count([...SERVER, 'workers 1'], 64)).toBe(1);
    expect(count([...CLIENT, 'workers 2'], 1)).toBe(2);
    expect(count([...CLIENT, 'workers 3'], 1)).toBe(2);
  });

  it('is one where the packets can not be divided', () => {
    expect(count([...CLIENT, 'proto tcp', 'workers 2'], 8)).toBe(1);
    expect(count([...CLIENT, 'remote b.example.org 443 tcp', 'workers 2'], 8), 'one remote is UDP').toBe(2);
    expect(count([...SERVER, 'workers 2'], 8, true)).toBe(1);
  });

  it.each([
    [[...CLIENT, 'proto tcp', 'workers 2'], /^NOTE: workers 2 is set aside for 1: one TCP connection keeps its order/],
    [[...CLIENT, 'workers 3'], /^NOTE: workers 3 is set aside for 2: a connection has two directions/],
    [
      [...SERVER, 'dev tap', 'workers 4'],
      /^NOTE: workers 4 is set aside for 1: one thread learns which Ethernet address/,
    ],
    [[...CLIENT, 'dev null', 'workers 2'], /^NOTE: workers 2 is set aside for 1: dev null/],
  ])('says why fewer than asked for do the work: %j', (lines, note) => {
    expect(counted(lines, 8).note).toMatch(note);
  });

  it('says nothing where all that were asked for work, or none were asked for', () => {
    expect(counted([...SERVER, 'workers 4'], 1).note).toBeUndefined();
    expect(counted([...CLIENT, 'workers 1'], 8).note).toBeUndefined();
    expect(counted([...CLIENT, 'proto tcp'], 64).note).toBeUndefined();
    expect(counted([...SERVER, 'workers 2'], 8, true).note).toMatch(/device in memory/);
  });
});

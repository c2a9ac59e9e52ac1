import { expect, it } from 'vitest';
import { olderSuites, tls13Suites } from '../../src/linux/tls-suites.ts';
import { ianaCipherName, translateCipherName } from '../../src/node/tls-cipher-names.ts';

it('lists what a string of ciphers comes to, in its order', () => {
  const names = olderSuites('ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-SHA', 1);
  expect(names?.map(({ name }) => name)).toEqual([
    'TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256',
    'TLS-DHE-RSA-WITH-AES-256-CBC-SHA',
  ]);
});

it('leaves out what the security level forbids', () => {
  expect(olderSuites('ECDHE-RSA-AES128-SHA:ADH-AES128-SHA', 0)?.length).toBe(2);
  expect(olderSuites('ECDHE-RSA-AES128-SHA:ADH-AES128-SHA', 1)?.length).toBe(1);
});

it('has no list for one of which OpenSSL knows nothing', () => {
  expect(olderSuites('FOO', 1)).toBeUndefined();
  expect(tls13Suites('FOO', 1)).toBeUndefined();
});

it('lists TLS 1.3 suites apart', () => {
  const list = 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
  expect(tls13Suites(list, 1)?.map(({ name }) => name)).toEqual(list.split(':'));
});

it('translates names as OpenSSL itself does, in both directions', () => {
  const all = olderSuites('ALL:COMPLEMENTOFALL:@SECLEVEL=0', 0) ?? [];
  expect(all.length).toBeGreaterThan(60);
  const wanted = all.filter(({ name }) => /^TLS-(ECDHE|DHE|RSA)/.test(name) && !/NULL|PSK|DSS/.test(name));
  expect(wanted.length).toBeGreaterThan(30);
  const differing = wanted.filter(
    ({ name, libraryName }) => translateCipherName(name) !== libraryName || ianaCipherName(libraryName) !== name,
  );
  expect(differing).toEqual([]);
});

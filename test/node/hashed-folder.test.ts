import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalName, nameHash, subjectName } from '../../src/node/distinguished-name.ts';
import { readHashedFolder } from '../../src/node/hashed-folder.ts';
import type { MaterialSource } from '../../src/node/material-source.ts';
import { openSerialFolder } from '../../src/node/serial-folder.ts';
import { nodeMaterialFiles } from '../../src/node/tls-material.ts';
import { makePki, type Pki } from '../lab/pki.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-folder-'));
let pki: Pki;
beforeAll(async () => {
  pki = await makePki(join(dir, 'pki'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const source = (path: string): MaterialSource => ({ kind: 'file', path, origin: { file: 'office.ovpn', line: 7 } });
const openssl = (...args: string[]): string =>
  execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' }).trim();

function read(path: string) {
  const warnings: string[] = [];
  const folder = readHashedFolder(source(path), { ...nodeMaterialFiles, warn: (text) => warnings.push(text) });
  return { ...folder, warnings, names: folder.authorities.map(({ subject }) => subject.split('\n').at(-1)) };
}

it.each([
  '/C=DE/O=Example/CN=Example CA',
  '/CN=  Two   spaces\tand Ümlaut  ',
  '/O=ACME/OU=a+OU=B/CN=several+UID=in one',
  '/DC=org/DC=example/emailAddress=Max@Example.ORG',
  `/CN=${'long '.repeat(30)}`.slice(0, 60),
])('the hash of %s is that of openssl', (subject) => {
  const path = join(dir, 'hash.crt');
  openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${path}.key`],
    ...['-multivalue-rdn', '-utf8', '-out', path, '-subj', subject],
  );
  const name = subjectName(new X509Certificate(readFileSync(path)).raw)!;
  expect(nameHash(name)).toBe(openssl('x509', '-noout', '-subject_hash', '-in', path));
});

it('two spellings of a name are one name', () => {
  const named = (text: string, ...kind: string[]) => {
    const path = join(dir, 'name.crt');
    openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${path}.key`],
      ...['-out', path, '-subj', text, ...kind],
    );
    return canonicalName(subjectName(new X509Certificate(readFileSync(path)).raw)!);
  };
  expect(named('/O=Example/CN=The CA', '-utf8')).toBe(named('/O=EXAMPLE/CN=the   ca'));
  expect(named('/O=Example/CN=The CA')).not.toBe(named('/O=Example/CN=TheCA'));
  expect(canonicalName(Uint8Array.of(0x30, 1))).toBeUndefined();
});

describe('capath', () => {
  it('has the certificates and the lists with hashed names, and nothing else', () => {
    const path = join(dir, 'hashed');
    mkdirSync(path);
    copyFileSync(pki.ca.cert, join(path, 'example.pem'));
    copyFileSync(pki.otherCa.cert, join(path, 'other.pem'));
    copyFileSync(pki.crl, join(path, 'example.crl'));
    openssl('rehash', path);
    writeFileSync(join(path, 'README'), 'authorities');
    expect(read(path)).toMatchObject({ names: expect.arrayContaining(['CN=Example CA', 'CN=Other CA']), warnings: [] });
    expect(read(path).authorities).toHaveLength(2);
    expect(read(path).lists).toHaveLength(1);
  });

  it('leaves out with a warning what OpenSSL would not find, or could not read', () => {
    const path = join(dir, 'wrong');
    mkdirSync(path);
    copyFileSync(pki.ca.cert, join(path, '00000000.0'));
    copyFileSync(pki.crl, join(path, '00000000.r0'));
    writeFileSync(join(path, '11111111.0'), 'nothing');
    copyFileSync(pki.crl, join(path, '22222222.0'));
    mkdirSync(join(path, '33333333.0'));
    const hash = openssl('x509', '-noout', '-subject_hash', '-in', pki.ca.cert);
    const { names, lists, warnings } = read(path);
    expect([names, lists]).toEqual([[], []]);
    expect(warnings.map((text) => /([0-9]{8}\.r?0 .*|has no certificate with.*)$/.exec(text)?.[1])).toEqual([
      `00000000.0 is left out: the hash in its name should be ${hash}; run openssl rehash`,
      `00000000.r0 is left out: the hash in its name should be ${hash}; run openssl rehash`,
      '11111111.0 is left out: it has no certificate in PEM form',
      '22222222.0 is left out: it has no certificate in PEM form',
      expect.stringMatching(/^33333333\.0 is left out: /),
      'has no certificate with a hashed name; run openssl rehash',
    ]);
  });

  it('waits for no FIFO in it, follows links to files, and leaves out the rest', () => {
    const path = join(dir, 'with-fifo');
    mkdirSync(path);
    copyFileSync(pki.ca.cert, join(dir, 'linked.pem'));
    symlinkSync(join(dir, 'linked.pem'), join(path, 'example.pem'));
    openssl('rehash', path);
    execFileSync('mkfifo', [join(path, '44444444.0'), join(dir, 'fifo')]);
    symlinkSync(join(dir, 'fifo'), join(path, '55555555.r0'));
    symlinkSync('/dev/null', join(path, '66666666.0'));
    const startMs = performance.now();
    const { names, warnings } = read(path);
    expect(performance.now() - startMs).toBeLessThan(2000);
    expect(names).toEqual(['CN=Example CA']);
    expect(warnings).toEqual(
      ['44444444.0', '55555555.r0', '66666666.0'].map((name) =>
        expect.stringContaining(`${name} is left out: it is no regular file`),
      ),
    );
  });

  it('is refused when it has more files than any directory of authorities', () => {
    const names = Array.from({ length: 2001 }, (_, i) => `00000000.${i}`);
    const ports = { ...nodeMaterialFiles, list: () => names, warn: () => {} };
    expect(() => readHashedFolder(source('many'), ports)).toThrow(
      'more than 2000 certificates (capath, office.ovpn:7)',
    );
  });
});

describe('crl-verify with a directory', () => {
  it('finds a file by the serial, one that cannot be opened too, and tells when files come', () => {
    const path = join(dir, 'serials');
    mkdirSync(path);
    const folder = openSerialFolder(source(path), nodeMaterialFiles);
    expect(folder.find('4711')).toBe(false);
    const before = folder.stamp();
    writeFileSync(join(path, '4711'), '');
    utimesSync(path, 1, 1);
    expect(folder.find('4711')).toBe(true);
    expect(folder.find('471')).toBe(false);
    expect(folder.stamp()).not.toBe(before);
    expect(folder.find('../serials/4711')).toEqual({ problem: 'the serial number is not one' });
  });

  it('can say nothing of anybody where the directory is gone, is none, or may not be looked into', () => {
    const path = join(dir, 'gone');
    expect(() => openSerialFolder(source(path), nodeMaterialFiles)).toThrow('(crl-verify, office.ovpn:7)');
    mkdirSync(path);
    const folder = openSerialFolder(source(path), nodeMaterialFiles);
    rmSync(path, { recursive: true });
    expect(folder.find('1')).toMatchObject({ problem: expect.stringContaining('is not there') });
    writeFileSync(path, '');
    expect(folder.find('1')).toMatchObject({ problem: expect.stringContaining('ENOTDIR') });
    const closed = {
      ...nodeMaterialFiles,
      exists: () => {
        throw new Error('EACCES');
      },
    };
    expect(openSerialFolder(source(path), closed).find('1')).toEqual({ problem: 'EACCES' });
  });
});

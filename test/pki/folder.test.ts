// The folder in other hands: two commands at once, killed ones, openssl; the command line; TLS with its files.

import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockFolder } from '../../src/pki.ts';
import { openWorkbench, serialIn, type Workbench } from './workbench.ts';

let bench: Workbench;

beforeEach(() => {
  bench = openWorkbench();
});
afterEach(() => bench.remove());

describe('the folder', () => {
  it('is for one command at a time', async () => {
    await bench.start();
    const release = await lockFolder(bench.path('pki'), 0);
    expect(release).toBeDefined();
    expect(await lockFolder(bench.path('pki'), 0)).toBeUndefined();
    const waiting = bench.pki('client', 'alice');
    await new Promise((resolve) => setImmediate(resolve));
    expect(bench.read('pki', 'index.txt')).not.toContain('alice');
    release?.();
    expect(await waiting).toMatchObject({ code: 0 });
  });

  it('has every name of commands that ran at once', async () => {
    await bench.start();
    const names = ['a1', 'a2', 'a3', 'a4', 'a5'];
    const outcomes = await Promise.all(names.map((name) => bench.pki('client', name)));
    expect(outcomes.map(({ code }) => code)).toEqual(names.map(() => 0));
    for (const name of names) expect(bench.read('pki', 'index.txt')).toContain(`/CN=${name}\n`);
  });

  it('keeps no unfinished file', async () => {
    await bench.start('alice');
    const files = readdirSync(bench.path('pki'), { recursive: true, encoding: 'utf8' });
    expect(files.filter((name) => /\.tmp$|\.next$/.test(name))).toEqual([]);
  });

  it('is rid of what a killed command had begun to write, by the next one', async () => {
    await bench.start();
    for (const folder of ['pki', 'pki/private', 'pki/revoked/private_by_serial']) {
      writeFileSync(bench.path(folder, '.alice.key.0123456789ab.tmp'), 'half');
    }
    expect(await bench.pki('client', 'alice')).toMatchObject({ code: 0 });
    const files = readdirSync(bench.path('pki'), { recursive: true, encoding: 'utf8' });
    expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('is one that `openssl ca` goes on with', async () => {
    await bench.start('alice');
    writeFileSync(
      bench.path('ca.cnf'),
      [
        '[ca]\ndefault_ca=d\n[d]\ndatabase=pki/index.txt\nnew_certs_dir=pki/certs_by_serial\ncertificate=pki/ca.crt',
        'private_key=pki/private/ca.key\nserial=pki/serial\ncrlnumber=pki/crlnumber\ndefault_md=sha256\ndefault_days=99',
        'default_crl_days=60\npolicy=p\n[p]\ncommonName=supplied\n',
      ].join('\n'),
    );
    bench.openssl(
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', 'dave.key', '-subj', '/CN=dave', '-out', 'dave.csr'],
    );
    bench.openssl('ca', '-batch', '-notext', '-config', 'ca.cnf', '-in', 'dave.csr', '-out', 'dave.crt');
    bench.openssl('ca', '-config', 'ca.cnf', '-revoke', 'pki/issued/alice.crt', '-crl_reason', 'keyCompromise');
    bench.openssl('ca', '-config', 'ca.cnf', '-gencrl', '-out', 'pki/crl.pem');
    const { out } = await bench.pki('list');
    expect(out).toMatch(/^dave .* valid$/m);
    expect(out).toMatch(/^alice .* revoked .*\(keyCompromise\)$/m);
    expect(await bench.pki('revoke', 'dave')).toMatchObject({ code: 0 });
    expect(() => bench.verify('dave.crt')).toThrow('certificate revoked');
    expect(() => bench.verify('pki/issued/alice.crt')).toThrow('certificate revoked');
  });

  it('of an authority that openssl made, with a name in PrintableString and RSA, is one to go on with', async () => {
    mkdirSync(bench.path('pki', 'private'), { recursive: true });
    bench.openssl(
      ...['req', '-x509', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'pki/private/ca.key', '-days', '99'],
      ...[
        '-subj',
        '/C=DE/O=Example Ltd/CN=Old CA',
        '-out',
        'pki/ca.crt',
        '-addext',
        'keyUsage=critical,keyCertSign,cRLSign',
      ],
    );
    writeFileSync(bench.path('pki', 'index.txt'), '');
    expect(await bench.pki('client', 'alice', '--remote', 'h')).toMatchObject({ code: 0 });
    expect(bench.verify('pki/issued/alice.crt')).toContain('OK');
    expect(await bench.pki('revoke', 'alice')).toMatchObject({ code: 0 });
    expect(bench.openssl('crl', '-in', 'pki/crl.pem', '-noout', '-text', '-CAfile', 'pki/ca.crt')).toContain(
      'CN = Old CA',
    );
  });
});

describe('the command line', () => {
  const bad = [
    [[], 'Usage'],
    [['frobnicate'], "no command 'frobnicate'"],
    [['constructor'], "no command 'constructor'"],
    [['client'], 'a name is missing'],
    [['client', 'a', 'b'], "'b' is one word too many"],
    [['list', '--jsno'], "unknown option '--jsno'"],
    [['server', 's', '--days', '0'], 'not a number of days'],
    [['server', 's', '--days', '1e3'], 'not a number of days'],
    [['server', 's', '--rsa', '512'], '2048 to 8192'],
    [['server', 's', '--rsa', '--ec'], 'exclude each other'],
    [['server', 's', '--san', 'dns:a,IP:1.2.3.4'], '--san'],
    [['server', '../s'], "can't be the name"],
    [['init', '--proto', 'sctp'], '--proto takes udp or tcp'],
    [['init', '--cn', 'a/CN=b'], '--cn takes'],
    [['init', '--dir'], '--dir'],
  ] as const;
  it.each(bad)('%j is refused with a sentence', async (words, sentence) => {
    // A folder that seems to be one, so that nothing else is the reason.
    mkdirSync(bench.path('pki'));
    for (const file of ['ca.crt', 'index.txt']) writeFileSync(bench.path('pki', file), '');
    const { code, err } = await bench.pki(...words);
    expect(code).toBe(1);
    expect(err).toContain(sentence);
    expect(err).not.toMatch(/^\s+at /m);
  });

  it.each(['init', 'server', 'client', 'revoke', 'renew', 'list', 'crl'])('has help for %s', async (command) => {
    const { code, out } = await bench.pki(command, '--help');
    expect(code).toBe(0);
    expect(out).toContain(`Usage: sallyport pki ${command}`);
    expect((await bench.pki('--help')).out).toContain(`sallyport pki ${command}`);
  });
});

describe('TLS with these files', () => {
  it('joins s_server and s_client, and refuses the revoked client', async () => {
    await bench.start('alice', 'bob');
    const serial = serialIn((await bench.pki('revoke', 'bob')).out);
    const server = spawn(
      'openssl',
      [
        ...['s_server', '-accept', '127.0.0.1:0', '-cert', 'pki/issued/vpn.example.org.crt'],
        ...['-key', 'pki/private/vpn.example.org.key', '-CAfile', 'pki/ca.crt', '-CRL', 'pki/crl.pem', '-crl_check'],
        ...['-Verify', '1', '-verify_return_error', '-tls1_3', '-naccept', '2', '-rev'],
      ],
      { cwd: bench.dir, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    try {
      const port = await new Promise<string>((resolve, reject) => {
        let said = '';
        server.on('error', reject);
        server.on('exit', () => reject(new Error(`openssl s_server ended: ${said}`)));
        server.stdout.on('data', (bytes) => {
          said += String(bytes);
          const found = /ACCEPT \S*:(\d+)/.exec(said)?.[1];
          if (found !== undefined) resolve(found);
        });
      });
      const reach = async (certificate: string, key: string): Promise<string> => {
        const client = spawn(
          'openssl',
          [
            ...[
              's_client',
              '-connect',
              `127.0.0.1:${port}`,
              '-cert',
              certificate,
              '-key',
              key,
              '-CAfile',
              'pki/ca.crt',
            ],
            ...[
              '-verify_return_error',
              '-verify_hostname',
              'vpn.example.org',
              '-purpose',
              'sslserver',
              '-tls1_3',
              '-quiet',
              '-no_ign_eof',
            ],
          ],
          { cwd: bench.dir, stdio: ['pipe', 'pipe', 'pipe'] },
        );
        let said = '';
        for (const stream of [client.stdout, client.stderr]) {
          stream.on('data', (bytes) => {
            said += String(bytes);
            if (said.includes('olleh')) client.stdin.end();
          });
        }
        client.stdin.on('error', () => {});
        client.stdin.write('hello\n');
        const ended = new Promise<void>((resolve) => client.on('close', () => resolve()));
        const bound = setTimeout(() => client.kill('SIGKILL'), 10_000);
        await ended;
        clearTimeout(bound);
        return said;
      };
      expect(await reach('pki/issued/alice.crt', 'pki/private/alice.key')).toContain('olleh');
      const refused = await reach(
        `pki/revoked/certs_by_serial/${serial}.crt`,
        `pki/revoked/private_by_serial/${serial}.key`,
      );
      expect(refused).toContain('alert certificate revoked');
    } finally {
      server.kill('SIGKILL');
    }
  });
});

// A private key, and a certificate, that the management client has: the questions of the built command are those of the C
// program, and the server lets both in.

import { execFileSync } from 'node:child_process';
import { constants, createPrivateKey, privateEncrypt, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { comparable, Talk, useTalks } from '../lab/management-talk.ts';
import type { Credential } from '../lab/pki.ts';
import { type ClientKind, clientUnderTest, isOurs, itOurs, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

labSuite('a key that the management client has', () => {
  const lab = useLab();
  const talks = useTalks();
  let sockets = 0;

  async function start(certificate: Credential, kind: ClientKind, lines: readonly string[]) {
    const path = join(lab().dir, `external-${sockets++}.sock`);
    const client = await lab().client({
      kind,
      certificate,
      without: ['key'],
      lines: [`management ${path} unix`, 'connect-retry 1 1', ...lines],
    });
    const talk = await Talk.open(path);
    talks.push(talk);
    return { client, talk };
  }

  /** What whoever has the key makes of the question. */
  function signatureFor(data: Buffer, algorithm: string, { key }: Credential): Buffer {
    const text = readFileSync(key, 'utf8');
    const [name, ...words] = algorithm.split(',');
    const hash = /hashalg=(\w+)/.exec(algorithm)?.[1] ?? '';
    const pss = {
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    };
    if (words.includes('data=message')) {
      const more = name === 'RSA_PKCS1_PSS_PADDING' ? pss : {};
      return sign(hash === '' ? null : hash, data, { key: createPrivateKey(text), ...more });
    }
    if (name === 'RSA_PKCS1_PADDING') return privateEncrypt({ key: text, padding: constants.RSA_PKCS1_PADDING }, data);
    if (name === 'RSA_NO_PADDING') return privateEncrypt({ key: text, padding: constants.RSA_NO_PADDING }, data);
    const options =
      name === 'ECDSA'
        ? []
        : ['rsa_padding_mode:pss', `digest:${hash}`, 'rsa_pss_saltlen:digest'].flatMap((one) => ['-pkeyopt', one]);
    return execFileSync('openssl', ['pkeyutl', '-sign', '-inkey', key, ...options], { input: data });
  }

  const inLines = (bytes: Buffer): string => (bytes.toString('base64').match(/.{1,64}/g) ?? []).join('\n');

  /** Answers the next question; returns it without its data. */
  async function answer(talk: Talk, identity: Credential, command = 'pk-sig'): Promise<string> {
    const heard = await talk.hear(/>(PK_SIGN|RSA_SIGN):.*\r\n/);
    const [, prompt = '', data = '', algorithm] = /^>(\w+_SIGN):([^,\r]*)(?:,(.*))?\r$/m.exec(heard) ?? [];
    const asked = algorithm ?? (identity.cert.includes('rsa') ? 'RSA_PKCS1_PADDING' : 'ECDSA');
    const said = await talk.say(
      `${command}\n${inLines(signatureFor(Buffer.from(data, 'base64'), asked, identity))}\nEND`,
    );
    return `${prompt} ${Buffer.from(data, 'base64').length} ${algorithm ?? ''} ${said}`;
  }

  const kinds: readonly ClientKind[] = isOurs ? ['openvpn', 'sallyport'] : [clientUnderTest];

  it.each([
    ['client', '1.3', 'pss pkcs1', 3],
    ['client', '1.2', '', 2],
    ['rsa', '1.3', 'pkcs1 pss', 3],
    ['rsa', '1.3', 'pss digest', 3],
    ['client', '1.3', 'digest', 5],
    ['rsa', '1.2', 'pkcs1 pss', 3],
  ] as const)('%s certificate, TLS %s, management-external-key %s, version %d', async (name, tls, flags, version) => {
    const identity = lab().pki[name];
    await lab().server({ version: '2.7', lines: [`tls-version-max ${tls}`, 'disable-dco'] });
    const questions: string[] = [];
    for (const kind of kinds) {
      const { client, talk } = await start(identity, kind, [`management-external-key ${flags}`, 'management-hold']);
      await talk.hear(/>HOLD:.*\r\n/);
      talk.write(`version ${version}\nhold release\n`);
      const question = await answer(talk, identity);
      await client.line(up);
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      // A new key of the same session is signed, too.
      questions.push(question);
      await client.kill();
    }
    expect(new Set(questions).size, questions.join('\n')).toBe(1);
  });

  it('an old management client is asked for rsa-sig, with PKCS#1 padding', async () => {
    const identity = lab().pki.rsa;
    // Only TLS 1.2 with signature algorithms of PKCS#1 has such a signature.
    await lab().server({ lines: ['tls-version-max 1.2', 'tls-cert-profile insecure'] });
    for (const kind of kinds) {
      const { talk, client } = await start(identity, kind, ['management-external-key', 'management-hold']);
      await talk.hear(/>HOLD:.*\r\n/);
      talk.write('log on\nhold release\n');
      // The server prefers PSS, which this client can't: both programs say so.
      await talk.hear(/RSA padding mode not supported by management-client <pss>/);
      await client.kill();
    }
  });

  itOurs('a management client that knows no padding gets padded data, for PSS as well', async () => {
    const identity = lab().pki.rsa;
    await lab().server({ version: '2.7', lines: ['disable-dco'] });
    const { talk, client } = await start(identity, 'sallyport', [
      'management-external-key nopadding',
      'management-hold',
    ]);
    await talk.hear(/>HOLD:.*\r\n/);
    talk.write('version 3\nhold release\n');
    expect(await answer(talk, identity)).toMatch(/^PK_SIGN 256 RSA_NO_PADDING/);
    await client.line(up);
  });

  it('the certificate is asked for by its hint, before the key is used', async () => {
    const identity = lab().pki.client;
    await lab().server({ version: '2.7', lines: ['disable-dco'] });
    const heard: string[] = [];
    for (const kind of kinds) {
      const path = join(lab().dir, `external-${sockets++}.sock`);
      const client = await lab().client({
        kind,
        certificate: null,
        lines: [
          `management ${path} unix`,
          'management-hold',
          'management-external-key',
          'management-external-cert "keychain:subject:o=Example"',
        ],
      });
      const talk = await Talk.open(path);
      talks.push(talk);
      const first = await talk.hear(/>HOLD:.*\r\n/);
      const early = await talk.say('certificate');
      talk.write('version 3\nhold release\n');
      const asked = await talk.hear(/>NEED-CERTIFICATE:.*\r\n/);
      const said = await talk.say(`certificate\n${readFileSync(identity.cert, 'utf8').trimEnd()}\nEND`);
      heard.push(comparable([first, early, asked, said, await answer(talk, identity)].join('---\n')));
      await client.line(up);
      await client.kill();
    }
    expect(new Set(heard).size, heard.join('\n=====\n')).toBe(1);
  });

  itOurs('renegotiates, restarts and ends while a signature is waited for', async () => {
    const identity = lab().pki.client;
    await lab().server({ version: '2.7', lines: ['disable-dco'] });
    const { talk, client } = await start(identity, 'sallyport', [
      'management-external-key',
      'management-hold',
      'reneg-sec 3 3',
      'hand-window 5',
    ]);
    await talk.hear(/>HOLD:.*\r\n/);
    talk.write('version 3\nhold release\n');
    await answer(talk, identity);
    await client.line(up);
    await answer(talk, identity);
    // The tunnel works on while the next key's signature is owed.
    await talk.hear(/>PK_SIGN:.*\r\n/);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const before = performance.now();
    client.signal('SIGTERM');
    expect((await client.exit()).code).toBe(0);
    expect(performance.now() - before).toBeLessThan(2500);
  });
});

// What root reads for a connection that is everybody's may be any file. Nothing of a file that can't be what its key says
// gets into a text: not into the answer on the bus, nor into the log, which others read.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readConnection } from '../../apps/networkmanager/connection.ts';
import { configLines } from '../../apps/networkmanager/option-lines.ts';
import { readLines, readSettings } from '../../apps/networkmanager/settings.ts';
import { loadWraps } from '../../src/client/wraps.ts';
import { configOfLines } from '../../src/handed-device.ts';
import { loadTlsMaterial, nodeMaterialFiles } from '../../src/node/tls-material.ts';
import { makePki, type Pki } from '../lab/pki.ts';
import { connectionOf } from './connections.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-contents-'));
let pki: Pki;
beforeAll(async () => {
  pki = await makePki(join(dir, 'pki'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const SECRET = 's3cretWord';
const armoured = (label: string, body: string): string => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
const KEYS = ['ca', 'cert', 'key', 'extra-certs', 'ta', 'tls-crypt', 'tls-crypt-v2', 'crl-verify-file'] as const;
const LABELS = [
  'CERTIFICATE',
  'PRIVATE KEY',
  'ENCRYPTED PRIVATE KEY',
  'RSA PRIVATE KEY',
  'X509 CRL',
  'OpenVPN Static key V1',
  'OpenVPN tls-crypt-v2 client key',
];
const base64 = btoa(`${SECRET} `.repeat(30));
const contents: readonly (readonly [string, string | Uint8Array])[] = [
  ['words', `${SECRET}:$6$salt$${SECRET}:19000:0:99999:7:::\n${SECRET} ${SECRET}\n`],
  ['one long word', SECRET.repeat(2000)],
  ['options', `setenv X ${SECRET}\n<ca>\n${SECRET}\n</ca>\n`],
  ['PKCS#12 that is none', Uint8Array.of(0x30, 0x82, 1, 0, 2, 1, 3, ...new TextEncoder().encode(SECRET.repeat(30)))],
  ['bytes', Uint8Array.of(0, 1, 255, ...new TextEncoder().encode(SECRET), 0)],
  ...LABELS.flatMap((label): [string, string][] => [
    [`${label} of words`, armoured(label, `${SECRET}\n${SECRET}`)],
    [`${label} of base64`, armoured(label, base64)],
    [`${label} without an end`, `${SECRET}\n-----BEGIN ${label}-----\n${SECRET}`],
    [`${label} with a header`, armoured(label, `Proc-Type: 4,ENCRYPTED\nDEK-Info: ${SECRET},${SECRET}\n\n${base64}`)],
  ]),
];

/** Everything that is said of a connection whose files are these. */
async function said(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const texts: string[] = [];
  const connection = readConnection(
    connectionOf(Object.fromEntries(Object.keys(files).map((key) => [key, `/etc/${key}`]))),
  );
  try {
    const settings = readSettings(connection);
    const bytes = Object.entries(files).map(
      ([key, content]) => [key, typeof content === 'string' ? new TextEncoder().encode(content) : content] as const,
    );
    const { config, findings } = configOfLines(configLines(readLines(settings, new Map(bytes))), 'vpn.data', {});
    texts.push(...findings.map((finding) => JSON.stringify(finding)));
    if (config === undefined) return texts.join('\n');
    loadWraps(
      config,
      (source) => (source.kind === 'inline' ? source.text : ''),
      () => ({ problem: '' }),
    );
    await loadTlsMaterial(
      { ...config.tls, keyIsElsewhere: false },
      { ...nodeMaterialFiles, passphrase: async () => 'guess', warn: (text) => texts.push(text) },
    );
    return texts.join('\n');
  } catch (error) {
    for (let each: unknown = error; each instanceof Error; each = each.cause) {
      const { message, hint } = each as Error & { hint?: string };
      texts.push(message, hint ?? '');
    }
    return `refused: ${texts.join('\n')}`;
  }
}

it.each(KEYS)('nothing of what %s names is told where it can not be meant', async (key) => {
  const right = {
    ca: readFileSync(pki.ca.cert, 'utf8'),
    cert: readFileSync(pki.client.cert, 'utf8'),
    key: readFileSync(pki.client.key, 'utf8'),
  };
  expect(await said(right)).toBe('');
  const leaks: string[] = [];
  let refused = 0;
  for (const [what, content] of contents) {
    const text = await said({ ...right, [key]: content });
    if (text.startsWith('refused: ')) refused += 1;
    for (let at = 0; at + 6 <= SECRET.length; at += 1) {
      if (text.includes(SECRET.slice(at, at + 6))) leaks.push(`${what}: ${text}`);
    }
    if (text.includes(base64.slice(0, 12))) leaks.push(`${what}: ${text}`);
  }
  expect(leaks).toEqual([]);
  expect(refused).toBeGreaterThan(5);
});

// The pki commands run in this process, in a folder of the test's own, with a clock and answers that the test sets.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runPki } from '../../apps/pki/main.ts';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Workbench {
  readonly dir: string;
  nowUnix: number;
  /** What the person at the terminal answers, in order. */
  answers: string[];
  path(...parts: readonly string[]): string;
  read(...parts: readonly string[]): string;
  /** `pki('client', 'alice')` is `sallyport pki client alice`. */
  pki(...words: readonly string[]): Promise<Outcome>;
  server(...words: readonly string[]): Promise<Outcome>;
  /** An authority with a server and these clients; throws when a command has anything against it. */
  start(...clients: readonly string[]): Promise<void>;
  /** What `openssl verify` says of a certificate, strictly and with the revocation list; throws when it is not good. */
  verify(file: string, purpose?: string): string;
  /** Runs openssl in the folder; throws with its words when it fails. */
  openssl(...words: readonly string[]): string;
  remove(): void;
}

/** A new, empty folder to work in. */
export function openWorkbench(): Workbench {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-pki-'));
  const path = (...parts: readonly string[]): string => join(dir, ...parts);
  const run = async (argv: readonly string[]): Promise<Outcome> => {
    let [out, err] = ['', ''];
    const code = await runPki(argv, {
      write: (text) => {
        out += text;
      },
      complain: (text) => {
        err += text;
      },
      directory: dir,
      nowUnix: () => bench.nowUnix,
      ask: async () => bench.answers.shift() ?? '',
    });
    return { code, out, err };
  };
  const bench: Workbench = {
    dir,
    nowUnix: Math.floor(Date.now() / 1000),
    answers: [],
    path,
    read: (...parts) => readFileSync(path(...parts), 'utf8'),
    pki: (...words) => run(['pki', ...words]),
    server: (...words) => run(['server', ...words]),
    start: async (...clients) => {
      for (const words of [
        ['init', '--remote', 'vpn.example.org:1195', '--proto', 'tcp'],
        ['server', 'vpn.example.org'],
        ...clients.map((name) => ['client', name]),
      ]) {
        const { code, err } = await bench.pki(...words);
        if (code !== 0 || err !== '') throw new Error(`pki ${words.join(' ')} ended with ${code}: ${err}`);
      }
    },
    verify: (file, purpose = 'any') =>
      bench.openssl(
        ...['verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'pki/ca.crt'],
        ...['-crl_check', '-CRLfile', 'pki/crl.pem', file],
      ),
    openssl: (...words) =>
      execFileSync('openssl', words, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
  return bench;
}

/** The serial that a command has just told. */
export function serialIn(text: string): string {
  const serial = /certificate ([0-9A-F]{32})/.exec(text)?.[1];
  if (serial === undefined) throw new Error(`no serial in: ${text}`);
  return serial;
}

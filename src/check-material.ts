// What is in the files that a profile names, for `sallyport check`: certificates, keys, lists and key files are read by the
// code that a start reads them with, each by itself, so that one look tells of all. Nobody is asked for a passphrase.

import type { X509Certificate } from 'node:crypto';
import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadWraps } from './client/wraps.ts';
import { readSource } from './compose-parts.ts';
import type { Config, Finding, Origin, Source } from './config/config.ts';
import { messageOf, SallyportError } from './error.ts';
import { readPasswordFile } from './node/credentials-file.ts';
import { expiryWarning } from './node/expiry.ts';
import { type MaterialPorts, readBlocks, readCertificates } from './node/material-source.ts';
import { parseRevocationList } from './node/revocation-list.ts';
import { readIdentity, readPkcs12 } from './node/tls-identity.ts';
import { loadTlsMaterial, nodeMaterialFiles, readRevocationLists } from './node/tls-material.ts';
import { loadServerWraps } from './server/wraps.ts';
import { parseAuthTokenKey } from './wire/auth-token-key.ts';

/** A key or PKCS#12 file has a passphrase that no file states. */
class Locked extends Error {}

interface Look {
  readonly findings: Finding[];
  readonly ports: MaterialPorts;
  readonly read: (source: Source) => string;
  readonly nowUnix: number;
  readonly isThere: (source: Source | undefined) => source is Source;
}

/** Everything that is wrong with what the files and inline blocks hold. Files that can't be read are not told of. Never rejects. */
export async function checkMaterial(config: Config, directory: string, nowUnix: number): Promise<readonly Finding[]> {
  const base = resolve(directory, config.process.cd ?? '.');
  const look = lookAround(config, base, nowUnix);
  const { findings, isThere } = look;
  const { tls } = config;
  lookAtAuthorities(tls.ca, look);
  await lookAtIdentity(config, look);
  lookAtList(config, look);
  lookAtKeys(config, look);
  const named = [tls.ca, tls.cert, tls.key, tls.pkcs12, tls.extraCerts, tls.dh];
  const allThere = named.every((source) => source === undefined || isThere(source));
  // What fits each by itself may still not fit together.
  if (allThere && !findings.some(({ severity }) => severity === 'error')) await lookAtAll(config, look);
  return findings;
}

function lookAround(config: Config, base: string, nowUnix: number): Look {
  const pathOf = (path: string): string => resolve(base, path);
  const { askpass } = config.tls;
  return {
    findings: [],
    nowUnix,
    read: (source) => readSource(source, base),
    isThere: (source): source is Source => {
      if (source?.kind !== 'file') return source !== undefined;
      try {
        accessSync(pathOf(source.path), constants.R_OK);
        // A pipe would be emptied, or waited for.
        return statSync(pathOf(source.path)).isFile();
      } catch {
        return false;
      }
    },
    ports: {
      read: (path, only) => nodeMaterialFiles.read(pathOf(path), only),
      stamp: (path) => nodeMaterialFiles.stamp(pathOf(path)),
      list: (path) => nodeMaterialFiles.list(pathOf(path)),
      exists: (path) => nodeMaterialFiles.exists(pathOf(path)),
      passphrase: async () => {
        if (askpass?.file === undefined || askpass.file === 'stdin') throw new Locked();
        return readPasswordFile(pathOf(askpass.file), 'Private Key', () => {});
      },
      warn: () => {},
    },
  };
}

function lookAtAuthorities(ca: Source | undefined, look: Look): void {
  if (!look.isThere(ca)) return;
  attempt('ca', ca.origin, look, () => {
    const authorities = readCertificates('ca', 'CA certificate', ca, look.ports);
    const some = authorities.some((each) => endOf(each) >= look.nowUnix);
    for (const each of authorities) {
      tellEnd(`the CA certificate '${each.subject.replaceAll('\n', ', ')}'`, endOf(each), 'ca', ca.origin, look, {
        severity: some ? 'warning' : 'error',
        advice: 'Get the present certificate of the authority from whoever gave you the profile.',
      });
    }
  });
}

async function lookAtIdentity({ tls }: Config, look: Look): Promise<void> {
  const { cert, key, pkcs12, extraCerts } = tls;
  if (look.isThere(pkcs12)) {
    await attemptLater('pkcs12', pkcs12.origin, look, async () => {
      const { certificate } = await readPkcs12(pkcs12, look.ports);
      if (certificate !== undefined) tellOwn(certificate, 'pkcs12', pkcs12.origin, look);
    });
  }
  if (look.isThere(cert)) {
    attempt('cert', cert.origin, look, () => {
      const [certificate] = readCertificates('cert', 'certificate', cert, look.ports);
      if (certificate !== undefined) tellOwn(certificate, 'cert', cert.origin, look);
    });
  }
  if (look.isThere(extraCerts)) {
    attempt('extra-certs', extraCerts.origin, look, () =>
      readCertificates('extra-certs', 'extra-certs', extraCerts, look.ports),
    );
  }
  if (!look.isThere(key)) return;
  // With a certificate that is damaged, the key can still be looked at by itself; it is told of then, not the certificate.
  const failed = look.findings.some(({ option }) => option === 'cert');
  if (look.isThere(cert) && !failed) {
    await attemptLater('key', key.origin, look, () => readIdentity({ cert, key }, look.ports));
  }
}

function lookAtList({ tls: { crlVerify, dh } }: Config, look: Look): void {
  if (look.isThere(dh)) {
    attempt('dh', dh.origin, look, () =>
      readBlocks('dh', 'Cannot load DH parameters', 'DH PARAMETERS', dh, look.ports),
    );
  }
  const source = crlVerify?.directory === false ? crlVerify.source : undefined;
  if (!look.isThere(source)) return;
  attempt('crl-verify', source.origin, look, () => {
    for (const der of readRevocationLists(source, look.ports)) {
      const end = parseRevocationList(der)?.nextUpdate;
      if (end !== undefined) {
        tellEnd('the revocation list', end, 'crl-verify', source.origin, look, {
          severity: 'error',
          advice:
            'Nobody whose certificate it speaks of gets in: get a new list from the authority (pki renew makes one).',
        });
      }
    }
  });
}

/** Keys of the control channel and of tokens: each once, wherever it is named. */
function lookAtKeys(config: Config, look: Look): void {
  const { connections, server } = config;
  const seen = new Set<Source>();
  for (const profile of server === undefined ? connections : []) {
    const { wrap } = profile;
    if (wrap === undefined || seen.has(wrap.source) || !look.isThere(wrap.source)) continue;
    seen.add(wrap.source);
    attempt(wrap.kind, wrap.source.origin, look, () =>
      loadWraps({ ...config, connections: [profile] }, look.read, () => ({ problem: '' })),
    );
  }
  for (const wrap of server?.wraps ?? []) {
    if (server === undefined || !look.isThere(wrap.source)) continue;
    const only = { ...server, wraps: [wrap] };
    attempt(wrap.kind, wrap.source.origin, look, () => loadServerWraps(config, only, look.read));
  }
  const secret = server?.authGenTokenSecret;
  if (!look.isThere(secret)) return;
  attempt('auth-gen-token-secret', secret.origin, look, () => {
    const parsed = parseAuthTokenKey(look.read(secret));
    if ('problem' in parsed) {
      const hint = 'Make one with --genkey auth-token FILE.';
      throw new SallyportError(parsed.problem, { code: 'SALLYPORT_CONFIG', blame: 'config', hint });
    }
  });
}

/** All together, as a start does it; what only warns is told, too. */
async function lookAtAll(config: Config, look: Look): Promise<void> {
  const { tls } = config;
  const origin = (tls.crlVerify?.source ?? tls.ca ?? tls.cert)?.origin ?? {
    file: config.lines[0]?.origin.file ?? '',
    line: 0,
  };
  const warn = (message: string): void => {
    // Times are told above; what else a start warns of is about the CRL or about names of ciphers and groups.
    if (/^WARNING: Your certificate /.test(message)) return;
    const option = message.includes('CRL') ? 'crl-verify' : 'tls-cipher';
    const at = option === 'crl-verify' ? origin : { ...origin, line: 0 };
    look.findings.push({ severity: 'warning', kind: 'invalid', origin: at, option, message, advice: undefined });
  };
  await attemptLater('tls', { ...origin, line: 0 }, look, () => loadTlsMaterial(tls, { ...look.ports, warn }));
}

function tellOwn(certificate: X509Certificate, option: string, origin: Origin, look: Look): void {
  const begin = Date.parse(certificate.validFrom) / 1000;
  const advice = 'Ask for a new one: the other end refuses it.';
  if (begin > look.nowUnix) {
    const message = `the certificate is not yet valid (valid from ${certificate.validFrom})`;
    look.findings.push({
      severity: 'warning',
      kind: 'invalid',
      origin,
      option,
      message,
      advice: 'Is the clock right?',
    });
  }
  tellEnd('the certificate', endOf(certificate), option, origin, look, { severity: 'error', advice });
}

/** `severity`: of what has ended; what ends soon is a warning. */
function tellEnd(
  name: string,
  endUnix: number,
  option: string,
  origin: Origin,
  look: Look,
  { severity, advice }: { readonly severity: 'error' | 'warning'; readonly advice: string },
): void {
  const message = expiryWarning(name, endUnix, look.nowUnix);
  if (message === undefined) return;
  const over = endUnix < look.nowUnix;
  look.findings.push({
    severity: over ? severity : 'warning',
    kind: 'invalid',
    ...{ origin, option, message },
    advice: over ? advice : 'Have a new one made in time.',
  });
}

const endOf = ({ validTo }: X509Certificate): number => Date.parse(validTo) / 1000;

function attempt(option: string, origin: Origin, look: Look, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    tellFailure(option, origin, look, error);
  }
}

async function attemptLater(option: string, origin: Origin, look: Look, read: () => Promise<unknown>): Promise<void> {
  try {
    await read();
  } catch (error) {
    tellFailure(option, origin, look, error);
  }
}

/** The option and the place that a message ends with, or begins with; they stand before it in any case. */
const PLACE_BEHIND = / \(([\w-]+), (.+):(\d+)\)$/;
const PLACE_BEFORE = /^(.+):(\d+): ([\w-]+): /;

function tellFailure(option: string, origin: Origin, { findings }: Look, error: unknown): void {
  if (error instanceof Locked) return;
  const text = messageOf(error);
  const behind = PLACE_BEHIND.exec(text);
  const message = text.replace(PLACE_BEHIND, '').replace(PLACE_BEFORE, '');
  const advice = error instanceof SallyportError ? error.hint : undefined;
  const named = behind === null ? origin : { file: behind[2] ?? origin.file, line: Number(behind[3]) };
  findings.push({
    severity: 'error',
    kind: 'invalid',
    origin: named,
    option: behind?.[1] ?? option,
    message,
    advice,
  });
}

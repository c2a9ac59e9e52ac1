// Files that a program gets something to read from (`tls-export-cert`, `tls-crypt-v2-verify`): there while it judges, gone
// after that.

import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateFiles, TemporaryFiles } from '../tunnel/ports.ts';

/** Files in a directory, readable for this user alone. */
export const createTemporaryFiles = (directory: string, prefix: string): TemporaryFiles => ({
  write(content) {
    const path = join(directory, `${prefix}${randomBytes(16).toString('hex')}.tmp`);
    try {
      writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
      return path;
    } catch {
      return undefined;
    }
  },
  remove: (path) => rmSync(path, { force: true }),
});

/** Those of certificates; undefined without a directory. */
export const createCertificateFiles = (directory: string | undefined): CertificateFiles | undefined =>
  directory === undefined ? undefined : { directory, ...createTemporaryFiles(directory, 'openvpn_pef_') };

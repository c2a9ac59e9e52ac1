// Certificates of a peer as files for scripts (`tls-export-cert`): there while a program judges them, gone after that.

import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateFiles } from '../tunnel/ports.ts';

/** Files in a directory, readable for this user alone; undefined without one. */
export function createCertificateFiles(directory: string | undefined): CertificateFiles | undefined {
  if (directory === undefined) return undefined;
  return {
    directory,
    write(pem) {
      const path = join(directory, `openvpn_pef_${randomBytes(16).toString('hex')}.tmp`);
      try {
        writeFileSync(path, pem, { mode: 0o600, flag: 'wx' });
        return path;
      } catch {
        return undefined;
      }
    },
    remove: (path) => rmSync(path, { force: true }),
  };
}

// TLS material for a bench: a throw-away PKI, loaded as the program loads a profile's, one secure context for all.

import { createNodeTlsFactory, type NodeTlsFactory } from '../src/node/tls-engine.ts';
import { loadTlsMaterial, nodeMaterialFiles } from '../src/node/tls-material.ts';

export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** TLS 1.3 unless `versionMax` says otherwise. */
export async function createBenchTls(files: TlsFiles, versionMax?: '1.2'): Promise<NodeTlsFactory> {
  const file = (path: string) => ({ kind: 'file', path, origin: { file: path, line: 1 } }) as const;
  const material = await loadTlsMaterial(
    {
      ca: file(files.ca),
      caPath: undefined,
      cert: file(files.cert),
      key: file(files.key),
      pkcs12: undefined,
      extraCerts: undefined,
      dh: undefined,
      crlVerify: undefined,
      versionMin: undefined,
      versionMax,
      cipherList: undefined,
      cipherSuites: undefined,
      groups: undefined,
      certProfile: undefined,
    },
    {
      ...nodeMaterialFiles,
      passphrase: () => Promise.reject(new Error('no key of a bench is encrypted')),
      warn: (text) => process.stderr.write(`${text}\n`),
    },
  );
  return createNodeTlsFactory(material);
}

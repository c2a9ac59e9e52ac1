import { readFileSync } from 'node:fs';
import { createNodeTlsFactory } from '../../src/node/tls-engine.ts';
import type { MaterialOrigin, TlsMaterialInput } from '../../src/node/tls-material.ts';
import { loadTlsMaterial, nodeMaterialFiles } from '../../src/node/tls-material.ts';
import { tlsEngineConformance } from '../conformance/tls-engine.ts';

const origin: MaterialOrigin = { file: 'test.ovpn', line: 1 };
const file = (path: string | undefined) => (path === undefined ? undefined : ({ kind: 'file', path, origin } as const));

tlsEngineConformance('node:tls', async ({ ca, identity, crl, versionMin, versionMax }) => {
  const input: TlsMaterialInput = {
    ca: file(ca),
    caPath: undefined,
    cert: file(identity?.cert),
    key: file(identity?.key),
    pkcs12: undefined,
    extraCerts: undefined,
    dh: undefined,
    crlVerify: crl === undefined ? undefined : { source: file(crl)!, directory: false },
    versionMin,
    versionMax,
    cipherList: undefined,
    cipherSuites: undefined,
    groups: undefined,
    certProfile: undefined,
  };
  const material = await loadTlsMaterial(input, {
    ...nodeMaterialFiles,
    read: (path) => readFileSync(path),
    passphrase: () => Promise.reject(new Error('no key of this suite is encrypted')),
    warn: () => {},
  });
  return createNodeTlsFactory(material);
});

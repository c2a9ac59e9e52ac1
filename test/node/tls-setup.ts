// The TLS material that a case of the engines' suite asks for.

import type { MaterialOrigin } from '../../src/node/material-source.ts';
import { loadTlsMaterial, nodeMaterialFiles, type TlsMaterial } from '../../src/node/tls-material.ts';
import type { TlsSetup } from '../conformance/tls-engine.ts';

const origin: MaterialOrigin = { file: 'test.ovpn', line: 1 };
const file = (path: string | undefined) => (path === undefined ? undefined : ({ kind: 'file', path, origin } as const));

/** `keyIsElsewhere`: somebody else signs. */
export function loadSetup(
  { ca, identity, crl, versionMin, versionMax }: TlsSetup,
  keyIsElsewhere = false,
): Promise<TlsMaterial> {
  return loadTlsMaterial(
    {
      ca: file(ca),
      caPath: undefined,
      cert: file(identity?.cert),
      key: keyIsElsewhere ? undefined : file(identity?.key),
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
      keyIsElsewhere,
    },
    {
      ...nodeMaterialFiles,
      passphrase: () => Promise.reject(new Error('no key of this suite is encrypted')),
      warn: () => {},
    },
  );
}

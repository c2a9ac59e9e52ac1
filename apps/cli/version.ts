// `--version` in OpenVPN's form: the first line starts with `OpenVPN 2.Y.Z`, which NetworkManager and scripts read.

import { OPENVPN_VERSION, SALLYPORT_VERSION } from '../../src/version.ts';

/** The program's name and features in one line; the log begins with it too. */
export function versionLine(): string {
  const platform = `${process.arch === 'x64' ? 'x86_64' : process.arch}-${process.platform}-node`;
  return `OpenVPN ${OPENVPN_VERSION} ${platform} [Sallyport ${SALLYPORT_VERSION}] [SSL (OpenSSL)] [LZO] [LZ4] [AEAD]`;
}

/** `library versions: OpenSSL 3.0.19, Node 20.20.2`. */
export function librariesLine(): string {
  return `library versions: OpenSSL ${process.versions.openssl}, Node ${process.versions.node}`;
}

/** What `openvpn --version` prints, as far as it is true of this program; without `libraries` where no Node is asked. */
export function versionText(libraries: string | undefined): string {
  const lines = [
    versionLine(),
    ...(libraries === undefined ? [] : [libraries]),
    // Packets are moved in user space.
    'DCO version: N/A',
    `Sallyport ${SALLYPORT_VERSION}: OpenVPN in TypeScript, measured by OpenVPN ${OPENVPN_VERSION}. Licence: Apache-2.0`,
    `Lists: --show-ciphers, --show-digests, --show-tls, --show-groups. Every option: --help, docs/COMPATIBILITY.md`,
  ];
  return `${lines.join('\n')}\n`;
}

export function printVersion(): void {
  process.stdout.write(versionText(librariesLine()));
}

// `--version` in OpenVPN's form: the first line starts with `OpenVPN 2.Y.Z`, which NetworkManager and scripts read.

import { OPENVPN_VERSION, SALLYPORT_VERSION } from '../../src/version.ts';

/** The program's name and features in one line; the log begins with it too. */
export function versionLine(): string {
  const platform = `${process.arch === 'x64' ? 'x86_64' : process.arch}-${process.platform}-node`;
  return `OpenVPN ${OPENVPN_VERSION} ${platform} [Sallyport ${SALLYPORT_VERSION}] [SSL (OpenSSL)] [AEAD]`;
}

/** `library versions: OpenSSL 3.0.19, Node 20.20.2`. */
export function librariesLine(): string {
  return `library versions: OpenSSL ${process.versions.openssl}, Node ${process.versions.node}`;
}

/** Prints what `openvpn --version` prints, as far as it is true of this program. */
export function printVersion(): void {
  process.stdout.write(
    `${versionLine()}\n${librariesLine()}\nSallyport: OpenVPN in TypeScript, behaving as OpenVPN ${OPENVPN_VERSION}. Licence: Apache-2.0\n`,
  );
}

// A client's profile: one .ovpn file with everything inline, for every client of OpenVPN's family.

import { certificatePem, pemBlocks } from './certificates.ts';
import { refuse } from './refuse.ts';
import type { Protocol, Remote } from './settings.ts';

export interface ProfileParts {
  readonly name: string;
  readonly remote: Remote;
  readonly port: number;
  readonly protocol: Protocol;
  /** The server certificate's common name, where it is known which one it is. */
  readonly serverName: string | undefined;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly tlsCryptV2: string | undefined;
}

/** The text of the profile. */
export function profileText(parts: ProfileParts): string {
  const { remote, serverName } = parts;
  const lines = [
    `# ${parts.name}: an OpenVPN profile with a private key in it. Whoever has this file is ${parts.name}.`,
    'client',
    'dev tun',
    `proto ${parts.protocol}`,
    `remote ${remote.host} ${parts.port}`,
    'resolv-retry infinite',
    'nobind',
    'persist-tun',
    "# The certificate at the other end has to be a server's.",
    'remote-cert-tls server',
    ...(serverName === undefined ? [] : [`verify-x509-name ${serverName} name`]),
    'verb 3',
    block('ca', pemBlocks(parts.ca, 'CERTIFICATE').join('')),
    block('cert', certificatePem(parts.certificate) ?? refuse(`the certificate of ${parts.name} is not PEM`)),
    block('key', parts.key),
    ...(parts.tlsCryptV2 === undefined ? [] : [block('tls-crypt-v2', parts.tlsCryptV2)]),
  ];
  return `${lines.join('\n')}\n`;
}

const block = (name: string, text: string): string => `<${name}>\n${text.trim()}\n</${name}>`;

// The help texts of `sallyport pki` and `sallyport server`.

const COMMON = `  --dir FOLDER           the authority's folder; default ./pki
  --pass-file FILE       the passphrase of the CA key is its first line; default: asked for, if the key has one
`;

const KEY = `  --rsa [BITS], --ec     kind of the new key: RSA (3072 bits), or EC P-256; default: as the authority's
`;

const PROFILE = `  --remote HOST[:PORT]   where clients reach the server; default: what the folder remembers
  --proto udp|tcp        default: what the folder remembers, else udp
  --server NAME          the server's certificate name; default: the only one there is
  --out FILE             where the profile goes; default ./NAME.ovpn
  --force                overwrite a profile that is there
  --no-tls-crypt-v2      for a server that has no tls-crypt-v2
`;

/** Usage line and help for each command, by its words. */
export const HELP: Readonly<Record<string, { readonly usage: string; readonly text: string }>> = {
  init: {
    usage: 'sallyport pki init [--remote HOST[:PORT]] [--ask-pass]',
    text: `Makes an authority: its key and certificate, an empty revocation list and a tls-crypt-v2 key for its servers.

  --remote HOST[:PORT]   where clients will reach the server, for their profiles
  --proto udp|tcp        default udp
  --cn NAME              the authority's name; default "Sallyport CA"
  --rsa [BITS]           RSA (3072 bits) instead of EC P-256
  --days N               the authority's life; default 3650
  --crl-days N           the revocation list's life; default 825
  --ask-pass             protect the CA key with a passphrase
${COMMON}`,
  },
  server: {
    usage: 'sallyport pki server NAME',
    text: `Makes a key and a certificate for a server: issued/NAME.crt, private/NAME.key.

  --san KIND:VALUE       an alternative name, dns:NAME or ip:ADDRESS; may be repeated. NAME is one if it is a host's name
  --days N               default 825
${KEY}${COMMON}`,
  },
  client: {
    usage: 'sallyport pki client NAME [--remote HOST[:PORT]]',
    text: `Makes a key and a certificate for a client, and its profile, NAME.ovpn, with everything inline.

${PROFILE}  --profile-only         the profile of a client that is there, with a tls-crypt-v2 key of its own
  --san email:ADDRESS    an alternative name; may be repeated
  --days N               default 825
${KEY}${COMMON}`,
  },
  revoke: {
    usage: 'sallyport pki revoke NAME',
    text: `Revokes every certificate of NAME and makes the revocation list anew.

  --reason REASON        keyCompromise, superseded, cessationOfOperation, affiliationChanged, unspecified …
  --crl-days N           the list's life; default: as the one before
${COMMON}`,
  },
  renew: {
    usage: 'sallyport pki renew NAME',
    text: `Makes the successor of NAME's certificate, with a new key; for a client its profile, too. The old certificate stays
good until it expires.

  --same-key             keep the key
  --revoke-old           end the old certificate now
  --days N               default 825
${PROFILE}${KEY}${COMMON}`,
  },
  list: {
    usage: 'sallyport pki list [--json]',
    text: `Lists what the authority has issued: name, role, serial, expiry, state. Warns 30 days before something expires.

  --json                 for programs
  --dir FOLDER           the authority's folder; default ./pki
`,
  },
  crl: {
    usage: 'sallyport pki crl',
    text: `Makes the revocation list anew, which a server needs before the old one expires.

  --days N               its life; default: as the one before
${COMMON}`,
  },
};

/** `sallyport pki --help`. */
export const PKI_HELP = `Keys and certificates for a VPN, in a folder that openssl and easy-rsa understand.

Usage:
  sallyport pki init                    make an authority
  sallyport pki server NAME             a server's key and certificate
  sallyport pki client NAME             a client's, and its profile NAME.ovpn
  sallyport pki revoke NAME             end a certificate
  sallyport pki renew NAME              make its successor
  sallyport pki list [--json]           what there is, and what expires soon
  sallyport pki crl                     make the revocation list anew

The folder is ./pki, or what --dir names. \`sallyport pki COMMAND --help\` has the options of a command.
`;

/** `sallyport server --help`. */
export const SERVER_HELP = `A server's configuration, written for this host.

Usage:
  sallyport server init                 write server.conf, and make the authority and the server's certificate if needed
  sallyport --config server.conf        run it

\`sallyport server init --help\` has the options.
`;

export const SERVER_INIT = {
  usage: 'sallyport server init [--out FOLDER] [--remote HOST[:PORT]]',
  text: `Writes a commented server.conf for this host: a tunnel network that clashes with none of its own, the certificates of
the authority's folder, and the way out for NAT. The authority and the server's certificate are made if they are missing.

  --out FOLDER           where server.conf and crl.pem go; default: the current folder
  --remote HOST[:PORT]   where clients reach this server; the authority's folder remembers it
  --port N               default: the remote's port, else 1194
  --proto udp|tcp        default udp
  --network A.B.C.D/N    the tunnel's network; default: a free one
  --name NAME            the server's certificate name; default "server"
  --keep-root            do not become nobody after the start
  --rsa [BITS], --ec     kind of new keys
  --force                overwrite a server.conf that is there
${COMMON}`,
};

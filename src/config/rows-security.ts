// Option rows: the data channel's cryptography, TLS, certificates, the wrap of the control channel.

import { MANY, noEffect, type OptionRow, refused, row, silently, WORKS } from './option-row.ts';

const INLINE = { contexts: ['inline'] } as const;
const PKCS11 = refused(
  'the PKCS#11 options (pkcs11-…, show-pkcs11-ids) are not taken: such a library is native code that would run within this process',
  'Write cert and key, or pkcs12, with files. For a key that cannot leave its token: management-external-key, with a management client that asks the token.',
);
const STATIC_KEY = refused(
  'static-key mode has no key exchange: whoever gets the key reads everything ever sent',
  'Set up TLS; peer-fingerprint needs no certificate authority and is as quick to set up.',
);

export const SECURITY_ROWS: readonly OptionRow[] = [
  row('cipher', 'name', 1, ['ncp', 'instance'], WORKS, 'Cipher for peers that cannot negotiate; see data-ciphers.', {
    contexts: ['ccd'],
  }),
  row('data-ciphers', 'list', 1, ['general', 'instance'], WORKS, 'Ciphers that may be negotiated, best first.', {
    contexts: ['ccd'],
    default: 'AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305',
  }),
  row('ncp-ciphers', 'list', 1, ['general', 'instance'], WORKS, 'Old name of data-ciphers.', {
    contexts: ['ccd'],
    aliasOf: 'data-ciphers',
    deprecated: { since: '2.5', instead: 'Write data-ciphers.' },
  }),
  row(
    'data-ciphers-fallback',
    'name',
    1,
    ['general', 'instance'],
    WORKS,
    'Cipher for a peer that does not negotiate.',
    {
      contexts: ['ccd'],
    },
  ),
  row('auth', 'digest|none', 1, 'general', WORKS, 'Digest of CBC, CFB and OFB data packets and of tls-auth.', {
    default: 'SHA1',
  }),
  row('replay-window', 'ids [seconds]', [0, 2], 'general', WORKS, 'How far packets may be out of order.', {
    default: '64 15',
  }),
  row(
    'replay-persist',
    'file',
    1,
    'general',
    noEffect('every session has new keys, so packet ids start anew'),
    'Keep packet ids over restarts.',
  ),
  row('allow-compression', 'asym|no|yes', 1, 'general', WORKS, 'Whether compressed packets are taken; none are made.', {
    default: 'no',
  }),
  row(
    'comp-lzo',
    '[yes|no|adaptive]',
    [0, 1],
    'comp',
    WORKS,
    'Compression framing of old peers; nothing is compressed.',
    {
      contexts: ['ccd'],
      deprecated: { since: '2.4', instead: 'Remove it on both sides.' },
    },
  ),
  row('comp-noadapt', '', 0, 'any', silently('nothing is compressed'), 'Ignored.', {
    contexts: ['ccd'],
    deprecated: { since: '2.4', instead: 'Leave it out.' },
  }),
  row(
    'compress',
    '[stub|stub-v2|lzo|lz4|lz4-v2|migrate]',
    [0, 1],
    'comp',
    WORKS,
    'Compression framing; nothing is compressed.',
    {
      contexts: ['ccd'],
      deprecated: { since: '2.6', instead: 'Remove it on both sides.' },
    },
  ),
  row('providers', 'name…', [1, MANY], 'any', WORKS, 'OpenSSL providers; legacy allows 64-bit block ciphers.', {
    default: 'default',
  }),
  row('engine', '[name]', [0, 1], 'general', noEffect('OpenSSL engines are not used'), 'OpenSSL engine.', {
    deprecated: { since: '2.7', instead: 'Leave it out.' },
  }),
  row('secret', 'file [direction]', [1, 2], 'general', STATIC_KEY, 'Static key without TLS.', {
    ...INLINE,
    deprecated: { since: '2.6', instead: 'Write tls-client or tls-server with peer-fingerprint.' },
  }),
  row('allow-deprecated-insecure-static-crypto', '', [0, MANY], 'general', STATIC_KEY, 'Permit static-key mode.'),
  row('disable-occ', '', 0, 'general', WORKS, 'Do not compare options with the peer.', {
    deprecated: { since: '2.6', instead: 'Leave it out: a difference that matters is told, and stops nothing.' },
  }),
  row('compat-mode', 'version', [1, 2], 'general', WORKS, 'Choose defaults that fit a peer of this version.'),

  row('tls-client', '', 0, 'general', WORKS, 'Use TLS, as its client.', { side: 'client' }),
  row('tls-server', '', 0, 'general', WORKS, 'Use TLS, as its server.', { side: 'server' }),
  row('ca', 'file', 1, 'general', WORKS, 'Certificates of the authorities that may vouch for the peer.', INLINE),
  row('capath', 'dir', 1, 'general', WORKS, 'Directory of authority certificates, named by hash.'),
  row('cert', 'file', 1, 'general', WORKS, 'Own certificate.', INLINE),
  row('key', 'file', 1, 'general', WORKS, 'Own private key.', INLINE),
  row('pkcs12', 'file', 1, 'general', WORKS, 'Own certificate, key and authorities in one file.', INLINE),
  row('extra-certs', 'file', 1, 'general', WORKS, 'More certificates to send with the own one.', INLINE),
  row('dh', 'file|none', 1, 'general', WORKS, 'Diffie-Hellman parameters of a TLS server.', {
    side: 'server',
    ...INLINE,
  }),
  row('askpass', '[file]', [0, 1], 'general', WORKS, 'Ask for the passphrase of the key, or read it from a file.'),
  row(
    'crl-verify',
    'file|dir ["dir"]',
    [1, 2],
    'general',
    WORKS,
    'Refuse certificates on this revocation list.',
    INLINE,
  ),
  row('remote-cert-tls', 'client|server', 1, 'general', WORKS, 'The peer must have a certificate for this role.'),
  row(
    'remote-cert-ku',
    '[hex…]',
    [0, MANY],
    'general',
    WORKS,
    "The peer's certificate must have one of these key usages.",
  ),
  row('remote-cert-eku', 'oid', 1, 'general', WORKS, "The peer's certificate must have this extended key usage."),
  row('ns-cert-type', 'client|server', 1, 'general', WORKS, 'The peer must have a certificate of this Netscape type.', {
    deprecated: { since: '2.4', instead: 'Write remote-cert-tls.' },
  }),
  row(
    'verify-x509-name',
    'name [subject|name|name-prefix]',
    [1, 2],
    'general',
    WORKS,
    "The peer's certificate must bear this name.",
  ),
  row(
    'peer-fingerprint',
    'fingerprint…',
    1,
    'general',
    WORKS,
    "SHA-256 fingerprints of the peer's certificate.",
    INLINE,
  ),
  row(
    'verify-hash',
    'hash [SHA1|SHA256]',
    [1, 2],
    'general',
    WORKS,
    "Hash of the certificate that issued the peer's.",
    {
      ...INLINE,
      deprecated: { since: '2.6', instead: 'Write peer-fingerprint, or the issuer as ca.' },
    },
  ),
  row('tls-version-min', 'version ["or-highest"]', [1, 2], 'general', WORKS, 'Lowest TLS version.', { default: '1.2' }),
  row('tls-version-max', 'version', 1, 'general', WORKS, 'Highest TLS version.'),
  row('tls-cipher', 'list', 1, 'general', WORKS, 'TLS 1.2 cipher suites.'),
  row('tls-ciphersuites', 'list', 1, 'general', WORKS, 'TLS 1.3 cipher suites.'),
  row('tls-groups', 'list', 1, 'general', WORKS, 'Groups for the key exchange.'),
  row('ecdh-curve', 'name', 1, 'general', noEffect('the group is negotiated'), 'Curve of a TLS server.', {
    side: 'server',
    deprecated: { since: '2.6', instead: 'Write tls-groups.' },
  }),
  row('tls-cert-profile', 'insecure|legacy|preferred|suiteb', 1, 'general', WORKS, 'How strong certificates must be.', {
    default: 'legacy',
  }),
  row('tls-timeout', 'seconds', 1, 'tls-parms', WORKS, 'First wait before a control packet is sent again.', {
    default: '2',
  }),
  row('hand-window', 'seconds', 1, 'tls-parms', WORKS, 'Time within which a key exchange must finish.', {
    default: '60',
  }),
  row('tran-window', 'seconds', 1, 'tls-parms', WORKS, 'How long an old key is still taken.', { default: '3600' }),
  row('reneg-sec', 'max [min]', [1, 2], 'tls-parms', WORKS, 'Renegotiate keys after this time; 0 for never.', {
    default: '3600',
  }),
  row('reneg-bytes', 'n', 1, 'tls-parms', WORKS, 'Renegotiate keys after this many bytes.'),
  row('reneg-pkts', 'n', 1, 'tls-parms', WORKS, 'Renegotiate keys after this many packets.'),
  row('tls-exit', '', 0, 'general', WORKS, 'Exit when the TLS handshake fails.'),
  row(
    'single-session',
    '',
    0,
    'general',
    silently('a session is never displaced before another one has authenticated'),
    'Take no second session from the peer.',
  ),
  row('tls-auth', 'file [direction]', [1, 2], 'general', WORKS, 'Sign control packets with this key.', {
    contexts: ['inline', 'connection'],
  }),
  row('key-direction', '0|1', 1, 'general', WORKS, 'Which half of an inline tls-auth key is ours.', {
    contexts: ['connection'],
    default: 'both halves the same',
  }),
  row('tls-crypt', 'file', [1, 2], 'general', WORKS, 'Encrypt control packets with this key.', {
    contexts: ['inline', 'connection'],
  }),
  row(
    'tls-crypt-v2',
    'file [force-cookie|allow-noncookie]',
    [1, 2],
    'general',
    WORKS,
    'Encrypt control packets with a key of this client.',
    {
      contexts: ['inline', 'connection'],
    },
  ),
  row('x509-track', '[+]attribute', 1, 'general', WORKS, "Give this field of the peer's certificate to scripts."),
  row('pkcs11-providers', 'library…', [1, MANY], 'general', PKCS11, 'PKCS#11 libraries.'),
  row('pkcs11-id', 'name', 1, 'general', PKCS11, 'Object on the token.'),
  row('pkcs11-id-management', '', 0, 'general', PKCS11, 'Ask for the object by the management interface.'),
  row('pkcs11-protected-authentication', '[0|1…]', [0, MANY], 'general', PKCS11, 'Enter the PIN on the token.'),
  row('pkcs11-private-mode', 'hex…', [1, MANY], 'general', PKCS11, 'How the token signs.'),
  row('pkcs11-cert-private', '[0|1…]', [0, MANY], 'general', PKCS11, 'Log in before certificates are read.'),
  row('pkcs11-pin-cache', 'seconds', 1, 'general', PKCS11, 'How long a PIN is kept.'),
  row('show-pkcs11-ids', '[provider] [cert_private]', [0, 2], 'general', PKCS11, 'List objects on the token.'),
];

// TLS options: certificates, what is demanded of the peer's, renegotiation.

import { sourceOf } from './build-connection.ts';
import { certificateField } from './certificate-fields.ts';
import type { TlsOptions } from './config.ts';
import type { Draft, Reader, Readers } from './draft.ts';
import type { Say } from './findings.ts';
import { fingerprintOf, nonNegative, nonNegativeLong, shown } from './values.ts';

export type TlsDraft = Draft<TlsOptions>;

/** TLS options before any line was read. */
export const emptyTls = (): TlsDraft => ({
  role: undefined,
  ca: undefined,
  caPath: undefined,
  cert: undefined,
  key: undefined,
  pkcs12: undefined,
  extraCerts: undefined,
  dh: undefined,
  crlVerify: undefined,
  peerFingerprints: [],
  verifyHash: undefined,
  versionMin: undefined,
  versionMinOrHighest: false,
  versionMax: undefined,
  cipherList: undefined,
  cipherSuites: undefined,
  groups: undefined,
  certProfile: undefined,
  remoteCertKu: undefined,
  remoteCertEku: undefined,
  nsCertType: undefined,
  verifyX509Name: undefined,
  tracked: [],
  timeoutSeconds: 2,
  handWindowSeconds: 60,
  tranWindowSeconds: 3600,
  renegSeconds: 3600,
  renegSecondsMin: undefined,
  renegBytes: undefined,
  renegPackets: 0,
  exit: false,
  keyMaxAgeDays: undefined,
  askpass: undefined,
});

/** What `remote-cert-tls` demands, by role of the peer; the names are OpenSSL's. */
const EXTENDED_KEY_USAGE = {
  server: 'TLS Web Server Authentication',
  client: 'TLS Web Client Authentication',
} as const;

const source =
  (name: 'ca' | 'caPath' | 'cert' | 'key' | 'pkcs12' | 'extraCerts' | 'dh'): Reader<TlsDraft> =>
  (draft, _args, _say, line) => {
    draft[name] = sourceOf(line);
  };

const text =
  (name: 'cipherList' | 'cipherSuites' | 'groups' | 'remoteCertEku'): Reader<TlsDraft> =>
  (draft, [value = '']) => {
    draft[name] = value;
  };

const seconds =
  (name: 'timeoutSeconds' | 'handWindowSeconds' | 'tranWindowSeconds'): Reader<TlsDraft> =>
  (draft, [value = ''], say) => {
    draft[name] = nonNegative(value, say);
  };

const role =
  (name: 'client' | 'server'): Reader<TlsDraft> =>
  (draft, _args, say) => {
    if (draft.role !== undefined && draft.role !== name) {
      say.error('specify only one of --tls-server, --tls-client, or --secret', 'Keep the one that fits this side.');
    }
    draft.role = name;
  };

export const TLS_READERS: Readers<TlsDraft> = {
  'tls-client': role('client'),
  'tls-server': role('server'),
  ca: source('ca'),
  capath: source('caPath'),
  cert: source('cert'),
  key: source('key'),
  pkcs12: source('pkcs12'),
  'extra-certs': source('extraCerts'),
  dh: source('dh'),
  askpass: (draft, [file]) => {
    draft.askpass = { file: file === 'stdin' ? undefined : file };
  },
  'crl-verify': (draft, [, directory], say, line) => {
    if (directory !== undefined && directory !== 'dir') {
      say.error(
        `crl-verify: unknown parameter '${shown(directory)}'`,
        'Write crl-verify DIRECTORY dir, or only the file.',
      );
    } else draft.crlVerify = { source: sourceOf(line), directory: directory === 'dir' };
  },
  'remote-cert-tls': (draft, [kind = ''], say) => {
    if (kind !== 'server' && kind !== 'client') {
      say.error("--remote-cert-tls must be 'client' or 'server'");
      return;
    }
    draft.remoteCertKu = 'required';
    draft.remoteCertEku = EXTENDED_KEY_USAGE[kind];
  },
  'remote-cert-ku': (draft, args, say) => {
    if (args.length === 0) {
      draft.remoteCertKu = 'required';
      return;
    }
    const usages = args.map((each) =>
      /^(0[xX])?[0-9A-Fa-f]{1,4}$/.test(each) ? Number.parseInt(each, 16) : undefined,
    );
    const bad = args[usages.indexOf(undefined)];
    if (bad !== undefined) say.error(`remote-cert-ku: '${shown(bad)}' is not a hexadecimal number`);
    else draft.remoteCertKu = usages.filter((each) => each !== undefined);
  },
  'remote-cert-eku': text('remoteCertEku'),
  'ns-cert-type': (draft, [kind = ''], say) => {
    if (kind === 'server' || kind === 'client') draft.nsCertType = kind;
    else say.error("--ns-cert-type must be 'client' or 'server'");
  },
  'verify-x509-name': (draft, [name = '', type = 'subject'], say) => {
    if (name === '') say.error('verify-x509-name needs a name');
    else if (type === 'subject' || type === 'name' || type === 'name-prefix') draft.verifyX509Name = { name, type };
    else say.error(`unknown X.509 name type: ${shown(type)}`, 'Write subject, name or name-prefix.');
  },
  'x509-track': (draft, [written = ''], say) => {
    const wholeChain = written.startsWith('+');
    const name = wholeChain ? written.slice(1) : written;
    const field = certificateField(name);
    if (field === undefined) {
      say.error(
        `x509_track: no such attribute '${shown(name)}'`,
        'Write a field of the subject (CN, OU, emailAddress …), an extension (subjectAltName, keyUsage …), SHA1 or SHA256.',
      );
    } else if (field.kind === 'unwritten') {
      say.warn(`x509-track: '${shown(name)}' is not given to scripts`, 'Have the script read it from tls-export-cert.');
    } else draft.tracked.push({ name, wholeChain });
  },
  'peer-fingerprint': (draft, [first = ''], say, line) => {
    const hashes = fingerprints(line.inline ?? first, 32, say);
    if (draft.verifyHash !== undefined) exclusive('peer-fingerprint', say);
    else draft.peerFingerprints.push(...hashes);
  },
  'verify-hash': (draft, [first = '', digest], say, line) => {
    if (digest !== undefined && digest !== 'SHA1' && digest !== 'SHA256') {
      say.error(
        `invalid or unsupported hashing algorithm: ${shown(digest)} (only SHA1 and SHA256 are supported)`,
        'Write SHA256.',
      );
      return;
    }
    const name = digest ?? (line.inline === undefined ? 'SHA1' : 'SHA256');
    const hashes = fingerprints(line.inline ?? first, name === 'SHA1' ? 20 : 32, say);
    if (draft.peerFingerprints.length > 0) exclusive('verify-hash', say);
    else if (draft.verifyHash?.digest !== undefined && draft.verifyHash.digest !== name) {
      say.error('verify-hash lines must all use the same digest');
    } else draft.verifyHash = { digest: name, hashes: [...(draft.verifyHash?.hashes ?? []), ...hashes] };
  },
  'tls-version-min': (draft, [version = '', orHighest], say) => {
    const known = tlsVersion(version);
    if (known === undefined && orHighest !== 'or-highest') {
      say.error(`unknown tls-version-min parameter: ${shown(version)}`, 'Write 1.2 or 1.3.');
      return;
    }
    // An unknown, that is newer, version with or-highest stands for the newest that both sides have.
    draft.versionMin = known ?? '1.3';
    draft.versionMinOrHighest = orHighest === 'or-highest';
  },
  'tls-version-max': (draft, [version = ''], say) => {
    const known = tlsVersion(version);
    if (known === undefined) say.error(`unknown tls-version-max parameter: ${shown(version)}`, 'Write 1.2 or 1.3.');
    else draft.versionMax = known;
  },
  'tls-cipher': text('cipherList'),
  'tls-ciphersuites': text('cipherSuites'),
  'tls-groups': text('groups'),
  'tls-cert-profile': (draft, [profile = ''], say) => {
    if (profile === 'insecure' || profile === 'legacy' || profile === 'preferred' || profile === 'suiteb') {
      draft.certProfile = profile;
    } else say.error(`Invalid cert profile: ${shown(profile)}`, 'Write insecure, legacy, preferred or suiteb.');
  },
  'tls-timeout': seconds('timeoutSeconds'),
  'hand-window': seconds('handWindowSeconds'),
  'tran-window': seconds('tranWindowSeconds'),
  'reneg-sec': (draft, [max = '', min], say) => {
    draft.renegSeconds = nonNegative(max, say);
    if (min !== undefined) draft.renegSecondsMin = nonNegative(min, say);
  },
  'reneg-bytes': (draft, [bytes = ''], say) => {
    draft.renegBytes = nonNegativeLong(bytes, 'reneg-bytes', say);
  },
  'reneg-pkts': (draft, [packets = ''], say) => {
    draft.renegPackets = nonNegativeLong(packets, 'reneg-pkts', say) ?? 0;
  },
  'tls-exit': (draft) => {
    draft.exit = true;
  },
};

const tlsVersion = (text: string): '1.0' | '1.1' | '1.2' | '1.3' | undefined =>
  text === '1.0' || text === '1.1' || text === '1.2' || text === '1.3' ? text : undefined;

const exclusive = (option: string, say: Say): void =>
  say.error(
    `ERROR: Setting ${option} not allowed. --verify-hash and --peer-fingerprint are mutually exclusive`,
    'Keep peer-fingerprint.',
  );

// One fingerprint a line; empty lines and comments are passed over.
const fingerprints = (lines: string, length: number, say: Say): Uint8Array[] => {
  const found: Uint8Array[] = [];
  let empty = true;
  for (const each of lines.split('\n')) {
    const line = each.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    empty = false;
    const hash = fingerprintOf(line, length);
    if (hash === undefined) {
      say.error(
        `format error in hash fingerprint: ${shown(line)}`,
        `Write ${length} bytes as two hexadecimal digits each with colons between.`,
      );
    } else found.push(hash);
  }
  if (empty) say.error('no fingerprint in the line or block');
  return found;
};

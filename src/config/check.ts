// `sallyport check` without its files: everything the parser says about a profile, and what is dangerous in it although
// the parser takes it.

import type { Config, ConfigLine, Finding } from './config.ts';
import type { Findings } from './findings.ts';
import { OPTIONS } from './option-table.ts';
import { type ConfigHost, type ConfigInput, inspectConfig } from './parse.ts';

export interface CheckedProfile {
  /** In the order of the lines. */
  readonly findings: readonly Finding[];
  /** What could be made of the profile, for looking at the files that it names; not for connecting if there are errors. */
  readonly config: Config;
}

/** Parses a profile and looks at it line by line. Never throws for what is written in it. */
export function checkProfile(input: ConfigInput, host: ConfigHost): CheckedProfile {
  const { config, findings } = inspectConfig(input, host);
  for (const line of config.lines) {
    for (const rule of LINE_RULES) {
      if (rule.option === line.option && rule.when(line, config)) {
        findings.add(rule.severity ?? 'warning', 'unsafe', line.origin, line.option, rule.why, rule.instead);
      }
    }
    const unsafe = OPTIONS.get(line.option)?.unsafe;
    if (unsafe !== undefined) findings.add('warning', 'unsafe', line.origin, line.option, unsafe.why, unsafe.instead);
  }
  lookAtTheWhole(config, findings);
  return { findings: inLineOrder(findings.all), config };
}

interface LineRule {
  readonly option: string;
  readonly when: (line: ConfigLine, config: Config) => boolean;
  readonly why: string;
  readonly instead: string;
  readonly severity?: 'warning' | 'notice';
}

const first = (line: ConfigLine): string => line.words[0] ?? '';

const SHORT_BLOCK = /^(BF|CAST5|DES|RC2|IDEA)/i;

const LINE_RULES: readonly LineRule[] = [
  {
    option: 'auth',
    when: (line) => first(line) === 'none',
    why: 'Packets of CBC ciphers are not authenticated: whoever is on the way can change them unseen.',
    instead: 'Write auth SHA256, on both sides.',
  },
  {
    option: 'auth',
    when: (line) => /^(MD4|MD5)$/i.test(first(line)),
    why: 'MD4 and MD5 are broken digests.',
    instead: 'Write auth SHA256, on both sides.',
  },
  {
    option: 'cipher',
    when: (line) => SHORT_BLOCK.test(first(line)),
    why: '64-bit blocks give plaintext away after some gigabytes (SWEET32).',
    instead: 'Remove the line, and have the other end use AES-256-GCM.',
  },
  {
    option: 'cipher',
    when: (line) => first(line) === 'none',
    why: 'Everything in the tunnel would travel in clear text.',
    instead: 'Remove the line.',
  },
  {
    option: 'data-ciphers-fallback',
    when: (line) => first(line) === 'none' || SHORT_BLOCK.test(first(line)),
    why: 'A peer that does not negotiate gets no protection worth the name.',
    instead: 'Write data-ciphers-fallback AES-256-CBC, or remove the line.',
  },
  {
    option: 'providers',
    when: (line) => line.words.includes('legacy'),
    why: 'The legacy provider brings ciphers back that were retired for being weak.',
    instead: 'Remove the line once no peer needs BF-CBC or the like.',
  },
  {
    option: 'tls-version-min',
    when: (line) => first(line) === '1.0' || first(line) === '1.1',
    why: `TLS 1.0 and 1.1 have known weaknesses.`,
    instead: 'Write tls-version-min 1.2.',
  },
  {
    option: 'tls-version-max',
    when: (line) => first(line) !== '1.3',
    why: 'A better version of TLS is ruled out.',
    instead: 'Remove the line.',
    severity: 'notice',
  },
  {
    option: 'tls-cipher',
    when: (line) => /SECLEVEL=0|(^|[:+-])(NULL|EXP|RC4|MD5|aNULL|eNULL|DES)([:+-]|$)/i.test(first(line)),
    why: 'The list names cipher suites without protection worth the name.',
    instead: 'Remove the line: the defaults are good.',
  },
  {
    option: 'tls-cert-profile',
    when: (line) => first(line) === 'insecure',
    why: 'Certificates with MD5 signatures and short keys are taken, which can be forged.',
    instead: 'Have the certificates renewed, and write tls-cert-profile legacy.',
  },
  {
    option: 'script-security',
    when: (line) => first(line) === '3',
    why: 'Passwords are handed to scripts in their environment.',
    instead: 'Write script-security 2.',
  },
  {
    option: 'auth-user-pass',
    when: (line) => line.inline !== undefined,
    why: 'The password stands in the profile in clear text: whoever gets the file can log in.',
    instead: 'Write auth-user-pass alone to be asked, or name a file that only you can read.',
  },
  {
    option: 'allow-compression',
    when: (line) => first(line) === 'yes' || first(line) === 'asym',
    why: 'Compressed traffic gives away what is in it to whoever can watch its size (VORACLE).',
    instead: 'Remove the line once no peer compresses.',
  },
  {
    option: 'comp-lzo',
    when: (line) => first(line) !== 'no',
    why: 'Compression for receiving enabled. Compression has been used in the past to break encryption.',
    instead: 'Remove it on both sides.',
  },
  {
    option: 'compress',
    when: (line) => /^lz/.test(first(line)),
    why: 'Compression for receiving enabled. Compression has been used in the past to break encryption.',
    instead: 'Remove it on both sides.',
  },
  {
    option: 'reneg-sec',
    when: (line) => first(line) === '0',
    why: 'This side never renews the keys of a session.',
    instead: 'Remove the line, unless the login would be asked for again each time.',
    severity: 'notice',
  },
  {
    option: 'duplicate-cn',
    when: () => true,
    why: 'Many clients may share one certificate: it cannot be told who is connected, and to lock one out is to lock out all.',
    instead: 'Give each client a certificate of its own and remove the line.',
    severity: 'notice',
  },
  {
    option: 'metrics',
    when: (line) => first(line).includes(':') && !/^(127\.|localhost:|\[::1\])/.test(first(line)),
    why: 'The counters are served without a password to whoever can reach the address.',
    instead: 'Write the port alone, or keep others away with a firewall.',
  },
  {
    option: 'management',
    when: (line) => line.words[1] !== 'unix' && line.words[2] === undefined,
    why: 'Using --management on a TCP port WITHOUT passwords is STRONGLY discouraged and considered insecure',
    instead: 'Use a unix socket, or name a password file.',
  },
  {
    option: 'tls-auth',
    when: (line, config) =>
      line.words[1] === undefined && !config.lines.some((each) => each.option === 'key-direction'),
    why: 'Without a direction both sides sign with the same key, so that packets can be sent back to their sender.',
    instead: 'Write key-direction 1 on the client, if the server has 0.',
    severity: 'notice',
  },
];

// What no single line is to blame for.
function lookAtTheWhole(config: Config, findings: Findings): void {
  const line = (...options: readonly string[]): ConfigLine | undefined =>
    config.lines.find((each) => options.includes(each.option));
  const { tls } = config;
  const checksRole =
    tls.remoteCertEku !== undefined ||
    tls.verifyX509Name !== undefined ||
    tls.nsCertType !== undefined ||
    tls.peerFingerprints.length > 0 ||
    tls.verifyHash !== undefined ||
    config.scripts.tlsVerify !== undefined;
  const client = line('client', 'tls-client');
  if (client !== undefined && !checksRole) {
    findings.add(
      'warning',
      'unsafe',
      client.origin,
      client.option,
      'No server certificate verification method has been enabled: every holder of a certificate of the same authority, other clients included, can pose as the server.',
      'Write remote-cert-tls server.',
    );
  }
  const drop = line('user', 'group', 'chroot');
  if (drop !== undefined && !config.process.persistTun) {
    findings.add(
      'warning',
      'invalid',
      drop.origin,
      drop.option,
      `you are using user/group/chroot without persist-tun -- this may cause restarts to fail`,
      'Write persist-tun.',
    );
  }
  const redirect = line('redirect-gateway');
  if (redirect !== undefined && config.onlyItsNetworks) {
    findings.add(
      'warning',
      'ignored',
      redirect.origin,
      redirect.option,
      'only-its-networks stands in the profile, too: the default route stays as it is.',
      'Remove the one that is not meant.',
    );
  }
  const leak = line('block-ipv6-leak');
  if (leak !== undefined && config.blockIpv6Leak && config.routeNoexec) {
    findings.add(
      'warning',
      'ignored',
      leak.origin,
      leak.option,
      'Under route-noexec routes are set by others, and so is what would block IPv6.',
      'Remove it, or route-noexec.',
    );
  }
  const login = line('auth-user-pass');
  if (login !== undefined && !config.authNocache && login.inline === undefined) {
    findings.add(
      'notice',
      'unsafe',
      login.origin,
      login.option,
      'this configuration may cache passwords in memory',
      'Write auth-nocache, if the server gives tokens or you do not mind being asked again.',
    );
  }
}

/** By file in the order of appearance, then by line; what was said about one line keeps its order. */
export function inLineOrder(findings: readonly Finding[]): readonly Finding[] {
  const files = [...new Set(findings.map((each) => each.origin.file))];
  return [...findings].sort(
    (a, b) => files.indexOf(a.origin.file) - files.indexOf(b.origin.file) || a.origin.line - b.origin.line,
  );
}

// `sallyport server init`: a server configuration for the host at hand. The authority and the server's certificate are made
// where they are missing; a configuration that is there is never overwritten unasked.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatAddress, lengthToNetmask, parsePrefix } from '../../src/pki.ts';
import { createAuthority, DEFAULT_CA_DAYS, DEFAULT_DAYS, liveEntries, unlockAuthority } from './authority.ts';
import { readCertificate } from './certificates.ts';
import {
  makeAuthorityFolder,
  makeFolders,
  openAuthority,
  type PkiFolder,
  PUBLIC,
  pkiFolder,
  readIndex,
  whileLocked,
  writeAtomically,
} from './folder.ts';
import { chooseNetwork, clashing, type HostFacts, isPortTaken, isPublic } from './host-facts.ts';
import type { PkiIo } from './io.ts';
import { finishInterrupted, issueServerCertificate, quoted, serverLines, tunnelServerKey } from './issue.ts';
import type { KeyKind } from './keys.ts';
import { checkName } from './names.ts';
import { clean, refuse } from './refuse.ts';
import { serverConfigText } from './server-config.ts';
import {
  changeSettings,
  DEFAULT_PORT,
  type Protocol,
  publishRevocationList,
  type Remote,
  readSettings,
} from './settings.ts';

export interface ServerInitOptions {
  /** Folder of server.conf. */
  readonly out: string;
  /** Folder of the authority. */
  readonly pki: string;
  readonly name: string;
  readonly remote: Remote | undefined;
  readonly port: number | undefined;
  readonly protocol: Protocol | undefined;
  readonly network: string | undefined;
  readonly keepRoot: boolean;
  readonly kind: KeyKind | undefined;
  readonly force: boolean;
  readonly passFile: string | undefined;
}

const MIN_NETWORK_BITS = 16;
const MAX_NETWORK_BITS = 29;

/** Writes server.conf and what it names, and says what to do next. */
export async function initServer(options: ServerInitOptions, host: HostFacts, io: PkiIo): Promise<void> {
  const config = resolve(options.out, 'server.conf');
  if (existsSync(config) && !options.force) {
    refuse(`${clean(config)} is there already`, 'Use --force to overwrite it, or --out FOLDER for another place.');
  }
  const name = checkName(options.name);
  const network = networkFor(options.network, host);
  mkdirSync(options.out, { recursive: true, mode: 0o755 });
  const folder = await authorityWith(options, name, io);
  const settings = readSettings(folder);
  const protocol = options.protocol ?? settings.protocol ?? 'udp';
  const remote = options.remote ?? settings.remote;
  const port = options.port ?? settings.port ?? remote?.port ?? DEFAULT_PORT;
  const crl = resolve(options.out, 'crl.pem');
  await whileLocked(folder, async () => {
    changeSettings(folder, { port, protocol, ...(remote === undefined ? {} : { remote }) });
    const copies = settings.crlCopies ?? [];
    if (crl !== folder.path('crl.pem') && !copies.includes(crl))
      changeSettings(folder, { crlCopies: [...copies, crl] });
    publishRevocationList(
      folder,
      folder.read('crl.pem') ?? refuse(`${folder.path('crl.pem')} is not there`, 'Make it: sallyport pki crl'),
    );
  });
  const text = serverConfigText({
    ...network,
    port,
    protocol,
    serverName: name,
    files: serverLines(folder, name).filter((line) => !line.startsWith('crl-verify ')),
    crlVerify: `crl-verify ${quoted(crl)}`,
    user: options.keepRoot ? undefined : 'nobody',
    host,
    uniqueLocal: uniqueLocal(randomBytes(5)),
  });
  writeAtomically(config, text, PUBLIC);
  io.write(`server configuration: ${clean(config)}\n  tunnel network ${network.prefix}, ${protocol} port ${port}\n`);
  await notes(options, { crl, port, protocol }, io);
  io.write(nextCommands(folder, config, remote, host));
}

function networkFor(text: string | undefined, host: HostFacts): { network: string; netmask: string; prefix: string } {
  const chosen = text ?? chooseNetwork(host.networks);
  if (chosen === undefined)
    return refuse('every private network is in use on this host', 'Name one: --network 10.99.0.0/24.');
  const prefix = parsePrefix(chosen);
  const form = 'Write --network 10.8.0.0/24, with 16 to 29 bits.';
  if (prefix === undefined || !chosen.includes('/') || prefix.address.length !== 4) {
    return refuse(`--network: '${clean(chosen)}' is not an IPv4 network`, form);
  }
  if (prefix.length < MIN_NETWORK_BITS || prefix.length > MAX_NETWORK_BITS) {
    return refuse(`--network: ${clean(chosen)} is too ${prefix.length < MIN_NETWORK_BITS ? 'large' : 'small'}`, form);
  }
  const network = formatAddress(prefix.address);
  const clash = clashing(`${network}/${prefix.length}`, host.networks);
  if (clash !== undefined) {
    return refuse(
      `--network: ${clean(chosen)} clashes with ${clash}, which this host has`,
      'Leave --network out to have a free one chosen.',
    );
  }
  return { network, netmask: formatAddress(lengthToNetmask(prefix.length, 4)), prefix: `${network}/${prefix.length}` };
}

async function authorityWith(options: ServerInitOptions, name: string, io: PkiIo): Promise<PkiFolder> {
  const { pki, passFile } = options;
  const folder = pkiFolder(pki);
  if (!folder.has('ca.crt')) makeAuthorityFolder(folder);
  await whileLocked(folder, async () => {
    const issue = { directory: pki, name, days: DEFAULT_DAYS, kind: options.kind, alternativeNames: [], passFile };
    if (!folder.has('ca.crt')) {
      const kind: KeyKind = options.kind ?? { kind: 'ec' };
      const made = {
        name: 'Sallyport CA',
        kind,
        days: DEFAULT_CA_DAYS,
        crlDays: DEFAULT_DAYS,
        askPass: false,
        passFile,
      };
      const authority = await createAuthority(folder, made, io);
      io.write(`authority: ${clean(pki)}\n`);
      await issueServerCertificate(authority, issue, io);
      return;
    }
    openAuthority(pki);
    makeFolders(folder);
    finishInterrupted(folder, name);
    const facts = readCertificate(folder.read('issued', `${name}.crt`) ?? '');
    if (facts === undefined) await issueServerCertificate(await unlockAuthority(folder, passFile, io), issue, io);
    else if (!facts.isServer || liveEntries(readIndex(folder), name).length === 0) {
      refuse(`${name} is not a good server's certificate in ${clean(pki)}`, 'Choose another --name.');
    }
    tunnelServerKey(folder);
  });
  return folder;
}

async function notes(
  options: ServerInitOptions,
  { crl, port, protocol }: { crl: string; port: number; protocol: Protocol },
  io: PkiIo,
): Promise<void> {
  if (await isPortTaken(port, protocol)) {
    io.complain(
      `note: something listens on ${protocol} port ${port} of this host already; change \`port\`, or stop that\n`,
    );
  }
  if (options.keepRoot) return;
  for (let folder = resolve(crl, '..'); ; folder = resolve(folder, '..')) {
    if ((statSync(folder).mode & 0o001) === 0) {
      io.complain(
        `note: ${clean(folder)} is closed to others, so a server that has become \`nobody\` can't reread ${clean(crl)}:\n` +
          '      revocations would need a restart. Use --out with a folder such as /etc/openvpn/server, or --keep-root.\n',
      );
      return;
    }
    if (folder === '/') return;
  }
}

function nextCommands(folder: PkiFolder, config: string, remote: Remote | undefined, host: HostFacts): string {
  const guess = host.addresses.find(({ address }) => isPublic(address))?.address ?? 'HOST';
  const where = remote === undefined ? ` --remote ${guess}` : '';
  const lines = [
    'next:',
    `  sudo sallyport --config ${quoted(config)}        # run it (openvpn --config takes the same file)`,
    `  sallyport pki client alice --dir ${quoted(folder.path())}${where}        # a client, with its profile`,
    ...(host.isForwarding
      ? []
      : ['  sudo sysctl -w net.ipv4.ip_forward=1        # if clients shall reach more than this host']),
  ];
  const unsure = where.includes(' HOST') ? '  (HOST: the name or address by which clients reach this host)\n' : '';
  return `${lines.join('\n')}\n${unsure}`;
}

/** `fd12:3456:789a` of five random bytes (RFC 4193). */
export function uniqueLocal(random: Uint8Array): string {
  const hex = Buffer.from(random).toString('hex');
  return `fd${hex.slice(0, 2)}:${hex.slice(2, 6)}:${hex.slice(6, 10)}`;
}

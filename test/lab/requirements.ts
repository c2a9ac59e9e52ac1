// What the interop suite needs of the machine, who the client under test is, and where the peers are.

import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'vitest';

/** The real servers; `2.6-deaf` and `2.5` derive keys by PRF (scripts/peers.sh says what each is). */
export type PeerVersion = '2.5' | '2.6' | '2.6-deaf' | '2.7';

export const projectRoot = fileURLToPath(new URL('../..', import.meta.url));

const peersDir =
  process.env.SALLYPORT_PEERS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'sallyport/peers');

/** The command of a real openvpn. */
export function peerProgram(version: PeerVersion): string {
  return version === '2.6' ? 'openvpn' : join(peersDir, `openvpn-${version}`);
}

/** OpenVPN 2.7's own test scripts and sample keys (`tests/`, `sample/`, `VERSION`); may be missing where the mirror has no source of it. */
export const upstreamDirectory = join(peersDir, '2.7-source');

/** NetworkManager with its OpenVPN plugin, unpacked (scripts/peers.sh). */
export const networkManagerDirectory = join(peersDir, 'network-manager');

/** Real resolvers, unpacked (scripts/peers.sh); may be missing. */
export const resolversDirectory = join(peersDir, 'resolvers');

/** Sallyport's command: of this checkout, or of an installed package that SALLYPORT_BIN names. */
const sallyportBin = process.env.SALLYPORT_BIN ?? join(projectRoot, 'bin/sallyport.js');

/** A program at one end of a connection: ours, or a real one (`openvpn` is 2.6). */
export type Program = 'sallyport' | 'openvpn' | 'openvpn-2.7';

/** Which client the suite runs: `sallyport` (default), `openvpn` or `openvpn-2.7` to prove the suite itself. */
export type ClientKind = Program | 'openvpn-2.5';

export const clientUnderTest = program('SALLYPORT_CLIENT');

export const isOurs = clientUnderTest === 'sallyport';

/** Whether a program has the epoch format of 2.7. */
export const hasEpochs = (kind: ClientKind): boolean => kind === 'sallyport' || kind === 'openvpn-2.7';

/** Which server the suite of the server runs, likewise. */
export const serverUnderTest = program('SALLYPORT_SERVER');

export const isOurServer = serverUnderTest === 'sallyport';

/** The command line prefix of a client. */
export function clientCommand(kind: ClientKind = clientUnderTest): readonly string[] {
  switch (kind) {
    case 'sallyport':
      return [process.execPath, sallyportBin];
    case 'openvpn':
      return ['openvpn'];
    case 'openvpn-2.7':
      return [peerProgram('2.7')];
    case 'openvpn-2.5':
      return [peerProgram('2.5')];
  }
}

/** Every client that can be tried on a server; 2.5 may be missing, ours where it has not been built. */
export const clientKinds: readonly ClientKind[] = (
  ['openvpn', 'openvpn-2.7', 'openvpn-2.5', 'sallyport'] as const
).filter((kind) => kind !== 'openvpn-2.5' || existsSync(peerProgram('2.5')));

/** The peers that are there; 2.5 may be missing where the mirror no longer has it. */
export const peerVersions: readonly PeerVersion[] = (['2.5', '2.6', '2.6-deaf', '2.7'] as const).filter(
  (version) => version === '2.6' || existsSync(peerProgram(version)),
);

/** Why the suite cannot run here; empty where it can. */
export const missing: readonly string[] = reasons();

/** `describe` for suites that need namespaces and peers; skipped where `missing` says why. */
export function labSuite(name: string, body: () => void): void {
  describe.skipIf(missing.length > 0)(name, body);
}

/** `it` for what only Sallyport does, or does better than the program it stands in for. */
export function itOurs(name: string, body: () => Promise<void>): void {
  it.skipIf(!isOurs)(name, body);
}

/** `it` for what only Sallyport's server does, or does better. */
export function itOurServer(name: string, body: () => Promise<void>): void {
  it.skipIf(!isOurServer)(name, body);
}

function program(variable: string): Program {
  const name = process.env[variable];
  switch (name) {
    case undefined:
    case '':
    case 'sallyport':
      return 'sallyport';
    case 'openvpn':
    case 'openvpn-2.7':
      return name;
    default:
      throw new Error(`${variable}=${name}: sallyport, openvpn or openvpn-2.7`);
  }
}

function reasons(): string[] {
  if (process.platform !== 'linux') return [`network namespaces need Linux, this is ${process.platform}`];
  const found: string[] = [];
  if (process.getuid?.() !== 0) found.push('network namespaces need root');
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    found.push('/dev/net/tun is not there, or not open to this user');
  }
  for (const program of ['ip', 'openvpn', 'openssl', 'ping', 'ps', 'iperf3', 'microsocks', 'tinyproxy', 'danted']) {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    } catch {
      found.push(`${program} is not installed`);
    }
  }
  for (const version of ['2.7', '2.6-deaf'] as const) {
    if (!existsSync(peerProgram(version))) found.push(`openvpn ${version} has not been fetched (scripts/peers.sh)`);
  }
  if ((isOurs || isOurServer) && !existsSync(join(dirname(sallyportBin), '../dist/bin/sallyport.js')))
    found.push('the command has not been built');
  return found;
}

// From text or command line to a `Config`, with everything that is to be said about it. The way through this room:
//
//   lexer → collect-lines (option table) → build-* readers into drafts → finish → verify → Config
//
// A configuration with an error in it gives no Config, only findings.

import { CONNECTION_READERS, directionOf, emptyConnection, readRemote, wrapOf } from './build-connection.ts';
import { emptyGeneral, GENERAL_READERS } from './build-general.ts';
import { emptyProcess, emptyScripts, PROCESS_READERS, SCRIPT_READERS } from './build-process.ts';
import { emptyServer, SERVER_READERS } from './build-server.ts';
import { emptyTls, TLS_READERS } from './build-tls.ts';
import { tunnelReaders } from './build-tunnel.ts';
import { type ConfigHost, type ConfigInput, collectLines } from './collect-lines.ts';
import type { Config, ConfigLine, Finding, KeyWrap } from './config.ts';
import { type ConnectionDraft, emptyTunnel, type Readers } from './draft.ts';
import { COMMAND_LINE, Findings, type Say, sayFor } from './findings.ts';
import { finishConfig } from './finish.ts';
import { isTool } from './tool-request.ts';
import { nonNegative } from './values.ts';

export type { ConfigHost, ConfigInput } from './collect-lines.ts';

export interface ParsedConfig {
  /** Undefined if there is an error among the findings. */
  readonly config: Config | undefined;
  /** In the order in which they were found: by line, then what concerns the whole. */
  readonly findings: readonly Finding[];
}

/** Reads a configuration. Never throws for what is written in it. */
export function parseConfig(input: ConfigInput, host: ConfigHost): ParsedConfig {
  const { config, findings } = inspectConfig(input, host);
  return { config: findings.hasErrors ? undefined : config, findings: findings.all };
}

/**
 * Reads a configuration for the sake of what there is to say about it. With errors among the findings the `Config` is
 * what could be made of the rest, and fit for nothing but being looked at.
 */
export function inspectConfig(input: ConfigInput, host: ConfigHost): { config: Config; findings: Findings } {
  const findings = new Findings();
  const lines = collectLines(input, host, findings);
  for (const { option, origin } of lines) {
    if (!isTool(option)) continue;
    const say = sayFor(findings, origin, option);
    say.error(
      `${option} prints something and ends, so it makes no tunnel`,
      `Give it on the command line: --${option}.`,
    );
  }
  const source = 'text' in input ? input.file : COMMAND_LINE;
  return { config: finish(lines, findings, source, host), findings };
}

/** A configuration of lines that were read before (`Config.lines`); `source` is blamed where no line is. */
export function configOfLines(
  lines: readonly ConfigLine[],
  source: string,
  host: Pick<ConfigHost, 'checksLogins'>,
): ParsedConfig {
  const findings = new Findings();
  const config = finish(lines, findings, source, host);
  return { config: findings.hasErrors ? undefined : config, findings: findings.all };
}

function finish(
  lines: readonly ConfigLine[],
  findings: Findings,
  source: string,
  host: Pick<ConfigHost, 'checksLogins'>,
): Config {
  // Where lines are missing, what else is missing says nothing.
  const complete = !findings.all.some((each) => each.severity === 'error' && each.kind !== 'not-yet');
  return finishConfig({
    drafts: readLines(lines, findings),
    lines,
    findings,
    complete,
    source,
    checksLogins: host.checksLogins === true,
  });
}

/** Everything that was read, before defaults and checks that need the whole. */
export type Drafts = ReturnType<typeof emptyDrafts>;

const emptyDrafts = () => ({
  general: emptyGeneral(),
  tunnel: emptyTunnel(),
  tls: emptyTls(),
  scripts: emptyScripts(),
  process: emptyProcess(),
  server: emptyServer(),
  /** What `remote` lines start from. */
  base: emptyConnection(),
  /** `<connection>` blocks. */
  blocks: [] as ConnectionDraft[],
  remotes: [] as ConfigLine[],
  wraps: [] as { readonly line: ConfigLine; readonly wrap: KeyWrap }[],
});

// Options whose value belongs to the profile's own place, not to what a server may lay over it.
const NOT_TUNNEL: readonly string[] = ['cipher', 'tun-mtu', 'explicit-exit-notify', 'verb', 'mute'];

function readLines(lines: readonly ConfigLine[], findings: Findings): Drafts {
  const drafts = emptyDrafts();
  const allowNames = lines.some((line) => line.option === 'allow-pull-fqdn');
  const tunnel = tunnelReaders({ pulled: false, allowNames });
  for (const line of lines) {
    const say = sayFor(findings, line.origin, line.option);
    if (line.connection === undefined) readProfileLine(drafts, tunnel, line, say);
    else {
      const block = drafts.blocks[line.connection];
      if (block !== undefined) readConnectionLine(block, line, say, drafts);
    }
  }
  return drafts;
}

function readProfileLine(drafts: Drafts, tunnel: ReturnType<typeof tunnelReaders>, line: ConfigLine, say: Say): void {
  const { option, words } = line;
  if (option === 'remote') {
    if (readRemote(emptyConnection(), line, say)) drafts.remotes.push(line);
    return;
  }
  if (option === 'genkey') {
    say.error('genkey makes a key and ends: it is no part of a configuration', 'Write it alone: --genkey secret FILE.');
    return;
  }
  if (option === 'connection') {
    if (line.inline === undefined) say.warn('connection without a block has no effect', 'Write <connection>.');
    else drafts.blocks.push({ ...drafts.base, origin: line.origin });
    return;
  }
  apply(SERVER_READERS, drafts.server, line, say);
  const wrap = wrapOf(line, say);
  if (wrap !== undefined) {
    if (wrap.direction !== undefined) drafts.general.keyDirection = wrap.direction;
    drafts.wraps.push({ line, wrap });
    return;
  }
  if (option === 'setenv' && words[0] === 'SERVER_POLL_TIMEOUT' && words[1] !== undefined) {
    drafts.base.connectTimeoutSeconds = nonNegative(words[1], say);
  }
  apply(CONNECTION_READERS, drafts.base, line, say);
  apply(GENERAL_READERS, drafts.general, line, say);
  apply(TLS_READERS, drafts.tls, line, say);
  apply(SCRIPT_READERS, drafts.scripts, line, say);
  apply(PROCESS_READERS, drafts.process, line, say);
  if (!NOT_TUNNEL.includes(option)) apply(tunnel, drafts.tunnel, line, say);
}

function readConnectionLine(block: ConnectionDraft, line: ConfigLine, say: Say, drafts: Drafts): void {
  if (line.option === 'remote') {
    readRemote(block, line, say);
    return;
  }
  if (line.option === 'key-direction') {
    block.keyDirection = directionOf(line.words[0] ?? '', say);
    return;
  }
  const wrap = wrapOf(line, say);
  if (wrap === undefined) apply(CONNECTION_READERS, block, line, say);
  else if (block.wrap === undefined) block.wrap = wrap;
  else say.error('--tls-auth and --tls-crypt are mutually exclusive', 'Keep one of them in the block.');
  if (line.option === 'connect-retry-max') apply(GENERAL_READERS, drafts.general, line, say);
}

const apply = <D>(readers: Readers<D>, draft: D, line: ConfigLine, say: Say): void => {
  const reader = Object.hasOwn(readers, line.option) ? readers[line.option] : undefined;
  reader?.(draft, line.words, say, line);
};

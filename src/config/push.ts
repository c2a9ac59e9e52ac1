// What a server pushed, laid over what the profile states: filter, permissions, the same readers as for the profile, and
// the log lines that the C program prints. Nothing in here throws: what a server may not or cannot set is logged and
// left out, and only what would give a tunnel that does not work rejects the whole reply.

import { SallyportError } from '../error.ts';
import { Level, type LogFlags, Severity } from '../log.ts';
import { OPENVPN_VERSION } from '../version.ts';
import { tunnelReaders } from './build-tunnel.ts';
import type { Config, ConfigLine, ConnectionProfile, TunnelOptions } from './config.ts';
import type { TunnelDraft } from './draft.ts';
import type { Say } from './findings.ts';
import { lexLine } from './lexer.ts';
import { type OptionClass, type OptionRow, PULL_CLASSES } from './option-row.ts';
import { OPTIONS } from './option-table.ts';
import { applyPullFilters } from './pull-filter.ts';
import { importWords, PUSH_DEBUG } from './push-import.ts';
import { shown } from './values.ts';

/** Where a pushed option stands, in messages. */
const PUSH_OPTIONS = '[PUSH-OPTIONS]';
/** A message of the C program holds far fewer; more is not a configuration but an attack. */
export const OPTION_LIMIT = 20_000;
/** Bytes of one pushed option. */
const OPTION_LENGTH_LIMIT = 255;
/** Log lines about single options; a server with 10,000 bad ones must not fill the disk. */
const COMPLAINT_LIMIT = 100;

export interface PushVerdict {
  readonly flags: LogFlags;
  readonly text: string;
}

/** An option's name and the words after it. */
export interface OptionWords {
  readonly name: string;
  readonly args: readonly string[];
}

export interface ParsedPush {
  readonly tunnel: TunnelOptions;
  /** For the log, in order. */
  readonly verdicts: readonly PushVerdict[];
  /** Set if the reply must not be used: the client restarts. */
  readonly rejected: SallyportError | undefined;
}

/**
 * Lays pushed options (one text each, as between commas of PUSH_REPLY) over `config.tunnel`. `connection` is the one in
 * use; its protocol and MTU limit matter.
 */
export function parsePush(
  options: readonly string[],
  config: Config,
  _kind: 'push-reply',
  connection: ConnectionProfile | undefined = config.connections[0],
): ParsedPush {
  const { tunnel } = config;
  const push = new Push(config, connection, { tunnel: { ...tunnel, dns: [] }, localDns: tunnel.dns });
  for (const [index, option] of options.slice(0, OPTION_LIMIT).entries()) {
    if (!push.handle(option, index + 1)) break;
  }
  if (options.length > OPTION_LIMIT) {
    push.complain(`Options error: only the first ${OPTION_LIMIT} of ${options.length} pushed options are read`);
  }
  return push.finish();
}

/** Where options are laid over. */
interface PushBase {
  readonly tunnel: TunnelOptions;
  /** DNS servers of the profile, kept where nothing of their priority is pushed. */
  readonly localDns: TunnelOptions['dns'];
}

/** One reply or update while it is read, option by option. */
export class Push {
  readonly #config: Config;
  readonly #connection: ConnectionProfile | undefined;
  readonly #tunnel: TunnelDraft;
  readonly #readers: ReturnType<typeof tunnelReaders>;
  readonly #allowed: ReadonlySet<OptionClass>;
  readonly #found = new Set<OptionClass>();
  readonly #verdicts: PushVerdict[] = [];
  readonly #localDns: TunnelOptions['dns'];
  #complaints = 0;
  #rejected: SallyportError | undefined;

  constructor(config: Config, connection: ConnectionProfile | undefined, base: PushBase) {
    this.#config = config;
    this.#connection = connection;
    this.#tunnel = copyOf(base.tunnel);
    this.#localDns = base.localDns;
    this.#readers = tunnelReaders({ pulled: true, allowNames: config.allowPullFqdn });
    this.#allowed = new Set(
      PULL_CLASSES.filter((each) => !config.routeNopull || (each !== 'route' && each !== 'dhcpdns')),
    );
  }

  /** False when nothing after it counts. */
  handle(text: string, number: number): boolean {
    const option = text.replace(/^[ \t\r\n\v\f]+/, '');
    const verdict = this.filter(option);
    if (verdict === 'reject') {
      this.rejectFiltered(option);
      return false;
    }
    if (verdict === 'accept') this.read(option, number, (words, place) => this.apply(words, place, number));
    return true;
  }

  /** What the pull-filters of the profile say of an option. */
  filter(option: string): 'accept' | 'ignore' | 'reject' {
    const filtered = applyPullFilters(option, this.#config.pullFilters);
    if (filtered.log !== undefined) this.#log(filtered.log.flags, filtered.log.text);
    return filtered.verdict;
  }

  rejectFiltered(option: string): void {
    this.reject(
      `the server pushed '${secretless(option)}', which a pull-filter of the profile rejects`,
      'Remove the pull-filter, or ask the administrator of the server to remove the option.',
    );
  }

  /** Splits an option into words and hands them on; one that can't be split is left out, with a complaint. */
  read(option: string, number: number, take: (words: OptionWords, place: string) => void): void {
    const place = `${PUSH_OPTIONS}:${number}`;
    if (option.length > OPTION_LENGTH_LIMIT || /[\0-\x1f\x7f]/.test(option)) {
      this.complain(
        `Options error: pushed option in ${place} is too long or contains control characters: ${secretless(option)}`,
      );
      return;
    }
    const lexed = lexLine(option, place);
    if (!lexed.ok) {
      this.complain(`Options ${lexed.problem.startsWith('Bad backslash') ? 'warning' : 'error'}: ${lexed.problem}`);
      return;
    }
    const [name, ...args] = lexed.words;
    if (name !== undefined) take({ name: name.replace(/^--(?=.)/, ''), args }, place);
  }

  /** The row of an option that may be pushed, its classes noted; undefined after a complaint. */
  allowed({ name }: OptionWords, row: OptionRow | undefined, place: string): OptionRow | undefined {
    if (row === undefined) {
      this.complain(
        `Options error: Unrecognized option or missing or extra parameter(s) in ${place}: ${shown(name)} (${OPENVPN_VERSION})`,
      );
      return undefined;
    }
    if (!row.classes.some((each) => this.#allowed.has(each))) {
      this.complain(`Options error: option '${name}' cannot be used in this context (${PUSH_OPTIONS})`);
      return undefined;
    }
    for (const each of row.classes) this.#found.add(each);
    return row;
  }

  /** Takes an option that may be pushed; anything else is left out, with a complaint. `before` may change the draft first. */
  apply(words: OptionWords, place: string, line: number, before: (draft: TunnelDraft) => void = () => {}): void {
    const { name, args } = words;
    const known = OPTIONS.get(name);
    const fits = known !== undefined && args.length >= known.minWords && args.length <= known.maxWords;
    const row = this.allowed(words, fits ? known : undefined, place);
    if (row === undefined) return;
    const option = row.aliasOf ?? name;
    const reader = Object.hasOwn(this.#readers, option) ? this.#readers[option] : undefined;
    if (reader === undefined) {
      this.#withoutEffect(row);
      return;
    }
    const say: Say = {
      error: (message) => this.complain(`Options error: ${message}`),
      warn: (message) => this.complain(message, Level.warning),
    };
    const origin = { file: PUSH_OPTIONS, line };
    const asLine: ConfigLine = { option, words: args, inline: undefined, origin, connection: undefined };
    before(this.#tunnel);
    reader(this.#tunnel, args, say, asLine);
    if (option === 'echo' && args[0]?.startsWith('msg') === true) {
      this.#log(Level.info, `ECHO-PULL:${args.map(shown).join(' ')}`);
    }
  }

  /** Changes the draft itself. */
  change(act: (draft: TunnelDraft) => void): void {
    act(this.#tunnel);
  }

  /** Logs a line among the verdicts. */
  say(flags: LogFlags, text: string): void {
    this.#log(flags, text);
  }

  #withoutEffect(row: OptionRow): void {
    if (INTERNAL.includes(row.name)) return;
    const { status } = row;
    const reason = status.kind === 'works' ? 'a server does not decide that' : status.reason;
    if (this.#tunnel.withoutEffect.some((each) => each.option === row.name)) return;
    this.#tunnel.withoutEffect.push({ option: row.name, reason });
    const silent = status.kind === 'no-effect' && status.silent;
    this.#log(silent ? PUSH_DEBUG : Level.push, `Pushed option '${row.name}' has no effect: ${reason}`);
  }

  /** Logs something that is left out or doubtful, as long as there is not too much of it. */
  complain(text: string, flags: LogFlags = Level.pushErrors): void {
    this.#complaints++;
    if (this.#complaints <= COMPLAINT_LIMIT) this.#log(flags, text);
    else if (this.#complaints === COMPLAINT_LIMIT + 1) {
      this.#log(Level.pushErrors, 'Options error: further errors in pushed options are not logged');
    }
  }

  finish(): ParsedPush {
    if (this.#rejected === undefined) this.#settle();
    return { tunnel: this.#tunnel, verdicts: this.#verdicts, rejected: this.#rejected };
  }

  // What depends on several options, and the lines about what was taken.
  #settle(): void {
    const tunnel = this.#tunnel;
    const nameless = tunnel.dns.find((server) => server.addresses.length === 0);
    if (nameless !== undefined) {
      this.reject(
        `ERROR: dns server ${nameless.priority} does not have an address assigned`,
        'Ask the administrator of the server to push an address for it, or write pull-filter ignore "dns server".',
      );
      return;
    }
    const pushed = new Set(tunnel.dns.map((server) => server.priority));
    tunnel.dns = [...tunnel.dns, ...this.#localDns.filter((server) => !pushed.has(server.priority))].sort(
      (a, b) => a.priority - b.priority,
    );
    if (tunnel.peerId !== undefined && (tunnel.peerId < 0 || tunnel.peerId > 0xffffff)) {
      this.complain(`Options error: peer-id ${tunnel.peerId} is not a number of 24 bits`);
      tunnel.peerId = this.#config.tunnel.peerId;
    }
    if (this.#connection?.proto.transport !== 'udp' && tunnel.explicitExitNotify !== undefined) {
      tunnel.explicitExitNotify = 0;
    }
    if ((tunnel.explicitExitNotify ?? 0) > MAX_PUSHED_EXIT_NOTICES && !this.#keepsExitNotices()) {
      this.complain(
        `Options error: explicit-exit-notify ${tunnel.explicitExitNotify} is too long, ${MAX_PUSHED_EXIT_NOTICES} is used`,
      );
      tunnel.explicitExitNotify = MAX_PUSHED_EXIT_NOTICES;
    }
    const settings = { connection: this.#connection, found: this.#found, tunnel };
    for (const verdict of importWords(settings)) this.#log(verdict.flags, verdict.text);
    if (!this.#compressionAllowed()) {
      this.reject(
        'OPTIONS ERROR: server pushed compression settings that are not allowed and will result in a non-working connection. See also allow-compression in the manual.',
        'Ask the administrator of the server to remove compression, or write allow-compression asym.',
      );
    } else if (
      tunnel.protocolFlags.includes('aead-epoch') &&
      (tunnel.peerId === undefined || tunnel.peerId === 0xffffff)
    ) {
      this.reject(
        'OPTIONS ERROR: Epoch key data format tag requires data v2 (peer-id) to be enabled.',
        'The server is misconfigured; ask its administrator.',
      );
    }
    const limit = this.#connection?.tunMtuMaxBytes;
    if (tunnel.tunMtuBytes !== undefined && limit !== undefined && tunnel.tunMtuBytes > limit) {
      this.#log(
        Level.pushErrors,
        `Server-pushed tun-mtu is too large, please add tun-mtu-max ${tunnel.tunMtuBytes} in the client configuration`,
      );
      tunnel.tunMtuBytes = limit;
    }
  }

  // The profile itself asks for as many.
  #keepsExitNotices(): boolean {
    return this.#tunnel.explicitExitNotify === this.#connection?.explicitExitNotify;
  }

  // Compressed packets are opened only where the profile itself speaks of an algorithm or permits them.
  #compressionAllowed(): boolean {
    const algorithm = this.#tunnel.compress?.algorithm ?? 'none';
    if (algorithm === 'none') return true;
    if (this.#config.allowCompressionStated) return this.#config.allowCompression !== 'no';
    return (this.#config.tunnel.compress?.algorithm ?? 'none') !== 'none';
  }

  /** The whole message must not be used. */
  reject(message: string, hint: string): void {
    this.#log(
      message.startsWith('OPTIONS ERROR') || message.startsWith('ERROR') ? Level.pushErrors : Severity.warning,
      message,
    );
    this.#rejected = new SallyportError(message, { code: 'SALLYPORT_PUSH', blame: 'peer', retry: true, hint });
  }

  #log(flags: LogFlags, text: string): void {
    this.#verdicts.push({ flags, text });
  }
}

/** Seconds for which a server may hold back a client that has been told to end. */
const MAX_PUSHED_EXIT_NOTICES = 10;

// Part of the reply itself, joined and obeyed before it comes here.
const INTERNAL: readonly string[] = ['push-continuation'];

/** A pushed option for the log: never a token. */
const secretless = (option: string): string =>
  option.startsWith('auth-token') ? `${option.split(' ')[0] ?? ''} …` : shown(option);

const copyOf = (tunnel: TunnelOptions): TunnelDraft => ({
  ...tunnel,
  routes: [...tunnel.routes],
  routes6: [...tunnel.routes6],
  natRules: [...tunnel.natRules],
  dns: [...tunnel.dns],
  dnsSearchDomains: [...tunnel.dnsSearchDomains],
  dhcpOptions: [...tunnel.dhcpOptions],
  protocolFlags: [...tunnel.protocolFlags],
  socketFlags: [...tunnel.socketFlags],
  echo: [...tunnel.echo],
  setenv: [...tunnel.setenv],
  withoutEffect: [...tunnel.withoutEffect],
});

// What a file of client-config-dir, or the output of a client-connect script, says about one client. It is read when the
// client connects, so nothing in it stops the server: a line that is wrong, or that has no place there, is a finding and
// is left out, and the other lines count. Which options are allowed was observed with OpenVPN 2.7.8.

import { parseAddress } from '../ip/address.ts';
import { formatPrefix, netmaskToLength, parsePrefix } from '../ip/prefix.ts';
import { OPENVPN_VERSION } from '../version.ts';
import { pushableOption } from './build-server.ts';
import { tunnelReaders } from './build-tunnel.ts';
import { cipherList, cipherVerdict } from './ciphers.ts';
import type { ConfigLine, Finding } from './config.ts';
import { type Draft, emptyTunnel, type Reader, type Readers, type TunnelDraft } from './draft.ts';
import { Findings, placeOf, type Say, sayFor } from './findings.ts';
import { IncludedFiles } from './included.ts';
import { lexText } from './lexer.ts';
import { CLIENT_CLASSES } from './option-row.ts';
import { OPTIONS } from './option-table.ts';
import type { ClientOptions, PushChange } from './server-options.ts';
import { constrained, INT_MAX, ipv6Prefix, isIpv4, isIpv6, shown } from './values.ts';

/** Files that one client's file includes. */
const FILES_LIMIT = 99;

/** What the options of one client depend on. */
export interface ClientOptionsContext {
  /** The server's own address of `ifconfig-ipv6`: what an `ifconfig-ipv6-push` without a second address names. */
  readonly serverIpv6: string | undefined;
  /** OpenSSL providers of the configuration, for cipher names. */
  readonly providers: readonly string[];
  /** The text of a file that a `config` line names; undefined when it cannot be read. May throw an Error that says why. */
  readText(path: string): string | undefined;
}

export interface ParsedClientOptions {
  readonly options: ClientOptions;
  /** In the order of the lines; errors are about lines that were left out. */
  readonly findings: readonly Finding[];
}

/** Lays the lines of `text` over `base`, in order. `file` names it in findings. Never throws for what is written there. */
export function parseClientOptions(
  text: string,
  file: string,
  base: ClientOptions,
  context: ClientOptionsContext,
): ParsedClientOptions {
  const walk = new Walk(base, context);
  walk.text(text, file, 1);
  return { options: walk.options(), findings: walk.findings.all };
}

/**
 * The file of client-config-dir that belongs to a common name: its name inside the directory, never a path. Control
 * characters and slashes become `_` as in OpenVPN; undefined where no file can belong to the name.
 */
export function clientFileName(commonName: string): string | undefined {
  const name = commonName.replace(/[\0-\x1f\x7f/]/g, '_');
  return name === '' || name === '.' || name === '..' ? undefined : name;
}

type ClientDraft = Draft<ClientOptions>;

interface Reading {
  readonly client: ClientDraft;
  readonly context: ClientOptionsContext;
}

class Walk {
  readonly findings = new Findings();
  readonly #client: ClientDraft;
  #tunnel: TunnelDraft;
  readonly #context: ClientOptionsContext;
  // There is nobody to type options in for one client.
  readonly #included = new IncludedFiles(FILES_LIMIT, (path) =>
    path === 'stdin' ? undefined : this.#context.readText(path),
  );

  constructor(base: ClientOptions, context: ClientOptionsContext) {
    this.#client = { ...base, iroutes: [...base.iroutes], iroutes6: [...base.iroutes6], push: [...base.push] };
    // Timers and compression are read as everywhere else.
    const { ping, pingRestart, pingExit, inactive, sessionTimeoutSeconds, compress } = base;
    this.#tunnel = { ...emptyTunnel(), ping, pingRestart, pingExit, inactive, sessionTimeoutSeconds, compress };
    this.#context = context;
  }

  options(): ClientOptions {
    const { ping, pingRestart, pingExit, inactive, sessionTimeoutSeconds, compress } = this.#tunnel;
    return { ...this.#client, ping, pingRestart, pingExit, inactive, sessionTimeoutSeconds, compress };
  }

  text(text: string, file: string, level: number): void {
    const lexed = lexText(text, file);
    for (const { origin, message, advice } of lexed.errors) {
      this.findings.add('error', 'invalid', origin, '', message, advice);
    }
    for (const { words, inline, origin } of lexed.lines) {
      const [first = '', ...args] = words;
      const name = first.replace(/^--(?=.)/, '');
      if (name === 'setenv' && args[0] === 'opt') {
        const [, wanted = 'setenv opt', ...rest] = args;
        this.#option({ option: wanted, words: rest, inline: undefined, origin, connection: undefined }, level, true);
      } else this.#option({ option: name, words: args, inline, origin, connection: undefined }, level, false);
    }
  }

  #option(line: ConfigLine, level: number, optional: boolean): void {
    const { origin, inline } = line;
    const row = OPTIONS.get(line.option);
    const words = inline === undefined ? line.words.length : 1;
    if (row === undefined || words < row.minWords || words > row.maxWords) {
      const message = `Unrecognized option or missing or extra parameter(s) in ${placeOf(origin)}: ${shown(line.option)} (${OPENVPN_VERSION})`;
      const advice = row === undefined ? 'Remove the line.' : `Its form is: ${`${row.name} ${row.args}`.trimEnd()}`;
      const kind = row === undefined ? 'unknown' : 'invalid';
      this.findings.add(optional ? 'warning' : 'error', kind, origin, shown(line.option), message, advice);
      return;
    }
    const option = row.aliasOf ?? row.name;
    const say = sayFor(this.findings, origin, row.name);
    if (!row.classes.some((each) => CLIENT_CLASSES.includes(each))) {
      say.error(
        `option '${row.name}' cannot be used in this context (${origin.file})`,
        row.pushable
          ? `Write push "${row.name} …" to set it at the client, or move the line to the configuration of the server.`
          : 'Move the line to the configuration of the server.',
      );
      return;
    }
    if (inline !== undefined) {
      say.error(`option '${row.name}' is not expected to be inline (${placeOf(origin)})`, 'Write it as a line.');
      return;
    }
    const { status } = row;
    if (status.kind === 'not-yet' || status.kind === 'refused') {
      const message =
        status.kind === 'refused'
          ? status.reason
          : `option '${row.name}' does not work in this version: ${status.reason}`;
      this.findings.add('error', status.kind, origin, row.name, message, 'Remove the line.');
      return;
    }
    if (option === 'config') {
      const path = line.words[0] ?? '';
      const text = this.#included.read(path, origin, level, say);
      if (text !== undefined) this.text(text, path, level + 1);
    } else this.#read(option, line, say);
  }

  #read(option: string, line: ConfigLine, say: Say): void {
    const own = readerOf(CLIENT_READERS, option);
    if (own !== undefined) {
      own({ client: this.#client, context: this.#context }, line.words, say, line);
      return;
    }
    const shared = SHARED.includes(option) ? readerOf(TUNNEL_READERS, option) : undefined;
    if (shared !== undefined) {
      // A number that is none would count as 0, which is "never" for a timer: such a line must leave nothing behind.
      let good = true;
      const draft = { ...this.#tunnel };
      const error: Say['error'] = (message, advice) => {
        good = false;
        say.error(message, advice);
      };
      shared(draft, line.words, { ...say, error }, line);
      if (good) this.#tunnel = draft;
    } else {
      this.findings.add(
        'notice',
        'ignored',
        line.origin,
        option,
        `option '${option}' has no effect here: it says nothing about how the server treats a client`,
        OPTIONS.get(option)?.pushable === true
          ? `Write push "${option} …" to set it at the client.`
          : 'Remove the line.',
      );
    }
  }
}

const readerOf = <D>(readers: Readers<D>, option: string): Reader<D> | undefined =>
  Object.hasOwn(readers, option) ? readers[option] : undefined;

const TUNNEL_READERS = tunnelReaders({ pulled: false, allowNames: false });

// Options that mean the same here as in a configuration.
const SHARED: readonly string[] = [
  'ping',
  'ping-exit',
  'ping-restart',
  'inactive',
  'session-timeout',
  'compress',
  'comp-lzo',
];

const CLIENT_READERS: Readers<Reading> = {
  disable: ({ client }) => {
    client.disable = true;
  },
  'ifconfig-push': ({ client }, [local = '', second = '', alias], say) => {
    const given = [local, second, ...(alias === undefined ? [] : [alias])];
    if (given.every(isIpv4) && local !== '0.0.0.0' && second !== '0.0.0.0') {
      client.ifconfig = { local, remoteOrNetmask: second, alias };
    } else say.error('cannot parse --ifconfig-push addresses', 'Write addresses: ifconfig-push LOCAL NETMASK.');
  },
  'ifconfig-ipv6-push': ({ client, context }, [text = '', second], say) => {
    const prefix = ipv6Prefix(text);
    const remote = second ?? context.serverIpv6;
    if (prefix === undefined || (second !== undefined && !isIpv6(second))) {
      say.error('cannot parse --ifconfig-ipv6-push addresses', 'Write ifconfig-ipv6-push ADDRESS/BITS [REMOTE].');
    } else if (remote === undefined) {
      say.error(
        'second argument to --ifconfig-ipv6-push missing and no global --ifconfig-ipv6 address set',
        "Write the server's address as well.",
      );
    } else {
      client.ifconfigIpv6 = { local: prefix.address, prefixLength: prefix.prefixLength, remote };
      // The address counts again after `push-remove ifconfig-ipv6`, unlike the one of IPv4.
      client.push = client.push.filter((each) => !(each.type === 'remove' && each.prefix === 'ifconfig-ipv6'));
    }
  },
  iroute: ({ client }, [network = '', netmask], say) => {
    const mask = netmask === undefined ? undefined : parseAddress(netmask);
    const length = netmask === undefined ? 32 : mask?.length === 4 ? netmaskToLength(mask) : undefined;
    const prefix = isIpv4(network) && length !== undefined ? parsePrefix(`${network}/${length}`) : undefined;
    if (prefix !== undefined) client.iroutes.push(formatPrefix(prefix));
    else {
      say.error(
        `in --iroute ${shown(network)} ${shown(netmask ?? '')} : Bad network/subnet specification`,
        'Write a network and its netmask.',
      );
    }
  },
  'iroute-ipv6': ({ client }, [text = ''], say) => {
    const prefix = ipv6Prefix(text) === undefined ? undefined : parsePrefix(text);
    if (prefix !== undefined) client.iroutes6.push(formatPrefix(prefix));
    else say.error(`in --iroute-ipv6 ${shown(text)}: Bad IPv6 prefix specification`, 'Write NETWORK/BITS.');
  },
  push: ({ client }, [option = ''], say) => {
    if (pushableOption(option, say)) client.push.push({ type: 'add', option });
  },
  'push-reset': ({ client }) => {
    client.push.push({ type: 'reset' } satisfies PushChange);
  },
  'push-remove': ({ client }, [prefix = '']) => {
    client.push.push({ type: 'remove', prefix });
  },
  'max-routes-per-client': ({ client }, [text = ''], say) => {
    client.maxRoutes = constrained(text, 'max-routes-per-client', 1, INT_MAX, say) ?? client.maxRoutes;
  },
  'override-username': ({ client }, [name = ''], say) => {
    if (name !== '' && !/[\0-\x1f\x7f]/.test(name)) {
      client.overrideUsername = name;
      return;
    }
    // Under the name that it has now it might be let in where it should not.
    client.disable = true;
    say.error('override-username is empty or contains control characters; the client is refused', 'Correct the name.');
  },
  'data-ciphers': ({ client, context }, [list = ''], say) => {
    client.dataCiphers = cipherList(list, context.providers, say) ?? client.dataCiphers;
  },
  cipher: ({ client, context }, [text = ''], say) => {
    client.cipher = cipherOf(text, 'cipher', context, say) ?? client.cipher;
  },
  'data-ciphers-fallback': ({ client, context }, [text = ''], say) => {
    client.dataCiphersFallback = cipherOf(text, 'data-ciphers-fallback', context, say) ?? client.dataCiphersFallback;
  },
};

const cipherOf = (text: string, option: string, context: ClientOptionsContext, say: Say): string | undefined => {
  const name = text === 'none' ? text : text.toUpperCase();
  if (cipherVerdict(name, context.providers) === 'known') return name;
  say.error(`Unsupported cipher in --${option}: ${shown(text)}`, 'Write AES-256-CBC or a cipher with GCM.');
  return undefined;
};

// Options of proxies: `http-proxy` and what belongs to it, `socks-proxy`, `http-proxy-override`.

import type { ConfigLine, ConnectionProfile, Source } from './config.ts';
import type { ConnectionDraft, GeneralDraft, Readers } from './draft.ts';
import type { Say } from './findings.ts';
import type { Lines } from './finish.ts';
import type { HttpProxyHeader, HttpProxyMethod, HttpProxyOptions, ProxyLogin } from './proxy-options.ts';
import { integerOf, shown } from './values.ts';

/** What has been said of an HTTP proxy so far; its options may come before it. */
export interface HttpProxyDraft {
  readonly server: Pick<HttpProxyOptions, 'host' | 'port' | 'methods' | 'basicAtOnce' | 'login'> | undefined;
  readonly version: string;
  readonly agent: string | undefined;
  readonly headers: readonly HttpProxyHeader[];
}

const NO_PROXY: HttpProxyDraft = { server: undefined, version: '1.0', agent: undefined, headers: [] };
/** As many as the C program has room for. */
const HEADERS_MAX = 10;
const SOCKS_PORT = '1080';
const OVERRIDE_AGENT = 'OpenVPN-Autoproxy/1.0';
const ANY_METHOD: readonly HttpProxyMethod[] = ['digest', 'basic'];
const NO_CLEARTEXT: readonly HttpProxyMethod[] = ['digest'];
const ASK: ProxyLogin = { source: undefined };

/** Readers for lines of a connection. */
export const PROXY_READERS: Readers<ConnectionDraft> = {
  'http-proxy': (draft, [host = '', port, how, method], say, line) => {
    if (port === undefined) {
      say.error('http-proxy port number not defined', 'Write http-proxy HOST PORT.');
      return;
    }
    const login = httpLogin(how, method, say, line);
    if (!isServer(host, port, 'http-proxy', say) || login === undefined) return;
    draft.httpProxy = { ...(draft.httpProxy ?? NO_PROXY), server: { host, port, ...login } };
  },
  'http-proxy-option': (draft, [kind = '', value, content], say) => {
    const proxy = draft.httpProxy ?? NO_PROXY;
    if (value !== undefined && /[\x00-\x1f\x7f]/.test(value + (content ?? ''))) {
      say.error(`http-proxy-option ${shown(kind)}: '${shown(value)}' has characters that no header may have`);
    } else if (kind === 'VERSION' && value !== undefined && content === undefined) {
      draft.httpProxy = { ...proxy, version: value };
    } else if (kind === 'AGENT' && value !== undefined && content === undefined) {
      draft.httpProxy = { ...proxy, agent: value };
    } else if ((kind === 'EXT1' || kind === 'EXT2' || kind === 'CUSTOM-HEADER') && value !== undefined) {
      if (proxy.headers.length < HEADERS_MAX) {
        draft.httpProxy = { ...proxy, headers: [...proxy.headers, { name: value, content }] };
      } else {
        say.error(
          `Cannot use more than ${HEADERS_MAX} http-proxy-option CUSTOM-HEADER : '${shown(value)}'`,
          'Remove one of them.',
        );
      }
    } else {
      say.error(
        `Bad http-proxy-option or missing or extra parameter: '${shown(kind)}'`,
        'Write VERSION NUMBER, AGENT TEXT or CUSTOM-HEADER NAME [VALUE].',
      );
    }
  },
  'socks-proxy': (draft, [host = '', port = SOCKS_PORT, file], say, line) => {
    if (!isServer(host, port, 'socks-proxy', say)) return;
    draft.socksProxy = { host, port, login: file === undefined ? undefined : loginOf(file, line) };
  },
};

/** Readers for lines of the profile as a whole. */
export const GENERAL_PROXY_READERS: Readers<GeneralDraft> = {
  'http-proxy-user-pass': (draft, [file = ''], _say, line) => {
    draft.httpProxyLogin = line.inline === undefined ? loginOf(file, line) : { source: inlineSource(line) };
  },
  'http-proxy-override': (draft, [host = '', port = '', flags], say) => {
    if (!isServer(host, port, 'http-proxy-override', say)) return;
    const methods = flags === 'nct' ? NO_CLEARTEXT : ANY_METHOD;
    const server = { host, port, methods, basicAtOnce: false, login: ASK };
    draft.httpProxyOverride = { ...NO_PROXY, server, agent: OVERRIDE_AGENT };
  },
};

/** The proxy of one connection. */
export function httpProxyOf(
  { httpProxy, proto }: Pick<ConnectionDraft, 'httpProxy' | 'proto'>,
  { httpProxyLogin, httpProxyOverride }: Pick<GeneralDraft, 'httpProxyLogin' | 'httpProxyOverride'>,
  at: Lines,
): ConnectionProfile['httpProxy'] {
  const draft = proto.transport !== 'udp' && httpProxyOverride !== undefined ? httpProxyOverride : httpProxy;
  if (draft === undefined) {
    return undefined;
  }
  if (draft.server === undefined) {
    at.say('http-proxy-option').error(
      '--http-proxy not specified but other http proxy options present',
      'Write http-proxy HOST PORT as well.',
    );
    return undefined;
  }
  const { server, ...options } = draft;
  const { methods, basicAtOnce } = server;
  const asks = methods.length > 0 || basicAtOnce;
  // The override is a whole of its own, but for who logs in.
  const login = asks ? (httpProxyLogin ?? server.login) : undefined;
  return { ...server, ...options, login };
}

/** `http-proxy-override` leaves no remote that cannot go through it. */
export function overridden<T extends Pick<ConnectionProfile, 'proto'>>(
  connections: readonly T[],
  { httpProxyOverride }: Pick<GeneralDraft, 'httpProxyOverride'>,
  at: Lines,
): readonly T[] {
  if (httpProxyOverride === undefined) return connections;
  const streams = connections.filter(({ proto }) => proto.transport !== 'udp');
  if (streams.length > 0) return streams;
  at.say('http-proxy-override').warn(
    'Note: option http-proxy-override ignored because no TCP-based connection profiles are defined',
    'Write a remote with tcp-client.',
    'ignored',
  );
  return connections;
}

/** What the third and fourth word of `http-proxy` say; undefined after a complaint. */
function httpLogin(
  how: string | undefined,
  method: string | undefined,
  say: Say,
  line: ConfigLine,
): Pick<HttpProxyOptions, 'methods' | 'basicAtOnce' | 'login'> | undefined {
  if (how === undefined) return { methods: [], basicAtOnce: false, login: undefined };
  if (how === 'auto') return { methods: ANY_METHOD, basicAtOnce: false, login: ASK };
  if (how === 'auto-nct') return { methods: NO_CLEARTEXT, basicAtOnce: false, login: ASK };
  const login = loginOf(how, line);
  switch (method) {
    case undefined:
    case 'basic':
      return { methods: ['basic'], basicAtOnce: true, login };
    case 'digest':
      return { methods: NO_CLEARTEXT, basicAtOnce: false, login };
    case 'none':
      return { methods: [], basicAtOnce: false, login: undefined };
    case 'ntlm':
    case 'ntlm2':
      say.error(
        `http-proxy: ${method} authentication is not supported; OpenVPN 2.8 has removed it, too`,
        'Write basic or digest if the proxy offers one of them, or let a program on this machine that speaks NTLM (cntlm, px) stand before the proxy and name that as http-proxy.',
      );
      return undefined;
    default:
      say.error(
        `ERROR: unknown HTTP authentication method: '${shown(method)}'`,
        'Write none, basic or digest, or auto instead of the file.',
      );
      return undefined;
  }
}

const loginOf = (file: string, line: ConfigLine): ProxyLogin =>
  file === 'stdin' ? ASK : { source: { kind: 'file', path: file, origin: line.origin } };

const inlineSource = (line: ConfigLine): Source => ({ kind: 'inline', text: line.inline ?? '', origin: line.origin });

function isServer(host: string, port: string, option: string, say: Say): boolean {
  if (!/^[\p{L}\p{N}._:%-]{1,255}$/u.test(host)) {
    say.error(
      `${option}: '${shown(host)}' is neither an address nor a name`,
      'Write the proxy without http:// before it.',
    );
    return false;
  }
  const number = integerOf(port);
  if (number !== undefined && number > 0 && number <= 65_535) return true;
  say.error(`Bad port '${shown(port)}' in ${option}`, 'Write a number from 1 to 65535.');
  return false;
}

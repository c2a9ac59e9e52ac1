// Options of the process and of the scripts it runs.

import type { ProcessOptions, ScriptOptions } from './config.ts';
import type { Draft, Reader, Readers } from './draft.ts';
import type { Say } from './findings.ts';
import { lexLine } from './lexer.ts';
import { pluginOf } from './plugins.ts';
import { constrained, integer, nonNegative, shown } from './values.ts';

/** The data plane's own bound: every two workers share memory. */
const WORKERS_MAX = 16;

export type ProcessDraft = Draft<ProcessOptions>;
export type ScriptDraft = {
  -readonly [K in keyof ScriptOptions]: ScriptOptions[K];
};

export const emptyProcess = (): ProcessDraft => ({
  daemon: undefined,
  cd: undefined,
  chroot: undefined,
  user: undefined,
  group: undefined,
  nice: undefined,
  workers: undefined,
  measureDataPath: false,
  mlock: false,
  writepid: undefined,
  log: undefined,
  syslog: undefined,
  suppressTimestamps: false,
  machineReadable: false,
  verb: 1,
  mute: 0,
  muteReplayWarnings: false,
  status: undefined,
  statusVersion: 1,
  remapUsr1: undefined,
  persistTun: false,
  // Always so since OpenVPN 2.7.
  persistKey: true,
  persistRemoteIp: false,
  persistLocalIp: false,
});

const DNS_BACKENDS = ['auto', 'resolved', 'resolvconf', 'file', 'dnsmasq', 'none'] as const;

export const emptyScripts = (): ScriptDraft => ({
  security: 1,
  up: undefined,
  down: undefined,
  routeUp: undefined,
  routePreDown: undefined,
  ipChange: undefined,
  tlsVerify: undefined,
  tlsCryptV2Verify: undefined,
  tmpDir: undefined,
  exportCertificates: undefined,
  plugins: [],
  dnsUpdown: undefined,
  dnsBackend: 'auto',
  downPre: false,
  upDelay: false,
  upRestart: false,
});

const set =
  <K extends keyof ProcessDraft>(name: K, value: ProcessDraft[K]): Reader<ProcessDraft> =>
  (draft) => {
    draft[name] = value;
  };

const word =
  (name: 'cd' | 'chroot' | 'user' | 'group' | 'writepid'): Reader<ProcessDraft> =>
  (draft, [value = '']) => {
    draft[name] = value;
  };

export const PROCESS_READERS: Readers<ProcessDraft> = {
  cd: (draft, [directory = '']) => {
    draft.cd = directory.startsWith('/') || draft.cd === undefined ? directory : `${draft.cd}/${directory}`;
  },
  chroot: word('chroot'),
  user: word('user'),
  group: word('group'),
  writepid: word('writepid'),
  daemon: (draft, [name], say) => {
    if (draft.daemon === undefined) draft.daemon = { name: name ?? 'openvpn' };
    else if (name !== undefined) {
      say.warn(
        `WARNING: Multiple --daemon directives specified, ignoring --daemon ${shown(name)}. (Note that initscripts sometimes add their own --daemon directive.)`,
      );
    }
  },
  syslog: (draft, [name]) => {
    draft.syslog = { name: name ?? 'openvpn' };
  },
  log: (draft, [path = '']) => {
    draft.log = { path, append: false };
  },
  'log-append': (draft, [path = '']) => {
    draft.log = { path, append: true };
  },
  nice: (draft, [value = ''], say) => {
    draft.nice = integer(value, say);
  },
  workers: (draft, [value = ''], say) => {
    draft.workers = constrained(value, 'workers', 1, WORKERS_MAX, say) ?? draft.workers;
  },
  'measure-data-path': set('measureDataPath', true),
  mlock: set('mlock', true),
  'suppress-timestamps': set('suppressTimestamps', true),
  'machine-readable-output': set('machineReadable', true),
  'mute-replay-warnings': set('muteReplayWarnings', true),
  'persist-tun': set('persistTun', true),
  'persist-local-ip': set('persistLocalIp', true),
  'persist-remote-ip': set('persistRemoteIp', true),
  verb: (draft, [value = ''], say) => {
    draft.verb = nonNegative(value, say);
  },
  mute: (draft, [value = ''], say) => {
    draft.mute = nonNegative(value, say);
  },
  status: (draft, [path = '', seconds], say) => {
    draft.status = { path, seconds: seconds === undefined ? (draft.status?.seconds ?? 60) : nonNegative(seconds, say) };
  },
  'status-version': (draft, [value = ''], say) => {
    const version = constrained(value, 'status-version', 1, 3, say);
    if (version === 1 || version === 2 || version === 3) draft.statusVersion = version;
  },
  'remap-usr1': (draft, [signal = ''], say) => {
    if (signal === 'SIGHUP' || signal === 'SIGTERM') draft.remapUsr1 = signal;
    else say.error("--remap-usr1 parm must be 'SIGHUP' or 'SIGTERM'");
  },
};

// A command is one word of the profile, split into an argv by the same grammar.
const command =
  (
    name: 'up' | 'down' | 'routeUp' | 'routePreDown' | 'ipChange' | 'tlsVerify',
    option: string,
    commas: boolean,
  ): Reader<ScriptDraft> =>
  (draft, [line = ''], say) => {
    if (draft[name] !== undefined) {
      say.warn(`Multiple --${option} scripts defined.  The previously configured script is overridden.`);
    }
    draft[name] = argvOf(commas ? line.replaceAll(',', ' ') : line, option, say);
  };

/** The argv of a command that stands in one word of a line; undefined after a complaint. */
export const argvOf = (line: string, option: string, say: Say): readonly string[] | undefined => {
  const lexed = lexLine(line, `--${option}`);
  if (!lexed.ok) {
    say.error(lexed.problem, 'Quote the command so that it splits into program and arguments.');
    return undefined;
  }
  if (lexed.words.length === 0) {
    say.error(`--${option} script has no program`, 'Name a program.');
    return undefined;
  }
  return lexed.words;
};

export const SCRIPT_READERS: Readers<ScriptDraft> = {
  'script-security': (draft, [level = ''], say) => {
    const value = constrained(level, 'script-security', 0, 3, say);
    if (value === 0 || value === 1 || value === 2 || value === 3) draft.security = value;
  },
  up: command('up', 'up', false),
  down: command('down', 'down', false),
  'route-up': command('routeUp', 'route-up', false),
  'route-pre-down': command('routePreDown', 'route-pre-down', false),
  ipchange: command('ipChange', 'ipchange', true),
  'tls-verify': command('tlsVerify', 'tls-verify', true),
  plugin: (draft, words, say) => {
    const plugin = pluginOf(words, say);
    if (plugin !== undefined) draft.plugins = [...draft.plugins, plugin];
  },
  'tls-export-cert': (draft, [directory = '']) => {
    draft.exportCertificates = directory;
  },
  'dns-updown': (draft, [what = ''], say) => {
    if (what === 'disable') draft.dnsUpdown = 'disable';
    else if (what === 'force') draft.dnsUpdown = Array.isArray(draft.dnsUpdown) ? draft.dnsUpdown : 'force';
    else draft.dnsUpdown = argvOf(what, 'dns-updown', say);
  },
  'dns-backend': (draft, [what = ''], say) => {
    const known = DNS_BACKENDS.find((name) => name === what);
    if (known === undefined) say.error(`dns-backend '${shown(what)}': write one of ${DNS_BACKENDS.join(', ')}`);
    else draft.dnsBackend = known;
  },
  'down-pre': (draft) => {
    draft.downPre = true;
  },
  'up-delay': (draft) => {
    draft.upDelay = true;
  },
  'up-restart': (draft) => {
    draft.upRestart = true;
  },
};

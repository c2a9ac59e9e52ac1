// `plugin`: the two plug-ins of OpenVPN itself that are built in here, known by the name of their file. Others are native
// code for another program, and refused by name. Facts: OpenVPN 2.6.14 and 2.7.8.

import type { Say } from './findings.ts';
import { lexLine } from './lexer.ts';
import { shown } from './values.ts';

/** What to answer to a question of a PAM module that begins with `query`, whatever the case of its letters. */
export interface PamAnswer {
  readonly query: string;
  /** With USERNAME, PASSWORD, COMMONNAME or OTP for what the client said. */
  readonly answer: string;
}

export type PluginOption =
  | {
      readonly kind: 'auth-pam';
      readonly path: string;
      readonly service: string;
      readonly answers: readonly PamAnswer[];
    }
  /** `command`: what runs as root when the tunnel goes down. */
  | { readonly kind: 'down-root'; readonly path: string; readonly command: readonly string[] };

const MOST_ANSWERS = 16;

/** What a line says; undefined after a complaint. `words`: the module, then its arguments, of which one alone is split. */
export function pluginOf(words: readonly string[], say: Say): PluginOption | undefined {
  const [path = '', ...given] = words;
  const args = given.length === 1 ? split(given[0] ?? '', say) : given;
  if (args === undefined) return undefined;
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (/^openvpn-(plugin-)?auth-pam\.so$/.test(name)) return authPam(path, args, say);
  if (/^openvpn-(plugin-)?down-root\.so$/.test(name)) return downRoot(path, args, say);
  say.error(
    `plugin ${shown(name)} cannot be loaded: it is native code for another program`,
    'Built in are openvpn-plugin-auth-pam.so and openvpn-plugin-down-root.so; others are replaced by scripts (auth-user-pass-verify, client-connect …) or hooks of the library.',
  );
  return undefined;
}

function authPam(path: string, [service, ...pairs]: readonly string[], say: Say): PluginOption | undefined {
  if (service === undefined || service === '' || /[/\0]/.test(service)) {
    say.error(
      'plugin auth-pam: need PAM service parameter',
      'Write the name of a file in /etc/pam.d: plugin openvpn-plugin-auth-pam.so login.',
    );
    return undefined;
  }
  if (pairs.length % 2 === 1 || pairs.length / 2 > MOST_ANSWERS) {
    say.error(
      'plugin auth-pam: bad name/value list length',
      `Write pairs of a question and its answer behind the service, ${MOST_ANSWERS} at most: "login login USERNAME password PASSWORD".`,
    );
    return undefined;
  }
  const answers: PamAnswer[] = [];
  for (let at = 0; at < pairs.length; at += 2) answers.push({ query: pairs[at] ?? '', answer: pairs[at + 1] ?? '' });
  return { kind: 'auth-pam', path, service, answers };
}

function downRoot(path: string, command: readonly string[], say: Say): PluginOption | undefined {
  if (command.length > 0) return { kind: 'down-root', path, command };
  say.error('plugin down-root: need down script command', 'Write the command behind the name of the plug-in.');
  return undefined;
}

function split(text: string, say: Say): readonly string[] | undefined {
  const lexed = lexLine(text, 'plugin');
  if (lexed.ok) return lexed.words;
  say.error(lexed.problem, 'Quote the arguments of the plug-in so that they can be split.');
  return undefined;
}

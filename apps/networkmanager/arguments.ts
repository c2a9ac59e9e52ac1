// The command line of the service, as NetworkManager gives it: --bus-name NAME where it starts several.

import { INTERFACE_PREFIX } from './interface.ts';

export interface ServiceOptions {
  readonly busName: string;
  readonly debug: boolean;
  readonly persist: boolean;
}

export type Arguments =
  | ({ readonly kind: 'run' } & ServiceOptions)
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'wrong'; readonly message: string };

const DEFAULT_NAME = `${INTERFACE_PREFIX}.openvpn`;
/** A well-known bus name: elements of letters, digits, _ and - between dots, 255 characters in all. */
const BUS_NAME = /^(?=.{1,255}$)[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+$/;

export const OPTIONS = [
  ['--bus-name NAME', `The name to have on the system bus; without it, ${DEFAULT_NAME}.`],
  ['--debug', 'Log all that the client says, to standard output; stay when whoever connected leaves the bus.'],
  ['--persist', 'Stay after a connection, and without one.'],
  ['--help', 'Print this.'],
  ['--version', 'Print the version.'],
] as const;

export function readArguments(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Arguments {
  let busName = DEFAULT_NAME;
  let debug = environment.OPENVPN_DEBUG !== undefined;
  let persist = false;
  for (let at = 0; at < args.length; at += 1) {
    const [word = '', joined] = /^(--bus-name)=(.*)$/s.exec(args[at] ?? '')?.slice(1) ?? [args[at]];
    switch (word) {
      case '--help':
      case '-h':
        return { kind: 'help' };
      case '--version':
        return { kind: 'version' };
      case '--debug':
        debug = true;
        break;
      case '--persist':
        persist = true;
        break;
      case '--bus-name': {
        const name = joined ?? args[++at];
        if (name === undefined) return { kind: 'wrong', message: '--bus-name wants a name' };
        if (!BUS_NAME.test(name)) return { kind: 'wrong', message: `"${name}" can't be a name on the bus` };
        busName = name;
        break;
      }
      default:
        return { kind: 'wrong', message: `${word} is no option of sallyport-nm-service` };
    }
  }
  return { kind: 'run', busName, debug, persist };
}

export const usage = (): string =>
  [
    'usage: sallyport-nm-service [--bus-name NAME] [--debug] [--persist]',
    '',
    "NetworkManager's VPN service for OpenVPN connections. NetworkManager starts it; see sallyport-nm-service(8).",
    '',
    ...OPTIONS.map(([name, text]) => `  ${name.padEnd(17)}${text}`),
    '',
  ].join('\n');

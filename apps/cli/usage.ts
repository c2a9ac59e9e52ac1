// `--help`: our own subcommands, then every option from the option table.

import { usageText } from '../../src/command.ts';
import { commandLines } from '../desktop/command-table.ts';
import { versionLine } from './version.ts';

/** Prints the usage; the exit code is the C program's for `--help`. */
export function printUsage(): number {
  process.stdout.write(`${versionLine()}\n\n${commands()}\n${usageText()}`);
  return 1;
}

/** What `help` says, and a lone `sallyport`: the commands, without the options, which are some hundreds of lines. */
export function printCommands(): void {
  process.stdout.write(`${commands()}
sallyport --help lists every option of a profile.
`);
}

const commands = (): string => `Usage:
  sallyport --config FILE [--option value …]   Connects, as openvpn does.
  sallyport FILE                               The same.
  sallyport check FILE… [--json]               Says what in profiles is unknown, ignored, deprecated or unsafe.
  sallyport pki COMMAND                        Makes keys and certificates: a small authority in a folder.
  sallyport server init                        Writes a server's configuration for this host.
${commandLines()}  sallyport help COMMAND                       Says more of one of these.
  sallyport --version                          Shows the version.
`;

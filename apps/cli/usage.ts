// `--help`: our own subcommands, then every option from the option table.

import { usageText } from '../../src/command.ts';
import { commandLines } from '../desktop/command-table.ts';
import { versionLine } from './version.ts';

/** Prints the usage; the exit code is the C program's for `--help`. */
export function printUsage(): number {
  process.stdout.write(`${versionLine()}

Usage:
  sallyport --config FILE [--option value …]   connect, as openvpn does
  sallyport FILE                               the same
  sallyport check FILE… [--json]               what in profiles is unknown, ignored, deprecated or unsafe
  sallyport pki COMMAND                        keys and certificates: a small authority in a folder
  sallyport server init                        a server's configuration for this host
${commandLines()}  sallyport --version

${usageText()}`);
  return 1;
}

// A command line that asks for a persistent device (`mktun`) or for its end (`rmtun`) in place of a tunnel.

import { parseMac } from '../ip/mac-address.ts';
import { type ConfigHost, collectLines } from './collect-lines.ts';
import type { ConfigLine } from './config.ts';
import { chooseDevice } from './device-choice.ts';
import { Findings, optionsErrorText } from './findings.ts';

export interface DeviceRequest {
  /** Whether it is to outlive the program that opens it. */
  readonly persistent: boolean;
  /** `tunN`, `tapN`, any other name with its type, or `tun` and `tap` alone for the first that is free. */
  readonly name: string;
  readonly type: 'tun' | 'tap';
  readonly node: string | undefined;
  /** Who may open it without privileges. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  readonly linkAddress: string | undefined;
  readonly txQueueLength: number | undefined;
}

/** Whether the command line asks for a device. */
export const asksForDevice = (argv: readonly string[]): boolean => argv.includes('--mktun') || argv.includes('--rmtun');

/** Options of a tunnel, beside which no device is made. */
const TUNNEL_OPTIONS: readonly string[] = ['remote', 'ifconfig', 'secret', 'tls-server', 'tls-client', 'client'];

/** What is asked for, or what cannot be read. */
export function parseDeviceRequest(
  argv: readonly string[],
  host: ConfigHost,
): DeviceRequest | { readonly problems: readonly string[] } {
  const findings = new Findings();
  const lines = collectLines({ argv }, host, findings);
  const last = (option: string): ConfigLine | undefined => lines.filter((line) => line.option === option).at(-1);
  const value = (option: string): string | undefined => last(option)?.words[0];
  const unread = findings.all.filter(
    ({ severity, kind }) => severity === 'error' && (kind === 'invalid' || kind === 'unknown'),
  );
  const problems = unread.flatMap((each) => withAdvice(optionsErrorText(each), each.advice));
  const name = value('dev');
  if (name === undefined) {
    problems.push(...withAdvice('Options error: You must define TUN/TAP device (--dev)', 'Write --dev tun0.'));
  }
  const other = TUNNEL_OPTIONS.find((option) => last(option) !== undefined || argv.includes(`--${option}`));
  if (other !== undefined) {
    problems.push(
      ...withAdvice(
        'Options error: options --mktun or --rmtun should only be used together with --dev',
        `Remove --${other}.`,
      ),
    );
  }
  const linkAddress = value('lladdr');
  if (linkAddress !== undefined && parseMac(linkAddress) === undefined) {
    problems.push(`Options error: lladdr parm '${linkAddress.replace(/[^\x20-\x7e]/g, '.')}' must be a MAC address`);
  }
  const queue = value('txqueuelen');
  const txQueueLength = queue === undefined || !/^[0-9]{1,9}$/.test(queue) ? undefined : Number(queue);
  const { device, problems: wrong } = chooseDevice(name ?? 'tun', value('dev-type'), value('dev-node'));
  for (const { text, advice } of wrong) problems.push(...withAdvice(`Options error: ${text}`, advice));
  if (problems.length > 0) return { problems };
  if (device.type === 'null') return { problems: ['Options error: --dev null is no device that could be kept'] };
  return {
    persistent: lines.filter(({ option }) => option === 'mktun' || option === 'rmtun').at(-1)?.option === 'mktun',
    ...{ name: device.name, type: device.type, node: device.node },
    ...{ user: value('user'), group: value('group') },
    linkAddress: device.type === 'tap' ? linkAddress : undefined,
    txQueueLength,
  };
}

const withAdvice = (text: string, advice: string | undefined): string[] =>
  advice === undefined ? [text] : [text, `  ${advice}`];

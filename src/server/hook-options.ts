// What a connect hook says about a client, as lines of a client-config-dir file: one grammar and one set of checks for
// both.

import { formatAddress, parseAddress } from '../ip/address.ts';
import { lengthToNetmask, parsePrefix } from '../ip/prefix.ts';
import type { ConnectDecision } from './hooks.ts';

type Given = Extract<ConnectDecision, { readonly options?: string }>;

/** The lines. `netmask` is what a lone IPv4 address is told with. Throws for what is no address or network. */
export function hookOptions(decision: Given, netmask: string | undefined): string {
  const lines: string[] = [];
  if (decision.address4 !== undefined) lines.push(`ifconfig-push ${addressAndMask(decision.address4, netmask)}`);
  if (decision.address6 !== undefined) lines.push(`ifconfig-ipv6-push ${addressAndLength(decision.address6)}`);
  for (const route of decision.routes ?? []) lines.push(routeLine(route));
  for (const option of decision.push ?? []) lines.push(`push ${quoted(option)}`);
  if (decision.options !== undefined) lines.push(decision.options);
  return lines.join('\n');
}

function addressAndMask(text: string, netmask: string | undefined): string {
  const [address = '', bits] = text.split('/');
  if (parseAddress(address)?.length !== 4) throw new RangeError(`onConnect: "${text}" is no IPv4 address`);
  if (bits === undefined) return `${address} ${netmask ?? '255.255.255.255'}`;
  const prefix = parsePrefix(text);
  if (prefix?.address.length !== 4)
    throw new RangeError(`onConnect: "${text}" is no IPv4 address with a prefix length`);
  return `${address} ${formatAddress(lengthToNetmask(prefix.length, 4))}`;
}

function addressAndLength(text: string): string {
  const whole = text.includes('/') ? text : `${text}/64`;
  if (parsePrefix(whole)?.address.length !== 16) throw new RangeError(`onConnect: "${text}" is no IPv6 address`);
  return whole;
}

function routeLine(text: string): string {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new RangeError(`onConnect: "${text}" is no network, such as 192.168.4.0/24`);
  if (prefix.address.length === 16) return `iroute-ipv6 ${formatAddress(prefix.address)}/${prefix.length}`;
  return `iroute ${formatAddress(prefix.address)} ${formatAddress(lengthToNetmask(prefix.length, 4))}`;
}

const quoted = (option: string): string => `"${option.replace(/[\r\n]+/g, ' ').replace(/(["\\])/g, '\\$1')}"`;

// What a process without rights may ask of the one that sets name servers for it: checked there, whatever it sends.

import type { DnsWanted } from './dns-port.ts';
import { isDnsDevice, isHostDomain } from './dns-table.ts';

export interface DnsRequest {
  readonly device: string;
  readonly id: string;
  readonly wanted: DnsWanted;
}

/** Whether it is a request in every part; longer lists than any tunnel has are none. */
export function isDnsRequest(value: unknown): value is DnsRequest {
  if (!isObject(value)) return false;
  const { device, id, wanted } = value;
  if (typeof device !== 'string' || !isDnsDevice(device)) return false;
  if (typeof id !== 'string' || !/^[0-9a-f-]{1,64}$/.test(id) || !isObject(wanted)) return false;
  const { servers, searchDomains, onlyItsNetworks } = wanted;
  return listOf(servers, 256, isServer) && listOf(searchDomains, 512, isText) && typeof onlyItsNetworks === 'boolean';
}

/** The variables of `dns-updown` among these; nothing that a shell or a loader would obey. */
export function dnsVariables(environment: unknown): Record<string, string> {
  if (!isObject(environment)) return {};
  const kept = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      NAME.test(entry[0]) && typeof entry[1] === 'string' && VALUE.test(entry[1]) && entry[1].length < 1024,
  );
  return Object.fromEntries(kept);
}

const NAME =
  /^(dev|script_type|dns_search_domain_\d{1,3}|dns_server_\d{1,3}_(address_\d{1,2}|port_\d{1,2}|resolve_domain_\d{1,3}|dnssec|transport|sni))$/;
const VALUE = /^[\p{L}\p{N}._:%-]*$/u;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isText = (value: unknown): boolean => typeof value === 'string' && VALUE.test(value) && value.length < 1024;

function listOf(value: unknown, limit: number, isOne: (one: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= limit && value.every(isOne);
}

function isServer(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { priority, addresses, resolveDomains, dnssec, transport, sni } = value;
  return (
    typeof priority === 'number' &&
    listOf(addresses, 64, isAddress) &&
    listOf(resolveDomains, 256, isText) &&
    isOneOf(dnssec, ['yes', 'no', 'optional']) &&
    isOneOf(transport, ['plain', 'DoT', 'DoH']) &&
    (sni === undefined || (typeof sni === 'string' && isHostDomain(sni)))
  );
}

function isAddress(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { address, port } = value;
  const whole = port === undefined || (Number.isInteger(port) && Number(port) > 0 && Number(port) < 0x1_0000);
  return whole && typeof address === 'string' && /^[0-9A-Fa-f.:]{2,45}$/.test(address);
}

const isOneOf = (value: unknown, words: readonly string[]): boolean =>
  value === undefined || (typeof value === 'string' && words.includes(value));

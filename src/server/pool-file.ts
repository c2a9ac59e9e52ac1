// The file of `ifconfig-pool-persist`: who had which address, a line for each.
//
//   NAME,IPV4,IPV6     either address may be empty, or the second left out; `#` and `;` begin a comment line
//
// IPv4 wins where both name different slots; under net30 it is the block's first address (any of the block is read).
// Observed with OpenVPN 2.7.8.

import { parseAddress } from '../ip/address.ts';
import type { AddressPool, PoolRecord } from './address-pool.ts';
import { replaceControls } from './clean-text.ts';

/** Characters of a file that is read: sixty thousand lines. */
const CHARACTERS_LIMIT = 8 * 1024 * 1024;
/** Bytes of a field; what is longer is no name and no address. */
const FIELD_LIMIT = 127;

export interface PoolFileNote {
  readonly severity: 'info' | 'warning';
  readonly text: string;
}

/**
 * Remembers in the pool what a file says; returns lines for the log. Lines without a meaning are skipped, with a warning
 * when they have an address that is no address of the pool's. `fixed`: the file is only read (`seconds` is 0), and its
 * slots go to nobody else.
 */
export function readPoolFile(text: string, pool: AddressPool, fixed: boolean, nowUnixSeconds: number): PoolFileNote[] {
  const notes: PoolFileNote[] = [];
  for (const written of text.slice(0, CHARACTERS_LIMIT).split('\n')) {
    const line = written.replaceAll('\r', '');
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    notes.push({ severity: 'info', text: `ifconfig_pool_read(), in='${replaceControls(line, '?')}'` });
    const [name, text4, text6 = ''] = line.split(',');
    if (name === undefined || text4 === undefined) continue;
    if ([name, text4, text6].some((field) => field.length > FIELD_LIMIT)) continue;
    const warn = (said: string): void => {
      notes.push({ severity: 'warning', text: replaceControls(said, '?') });
    };
    const slot4 = slotOf(pool, text4, 4, name, warn);
    const slot6 = slotOf(pool, text6, 6, name, warn);
    if (slot4 !== undefined && slot6 !== undefined && slot4 !== slot6) {
      warn(`pool: IPv4 (${text4}) and IPv6 (${text6}) have different offsets! Relying on IPv4`);
    }
    const slot = slot4 ?? slot6;
    if (slot === undefined) continue;
    notes.push({ severity: 'info', text: `succeeded -> ifconfig_pool_set(hand=${slot})` });
    pool.remember(slot, name, fixed, nowUnixSeconds);
  }
  return notes;
}

/** The file's text. A name that would be read as something else (with a comma or a line end in it) is left out. */
export function writePoolFile(records: readonly PoolRecord[]): string {
  const lines = records
    .filter(({ name }) => !/[,\r\n]|^[#;]/.test(name))
    .map(({ name, address4 = '', address6 = '' }) => `${name},${address4},${address6}\n`);
  return lines.join('');
}

function slotOf(
  pool: AddressPool,
  text: string,
  family: 4 | 6,
  name: string,
  warn: (text: string) => void,
): number | undefined {
  if (text === '') return undefined;
  if (parseAddress(text)?.length !== (family === 4 ? 4 : 16)) {
    warn(`pool: invalid IPv${family} (${text}) for CN=${name}`);
    return undefined;
  }
  const slot = pool.slotOf(text);
  if (slot === undefined) warn(`pool: IPv${family} (${text}) out of pool range for CN=${name}`);
  return slot;
}

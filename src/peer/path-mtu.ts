// What the system says about the largest packet of a path (ICMP, under `mtu-disc yes`), and what follows for `mssfix` and
// `fragment`. The words are the C program's.

import type { ConnectionProfile } from '../config/config.ts';
import type { PlaneEvent } from '../data/plane.ts';

type LinkError = Extract<PlaneEvent, { type: 'link-error' }>;
type Sizes = Pick<ConnectionProfile, 'mssFix' | 'fragment' | 'tunMtuBytes'>;

const DEFAULT_MSS_FIX = { bytes: 1492, mode: 'mtu' } as const;

/** `read UDPv4 [ECONNREFUSED]: Connection refused (fd=7,code=111)`. */
export function linkErrorLine(event: LinkError, name: string, fd: number): string {
  const mtu = event.pathMtuBytes === undefined ? '' : ` Path-MTU=${event.pathMtuBytes}`;
  const what = event.writing === true ? 'write' : 'read';
  return `${what} ${name} [${event.code}${mtu}]: ${event.text} (fd=${fd},code=${event.errno ?? event.code})`;
}

/**
 * The sizes that fit a path of so many bytes, headers of IP and transport included, and the lines that say what has changed;
 * undefined when they fit already. `outerBytes`: those headers.
 */
export function fitPathMtu<S extends Sizes>(
  sizes: S,
  pathMtuBytes: number,
  outerBytes: number,
): { readonly sizes: S; readonly lines: readonly string[] } | undefined {
  const { fragment, mssFix = fragmentSize(fragment) ?? DEFAULT_MSS_FIX } = sizes;
  const lines: string[] = [];
  let fitted = sizes;
  const whole = (bytes: number, counted: boolean): number => (counted ? bytes : bytes + outerBytes);
  if (mssFix.bytes > 0 && pathMtuBytes < whole(mssFix.bytes, mssFix.mode === 'mtu')) {
    lines.push(line('mssfix', mssFix.bytes, mssFix.mode === 'mtu', pathMtuBytes));
    fitted = { ...fitted, mssFix: { bytes: pathMtuBytes, mode: 'mtu' } };
  }
  if (fragment !== undefined && fragment.bytes > 0 && pathMtuBytes < whole(fragment.bytes, fragment.mtuMode)) {
    lines.push(line('fragment', fragment.bytes, fragment.mtuMode, pathMtuBytes));
    fitted = { ...fitted, fragment: { bytes: pathMtuBytes, mtuMode: true } };
  }
  return lines.length === 0 ? undefined : { sizes: fitted, lines };
}

function fragmentSize(fragment: Sizes['fragment']): { bytes: number; mode: 'mtu' } | undefined {
  return fragment === undefined ? undefined : { bytes: fragment.bytes, mode: 'mtu' };
}

function line(option: string, bytes: number, counted: boolean, pathMtuBytes: number): string {
  const before = `${option} ${bytes}${counted ? ' mtu' : ''}`;
  return `Note adjusting '${before}' to '${option} ${pathMtuBytes} mtu' according to path MTU discovery`;
}

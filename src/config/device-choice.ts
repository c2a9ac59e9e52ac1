// Which device a configuration means: its name, and its type, which the name tells where nothing else does.

import type { DeviceChoice } from './config.ts';
import { shown } from './values.ts';

export interface DeviceProblem {
  readonly options: readonly string[];
  readonly text: string;
  readonly advice: string;
}

/** `type`: of `dev-type`. With a problem the choice is what is likeliest meant. */
export function chooseDevice(
  name: string,
  type: string | undefined,
  node: string | undefined,
): { readonly device: DeviceChoice; readonly problems: readonly DeviceProblem[] } {
  const problems: DeviceProblem[] = [];
  const is = (wanted: string): boolean => (type === undefined ? name.startsWith(wanted) : type === wanted);
  const known = is('tun') ? 'tun' : is('tap') ? 'tap' : is('null') ? 'null' : undefined;
  if (known === undefined) {
    problems.push({
      options: ['dev-type', 'dev'],
      text: `Unknown device type of '${shown(name)}'`,
      advice: 'Name it tunX or tapX, or write dev-type tun or dev-type tap as well.',
    });
  }
  // The kernel's limit is 15 bytes; a slash would name something else under /sys and /proc.
  if (!/^[^/\s\0-\x1f]{1,15}$/.test(name) || name === '.' || name === '..') {
    problems.push({
      options: ['dev'],
      text: `'${shown(name)}' cannot be the name of a network device`,
      advice: 'Choose up to 15 characters without blank and slash.',
    });
  }
  return { device: { name, type: name === 'null' ? 'null' : (known ?? 'tun'), node }, problems };
}

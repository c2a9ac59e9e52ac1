// Revoked certificates as files of a directory (`crl-verify DIR dir`): one whose name is a serial number in decimal refuses
// the certificate with that number. The directory is looked into at every handshake, so a file works at once.

import { messageOf } from '../error.ts';
import { type MaterialPorts, type MaterialSource, problem } from './material-source.ts';

export interface SerialFolder {
  readonly path: string;
  /**
   * Whether there is a file for the serial; `problem` where that can't be found out, so that nobody can be let in.
   */
  find(serialDecimal: string): boolean | { readonly problem: string };
  /** A text that changes when a file comes or goes. */
  stamp(): string | undefined;
}

/** Throws SallyportError when it can't be looked into at the start. */
export function openSerialFolder(source: MaterialSource, ports: Pick<MaterialPorts, 'stamp' | 'exists'>): SerialFolder {
  const path = source.kind === 'file' ? source.path : '';
  if (ports.stamp(path) === undefined) {
    throw problem('crl-verify', source, `CRL: cannot look into the directory ${path}`, {
      hint: 'make the directory; an empty one refuses nobody',
    });
  }
  return {
    path,
    find(serialDecimal) {
      if (!/^-?[0-9]{1,100}$/.test(serialDecimal)) return { problem: 'the serial number is not one' };
      try {
        if (ports.exists(`${path}/${serialDecimal}`)) return true;
        return ports.stamp(path) === undefined ? { problem: `the directory ${path} is not there` } : false;
      } catch (error) {
        return { problem: messageOf(error) };
      }
    },
    stamp: () => ports.stamp(path),
  };
}

// A tunnel's lines in the servers-file of dnsmasq:
//
//   # sallyport ID begin tun0
//   server=/office.example/10.8.0.1#5353
//   # sallyport ID end
//
// `begin created` where the file was not there before us.

import type { DnsSetting } from '../tunnel/dns-port.ts';

export interface ServerBlock {
  readonly id: string;
  /** We made the file, so that it goes with the last of us. */
  readonly created: boolean;
  /** With its last line end. */
  readonly text: string;
}

export function writeServerBlock(
  { id, device, created }: { readonly id: string; readonly device: string; readonly created: boolean },
  { servers, search, routing }: DnsSetting,
): string {
  const where = `/${[...search, ...routing].join('/')}/`;
  const lines = servers.map(({ address, port }) => `server=${where}${address}${port === undefined ? '' : `#${port}`}`);
  const begin = `# sallyport ${id} begin ${created ? 'created ' : ''}${device}`;
  return `${[begin, ...lines, `# sallyport ${id} end`].join('\n')}\n`;
}

/** All whole blocks of a text, of any tunnel. */
export function parseServerBlocks(text: string): ServerBlock[] {
  const blocks = text.matchAll(
    /^# sallyport ([0-9a-f-]+) begin (created )?[^\n]*\n(?:server=[^\n]*\n)*# sallyport \1 end\n/gm,
  );
  return [...blocks].map(([whole, id = '', created]) => ({ id, created: created !== undefined, text: whole }));
}

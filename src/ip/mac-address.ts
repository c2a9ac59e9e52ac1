// Ethernet addresses as texts.

/** Six pairs of hexadecimal digits with colons between. */
const MAC = /^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i;

/** The six bytes of `02:00:00:00:00:01`; undefined for what is no Ethernet address. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!MAC.test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (pair) => Number.parseInt(pair, 16));
}

/** As the C program names an address in log, status and scripts: with the VLAN behind, which is 0 where there are none. */
export function formatMac(bytes: Uint8Array): string {
  const pairs = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'));
  return `${pairs.join(':')}@0`;
}

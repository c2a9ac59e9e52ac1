// Hexadecimal text.

/** Lower-case hexadecimal, with `separator` between bytes. */
export function formatHex(bytes: Uint8Array, separator = ''): string {
  const out: string[] = [];
  for (const byte of bytes) out.push(byte.toString(16).padStart(2, '0'));
  return out.join(separator);
}

/** Bytes of an even number of hexadecimal digits, or undefined. */
export function parseHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

/** A session id as the C program logs it: `1f2e3d4c 5b6a7988`. */
export function formatSessionId(sid: Uint8Array): string {
  return `${formatHex(sid.subarray(0, 4))} ${formatHex(sid.subarray(4, 8))}`;
}

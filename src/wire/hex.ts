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

/** The number that hexadecimal digits say, in decimal; other text unchanged. Long division keeps bigint out. */
export function decimalOfHex(hex: string): string {
  const digits = [0];
  for (const char of hex) {
    let carry = Number.parseInt(char, 16);
    if (Number.isNaN(carry)) return hex;
    for (let i = 0; i < digits.length; i++) {
      carry += (digits[i] ?? 0) * 16;
      digits[i] = carry % 10;
      carry = Math.floor(carry / 10);
    }
    for (; carry > 0; carry = Math.floor(carry / 10)) digits.push(carry % 10);
  }
  return digits.reverse().join('');
}

/** A session id as the C program logs it: `1f2e3d4c 5b6a7988`. */
export function formatSessionId(sid: Uint8Array): string {
  return `${formatHex(sid.subarray(0, 4))} ${formatHex(sid.subarray(4, 8))}`;
}

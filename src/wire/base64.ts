// Base64 (RFC 4648, section 4) without the platform's help.

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Padded base64 on one line. */
export function formatBase64(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    out += ALPHABET.charAt(group >> 18) + ALPHABET.charAt((group >> 12) & 63);
    out += i + 1 < bytes.length ? ALPHABET.charAt((group >> 6) & 63) : '=';
    out += i + 2 < bytes.length ? ALPHABET.charAt(group & 63) : '=';
  }
  return out;
}

/** Bytes of base64 text, white space allowed; undefined for anything that is not canonical base64. */
export function parseBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const compact = text.replace(/[ \t\r\n]+/g, '');
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) return undefined;
  const padding = compact.endsWith('==') ? 2 : compact.endsWith('=') ? 1 : 0;
  const out = new Uint8Array((compact.length / 4) * 3 - padding);
  let at = 0;
  for (let i = 0; i < compact.length; i += 4) {
    let group = 0;
    for (let j = 0; j < 4; j++) group = (group << 6) | Math.max(0, ALPHABET.indexOf(compact.charAt(i + j)));
    for (let shift = 16; shift >= 0 && at < out.length; shift -= 8) out[at++] = (group >> shift) & 0xff;
  }
  return formatBase64(out) === compact ? out : undefined;
}

/** A text, as UTF-8. */
export const formatTextBase64 = (text: string): string => formatBase64(new TextEncoder().encode(text));

// PEM-like envelopes: `-----BEGIN label-----`, lines, `-----END label-----`. Text outside is ignored.

/** The lines between BEGIN and END of the first envelope with this label, or undefined. */
export function parsePemLines(text: string, label: string): readonly string[] | undefined {
  const lines = text.split(/\r\n|\n|\r/).map((line) => line.trim());
  const begin = lines.indexOf(`-----BEGIN ${label}-----`);
  if (begin < 0) return undefined;
  const end = lines.indexOf(`-----END ${label}-----`, begin + 1);
  return end < 0 ? undefined : lines.slice(begin + 1, end);
}

/** An envelope with lines of 64 characters. */
export function writePem(label: string, base64: string): string {
  const lines = base64.match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

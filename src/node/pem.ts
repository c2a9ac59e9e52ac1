// PEM files as people have them: several blocks, text before and between them, CR LF, byte-order marks.

/** One block, with line ends made plain. */
export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY` … */
  readonly label: string;
  /** The block from BEGIN to END with a newline at its end. */
  readonly text: string;
}

/** All PEM blocks of a file, in order. */
export function parsePem(bytes: Uint8Array): readonly PemBlock[] {
  const text = asText(bytes).replace(/\r\n?/g, '\n');
  const blocks: PemBlock[] = [];
  const pattern = /^[ \t]*-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t]*\n([\s\S]*?)^[ \t]*-----END \1-----/gm;
  for (const match of text.matchAll(pattern)) {
    const label = match[1]!.replace(/^X509 CERTIFICATE$/, 'CERTIFICATE');
    const body = match[2]!.replace(/^[ \t]+|[ \t]+$/gm, '');
    blocks.push({ label, text: `-----BEGIN ${label}-----\n${body}-----END ${label}-----\n` });
  }
  return blocks;
}

/** The bytes within a block. */
export const pemBytes = ({ text }: PemBlock): Uint8Array =>
  new Uint8Array(Buffer.from(text.replace(/-----[^-]+-----/g, ''), 'base64'));

/** What a file without the wanted PEM block seems to be, and what to do about it. */
export function explainNoPem(bytes: Uint8Array, wanted: string): { readonly text: string; readonly hint: string } {
  if (bytes.length === 0) return { text: 'the file is empty', hint: `put the ${wanted} into it, in PEM form` };
  const text = asText(bytes);
  const labels = [...new Set(parsePem(bytes).map((block) => block.label))];
  if (labels.length > 0)
    return { text: `it has ${labels.join(' and ')} but no ${wanted}`, hint: 'check whether two files were exchanged' };
  if (text.includes('-----BEGIN '))
    return { text: 'its PEM block is not whole', hint: 'check that the END line is there and nothing was cut off' };
  if (bytes[0] === 0x30)
    return {
      text: 'not PEM: it looks like DER',
      hint: 'convert it: openssl x509 -inform der -in FILE -out FILE.pem (pkey for a key, crl for a CRL); a .p12 file belongs to pkcs12',
    };
  if (text.includes('\0'))
    return { text: 'not PEM: it looks like UTF-16 text or binary data', hint: 'save it as plain text' };
  return { text: 'not PEM: there is no BEGIN line', hint: `put the ${wanted} into it, in PEM form` };
}

const asText = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '');

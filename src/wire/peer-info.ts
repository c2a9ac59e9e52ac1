// Peer info: lines `NAME=value` in key method 2.

/** Most lines that are read from a peer; real ones send about twenty. */
const LINE_LIMIT = 256;

/** Bits of IV_PROTO. Bit 6 was an earlier --dns and is never sent. */
export const IvProto = {
  dataV2: 1 << 1,
  requestPush: 1 << 2,
  tlsKeyExport: 1 << 3,
  authPendingKeywords: 1 << 4,
  ncpP2p: 1 << 5,
  ccExit: 1 << 7,
  authFailedTemp: 1 << 8,
  dynamicTlsCrypt: 1 << 9,
  epochData: 1 << 10,
  dnsOption: 1 << 11,
  pushUpdate: 1 << 12,
} as const;

/** Reads a peer's lines; those that are not `NAME=printable` are left out. The first of a name counts. */
export function parsePeerInfo(text: string): Map<string, string> {
  const info = new Map<string, string>();
  let lines = 0;
  for (const line of text.split('\n')) {
    if (++lines > LINE_LIMIT) break;
    const match = /^([A-Za-z_][A-Za-z0-9_]*)=([\x20-\x7e]*)\r?$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined && !info.has(match[1])) info.set(match[1], match[2]);
  }
  return info;
}

/** Writes lines, each ended by a newline. */
export function writePeerInfo(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** IV_PROTO of a peer, 0 when it sent none. */
export function ivProtoOf(info: ReadonlyMap<string, string>): number {
  const text = info.get('IV_PROTO') ?? '';
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
}

/** The ciphers a peer offers: IV_CIPHERS, or both AES-GCM sizes for IV_NCP=2. */
export function offeredCiphers(info: ReadonlyMap<string, string>): readonly string[] {
  const list = info.get('IV_CIPHERS');
  if (list !== undefined) return list.split(':').filter((name) => name !== '');
  const ncp = info.get('IV_NCP') ?? '';
  return /^[0-9]+$/.test(ncp) && Number(ncp) >= 2 ? ['AES-256-GCM', 'AES-128-GCM'] : [];
}

// What two equal ends agree on: nobody pushes anything, each reads the other's peer info and comes to the same result.
// Facts: OpenVPN 2.7.8.

import { cipherFacts } from '../crypto/cipher-table.ts';
import { IvProto, ivProtoOf } from '../wire/peer-info.ts';

export interface PeerAgreement {
  /** The first of the TLS server's ciphers that the client has, too; undefined where one of the ends does not negotiate. */
  readonly cipher: string | undefined;
  /** The same at both ends, in the header of every data packet; undefined: DATA_V1. */
  readonly peerId: number | undefined;
  readonly useExporter: boolean;
  readonly controlExit: boolean;
  /** Data keys of the epoch format. */
  readonly epochData: boolean;
  /** Renegotiations come under a key of their own. */
  readonly dynamicTlsCrypt: boolean;
}

/** What the exporter makes three bytes of, which are the peer-id. */
const PEER_ID_LABEL = 'EXPORTER-OpenVPN-p2p-peerid';
const PEER_ID_BYTES = 3;
/** `vpn`, for a peer that exports nothing. */
const FIXED_PEER_ID = 0x76706e;

/** `exportKeyingMaterial`: of the first key; asked only where the peer exports, too. */
export function agreeWithPeer(
  own: {
    readonly tlsRole: 'client' | 'server';
    readonly dataCiphers: readonly string[];
    /** The plane has the epoch format. */
    readonly epoch: boolean;
  },
  peerInfo: ReadonlyMap<string, string>,
  exportKeyingMaterial: (lengthBytes: number, label: string) => Uint8Array,
): PeerAgreement {
  const cipher = commonCipher(own, peerInfo.get('IV_CIPHERS'));
  const proto = ivProtoOf(peerInfo);
  const has = (bit: number): boolean => (proto & bit) !== 0;
  if (!has(IvProto.ncpP2p)) return { ...NOTHING, cipher };
  const useExporter = has(IvProto.tlsKeyExport);
  return {
    cipher,
    peerId: has(IvProto.dataV2) ? peerIdOf(useExporter, exportKeyingMaterial) : undefined,
    useExporter,
    controlExit: has(IvProto.ccExit),
    epochData: own.epoch && has(IvProto.epochData) && cipher !== undefined && cipherFacts(cipher)?.kind === 'aead',
    dynamicTlsCrypt: has(IvProto.dynamicTlsCrypt),
  };
}

/** With a peer that does not negotiate so. */
const NOTHING = {
  peerId: undefined,
  useExporter: false,
  controlExit: false,
  epochData: false,
  dynamicTlsCrypt: false,
} as const;

function commonCipher(
  { tlsRole, dataCiphers }: { readonly tlsRole: 'client' | 'server'; readonly dataCiphers: readonly string[] },
  theirs: string | undefined,
): string | undefined {
  if (theirs === undefined) return undefined;
  const peers = theirs.split(':');
  const [servers, clients] = tlsRole === 'server' ? [dataCiphers, peers] : [peers, dataCiphers];
  return servers.find((name) => name !== '' && clients.includes(name));
}

function peerIdOf(useExporter: boolean, exportKeyingMaterial: (length: number, label: string) => Uint8Array): number {
  if (!useExporter) return FIXED_PEER_ID;
  const [high = 0, middle = 0, low = 0] = exportKeyingMaterial(PEER_ID_BYTES, PEER_ID_LABEL);
  return (high << 16) | (middle << 8) | low;
}

/** The C program's line for the log. `fallback`: the cipher that is used where none was negotiated. */
export function agreementLine(agreement: PeerAgreement, fallback: string | undefined): string {
  const { cipher, peerId, useExporter } = agreement;
  const named = cipher ?? `(not negotiated, fallback-cipher: ${fallback ?? 'none'})`;
  return `P2P mode NCP negotiation result: TLS_export=${useExporter ? 1 : 0}, DATA_v2=${peerId === undefined ? 0 : 1}, peer-id ${peerId ?? NO_PEER_ID}, cipher=${named}`;
}

const NO_PEER_ID = 0xffffff;

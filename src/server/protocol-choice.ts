// What the two ends of a session agree on besides the cipher, from the client's IV_PROTO. Facts: OpenVPN 2.7.8.

import { IvProto } from '../wire/peer-info.ts';

export interface ProtocolChoice {
  /** The client reads data packets with a peer-id, and is told its own. */
  readonly peerId: boolean;
  /** Data keys come from the TLS exporter. */
  readonly tlsKeyExport: boolean;
  /** Ends are told on the control channel. */
  readonly ccExit: boolean;
  readonly dynamicTlsCrypt: boolean;
  readonly epochData: boolean;
  /** The reply goes out without being asked for. */
  readonly pushUnasked: boolean;
}

export interface ProtocolRefusal {
  /** For AUTH_FAILED. */
  readonly reason: string;
  /** For the log. */
  readonly line: string;
}

export interface ProtocolWishes {
  /** `force-tls-key-material-export`. */
  readonly requireExporter: boolean;
  /** Whether this end's data channel has the epoch format at all. */
  readonly epochData: boolean;
  /** Whether the cipher chosen for this client is an AEAD one that came from negotiation (not the fallback). */
  readonly aeadNegotiated: boolean;
}

/** What is agreed, or why the client is refused. `notes` are for the log. */
export function chooseProtocol(
  ivProto: number,
  own: ProtocolWishes,
): { readonly choice: ProtocolChoice; readonly notes: readonly string[] } | { readonly refusal: ProtocolRefusal } {
  const has = (bit: number): boolean => (ivProto & bit) !== 0;
  if (own.requireExporter && !has(IvProto.tlsKeyExport)) {
    return {
      refusal: {
        reason:
          'Client incompatible with this server. Keying Material Exporters (RFC 5705) support missing. Upgrade to a client that supports this feature (OpenVPN 2.6.0+).',
        line: 'PUSH: client does not support TLS Keying Material Exporters but --force-tls-key-material-export is enabled.',
      },
    };
  }
  const choice = {
    peerId: has(IvProto.dataV2),
    tlsKeyExport: has(IvProto.tlsKeyExport),
    ccExit: has(IvProto.ccExit),
    dynamicTlsCrypt: has(IvProto.dynamicTlsCrypt),
    epochData: own.epochData && own.aeadNegotiated && has(IvProto.epochData),
    pushUnasked: has(IvProto.requestPush),
  };
  const notes = has(IvProto.ncpP2p)
    ? [
        'Note: peer reports running in P2P mode (no --pull/--client option). It will not negotiate ciphers with this server. Expect this connection to fail.',
      ]
    : [];
  return { choice, notes };
}

// What the log says when the plane drops packets: the C program's words where people know them.

import type { PlaneEvent } from '../data/plane.ts';
import { formatAddress } from '../ip/address.ts';
import { formatMac } from '../ip/mac-address.ts';
import { formatLogAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';

type DropNotice = Extract<PlaneEvent, { type: 'drop-notice' }>;
type LinkClosed = Extract<PlaneEvent, { type: 'link-closed' }>;

/** Logs one notice of the plane. `peerPrefix` is `[server] ` or empty. */
export function logDrop(
  notice: DropNotice,
  log: Log,
  options: { peerPrefix: string; muteReplayWarnings: boolean },
): void {
  const times = notice.count > 1 ? ` (${notice.count} times)` : '';
  switch (notice.cause) {
    case 'replay':
    case 'too-old':
    case 'packet-id-zero':
      if (options.muteReplayWarnings) return;
      log(
        Level.replayErrors,
        `Authenticate/Decrypt packet error: bad packet ID (may be a replay): [ #${notice.packetId ?? 0} ] -- see the man page entry for --replay-window for more info or silence this warning with --mute-replay-warnings${times}`,
      );
      return;
    case 'bad-tag':
      log(Level.cryptErrors, `Authenticate/Decrypt packet error: cipher final failed${times}`);
      return;
    case 'unknown-epoch':
      log(Level.cryptErrors, `AEAD Decrypt error: data packet with unknown epoch${times}`);
      return;
    case 'bad-mac':
      log(Level.cryptErrors, `Authenticate/Decrypt packet error: packet HMAC authentication failed${times}`);
      return;
    case 'bad-padding':
      log(Level.cryptErrors, `Authenticate/Decrypt packet error: cipher final failed${times}`);
      return;
    case 'unknown-key':
      log(Level.tlsErrors, `TLS Error: local/remote TLS keys are out of sync${times}`);
      return;
    case 'compressed':
    case 'bad-compression':
      log(
        Level.compressErrors,
        `Bad compression stub (swap) decompression header byte, or a compressed packet without allow-compression${times}`,
      );
      return;
    case 'bad-fragment':
      log(Level.linkErrors, `FRAG_IN error: a fragment was malformed or incomplete${times}`);
      return;
    case 'recursive':
      log(
        Level.low,
        `Recursive routing detected, packet dropped ${shownSource(notice.innerSource)} -> ${notice.address === undefined ? 'undef' : formatLogAddress(notice.address)}${times}`,
      );
      return;
    case 'wrong-source':
    case 'float-refused':
      log(
        Level.linkErrors,
        `${options.peerPrefix}TCP/UDP: Incoming packet rejected from another address than the peer's${times}, you may need --float`,
      );
      return;
    case 'bad-source':
      log(
        Level.multi,
        `MULTI: bad source address from client [${shownSource(notice.innerSource)}], packet dropped${times}`,
      );
      return;
    case 'link-full':
    case 'link-error':
      log(Level.linkErrors, `write to the link dropped packets: ${notice.cause}${times}`);
      return;
    default:
      log(Level.linkRw, `dropped a packet: ${notice.cause}${times}`);
  }
}

function shownSource(source: Uint8Array | undefined): string {
  if (source === undefined) return 'undef';
  return source.length === 6 ? formatMac(source) : formatAddress(source);
}

/** Whether a drop of this cause ends a TCP connection: its stream can't be trusted any more. */
export const endsStream = (notice: DropNotice): boolean =>
  notice.cause === 'bad-tag' ||
  notice.cause === 'bad-mac' ||
  notice.cause === 'bad-padding' ||
  notice.cause === 'unknown-epoch' ||
  notice.cause === 'replay';

/** Why a connection has ended, for the log. */
export function tellLost({ code, text }: Pick<LinkClosed, 'code' | 'text'>, log: Log): void {
  if (code === 'BAD_FRAME') log(Level.warning, `WARNING: Bad encapsulated packet length from peer ${text}`);
  log(Level.streamErrors, `Connection reset, restarting [${code === 'EOF' || code === 'BAD_FRAME' ? 0 : -1}]`);
}

// TCP connections of a server, from accept to close: each becomes a link of the plane and waits, in bounds of time and
// number, for its first packet. One that is not OpenVPN's is passed on under port-share.

import type { DataPlane, LinkId, PlaneEvent } from '../data/plane.ts';
import { messageOf } from '../error.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import { tellLost } from '../peer/drop-words.ts';
import type { ClockPort, LinkPort } from '../ports.ts';
import { addressText } from './address-text.ts';
import { endLine } from './instance-end.ts';
import type { Listener } from './listeners.ts';
import type { StreamRelay } from './ports.ts';

export interface StreamsOptions {
  readonly plane: DataPlane;
  readonly clock: ClockPort;
  readonly links: LinkPort;
  readonly log: Log;
  readonly relay: StreamRelay | undefined;
  /** How long a connection may take to become a client. */
  readonly handshakeMs: number;
  readonly queuePackets: number;
  readonly onlyOpenVpn: boolean;
}

export interface WaitingStream {
  readonly link: LinkId;
  readonly address: SocketAddress;
  readonly listener: Listener;
}

interface Stream extends WaitingStream {
  readonly fd: number;
  cancel(): void;
}

type Lost = Extract<PlaneEvent, { type: 'link-closed' }>;

/**
 * Connections that are no client yet. For each one more the oldest is closed: a client's first packet follows its
 * connection at once, and who says nothing shall not keep it out.
 */
const WAITING_LIMIT = 256;
/** That this happens is said no more often. */
const LIMIT_SAID_MS = 60_000;
/** A client's control packets before it has keys are no longer. */
const HANDSHAKE_PACKET_BYTES = 2048;

export class Streams {
  readonly #options: StreamsOptions;
  readonly #streams = new Map<LinkId, Stream>();
  /** Oldest first. */
  readonly #waiting = new Set<Stream>();
  #limitSaidMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  accept({ fd, address }: Extract<PlaneEvent, { type: 'accepted' }>, listener: Listener | undefined): void {
    const { plane, clock, links, log, handshakeMs, queuePackets, onlyOpenVpn } = this.#options;
    if (listener === undefined || this.#closed) {
      links.close(fd);
      return;
    }
    if (this.#waiting.size >= WAITING_LIMIT) this.#endOldest();
    log(Level.info, `TCP connection established with ${formatLogAddress(address)}`);
    const link = plane.addLink({
      endpoint: { kind: 'fd', fd },
      framing: 'tcp',
      connecting: false,
      remote: address,
      connected: true,
      readAhead: undefined,
      firstPacket: onlyOpenVpn ? 'openvpn' : undefined,
      handshakePacketBytes: HANDSHAKE_PACKET_BYTES,
      queuePackets,
    });
    const cancel = clock.at(clock.now().monoMs + handshakeMs, () => {
      const from = addressText(address);
      log(
        Level.tlsErrors,
        `${from} TLS Error: TLS key negotiation failed to occur within ${handshakeMs / 1000} seconds (check your network connectivity)`,
      );
      log(Level.tlsErrors, `${from} TLS Error: TLS handshake failed`);
      log(Level.streamErrors, `${from} Fatal TLS error (check_tls_errors_co), restarting`);
      log(Level.multi, `${from} ${endLine({ signal: 'SIGUSR1', text: 'tls-error' })}`);
      this.#attend(this.end(link));
    });
    const stream = { link, address, listener, fd, cancel };
    this.#streams.set(link, stream);
    this.#waiting.add(stream);
  }

  /** A connection that has no client yet. */
  waiting(link: LinkId): WaitingStream | undefined {
    const stream = this.#streams.get(link);
    return stream !== undefined && this.#waiting.has(stream) ? stream : undefined;
  }

  /** It has one now. */
  claimed(link: LinkId): void {
    const stream = this.#streams.get(link);
    if (stream !== undefined) this.#stopWaiting(stream);
  }

  /** Gives a connection that is not OpenVPN's to somebody else. */
  pass({ link, bytes }: Extract<PlaneEvent, { type: 'foreign-stream' }>): void {
    const { plane, log, relay, links } = this.#options;
    const stream = this.#streams.get(link);
    if (stream === undefined) return;
    this.#streams.delete(link);
    this.#stopWaiting(stream);
    log(Level.streamErrors, `${addressText(stream.address)} Non-OpenVPN client protocol detected`);
    const end = endLine({ signal: 'SIGTERM', text: 'port-share-redirect' });
    log(Level.multi, `${addressText(stream.address)} ${end}`);
    const passed = plane.removeLink(link).then(() => {
      if (relay === undefined) links.close(stream.fd);
      else relay.relay(stream.fd, bytes, stream.address);
    });
    this.#attend(passed);
  }

  /** A connection without a client has ended. */
  async lost(event: Lost): Promise<void> {
    const stream = this.waiting(event.link);
    if (stream !== undefined) {
      const log: Log = (flags, text) => this.#options.log(flags, `${addressText(stream.address)} ${text}`);
      tellLost(event, log);
      log(Level.multi, endLine({ signal: 'SIGUSR1', text: 'connection-reset' }));
    }
    await this.end(event.link);
  }

  /** Closes a connection. */
  async end(link: LinkId): Promise<void> {
    const stream = this.#streams.get(link);
    if (stream === undefined) return;
    this.#streams.delete(link);
    this.#stopWaiting(stream);
    await this.#options.plane.removeLink(link);
    this.#options.links.close(stream.fd);
  }

  /** Ends them all, and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#streams.keys()].map((link) => this.end(link)));
  }

  #endOldest(): void {
    const [oldest] = this.#waiting;
    if (oldest === undefined) return;
    const { clock, log } = this.#options;
    const { monoMs } = clock.now();
    if (monoMs >= this.#limitSaidMs + LIMIT_SAID_MS) {
      this.#limitSaidMs = monoMs;
      log(
        Level.multiErrors,
        `MULTI: ${WAITING_LIMIT} TCP connections are no clients yet; for each new one the oldest is closed, now that from ${addressText(oldest.address)}`,
      );
    }
    this.#attend(this.end(oldest.link));
  }

  /** Nobody waits for it; what goes wrong is written down. */
  #attend(work: Promise<void>): void {
    work.catch((error: unknown) => this.#options.log(Level.error, `a connection: ${messageOf(error)}`));
  }

  #stopWaiting(stream: Stream): void {
    stream.cancel();
    this.#waiting.delete(stream);
  }
}

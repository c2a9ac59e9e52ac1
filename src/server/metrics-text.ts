// Figures of a server as text that Prometheus reads (exposition format 0.0.4).

/** When what the server shows and trusts ends, in Unix seconds; of several, the first. */
export interface ExpiryDates {
  readonly certificateExpiryUnixSeconds: number | undefined;
  readonly caExpiryUnixSeconds: number | undefined;
  readonly crlExpiryUnixSeconds: number | undefined;
}

/** Everything is counted since the start; gauges say so. Times are Unix seconds. */
export interface ServerMetrics {
  readonly version: string;
  readonly startUnixSeconds: number;
  /** Gauges: clients with a tunnel, handshakes under way. */
  readonly sessions: number;
  readonly handshakesPending: number;
  readonly maxClients: number;
  /** Counts by what became of them: `completed`, `tls-failed`, `refused`, `replaced` … */
  readonly handshakes: Readonly<Record<string, number>>;
  readonly disconnects: Readonly<Record<string, number>>;
  /** Packets that the data plane dropped, by cause. */
  readonly drops: Readonly<Record<string, number>>;
  /** Packets from strangers that nothing came of, by cause, and those that were answered without keeping state. */
  readonly firstPacketDrops: Readonly<Record<string, number>>;
  readonly firstPacketReplies: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly sentPackets: number;
  readonly renegotiations: number;
  /** Gauges, undefined without a pool. */
  readonly poolAddresses: number | undefined;
  readonly poolAddressesUsed: number | undefined;
  /** Gauges; undefined leaves the family out. */
  readonly expiry: ExpiryDates;
  readonly eventLoopDelaySeconds: number | undefined;
}

/** One metric: name without `sallyport_`, its samples by the value of one label (no label: a plain number). */
interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly label?: string;
  readonly value: number | undefined | Readonly<Record<string, number>>;
}

/** The whole page, ended by a line end. Label values may be any text. */
export function metricsText(metrics: ServerMetrics): string {
  return families(metrics).flatMap(familyLines).join('');
}

/** What `metricsText` is served as. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

function families(m: ServerMetrics): Family[] {
  const counter = (name: string, help: string, value: Family['value'], label?: string): Family =>
    label === undefined ? { name, type: 'counter', help, value } : { name, type: 'counter', help, value, label };
  const gauge = (name: string, help: string, value: Family['value']): Family => ({ name, type: 'gauge', help, value });
  return [
    { ...gauge('info', 'Version of the program; the value is always 1.', { [m.version]: 1 }), label: 'version' },
    gauge('start_time_seconds', 'When the server started, in Unix seconds.', m.startUnixSeconds),
    gauge('sessions', 'Clients with a tunnel.', m.sessions),
    gauge('handshakes_pending', 'Handshakes under way.', m.handshakesPending),
    gauge('sessions_max', 'Most clients that are let in at once.', m.maxClients),
    counter('handshakes_total', 'Handshakes by what became of them.', m.handshakes, 'outcome'),
    counter('disconnects_total', 'Ended sessions by the reason.', m.disconnects, 'reason'),
    counter('dropped_packets_total', 'Packets that the data plane dropped, by cause.', m.drops, 'cause'),
    counter('first_packets_dropped_total', 'Packets from strangers that nothing came of.', m.firstPacketDrops, 'cause'),
    counter('first_packets_answered_total', 'Packets from strangers that were answered.', m.firstPacketReplies),
    counter('received_bytes_total', 'Bytes received from clients, control channel included.', m.receivedBytes),
    counter('sent_bytes_total', 'Bytes sent to clients, control channel included.', m.sentBytes),
    counter('received_packets_total', 'Packets received from clients.', m.receivedPackets),
    counter('sent_packets_total', 'Packets sent to clients.', m.sentPackets),
    counter('renegotiations_total', 'Key renegotiations that were completed.', m.renegotiations),
    gauge('pool_addresses', 'Addresses that the pool has.', m.poolAddresses),
    gauge('pool_addresses_used', 'Addresses of the pool that clients have.', m.poolAddressesUsed),
    gauge(
      'certificate_expiry_seconds',
      'When the server certificate expires, in Unix seconds.',
      m.expiry.certificateExpiryUnixSeconds,
    ),
    gauge(
      'ca_expiry_seconds',
      'When the first certificate of the authority expires, in Unix seconds.',
      m.expiry.caExpiryUnixSeconds,
    ),
    gauge(
      'crl_expiry_seconds',
      'When the first revocation list is out of date, in Unix seconds.',
      m.expiry.crlExpiryUnixSeconds,
    ),
    gauge(
      'event_loop_delay_seconds',
      'Longest wait of the control plane since these figures were read last.',
      m.eventLoopDelaySeconds,
    ),
  ];
}

function familyLines({ name, type, help, label, value }: Family): string[] {
  if (value === undefined) return [];
  const full = `sallyport_${name}`;
  const samples =
    typeof value === 'number'
      ? [`${full} ${numberText(value)}\n`]
      : Object.entries(value).map(([text, count]) => `${full}{${label}="${labelText(text)}"} ${numberText(count)}\n`);
  return [`# HELP ${full} ${help}\n`, `# TYPE ${full} ${type}\n`, ...samples];
}

function labelText(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}

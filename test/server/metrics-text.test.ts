import { describe, expect, it } from 'vitest';
import { METRICS_CONTENT_TYPE, metricsText, type ServerMetrics } from '../../src/server/metrics-text.ts';

const metrics: ServerMetrics = {
  version: '0.1.0',
  startUnixSeconds: 1_795_900_000,
  sessions: 2,
  handshakesPending: 1,
  maxClients: 1024,
  handshakes: { completed: 5, 'tls-failed': 1 },
  disconnects: { 'ping-restart': 3 },
  drops: { replay: 7, 'a"b\\c\nd': 1 },
  firstPacketDrops: { 'bad-hmac': 3 },
  firstPacketReplies: 8,
  receivedBytes: 9_007_199_254_740_991,
  sentBytes: 0,
  receivedPackets: 10,
  sentPackets: 11,
  renegotiations: 4,
  poolAddresses: 253,
  poolAddressesUsed: 2,
  expiry: {
    certificateExpiryUnixSeconds: 1_900_000_000,
    caExpiryUnixSeconds: 1_950_000_000,
    crlExpiryUnixSeconds: undefined,
  },
  eventLoopDelaySeconds: 0.0125,
};

describe('the metrics', () => {
  const text = metricsText(metrics);
  const lines = text.split('\n');

  it.each([
    'sallyport_info{version="0.1.0"} 1',
    'sallyport_start_time_seconds 1795900000',
    'sallyport_sessions 2',
    'sallyport_handshakes_pending 1',
    'sallyport_renegotiations_total 4',
    'sallyport_handshakes_total{outcome="completed"} 5',
    'sallyport_handshakes_total{outcome="tls-failed"} 1',
    'sallyport_disconnects_total{reason="ping-restart"} 3',
    'sallyport_dropped_packets_total{cause="replay"} 7',
    'sallyport_dropped_packets_total{cause="a\\"b\\\\c\\nd"} 1',
    'sallyport_first_packets_dropped_total{cause="bad-hmac"} 3',
    'sallyport_first_packets_answered_total 8',
    'sallyport_event_loop_delay_seconds 0.0125',
    'sallyport_received_bytes_total 9007199254740991',
    'sallyport_certificate_expiry_seconds 1900000000',
    '# TYPE sallyport_handshakes_total counter',
    '# TYPE sallyport_sessions gauge',
    '# TYPE sallyport_handshakes_pending gauge',
    '# TYPE sallyport_renegotiations_total counter',
  ])('have the line %s', (line) => {
    expect(lines).toContain(line);
  });

  it('leave out what is not known, and end with a line end', () => {
    expect(text).not.toContain('crl_expiry');
    expect(text.endsWith('\n')).toBe(true);
    expect(text).not.toContain('\n\n');
    expect(METRICS_CONTENT_TYPE).toContain('version=0.0.4');
  });

  it('tell of each family once, help and type before its samples', () => {
    const seen = new Set<string>();
    let current = '';
    for (const line of lines.slice(0, -1)) {
      const head = /^# (HELP|TYPE) (sallyport_[a-z_]+) (.+)$/.exec(line);
      const name = head?.[2] ?? /^(sallyport_[a-z_]+)(?:\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"\})? \S+$/.exec(line)?.[1];
      expect(name, line).toBeDefined();
      if (head?.[1] === 'HELP') {
        expect(seen.has(name ?? '')).toBe(false);
        seen.add(name ?? '');
        current = name ?? '';
      }
      expect(name).toBe(current);
    }
  });

  it.each([
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
  ])('write %d as %s', (value, expected) => {
    expect(metricsText({ ...metrics, sessions: value })).toContain(`sallyport_sessions ${expected}\n`);
  });
});

// Profiles as providers, routers and servers write them: each must parse, and give the configuration that was meant.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse.ts';

const folder = fileURLToPath(new URL('profiles/', import.meta.url));
const names = readdirSync(folder).filter((name) => name.endsWith('.ovpn'));

function read(name: string) {
  const file = `${name}.ovpn`;
  return parseConfig({ text: readFileSync(folder + file, 'utf8'), file }, { readText: () => undefined });
}

function configOf(name: string): Config {
  const { config, findings } = read(name);
  if (config === undefined) throw new Error(findings.map((each) => each.message).join('\n'));
  return config;
}

const optionsWith = (name: string, severity: string) =>
  read(name)
    .findings.filter((each) => each.severity === severity)
    .map((each) => each.option);

describe('profiles of real life', () => {
  it.each(names)('%s is accepted', (name) => {
    expect(read(name.replace('.ovpn', '')).findings.filter((each) => each.severity === 'error')).toEqual([]);
  });

  it('keeps many remotes in their order, with one tls-auth key for all', () => {
    const config = configOf('many-remotes');
    expect(config.connections.map((each) => `${each.remote}:${each.remotePort}`)).toEqual([
      '192.0.2.10:1194',
      '192.0.2.11:1194',
      '192.0.2.12:4569',
      '192.0.2.13:80',
      '192.0.2.14:51820',
    ]);
    expect(config.remoteRandom).toBe(true);
    expect(config.connections.every((each) => each.wrap?.kind === 'tls-auth' && each.wrap.direction === 1)).toBe(true);
    expect(config.connections[0]?.mssFix).toEqual({ bytes: 1450, mode: 'payload' });
    expect(config.tunnel).toMatchObject({ ping: 15, pingRestart: 0, pingTimerRem: true });
    expect(config.tunnel.compress).toEqual({ framing: 'comp-lzo', algorithm: 'none', text: 'comp-lzo no' });
    expect(config).toMatchObject({ auth: 'SHA512', cipher: 'AES-256-CBC', dataCiphersFallback: undefined });
  });

  it('takes BF-CBC in a profile that negotiates, and says that it is not used', () => {
    const config = configOf('comp-lzo-bf');
    expect(config.dataCiphers).not.toContain('BF-CBC');
    expect(config.dataCiphersFallback).toBeUndefined();
    expect(optionsWith('comp-lzo-bf', 'warning')).toEqual(
      expect.arrayContaining(['cipher', 'comp-lzo', 'keysize', 'ns-cert-type', 'max-routes']),
    );
  });

  it('lets a connection block take what stood before it, and change it for itself alone', () => {
    const [udp, tcp, ipv6, ...rest] = configOf('connection-blocks').connections;
    expect(rest).toEqual([]);
    expect(udp).toMatchObject({
      remote: 'vpn.example.com',
      remotePort: '1194',
      explicitExitNotify: 2,
      connectTimeoutSeconds: 10,
      connectRetrySeconds: 2,
      connectRetryMaxSeconds: 20,
      bindLocal: false,
    });
    expect(tcp).toMatchObject({
      proto: { transport: 'tcp-client', family: undefined },
      remotePort: '443',
      connectTimeoutSeconds: 20,
      explicitExitNotify: 0,
      wrap: { kind: 'tls-auth', direction: 1 },
    });
    expect(ipv6).toMatchObject({
      proto: { transport: 'udp', family: 6 },
      wrap: { kind: 'tls-crypt', source: { kind: 'inline' } },
    });
  });

  it('leaves an unknown optional cipher out of the list', () => {
    expect(configOf('connection-blocks').dataCiphers).toEqual(['AES-256-GCM', 'CHACHA20-POLY1305']);
  });

  it('gives key material inline as it stands there', () => {
    const { tls, connections } = configOf('tls-crypt-v2');
    expect(tls.cert).toMatchObject({ kind: 'inline', origin: { file: 'tls-crypt-v2.ovpn' } });
    expect(tls.key?.kind === 'inline' && tls.key.text).toBe(
      '-----BEGIN PRIVATE KEY-----\nAAECAwQFBgcICQoLDA0ODw==\n-----END PRIVATE KEY-----\n',
    );
    expect(connections[0]?.wrap?.kind).toBe('tls-crypt-v2');
  });

  it('goes on after an option of the future where the profile says so', () => {
    const { findings } = read('access-server');
    expect(findings.find((each) => each.kind === 'unknown')).toMatchObject({
      severity: 'warning',
      option: 'a-directive-of-next-year',
    });
    expect(configOf('access-server')).toMatchObject({ pushPeerInfo: true, tunnel: { sndbuf: 0, rcvbuf: 0 } });
  });

  it('reads routes, filters, DNS and scripts of a split tunnel', () => {
    const config = configOf('split-tunnel');
    expect(config.routeNopull).toBe(true);
    expect(config.pullFilters).toEqual([
      { action: 'ignore', text: 'dhcp-option DNS' },
      { action: 'accept', text: 'ifconfig' },
      { action: 'ignore', text: 'route-ipv6' },
    ]);
    expect(config.tunnel.routes).toEqual([
      { network: '10.20.0.0', netmask: '255.255.0.0', gateway: undefined, metric: undefined, table: undefined },
      { network: '10.30.0.0', netmask: '255.255.0.0', gateway: 'vpn_gateway', metric: 50, table: undefined },
      {
        network: '198.51.100.7',
        netmask: '255.255.255.255',
        gateway: 'net_gateway',
        metric: undefined,
        table: undefined,
      },
    ]);
    expect(config.tunnel.dns).toEqual([
      {
        priority: 1,
        addresses: [
          { address: '10.20.0.53', port: undefined },
          { address: '2001:db8:20::53', port: 53 },
        ],
        resolveDomains: ['corp.example.com'],
        dnssec: undefined,
        transport: undefined,
        sni: undefined,
      },
    ]);
    expect(config.scripts.up).toEqual(['/usr/local/bin/tunnel-up', 'two words', 'three']);
    expect(config.authUserPass?.source).toMatchObject({ kind: 'file', path: '/etc/openvpn/login' });
    expect(config.tls.remoteCertEku).toBe('TLS Web Server Authentication');
  });

  it('takes a PKCS#12 file in the place of ca, cert and key', () => {
    const config = configOf('router-export');
    expect(config.tls.pkcs12).toMatchObject({ kind: 'file', path: 'router-export.p12' });
    expect(config.dataCiphersFallback).toBe('AES-256-CBC');
    expect(config.connections[0]).toMatchObject({ explicitExitNotify: 1, proto: { transport: 'udp', family: 4 } });
  });

  it('needs no authority where the peer is pinned', () => {
    const config = configOf('pinned-peer');
    expect(config.tls.peerFingerprints.map((each) => each.length)).toEqual([32, 32]);
    expect(config.tls.peerFingerprints[1]?.[31]).toBe(0xef);
    expect(config.tunnel).toMatchObject({ ping: 10, pingRestart: 60 });
    expect(config.device).toEqual({ name: 'tun7', type: 'tun', node: undefined });
  });

  it('passes over what is for Windows, with CRLF and byte order mark', () => {
    expect(optionsWith('windows-friendly', 'warning')).toEqual([
      'block-outside-dns',
      'register-dns',
      'route-method',
      'ip-win32',
      'windows-driver',
      'tap-sleep',
    ]);
    expect(configOf('windows-friendly').tls.ca).toMatchObject({ text: expect.stringMatching(/^-----BEGIN.*-----\n/) });
  });

  it('reads the numbers of a tuned profile', () => {
    const config = configOf('udp-tuned');
    expect(config.connections[0]).toMatchObject({
      remotePort: '1198',
      float: true,
      fragment: { bytes: 1300, mtuMode: true },
      mssFix: { bytes: 1300, mode: 'mtu' },
      mtuDiscovery: 'yes',
    });
    expect(config).toMatchObject({
      connectRetryMax: 5,
      replayWindow: { packets: 128, seconds: 20 },
      authRetry: 'nointeract',
      process: { mute: 20, muteReplayWarnings: true, remapUsr1: 'SIGHUP' },
      tunnel: { inactive: { seconds: 3600, bytes: 1000 }, sessionTimeoutSeconds: 86400, txQueueLength: 1000 },
      tls: { exit: true, handWindowSeconds: 30, tranWindowSeconds: 1800, renegBytes: 1073741824 },
    });
  });
});

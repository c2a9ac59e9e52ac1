import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/ip/address.ts';
import { type SocketAddress, socketAddress } from '../../src/ip/socket-address.ts';
import {
  type ClientScriptFacts,
  cleanCredential,
  clientEnvironment,
  credentialsFileText,
  DELETED_ADDRESS_ENVIRONMENT,
  learnAddressArguments,
  metadataEnvironment,
  NO_CLIENT_FACTS,
  peerInfoVariables,
  serverBase,
} from '../../src/server/server-environment.ts';

function socketOf(address: string, port: number): SocketAddress {
  const bytes = parseAddress(address);
  if (bytes === undefined) throw new Error(address);
  return socketAddress(bytes, port);
}

const base = { config: 'server.conf', dev: 'tun0', script_type: 'up', FOO: 'bar' };

const certificates = [
  {
    depth: 1,
    subject: 'C=DE, CN=Example CA',
    pem: 'PEM',
    subjectFields: [
      ['C', 'DE'],
      ['CN', 'Example CA'],
    ],
    commonName: 'Example CA',
    serialHex: '0A',
    sha1: Uint8Array.of(1),
    sha256: Uint8Array.of(2),
  },
  {
    depth: 0,
    subject: 'C=DE, CN=client',
    pem: 'PEM',
    subjectFields: [
      ['C', 'DE'],
      ['CN', 'client'],
    ],
    commonName: 'client',
    serialHex: '0B',
    sha1: Uint8Array.of(3),
    sha256: Uint8Array.of(4),
  },
] as const;

const whole: ClientScriptFacts = {
  certificates,
  commonName: 'max',
  untrusted: socketOf('192.0.2.2', 60582),
  trusted: socketOf('fd00:1::2', 60583),
  peerInfo: 'IV_VER=2.6.14\nIV_PROTO=990\nUV_HELLO=world\n',
  username: 'max',
  password: 'pw',
  session: { sessionId: 'UUC/46S0x/EMLAMk', sessionState: 'Initial' },
  authFiles: { control: '/tmp/acf', pending: '/tmp/apf', failedReason: '/tmp/afr' },
  connectFiles: { config: '/tmp/cc', deferred: '/tmp/ccr' },
  addresses: {
    v4: { local: '10.8.0.2', pushed: '203.0.113.7', remoteOrNetmask: '255.255.255.0' },
    v6: { local: 'fd00:8::1000', prefixLength: 64, remote: 'fd00:8::1' },
  },
  withNetmask: true,
  connected: { unixSeconds: 1795900596, localTime: '2026-11-28 21:16:36' },
  ended: { receivedBytes: 3371, sentBytes: 3064, durationSeconds: 5 },
};

const certificateVariables = {
  X509_1_C: 'DE',
  X509_1_CN: 'Example CA',
  tls_id_1: 'C=DE, CN=Example CA',
  tls_digest_1: '01',
  tls_digest_sha256_1: '02',
  tls_serial_1: '10',
  tls_serial_hex_1: '0a',
  X509_0_C: 'DE',
  X509_0_CN: 'client',
  tls_id_0: 'C=DE, CN=client',
  tls_digest_0: '03',
  tls_digest_sha256_0: '04',
  tls_serial_0: '11',
  tls_serial_hex_0: '0b',
};

// Names and values of OpenVPN 2.7.8.
describe('the environment of a server’s script', () => {
  it('of client-disconnect has all that was ever known, but for what was another’s', () => {
    expect(clientEnvironment('client-disconnect', base, whole, 3)).toEqual({
      ...{ config: 'server.conf', dev: 'tun0', FOO: 'bar', script_type: 'client-disconnect' },
      ...certificateVariables,
      ...{ untrusted_ip: '192.0.2.2', untrusted_port: '60582', trusted_ip6: 'fd00:1::2', trusted_port: '60583' },
      ...{ IV_VER: '2.6.14', IV_PROTO: '990', UV_HELLO: 'world' },
      ...{ common_name: 'max', username: 'max', session_id: 'UUC/46S0x/EMLAMk', session_state: 'Initial' },
      ...{ auth_control_file: '/tmp/acf', auth_pending_file: '/tmp/apf', auth_failed_reason_file: '/tmp/afr' },
      ...{ ifconfig_pool_remote_ip: '10.8.0.2', ifconfig_pool_netmask: '255.255.255.0' },
      ...{ ifconfig_pool_remote_ip6: 'fd00:8::1000', ifconfig_pool_local_ip6: 'fd00:8::1' },
      ...{ ifconfig_pool_ip6_netbits: '64', time_ascii: '2026-11-28 21:16:36', time_unix: '1795900596' },
      ...{ bytes_received: '3371', bytes_sent: '3064', time_duration: '5' },
    });
  });

  it('of tls-verify has the chain so far', () => {
    const facts = { ...NO_CLIENT_FACTS, certificates: certificates.slice(0, 1), untrusted: whole.untrusted };
    const environment = clientEnvironment('tls-verify', base, facts, 2);
    expect(environment).toMatchObject({ X509_1_CN: 'Example CA', untrusted_port: '60582', script_type: 'tls-verify' });
    expect(environment).not.toHaveProperty('common_name');
    expect(clientEnvironment('tls-verify', base, { ...facts, certificates }, 2)).toMatchObject({
      common_name: 'client',
    });
  });

  it('has the server’s end in place of a netmask under net30 and p2p', () => {
    const addresses = {
      v4: { local: '10.8.0.6', pushed: '10.8.0.6', remoteOrNetmask: '10.8.0.5' },
      v6: undefined,
    };
    const facts = { ...NO_CLIENT_FACTS, addresses, withNetmask: false };
    expect(clientEnvironment('client-connect', {}, facts, 2)).toEqual({
      ifconfig_pool_remote_ip: '10.8.0.6',
      ifconfig_pool_local_ip: '10.8.0.5',
      script_type: 'client-connect',
    });
  });

  it('has the files of client-connect there alone', () => {
    expect(clientEnvironment('client-connect', base, whole, 2)).toMatchObject({
      client_connect_config_file: '/tmp/cc',
      client_connect_deferred_file: '/tmp/ccr',
    });
    expect(clientEnvironment('learn-address', base, whole, 2)).not.toHaveProperty('client_connect_config_file');
  });

  it.each([
    ['user-pass-verify', 3, true],
    ['user-pass-verify', 2, false],
    ['client-connect', 3, false],
    ['client-disconnect', 3, false],
    ['learn-address', 3, false],
  ] as const)('of %s under script-security %i has the password: %s', (type, security, expected) => {
    expect('password' in clientEnvironment(type, base, whole, security)).toBe(expected);
  });

  it('has the peer’s words without their teeth', () => {
    const facts = { ...NO_CLIENT_FACTS, commonName: 'a\nPATH=/x', username: 'ä$x`"', peerInfo: 'UV_A=1\nPATH=/evil\n' };
    expect(clientEnvironment('client-connect', {}, facts, 2)).toEqual({
      UV_A: '1',
      common_name: 'aPATH=/x',
      username: 'ä$x`"',
      script_type: 'client-connect',
    });
  });

  it('of the server has a variable for each socket', () => {
    const origin = { file: 'f', line: 1 } as never;
    const up = {
      proto_1: 'udp',
      local_1: 'old',
      local_port_1: '1',
      local_port_9: '9',
      proto_x: 'stays',
      remote_port_1: '1194',
    };
    expect(
      serverBase(up, [
        { host: '198.51.100.1', port: '1194', proto: { transport: 'udp', family: 4 }, origin },
        { host: undefined, port: '1195', proto: { transport: 'tcp-server', family: 6 }, origin },
      ]),
    ).toEqual({
      proto_1: 'udp',
      local_1: '198.51.100.1',
      local_port_1: '1194',
      proto_2: 'tcp-server',
      local_port_2: '1195',
      proto_x: 'stays',
      remote_port_1: '1194',
    });
  });

  it('of those who know no client is small', () => {
    expect(metadataEnvironment(1, '/tmp/m')).toEqual({
      script_type: 'tls-crypt-v2-verify',
      metadata_type: '1',
      metadata_file: '/tmp/m',
    });
    expect(DELETED_ADDRESS_ENVIRONMENT).toEqual({ script_type: 'learn-address' });
  });
});

describe('a peer’s variables', () => {
  it.each([
    ['UV_BAD=a;b $(x)\n', { UV_BAD: 'a;b___x)' }],
    ['IV_A=1\nIV_A=2', { IV_A: '2' }],
    ['IV_SSL=OpenSSL 3\r\n', { IV_SSL: 'OpenSSL_3' }],
    ['UV_U=ä`\t\u0001', { UV_U: '_____' }],
    ['UV_E=\n', { UV_E: '' }],
    ['UV_EQ=a=b\n', { UV_EQ: 'a=b' }],
    ['PATH=/x\nLD_PRELOAD=/x\niv_x=1\nIV X=1\nIV_=1\nUV_Ü=1\nUV_-=1\n=\nUV_Z\n', { IV_: '1' }],
    [`UV_L=${'x'.repeat(300)}\n`, { UV_L: 'x'.repeat(250) }],
    ['', {}],
  ])('in %j', (text, expected) => {
    expect(Object.fromEntries(peerInfoVariables(text))).toEqual(expected);
  });

  it('are not without number', () => {
    const text = Array.from({ length: 1000 }, (_, index) => `UV_${index}=1`).join('\n');
    expect(peerInfoVariables(text).size).toBe(256);
  });
});

describe('what scripts are handed', () => {
  it('are the words of learn-address', () => {
    expect(learnAddressArguments('add', '10.8.0.2', 'client')).toEqual(['add', '10.8.0.2', 'client']);
    expect(learnAddressArguments('update', '10.8.0.2', undefined)).toEqual(['update', '10.8.0.2', 'UNDEF']);
    expect(learnAddressArguments('delete', '10.8.0.2', 'client')).toEqual(['delete', '10.8.0.2']);
  });

  it('are credentials on two lines that no name can make three of', () => {
    expect(credentialsFileText(cleanCredential('a\nb'), cleanCredential('p w\u0001\r"ö\u007f'))).toBe(
      'a_b\np w__"ö_\n',
    );
  });
});

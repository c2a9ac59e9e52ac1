import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { socketAddress } from '../../src/ip/socket-address.ts';
import type { CertificateFacts } from '../../src/tunnel/environment.ts';
import { makeTunnelPlan } from '../../src/tunnel/make-plan.ts';
import {
  ipChangeArguments,
  type ScriptFacts,
  scriptArguments,
  scriptEnvironment,
  tlsVerifyArguments,
} from '../../src/tunnel/script-environment.ts';
import { configOf, net30, optionsOf, planInput, subnet6 } from './profile.ts';

const authority: CertificateFacts = {
  depth: 1,
  subject: 'C=DE, O=Tn Test, CN=Tn CA',
  subjectFields: [
    ['C', 'DE'],
    ['O', 'Tn Test'],
    ['CN', 'Tn CA'],
  ],
  commonName: 'Tn CA',
  serialHex: '0871E39DF4690C67BBF6A0FE34A70C157C694226',
  sha1: Uint8Array.of(0x66, 0x48, 0xe3),
  sha256: Uint8Array.of(0x35, 0x57, 0x65),
};

const leaf: CertificateFacts = {
  ...authority,
  depth: 0,
  subject: 'OU=a, OU=b, CN=tn server',
  subjectFields: [
    ['OU', 'a'],
    ['OU', 'b'],
    ['CN', 'tn server'],
  ],
  commonName: 'tn server',
};

const server = socketAddress(parseAddress('198.51.100.1')!, 1194);

function factsOf(config: Config, over: Partial<ScriptFacts> = {}): ScriptFacts {
  return {
    config,
    configFile: 'office.ovpn',
    pid: 9025,
    startUnixSeconds: 1795438668,
    certificates: [],
    untrusted: undefined,
    trusted: undefined,
    options: undefined,
    plan: undefined,
    run: undefined,
    redirectGateway: undefined,
    signal: undefined,
    ...over,
  };
}

function tunnelFacts(lines: readonly string[], profile: readonly string[] = []): ScriptFacts {
  const { plan } = makeTunnelPlan(planInput(lines));
  const config = configOf(...profile);
  return factsOf(config, { options: optionsOf(...lines), plan, run: { device: 'tun0', context: 'init' } });
}

const settings = {
  config: 'office.ovpn',
  verb: '1',
  daemon: '0',
  daemon_log_redirect: '0',
  daemon_start_time: '1795438668',
  daemon_pid: '9025',
  proto_1: 'udp',
  local_port_1: '1194',
  remote_1: '198.51.100.1',
  remote_port_1: '1194',
};

describe('scriptEnvironment', () => {
  it('has the settings alone at first, and nothing of the process', () => {
    expect(scriptEnvironment('tls-verify', factsOf(configOf()))).toEqual({ ...settings, script_type: 'tls-verify' });
  });

  it('numbers every remote and its own port', () => {
    const config = configOf('remote vpn.example 443 tcp4', 'lport 5000', 'bind');
    expect(scriptEnvironment('up', factsOf(config))).toMatchObject({
      remote_1: '198.51.100.1',
      local_port_1: '5000',
      remote_2: 'vpn.example',
      remote_port_2: '443',
      proto_2: 'tcp4-client',
    });
  });

  it('names the proxy of every remote', () => {
    const blocks = ['<connection>', 'remote a 1 tcp-client', 'http-proxy p 3128', '</connection>'];
    blocks.push('<connection>', 'remote b 2 udp', 'socks-proxy s', '</connection>');
    const environment = scriptEnvironment('up', factsOf(configOf(...blocks)));
    expect(environment).toMatchObject({
      http_proxy_server_1: 'p',
      http_proxy_port_1: '3128',
      socks_proxy_server_2: 's',
      socks_proxy_port_2: '1080',
    });
    expect(Object.keys(environment).filter((name) => /proxy/.test(name)).length).toBe(4);
  });

  it('tells a local port also where none is bound, as 2.7 does, and of further remotes only where one is', () => {
    const environment = (...lines: string[]) =>
      scriptEnvironment('up', factsOf(configOf('remote vpn.example 443', ...lines)));
    const unbound = environment('port 5000', 'nobind');
    expect(unbound.local_port_1).toBe('5000');
    expect(unbound.local_port_2).toBeUndefined();
    expect(environment('bind')).toMatchObject({ local_port_1: '1194', local_port_2: '1194' });
  });

  it('grows with each certificate that is verified', () => {
    expect(
      scriptEnvironment('tls-verify', factsOf(configOf(), { certificates: [authority], untrusted: server })),
    ).toEqual({
      ...settings,
      script_type: 'tls-verify',
      untrusted_ip: '198.51.100.1',
      untrusted_port: '1194',
      X509_1_C: 'DE',
      X509_1_O: 'Tn Test',
      X509_1_CN: 'Tn CA',
      tls_id_1: 'C=DE, O=Tn Test, CN=Tn CA',
      tls_digest_1: '66:48:e3',
      tls_digest_sha256_1: '35:57:65',
      tls_serial_1: '48211738612139866521439700097111030232827642406',
      tls_serial_hex_1: '08:71:e3:9d:f4:69:0c:67:bb:f6:a0:fe:34:a7:0c:15:7c:69:42:26',
    });
    const both = scriptEnvironment('tls-verify', factsOf(configOf(), { certificates: [authority, leaf] }));
    expect(both).toMatchObject({ common_name: 'tn server', X509_0_OU: 'a', X509_0_OU_1: 'b' });
  });

  it('tells the tunnel as the C program does', () => {
    const lines = [
      ...subnet6,
      'route 10.20.0.0 255.255.0.0',
      'route 10.21.0.0 255.255.0.0 vpn_gateway 77',
      'route remote_host 255.255.255.255 net_gateway',
      'route-ipv6 fd00:99::/48',
      'setenv-safe FOO bar',
    ];
    expect(scriptEnvironment('up', tunnelFacts(lines))).toEqual({
      ...settings,
      script_type: 'up',
      script_context: 'init',
      dev: 'tun0',
      dev_type: 'tun',
      tun_mtu: '1500',
      OPENVPN_FOO: 'bar',
      ifconfig_local: '10.8.0.2',
      ifconfig_netmask: '255.255.255.0',
      ifconfig_ipv6_local: 'fd00:8::1000',
      ifconfig_ipv6_netbits: '64',
      ifconfig_ipv6_remote: 'fd00:8::1',
      net_gateway_ipv6: '2001:db8:1::1',
      route_net_gateway: '192.0.2.1',
      route_vpn_gateway: '10.8.0.1',
      route_network_1: '10.20.0.0',
      route_netmask_1: '255.255.0.0',
      route_gateway_1: '10.8.0.1',
      route_network_2: '10.21.0.0',
      route_netmask_2: '255.255.0.0',
      route_gateway_2: '10.8.0.1',
      route_metric_2: '77',
      route_network_3: '198.51.100.1',
      route_netmask_3: '255.255.255.255',
      route_gateway_3: '192.0.2.1',
      route_ipv6_network_1: 'fd00:99::/48',
      route_ipv6_gateway_1: 'fd00:8::1',
    });
  });

  it('names the remote end of a pair', () => {
    const environment = scriptEnvironment('up', tunnelFacts([...net30, 'route 10.9.0.1']));
    expect(environment).toMatchObject({ ifconfig_remote: '10.8.0.5', route_vpn_gateway: '10.8.0.5' });
    expect(environment).not.toHaveProperty('ifconfig_netmask');
  });

  it('tells gateways of a family only where something of it is routed', () => {
    const gateways = (...lines: string[]) =>
      Object.keys(scriptEnvironment('up', tunnelFacts([...subnet6, ...lines]))).filter((name) =>
        /^(route_net_gateway|route_vpn_gateway|net_gateway_ipv6)$/.test(name),
      );
    expect(gateways()).toEqual([]);
    expect(gateways('route 10.9.0.1')).toEqual(['route_net_gateway', 'route_vpn_gateway']);
    expect(gateways('redirect-private')).toEqual(['route_net_gateway', 'route_vpn_gateway']);
    expect(gateways('route-ipv6 fd00:99::/48')).toEqual(['net_gateway_ipv6']);
  });

  it('has what the profile states before anything is pushed', () => {
    const config = configOf('setenv FOO bar', 'setenv-safe bar baz', 'dhcp-option DNS 10.8.0.1');
    expect(scriptEnvironment('tls-verify', factsOf(config))).toMatchObject({
      FOO: 'bar',
      OPENVPN_bar: 'baz',
      foreign_option_1: 'dhcp-option DNS 10.8.0.1',
    });
  });

  it('tells a redirection by its strength, and leaves its routes out', () => {
    const facts = tunnelFacts([...subnet6, 'redirect-gateway def1 ipv6 block-local']);
    const environment = scriptEnvironment('route-up', { ...facts, redirectGateway: true });
    expect(environment).toMatchObject({
      redirect_gateway: '1',
      route_redirect_gateway_ipv4: '2',
      route_redirect_gateway_ipv6: '2',
      route_network_1: '192.0.2.128',
      route_ipv6_network_1: '::/3',
    });
    expect(environment).not.toHaveProperty('route_network_3');
  });

  it('says dns servers both ways', () => {
    const lines = [
      'dns server 1 address 10.8.0.1 [fd00:8::1]:53',
      'dns server 1 resolve-domains a.example',
      'dns search-domains s.example',
      'dhcp-option DNS 10.9.9.9',
      'dhcp-option NTP 10.8.0.3',
    ];
    expect(
      scriptEnvironment('up', tunnelFacts([...subnet6, ...lines], ['script-security 2', 'up /bin/true'])),
    ).toMatchObject({
      dns_search_domain_1: 's.example',
      dns_server_1_address_1: '10.8.0.1',
      dns_server_1_address_2: 'fd00:8::1',
      dns_server_1_port_2: '53',
      dns_server_1_resolve_domain_1: 'a.example',
      foreign_option_1: 'dhcp-option NTP 10.8.0.3',
      foreign_option_2: 'dhcp-option DOMAIN s.example',
      foreign_option_3: 'dhcp-option DNS 10.8.0.1',
      foreign_option_4: 'dhcp-option DNS6 fd00:8::1',
    });
  });

  it('keeps dhcp-option lines as they are where there is no dns server', () => {
    const lines = ['dhcp-option DNS 10.8.0.1', 'dhcp-option DOMAIN corp.example', 'dhcp-option DISABLE-NBT'];
    const environment = scriptEnvironment('up', tunnelFacts([...subnet6, ...lines]));
    expect(environment).toMatchObject({
      foreign_option_1: 'dhcp-option DNS 10.8.0.1',
      foreign_option_2: 'dhcp-option DOMAIN corp.example',
      foreign_option_3: 'dhcp-option DISABLE-NBT',
    });
    expect(Object.keys(environment).filter((name) => name.startsWith('dns_'))).toEqual([]);
  });

  it('lets no line break and no other name through a peer’s text', () => {
    const evil: CertificateFacts = {
      ...leaf,
      subjectFields: [
        ['CN', 'x\nLD_PRELOAD=/tmp/x.so'],
        ['2.5.4.97=a b', 'y'],
      ],
      commonName: 'x\n\u007fLD_PRELOAD=1',
    };
    const options = { ...optionsOf(), setenv: [['A\nB=c-d', 'v\0\r\nw']] as const };
    const environment = scriptEnvironment('up', factsOf(configOf(), { certificates: [evil], options }));
    expect(environment).toMatchObject({
      X509_0_CN: 'x_LD_PRELOAD=/tmp/x.so',
      X509_0_25497ab: 'y',
      common_name: 'xLD_PRELOAD=1',
      ABcd: 'vw',
    });
    for (const [name, value] of Object.entries(environment)) {
      expect(name).toMatch(/^[A-Za-z0-9_]+$/);
      expect(value).not.toMatch(/[\0-\x1f\x7f]/);
    }
  });

  it('hides passwords below script-security 3', () => {
    const setenv = [['password', 'secret']] as const;
    const at = (level: number) => factsOf({ ...configOf(`script-security ${level}`), setenv });
    expect(scriptEnvironment('up', at(2))).not.toHaveProperty('password');
    expect(scriptEnvironment('up', at(3))).toMatchObject({ password: 'secret' });
  });

  it('tells an IPv6 peer by its own names, and an IPv4 one behind a dual-stack socket as IPv4', () => {
    const v6 = socketAddress(parseAddress('2001:db8:2::1')!, 443);
    const mapped = socketAddress(parseAddress('::ffff:198.51.100.1')!, 443);
    expect(scriptEnvironment('ipchange', factsOf(configOf(), { trusted: v6, untrusted: mapped }))).toMatchObject({
      trusted_ip6: '2001:db8:2::1',
      trusted_port: '443',
      untrusted_ip: '198.51.100.1',
    });
  });
});

describe('arguments of scripts', () => {
  it('are those of the C program', () => {
    const { plan } = makeTunnelPlan(planInput(subnet6));
    const run = { device: 'tun0', context: 'init' } as const;
    expect(scriptArguments(plan, run)).toEqual(['tun0', '1500', '0', '10.8.0.2', '255.255.255.0', 'init']);
    expect(ipChangeArguments(server)).toEqual(['[AF_INET]198.51.100.1 1194']);
    expect(tlsVerifyArguments(leaf)).toEqual(['0', 'OU=a, OU=b, CN=tn server']);
  });

  it('leave out addresses that the tunnel does not have', () => {
    const { plan } = makeTunnelPlan(planInput(['ifconfig-ipv6 fd00:8::1000/64 fd00:8::1']));
    expect(scriptArguments(plan, { device: 'tun0', context: 'restart' })).toEqual(['tun0', '1500', '0', 'restart']);
  });
});

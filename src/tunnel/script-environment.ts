// The environment that scripts see. It grows over a connection's life as in the C program: settings at start, the peer's
// certificates as they are verified, addresses and routes with the tunnel. The caller holds the facts; this file
// knows the names. Observed with OpenVPN 2.6.14 and 2.7.8, client side.

import type { Config, TunnelOptions } from '../config/config.ts';
import { formatAddress } from '../ip/address.ts';
import { lengthToNetmask, parsePrefix } from '../ip/prefix.ts';
import { type SocketAddress, unmapSocketAddress } from '../ip/socket-address.ts';
import { foreignOptions, makeDnsPlan } from './dns-plan.ts';
import { addCertificate, addPeer, type CertificateFacts, Environment, type ScriptEnvironment } from './environment.ts';
import type { DnsPlan, PlannedRoute, TunnelPlan } from './plan.ts';

/** The facts known so far; leave out what is not known yet. */
export interface ScriptFacts {
  readonly config: Config;
  /** The file of the profile as it was named; undefined when all came by the command line. */
  readonly configFile: string | undefined;
  readonly pid: number;
  readonly startUnixSeconds: number;
  /** Verified so far, in the order of verification: the issuer first. */
  readonly certificates: readonly CertificateFacts[];
  /** The address that the first authentic packet came from … */
  readonly untrusted: SocketAddress | undefined;
  /** … and the one whose TLS session is complete. */
  readonly trusted: SocketAddress | undefined;
  /** Options with the pushed ones laid over them; until then undefined, and the profile's own count. */
  readonly options: TunnelOptions | undefined;
  readonly plan: TunnelPlan | undefined;
  /** What `up`, `down` and their like are told, from the first of them on. */
  readonly run: ScriptRun | undefined;
  /** The plan's `redirect4` once its routes are set; undefined before, and under `route-noexec`. */
  readonly redirectGateway: boolean | undefined;
  /** Why the tunnel goes down, as `sigterm`, `sigusr1`, `ping-restart`, `auth-failure` … */
  readonly signal: string | undefined;
}

export interface ScriptRun {
  readonly device: string;
  readonly context: 'init' | 'restart';
}

/** The whole environment for a script of the given type; nothing of the process's own environment is in it. */
export function scriptEnvironment(scriptType: string, facts: ScriptFacts): ScriptEnvironment {
  const { config, plan } = facts;
  const options = facts.options ?? config.tunnel;
  const environment = new Environment();
  addSettings(environment, facts);
  for (const certificate of facts.certificates) addCertificate(environment, certificate);
  addPeer(environment, 'untrusted', facts.untrusted);
  addPeer(environment, 'trusted', facts.trusted);
  for (const [name, value] of config.setenv) environment.set(name, value);
  addOptions(environment, options, config);
  if (plan !== undefined) addPlan(environment, plan, options);
  if (facts.redirectGateway !== undefined) environment.set('redirect_gateway', facts.redirectGateway ? '1' : '0');
  if (facts.run !== undefined && plan !== undefined) addRun(environment, facts.run, plan);
  if (facts.signal !== undefined) environment.set('signal', facts.signal);
  environment.set('script_type', scriptType);
  return environment.values(config.scripts.security);
}

/** The arguments that `up`, `down` and `route-pre-down` get after those of the profile. */
export function scriptArguments(plan: TunnelPlan, run: ScriptRun): string[] {
  const { address4 } = plan;
  const local = address4?.local ?? '';
  const remote = address4?.remote ?? address4?.netmask ?? '';
  // The zero stands where the link MTU stood before OpenVPN 2.6. Unknown addresses are left out, not given empty.
  return [run.device, String(plan.mtuBytes), '0', local, remote, run.context].filter((word) => word !== '');
}

/** What `ipchange` gets, address and port in one argument: `[AF_INET]198.51.100.1 1194`. Observed with OpenVPN 2.6.14. */
export function ipChangeArguments(trusted: SocketAddress): string[] {
  const { family, address, port } = unmapSocketAddress(trusted);
  return [`[AF_INET${family === 4 ? '' : '6'}]${formatAddress(address)} ${port}`];
}

/** The arguments that `tls-verify` gets for one certificate. */
export function tlsVerifyArguments(certificate: CertificateFacts): string[] {
  return [String(certificate.depth), certificate.subject];
}

function addSettings(environment: Environment, facts: ScriptFacts): void {
  const { config } = facts;
  if (facts.configFile !== undefined) environment.set('config', facts.configFile);
  environment.set('verb', String(config.process.verb));
  environment.set('daemon', config.process.daemon === undefined ? '0' : '1');
  environment.set('daemon_log_redirect', config.process.log === undefined ? '0' : '1');
  environment.set('daemon_start_time', String(facts.startUnixSeconds));
  environment.set('daemon_pid', String(facts.pid));
  for (const [index, connection] of config.connections.entries()) {
    const n = index + 1;
    const { transport, family } = connection.proto;
    environment.set(`proto_${n}`, `${transport.replace('tcp', family === undefined ? 'tcp' : `tcp${family}`)}`);
    if (transport === 'udp' && family !== undefined) environment.set(`proto_${n}`, `udp${family}`);
    if (connection.localHost !== undefined) environment.set(`local_${n}`, connection.localHost);
    // 2.6: of each remote whose socket is bound. 2.7: the profile's own, once, bound or not.
    if (connection.bindLocal || n === 1) environment.set(`local_port_${n}`, connection.localPort);
    if (connection.remote !== undefined) environment.set(`remote_${n}`, connection.remote);
    environment.set(`remote_port_${n}`, connection.remotePort);
    for (const [kind, proxy] of [
      ['http', connection.httpProxy],
      ['socks', connection.socksProxy],
    ] as const) {
      if (proxy === undefined) continue;
      environment.set(`${kind}_proxy_server_${n}`, proxy.host);
      environment.set(`${kind}_proxy_port_${n}`, proxy.port);
    }
  }
}

function addOptions(environment: Environment, options: TunnelOptions, config: Config): void {
  for (const [name, value] of options.setenv) environment.set(name, value);
  const { redirectGateway, redirectPrivate } = options;
  const flags = [redirectGateway, redirectPrivate];
  const strength = flags.some((flag) => flag?.blockLocal) ? '2' : '1';
  if (redirectGateway?.ipv4) environment.set('route_redirect_gateway_ipv4', strength);
  if (flags.some((flag) => flag?.ipv6)) environment.set('route_redirect_gateway_ipv6', strength);
  addDns(environment, options);
  const { dnsUpdown, up } = config.scripts;
  const dnsUpdownStated = dnsUpdown !== undefined && dnsUpdown !== 'disable';
  for (const [index, text] of foreignOptions(options, dnsUpdownStated, up !== undefined).entries()) {
    environment.set(`foreign_option_${index + 1}`, text);
  }
}

function addPlan(environment: Environment, plan: TunnelPlan, options: TunnelOptions): void {
  const { address4, address6 } = plan;
  if (address4 !== undefined) {
    environment.set('ifconfig_local', address4.local);
    if (address4.remote !== undefined) environment.set('ifconfig_remote', address4.remote);
    if (address4.netmask !== undefined) environment.set('ifconfig_netmask', address4.netmask);
  }
  if (address6 !== undefined) {
    environment.set('ifconfig_ipv6_local', address6.local);
    environment.set('ifconfig_ipv6_netbits', String(address6.prefixLength));
    if (address6.remote !== undefined) environment.set('ifconfig_ipv6_remote', address6.remote);
  }
  // Gateways are told where there is something to route, and otherwise not.
  const { routes, routes6, redirectGateway, redirectPrivate } = options;
  const redirected = [redirectGateway, redirectPrivate].filter((flags) => flags !== undefined);
  if (routes.length > 0 || redirected.length > 0) {
    if (plan.netGateway4 !== undefined) environment.set('route_net_gateway', plan.netGateway4);
    if (plan.vpnGateway4 !== undefined) environment.set('route_vpn_gateway', plan.vpnGateway4);
  }
  if (routes6.length > 0 || redirected.some(({ ipv6 }) => ipv6)) {
    if (plan.netGateway6 !== undefined) environment.set('net_gateway_ipv6', plan.netGateway6);
  }
  addRoutes(environment, plan.routes);
}

/** IPv4: the stated routes and those of block-local. IPv6: all that lead somewhere, the redirection's too. */
function addRoutes(environment: Environment, routes: readonly PlannedRoute[]): void {
  let count4 = 0;
  let count6 = 0;
  for (const { prefix, statedGateway, metric, origin } of routes) {
    if (origin === 'ipv6-leak') continue;
    if (prefix.includes(':')) {
      count6++;
      environment.set(`route_ipv6_network_${count6}`, prefix);
      environment.set(`route_ipv6_gateway_${count6}`, statedGateway ?? '::');
      if (metric !== undefined) environment.set(`route_ipv6_metric_${count6}`, String(metric));
      continue;
    }
    if (origin === 'redirect-gateway' || origin === 'host-route' || origin === 'bypass') continue;
    const parsed = parsePrefix(prefix);
    if (parsed === undefined) continue;
    count4++;
    environment.set(`route_network_${count4}`, formatAddress(parsed.address));
    environment.set(`route_netmask_${count4}`, formatAddress(lengthToNetmask(parsed.length, 4)));
    environment.set(`route_gateway_${count4}`, statedGateway ?? '0.0.0.0');
    if (metric !== undefined) environment.set(`route_metric_${count4}`, String(metric));
  }
}

/** What `dns-updown` sees, and nothing else: the name servers of the tunnel, by whichever option they were stated. */
export function dnsEnvironment(type: 'dns-up' | 'dns-down', device: string, { dns }: TunnelPlan): ScriptEnvironment {
  const environment = new Environment();
  environment.set('dev', device);
  environment.set('script_type', type);
  addDnsPlan(environment, dns);
  return environment.values(0);
}

/** What `--dns` states; `dhcp-option` lines have their foreign options. */
function addDns(environment: Environment, options: TunnelOptions): void {
  const servers = options.dns.length === 0 ? [] : makeDnsPlan(options).servers;
  addDnsPlan(environment, { servers, searchDomains: options.dnsSearchDomains });
}

function addDnsPlan(environment: Environment, { servers, searchDomains: domains }: DnsPlan): void {
  for (const [index, domain] of domains.entries()) environment.set(`dns_search_domain_${index + 1}`, domain);
  for (const [index, server] of servers.entries()) {
    const name = `dns_server_${index + 1}`;
    for (const [position, { address, port }] of server.addresses.entries()) {
      environment.set(`${name}_address_${position + 1}`, address);
      if (port !== undefined) environment.set(`${name}_port_${position + 1}`, String(port));
    }
    for (const [position, domain] of server.resolveDomains.entries()) {
      environment.set(`${name}_resolve_domain_${position + 1}`, domain);
    }
    if (server.dnssec !== undefined) environment.set(`${name}_dnssec`, server.dnssec);
    if (server.transport !== undefined) environment.set(`${name}_transport`, server.transport);
    if (server.sni !== undefined) environment.set(`${name}_sni`, server.sni);
  }
}

function addRun(environment: Environment, run: ScriptRun, plan: TunnelPlan): void {
  environment.set('script_context', run.context);
  environment.set('tun_mtu', String(plan.mtuBytes));
  environment.set('dev', run.device);
  environment.set('dev_type', plan.layer);
}

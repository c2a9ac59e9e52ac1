// Profiles and pushed options as tests write them: lines of text through the real parsers.

import type { Config, TunnelOptions } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse.ts';
import type { HostFacts } from '../../src/tunnel/host-facts.ts';
import type { TunnelPlanInput } from '../../src/tunnel/planning.ts';

/** A client's configuration with these lines beside the needed ones. */
export function configOf(...lines: string[]): Config {
  const text = ['client', 'dev tun', 'remote 198.51.100.1', 'auth-user-pass', '<ca>', 'x', '</ca>', ...lines, ''].join(
    '\n',
  );
  const { config, findings } = parseConfig({ text, file: 'office.ovpn' }, { readText: () => undefined });
  if (config === undefined) throw new Error(JSON.stringify(findings.filter(({ severity }) => severity === 'error')));
  return config;
}

/** The tunnel options that these lines state. */
export function optionsOf(...lines: string[]): TunnelOptions {
  return configOf(...lines).tunnel;
}

/** A host with one network card, a default route in both families and a server beyond the gateway. */
export const facts: HostFacts = {
  netGateway4: {
    gateway: '192.0.2.1',
    device: 'eth0',
    prefixLength: 24,
    linkAddress: '02:00:00:00:00:01',
    addresses: [{ address: '192.0.2.2', prefixLength: 24 }],
  },
  netGateway6: {
    gateway: '2001:db8:1::1',
    device: 'eth0',
    prefixLength: 64,
    linkAddress: '02:00:00:00:00:01',
    addresses: [{ address: '2001:db8:1::2', prefixLength: 64 }],
  },
  get serverGateway4() {
    return this.netGateway4;
  },
  get serverGateway6() {
    return this.netGateway6;
  },
  defaultRoutes4: [
    { prefix: '0.0.0.0/0', gateway: '192.0.2.1', device: 'eth0', metric: 100, table: undefined, exact: '0a' },
  ],
  defaultRoutes6: [],
  addresses: [
    { device: 'eth0', address: '192.0.2.2', prefixLength: 24 },
    { device: 'eth0', address: '2001:db8:1::2', prefixLength: 64 },
  ],
  refusingMetrics6: [],
};

/** The facts where the server is on the host's own network. */
export const serverOnLink: HostFacts = {
  ...facts,
  serverGateway4: { ...facts.netGateway4!, gateway: undefined, prefixLength: undefined },
  serverGateway6: { ...facts.netGateway6!, gateway: undefined, prefixLength: undefined },
};

/** What a plan is made of, with the tunnel of a server of topology subnet unless the lines say otherwise. */
export function planInput(lines: readonly string[], over: Partial<TunnelPlanInput> = {}): TunnelPlanInput {
  const options = optionsOf(...lines);
  return {
    device: { name: 'tun', type: 'tun', node: undefined },
    options,
    profile: optionsOf(),
    tunMtuBytes: 1500,
    server: '198.51.100.1',
    facts,
    resolved: new Map(),
    ...over,
  };
}

export const subnet = ['topology subnet', 'ifconfig 10.8.0.2 255.255.255.0', 'route-gateway 10.8.0.1'];
export const subnet6 = [...subnet, 'ifconfig-ipv6 fd00:8::1000/64 fd00:8::1'];
export const net30 = ['topology net30', 'ifconfig 10.8.0.6 10.8.0.5'];

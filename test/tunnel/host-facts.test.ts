import { describe, expect, it } from 'vitest';
import { noteCommonSubnet, readHostFacts } from '../../src/tunnel/host-facts.ts';
import { HostError } from '../../src/tunnel/ports.ts';
import { FakeHost } from './fake-host.ts';

function factsOf(host: FakeHost, server: string | undefined) {
  const lines: string[] = [];
  const facts = readHostFacts(host.network, server, (_, text) => lines.push(text));
  return { facts, lines };
}

describe('readHostFacts', () => {
  it('finds the way out and says it in the words of the C program', () => {
    const { facts, lines } = factsOf(new FakeHost(), '198.51.100.1');
    expect(facts.netGateway4).toEqual({
      gateway: '192.0.2.1',
      device: 'eth0',
      prefixLength: 24,
      linkAddress: '02:00:00:00:00:01',
      addresses: [{ device: 'eth0', address: '192.0.2.2', prefixLength: 24, remote: undefined }],
    });
    expect(lines).toEqual([
      'ROUTE_GATEWAY 192.0.2.1/255.255.255.0 IFACE=eth0 HWADDR=02:00:00:00:00:01',
      'ROUTE6_GATEWAY 2001:db8:1::1 IFACE=eth0',
    ]);
  });

  it('tells a server on this network from one beyond the gateway', () => {
    expect(factsOf(new FakeHost(), '198.51.100.1').facts.serverGateway4?.gateway).toBe('192.0.2.1');
    expect(factsOf(new FakeHost(), '192.0.2.9').facts.serverGateway4).toMatchObject({
      gateway: undefined,
      device: 'eth0',
    });
    expect(factsOf(new FakeHost(), '2001:db8:1::9').facts.serverGateway6).toMatchObject({ gateway: undefined });
  });

  it('takes the default route for the family that the server is not of', () => {
    const { facts } = factsOf(new FakeHost(), '2001:db8:2::1');
    expect(facts.serverGateway4).toEqual(facts.netGateway4);
  });

  it.each([
    ['192.168.0.1', 24, true],
    ['192.168.1.1', 24, true],
    ['192.168.1.1', 16, true],
    ['192.168.2.1', 24, false],
    ['10.0.0.1', 24, false],
  ])('notes at a server that its way out %s/%s is in a network of many homes: %s', (gateway, prefixLength, noted) => {
    const { facts } = factsOf(new FakeHost(), undefined);
    const lines: string[] = [];
    const netGateway4 = { ...facts.netGateway4!, gateway, prefixLength };
    noteCommonSubnet({ ...facts, netGateway4 }, (_, text) => lines.push(text));
    expect(lines.filter((line) => line.startsWith('NOTE: your local LAN uses'))).toHaveLength(noted ? 1 : 0);
  });

  it('knows nothing of a host that does not answer', () => {
    const host = new FakeHost();
    const silent = () => {
      throw new HostError('EPERM', 'Operation not permitted');
    };
    const network = { ...host.network, lookup: silent, defaultRoutes: silent, addressesOf: silent, addresses: silent };
    const lines: string[] = [];
    const facts = readHostFacts(network, '198.51.100.1', (_, text) => lines.push(text));
    expect(facts).toMatchObject({
      netGateway4: undefined,
      serverGateway4: undefined,
      defaultRoutes4: [],
      addresses: [],
    });
    expect(lines).toEqual(['ROUTE: default_gateway=UNDEF', 'ROUTE6: default_gateway=UNDEF']);
  });
});

// `sallyport explain` on hosts with real resolvers and tunnels: what it says of a name and an address is what then happens.

import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { DnsHost, hasResolvers, type Resolver } from '../lab/dns-host.ts';
import { tunnel, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { clientCommand, isOurs, labSuite } from '../lab/requirements.ts';

const PUSHED = [
  'redirect-gateway def1',
  'route 10.77.0.0 255.255.255.0',
  'dns server 1 address 10.8.0.1',
  'dns server 1 resolve-domains lab.example',
].map((option) => `push "${option}"`);

interface Way {
  readonly address: string;
  readonly verdict: string;
  readonly tunnel: { readonly name: string | null; readonly device: string } | null;
  readonly because: string | null;
  readonly rule: { readonly priority: number } | null;
  readonly prefix: string | null;
}
interface Answer {
  readonly name: {
    readonly asks?: string;
    readonly because: string;
    readonly servers?: readonly { readonly address: string; readonly device: string | null; readonly way: Way }[];
  } | null;
  readonly addresses: readonly Way[];
}

describe.skipIf(!isOurs || !hasResolvers)('explain', () => {
  labSuite('on a host with tunnels', () => {
    const lab = useLab();
    let host: DnsHost | undefined;
    afterEach(() => host?.end());

    /** A host with this resolver and a tunnel up; how to ask there, as root or as another user. */
    async function begin(resolver: Resolver, ...flags: readonly string[]) {
      await lab().server({ lines: PUSHED });
      const here = await DnsHost.start(lab(), resolver);
      host = here;
      const folder = await lab().directory('desktop');
      const env = ['env', `SALLYPORT_PROFILES=${folder}`, `SALLYPORT_RUNTIME=${join(folder, 'run')}`];
      const sallyport = (...words: string[]) => here.run(...env, ...clientCommand('sallyport'), ...words);
      await sallyport('import', await lab().clientConfig(), '--name', 'office');
      expect(await sallyport('up', 'office', ...flags)).toMatch(/^office is connected/);
      const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
      return {
        here,
        sallyport,
        ask: async (what: string) => JSON.parse(await sallyport('explain', what, '--json')) as Answer,
        asNobody: (what: string) => here.run(...nobody, ...env, ...clientCommand('sallyport'), 'explain', what),
      };
    }

    it.each(['resolved', 'dnsmasq on the bus', 'dnsmasq with a file'] as const)(
      'tells names of the tunnel from others, with %s',
      async (resolver) => {
        const { here, ask, sallyport } = await begin(resolver, '--only-its-networks');
        const own = await ask('a.lab.example');
        expect(own.name).toMatchObject({ asks: resolver === 'resolved' ? 'systemd-resolved' : 'dnsmasq' });
        expect(own.name?.servers).toMatchObject([
          { address: tunnel.server4, way: { verdict: 'tunnel', tunnel: { name: 'office', device: 'tun0' } } },
        ]);
        expect(own.name?.because).toContain('lab.example');
        expect(own.addresses[0]?.address).toBe(await here.address('a.lab.example'));
        const other = await ask('any.example');
        expect(other.name?.servers).toMatchObject([{ address: address.gateway4, way: { verdict: 'direct' } }]);
        expect(other.addresses[0]?.address).toBe(await here.address('any.example'));
        await sallyport('down');
      },
    );

    it('tells the file that the tunnel has written', async () => {
      const { ask, sallyport } = await begin('file');
      const { name } = await ask('any.example');
      expect(name).toMatchObject({ asks: '/etc/resolv.conf', servers: [{ address: tunnel.server4 }] });
      expect(name?.because).toContain('which Sallyport wrote for tun0');
      await sallyport('down');
      expect((await ask('any.example')).name?.because).not.toContain('Sallyport');
    });

    it('tells the way of addresses, and who made it', async () => {
      const { ask, asNobody, sallyport } = await begin('file');
      expect((await ask(address.office4)).addresses).toMatchObject([
        { verdict: 'tunnel', tunnel: { name: 'office' }, prefix: '10.77.0.0/24', rule: { priority: 32766 } },
      ]);
      const because = async (what: string) => (await ask(what)).addresses[0]?.because;
      expect(await because(address.office4)).toBe('the server of office pushed this route');
      expect(await because(address.world4)).toBe('office takes everything (redirect-gateway)');
      expect(await because(address.server4)).toMatch(/^this is the server of office/);
      expect(await because('2001:db8::1')).toMatch(/^IPv6 is blocked while office is up/);
      expect(await because(tunnel.server4)).toBe('this is the network of office itself');
      expect((await ask(address.client4)).addresses[0]?.verdict).toBe('local');
      // Without rights: everything but the name of the tunnel, which is root's.
      expect(await asNobody(address.office4)).toMatch(
        /^10\.77\.0\.1 goes through a tunnel \(tun0\) of another program or user\.\n {2}route {5}10\.77\.0\.0\/24 via 10\.8\.0\.1 dev tun0/,
      );
      await sallyport('down');
    });
  });
});

// A desktop: real NetworkManager and its real OpenVPN plugin, which starts what stands in the place of /usr/sbin/openvpn.

import { afterEach, expect, it } from 'vitest';
import { up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { type DesktopOptions, NetworkManagerHost } from '../lab/network-manager.ts';
import { labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

labSuite('NetworkManager', () => {
  const lab = useLab();
  let host: NetworkManagerHost | undefined;
  afterEach(() => host?.end());

  const desktop = async (options: DesktopOptions = {}): Promise<NetworkManagerHost> => {
    host = await NetworkManagerHost.start(lab(), options);
    return host;
  };

  it('connects by the real openvpn, and everything is as it was after the end', async () => {
    await lab().server({
      lines: [
        'push "dhcp-option DNS 10.8.0.1"',
        'push "dhcp-option DOMAIN corp.example"',
        'push "route 10.77.0.0 255.255.255.0"',
      ],
    });
    const host = await desktop({ dns: 'default' });
    const before = await host.state();
    expect(await host.import('office', lab().clientLines())).toContain('successfully added');
    await host.nmcli('connection', 'up', 'office');
    expect(await host.active()).toContain('office:activated');
    expect(host.messages().some((line) => up.test(line))).toBe(true);
    expect(await pings(lab().net.client, address.office4)).toBe(true);
    const { routes, resolvConf } = await host.state('office');
    expect(routes).toContain('10.77.0.0/24 via 10.8.0.1 dev tun0 proto static metric 50');
    expect(resolvConf).toContain('nameserver 10.8.0.1');
    await host.nmcli('connection', 'down', 'office');
    expect(await host.state()).toEqual(before);
  });
});

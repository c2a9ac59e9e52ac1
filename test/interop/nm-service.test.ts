// A desktop whose NetworkManager starts our service in the place of network-manager-openvpn's.

import { afterEach, expect, it } from 'vitest';
import { useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { type DesktopOptions, NetworkManagerHost } from '../lab/network-manager.ts';
import { packagedService } from '../lab/network-manager-service.ts';
import { labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

labSuite("NetworkManager with Sallyport's service", () => {
  const lab = useLab();
  let host: NetworkManagerHost | undefined;
  afterEach(() => host?.end());

  const desktop = async (options: DesktopOptions = {}): Promise<NetworkManagerHost> => {
    host = await NetworkManagerHost.start(lab(), { program: await packagedService(lab()), ...options });
    return host;
  };

  it('connects by certificate, and everything is as it was after the end', async () => {
    await lab().server({
      lines: [
        'push "dhcp-option DNS 10.8.0.1"',
        'push "dhcp-option DOMAIN corp.example"',
        'push "route 10.77.0.0 255.255.255.0"',
      ],
    });
    const host = await desktop();
    const before = await host.state();
    expect(await host.import('office', lab().clientLines())).toContain('successfully added');
    try {
      await host.nmcli('connection', 'up', 'office');
    } catch (error) {
      throw new Error(`${error}\n${host.log.tail()}\n${host.messages().join('\n')}`);
    }
    expect(await host.active()).toContain('office:activated');
    expect(await pings(lab().net.client, address.office4)).toBe(true);
    const state = await host.state('office');
    console.log(JSON.stringify(state, null, 1), host.messages().join('\n'), host.log.tail());
    expect(state.routes).toContain('10.77.0.0/24 via 10.8.0.1 dev tun0 proto static metric 50');
    expect(state.resolvConf).toContain('nameserver 10.8.0.1');
    await host.nmcli('connection', 'down', 'office');
    expect(await host.state()).toEqual(before);
  });
});

// A desktop whose names systemd-resolved looks up: NetworkManager gives it the tunnel's servers and domains, by its own
// service with the program under test, and by Sallyport's service.

import { describe, expect, it } from 'vitest';
import { answer, hasResolvers, LOCAL, TUNNEL } from '../lab/dns-host.ts';
import { type Lab, tunnel, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { type DesktopOptions, desktopSuite, desktopUnderTest, useDesktop } from '../lab/network-manager.ts';
import { packagedService } from '../lab/network-manager-service.ts';
import { eventually } from '../lab/process.ts';

const services: readonly (readonly [string, string, string, (lab: Lab) => Promise<DesktopOptions>])[] = [
  ['its own service', '--management-query-passwords', 'nm-openvpn-service', desktopUnderTest],
  [
    'Sallyport’s service',
    'nm-client.js',
    'sallyport-nm-service.js',
    async (lab) => ({ program: await packagedService(lab) }),
  ],
];

(hasResolvers ? desktopSuite : describe.skip)('NetworkManager with systemd-resolved', () => {
  const lab = useLab();
  const desktop = useDesktop(lab);

  it.each(services)(
    'by %s: the company’s names go through the tunnel, others beside it, and all of it comes back',
    async (_, client, service, options) => {
      await lab().server({
        lines: ['DNS 10.8.0.1', 'DOMAIN corp.example', 'DOMAIN-SEARCH lab.example'].map(
          (option) => `push "dhcp-option ${option}"`,
        ),
      });
      answer(lab().net.router, address.gateway4, LOCAL);
      answer(lab().net.server, tunnel.server4, TUNNEL);
      const host = await desktop({ ...(await options(lab())), dns: 'systemd-resolved' });

      /** Who answers in the end: resolved is told a moment after NetworkManager has said that it is done. */
      const expectAnswers = async (answers: Readonly<Record<string, string>>) => {
        for (const [name, from] of Object.entries(answers)) {
          await eventually(`${name} is answered by ${from}`, async () => {
            const { stdout } = await host.run(['timeout', '5', 'getent', 'ahostsv4', name], { anyCode: true });
            return stdout.split(' ')[0] === from;
          });
        }
      };
      const resolver = async () =>
        (await host.run(['resolvectl', '--no-pager', 'status'])).stdout
          .replace(/^Current DNS Server.*\n/gm, '')
          .replaceAll(/^ +/gm, '');
      const before = { host: await host.state(), resolver: await resolver() };
      const expectAsBefore = async () => {
        await host.comesBackTo(before.host);
        await expect.poll(resolver, { timeout: 20_000 }).toBe(before.resolver);
        await expectAnswers({ 'www.corp.example': LOCAL, 'www.elsewhere.example': LOCAL });
      };
      const up = async () => {
        await host.nmcli('connection', 'up', 'office');
        await expectAnswers({ 'www.corp.example': TUNNEL, 'www.lab.example': TUNNEL });
      };
      const kill = async (word: string) => {
        const [pid, ...more] = await host.pidsOf(word);
        expect(more).toEqual([]);
        process.kill(pid ?? 0, 'SIGKILL');
      };

      await host.import('office', lab().clientLines());
      await up();
      await expectAnswers({ 'www.elsewhere.example': TUNNEL });
      await host.nmcli('connection', 'down', 'office');
      await expectAsBefore();

      await host.nmcli('connection', 'modify', 'office', 'ipv4.never-default', 'yes', 'ipv6.never-default', 'yes');
      await up();
      await expectAnswers({ 'www.elsewhere.example': LOCAL });
      expect((await host.state()).resolvConfFile).toBe(before.host.resolvConfFile);
      await kill(client);
      await expectAsBefore();

      await up();
      process.kill(await host.pidOf(service), 'SIGKILL');
      await expectAnswers({ 'www.corp.example': LOCAL });
      // Of NetworkManager's own service the client goes on, and its device with it.
      if (service === 'nm-openvpn-service') await kill(client);
      await expectAsBefore();
    },
  );
});

// IPv6 of the uplink beside a tunnel that takes IPv4 only: there before, refused at once while it is up, there afterwards,
// whichever way it ends.

import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { up, useLab } from '../lab/lab.ts';
import { Management } from '../lab/management.ts';
import { address, hostState } from '../lab/net.ts';
import { eventually } from '../lab/process.ts';
import { clientCommand, isOurs, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

/** Global addresses behind the router: of the wide world, and of the VPN's server. */
const WORLD = '2001:db8:99::9';
const SERVER = '2001:db8:2::1';
const pushed = ['push "redirect-gateway def1"'];
const block = ['block-ipv6-leak yes'];

describe.skipIf(!isOurs)('IPv6 beside a tunnel', () => {
  labSuite('that takes IPv4 only', () => {
    const lab = useLab();

    beforeEach(async () => {
      const { router, server } = lab().net;
      for (const each of [WORLD, SERVER]) {
        await server.ip(`-6 addr replace ${each}/128 dev lo`);
        await router.ip(`-6 route replace ${each}/128 via ${address.server6}`);
      }
    });

    const reaches = (host: string) => pings(lab().net.client, host, { count: 1 });

    /** Refused by this host itself, at once: nobody waits for an answer. */
    async function expectRefused(): Promise<void> {
      const begun = performance.now();
      const { code, stdout, stderr } = await lab().net.client.run(['ping', '-n', '-c', '1', '-W', '5', WORLD], {
        anyCode: true,
      });
      expect(code).not.toBe(0);
      expect(`${stdout}${stderr}`).toMatch(/unreachable|No route to host/i);
      expect(performance.now() - begun).toBeLessThan(2000);
    }

    it('is reachable before, refused during, reachable after; what is on link always is', async () => {
      await lab().server({ lines: pushed });
      const before = await hostState(lab().net.client);
      expect(await reaches(WORLD)).toBe(true);
      const client = await lab().connect({ lines: block });
      expect(client.count(/NOTE: IPv6 to the Internet is blocked while the tunnel is up/)).toBe(1);
      await expectRefused();
      expect(await reaches(address.gateway6)).toBe(true);
      expect(await pings(lab().net.client, address.world4)).toBe(true);
      expect(await client.stop()).toEqual({ code: 0, signal: null });
      expect(await reaches(WORLD)).toBe(true);
      expect(await hostState(lab().net.client)).toEqual(before);
    });

    it('is blocked while the tunnel itself goes over IPv6', async () => {
      await lab().server({ transport: 'udp6', lines: [...pushed, `local ${SERVER}`] });
      const before = await hostState(lab().net.client);
      const client = await lab().connect({
        without: ['remote'],
        lines: [...block, `remote ${SERVER} 1194 udp6`],
      });
      await expectRefused();
      expect(await pings(lab().net.client, address.world4)).toBe(true);
      const mark = client.mark();
      client.signal('SIGUSR1');
      await client.line(/Initialization Sequence Completed/, { from: mark });
      expect(await pings(lab().net.client, address.world4)).toBe(true);
      expect(await client.stop()).toEqual({ code: 0, signal: null });
      expect(await hostState(lab().net.client)).toEqual(before);
    });

    it('is left open with one warning where nothing is stated, and without one where that is wanted', async () => {
      await lab().server({ lines: pushed });
      for (const [lines, warnings] of [
        [[], 1],
        [['block-ipv6-leak no'], 0],
      ] as const) {
        const client = await lab().connect({ lines });
        expect(await reaches(WORLD)).toBe(true);
        expect(client.count(/WARNING: IPv6 goes past the tunnel/)).toBe(warnings);
        expect(await client.stop()).toEqual({ code: 0, signal: null });
      }
    });

    it('is blocked and left again as a live tunnel takes and gives back the default route', async () => {
      const path = join(lab().dir, 'management.sock');
      await lab().server({ version: '2.7', lines: [`management ${path} unix`, 'disable-dco'] });
      const management = await Management.open(path);
      try {
        const client = await lab().connect({ lines: block });
        expect(await reaches(WORLD)).toBe(true);
        for (const [options, open] of [
          ['redirect-gateway def1', false],
          ['-redirect-gateway', true],
        ] as const) {
          const mark = client.mark();
          expect(await management.command(`push-update-broad "${options}"`)).toMatch(/^SUCCESS/);
          await client.line(up, { from: mark });
          if (open) expect(await reaches(WORLD)).toBe(true);
          else await expectRefused();
        }
        expect(await client.stop()).toEqual({ code: 0, signal: null });
      } finally {
        management.close();
      }
    });

    it('stays blocked until the last of two tunnels is gone', async () => {
      await lab().server({ lines: pushed });
      const other = 'server 10.9.0.0 255.255.255.0';
      await lab().server({
        port: 1195,
        without: ['server', 'server-ipv6'],
        lines: [other, 'push "route 0.0.0.0 0.0.0.0"'],
      });
      const before = await hostState(lab().net.client);
      const one = await lab().connect({ lines: block });
      const two = await lab().connect({ lines: block, port: 1195 });
      await expectRefused();
      expect(await one.stop()).toEqual({ code: 0, signal: null });
      await expectRefused();
      expect(await two.stop()).toEqual({ code: 0, signal: null });
      expect(await reaches(WORLD)).toBe(true);
      expect(await hostState(lab().net.client)).toEqual(before);
    });

    it('comes back by the recovery when the client was killed', async () => {
      await lab().server({ lines: pushed });
      const before = await hostState(lab().net.client);
      const client = await lab().connect({ lines: block });
      await expectRefused();
      await client.stop('SIGKILL');
      await expectRefused();
      const { stdout } = await lab().net.client.run([...clientCommand('sallyport'), 'recover']);
      expect(stdout).toMatch(/removed the route unreachable 2000::\/4 dev lo/);
      expect(await reaches(WORLD)).toBe(true);
      expect(await hostState(lab().net.client)).toEqual(before);
    });

    it('is blocked by sallyport up, which says so in one line, and left open where that is asked for', async () => {
      await lab().server({ lines: pushed });
      const folder = await lab().directory('desktop');
      const env = { ...process.env, SALLYPORT_PROFILES: folder, SALLYPORT_RUNTIME: join(folder, 'run') };
      const sallyport = (...words: string[]) =>
        lab().net.client.run([...clientCommand('sallyport'), ...words], { cwd: lab().dir, env, timeoutMs: 60_000 });
      const profile = await lab().clientConfig();
      await sallyport('import', profile, '--name', 'office');
      const said = (await sallyport('up', 'office')).stdout;
      expect(said).toMatch(/^office is connected [^\n]*\nIPv6 to the Internet is blocked meanwhile: [^\n]*\n$/);
      await expectRefused();
      expect((await sallyport('status')).stdout).toMatch(/^ {2}ipv6 +blocked$/m);
      await sallyport('down');
      expect(await reaches(WORLD)).toBe(true);
      expect((await sallyport('up', 'office', '--allow-ipv6-leak')).stdout).toContain('IPv6 goes past the tunnel');
      expect(await reaches(WORLD)).toBe(true);
      await sallyport('down');
      await eventually('the end', async () => !(await lab().net.client.ip('-br link')).includes('tun0'));
    });
  });
});

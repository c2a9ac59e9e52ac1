// Devices that outlive the program, and no device at all: `mktun` and `rmtun`, a tunnel over a device that is there
// already, `dev null`. With SALLYPORT_CLIENT=openvpn the C program does what is asked here.

import { beforeAll, describe, expect, it } from 'vitest';
import { comparable } from '../lab/host-comparison.ts';
import { tunnel, useLab } from '../lab/lab.ts';
import { device, hostState } from '../lab/net.ts';
import { clientCommand, clientUnderTest, labSuite, type Program } from '../lab/requirements.ts';
import { pings, serveTraffic } from '../lab/traffic.ts';

labSuite('a device that stays', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  const tool = async (program: Program, words: string) => {
    const { client } = lab().net;
    const { code, stdout } = await client.run([...clientCommand(program), ...words.split(' ')], { anyCode: true });
    const lines = stdout
      .split('\n')
      .map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (us=\d+ )?/, ''))
      .filter((line) => line !== '' && !/^(Note: |Cipher negotiation is disabled)/.test(line));
    return { code, lines };
  };
  const owners = async (name: string): Promise<string> => {
    const { stdout } = await lab().net.client.run(
      ['sh', '-c', `cat /sys/class/net/${name}/owner /sys/class/net/${name}/group /sys/class/net/${name}/tun_flags`],
      { anyCode: true },
    );
    // The C program sets IFF_ONE_QUEUE, which means nothing any more.
    return stdout.replace(/0x[0-9a-f]+/, (flags) => `0x${(Number(flags) & ~0x2000).toString(16)}`);
  };

  it.each([
    ['tun5', '--dev tun5'],
    ['tap5', '--dev tap5 --user nobody --group nogroup'],
    ['office', '--dev office --dev-type tun --txqueuelen 321'],
  ])('is made and removed as the C program does it: %s', async (name, words) => {
    const { client } = lab().net;
    const seen = [];
    for (const program of ['openvpn', clientUnderTest] as const) {
      const made = await tool(program, `--mktun ${words}`);
      const found = await device(client, name);
      const whose = await owners(name);
      const gone = await tool(program, `--rmtun ${words.replace(/ --(user|group|txqueuelen) \S+/g, '')}`);
      expect(await device(client, name)).toBeUndefined();
      seen.push({ made, gone, whose, found: { ...found, index: undefined } });
    }
    expect(seen[0]?.made).toMatchObject({ code: 0 });
    expect(seen[0]?.made.lines.at(-1)).toBe('Persist state set to: ON');
    expect(seen[1]).toEqual(seen[0]);
  });

  it.each(['--mktun', '--mktun --dev tun5 --tls-client', '--rmtun --dev vpn0'])(
    'is not made where the command line is wrong: %s',
    async (words) => {
      for (const program of ['openvpn', clientUnderTest] as const) {
        const { code } = await tool(program, words);
        expect(code, program).toBe(1);
      }
      expect(await device(lab().net.client, 'tun5')).toBeUndefined();
    },
  );

  describe('with a server', () => {
    it('carries a tunnel, and is there when that ends, as it was', async () => {
      const { client } = lab().net;
      await tool(clientUnderTest, '--mktun --dev tun7');
      const before = comparable(await hostState(client));
      await lab().server();
      const process = await lab().connect({ device: 'tun7' });
      expect((await device(client, 'tun7'))?.addresses).toContain('10.8.0.2/24');
      expect(await pings(client, tunnel.server4, { sizeBytes: 1400 })).toBe(true);
      expect(await process.stop()).toEqual({ code: 0, signal: null });
      expect((await device(client, 'tun7'))?.addresses).toEqual([]);
      const down = await client.ip('link set tun7 down');
      expect(down).toBe('');
      await tool(clientUnderTest, '--rmtun --dev tun7');
      await tool(clientUnderTest, '--mktun --dev tun7');
      expect(comparable(await hostState(client))).toEqual(before);
      await tool(clientUnderTest, '--rmtun --dev tun7');
    });

    it('is none under dev null: the connection is up and the host as before', async () => {
      const { client } = lab().net;
      const before = comparable(await hostState(client));
      const server = await lab().server({ lines: ['keepalive 1 10'] });
      const process = await lab().connect({ device: 'null', lines: ['ifconfig-noexec', 'route-noexec'] });
      await server.line(/MULTI: primary virtual IP for client/);
      expect(comparable(await hostState(client))).toEqual(before);
      expect(await process.stop()).toEqual({ code: 0, signal: null });
      await lab().server({ version: '2.7', port: 1195 });
      const bare = await lab().connect({ device: 'null', port: 1195, lines: ['ifconfig-noexec', 'route-noexec'] });
      expect(await bare.stop()).toEqual({ code: 0, signal: null });
    });
  });
});

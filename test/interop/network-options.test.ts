// Options of sockets and of packets on their way, at both ends: what programs and the wire see of them.

import { beforeAll, describe, expect, it } from 'vitest';
import { type ClientOptions, type Transport, tunnel, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { isOurs, itOurServer, itOurs, labSuite } from '../lab/requirements.ts';
import { expectHealthy, expectTransfer, pings, serveTraffic } from '../lab/traffic.ts';

const spare4 = '198.51.100.9';
const spare6 = 'fd00:2::9';
const real: readonly ClientOptions[] = [{ kind: 'openvpn' }, { kind: 'openvpn-2.7' }];

labSuite('options of packets and sockets', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  describe('client-nat', () => {
    const dnat = 'client-nat dnat 10.200.0.0 255.255.0.0 10.8.0.0';
    const route = 'route 10.200.0.0 255.255.0.0';

    it.each([
      ['of the profile', [], [dnat, route]],
      ['that the server pushes', [`push "${dnat}"`, `push "${route}"`], []],
    ] as const)('%s reaches networks under other addresses', async (_title, server, client) => {
      await lab().server({ lines: [...server] });
      const connected = await lab().connect({ lines: [...client] });
      expect(await pings(lab().net.client, '10.200.0.1')).toBe(true);
      expect(await pings(lab().net.client, '10.200.0.1', { sizeBytes: 3000 })).toBe(true);
      // Full segments, which a device with offload gives as super-packets.
      await expectTransfer(lab().net.client, '10.200.0.1');
      // What no rule names goes its usual way.
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      await connected.stop();
    });

    it('shows addresses of ours under others', async () => {
      const { client } = lab().net;
      await lab().server();
      await client.ip('addr add 10.60.0.7/32 dev lo');
      try {
        // The server knows the tunnel's own address only: translated, ours is that one.
        const connected = await lab().connect({
          lines: ['client-nat snat 10.60.0.7 255.255.255.255 10.8.0.2'],
        });
        expect(await pings(client, tunnel.server4, { from: '10.60.0.7' })).toBe(true);
        await connected.stop();
      } finally {
        await client.ip('addr del 10.60.0.7/32 dev lo');
      }
    });
  });

  describe('passtos', () => {
    /** The TOS bytes or classes of so many of the client's datagrams that carry these pings. */
    const seen = async (transport: Transport, tos: string): Promise<readonly string[]> => {
      const { client, router } = lab().net;
      const from = transport.endsWith('4') ? address.client4 : address.client6;
      // Nothing but what carries a ping is so long.
      const filter = `src ${from} and ${transport.slice(0, 3)} and greater 400`;
      const capture = router.run(['timeout', '6', 'tcpdump', '-n', '-v', '-l', '-c', '3', '-i', 'outer0', filter], {
        anyCode: true,
      });
      const ping = ['ping', '-n', '-q', '-c', '40', '-i', '0.1', '-W', '1', '-s', '400', '-Q', tos, tunnel.server4];
      await client.run(ping, { anyCode: true });
      const { stdout } = await capture;
      return [...stdout.matchAll(/(?:tos|class) (0x[0-9a-f]+)/g)].map(([, value = '']) => value);
    };

    const copies = async (transport: Transport) => {
      await lab().server({ transport });
      const client = await lab().connect({ transport, lines: ['passtos'] });
      expect(await seen(transport, '0xb8')).toEqual(['0xb8', '0xb8', '0xb8']);
      await client.stop();
    };
    it.each(['udp4', 'tcp4'] as const)('over %s copies it outside', copies);
    // The C program knows the TOS byte of IPv4 alone.
    itOurs('over udp6 copies it into the traffic class', () => copies('udp6'));
    itOurs('over tcp6 copies it into the traffic class', () => copies('tcp6'));

    it('is not done unasked', async () => {
      await lab().server();
      const client = await lab().connect();
      expect((await seen('udp4', '0xb8')).filter((each) => each !== '0x0')).toEqual([]);
      await client.stop();
    });
  });

  describe('multihome', () => {
    it.each([
      ['udp4', spare4, 'multihome'],
      ['udp6', spare6, 'multihome'],
      ['udp4', spare4, 'multihome same-interface'],
    ] as const)('over %s answers from %s under %s', async (transport, spare, line) => {
      const { server } = lab().net;
      const words = `${spare}/${transport === 'udp4' ? '24' : '64'} dev outer0`;
      await server.ip(`addr add ${words}${transport === 'udp6' ? ' nodad' : ''}`);
      try {
        await lab().serve({ transport, lines: [line] });
        for (const kind of real) {
          // The client's socket is connected, and takes no answer from elsewhere.
          const client = await lab().connect({
            ...kind,
            transport,
            without: ['remote'],
            lines: [`remote ${spare} 1194`, `proto ${transport}`],
          });
          expect(await pings(lab().net.client, tunnel.server4, { sizeBytes: 3000 })).toBe(true);
          await expectTransfer(server, tunnel.client4);
          await client.stop();
        }
      } finally {
        await server.ip(`addr del ${words}`);
      }
    });
  });

  describe('several local lines', () => {
    itOurServer('serve UDP and TCP, IPv4 and IPv6, side by side', async () => {
      const lines = ['local 0.0.0.0 1194 udp4', `local ${address.server4} 1195 tcp4-server`, 'local :: 1196 udp6'];
      await lab().serve({ without: ['proto', 'port'], lines });
      for (const [transport, port] of [
        ['udp4', 1194],
        ['tcp4', 1195],
        ['udp6', 1196],
      ] as const) {
        const client = await lab().connect({ kind: 'openvpn', transport, port });
        expect(await pings(lab().net.client, tunnel.server4, { sizeBytes: 1300 })).toBe(true);
        await client.stop();
      }
    });
  });

  describe('shaper', () => {
    it.each([
      ['of the profile', [], ['shaper 100000']],
      ['that the server pushes', ['push "shaper 100000"'], []],
    ] as const)('%s holds what is sent down to its rate', async (_title, server, client) => {
      await lab().server({ lines: [...server] });
      const connected = await lab().connect({ lines: [...client] });
      expect(connected.text).toMatch(/Output Traffic Shaping initialized at 100000 bytes per second/);
      const began = Date.now();
      await expectTransfer(lab().net.client, tunnel.server4, 400_000);
      const seconds = (Date.now() - began) / 1000;
      expect(seconds).toBeGreaterThan(3);
      // The other way is not limited.
      await expectTransfer(lab().net.server, tunnel.client4, 2 << 20);
      await connected.stop();
    });
  });

  describe('fragment', () => {
    it.each([
      ['fragment 600', 'openvpn'],
      ['fragment 600 mtu', 'openvpn-2.7'],
      ['fragment 1200', 'openvpn-2.7'],
    ] as const)('with %s on a server joins and cuts what %s cuts and joins', async (line, kind) => {
      const lines = [line.endsWith('mtu') && kind === 'openvpn' ? 'fragment 600' : line, 'mssfix'];
      const server = await lab().serve({ lines });
      const client = await lab().connect({ kind, lines });
      await expectHealthy(lab());
      expect(server.text).not.toMatch(/FRAG_IN|mtu-dynamic/);
      expect(client.text).not.toMatch(/FRAG_IN|mtu-dynamic/);
      await client.stop();
    });
  });

  describe('mtu-disc yes', () => {
    const mssFix = /Note adjusting 'mssfix 1492 mtu' to 'mssfix 1300 mtu' according to path MTU discovery/;
    const fragment = [
      /Note adjusting 'mssfix 1400 mtu' to 'mssfix 1300 mtu' according to path MTU discovery/,
      /Note adjusting 'fragment 1400' to 'fragment 1300 mtu' according to path MTU discovery/,
    ];
    // The C program fits mssfix only where there are fragments to fit.
    it.each([
      ['udp4', [], isOurs ? [mssFix] : []],
      ['udp6', [], isOurs ? [mssFix] : []],
      ['udp4', ['fragment 1400'], fragment],
      ['udp6', ['fragment 1400'], fragment],
    ] as const)(
      'over %s learns of a narrow path and fits itself to it, with %j',
      async (transport, lines, adjusted) => {
        const { client, router } = lab().net;
        await router.ip('link set outer1 mtu 1300');
        try {
          await lab().server({ transport, lines: [...lines] });
          const connected = await lab().connect({ transport, lines: ['mtu-disc yes', ...lines] });
          await client.run(['ping', '-n', '-q', '-c', '3', '-i', '0.2', '-W', '1', '-s', '1332', tunnel.server4], {
            anyCode: true,
          });
          await connected.line(/UDPv[46] \[EMSGSIZE Path-MTU=1300\]: Message too long \(fd=\d+,code=90\)/);
          for (const line of adjusted) await connected.line(line);
          if (adjusted.length > 0) await expectTransfer(client, tunnel.server4);
          await connected.stop();
        } finally {
          await router.ip('link set outer1 mtu 1500');
          await client.ip('route flush cache');
          await client.ip('-6 route flush cache');
        }
      },
    );

    itOurServer('on a server adapts to the path of each client', async () => {
      const { router, server } = lab().net;
      await router.ip('link set outer0 mtu 1300');
      try {
        const serving = await lab().serve({ lines: ['mtu-disc yes'] });
        const client = await lab().connect({ kind: 'openvpn' });
        await server.run(['ping', '-n', '-q', '-c', '3', '-i', '0.2', '-W', '1', '-s', '1400', tunnel.client4], {
          anyCode: true,
        });
        await serving.line(/Note adjusting 'mssfix 1492 mtu' to 'mssfix 1300 mtu' according to path MTU discovery/);
        await expectTransfer(server, tunnel.client4);
        await client.stop();
      } finally {
        await router.ip('link set outer0 mtu 1500');
        await server.ip('route flush cache');
      }
    });
  });
});

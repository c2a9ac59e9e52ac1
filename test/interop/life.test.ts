// A connection's life: signals, the server's death and return, timeouts, renegotiation under traffic, floating.

import { beforeAll, expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { address, device, hostState } from '../lab/net.ts';
import { itOurs, labSuite, type PeerVersion } from '../lab/requirements.ts';
import { echoPort, expectTransfer, pings, serveTraffic } from '../lab/traffic.ts';

labSuite('signals', () => {
  const lab = useLab();

  it('SIGUSR1 restarts softly: same process, new session', async () => {
    await lab().server();
    const client = await lab().connect({ lines: ['connect-retry 1', 'persist-tun'] });
    const mark = client.mark();
    client.signal('SIGUSR1');
    await client.line(/SIGUSR1\[hard,\] received, process restarting/, { from: mark });
    await client.line(up, { from: mark });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('SIGHUP reads the configuration again', async () => {
    await lab().server();
    const before = await hostState(lab().net.client);
    const client = await lab().connect({ lines: ['connect-retry 1', 'route 10.55.0.0 255.255.0.0'] });
    const mark = client.mark();
    client.signal('SIGHUP');
    await client.line(/SIGHUP\[hard,\] received, process restarting/, { from: mark });
    await client.line(up, { from: mark });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await client.stop();
    expect(await hostState(lab().net.client)).toEqual(before);
  });

  it('SIGUSR2 writes statistics to the log', async () => {
    await lab().server();
    const client = await lab().connect();
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const mark = client.mark();
    client.signal('SIGUSR2');
    for (const line of [
      /OpenVPN STATISTICS/,
      /Updated,\d{4}-/,
      /TUN\/TAP read bytes,[1-9]/,
      /TUN\/TAP write bytes,[1-9]/,
      /TCP\/UDP read bytes,[1-9]/,
      /TCP\/UDP write bytes,[1-9]/,
      /Auth read bytes,[1-9]/,
    ]) {
      await client.line(line, { from: mark });
    }
    await client.line(/^(?=.*END$)/, { from: mark });
    expect(client.exited).toBeUndefined();
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('%s ends with exit code 0 and the host as before', async (signal) => {
    await lab().server();
    const before = await hostState(lab().net.client);
    const client = await lab().connect();
    expect(await client.stop(signal)).toEqual({ code: 0, signal: null });
    await client.line(new RegExp(`${signal}\\[hard,\\] received, process exiting`));
    expect(await hostState(lab().net.client)).toEqual(before);
  });

  it.each(['2.5', '2.6', '2.7'] as const)('SIGTERM with explicit-exit-notify tells a %s server', async (version) => {
    const server = await lab().server({ version: version satisfies PeerVersion });
    const client = await lab().connect({ lines: ['explicit-exit-notify 2'] });
    const mark = server.mark();
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(client.text).toMatch(/SIGTERM received, sending exit notification to peer/);
    expect(client.text).toMatch(/SIGTERM\[soft,exit-with-notification\] received, process exiting/);
    await server.line(/SIGTERM\[soft,(remote-exit|delayed-exit)\] received, client-instance exiting/, { from: mark });
  });

  it('SIGTERM while connecting ends at once', async () => {
    const client = await lab().client();
    await client.line(/UDPv4 link remote/);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  itOurs('the end of the reader of its output does not end the client', async () => {
    await lab().server();
    const client = await lab().connect();
    client.closeOutput();
    client.signal('SIGUSR2');
    expect(await pings(lab().net.client, tunnel.server4, { count: 5 })).toBe(true);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });
});

labSuite("the server's death", () => {
  const lab = useLab();

  it('by SIGKILL is noticed by ping-restart, and its return is found', async () => {
    const first = await lab().server({ lines: ['keepalive 1 3'] });
    const client = await lab().connect({ lines: ['connect-retry 1', 'persist-tun'] });
    await first.kill();
    await client.line(/\[server\] Inactivity timeout \(--ping-restart\), restarting/);
    await client.line(/SIGUSR1\[soft,ping-restart\] received, process restarting/);
    const mark = client.mark();
    await lab().server({ lines: ['keepalive 1 3'] });
    await client.line(up, { from: mark });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('over TCP is noticed at once', async () => {
    const first = await lab().server({ transport: 'tcp4' });
    const client = await lab().connect({ transport: 'tcp4', lines: ['connect-retry 1'] });
    await first.kill();
    await client.line(/Connection reset, restarting \[/);
    await client.line(/SIGUSR1\[soft,connection-reset\] received, process restarting/);
    const mark = client.mark();
    await lab().server({ transport: 'tcp4' });
    await client.line(up, { from: mark });
  });

  it.each(['2.6', '2.7'] as const)(
    'by a restart of a %s server that says so is followed by a restart',
    async (version) => {
      const server = await lab().server({ version, lines: ['explicit-exit-notify 1'] });
      const client = await lab().connect({ lines: ['connect-retry 1'] });
      server.signal('SIGTERM');
      await client.line(/SIGUSR1\[soft,server-pushed-connection-reset\] received, process restarting/);
      await server.exit();
      const mark = client.mark();
      await lab().server({ version });
      await client.line(up, { from: mark });
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    },
  );

  it('ends the client with ping-exit', async () => {
    const server = await lab().server();
    const before = await hostState(lab().net.client);
    const client = await lab().client({ lines: ['ping 1', 'ping-exit 3'] });
    await client.line(up);
    await server.kill();
    expect(await client.exit()).toEqual({ code: 0, signal: null });
    expect(client.text).toMatch(/\[server\] Inactivity timeout \(--ping-exit\), exiting/);
    expect({ ...(await hostState(lab().net.client)), links: [] }).toEqual({ ...before, links: [] });
    expect(await device(lab().net.client, 'tun0')).toBeUndefined();
  });

  it('and its return with other addresses makes the client take the new ones', async () => {
    const first = await lab().server({ lines: ['keepalive 1 3'] });
    const client = await lab().connect({ lines: ['connect-retry 1', 'persist-tun'] });
    await first.kill();
    await lab().server({ without: ['server'], lines: ['server 10.9.0.0 255.255.255.0'] });
    await client.line(up, { from: client.mark() });
    expect(client.text).toMatch(
      /NOTE: Pulled options changed on restart, will need to close and reopen TUN\/TAP device\./,
    );
    expect((await device(lab().net.client, 'tun0'))?.addresses).toContain('10.9.0.2/24');
    expect(await pings(lab().net.client, '10.9.0.1')).toBe(true);
  });
});

labSuite('silence', () => {
  const lab = useLab();

  it('of the applications ends the client with inactive', async () => {
    await lab().server({ lines: ['keepalive 1 10'] });
    const client = await lab().connect({ lines: ['inactive 2'] });
    const began = performance.now();
    expect(await client.exit()).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeGreaterThan(1000);
    expect(client.text).toMatch(/Inactivity timeout \(--inactive\), exiting/);
  });

  it('is filled by pings: ten seconds of keepalive with nothing else', async () => {
    const server = await lab().server({ lines: ['keepalive 1 3'] });
    const client = await lab().connect();
    const { sent, received } = await (await lab().net.client.agent()).ask('udpSequence', {
      host: address.server4,
      port: echoPort,
      count: 10,
      everyMs: 500,
      sizeBytes: 20,
      graceMs: 0,
    });
    expect([sent, received]).toEqual([10, 0]);
    expect(client.count(/restarting/)).toBe(0);
    expect(server.count(/restarting/)).toBe(0);
  });
});

labSuite('a client whose address changes', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it('keeps its session when a NAT gives it another port', async () => {
    const relayPort = 1700;
    const server = await lab().server({ lines: ['float', 'keepalive 1 20'] });
    const router = await lab().net.router.agent();
    await router.ask('relay', { port: relayPort, targetHost: address.server4, targetPort: 1194 });
    const client = await lab().connect({
      without: ['remote'],
      lines: [`remote ${address.gateway4} ${relayPort} udp4`],
    });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const mark = client.mark();
    const { to } = await router.ask('relayMove', {});
    expect(await pings(lab().net.client, tunnel.server4, { count: 5 })).toBe(true);
    await server.line(new RegExp(`peer 0 .*floated.* to (udp4:)?(\\[AF_INET\\])?${address.router4}:${to}`));
    await expectTransfer(lab().net.client, tunnel.server4, 1 << 20);
    expect(client.count(/restarting/, mark)).toBe(0);
  });
});

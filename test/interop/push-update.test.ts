// A tunnel that its server changes while it is up (OpenVPN 2.7, PUSH_UPDATE): the management commands of a real server.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { Management } from '../lab/management.ts';
import { hostState } from '../lab/net.ts';
import { eventually, type WatchedProcess } from '../lab/process.ts';
import { clientUnderTest, isOurs, itOurs, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

// The 2.6 client knows nothing of it.
const suite = clientUnderTest === 'openvpn' ? describe.skip : labSuite;

suite('an update of a live tunnel', () => {
  const lab = useLab();
  const open: Management[] = [];
  afterEach(() => {
    for (const management of open.splice(0)) management.close();
  });

  async function start(lines: readonly string[] = [], pushed: readonly string[] = []) {
    const path = join(lab().dir, `management-${process.hrtime.bigint()}.sock`);
    const server = await lab().server({
      version: '2.7',
      lines: [`management ${path} unix`, 'disable-dco', ...pushed.map((option) => `push "${option}"`)],
    });
    const management = await Management.open(path);
    open.push(management);
    const before = await hostState(lab().net.client);
    const extra = clientUnderTest === 'openvpn-2.7' ? ['disable-dco'] : [];
    const client = await lab().connect({ lines: [...lines, ...extra] });
    return { server, management, client, before };
  }

  /** Sends an update to everybody and waits until the client has applied it. */
  async function update(client: WatchedProcess, management: Management, options: string): Promise<void> {
    const mark = client.mark();
    expect(await management.command(`push-update-broad "${options}"`)).toMatch(/^SUCCESS/);
    await client.line(up, { from: mark });
  }

  const routes = async (): Promise<string> => lab().net.client.ip('-4 route show');
  const device = async (): Promise<{ ifindex: number; mtu: number; addresses: readonly string[] }> => {
    const [found] = JSON.parse(await lab().net.client.ip('-j addr show dev tun0')) as {
      ifindex: number;
      mtu: number;
      addr_info: { local: string }[];
    }[];
    return { ifindex: found!.ifindex, mtu: found!.mtu, addresses: found!.addr_info.map(({ local }) => local) };
  };
  const flows = () => eventually('pings through the tunnel', () => pings(lab().net.client, tunnel.server4));

  it('routes and MTU change, and traffic goes on', async () => {
    const { client, management, server, before } = await start([], ['route 10.70.0.0 255.255.0.0']);
    expect(await routes()).toContain('10.70.0.0/16');
    await update(client, management, 'route 10.77.0.0 255.255.0.0, route 10.78.0.0 255.255.0.0, tun-mtu 1400');
    expect(await routes()).not.toContain('10.70.0.0/16');
    expect(await routes()).toMatch(/10\.77\.0\.0\/16 via 10\.8\.0\.1.*10\.78\.0\.0\/16 via 10\.8\.0\.1/s);
    expect((await device()).mtu).toBe(1400);
    await flows();
    await update(client, management, '-route, -tun-mtu');
    expect(await routes()).not.toContain('10.7');
    expect((await device()).mtu).toBe(1500);
    await flows();
    expect(server.count(/Peer Connection Initiated/)).toBe(1);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await hostState(lab().net.client)).toEqual(before);
  });

  it('the address changes under the routes', async () => {
    const { client, management, before } = await start([], ['route 10.70.0.0 255.255.0.0']);
    await update(client, management, 'ifconfig 10.8.0.77 255.255.255.0, ifconfig-ipv6 fd00:8::77/64 fd00:8::1');
    expect((await device()).addresses).toEqual(expect.arrayContaining(['10.8.0.77', 'fd00:8::77']));
    expect((await device()).addresses).not.toContain('10.8.0.2');
    expect(await routes()).toContain('10.70.0.0/16 via 10.8.0.1');
    await flows();
    expect(await pings(lab().net.client, tunnel.server6)).toBe(true);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await hostState(lab().net.client)).toEqual(before);
  });

  it.each(['def1', ''])('the default route is taken (%s) and given back', async (flags) => {
    const { client, management, before } = await start();
    await update(client, management, `redirect-gateway ${flags}`.trim());
    expect(await lab().net.client.ip('route get 203.0.113.9')).toContain('tun0');
    await flows();
    await update(client, management, '-redirect-gateway');
    expect(await lab().net.client.ip('route get 203.0.113.9')).not.toContain('tun0');
    await flows();
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await hostState(lab().net.client)).toEqual(before);
  });

  it('the default route stays taken when routes change, where OpenVPN 2.7 lets go of it', async () => {
    const { client, management } = await start();
    await update(client, management, 'redirect-gateway def1');
    await update(client, management, 'route 10.77.0.0 255.255.0.0');
    expect((await lab().net.client.ip('route get 203.0.113.9')).includes('tun0')).toBe(isOurs);
    await flows();
  });

  it('many routes come at once', async () => {
    const { client, management } = await start();
    // The C program's management reads lines of some hundred characters at most.
    const networks = [100, 101, 102, 103, 104].map((n) => `10.${n}.0.0`);
    await update(client, management, networks.map((network) => `route ${network} 255.255.0.0`).join(', '));
    for (const network of networks) expect(await routes()).toContain(`${network}/16 via`);
  });

  it('scripts run as if the device was closed and opened again', async () => {
    const calls = await lab().file('calls', '', 0o666);
    const script = await lab().file(
      'hook.sh',
      `#!/bin/sh\necho "$script_type $script_context $ifconfig_local $foreign_option_1 $tun_mtu" >>${calls}\n`,
      0o755,
    );
    const hooks = ['up', 'down', 'route-up', 'route-pre-down'].map((hook) => `${hook} ${script}`);
    const { client, management } = await start(['script-security 2', ...hooks], ['dhcp-option DNS 10.8.0.1']);
    await update(client, management, 'ifconfig 10.8.0.77 255.255.255.0, dhcp-option DNS 10.8.0.53, tun-mtu 1400');
    const before = 'init 10.8.0.2 dhcp-option DNS 10.8.0.1 1500';
    const after = 'init 10.8.0.77 dhcp-option DNS 10.8.0.53 1400';
    const expected = [
      `up ${before}`,
      `route-up ${before}`,
      `route-pre-down ${before}`,
      `down ${before}`,
      `up ${after}`,
      `route-up ${after}`,
    ];
    // OpenVPN 2.7.8 tells the last two on the way down as they will be, and loses the value of the foreign option.
    const told = (line: string) => (isOurs ? line : line.split(' ', 3).join(' '));
    expect((await readFile(calls, 'utf8')).trim().split('\n').map(told)).toEqual(expected.map(told));
  });

  it('what can’t be changed restarts the connection', async () => {
    const { client, management } = await start(['connect-retry 1 1']);
    const mark = client.mark();
    await management.command('push-update-broad "ping 7"');
    await client.line(/Pushed option is not updatable: 'ping 7'\./, { from: mark });
    await client.line(/SIGUSR1\[soft,Offending option received from server\] received/, { from: mark });
    await client.line(up, { from: mark });
    await flows();
  });

  it('what can’t be changed and is dispensable is left out', async () => {
    const { client, management, server } = await start();
    await update(client, management, '?ping 7, route 10.77.0.0 255.255.0.0');
    await client.line(/Pushed dispensable option is not updatable: '\?ping 7'\. Ignoring\./);
    expect(await routes()).toContain('10.77.0.0/16');
    expect(server.count(/Peer Connection Initiated/)).toBe(1);
  });

  itOurs('the device stays the same, and so does what is not named', async () => {
    const { client, management } = await start([], ['route 10.70.0.0 255.255.0.0']);
    const { ifindex } = await device();
    const mark = client.mark();
    await update(client, management, 'tun-mtu 1400');
    await update(client, management, 'ifconfig 10.8.0.77 255.255.255.0');
    expect((await device()).ifindex).toBe(ifindex);
    expect(client.count(/TUN\/TAP device tun0 opened/, mark)).toBe(0);
    expect(client.count(/net_addr_v6_(add|del)/, mark)).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import { ClientLab } from '../lab/client-lab.ts';

const REMOTE = 'remote 198.51.100.1 1194';

describe('remotes', () => {
  const SECOND = 'remote 198.51.100.2 1194';

  it('that are silent for server-poll-timeout make way for the next, without a pause', async () => {
    const lab = new ClientLab(REMOTE, SECOND, 'server-poll-timeout 8');
    lab.server.silent = true;
    const other = lab.addServer('198.51.100.2:1194');
    const startMs = lab.clock.nowMs;
    await lab.up();
    expect(other.count).toBe(1);
    expect(lab.clock.nowMs - startMs).toBeLessThan(9000);
    expect(lab.log).toContain('Server poll timeout, restarting');
    expect(lab.openFds.size).toBe(1);
  });

  it('are given up after connect-retry-max rounds, with exit code 1', async () => {
    const lab = new ClientLab(REMOTE, SECOND, 'server-poll-timeout 8', 'connect-retry-max 2');
    lab.server.silent = true;
    lab.start();
    expect(await lab.ended()).toMatchObject({ exitCode: 1, error: { code: 'SALLYPORT_NO_ANSWER' } });
    expect(lab.requests).toHaveLength(4);
    await lab.gone();
  });

  it('whose name can’t be resolved make way for the next', async () => {
    const lab = new ClientLab('remote nowhere.example.net', REMOTE);
    lab.names.set('nowhere.example.net', new Error('Name or service not known'));
    await lab.up();
    expect(lab.lookups).toEqual(['nowhere.example.net']);
    expect(lab.log).toContain(
      'RESOLVE: Cannot resolve host address: nowhere.example.net:1194 (Name or service not known)',
    );
  });

  it('of several addresses are tried one after the other', async () => {
    const lab = new ClientLab('remote vpn.example.net', 'server-poll-timeout 8');
    lab.names.set('vpn.example.net', ['198.51.100.9', '198.51.100.1']);
    await lab.up();
    expect(lab.requests).toHaveLength(2);
    expect(lab.lookups).toHaveLength(1);
  });

  it('are looked up again after SIGUSR1, but not under persist-remote-ip', async () => {
    for (const [line, lookups] of [
      ['verb 3', 2],
      ['persist-remote-ip', 1],
    ] as const) {
      const lab = new ClientLab('remote vpn.example.net', line);
      lab.names.set('vpn.example.net', ['198.51.100.1']);
      await lab.up();
      lab.signal('SIGUSR1');
      await lab.until(() => lab.ups === 2, 'up again');
      expect(lab.lookups).toHaveLength(lookups);
    }
  });

  it('whose name is not known are told by name', async () => {
    const lab = new ClientLab('remote vpn.example.net', 'resolv-retry infinite');
    lab.names.set('vpn.example.net', new Error('Name or service not known'));
    lab.start();
    await lab.until(() => lab.phase === 'reconnecting', 'a restart');
    expect(lab.states.at(-1)).toMatchObject({
      reason: 'Could not determine IPv4/IPv6 protocol',
      error: { code: 'SALLYPORT_NETWORK', message: 'The name vpn.example.net could not be resolved' },
    });
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('that refuse TCP are tried again after the pause', async () => {
    const lab = new ClientLab(REMOTE, 'proto tcp', 'connect-retry 5');
    lab.server.refusesConnections = true;
    lab.start();
    await lab.until(() => lab.phase === 'reconnecting', 'a restart');
    expect(lab.states.at(-1)).toMatchObject({ pauseSeconds: 5, error: { code: 'SALLYPORT_REFUSED' } });
    expect(lab.log).toContain('TCP: connect to [AF_INET]198.51.100.1:1194 failed: Connection refused');
    expect(lab.received).toEqual(['SIGUSR1[connection failed(soft),connection-failed] received, process restarting']);
    lab.server.refusesConnections = false;
    await lab.until(() => lab.isUp, 'up');
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('that close the TCP connection while up are connected to again', async () => {
    const lab = await new ClientLab(REMOTE, 'proto tcp').up();
    lab.plane.report({ type: 'link-closed', link: lab.network.link, code: 'EOF', text: 'end of stream' });
    await lab.until(() => lab.ups === 2, 'up again');
    expect(lab.log).toContain('Connection reset, restarting [0]');
    expect(lab.received).toEqual(['SIGUSR1[soft,connection-reset] received, process restarting']);
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('that no socket can be had for are tried again, and the program still hears signals without any pause', async () => {
    const lab = new ClientLab(REMOTE, 'connect-retry 0 0');
    lab.refuseLink = () => (lab.requests.length > 100 ? undefined : 'EADDRINUSE');
    lab.start();
    await lab.settle();
    expect(lab.requests.length).toBe(1);
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('whose session can’t be made end the program, with the socket closed', async () => {
    const lab = new ClientLab(REMOTE);
    lab.wrap = { kind: 'tls-auth', staticKey: new Uint8Array(256), direction: 0, digest: 'NOSUCHDIGEST' };
    lab.start();
    expect(await lab.ended()).toMatchObject({ exitCode: 1, error: { code: 'SALLYPORT_INTERNAL' } });
    await lab.gone();
  });

  it('are judged by their own protocol when options are pushed', async () => {
    const lab = new ClientLab(
      '<connection>',
      'remote 198.51.100.2 1194 tcp-client',
      '</connection>',
      '<connection>',
      'remote 198.51.100.1 1194 udp',
      '</connection>',
      'server-poll-timeout 8',
    );
    lab.server.push = ['explicit-exit-notify 2'];
    await lab.up();
    lab.signal('SIGTERM');
    await lab.ended();
    expect(lab.log).toContain('SIGTERM received, sending exit notification to peer');
  });
});

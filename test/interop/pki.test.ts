// Files that `sallyport pki` and `sallyport server init` made, in the hands of the real program and of ours: the server's
// configuration as it was written, the client's profile as it was written.

import { chmodSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import type { WatchedProcess } from '../lab/process.ts';
import { clientCommand, clientUnderTest, labSuite, type PeerVersion, peerProgram } from '../lab/requirements.ts';
import { openWorkbench, type Workbench } from '../pki/workbench.ts';

labSuite('keys and certificates made by sallyport', () => {
  const lab = useLab();
  let bench: Workbench;
  const started: WatchedProcess[] = [];

  beforeEach(async () => {
    bench = openWorkbench();
    // The server becomes nobody and rereads the revocation list.
    chmodSync(bench.dir, 0o755);
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((process) => process.kill()));
    bench.remove();
  });

  async function server(version: PeerVersion | 'sallyport'): Promise<WatchedProcess> {
    const program = version === 'sallyport' ? clientCommand('sallyport') : [peerProgram(version)];
    const process = lab().net.server.watch([...program, '--config', bench.path('etc', 'server.conf')], {
      name: `${version} (server)`,
      cwd: '/',
    });
    started.push(process);
    await process.line(up);
    return process;
  }

  async function client(profile: string, ...more: readonly string[]): Promise<WatchedProcess> {
    return lab().client({ argv: ['--config', bench.path(profile), '--connect-retry-max', '1', ...more] });
  }

  it.each([
    ['2.6', 'udp', clientUnderTest, []],
    ['2.7', 'udp', clientUnderTest, ['--rsa', '2048']],
    ['2.6', 'tcp', 'openvpn', []],
    ['2.7', 'tcp', 'openvpn-2.7', []],
    ['sallyport', 'udp', 'openvpn', []],
    ['sallyport', 'tcp', 'sallyport', ['--rsa', '2048']],
  ] as const)(
    '%s serves over %s with the configuration as written, to %s %j',
    async (version, protocol, kind, words) => {
      const remote = ['--remote', address.server4, '--proto', protocol];
      expect(await bench.server('init', '--out', 'etc', ...remote, ...words)).toMatchObject({ code: 0 });
      expect(await bench.pki('client', 'alice')).toMatchObject({ code: 0, err: '' });
      const serving = await server(version);
      const connected = await lab().client({ kind, argv: ['--config', bench.path('alice.ovpn')] });
      await connected.line(up);
      await serving.line(/\[alice\] Peer Connection Initiated/);
      // 2.6 needs persist-key to restart as nobody; 2.7 has it always, and says so.
      expect(serving.text).not.toMatch(/DEPRECATED OPTION: (?!--persist-key)|Unrecognized|Options error/);
    },
  );

  it.each(['2.6', 'sallyport'] as const)(
    'a client that is revoked while %s serves is refused, one that is renewed comes in',
    async (version) => {
      expect(await bench.server('init', '--out', 'etc', '--remote', address.server4)).toMatchObject({ code: 0 });
      for (const name of ['alice', 'bob']) expect(await bench.pki('client', name)).toMatchObject({ code: 0 });
      const serving = await server(version);
      const before = await client('bob.ovpn');
      await before.line(up);
      await before.stop();
      expect(await bench.pki('revoke', 'bob')).toMatchObject({ code: 0 });
      const mark = serving.mark();
      await client('bob.ovpn');
      await serving.line(/VERIFY ERROR: depth=0, error=certificate revoked: CN=bob/, { from: mark });
      expect(await bench.pki('renew', 'alice', '--revoke-old', '--force')).toMatchObject({ code: 0 });
      const renewed = await client('alice.ovpn');
      await renewed.line(up);
    },
  );

  it('a client takes no other client for the server, and no server of another name', async () => {
    expect(await bench.server('init', '--out', 'etc', '--remote', address.server4)).toMatchObject({ code: 0 });
    for (const name of ['alice', 'bob']) expect(await bench.pki('client', name)).toMatchObject({ code: 0 });
    expect(await bench.pki('server', 'other')).toMatchObject({ code: 0 });
    const other = ['--server', 'other', '--profile-only', '--out', 'other.ovpn'];
    expect(await bench.pki('client', 'alice', ...other)).toMatchObject({ code: 0 });
    await server('2.6');
    const wrongName = await client('other.ovpn');
    await wrongName.line(/VERIFY X509NAME ERROR: (CN=)?server, must be other/);
    await lab().endTest();
    await Promise.all(started.splice(0).map((process) => process.kill()));
    const files = ['--cert', bench.path('pki', 'issued', 'bob.crt'), '--key', bench.path('pki', 'private', 'bob.key')];
    const impostor = lab().net.server.watch(['openvpn', '--config', bench.path('etc', 'server.conf'), ...files], {
      name: 'openvpn with a client certificate (server)',
      cwd: '/',
    });
    started.push(impostor);
    await impostor.line(up);
    const wary = await client('alice.ovpn');
    await wary.line(/VERIFY (?:ERROR|EKU ERROR|KU ERROR)/);
  });
});

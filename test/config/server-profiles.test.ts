// Configurations as administrators of servers write them: each must parse, and give the server that was meant.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkProfile } from '../../src/config/check.ts';
import type { Config } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse.ts';
import type { ServerOptions } from '../../src/config/server-options.ts';

const folder = fileURLToPath(new URL('profiles/server/', import.meta.url));
const host = { readText: () => undefined };
const input = (name: string) => ({ text: readFileSync(`${folder}${name}`, 'utf8'), file: name });

function served(name: string): Config & { readonly server: ServerOptions } {
  const { config, findings } = parseConfig(input(name), host);
  const { server } = config ?? {};
  if (config === undefined || server === undefined) throw new Error(findings.map((each) => each.message).join('\n'));
  return { ...config, server };
}

describe('servers of real life', () => {
  it.each(readdirSync(folder))('%s is accepted', (name) => {
    expect(parseConfig(input(name), host).findings.filter((each) => each.severity === 'error')).toEqual([]);
  });

  it('have nothing to be said about them when they are in order', () => {
    expect(checkProfile(input('road-warriors.conf'), host).findings).toEqual([]);
  });

  it('give people of a company their addresses, routes and names', () => {
    const { server, tls, process } = served('road-warriors.conf');
    expect(server).toMatchObject({
      pool4: { first: '10.66.0.2', last: '10.66.1.254', netmask: '255.255.254.0' },
      pool6: { first: 'fd66:1::1000', prefixLength: 64 },
      push: [
        'route 192.168.40.0 255.255.255.0',
        'dhcp-option DNS 192.168.40.53',
        'dhcp-option DOMAIN office.example',
        'tun-ipv6',
        'route-gateway 10.66.0.1',
        'topology subnet',
        'ping 10',
        'ping-restart 60',
      ],
      maxClients: 300,
      exitNotify: 1,
      tlsCryptV2: { forceCookie: true },
      metrics: { host: '127.0.0.1', port: 9176 },
    });
    expect(server.wraps.map((each) => each.kind)).toEqual(['tls-crypt-v2']);
    expect(tls).toMatchObject({ role: 'server', dh: undefined, remoteCertEku: 'TLS Web Client Authentication' });
    expect(process).toMatchObject({ statusVersion: 3, status: { seconds: 30 } });
  });

  it('listen in several places and ask programs', () => {
    const { server } = served('passwords.conf');
    expect(server.listens.map((each) => `${each.host} ${each.port} ${each.proto.transport}`)).toEqual([
      '192.0.2.10 443 tcp-server',
      '192.0.2.10 1194 udp',
      '2001:db8::10 1194 udp',
    ]);
    expect(server).toMatchObject({
      verifyClientCert: 'optional',
      usernameAsCommonName: true,
      authGenToken: { lifetimeSeconds: 43200, renewalSeconds: 3600, externalAuth: false },
      portShare: { host: '127.0.0.1', port: '8443', directory: undefined },
      tmpDir: '/run/vpn',
      scripts: { authUserPassVerify: { argv: ['/usr/local/lib/vpn/login', '--realm', 'staff'], by: 'file' } },
    });
    expect(server.wraps).toMatchObject([{ kind: 'tls-auth', direction: 0 }]);
  });

  it('link sites without the macro', () => {
    const { server, tunnel, connections } = served('site-links.conf');
    expect(server).toMatchObject({
      pool4: { first: '172.30.0.10', last: '172.30.0.20', netmask: undefined },
      ccdExclusive: true,
      clientToClient: true,
      compressMigrate: true,
      maxRoutesPerClient: 4,
    });
    expect(tunnel).toMatchObject({ topology: 'p2p', ifconfig: { local: '172.30.0.1', remoteOrNetmask: '172.30.0.2' } });
    expect(tunnel.routes.map((each) => each.network)).toEqual(['172.30.0.0', '10.20.0.0', '10.30.0.0']);
    expect(connections[0]?.proto.transport).toBe('tcp-server');
  });

  it('are told what has become of old habits', () => {
    const { server } = served('old-handwriting.conf');
    expect(server.push.slice(-3)).toEqual(['ping 10', 'ping-restart 120', 'socket-flags TCP_NODELAY']);
    const said = checkProfile(input('old-handwriting.conf'), host).findings.map(
      (each) => `${each.severity} ${each.option}`,
    );
    expect(said).toEqual(
      expect.arrayContaining([
        'warning topology',
        'notice duplicate-cn',
        'warning ifconfig-pool-persist',
        'warning cipher',
        'warning comp-lzo',
        'notice hash-size',
        'notice bcast-buffers',
        'warning tcp-nodelay',
        'warning tun-ipv6',
      ]),
    );
  });
});

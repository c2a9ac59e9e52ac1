import { describe, expect, it } from 'vitest';
import { openAttemptLink } from '../../src/client/link.ts';
import { parseConfig } from '../../src/config/parse.ts';
import type { DataPlane } from '../../src/data/plane.ts';
import { formatSocketAddress, socketAddress } from '../../src/ip/socket-address.ts';
import type { LinkPort, LinkRequest } from '../../src/ports.ts';

/** Opens a link to a remote with these lines; what was asked of the system, and the log. */
function open(...lines: readonly string[]) {
  const text = ['client', 'remote 192.0.2.1', 'ca x', 'auth-user-pass', ...lines].join('\n');
  const { config } = parseConfig({ text, file: 'x' }, { readText: () => undefined });
  const remote = socketAddress(Uint8Array.of(192, 0, 2, 1), 1194);
  const asked: LinkRequest[] = [];
  const log: string[] = [];
  const links = {
    open(request: LinkRequest) {
      asked.push(request);
      return {
        fd: 9,
        connecting: false,
        connected: true,
        local: remote,
        buffers: { receive: [1, 2], send: [3, 4] },
        notes: ['NOTE: setsockopt SO_MARK=7 failed'],
      };
    },
  } as unknown as LinkPort;
  const link = openAttemptLink(config!.connections[0]!, remote, undefined, {
    links,
    plane: { addLink: () => 5 } as unknown as DataPlane,
    log: (_flags, line) => log.push(line),
    mark: 7,
    bindDevice: undefined,
    sndbufBytes: undefined,
    rcvbufBytes: undefined,
    tcpNoDelay: true,
  });
  return { link, asked: asked[0]!, log, remote };
}

describe('a link of a client', () => {
  it('tells what the system refused of its socket, and goes on', () => {
    const { link, log } = open('mark 7');
    expect(link.id).toBe(5);
    expect(log).toEqual([
      'TCP/UDP: Preserving recently used remote address: [AF_INET]192.0.2.1:1194',
      'NOTE: setsockopt SO_MARK=7 failed',
      'Socket Buffers: R=[1->2] S=[3->4]',
    ]);
  });

  it.each([
    [['lport 5000'], 'the remote', '0.0.0.0:5000'],
    [['nobind'], 'the remote', 'the system chooses'],
    [['float', 'lport 5000'], 'anybody', '0.0.0.0:5000'],
    // Of the server's family also where nothing else says it: answers of an IPv4 server must not come as IPv6 addresses.
    [['float', 'nobind'], 'anybody', '0.0.0.0:0'],
  ])('has a socket for %j that is open to %s and bound to %s', (lines, whom, where) => {
    const { asked, remote } = open(...lines);
    expect(asked.remote).toEqual(whom === 'anybody' ? undefined : remote);
    const { local } = asked;
    expect(local === undefined ? 'the system chooses' : formatSocketAddress(local)).toBe(where);
  });
});

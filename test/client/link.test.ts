import { describe, expect, it } from 'vitest';
import { openAttemptLink } from '../../src/client/link.ts';
import { parseConfig } from '../../src/config/parse.ts';
import type { DataPlane } from '../../src/data/plane.ts';
import { socketAddress } from '../../src/ip/socket-address.ts';
import type { LinkPort } from '../../src/ports.ts';

describe('a link of a client', () => {
  it('tells what the system refused of its socket, and goes on', () => {
    const text = 'client\nremote 192.0.2.1\nca x\nauth-user-pass\nmark 7';
    const { config } = parseConfig({ text, file: 'x' }, { readText: () => undefined });
    const remote = socketAddress(Uint8Array.of(192, 0, 2, 1), 1194);
    const lines: string[] = [];
    const links = {
      open: () => ({
        fd: 9,
        connecting: false,
        connected: true,
        local: remote,
        buffers: { receive: [1, 2], send: [3, 4] },
        notes: ['NOTE: setsockopt SO_MARK=7 failed'],
      }),
    } as unknown as LinkPort;
    const link = openAttemptLink(config!.connections[0]!, remote, undefined, {
      links,
      plane: { addLink: () => 5 } as unknown as DataPlane,
      log: (_flags, line) => lines.push(line),
      mark: 7,
      bindDevice: undefined,
      sndbufBytes: undefined,
      rcvbufBytes: undefined,
      tcpNoDelay: true,
    });
    expect(link.id).toBe(5);
    expect(lines).toEqual([
      'TCP/UDP: Preserving recently used remote address: [AF_INET]192.0.2.1:1194',
      'NOTE: setsockopt SO_MARK=7 failed',
      'Socket Buffers: R=[1->2] S=[3->4]',
    ]);
  });
});

// Every pair of peer, transport, control channel wrap, cipher and way to agree on it. Peers 2.5 and 2.6-deaf derive
// keys by PRF, 2.6 and 2.7 by the TLS exporter; 2.7 has the epoch format with AEAD ciphers.

import { beforeAll, expect, it } from 'vitest';
import { type Transport, useLab } from '../lab/lab.ts';
import { device, hostState } from '../lab/net.ts';
import { clientUnderTest, hasEpochs, labSuite, type PeerVersion, peerVersions } from '../lab/requirements.ts';
import { expectHealthy, serveTraffic } from '../lab/traffic.ts';
import { agreements, type Cipher, cipherNames, ciphers, transports, type Wrap, wrapLines, wraps } from './factors.ts';
import { pairwise } from './pairwise.ts';

const cases = pairwise({
  cipher: cipherNames,
  wrap: wraps,
  peer: peerVersions,
  transport: transports,
  agreement: agreements,
});

labSuite('every pair of peer, transport, wrap, cipher and agreement carries traffic', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it.each(cases.map((each) => [Object.values(each).join(', '), each] as const))('%s', async (_title, each) => {
    const cipher = each.cipher as Cipher;
    const transport = each.transport as Transport;
    const wrap = wrapLines(lab(), each.wrap as Wrap);
    // Every client but that of 2.5 does without state at the server.
    const cookie = each.wrap === 'tls-crypt-v2' && each.peer !== '2.5' ? ' force-cookie' : '';
    const before = await hostState(lab().net.client);
    const exitNotice = transport.startsWith('udp');

    const server = await lab().server({
      version: each.peer as PeerVersion,
      transport,
      lines: [
        `data-ciphers ${cipher}`,
        ...ciphers[cipher],
        ...wrap.server.map((line) => line + cookie),
        'keepalive 10 60',
      ],
    });
    const client = await lab().connect({
      transport,
      lines: [
        ...ciphers[cipher],
        ...wrap.client,
        ...(exitNotice ? ['explicit-exit-notify 1'] : []),
        // By fallback: what the server pushes is not heard, and its own choice is all there is.
        ...(each.agreement === 'fallback'
          ? ['pull-filter ignore "cipher "', `data-ciphers-fallback ${cipher}`, `data-ciphers ${cipher}`]
          : [`data-ciphers ${cipherNames.join(':')}`]),
      ],
    });

    expect((await device(lab().net.client, 'tun0'))?.addresses).toEqual(['10.8.0.2/24', 'fd00:8::1000/64']);
    const epochs = each.peer === '2.7' && hasEpochs(clientUnderTest) && !/-C[BF][CB]$/.test(cipher);
    const key = new RegExp(`Outgoing ${epochs ? 'Epoch Data key 1' : 'Data Channel'}: Cipher '${cipher}' initialized`);
    await server.line(key);
    await client.line(key);
    const reply = await server.line(/SENT CONTROL \[client\]: 'PUSH_REPLY/);
    expect(reply.includes('tls-ekm')).toBe(each.peer === '2.6' || each.peer === '2.7');
    expect(reply.includes('dyn-tls-crypt')).toBe(each.peer === '2.6' || each.peer === '2.7');
    expect(reply.includes('aead-epoch')).toBe(epochs);
    // A 2.5 server counts three bytes too few for CBC after negotiation and drops its own full packets.
    await expectHealthy(lab(), each.peer === '2.5' && cipher.endsWith('CBC') ? [56, 1300, 1460] : undefined);

    const mark = server.mark();
    expect(await client.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    if (exitNotice) {
      expect(client.count(/SIGTERM received, sending exit notification to peer/)).toBe(1);
      await server.line(/exit message received by peer|SIGTERM\[soft,(remote-exit|delayed-exit)\] received/, {
        from: mark,
      });
    }
    expect(await hostState(lab().net.client)).toEqual(before);
  });
});

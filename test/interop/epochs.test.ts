// The epoch format with 2.7, and the bound of AES-GCM without it. What a key may carry is lowered at our end, so that what
// takes a terabyte happens in a second; the other end follows.

import { beforeAll, expect, it } from 'vitest';
import { tunnel, useLab } from '../lab/lab.ts';
import type { WatchedProcess } from '../lab/process.ts';
import { labSuite } from '../lab/requirements.ts';
import { expectNoLoss, expectTransfer, serveTraffic } from '../lab/traffic.ts';

/** Blocks and packets: 400 bytes are 27 and one. */
const limit = (blocks: number) => `setenv SALLYPORT_TEST_CIPHER_LIMIT ${blocks}`;
const followed = /Received data packet with new epoch \d+\. Updating receive key/;
const trouble = /Decrypt error|packet error|TLS Error|TLS ERROR|out of sync/;
const ciphers = ['AES-128-GCM', 'AES-192-GCM', 'AES-256-GCM'] as const;

labSuite('epochs', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  const expectFollowed = (peer: WatchedProcess, ours: WatchedProcess, times: number): void => {
    expect(peer.count(followed)).toBeGreaterThanOrEqual(times);
    for (const end of [peer, ours]) {
      expect(end.count(trouble)).toBe(0);
      // A new epoch is no new key of the session.
      expect(end.count(/Outgoing Epoch Data key 1: Cipher/)).toBe(1);
    }
  };

  it.each(ciphers)('change under traffic with a 2.7 server and no packet is lost: %s', async (cipher) => {
    const lines = [`data-ciphers ${cipher}`];
    const peer = await lab().server({ version: '2.7', lines: [...lines, 'verb 6'] });
    const client = await lab().connect({ lines: [...lines, limit(3000)] });
    await expectNoLoss(lab().net.client, tunnel.server4, 1500);
    expectFollowed(peer, client, 10);
    await client.stop();
  });

  it.each(ciphers)('change under traffic with a 2.7 client and no packet is lost: %s', async (cipher) => {
    const lines = [`data-ciphers ${cipher}`];
    const server = await lab().serve({ lines: [...lines, limit(3000)] });
    const peer = await lab().connect({ kind: 'openvpn-2.7', lines: [...lines, 'verb 6'] });
    await expectNoLoss(lab().net.client, tunnel.server4, 1500);
    expectFollowed(peer, server, 10);
    await peer.stop();
  });

  it.each(['udp4', 'tcp4'] as const)('change under bulk transfers both ways, over %s', async (transport) => {
    const server = await lab().serve({ transport, lines: [limit(20_000)] });
    const peer = await lab().connect({ transport, kind: 'openvpn-2.7', lines: ['verb 6'] });
    await expectTransfer(lab().net.client, tunnel.server4);
    await expectTransfer(lab().net.server, tunnel.client4);
    expect(peer.count(followed)).toBeGreaterThanOrEqual(10);
    expect(server.count(/TLS Error|TLS ERROR/)).toBe(0);
    await peer.stop();
  });

  it('go on through renegotiations', async () => {
    const peer = await lab().server({ version: '2.7', lines: ['verb 6'] });
    const client = await lab().connect({ lines: [limit(3000), 'reneg-sec 2 2'] });
    await expectNoLoss(lab().net.client, tunnel.server4, 2500);
    expect(peer.count(/Outgoing Epoch Data key 1: Cipher/)).toBeGreaterThanOrEqual(3);
    expect(peer.count(followed)).toBeGreaterThanOrEqual(10);
    expect(peer.count(trouble) + client.count(trouble)).toBe(0);
    await client.stop();
  });

  it('are none where the peer has none, and its AES-GCM key is renegotiated in time: a 2.6 server', async () => {
    const peer = await lab().server({ version: '2.6', lines: ['reneg-sec 0'] });
    const client = await lab().connect({ lines: [limit(20_000), 'reneg-sec 0'] });
    await expectNoLoss(lab().net.client, tunnel.server4, 1500);
    expect(client.count(/TLS: soft reset/)).toBeGreaterThanOrEqual(1);
    expect(peer.count(/Outgoing Data Channel: Cipher/)).toBeGreaterThanOrEqual(2);
    expect(peer.count(trouble) + client.count(trouble)).toBe(0);
    await client.stop();
  });

  it('are none where the peer has none, and its AES-GCM key is renegotiated in time: a 2.6 client', async () => {
    const server = await lab().serve({ lines: [limit(20_000), 'reneg-sec 0'] });
    const peer = await lab().connect({ kind: 'openvpn', lines: ['reneg-sec 0'] });
    await expectNoLoss(lab().net.client, tunnel.server4, 1500);
    expect(server.count(/TLS: soft reset/)).toBeGreaterThanOrEqual(1);
    expect(peer.count(/Outgoing Data Channel: Cipher/)).toBeGreaterThanOrEqual(2);
    expect(peer.count(trouble) + server.count(trouble)).toBe(0);
    await peer.stop();
  });
});

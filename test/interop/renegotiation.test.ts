// New keys while packets flow, asked for by either side for each reason: not one packet may be lost.

import { beforeAll, expect, it } from 'vitest';
import { tunnel, useLab } from '../lab/lab.ts';
import { labSuite, type PeerVersion } from '../lab/requirements.ts';
import { expectNoLoss, serveTraffic } from '../lab/traffic.ts';

labSuite('renegotiation under traffic', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  const versions: readonly PeerVersion[] = ['2.6', '2.7'];
  /** What triggers it, the client's lines, the server's, and how many packets at two milliseconds are enough. */
  const triggers = [
    ['reneg-sec of the client', ['reneg-sec 2 2'], [], 2500],
    ['reneg-bytes of the client', ['reneg-bytes 400000'], [], 1400],
    ['reneg-pkts of the client', ['reneg-pkts 900'], [], 1400],
    ['reneg-sec of the server', ['reneg-sec 0'], ['reneg-sec 2 2'], 2500],
    ['reneg-bytes of the server', ['reneg-sec 0'], ['reneg-bytes 400000'], 1400],
    ['reneg-pkts of the server', ['reneg-sec 0'], ['reneg-pkts 900'], 1400],
  ] as const;
  const cases = versions.flatMap((version) => triggers.map((trigger) => [version, ...trigger] as const));

  it.each(cases)('loses no packet: %s server, %s', async (version, _title, client, server, count) => {
    const wrap = [`tls-crypt ${lab().keys.shared}`];
    const peer = await lab().server({ version, lines: [...wrap, ...server] });
    const process = await lab().connect({ lines: [...wrap, ...client] });
    await expectNoLoss(lab().net.client, tunnel.server4, count);
    expect(peer.count(/Outgoing Data Channel: Cipher/)).toBeGreaterThanOrEqual(3);
    expect(process.count(/Outgoing Data Channel: Cipher/)).toBeGreaterThanOrEqual(3);
    expect(process.count(/Authenticate\/Decrypt packet error|TLS Error/)).toBe(0);
    await process.stop();
  });
});

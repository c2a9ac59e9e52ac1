// New keys while packets flow, asked for by either side for each reason: not one packet may be lost. Wherever both ends
// have dynamic tls-crypt, the control packets of the new keys are wrapped in a key of the session's own.

import { beforeAll, expect, it } from 'vitest';
import { tunnel, useLab } from '../lab/lab.ts';
import type { WatchedProcess } from '../lab/process.ts';
import { labSuite, type PeerVersion, type Program } from '../lab/requirements.ts';
import { expectNoLoss, serveTraffic } from '../lab/traffic.ts';
import { type Wrap, wrapLines } from './factors.ts';

const keyMade = /Outgoing (Data Channel|Epoch Data key 1): Cipher/;
const dynamicKey = /Outgoing dynamic tls-crypt: Cipher 'AES-256-CTR' initialized with 256 bit key/;
const trouble = /Authenticate\/Decrypt packet error|AEAD Decrypt error|TLS Error|TLS ERROR|unwrap error/;

function expectRenewed(...ends: readonly WatchedProcess[]): void {
  for (const end of ends) {
    expect(end.count(keyMade)).toBeGreaterThanOrEqual(3);
    expect(end.count(dynamicKey)).toBe(1);
    expect(end.count(trouble)).toBe(0);
  }
}

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
    expectRenewed(peer, process);
    await process.stop();
  });

  const wraps: readonly Wrap[] = ['no wrap', 'tls-auth with direction', 'tls-auth without direction', 'tls-crypt-v2'];
  const wrapped = versions.flatMap((version) => wraps.map((wrap) => [version, wrap] as const));

  it.each(wrapped)('loses no packet: %s server, %s', async (version, wrap) => {
    const lines = wrapLines(lab(), wrap);
    const peer = await lab().server({ version, lines: lines.server });
    const process = await lab().connect({ lines: [...lines.client, 'reneg-sec 2 2'] });
    await expectNoLoss(lab().net.client, tunnel.server4, 2500);
    expectRenewed(peer, process);
    await process.stop();
  });

  const kinds: readonly Program[] = ['openvpn', 'openvpn-2.7'];
  const all: readonly Wrap[] = [...wraps, 'tls-crypt'];
  const served = kinds.flatMap((kind) => all.map((wrap) => [kind, wrap] as const));

  it.each(served)('of a server loses no packet: %s client, %s', async (kind, wrap) => {
    const lines = wrapLines(lab(), wrap);
    const peer = await lab().serve({ lines: [...lines.server, 'reneg-sec 2 2'] });
    const process = await lab().connect({ kind, lines: [...lines.client, 'reneg-sec 0'] });
    await expectNoLoss(lab().net.client, tunnel.server4, 2500);
    expectRenewed(peer, process);
    await process.stop();
  });
});

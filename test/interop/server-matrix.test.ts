// The matrix with the server under test on the other end: every pair of client, transport, control channel wrap,
// cipher and way to agree on it.

import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { type Transport, tunnel, up, useLab } from '../lab/lab.ts';
import { device } from '../lab/net.ts';
import { run } from '../lab/process.ts';
import { type ClientKind, clientKinds, hasEpochs, labSuite, serverUnderTest } from '../lab/requirements.ts';
import { expectTransfer, pings, serveTraffic } from '../lab/traffic.ts';
import { agreements, type Cipher, cipherNames, ciphers, transports, type Wrap, wrapLines, wraps } from './factors.ts';
import { pairwise } from './pairwise.ts';

const cases = pairwise({
  cipher: cipherNames,
  wrap: wraps,
  client: clientKinds,
  transport: transports,
  agreement: agreements,
});

/** By fallback the client says nothing of what it can (2.5), or hears nothing of what is chosen (later ones). */
function agreementLines(each: (typeof cases)[number]): { client: readonly string[]; server: readonly string[] } {
  const { cipher } = each;
  if (each.agreement === 'negotiation') {
    return { client: [`data-ciphers ${cipherNames.join(':')}`], server: [`data-ciphers ${cipher}`] };
  }
  if (each.client === 'openvpn-2.5') {
    return {
      client: ['ncp-disable', `cipher ${cipher}`],
      server: [`data-ciphers ${cipher}`, `data-ciphers-fallback ${cipher}`],
    };
  }
  return {
    client: ['pull-filter ignore "cipher "', `data-ciphers ${cipher}`, `data-ciphers-fallback ${cipher}`],
    server: [`data-ciphers AES-256-GCM:${cipher}`],
  };
}

labSuite('every pair of client, transport, wrap, cipher and agreement is served', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it.each(cases.map((each) => [Object.values(each).join(', '), each] as const))('%s', async (_title, each) => {
    const transport = each.transport as Transport;
    const wrap = wrapLines(lab(), each.wrap as Wrap);
    const agreement = agreementLines(each);
    const auth = ciphers[each.cipher as Cipher];
    const exitNotice = transport.startsWith('udp');

    const server = await lab().serve({
      transport,
      lines: [...agreement.server, ...auth, ...wrap.server, 'keepalive 10 60'],
    });
    const client = await lab().connect({
      kind: each.client as ClientKind,
      transport,
      lines: [...agreement.client, ...auth, ...wrap.client, ...(exitNotice ? ['explicit-exit-notify 1'] : [])],
    });

    expect((await device(lab().net.client, 'tun0'))?.addresses).toEqual(['10.8.0.2/24', 'fd00:8::1000/64']);
    await client.line(new RegExp(`Cipher '${each.cipher}' initialized|[Cc]ipher '${each.cipher}'`));
    await server.line(/\[client\] Peer Connection Initiated with \[AF_INET6?\]/);
    const epochs =
      hasEpochs(serverUnderTest) && hasEpochs(each.client as ClientKind) && !/-C[BF][CB]$/.test(each.cipher);
    const reply = await server.line(/SENT CONTROL \[client\]: 'PUSH_REPLY/);
    expect(reply.includes('aead-epoch')).toBe(epochs);
    expect(reply.includes('dyn-tls-crypt')).toBe(each.client !== 'openvpn-2.5');
    await server.line(new RegExp(`Outgoing ${epochs ? 'Epoch Data key 1' : 'Data Channel'}: Cipher '${each.cipher}'`));
    const { client: here, server: there } = lab().net;
    for (const sizeBytes of [56, 1300, 3000]) {
      expect(await pings(here, tunnel.server4, { sizeBytes }), `ping of ${sizeBytes} bytes`).toBe(true);
    }
    expect(await pings(there, tunnel.client4, { sizeBytes: 1300 }), 'ping from the server').toBe(true);
    expect(await pings(here, tunnel.server6, { sizeBytes: 1300 }), 'ping by IPv6').toBe(true);
    await expectTransfer(here, tunnel.server4, 1 << 20);
    await expectTransfer(there, tunnel.client4, 1 << 20);

    const mark = server.mark();
    expect(await client.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    await server.line(
      exitNotice
        ? /exit message received by peer|SIGUSR1\[soft,remote-exit\] received/
        : /Connection reset, restarting|SIGUSR1\[soft,connection-reset\] received/,
      { from: mark },
    );
    expect(await server.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});

labSuite('the dh file of a server', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  const suite = ['tls-version-max 1.2', 'tls-cipher TLS-DHE-RSA-WITH-AES-256-GCM-SHA384'];

  async function rsaServer(dh: string) {
    const { cert, key } = await lab().pki.issue({ name: 'rsaServer', key: 'rsa', eku: 'serverAuth' });
    return lab().serve({ without: ['cert', 'key', 'dh'], lines: [`cert ${cert}`, `key ${key}`, `dh ${dh}`] });
  }

  it('lets in who insists on a DHE suite of TLS 1.2', async () => {
    const parameters = join(lab().dir, 'dh.pem');
    await run([
      'openssl',
      'genpkey',
      '-genparam',
      '-algorithm',
      'DH',
      '-pkeyopt',
      'group:ffdhe2048',
      '-out',
      parameters,
    ]);
    await rsaServer(parameters);
    for (const kind of clientKinds) {
      const client = await lab().connect({ kind, certificate: lab().pki.rsa, lines: suite });
      await client.line(
        /Control Channel: TLSv1\.2, cipher TLSv1\.2 (DHE-RSA-AES256-GCM-SHA384|TLS_DHE_RSA_WITH_AES_256_GCM_SHA384)/,
      );
      expect(await pings(lab().net.client, tunnel.server4), kind).toBe(true);
      await client.stop();
    }
  });

  it('is what such a client comes in by: dh none refuses it', async () => {
    const server = await rsaServer('none');
    const client = await lab().client({ kind: 'openvpn', certificate: lab().pki.rsa, lines: suite });
    await server.line(/TLS Error: TLS handshake failed/);
    expect(client.count(up)).toBe(0);
  });
});

// A connection that fails says which step failed; nothing of it stays on the host; the words are the C program's where
// it has any, and Sallyport's own advice where it has none.

import { beforeAll, expect, it } from 'vitest';
import { type Lab, up, useLab } from '../lab/lab.ts';
import { address, device, hostState } from '../lab/net.ts';
import { isOurs, itOurs, labSuite } from '../lab/requirements.ts';

const once = ['connect-retry 1', 'connect-retry-max 1', 'hand-window 4', 'server-poll-timeout 30'];
const unanswered =
  /TLS Error: TLS key negotiation failed to occur within 4 seconds \(check your network connectivity\)/;

async function expectFailure(lab: Lab, lines: readonly string[], words: readonly RegExp[]) {
  const before = await hostState(lab.net.client);
  const client = await lab.client({ lines: [...once, ...lines] });
  for (const line of words) await client.line(line);
  expect(client.count(up)).toBe(0);
  await client.stop();
  expect(await device(lab.net.client, 'tun0')).toBeUndefined();
  expect(await hostState(lab.net.client)).toEqual(before);
  return client;
}

labSuite('a connection that fails', () => {
  const lab = useLab();

  it('because nothing comes back says so', async () => {
    await (await lab().net.server.agent()).ask('hole', { host: '0.0.0.0', port: 1801, transport: 'udp' });
    const client = await lab().client({ without: ['remote'], lines: [...once, `remote ${address.server4} 1801 udp4`] });
    await client.line(/TLS key negotiation failed to occur within 4 seconds|Server poll timeout, restarting/);
    expect(await client.exit()).toEqual({ code: 1, signal: null });
  });

  it('because a port is closed names the refusal', async () => {
    await expectFailure(lab(), [], [/read UDPv4 \[ECONNREFUSED\]: Connection refused/]);
  });

  it('because TCP is refused names the address', async () => {
    const client = await lab().client({ transport: 'tcp4', lines: once });
    await client.line(/TCP: connect to \[AF_INET\]198\.51\.100\.1:1194 failed: Connection refused/);
    expect(await client.exit()).toEqual({ code: 1, signal: null });
  });

  it('because a TCP server says nothing gives up in time', async () => {
    await (await lab().net.server.agent()).ask('hole', { host: '0.0.0.0', port: 1802, transport: 'tcp' });
    const client = await lab().client({ without: ['remote'], lines: [...once, `remote ${address.server4} 1802 tcp4`] });
    await client.line(/TLS key negotiation failed to occur within 4 seconds|Server poll timeout, restarting/);
    expect(await client.exit()).toEqual({ code: 1, signal: null });
  });

  it('because a host is unreachable names that', async () => {
    const client = await lab().client({ without: ['remote'], lines: [...once, 'remote 198.51.100.77 1194 tcp4'] });
    await client.line(
      /TCP: connect to \[AF_INET\]198\.51\.100\.77:1194 failed: (No route to host|Connection timed out)/,
    );
    expect(await client.exit()).toEqual({ code: 1, signal: null });
  });

  const wraps: readonly (readonly [string, (lab: Lab) => { server: readonly string[]; client: readonly string[] }])[] =
    [
      [
        'another tls-auth key',
        ({ keys }) => ({ server: [`tls-auth ${keys.shared} 0`], client: [`tls-auth ${keys.foreign} 1`] }),
      ],
      [
        'the same tls-auth direction on both sides',
        ({ keys }) => ({ server: [`tls-auth ${keys.shared} 0`], client: [`tls-auth ${keys.shared} 0`] }),
      ],
      [
        'another tls-auth digest',
        ({ keys }) => ({
          server: [`tls-auth ${keys.shared} 0`, 'auth SHA256'],
          client: [`tls-auth ${keys.shared} 1`, 'auth SHA512'],
        }),
      ],
      [
        'another tls-crypt key',
        ({ keys }) => ({ server: [`tls-crypt ${keys.shared}`], client: [`tls-crypt ${keys.foreign}`] }),
      ],
      [
        "another server's tls-crypt-v2 key",
        ({ keys }) => ({ server: [`tls-crypt-v2 ${keys.v2Server}`], client: [`tls-crypt-v2 ${keys.v2ForeignClient}`] }),
      ],
      [
        'tls-crypt where the server has tls-auth',
        ({ keys }) => ({ server: [`tls-auth ${keys.shared} 0`], client: [`tls-crypt ${keys.shared}`] }),
      ],
      ['tls-crypt where the server has none', ({ keys }) => ({ server: [], client: [`tls-crypt ${keys.shared}`] })],
      ['nothing where the server has tls-crypt', ({ keys }) => ({ server: [`tls-crypt ${keys.shared}`], client: [] })],
    ];

  it.each(wraps)('because of %s', async (_title, lines) => {
    const { server, client } = lines(lab());
    const peer = await lab().server({ lines: server });
    await expectFailure(lab(), client, [unanswered, /TLS Error: TLS handshake failed/]);
    expect(peer.count(/Peer Connection Initiated|TLS: Initial packet from.*\n.*VERIFY/)).toBe(0);
  });

  it('because no cipher is shared tells what the server said', async () => {
    await lab().server({ lines: ['data-ciphers AES-128-GCM'] });
    const client = await lab().client({ lines: [...once, 'data-ciphers AES-256-GCM'] });
    expect(await client.exit()).toEqual({ code: 0, signal: null });
    expect(client.text).toMatch(/AUTH_FAILED,Data channel cipher negotiation failed \(no shared cipher\)/);
  });

  // A server that negotiates refuses by itself; this one takes its own cipher whatever the client has.
  const stubborn = { version: '2.5', lines: ['cipher AES-128-GCM', 'ncp-disable'] } as const;
  const mine = 'AES-256-GCM:CHACHA20-POLY1305';

  it('because the server pushes a cipher that is not allowed names both, and the line to add', async () => {
    await lab().server(stubborn);
    const client = await lab().client({ lines: [...once, `data-ciphers ${mine}`] });
    await client.line(new RegExp(`negotiated cipher not allowed - AES-128-GCM not in ${mine}`));
    await client.exit();
    expect(client.count(up)).toBe(0);
    if (isOurs) expect(client.text).toContain(`Add the line: data-ciphers ${mine}:AES-128-GCM`);
  });

  it('because the server has a cipher that is not allowed, and pushes none, names both, and the line to add', async () => {
    await lab().server(stubborn);
    const client = await lab().client({ lines: [...once, `data-ciphers ${mine}`, 'pull-filter ignore "cipher "'] });
    await client.line(
      new RegExp(`Add the server's cipher \\('AES-128-GCM'\\) to --data-ciphers \\(currently '${mine}'\\)`),
    );
    await client.exit();
    expect(client.count(up)).toBe(0);
    // 2.7 says it, too, 2.6 does not.
    if (isOurs) expect(client.text).toContain(`--data-ciphers ${mine}:AES-128-GCM`);
  });

  it('because the server does not answer the push request says how long it asked', async () => {
    // A server that decides later, and never does.
    const script = await lab().file('defer.sh', '#!/bin/sh\nprintf 2 >"$client_connect_deferred_file"\n', 0o755);
    await lab().server({ lines: ['script-security 2', `client-connect ${script}`] });
    const client = await lab().client({ lines: once });
    await client.line(/Peer Connection Initiated/);
    await client.line(/No reply from server to push requests in \d+s/);
    await client.line(/SIGUSR1\[soft,no-push-reply\] received, process restarting/);
    expect(client.count(up)).toBe(0);
  });

  it('because the versions of TLS do not meet names the alert or the reason', async () => {
    await lab().server({ lines: ['tls-version-min 1.3'] });
    await expectFailure(lab(), ['tls-version-max 1.2'], [/TLS Error: TLS handshake failed|TLS key negotiation failed/]);
  });

  itOurs('because of a wrong wrap key gives the advice to compare the keys', async () => {
    await lab().server({ lines: [`tls-crypt ${lab().keys.shared}`] });
    const client = await expectFailure(lab(), [`tls-crypt ${lab().keys.foreign}`], [unanswered]);
    expect(client.text).toMatch(/tls-crypt/);
  });
});

labSuite('a flood of garbage', () => {
  const lab = useLab();
  beforeAll(async () => {
    await lab().net.router.agent();
  });

  it('from a foreign address does not keep a client from connecting', async () => {
    // A fixed local port is known to the flood beforehand.
    const router = await lab().net.router.agent();
    const client = await lab().client({ without: ['nobind'], lines: ['lport 2194', 'connect-retry 1'] });
    await client.line(/link remote/);
    const flood = router.ask('udpGarbage', { host: address.client4, port: 2194, count: 3000 });
    await lab().server();
    await client.line(up);
    await flood;
    const mark = client.mark();
    await router.ask('udpGarbage', { host: address.client4, port: 2194, count: 3000 });
    expect(client.count(/restarting|exiting/, mark)).toBe(0);
    expect(client.exited).toBeUndefined();
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });
});

import { describe, expect, it } from 'vitest';
import type { SocketAddress } from '../../src/ip/socket-address.ts';
import { CLIENT, type PeerEnd, PeerLab, SERVER } from '../lab/peer-lab.ts';
import { addressOf } from '../lab/server-lab.ts';

const PASSIVE = ['tls-server', 'ifconfig 10.8.0.1 10.8.0.2'];
const ACTIVE = ['tls-client', 'ifconfig 10.8.0.2 10.8.0.1', 'remote 198.51.100.1'];

/** A client's reset that nobody asked for, under a session id of this byte. */
const forged = (byte: number): Uint8Array => Uint8Array.of(7 << 3, ...new Array(8).fill(byte), 0, 0, 0, 0, 0);

async function meet(lab: PeerLab, passive = PASSIVE, active = ACTIVE): Promise<readonly [PeerEnd, PeerEnd]> {
  const server = lab.end(SERVER, passive);
  await lab.settle();
  const client = lab.end(CLIENT, active);
  await lab.until(() => server.ups === 1 && client.ups === 1, 'both ends are up');
  return [server, client];
}

async function expectTraffic(lab: PeerLab, server: PeerEnd, client: PeerEnd): Promise<void> {
  server.read();
  client.read();
  client.write('10.8.0.2', '10.8.0.1');
  server.write('10.8.0.1', '10.8.0.2');
  await lab.runFor(50);
  expect([server.read(), client.read()]).toEqual([1, 1]);
}

const nothingLeft = ({ inPlane }: PeerEnd) => {
  const { links, peers, devices } = inPlane;
  expect([links.size, peers.size, devices.size]).toEqual([0, 0, 0]);
};

describe('two equal ends', () => {
  it('meet, agree, carry packets, and leave nothing behind', async () => {
    const lab = new PeerLab();
    const [server, client] = await meet(lab);
    await expectTraffic(lab, server, client);
    const agreed = /P2P mode NCP negotiation result: TLS_export=1, DATA_v2=1, peer-id \d+, cipher=AES-256-GCM/;
    expect(server.lines(agreed)).toEqual(client.lines(agreed));
    expect(server.lines(agreed)).toHaveLength(1);
    expect(server.hostCalls).toEqual(['open', 'route']);
    for (const end of [client, server]) {
      end.client.signal('SIGTERM');
      await lab.until(() => end.ended !== undefined, 'an end ends');
      nothingLeft(end);
    }
    expect(lab.clock.waiting).toBe(0);
  });

  it('have a device before they meet', async () => {
    const lab = new PeerLab();
    const server = lab.end(SERVER, PASSIVE);
    await lab.settle();
    expect(server.hostCalls).toEqual(['open', 'route']);
    expect(server.lines(/link remote: \[AF_UNSPEC\]/)).toHaveLength(1);
    const late = lab.end(CLIENT, [...PASSIVE, 'up-delay']);
    await lab.settle();
    expect(late.hostCalls).toEqual([]);
  });

  it('come together when either knows where the other is, and the TLS server speaks first', async () => {
    const lab = new PeerLab();
    const server = lab.end(SERVER, [...PASSIVE, 'remote 192.0.2.2']);
    await lab.runFor(3000);
    expect(lab.sent.some(({ bytes }) => (bytes[0] ?? 0) >> 3 === 8)).toBe(true);
    const client = lab.end(CLIENT, ACTIVE);
    await lab.until(() => server.ups === 1 && client.ups === 1, 'both ends are up');
    await expectTraffic(lab, server, client);
  });

  it('stay together when somebody forges a reset, and hold no more than one newcomer', async () => {
    const lab = new PeerLab();
    const [server, client] = await meet(lab);
    const peers = server.inPlane.peers.size;
    for (let byte = 1; byte < 50; byte++) lab.carry(CLIENT, SERVER, forged(byte));
    await lab.runFor(100);
    expect(server.inPlane.peers.size).toBeLessThanOrEqual(peers + 1);
    expect(server.lines(/TLS: Initial packet from/)).toHaveLength(2);
    await expectTraffic(lab, server, client);
    await lab.runFor(120_000);
    expect(server.inPlane.peers.size).toBe(peers);
    await expectTraffic(lab, server, client);
    expect([server.ups, client.ups]).toEqual([1, 1]);
  });

  it('let a peer that was restarted take the place of the one that it was, once it has proven itself', async () => {
    const lab = new PeerLab();
    const [server, client] = await meet(lab);
    client.dead = true;
    const again = lab.end(CLIENT, ACTIVE);
    await lab.until(() => again.ups === 1 && server.ups === 2, 'the client is back');
    await expectTraffic(lab, server, again);
    expect(server.inPlane.peers.size).toBe(1);
    expect(server.hostCalls).toEqual(['open', 'route']);
  });

  it('open one device where the peer is restarted while it is being opened', async () => {
    const lab = new PeerLab();
    const server = lab.end(SERVER, [...PASSIVE, 'up-delay']);
    server.openTakesMs = 5000;
    await lab.settle();
    const client = lab.end(CLIENT, ACTIVE);
    await lab.until(() => server.hostCalls.includes('open'), 'the device is being opened');
    client.dead = true;
    const again = lab.end(CLIENT, ACTIVE);
    await lab.until(() => again.ups === 1 && server.ups === 1, 'the restarted peer is in');
    await lab.runFor(20_000);
    expect([server.hostCalls, server.ups]).toEqual([['open', 'route'], 1]);
    await expectTraffic(lab, server, again);
    server.client.signal('SIGTERM');
    await lab.until(() => server.ended !== undefined, 'the server ends');
    nothingLeft(server);
  });

  it('let the peer come from another place only under float, where its place is stated', async () => {
    for (const float of [false, true]) {
      const lab = new PeerLab();
      const server = lab.end(SERVER, [...PASSIVE, 'remote 192.0.2.2', ...(float ? ['float'] : [])]);
      await lab.settle();
      const elsewhere = lab.end(addressOf('192.0.2.99', 5000), ACTIVE);
      if (float) await lab.until(() => elsewhere.ups === 1, 'it is let in');
      else await lab.runFor(30_000);
      expect([server.ups, elsewhere.ups]).toEqual(float ? [1, 1] : [0, 0]);
    }
  });

  it('go on waiting when somebody came who could not prove himself', async () => {
    const lab = new PeerLab();
    const server = lab.end(SERVER, PASSIVE);
    await lab.settle();
    lab.carry(addressOf('192.0.2.66', 1), SERVER, forged(1));
    await lab.runFor(90_000);
    expect(server.states.map(({ phase }) => phase)).not.toContain('reconnecting');
    const client = lab.end(CLIENT, ACTIVE);
    await lab.until(() => server.ups === 1 && client.ups === 1, 'the peer is in');
    await expectTraffic(lab, server, client);
    expect(server.inPlane.peers.size).toBe(1);
  });

  it('begin anew where they have no cipher in common, and say which line helps', async () => {
    const lab = new PeerLab();
    lab.end(SERVER, [...PASSIVE, 'data-ciphers AES-128-GCM']);
    await lab.settle();
    const client = lab.end(CLIENT, [...ACTIVE, 'data-ciphers AES-256-GCM']);
    await lab.until(() => client.lines(/SIGUSR1\[soft,process-push-msg-failed\]/).length > 0, 'the client begins anew');
    expect(client.lines(/ERROR: failed to negotiate cipher with peer/)).toHaveLength(1);
    expect(client.lines(/NOTE: .*data-ciphers/)).toHaveLength(1);
    const { hostCalls } = client;
    expect(hostCalls.slice(0, 3)).toEqual(['open', 'route', 'close']);
  });

  it('hear of each other’s end, and silence restarts', async () => {
    const lab = new PeerLab();
    const [server, client] = await meet(lab, [...PASSIVE, 'keepalive 2 10'], [...ACTIVE, 'explicit-exit-notify 1']);
    await lab.runFor(4000);
    client.client.signal('SIGTERM');
    await lab.until(() => server.lines(/SIGUSR1\[soft,remote-exit\]/).length > 0, 'the server hears of the end');
    const other = lab.end(CLIENT, ACTIVE);
    await lab.until(() => other.ups === 1, 'the next one is in');
    other.dead = true;
    await lab.until(() => server.lines(/SIGUSR1\[soft,ping-restart\]/).length > 0, 'silence ends it', 30_000);
  });

  it('measure the path under mtu-test, and answer an end that does', async () => {
    const lab = new PeerLab();
    const [server, client] = await meet(lab, PASSIVE, [...ACTIVE, 'mtu-test']);
    await lab.runFor(240_000);
    const result =
      /Empirical MTU test completed \[Tried,Actual\] local->remote=\[(\d+),\1\] remote->local=\[(\d+),\2\]/;
    expect(client.lines(result)).toHaveLength(1);
    expect(server.lines(/MTU test/)).toEqual([]);
    for (const end of [client, server]) end.client.signal('SIGTERM');
    await lab.until(() => client.ended !== undefined && server.ended !== undefined, 'both end');
    expect(lab.clock.waiting).toBe(0);
  });

  it('take new keys at either’s wish', async () => {
    const lab = new PeerLab();
    const [server, client] = await meet(lab);
    for (const end of [server, client]) {
      const before = server.lines(/Incoming (Data Channel|Epoch Data)/).length;
      end.client.renegotiate();
      await lab.until(() => server.lines(/Incoming (Data Channel|Epoch Data)/).length > before, 'there are new keys');
      await lab.runFor(61_000);
      await expectTraffic(lab, server, client);
    }
  });

  it('follow a peer whose data comes from elsewhere, under float', async () => {
    const lab = new PeerLab();
    const [server, client] = await meet(lab, [...PASSIVE, 'float'], ACTIVE);
    const moved: SocketAddress = addressOf('192.0.2.3', 1194);
    (client as { address: SocketAddress }).address = moved;
    client.write('10.8.0.2', '10.8.0.1');
    await lab.runFor(100);
    await expectTraffic(lab, server, client);
    expect(server.lines(/Peer Connection Initiated with \[AF_INET\]192\.0\.2\.3:1194/)).toHaveLength(1);
  });
});

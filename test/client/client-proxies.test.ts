// A whole client whose way leads through a proxy: what it asks, when it gives up, and what it gives back.

import { afterEach, describe, expect, it } from 'vitest';
import { ClientLab } from '../lab/client-lab.ts';

const SERVER = 'remote 198.51.100.1 1194 tcp-client';
const PROXY = '192.0.2.9';
const OK = 'HTTP/1.0 200 OK\r\n\r\n';
const WANTED = 'HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n';

let lab: ClientLab;

/** A client whose server is reached behind the proxy at 192.0.2.9, ports 3128 (HTTP) and 1080 (SOCKS). */
function behindProxy(...lines: readonly string[]): ClientLab {
  lab = new ClientLab(...lines);
  for (const port of [3128, 1080, 4000]) lab.network.servers.set(`${PROXY}:${port}`, lab.server);
  return lab;
}

afterEach(async () => {
  lab.signal('SIGTERM');
  await lab.gone();
});

describe('a client behind an HTTP proxy', () => {
  const HTTP = `http-proxy ${PROXY} 3128`;

  it('connects to the proxy, asks for the server, and comes up', async () => {
    behindProxy(SERVER, HTTP);
    lab.proxy.talk = (connection) => connection.say(OK);
    await lab.up();
    expect(lab.requests[0]?.remote).toMatchObject({ address: Uint8Array.of(192, 0, 2, 9), port: 3128 });
    expect(lab.proxy.last.heard).toBe('CONNECT 198.51.100.1:1194 HTTP/1.0\r\nHost: 198.51.100.1\r\n\r\n');
    expect(lab.lookups).toEqual([]);
    expect(lab.phases.slice(0, 2)).toEqual(['resolving', 'connecting']);
  });

  it('does not look the server up', async () => {
    behindProxy('remote vpn.example 1194 tcp-client', 'http-proxy proxy.example 3128');
    lab.names.set('proxy.example', [PROXY]);
    lab.proxy.talk = (connection) => connection.say(OK);
    await lab.up();
    expect(lab.lookups).toEqual(['proxy.example']);
    expect(lab.proxy.last.heard).toMatch(/^CONNECT vpn\.example:1194 /);
  });

  it('gives what came with the answer to the plane', async () => {
    behindProxy(SERVER, HTTP);
    lab.proxy.talk = (connection) => {
      connection.say(`${OK}\x00`);
      connection.say('\x05early');
    };
    await lab.up();
    const [link] = lab.plane.links.values();
    expect(Buffer.from(link?.readAhead ?? []).toString('latin1')).toBe('\x00\x05early');
    expect(link).toMatchObject({ framing: 'tcp', connecting: false });
  });

  it('has room for all that comes before the plane reads', async () => {
    behindProxy(SERVER, HTTP);
    lab.proxy.talk = (connection) => {
      connection.say(`${OK}${'a'.repeat(65_000)}`);
      connection.say('b'.repeat(130_000));
    };
    await lab.up();
    const [link] = lab.plane.links.values();
    expect(link?.readAhead?.length).toBe(195_000);
  });

  it('reads the login from the file once, however often it connects', async () => {
    behindProxy(SERVER, `${HTTP} login.txt basic`, 'connect-retry 1');
    lab.proxy.talk = (connection) => connection.say(OK);
    await lab.up();
    expect(lab.proxy.last.heard).toContain(Buffer.from('alice:stored').toString('base64'));
    lab.signal('SIGUSR1');
    await lab.until(() => lab.ups === 2, 'it is up again');
    expect(lab.fileReads).toBe(1);
  });

  it('asks a person again only after a refusal', async () => {
    behindProxy(SERVER, `${HTTP} auto`, 'connect-retry 1');
    lab.answers = [
      { username: 'paul', password: 'wrong' },
      { username: 'paul', password: 'right' },
    ];
    const right = Buffer.from('paul:right').toString('base64');
    lab.proxy.talk = (connection) => connection.say(connection.heard.includes(right) ? OK : WANTED);
    await lab.up();
    expect(lab.asked).toBe(2);
    expect(lab.log.join('\n')).toMatch(/does not accept the user name and the password/);
    lab.signal('SIGUSR1');
    await lab.until(() => lab.ups === 2, 'it is up again');
    expect(lab.asked).toBe(2);
    expect(lab.log.join('\n')).not.toMatch(/right|wrong/);
  });

  it('forgets the login under auth-nocache', async () => {
    behindProxy(SERVER, `${HTTP} auto`, 'auth-nocache', 'connect-retry 1');
    lab.answers = [
      { username: 'paul', password: 'a' },
      { username: 'paul', password: 'a' },
    ];
    lab.proxy.talk = (connection) => connection.say(connection.heard.includes('Authorization') ? OK : WANTED);
    await lab.up();
    lab.signal('SIGUSR1');
    await lab.until(() => lab.ups === 2, 'it is up again');
    expect(lab.asked).toBe(2);
  });

  it('does not show one proxy the login of another', async () => {
    const block = (port: number) => ['<connection>', SERVER, `http-proxy ${PROXY} ${port} auto`, '</connection>'];
    behindProxy(...block(3128), ...block(4000), 'connect-retry 1');
    lab.answers = [
      { username: 'first', password: 'a' },
      { username: 'second', password: 'b' },
    ];
    const [first, second] = ['first:a', 'second:b'].map((text) => Buffer.from(text).toString('base64')) as [
      string,
      string,
    ];
    lab.proxy.talk = (connection) => {
      if (!connection.heard.includes('Authorization')) connection.say(WANTED);
      else connection.say(connection.heard.includes(second) ? OK : 'HTTP/1.1 502 No\r\n\r\n');
    };
    await lab.up();
    const heard = lab.proxy.connections.map((connection) => connection.heard);
    expect(heard.filter((text) => text.includes(first)).length).toBe(1);
    expect(heard.filter((text) => text.includes(second)).length).toBe(1);
  });

  it('goes on to the next remote when the proxy refuses', async () => {
    behindProxy('<connection>', SERVER, HTTP, '</connection>', '<connection>', SERVER, '</connection>');
    lab.proxy.talk = (connection) => connection.say('HTTP/1.1 403 No\r\n\r\n');
    await lab.up();
    expect(lab.received[0]).toBe('SIGUSR1[soft,HTTP proxy error] received, process restarting');
    expect(lab.requests.at(-1)?.remote?.port).toBe(1194);
  });

  it.each([
    ['takes no connection', 'never', 'failed: Connection timed out', 'connection failed(soft),connection-failed'],
    ['says nothing', undefined, 'recv_line: TCP port read timeout expired', 'soft,HTTP proxy error'],
  ] as const)('leaves a proxy that %s after server-poll-timeout', async (_, refuses, words, end) => {
    behindProxy(SERVER, HTTP, 'server-poll-timeout 7', 'connect-retry-max 1');
    lab.proxy.refuses = refuses;
    lab.start();
    await lab.runFor(6_900);
    expect(lab.received).toEqual([]);
    await lab.ended(200_000);
    expect(lab.log.join('\n')).toContain(words);
    expect(lab.received).toEqual([`SIGUSR1[${end}] received, process restarting`]);
  });

  it('counts the time at the proxy into server-poll-timeout', async () => {
    behindProxy(SERVER, HTTP, 'server-poll-timeout 7');
    lab.server.silent = true;
    lab.proxy.talk = (connection) => void lab.clock.at(lab.clock.nowMs + 5000, () => connection.say(OK));
    lab.start();
    const startedMs = lab.clock.nowMs;
    await lab.until(() => lab.log.includes('Server poll timeout, restarting'), 'patience ends');
    expect(lab.clock.nowMs - startedMs).toBe(7000);
  });

  it('does not count what a person takes to answer', async () => {
    behindProxy(SERVER, `${HTTP} auto`, 'server-poll-timeout 7');
    lab.proxy.talk = (connection) => connection.say(connection.heard.includes('Authorization') ? OK : WANTED);
    lab.start();
    await lab.until(() => lab.proxy.connections.length === 1 && lab.asked === 1, 'somebody is asked');
    await lab.runFor(60_000);
    lab.answer({ username: 'paul', password: 'slow' });
    await lab.until(() => lab.isUp, 'it is up');
    expect(lab.received).toEqual([]);
  });

  it('tells a proxy that is not there as a connection that failed', async () => {
    behindProxy(SERVER, HTTP, 'connect-retry-max 1');
    lab.proxy.refuses = 'Connection refused';
    lab.start();
    await lab.ended();
    expect(lab.log).toContain('TCP: connect to [AF_INET]192.0.2.9:3128 failed: Connection refused');
    expect(lab.received[0]).toBe('SIGUSR1[connection failed(soft),connection-failed] received, process restarting');
  });

  it('ends at once on SIGTERM while the proxy hangs, and while somebody is asked', async () => {
    for (const lines of [[HTTP], [`${HTTP} stdin basic`]]) {
      behindProxy(SERVER, ...lines);
      lab.start();
      await lab.until(() => lab.asked > 0 || lab.proxy.connections.length > 0, 'it waits');
      lab.signal('SIGTERM');
      await lab.gone();
      expect(lab.received).toEqual(['SIGTERM[hard,] received, process exiting']);
    }
  });
});

describe('a client behind a SOCKS proxy', () => {
  const SOCKS = `socks-proxy ${PROXY}`;
  /** Says yes to everything; datagrams go to port 4000. */
  const willing = (): void => {
    const step = new Map<object, number>();
    lab.proxy.talk = (connection) => {
      const count = (step.get(connection) ?? 0) + 1;
      step.set(connection, count);
      connection.say(Buffer.from(count === 1 ? '0500' : '05000001c00002090fa0', 'hex'));
    };
  };

  it('over TCP has the connection to the proxy as its link', async () => {
    behindProxy(SERVER, SOCKS);
    willing();
    await lab.up();
    const [link] = lab.plane.links.values();
    expect(link).toMatchObject({ framing: 'tcp', remote: { port: 1080 } });
    expect(lab.requests.length).toBe(1);
  });

  it('over UDP sends to the relay, in the name of the server, and keeps the connection', async () => {
    behindProxy('remote 198.51.100.1 1194 udp', SOCKS);
    willing();
    await lab.up();
    const [link] = lab.plane.links.values();
    expect(link).toMatchObject({ framing: 'socks-udp', remote: { port: 4000 } });
    const [peer] = lab.plane.peers.values();
    expect(peer?.options.address).toMatchObject({ address: Uint8Array.of(198, 51, 100, 1), port: 1194 });
    expect(lab.requests.map(({ transport }) => transport)).toEqual(['tcp-client', 'udp']);
    expect(lab.proxy.openCount).toBe(1);
  });

  it('over UDP ends the attempt when the proxy ends its connection, and tries again', async () => {
    behindProxy('remote 198.51.100.1 1194 udp', SOCKS, 'connect-retry 1');
    willing();
    await lab.up();
    lab.proxy.last.hangUp();
    await lab.until(() => lab.ups === 2, 'it is up again');
    expect(lab.received).toEqual(['SIGUSR1[soft,socks-error] received, process restarting']);
  });

  it('over UDP says nothing of the connection that it ends itself', async () => {
    behindProxy('remote 198.51.100.1 1194 udp', SOCKS, 'connect-retry 1');
    willing();
    await lab.up();
    lab.signal('SIGUSR1');
    await lab.until(() => lab.ups === 2, 'it is up again');
    expect(lab.received).toEqual(['SIGUSR1[hard,] received, process restarting']);
    expect(lab.log.join('\n')).not.toMatch(/closed the connection/);
  });

  it('over UDP ends the attempt where the relay cannot be reached', async () => {
    behindProxy('remote 198.51.100.1 1194 udp', SOCKS, 'connect-retry-max 1');
    willing();
    lab.refuseLink = ({ transport }) => (transport === 'udp' ? 'EACCES' : undefined);
    lab.start();
    await lab.ended();
    expect(lab.received[0]).toBe('SIGUSR1[connection failed(soft),socket-error] received, process restarting');
  });

  it('over UDP looks the server up itself, and goes on where it cannot', async () => {
    behindProxy('remote vpn.example 1194 udp', 'remote 198.51.100.1 1194 udp', SOCKS, 'connect-retry 1');
    lab.names.set('vpn.example', new Error('Name or service not known'));
    willing();
    await lab.up();
    expect(lab.lookups).toContain('vpn.example');
    expect(lab.received[0]).toMatch(/Could not determine IPv4\/IPv6 protocol/);
  });
});

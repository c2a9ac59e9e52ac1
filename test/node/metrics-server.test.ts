import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type MetricsServer, openMetricsServer } from '../../src/node/metrics-server.ts';

const TYPE = 'text/plain; version=0.0.4; charset=utf-8';

describe('the metrics listener', () => {
  let server: MetricsServer;
  let asked = 0;
  const url = (path: string): string => `http://127.0.0.1:${server.address.port}${path}`;

  beforeEach(async () => {
    asked = 0;
    server = await openMetricsServer({ host: '127.0.0.1', port: 0 }, TYPE, () => `sallyport_asked ${++asked}\n`);
  });
  afterEach(() => server.close());

  /** Sends bytes as they are and collects the answer until the listener closes. */
  const say = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let answer = '';
      const socket = connect(server.address.port, '127.0.0.1', () => socket.write(text));
      socket.on('data', (chunk) => {
        answer += chunk.toString('latin1');
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(answer));
    });

  it('answers GET with the figures of the moment', async () => {
    for (const count of [1, 2]) {
      const response = await fetch(url('/metrics'));
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe(TYPE);
      expect(await response.text()).toBe(`sallyport_asked ${count}\n`);
    }
  });

  it('answers HEAD without a body, and takes a query for nothing', async () => {
    const response = await fetch(url('/metrics?x=1'), { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(0);
    expect(await response.text()).toBe('');
  });

  it.each(['/', '/metrics/', '/metricsx', '/../metrics', '/favicon.ico'])('has nothing at %s', async (path) => {
    expect(await say(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)).toMatch(/^HTTP\/1\.1 404 /);
    expect(asked).toBe(0);
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])('refuses %s', async (method) => {
    expect(await say(`${method} /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 405 /,
    );
    expect(asked).toBe(0);
  });

  it('reads no body: it answers and ends the connection', async () => {
    const answer = await say('GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc');
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toMatch(/Connection: close/i);
  });

  it('ends a connection with too long a header, or with nonsense', async () => {
    expect(await say(`GET /metrics HTTP/1.1\r\nX: ${'y'.repeat(9000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await say('\u0000\u0001nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(asked).toBe(0);
  });

  it('takes a bounded number of connections', async () => {
    const sockets = await Promise.all(
      Array.from(
        { length: 16 },
        () =>
          new Promise<ReturnType<typeof connect>>((resolve) => {
            const socket = connect(server.address.port, '127.0.0.1', () => resolve(socket));
          }),
      ),
    );
    // The listener has them all once it has answered on the last one.
    const last = sockets.at(-1);
    await new Promise<void>((resolve) => {
      last?.once('data', () => resolve());
      last?.write('HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
    });
    expect(await say('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n').catch(() => '')).toBe('');
    for (const socket of sockets) socket.destroy();
  });

  it('says clearly that its port is in use', async () => {
    const { port } = server.address;
    await expect(openMetricsServer({ host: '127.0.0.1', port }, TYPE, () => '')).rejects.toMatchObject({
      message: `metrics: can't listen on 127.0.0.1:${port}: the port is in use`,
      code: 'SALLYPORT_CONFIG',
    });
  });

  it('lets nobody keep it from closing', async () => {
    const socket = connect(server.address.port, '127.0.0.1');
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
    socket.on('error', () => {});
    await server.close();
    await closed;
  });

  it('knows how late the event loop was since it was asked last', async () => {
    server.eventLoopDelaySeconds();
    await new Promise((resolve) => setTimeout(resolve, 60));
    const until = Date.now() + 150;
    while (Date.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(server.eventLoopDelaySeconds()).toBeGreaterThan(0.05);
    expect(server.eventLoopDelaySeconds()).toBe(0);
  });
});

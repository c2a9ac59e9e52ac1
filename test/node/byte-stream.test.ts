import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { socketAddress } from '../../src/ip/socket-address.ts';
import { createLinkPort } from '../../src/linux/links.ts';
import { createStreamPort } from '../../src/node/byte-stream.ts';
import { linkRequest } from '../linux/plane-rig.ts';

const links = createLinkPort();
const streams = createStreamPort();
const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function listen(talk: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    cleanUps.push(() => socket.destroy());
    talk(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A socket that connects, as the client opens it, and a stream on a descriptor of its own. */
function connect(port: number) {
  const remote = socketAddress(Uint8Array.of(127, 0, 0, 1), port);
  const { fd } = links.open(linkRequest({ transport: 'tcp-client', remote, tcpNoDelay: true }));
  const stream = streams.open(links.duplicate(fd));
  cleanUps.push(() => links.close(fd));
  cleanUps.push(() => stream.close());
  return { fd, stream };
}

const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

describe('a stream of bytes on a descriptor', () => {
  it('connects, sends and receives', async () => {
    const port = await listen((socket) => socket.on('data', (bytes) => socket.write(`heard ${bytes}`)));
    const { stream } = connect(port);
    await stream.connected();
    stream.send(Buffer.from('hello'));
    expect(textOf(await stream.receive())).toBe('heard hello');
  });

  it('says that nobody listens in the words of the system', async () => {
    const port = await listen(() => {});
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
    await expect(connect(port).stream.connected()).rejects.toThrow(/^Connection refused$/);
  });

  it('has an end, and a reason where the connection breaks', async () => {
    const ends = connect(await listen((socket) => socket.end('bye')));
    await ends.stream.connected();
    expect(textOf(await ends.stream.receive())).toBe('bye');
    expect(await ends.stream.receive()).toBeUndefined();
    const breaks = connect(await listen((socket) => void socket.once('data', () => socket.resetAndDestroy())));
    await breaks.stream.connected();
    breaks.stream.send(Buffer.from('x'));
    await expect(breaks.stream.receive()).rejects.toThrow(/^Connection reset by peer$/);
  });

  it('gives the socket on with nothing lost and nothing shut down', async () => {
    const heard: string[] = [];
    let far: Socket | undefined;
    const port = await listen((socket) => {
      far = socket;
      socket.write('answer');
      socket.on('data', (bytes) => heard.push(String(bytes)));
    });
    const { fd, stream } = connect(port);
    await stream.connected();
    const first = await stream.receive();
    far?.write('early');
    const rest = stream.release();
    const next = streams.open(links.duplicate(fd));
    cleanUps.push(() => next.close());
    await next.connected();
    next.send(Buffer.from('still here'));
    let text = textOf(first) + textOf(rest);
    while (text.length < 'answerearly'.length) text += textOf(await next.receive());
    expect(text).toBe('answerearly');
    await expect.poll(() => heard.join('')).toBe('still here');
  }, 5000);

  it('tells when it has ended, drops what comes until then, and may be closed twice', async () => {
    const { stream } = connect(await listen((socket) => socket.end('a'.repeat(100_000))));
    await stream.connected();
    await stream.ended();
    stream.close();
    stream.close();
    stream.send(Buffer.from('nobody hears it'));
  });
});

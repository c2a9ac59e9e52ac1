// A proxy for tests, as a process of its own: `proxy-main.ts http|socks JSON`. It prints a line for whatever it hears, so
// that a test can wait for it. SIGUSR2 ends every connection that it has. No security: it lives in a namespace.

import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import type { HttpProxySettings, SocksProxySettings } from './proxy-settings.ts';

const [kind = '', json = '{}'] = process.argv.slice(2);
const sockets = new Set<Socket>();
const say = (text: string): void => void process.stdout.write(`${text}\n`);

process.on('SIGUSR2', () => {
  for (const socket of sockets) socket.destroy();
  say('connections dropped');
});

function listen(port: number, talk: (socket: Socket) => void): void {
  createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    say('accepted');
    talk(socket);
  }).listen(port, '::', () => say(`${kind} proxy listens on ${port}`));
}

/** Calls back once `isWhole` finds the end of what has come; later bytes stay in the socket. */
function until(socket: Socket, lengthOf: (bytes: Buffer) => number | undefined, then: (bytes: Buffer) => void): void {
  let bytes = Buffer.alloc(0);
  const take = (chunk: Buffer): void => {
    bytes = Buffer.concat([bytes, chunk]);
    const length = lengthOf(bytes);
    if (length === undefined || bytes.length < length) return;
    socket.off('data', take);
    socket.pause();
    if (bytes.length > length) socket.unshift(bytes.subarray(length));
    then(bytes.subarray(0, length));
  };
  socket.on('data', take);
  socket.resume();
}

function pipe(near: Socket, host: string, port: number, opened: () => void, failed: () => void): void {
  const far = connect({ host, port, noDelay: true });
  sockets.add(far);
  far.on('close', () => {
    sockets.delete(far);
    near.destroy();
  });
  near.on('close', () => far.destroy());
  far.once('error', failed);
  far.once('connect', () => {
    far.off('error', failed).on('error', () => {});
    opened();
    near.pipe(far);
    far.pipe(near);
  });
}

// HTTP

function http(settings: HttpProxySettings): void {
  const nonces = new Set<string>();
  listen(settings.port, (socket) => {
    const { answer } = settings;
    if (answer === 'silent') {
      socket.resume();
      return;
    }
    until(
      socket,
      (bytes) => {
        const end = bytes.indexOf('\r\n\r\n');
        return end < 0 ? undefined : end + 4;
      },
      (bytes) => {
        const lines = bytes.toString('latin1').split('\r\n').slice(0, -2);
        for (const line of lines) say(`heard ${line}`);
        if (answer === 'close') socket.destroy();
        else if (answer === 'endless') endless(socket);
        else if (answer !== undefined) socket.end(answer);
        else serve(socket, lines, settings, nonces);
      },
    );
  });
}

function endless(socket: Socket): void {
  socket.write('HTTP/1.0 200 OK\r\n');
  const more = (): void => {
    while (!socket.destroyed && socket.write(`X-More: ${'x'.repeat(2000)}\r\n`));
  };
  socket.on('drain', more);
  more();
}

function serve(socket: Socket, lines: readonly string[], settings: HttpProxySettings, nonces: Set<string>): void {
  const [request = ''] = lines;
  const target = /^CONNECT \[?([^\]]+?)\]?:(\d+) HTTP\/\d\.\d$/.exec(request);
  if (target === null) {
    socket.end('HTTP/1.0 400 Bad Request\r\n\r\n');
    return;
  }
  const shown = lines.find((line) => /^proxy-authorization: /i.test(line))?.replace(/^[^:]*: /, '');
  if (!isAllowed(shown, settings, nonces)) {
    say(shown === undefined ? 'login wanted' : 'login refused');
    const nonce = randomBytes(12).toString('base64');
    nonces.add(nonce);
    socket.end(
      [
        'HTTP/1.1 407 Proxy Authentication Required',
        ...settings.offers.map((offer) => `Proxy-Authenticate: ${offer.replace('NONCE', nonce)}`),
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
    return;
  }
  const [, host = '', port = ''] = target;
  const opened = (): void => {
    say(`open to ${host}:${port}`);
    const head = `HTTP/1.0 200 Connection established\r\nX-Proxy: lab\r\n\r\n`;
    if (settings.slow !== true) socket.write(head);
    else for (const byte of head) socket.write(byte);
  };
  pipe(socket, host, Number(port), opened, () => socket.end('HTTP/1.0 502 Bad Gateway\r\n\r\n'));
}

function isAllowed(shown: string | undefined, settings: HttpProxySettings, nonces: ReadonlySet<string>): boolean {
  const { offers, user, password } = settings;
  if (offers.length === 0) return true;
  if (shown === undefined) return false;
  if (shown.startsWith('Basic ')) {
    return (
      offers.some((offer) => offer.startsWith('Basic')) &&
      Buffer.from(shown.slice(6), 'base64').toString() === `${user}:${password}`
    );
  }
  const offer = /Digest .*$/.exec(offers.find((each) => each.includes('Digest ')) ?? '')?.[0] ?? '';
  const value = (name: string, text = shown): string =>
    new RegExp(`\\b${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^, ]*))`)
      .exec(text)
      ?.slice(1)
      .find((each) => each !== undefined) ?? '';
  const algorithm = value('algorithm', offer) || 'MD5';
  const hash = (text: string): string =>
    createHash(algorithm.startsWith('SHA-256') ? 'sha256' : 'md5')
      .update(text)
      .digest('hex');
  const nonce = value('nonce');
  const login = hash(`${user}:${value('realm', offer)}:${password}`);
  const secret = algorithm.endsWith('-sess') ? hash(`${login}:${nonce}:${value('cnonce')}`) : login;
  const request = hash(`CONNECT:${value('uri')}`);
  const middle = offer.includes('qop=') ? `${nonce}:${value('nc')}:${value('cnonce')}:auth` : nonce;
  return nonces.has(nonce) && value('response') === hash(`${secret}:${middle}:${request}`);
}

// SOCKS

function socks(settings: SocksProxySettings): void {
  listen(settings.port, (socket) => {
    if (settings.answer === 'silent') {
      socket.resume();
      return;
    }
    if (settings.answer !== undefined) {
      const text = settings.answer;
      socket.once('data', () => socket.end(Buffer.from(text, 'latin1')));
      return;
    }
    const method = settings.user === undefined ? 0 : 2;
    until(
      socket,
      (bytes) => (bytes.length < 2 ? undefined : 2 + (bytes[1] ?? 0)),
      (greeting) => {
        if (!greeting.subarray(2).includes(method)) {
          socket.end(Buffer.of(5, 0xff));
          return;
        }
        socket.write(Buffer.of(5, method));
        if (method === 0) request(socket, settings);
        else login(socket, settings);
      },
    );
  });
}

function login(socket: Socket, settings: SocksProxySettings): void {
  const lengthOf = (bytes: Buffer): number | undefined => {
    const user = bytes[1];
    const password = user === undefined ? undefined : bytes[2 + user];
    return user === undefined || password === undefined ? undefined : 3 + user + password;
  };
  until(socket, lengthOf, (bytes) => {
    const user = bytes[1] ?? 0;
    const name = bytes.subarray(2, 2 + user).toString();
    const password = bytes.subarray(3 + user).toString();
    const granted = name === settings.user && password === settings.password;
    say(granted ? `login of ${name}` : 'login refused');
    socket.write(Buffer.of(settings.loginVersion ?? 1, granted ? 0 : 1));
    if (granted) request(socket, settings);
    else socket.end();
  });
}

function request(socket: Socket, settings: SocksProxySettings): void {
  const lengthOf = (bytes: Buffer): number | undefined => {
    const lengths = new Map([
      [1, 4],
      [3, 1 + (bytes[4] ?? 255)],
      [4, 16],
    ]);
    return bytes.length < 5 ? undefined : 6 + (lengths.get(bytes[3] ?? 0) ?? 0);
  };
  until(socket, lengthOf, (bytes) => {
    const [, command = 0, , type = 0, length = 0] = bytes;
    const host = type === 3 ? bytes.subarray(5, 5 + length).toString() : bytes.subarray(4, -2).join('.');
    const port = bytes.readUInt16BE(bytes.length - 2);
    say(`command ${command} type ${type} ${host}:${port}`);
    if (settings.reply !== undefined) socket.end(Buffer.of(5, settings.reply, 0, 1, 0, 0, 0, 0, 0, 0));
    else if (command === 1) {
      const opened = (): void => void socket.write(Buffer.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
      pipe(socket, host, port, opened, () => socket.end(Buffer.of(5, 5, 0, 1, 0, 0, 0, 0, 0, 0)));
    } else relay(socket, settings);
  });
}

/** A relay of datagrams that lives as long as its connection. */
function relay(control: Socket, settings: SocksProxySettings): void {
  const near = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  const far = createSocket({ type: settings.family === 6 ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 });
  let client: { port: number; address: string } | undefined;
  let passed = 0;
  near.on('message', (message, from) => {
    client = from;
    const isV6 = message[3] === 4;
    const length = isV6 ? 22 : 10;
    if (passed === 0) say(`first datagram: ${message.toString('hex', 0, length)}`);
    passed += 1;
    const host = isV6
      ? (message.toString('hex', 4, 20).match(/.{4}/g) ?? []).join(':')
      : message.subarray(4, 8).join('.');
    far.send(message.subarray(length), message.readUInt16BE(length - 2), host);
  });
  far.on('message', (message, from) => {
    if (client === undefined) return;
    const address = from.address.includes(':')
      ? [4, ...expand(from.address)]
      : [1, ...from.address.split('.').map(Number)];
    const head = Buffer.from([0, 0, 0, ...address, from.port >> 8, from.port & 0xff]);
    near.send(Buffer.concat([head, message]), client.port, client.address);
  });
  near.on('error', () => {});
  far.on('error', () => {});
  far.bind(0, () => {
    const home = control.localAddress?.replace('::ffff:', '') ?? '0.0.0.0';
    near.bind(0, home, () => {
      const { port } = near.address();
      const own = settings.relayAddress ?? home;
      control.write(Buffer.from([5, 0, 0, 1, ...own.split('.').map(Number), port >> 8, port & 0xff]));
      say(`relay on ${own}:${port}`);
    });
  });
  control.resume();
  control.on('close', () => {
    say('relay closed');
    near.close();
    far.close();
  });
}

/** An IPv6 address as bytes. */
function expand(text: string): readonly number[] {
  const [head = '', tail] = text.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const first = words(head);
  const last = tail === undefined ? [] : words(tail);
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
  return all.flatMap((word) => [word >> 8, word & 0xff]);
}

if (kind === 'http') http(JSON.parse(json) as HttpProxySettings);
else socks(JSON.parse(json) as SocksProxySettings);

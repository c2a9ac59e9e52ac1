// A client process that is none: what it does depends on the name of the connection in its first message.

import { Socket } from 'node:net';

const pipe = new Socket({ fd: 3, readable: true, writable: true });
pipe.on('error', () => {});
pipe.once('data', (bytes: Buffer) => {
  const { name } = JSON.parse(bytes.toString().split('\n')[0] ?? '') as { name: string };
  if (name === 'nonsense') pipe.write('this is no JSON\n');
  if (name === 'unknown') pipe.write('{"type":"exec","command":"reboot"}\n');
  if (name === 'endless') pipe.write('x'.repeat(4 << 20));
  if (name === 'who') {
    const text = JSON.stringify({ uid: process.getuid?.(), argv: process.argv.slice(2), env: process.env });
    pipe.write(`${JSON.stringify({ type: 'banner', text })}\n`);
  }
});
process.on('SIGTERM', () => {});
setInterval(() => {}, 1000);

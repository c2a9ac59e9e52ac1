// Keys: the same command lines before the real programs and before ours, and each one's keys read by the other.

import { createSocket } from 'node:dgram';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWrap } from '../../src/control/wrap.ts';
import type { WrapOptions } from '../../src/control/wrap-options.ts';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';
import { parseAuthTokenKey } from '../../src/wire/auth-token-key.ts';
import { parseControlPacket, writeControlBody, writeControlHeader } from '../../src/wire/control-packet.ts';
import { Opcode } from '../../src/wire/opcode.ts';
import { parseStaticKey, writeStaticKey } from '../../src/wire/static-key.ts';
import { parseTlsCryptV2ClientKey, parseTlsCryptV2ServerKey } from '../../src/wire/tls-crypt-v2.ts';
import { makePki, type Pki } from '../lab/pki.ts';
import { type RunResult, run, WatchedProcess } from '../lab/process.ts';
import { clientCommand, labSuite, type PeerVersion, peerProgram } from '../lab/requirements.ts';

const ours = clientCommand();
const VERSIONS = ['2.6', '2.7'] as const satisfies readonly PeerVersion[];
const crypto = createNodeCrypto();

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder with one server key in it, the same in each. */
function folder(serverKey: string): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-genkey-'));
  folders.push(path);
  writeFileSync(join(path, 'server.key'), serverKey, { mode: 0o600 });
  writeFileSync(join(path, 'static.key'), writeStaticKey(Uint8Array.from({ length: 256 }, (_, index) => index)));
  writeFileSync(
    join(path, 'server.conf'),
    'dev tun\nserver 10.8.0.0 255.255.255.0\ntls-crypt-v2 server.key\nca no.pem\n',
  );
  writeFileSync(join(path, 'loose.key'), 'old', { mode: 0o600 });
  return path;
}

const genkey = (program: readonly string[], args: readonly string[], cwd: string): Promise<RunResult> =>
  run([...program, ...args], { cwd, anyCode: true });

/** What is said and written, without the keys themselves, the time, and the advice that ours adds. */
function shape(text: string): string {
  return (
    text
      .split('\n')
      .filter((line) => !/^( {2}|\d{4}-\S+ \S+ {3})\S/.test(line))
      .map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /, ''))
      .map((line) => (/^[0-9a-f]{32}$/.test(line) ? 'HEX' : line))
      .map((line) => (/^[A-Za-z0-9+/]{24,64}={0,2}$/.test(line) ? 'BASE64' : line))
      .map((line) => line.replace(/\(2\.\d+\.\d+\)/, '(VERSION)').replace(/ \(\[CMD-LINE\]:1\)$/, ''))
      .map((line) => line.replace(/(PEM decode failed): .*/, '$1'))
      .join('\n')
      // 2.6 ends client keys on standard output with an empty line, 2.7 does not.
      .replace(/\n+$/, '\n')
  );
}

const TOO_MUCH = Buffer.alloc(734).toString('base64');
const LINES: readonly (readonly string[])[] = [
  ['--genkey'],
  ['--genkey', 'secret', 'out.key'],
  ['--genkey', 'tls-auth', 'out.key'],
  ['--genkey', 'tls-crypt', 'out.key'],
  ['--genkey', 'secret'],
  ['--genkey', 'secret', 'out.key', 'ignored'],
  ['--genkey', 'secret', 'loose.key'],
  ['--genkey', '--secret', 'out.key'],
  ['--genkey', 'out.key'],
  ['--genkey', 'secret', 'a', 'b', 'c'],
  ['--genkey', 'secret', 'out.key', '--secret', 'b'],
  ['--genkey', 'secret', '/nonexistent/out.key'],
  ['--genkey', 'secret', '.'],
  ['--genkey', 'secret', 'out.key', '--no-such-option'],
  ['--genkey', 'auth-token'],
  ['--genkey', 'auth-token', 'out.key'],
  ['--genkey', 'auth-token', '/nonexistent/out.key'],
  ['--genkey', 'auth-token', 'x', '--secret', 'y'],
  ['--genkey', 'tls-crypt-v2-server'],
  ['--genkey', 'tls-crypt-v2-server', 'out.key'],
  ['--genkey', 'tls-crypt-v2-server', '/nonexistent/out.key'],
  ['--genkey', 'tls-crypt-v2-client', 'out.key'],
  ['--tls-crypt-v2', 'server.key', '--genkey', 'tls-crypt-v2-client'],
  ['--tls-crypt-v2', 'server.key', '--genkey', 'tls-crypt-v2-client', 'out.key'],
  ['--genkey', 'tls-crypt-v2-client', 'out.key', 'b2ZmaWNlIDc=', '--tls-crypt-v2', 'server.key'],
  ['--config', 'server.conf', '--genkey', 'tls-crypt-v2-client', 'out.key'],
  ['--tls-crypt-v2', 'server.key', '--genkey', 'tls-crypt-v2-client', '/nonexistent/out.key'],
  ['--tls-crypt-v2', 'server.key', '--genkey', 'tls-crypt-v2-client', 'out.key', 'no base64!'],
  ['--tls-crypt-v2', 'server.key', '--genkey', 'tls-crypt-v2-client', 'out.key', TOO_MUCH],
  ['--tls-crypt-v2', 'absent.key', '--genkey', 'tls-crypt-v2-client', 'out.key'],
  ['--tls-crypt-v2', 'static.key', '--genkey', 'tls-crypt-v2-client', 'out.key'],
  ['--cd', '/', '--genkey', 'secret', 'nonexistent/out.key'],
];

labSuite('--genkey', () => {
  let pki: Pki;
  beforeAll(async () => {
    pki = await makePki(folder(''));
  });

  describe.each(VERSIONS)('beside OpenVPN %s', (version) => {
    const real = [peerProgram(version)];

    it.each(LINES.map((line) => [line.map((word) => word.slice(0, 30)).join(' '), line] as const))(
      'ends and says the same: %s',
      async (_, args) => {
        const serverKey = (await genkey(real, ['--genkey', 'tls-crypt-v2-server'], tmpdir())).stdout;
        const outcomes = [];
        for (const program of [real, ours]) {
          const path = folder(serverKey);
          const { code, stdout } = await genkey(program, args, path);
          const file = ['out.key', 'loose.key'].map((name) => join(path, name)).find((name) => existsSync(name)) ?? '';
          const written = existsSync(join(path, 'out.key')) ? join(path, 'out.key') : file;
          outcomes.push({
            code,
            said: shape(stdout),
            mode: statSync(written).mode & 0o777,
            text: shape(readFileSync(written, 'utf8')),
          });
        }
        expect(outcomes[1]).toEqual(outcomes[0]);
      },
    );

    it('reads the keys that ours makes: a server answers, and its answer opens', async () => {
      const path = folder('');
      const name = (file: string) => join(path, file);
      await genkey(ours, ['--genkey', 'tls-crypt-v2-server', name('s.key')], path);
      const client = ['--tls-crypt-v2', name('s.key'), '--genkey', 'tls-crypt-v2-client'];
      await genkey(ours, [...client, name('time.key')], path);
      await genkey(ours, [...client, name('user.key'), 'b2ZmaWNlIDc='], path);
      await genkey(ours, ['--genkey', 'secret', name('static.key')], path);
      const staticKey = must(parseStaticKey(readFileSync(name('static.key'), 'utf8'))).key;
      const own = (file: string): WrapOptions => ({
        kind: 'tls-crypt-v2-client',
        ...must(parseTlsCryptV2ClientKey(readFileSync(name(file), 'utf8'))),
      });
      const cases: readonly (readonly [string[], WrapOptions])[] = [
        [['--tls-auth', name('static.key'), '0'], { kind: 'tls-auth', staticKey, direction: 1, digest: 'SHA1' }],
        [['--tls-crypt', name('static.key')], { kind: 'tls-crypt', staticKey }],
        [['--tls-crypt-v2', name('s.key')], own('time.key')],
        [['--tls-crypt-v2', name('s.key')], own('user.key')],
      ];
      for (const [args, wrap] of cases) expect(await answerOf(version, args, wrap, pki)).toBe(true);
    });

    it('makes client keys under a server key of ours, and auth-token keys, that ours reads', async () => {
      const path = folder('');
      await genkey(ours, ['--genkey', 'tls-crypt-v2-server', 's.key'], path);
      expect(
        (await genkey(real, ['--tls-crypt-v2', 's.key', '--genkey', 'tls-crypt-v2-client', 'c.key'], path)).code,
      ).toBe(0);
      expect(parseTlsCryptV2ClientKey(readFileSync(join(path, 'c.key'), 'utf8'))).not.toHaveProperty('problem');
      await genkey(real, ['--genkey', 'tls-crypt-v2-server', 'real.key'], path);
      expect(parseTlsCryptV2ServerKey(readFileSync(join(path, 'real.key'), 'utf8'))).not.toHaveProperty('problem');
      await genkey(real, ['--genkey', 'auth-token', 't.key'], path);
      expect(must(parseAuthTokenKey(readFileSync(join(path, 't.key'), 'utf8'))).key.length).toBe(128);
    });
  });

  it('says so when the file that it writes over can be read by others', async () => {
    const path = folder('');
    chmodSync(join(path, 'loose.key'), 0o644);
    const { code, stdout } = await genkey(ours, ['--genkey', 'secret', 'loose.key'], path);
    expect(code).toBe(0);
    expect(stdout).toContain("WARNING: file 'loose.key' is group or others accessible");
  });
});

function must<T extends object>(parsed: T | { readonly problem: string }): T {
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed;
}

/** Whether a real program under `args` answers a reset under `wrap`, with a reset that opens and acknowledges it. */
async function answerOf(
  version: PeerVersion,
  args: readonly string[],
  options: WrapOptions,
  pki: Pki,
): Promise<boolean> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const port = await freePort();
  const material = ['--ca', pki.ca.cert, '--cert', pki.server.cert, '--key', pki.server.key, '--dh', 'none'];
  const listen = ['--tls-server', '--dev', 'null', '--proto', 'udp4', '--local', '127.0.0.1', '--port', String(port)];
  const peer = new WatchedProcess([peerProgram(version), ...listen, ...material, '--verb', '4', ...args], {
    name: `openvpn ${version}`,
  });
  try {
    await peer.line(/link remote: \[AF_UNSPEC\]/);
    const context = { crypto, tlsRole: 'client' as const, replayWindowPackets: 64, replayWindowSeconds: 15 };
    const wrap = createWrap(options, context);
    const sessionId = crypto.randomBytes(8);
    const opcode = options.kind === 'tls-crypt-v2-client' ? Opcode.hardResetClientV3 : Opcode.hardResetClientV2;
    const header = writeControlHeader({ opcode, keyId: 0, sessionId });
    const reset = { acks: [], remoteSessionId: undefined, messageId: 0, payload: new Uint8Array(0) };
    const now = Math.floor(Date.now() / 1000);
    const answered = new Promise<Uint8Array>((resolve) => socket.on('message', (bytes) => resolve(bytes)));
    socket.send(wrap.seal(header, writeControlBody(reset), now), port, '127.0.0.1');
    const late = peer.line(/TLS Error/).then((line) => Promise.reject(new Error(line)));
    const opened = wrap.open(await Promise.race([answered, late]), now);
    late.catch(() => {});
    if (!opened.ok) return false;
    const packet = parseControlPacket(opened.header, opened.body);
    return packet?.opcode === Opcode.hardResetServerV2 && packet.acks.includes(0);
  } finally {
    socket.close();
    await peer.stop('SIGKILL');
  }
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

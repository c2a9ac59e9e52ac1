import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseProfile, SallyportError } from '../src/index.ts';
import { useLibrary } from './lab/library-suite.ts';

const { directory, library, pki } = useLibrary('sallyport-library');

/** A profile that could connect, with these lines beside. */
function profile(...lines: readonly string[]): string {
  const { ca, client } = pki();
  return [
    'client',
    'dev tun',
    'nobind',
    `ca ${ca.cert}`,
    `cert ${client.cert}`,
    `key ${client.key}`,
    ...lines,
    '',
  ].join('\n');
}

/** What a promise rejects with. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('it did not reject');
    },
    (error: unknown) => error,
  );
}

/** A UDP socket that never answers; resolves `heard` at the first packet. */
async function silentPort() {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const heard = new Promise<void>((resolve) => socket.once('message', () => resolve()));
  return { port: socket.address().port, heard, close: () => socket.close() };
}

async function unusedTcpPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

const listeners = () =>
  Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)]));

describe('parseProfile', () => {
  it('tells every error of a profile with its line', () => {
    const text = ['client', 'dev tun', 'remote vpn.example.net', 'bogus-option 1', 'proto xyz', 'tls-verson-min 1.2'];
    expect(() => parseProfile(text.join('\n'))).toThrowError(SallyportError);
    try {
      parseProfile(text.join('\n'));
    } catch (error) {
      const { code, blame, message } = error as SallyportError;
      expect({ code, blame }).toEqual({ code: 'SALLYPORT_CONFIG', blame: 'config' });
      expect(message).toMatch(/\[profile\]:4.*bogus-option/);
      expect(message).toMatch(/\[profile\]:5.*xyz/);
      expect(message).toMatch(/\[profile\]:6.*tls-verson-min/);
    }
  });

  it('reads a good profile without touching what it names', () => {
    const config = parseProfile('client\ndev tun\nremote vpn.example.net 443 tcp\nca nowhere.crt\nauth-user-pass\n');
    expect(config.connections[0]).toMatchObject({ remote: 'vpn.example.net', remotePort: '443' });
  });
});

describe('connect', () => {
  it('rejects a profile with errors before anything is loaded', async () => {
    const error = await rejection(library().connect('client\ndev tun\nbogus\n'));
    expect(error).toMatchObject({ name: 'SallyportError', code: 'SALLYPORT_CONFIG', blame: 'config' });
  });

  it('rejects when a file that the profile names is missing, and names it', async () => {
    for (const line of [
      'tls-crypt missing.key',
      'tls-auth missing.key 1',
      'tls-crypt-v2 missing.key',
      'crl-verify missing.key',
    ]) {
      const error = await rejection(library().connect(profile('remote 127.0.0.1 9', line), { directory }));
      expect(error, line).toMatchObject({ name: 'SallyportError', code: 'SALLYPORT_CONFIG', blame: 'config' });
      expect((error as Error).message, line).toContain('missing.key');
    }
  });

  it('asks the program around for the answer of a challenge, and rejects when it has none to give', async () => {
    const text = profile('remote 127.0.0.1 9', 'auth-user-pass', 'static-challenge "Code?" 0');
    const credentials = async () => ({ username: 'max', password: 'x' });
    const nobody = await rejection(library().connect(text, { credentials }));
    expect(nobody).toMatchObject({ name: 'SallyportError', code: 'SALLYPORT_CREDENTIALS', blame: 'config' });
    const asked: unknown[] = [];
    const throwing = await rejection(
      library().connect(text, {
        credentials,
        onChallenge: (challenge) => {
          asked.push(challenge);
          throw new Error('no idea');
        },
      }),
    );
    expect(throwing).toMatchObject({ code: 'SALLYPORT_CREDENTIALS', message: expect.stringContaining('onChallenge') });
    expect(asked).toEqual([{ kind: 'static', text: 'Code?', echo: false, responseRequired: true }]);
  });

  it('rejects when the key does not fit the certificate', async () => {
    const text = profile('remote 127.0.0.1 9').replace(pki().client.key, pki().server.key);
    expect(await rejection(library().connect(text))).toMatchObject({
      name: 'SallyportError',
      code: 'SALLYPORT_CONFIG',
    });
  });

  it('rejects when credentials are needed and nobody can be asked', async () => {
    const { port, close } = await silentPort();
    const error = await rejection(library().connect(profile(`remote 127.0.0.1 ${port}`, 'auth-user-pass')));
    expect(error).toMatchObject({ name: 'SallyportError', code: 'SALLYPORT_CONFIG' });
    expect((error as SallyportError).hint).toContain('credentials');
    close();
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('the keyring is locked');
      },
    ],
    ['rejects', () => Promise.reject(new Error('the keyring is locked'))],
  ])('keeps the error of a callback that %s', async (_how, fail) => {
    const expected = {
      name: 'SallyportError',
      code: 'SALLYPORT_CREDENTIALS',
      blame: 'config',
      retry: false,
      cause: { message: 'the keyring is locked' },
    };
    const text = profile('remote 127.0.0.1 9', 'auth-user-pass');
    expect(await rejection(library().connect(text, { credentials: fail }))).toMatchObject(expected);
    const encrypted = profile('remote 127.0.0.1 9').replace(pki().client.key, pki().encryptedKey);
    expect(await rejection(library().connect(encrypted, { passphrase: fail }))).toMatchObject(expected);
  });

  it('rejects with the reason of a signal that was aborted before', async () => {
    const reason = new Error('not now');
    expect(
      await rejection(library().connect(profile('remote 127.0.0.1 9'), { signal: AbortSignal.abort(reason) })),
    ).toBe(reason);
  });

  it('rejects with the reason of a signal that aborts while everything is loaded', async () => {
    const reason = new Error('changed my mind');
    const aborter = new AbortController();
    const { port, close } = await silentPort();
    const connecting = library().connect(profile(`remote 127.0.0.1 ${port}`), { signal: aborter.signal });
    aborter.abort(reason);
    expect(await rejection(connecting)).toBe(reason);
    close();
  });

  it('rejects with the reason of a signal that aborts while the server is silent', async () => {
    const reason = new Error('enough');
    const aborter = new AbortController();
    const { port, heard, close } = await silentPort();
    const connecting = library().connect(profile(`remote 127.0.0.1 ${port}`), { signal: aborter.signal });
    await Promise.race([heard, connecting]);
    aborter.abort(reason);
    expect(await rejection(connecting)).toBe(reason);
    close();
  });

  it('rejects with the reason of a signal that aborts while somebody is asked and does not answer', async () => {
    const aborter = new AbortController();
    const reason = new Error('nobody there');
    const asked = (resolve: () => void) => ({
      credentials: () => {
        resolve();
        return new Promise<never>(() => {});
      },
    });
    let connecting: Promise<unknown> = Promise.resolve();
    await new Promise<void>((resolve) => {
      const options = { signal: aborter.signal, ...asked(resolve) };
      connecting = library().connect(profile('remote 127.0.0.1 9', 'auth-user-pass'), options);
    });
    aborter.abort(reason);
    expect(await rejection(connecting)).toBe(reason);
  });

  it('rejects when every remote refused as often as connect-retry-max says, and keeps why', async () => {
    const port = await unusedTcpPort();
    const text = profile(`remote 127.0.0.1 ${port} tcp`, 'connect-retry 1', 'connect-retry-max 1');
    const error = await rejection(library().connect(text));
    expect(error).toMatchObject({ code: 'SALLYPORT_NO_ANSWER', cause: { code: 'SALLYPORT_REFUSED' } });
  });

  it('leaves the process it runs in alone, whatever the profile says, and tells so', async () => {
    const lines: string[] = [];
    const nice = getPriority();
    const text = profile('remote 127.0.0.1 9', 'proto tcp', 'connect-retry-max 1', 'user nobody', 'nice 5', 'verb 1');
    await rejection(library().connect(text, { log: (_flags, line) => lines.push(line) }));
    expect(lines.some((line) => line.startsWith('NOTE: user, nice: left out'))).toBe(true);
    expect(getPriority()).toBe(nice);
  });

  it('leaves no listener on the process', async () => {
    const before = listeners();
    const { port, heard, close } = await silentPort();
    const aborter = new AbortController();
    const connecting = library().connect(profile(`remote 127.0.0.1 ${port}`), { signal: aborter.signal });
    await Promise.race([heard, connecting]);
    aborter.abort();
    await rejection(connecting);
    close();
    expect(listeners()).toEqual(before);
  });

  it('prints nothing, and the process ends by itself afterwards', () => {
    const program = join(directory, 'embedder.mjs');
    const report = join(directory, 'report.json');
    writeFileSync(join(directory, 'test.ovpn'), profile('remote 127.0.0.1 PORT', 'verb 4'));
    writeFileSync(
      program,
      `import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
const { connect } = await import(process.argv[2]);
const socket = createSocket('udp4').bind(0, '127.0.0.1');
await new Promise((resolve) => socket.once('listening', resolve));
const text = readFileSync(process.argv[3], 'utf8').replace('PORT', String(socket.address().port));
const aborter = new AbortController();
socket.once('message', () => aborter.abort(new Error('heard')));
const counts = () =>
  Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)]));
const before = counts();
const error = await connect(text, { signal: aborter.signal }).catch((reason) => reason);
socket.close();
writeFileSync(process.argv[4], JSON.stringify({ message: error.message, before, after: counts() }));
`,
    );
    const { status, signal, stdout, stderr } = spawnSync(
      process.execPath,
      [program, library().url.href, join(directory, 'test.ovpn'), report],
      { encoding: 'utf8', timeout: 15_000 },
    );
    expect({ status, signal, stdout, stderr }).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
    const { message, before, after } = JSON.parse(readFileSync(report, 'utf8'));
    expect(message).toBe('heard');
    expect(after).toEqual(before);
  });
});

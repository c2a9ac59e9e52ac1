import { describe, expect, it } from 'vitest';
import { createCredentialStore } from '../../src/client/credentials.ts';
import type { CredentialsPort, PartialCredentials } from '../../src/client/ports.ts';
import type { Config } from '../../src/config/config.ts';

const never = new AbortController().signal;
const file = { kind: 'file', path: 'pass', origin: { file: 'a.ovpn', line: 3 } } as const;

interface Wanted {
  staticChallenge?: Config['staticChallenge'];
  authUserPass?: Config['authUserPass'];
  authNocache?: boolean;
  authRetry?: Config['authRetry'];
}

/** A store over a file and a person who answers; counts how often each was asked. */
function store(wanted: Wanted, stored: PartialCredentials) {
  const counts = { read: 0, asked: 0 };
  let responses = 0;
  const config = { authUserPass: undefined, authNocache: false, authRetry: 'none', ...wanted } as Config;
  const challenges = { respond: () => Promise.resolve(`code${++responses}`) };
  const port: CredentialsPort = {
    read: () => {
      counts.read += 1;
      return stored;
    },
    ask: (known) => {
      counts.asked += 1;
      return Promise.resolve({ username: known.username ?? 'person', password: `typed${counts.asked}` });
    },
  };
  const credentials = createCredentialStore(config, port, challenges);
  return { credentials, counts };
}

describe('credentials', () => {
  it('are read once from the file and sent again on every key exchange', async () => {
    const { credentials, counts } = store(
      { authUserPass: { source: file, usernameOnly: false } },
      { username: 'alice', password: 'secret' },
    );
    expect(await credentials.obtain(never)).toEqual({ username: 'alice', password: 'secret' });
    credentials.used();
    expect(await credentials.obtain(never)).toEqual({ username: 'alice', password: 'secret' });
    expect(counts).toEqual({ read: 1, asked: 0 });
  });

  it('are forgotten after use under auth-nocache', async () => {
    const { credentials, counts } = store(
      { authUserPass: { source: file, usernameOnly: false }, authNocache: true },
      { username: 'alice', password: 'secret' },
    );
    await credentials.obtain(never);
    credentials.used();
    expect(credentials.known).toBeUndefined();
    await credentials.obtain(never);
    expect(counts.read).toBe(2);
  });

  it('are completed by a person where the file has no password', async () => {
    const { credentials } = store(
      { authUserPass: { source: file, usernameOnly: false } },
      { username: 'alice', password: undefined },
    );
    expect(await credentials.obtain(never)).toEqual({ username: 'alice', password: 'typed1' });
  });

  it('need no password under username-only', async () => {
    const { credentials, counts } = store(
      { authUserPass: { source: file, usernameOnly: true } },
      { username: 'alice', password: undefined },
    );
    expect(await credentials.obtain(never)).toEqual({ username: 'alice', password: '' });
    expect(counts.asked).toBe(0);
  });

  it('are not asked for without auth-user-pass', async () => {
    const { credentials, counts } = store({}, { username: undefined, password: undefined });
    expect(await credentials.obtain(never)).toBeUndefined();
    expect(counts).toEqual({ read: 0, asked: 0 });
  });

  it('give way to the server’s token, which keeps the username even under auth-nocache', async () => {
    const { credentials } = store(
      { authUserPass: { source: file, usernameOnly: false }, authNocache: true },
      { username: 'alice', password: 'secret' },
    );
    await credentials.obtain(never);
    credentials.used();
    credentials.setToken('SESS_ID_x', undefined);
    expect(credentials.known).toEqual({ username: 'alice', password: 'SESS_ID_x' });
    expect(credentials.forgetToken()).toBe(true);
    expect(credentials.forgetToken()).toBe(false);
  });

  it('are sent again when the token has expired, but an answer that serves once is asked for anew', async () => {
    const authUserPass = { source: file, usernameOnly: false };
    const stored = { username: 'alice', password: 'secret' };
    const kept = store({ authUserPass }, stored);
    await kept.credentials.obtain(never);
    kept.credentials.setToken('SESS_ID_x', undefined);
    kept.credentials.forgetToken();
    expect(await kept.credentials.obtain(never)).toEqual(stored);
    expect(kept.counts.read).toBe(1);

    const once = store({ authUserPass, staticChallenge: { text: 'PIN', echo: true, format: 'concat' } }, stored);
    expect(await once.credentials.obtain(never)).toEqual({ username: 'alice', password: 'secretcode1' });
    once.credentials.setToken('SESS_ID_x', undefined);
    once.credentials.forgetToken();
    expect(await once.credentials.obtain(never)).toEqual({ username: 'alice', password: 'secretcode2' });

    const dynamic = store({ authUserPass }, stored);
    const challenge = { text: 'PIN', echo: true, responseRequired: true, stateId: 'id', username: 'alice' };
    dynamic.credentials.setChallenge(challenge);
    expect(await dynamic.credentials.obtain(never)).toEqual({ username: 'alice', password: 'CRV1::id::code1' });
    dynamic.credentials.setToken('SESS_ID_x', undefined);
    dynamic.credentials.forgetToken();
    expect(await dynamic.credentials.obtain(never)).toEqual(stored);
  });

  it('that were refused are asked of a person under auth-retry interact, not read again from the file', async () => {
    const { credentials, counts } = store(
      { authUserPass: { source: file, usernameOnly: false }, authRetry: 'interact' },
      { username: 'alice', password: 'wrong' },
    );
    await credentials.obtain(never);
    credentials.purge('refused');
    expect(await credentials.obtain(never)).toEqual({ username: 'alice', password: 'typed1' });
    expect(counts.asked).toBe(1);
  });
});

import { describe, expect, it } from 'vitest';
import { ClientLab } from '../lab/client-lab.ts';

const REMOTE = 'remote 198.51.100.1 1194';
const PASSWORD = ['auth-user-pass'];
const STORED = ['auth-user-pass creds.txt'];
const alice = { username: 'alice', password: 'first' };
const refusal = () => 'AUTH_FAILED';

describe('AUTH_FAILED', () => {
  it('is told in the reason that the server gives, which need not be about the password', async () => {
    const lab = new ClientLab(REMOTE, ...STORED);
    lab.server.answer = () => 'AUTH_FAILED,certificate revoked';
    lab.start();
    const end = await lab.ended();
    const error = end.kind === 'exit' ? end.error : undefined;
    expect(error?.message).toBe('The server refused the login: certificate revoked');
    expect(error?.hint).not.toMatch(/password/);
    await lab.gone();
  });

  it('without a reason is about username and password', async () => {
    const lab = new ClientLab(REMOTE, ...STORED);
    lab.server.answer = refusal;
    lab.start();
    const end = await lab.ended();
    const error = end.kind === 'exit' ? end.error : undefined;
    expect(error?.message).toBe('The server refused the username or password');
    expect(error?.hint).toMatch(/^Check the username and password/);
    await lab.gone();
  });

  it('ends the program under auth-retry none', async () => {
    const lab = new ClientLab(REMOTE, ...PASSWORD);
    lab.answers = [alice];
    lab.server.answer = refusal;
    lab.start();
    expect(await lab.ended()).toMatchObject({ kind: 'exit', exitCode: 0, error: { code: 'SALLYPORT_AUTH_FAILED' } });
    expect(lab.received).toEqual(['SIGTERM[soft,auth-failure] received, process exiting']);
    await lab.gone();
  });

  it('tries the same password again under auth-retry nointeract, ten seconds later', async () => {
    const lab = new ClientLab(REMOTE, ...STORED, 'auth-retry nointeract');
    lab.server.answer = () => (lab.server.count < 3 ? 'AUTH_FAILED' : undefined);
    const startedMs = lab.clock.nowMs;
    await lab.up();
    expect(lab.server.logins.map(({ password }) => password)).toEqual(['stored', 'stored', 'stored']);
    expect(lab.asked).toBe(0);
    expect(lab.clock.nowMs - startedMs).toBeGreaterThan(20_000);
  });

  it('asks a person again under auth-retry interact, even where a file had the password', async () => {
    for (const nocache of [[], ['auth-nocache']]) {
      const lab = new ClientLab(REMOTE, ...STORED, 'auth-retry interact', ...nocache);
      lab.answers = [{ username: 'alice', password: 'typed' }];
      lab.server.answer = () => (lab.server.count < 2 ? 'AUTH_FAILED' : undefined);
      await lab.up();
      expect(lab.server.logins.map(({ password }) => password)).toEqual(['stored', 'typed']);
      expect(lab.asked).toBe(1);
    }
  });

  it('is not what RESTART says: the stored password is read again and nobody asked', async () => {
    const lab = await new ClientLab(REMOTE, ...STORED, 'auth-retry interact').up();
    lab.server.last.say('RESTART,go');
    await lab.until(() => lab.ups === 2, 'up again');
    expect([lab.fileReads, lab.asked]).toEqual([2, 0]);
  });

  it('of a token goes back to the password at once, whatever auth-retry says', async () => {
    const lab = new ClientLab(REMOTE, ...STORED);
    lab.server.push = ['auth-token SESS_ID_1', 'protocol-flags tls-ekm'];
    await lab.up();
    lab.server.answer = () => (lab.server.count === 2 ? 'AUTH_FAILED' : undefined);
    lab.signal('SIGUSR1');
    await lab.until(() => lab.ups === 2, 'up again');
    expect(lab.server.logins).toEqual([
      { username: 'alice', password: 'stored' },
      { username: 'alice', password: 'SESS_ID_1' },
      { username: 'alice', password: 'stored' },
    ]);
    expect(lab.fileReads).toBe(1);
  });

  it('with TEMP waits as long as the server says', async () => {
    const lab = new ClientLab(REMOTE, ...STORED);
    lab.server.answer = () => (lab.server.count < 2 ? 'AUTH_FAILED,TEMP[backoff 42,advance no]:later' : undefined);
    await lab.up();
    expect(lab.states.find(({ phase }) => phase === 'reconnecting')).toMatchObject({ pauseSeconds: 42 });
  });
});

describe('credentials', () => {
  it('are asked for once and kept over restarts', async () => {
    const lab = new ClientLab(REMOTE, ...PASSWORD);
    lab.answers = [alice];
    await lab.up();
    lab.signal('SIGUSR1');
    await lab.until(() => lab.ups === 2, 'up again');
    expect(lab.asked).toBe(1);
  });

  it('are asked for at each key exchange under auth-nocache', async () => {
    const lab = new ClientLab(REMOTE, ...PASSWORD, 'auth-nocache');
    lab.answers = [alice, { ...alice, password: 'second' }, { ...alice, password: 'third' }];
    await lab.up();
    expect(lab.asked).toBe(1);
    lab.server.last.renegotiate();
    await lab.until(() => lab.plane.calls.includes('use key 1'), 'a new key');
    expect(lab.asked).toBe(2);
    lab.signal('SIGUSR1');
    await lab.until(() => lab.ups === 2, 'up again');
    expect(lab.server.logins.map(({ password }) => password)).toEqual(['first', 'third']);
  });

  it('that nobody gives end the program when it is told to end', async () => {
    const lab = new ClientLab(REMOTE, ...PASSWORD).start();
    await lab.settle();
    expect(lab.asked).toBe(1);
    lab.signal('SIGTERM');
    expect(await lab.ended()).toMatchObject({ exitCode: 0 });
    await lab.gone();
  });

  it('are not waited for when the one who is asked does not hear that it is over', async () => {
    const lab = new ClientLab(REMOTE, ...PASSWORD);
    lab.deaf = true;
    lab.start();
    await lab.settle();
    lab.signal('SIGTERM');
    expect(await lab.ended()).toMatchObject({ exitCode: 0 });
    await lab.gone();
  });
});
